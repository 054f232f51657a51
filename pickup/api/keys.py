"""Bearer keys. A key names its merchant or its device; only hashes are compared, and only hashes are stored.

Looking a key up is the first thing that a request asks the database, and harmless: so it is here that a connection
which was cut since the last request is replaced.
"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja.security import HttpBearer

from network import access
from network.models import Device
from pickup.again import again
from pickup.models import Merchant


class MerchantKeyAuth(HttpBearer):
    """Answers the merchant of a key that was not revoked."""

    def authenticate(self, request: HttpRequest, token: str) -> Merchant | None:
        key_hash = access.hash_key(token)
        return again(Merchant.objects.filter(keys__key_hash=key_hash, keys__revoked_at__isnull=True).first)


class DeviceKeyAuth(HttpBearer):
    """Answers the device of a key; a revoked one may not read any more."""

    def authenticate(self, request: HttpRequest, token: str) -> Device | None:
        devices = Device.objects.select_related("service_point")
        return again(devices.filter(key_hash=access.hash_key(token), revoked_at__isnull=True).first)


class ScannerKeyAuth(HttpBearer):
    """Answers the hash of the key: the scan itself looks the device up, so that a hand-over is one round trip."""

    def authenticate(self, request: HttpRequest, token: str) -> bytes:
        return access.hash_key(token)


class UploaderKeyAuth(HttpBearer):
    """Answers the hash of a key that some device has; a revoked one gets its verdict scan by scan."""

    def authenticate(self, request: HttpRequest, token: str) -> bytes | None:
        key_hash = access.hash_key(token)
        return key_hash if again(Device.objects.filter(key_hash=key_hash).exists) else None


def merchant_of(request: HttpRequest) -> Merchant:
    merchant: Any = request.auth  # type: ignore[attr-defined]
    assert isinstance(merchant, Merchant)
    return merchant


def device_of(request: HttpRequest) -> Device:
    device: Any = request.auth  # type: ignore[attr-defined]
    assert isinstance(device, Device)
    return device
