"""A real browser, shared by the tests of a module, and pages whose consoles stay silent."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect, sync_playwright

from network.models import User

LOUD = ("error", "warning")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
WEBGL = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"]
DRIVER_NOISE = "GL Driver Message"  # the software renderer complains about its own speed
PATIENCE_MS = 120_000  # the machines that run this may be slow and busy

expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    # Playwright runs an event loop in this thread, which Django would take for an asynchronous context.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    try:
        with sync_playwright() as started:
            yield started
    finally:
        os.environ.pop("DJANGO_ALLOW_ASYNC_UNSAFE", None)


def launch(playwright: Playwright, *arguments: str) -> Browser:
    executable = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    return playwright.chromium.launch(executable_path=executable, args=[*ARGUMENTS, *arguments])


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    launched = launch(playwright)
    yield launched
    launched.close()


def enter_as(context: BrowserContext, user: User, url: str) -> None:
    """Sign in without the sign-in page."""
    client = Client()
    client.force_login(user)
    context.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": url}])


def listen(page: Page, complaints: list[str]) -> None:
    page.on("console", lambda message: complaints.append(message.text) if message.type in LOUD else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))


@pytest.fixture
def page(browser: Browser, live_server: Any, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page whose console stays silent: an error there is a broken script or something the CSP refused."""
    width, height = getattr(request, "param", (360, 800))
    context = browser.new_context(viewport={"width": width, "height": height}, locale="en-GB", base_url=live_server.url)
    context.set_default_timeout(PATIENCE_MS)
    complaints: list[str] = []
    opened = context.new_page()
    listen(opened, complaints)
    yield opened
    context.close()
    assert [words for words in complaints if DRIVER_NOISE not in words] == []


Opener = Callable[..., Page]


@pytest.fixture
def open_as(browser: Browser, live_server: Any) -> Iterator[Opener]:
    """Pages of devices that lose their network: what they say about that in the console is not looked at."""
    contexts: list[BrowserContext] = []

    def opened(user: User, path: str, **options: Any) -> Page:
        settings = {"viewport": {"width": 360, "height": 800}, "locale": "en-GB", "base_url": live_server.url}
        context = browser.new_context(**(settings | options))
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        enter_as(context, user, live_server.url)
        page = context.new_page()
        page.goto(path)
        return page

    yield opened
    for context in contexts:
        context.close()


def fits(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))
