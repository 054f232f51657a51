"""The API against its own description: generated calls get no 500 and no answer that the document does not know."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from hypothesis import HealthCheck, settings

from tests import factories

pytestmark = pytest.mark.django_db


schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", get_wsgi_application())

CHECKS = [
    getattr(schemathesis.checks, name)
    for name in (
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_schema_conformance",
    )
]


@pytest.fixture
def one_connection(db: None) -> Iterator[None]:
    """The calls go through WSGI, whose requests would close the connection that holds the test's transaction."""
    request_started.disconnect(close_old_connections)
    request_finished.disconnect(close_old_connections)
    yield
    request_started.connect(close_old_connections)
    request_finished.connect(close_old_connections)


@pytest.fixture
def keys(one_connection: None) -> tuple[str, str]:
    """A merchant's key and a device's key."""
    factories.make_chain()
    return factories.make_merchant()[1], factories.make_device(factories.make_point())[1]


@schema.parametrize()
@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much],
)
def test_generated_calls_are_answered_as_described(case: Any, keys: tuple[str, str]) -> None:
    merchant, device = keys
    for_merchants = "orders" in case.path or "service-points" in case.path
    headers = {"Authorization": f"Bearer {merchant if for_merchants else device}"}
    response = case.call(headers=headers)
    case.validate_response(response, checks=CHECKS)
