"""From a decoded code to the verdict on the screen, beside the bare HTTP call of the same page in the same run.

The browser, the web server and the database share this machine, so only the ratio means anything.
"""

from __future__ import annotations

import os
import statistics
from typing import Any

from django.test import Client
from playwright.sync_api import Page, sync_playwright

from network.models import Membership, ServicePoint, User
from tests.benchmarks import scene
from tests.benchmarks.pickups import Server

PARCELS = 200  # by each of the two ways
WARM = 20

BARE = """async ([tokens, url]) => {
    const csrf = document.cookie.match(/csrftoken=([^;]+)/)[1];
    const took = [];
    for (const token of tokens) {
        const body = {scan_id: crypto.randomUUID(), kind: "pickup", token, event_at: new Date().toISOString()};
        const began = performance.now();
        const answer = await fetch(url, {method: "POST", body: JSON.stringify({scans: [body]}),
            headers: {"X-CSRFToken": csrf, "Content-Type": "application/json"}});
        const {results} = await answer.json();
        took.push(performance.now() - began);
        if (results[0].verdict !== "ok") { throw new Error(JSON.stringify(results)); }
    }
    return took;
}"""

# What the camera does when it has decoded a code is what Enter does: from there to the change on the page, and to the
# picture after it.
SHOWN = """async (tokens) => {
    const entry = document.getElementById("entry"), form = document.getElementById("form");
    const place = document.getElementById("verdict");
    const took = [];
    for (const token of tokens) {
        const began = performance.now();
        const shown = new Promise((resolve) => new MutationObserver((changes, observer) => {
            const verdict = place.querySelector("[data-verdict]");
            if (verdict) { observer.disconnect(); resolve(verdict.dataset.verdict + verdict.dataset.from); }
        }).observe(place, {childList: true, subtree: true}));
        place.replaceChildren();
        entry.value = token;
        form.requestSubmit();
        const told = await shown;
        await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
        took.push(performance.now() - began);
        if (!told.startsWith("ok")) { throw new Error(told); }
    }
    return took;
}"""


def page_at(page: Page, server: Server, point: ServicePoint, user: User) -> None:
    client = Client()
    client.force_login(user)
    url = f"http://127.0.0.1:{server.port}"
    page.context.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": url}])
    page.goto(f"{url}/counter/{point.pk}/")
    page.locator("body[data-kept]").wait_for(timeout=60_000)


def name_recipients() -> None:
    """The shop's stock tells a masked name with each parcel."""
    scene.run(
        """INSERT INTO pickup_recipient (order_id, sealed, masked_name, phone_last4, phone_hash)
           SELECT id, '\\x00', '王*', '5678', '\\x00' FROM pickup_order"""
    )


def figures(took: list[float]) -> tuple[float, float]:
    """Median and 95th percentile, in milliseconds."""
    return statistics.median(took), statistics.quantiles(took, n=20)[-1]


def main() -> list[tuple[str, float, float]]:
    """Rows of (what, a second at the median or the 95th percentile, ratio to the bare call)."""
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"  # playwright's loop runs in this thread
    with scene.fresh_database():
        jobs, _ = scene.make_ready_parcels(3 * (PARCELS + WARM), shops=1)
        name_recipients()
        tokens = [token for _, token in jobs]
        point = ServicePoint.objects.get()
        user = User.objects.create_user("+8613900000001", None)
        Membership.objects.create(user=user, service_point=point, role="owner")
        with Server() as server, sync_playwright() as playwright:
            executable = os.environ.get("CHROMIUM", "/usr/bin/chromium")
            browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
            page = browser.new_page()
            page_at(page, server, point, user)
            bare, shown = measured(page, f"/counter/{point.pk}/scans", tokens)
            page.context.set_offline(True)
            page.locator('#state[data-net="offline"]').wait_for()
            alone: Any = page.evaluate(SHOWN, tokens[2 * (PARCELS + WARM) :])[WARM:]
            browser.close()
    rows = []
    ways = {"bare HTTP call": bare, "code to verdict on the screen": shown, "the same without network": alone}
    for what, took in ways.items():
        for name, figure, limit in zip(("median", "p95"), figures(took), figures(bare), strict=True):
            rows.append((f"{what}, {name} {figure:.1f} ms", 1000 / figure, figure / limit))
    return rows


def measured(page: Page, url: str, tokens: list[str]) -> tuple[list[float], list[float]]:
    """The two ways in turns of twenty, so that both meet the same machine."""
    bare: list[float] = []
    shown: list[float] = []
    for start in range(0, 2 * (PARCELS + WARM), 2 * WARM):
        bare += page.evaluate(BARE, [tokens[start : start + WARM], url])
        shown += page.evaluate(SHOWN, tokens[start + WARM : start + 2 * WARM])
    return bare[WARM:], shown[WARM:]
