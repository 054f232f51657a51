"""The counter's doors: the shell that a device may keep, its files, who is let in and who is not."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.test import Client
from django.utils import translation
from django.utils.timezone import now

from network.models import Device, Membership, ServicePoint, User
from pickup.models import Scan, Verdict
from pickup.views import counter, counter_words
from pickup.views.doors import COOKIE
from tests import factories
from tests.factories import code_of, make_point, make_ready_parcel, token_of

pytestmark = pytest.mark.django_db
FIRST_LOAD_BYTES = 400_000


@pytest.fixture
def point() -> ServicePoint:
    return make_point(name="Corner Shop")


@pytest.fixture
def clerk(point: ServicePoint) -> User:
    return factories.make_member(point, role="clerk", name="Li Xiaoming")


@pytest.fixture
def phone(client: Client, clerk: User) -> Client:
    client.force_login(clerk)
    return client


def shell(phone: Client, point: ServicePoint, language: str = "en") -> str:
    answer = phone.get(f"/counter/{point.pk}/", headers={"accept-language": language})
    assert answer.status_code == 200
    return answer.content.decode()


def embedded(page: str, name: str) -> Any:
    found = re.search(rf'<script id="{name}" type="application/json">(.*?)</script>', page)
    assert found
    return json.loads(found[1])


def addresses_in(page: str) -> set[str]:
    """Files that the browser fetches for the page by itself."""
    return set(re.findall(r'(?:href|src)="(/static/[^"#]+)', page))


def content(address: str) -> bytes:
    found = finders.find(address.removeprefix("/static/"))
    assert found, address
    return Path(found).read_bytes()


def test_the_shell_knows_the_shop_and_nobody(phone: Client, point: ServicePoint, clerk: User) -> None:
    parcel = make_ready_parcel(factories.scanner_of(point), point)
    page = shell(phone, point)
    assert "Corner Shop" in page
    for personal in ("Li Xiaoming", clerk.phone, "王", parcel.barcode, "8000", code_of(parcel), token_of(parcel)):
        assert personal not in page
    assert "csrfmiddlewaretoken" not in page


def test_the_shell_is_the_same_for_everybody_but_for_its_nonce(point: ServicePoint) -> None:
    pages = []
    for _ in range(2):
        browser = Client()
        browser.force_login(factories.make_member(point))
        pages.append(re.sub(r"nonce-[\w+/=-]+", "", shell(browser, point)))
    assert pages[0] == pages[1]


@pytest.mark.parametrize("language", ["zh-hans", "en"])
def test_every_verdict_has_its_words_sign_and_next_action(phone: Client, point: ServicePoint, language: str) -> None:
    words = embedded(shell(phone, point, language), "words")
    for verdict in Verdict.values:
        sign = words["signs"][verdict]
        assert sign["tone"] in ("ok", "caution", "stop", "wait")
        assert sign["notes"]
        assert sign["vibration"]
        for kind in Scan.Kind.values:
            assert words["next"][kind][verdict]
    assert len(set(words["verdicts"].values())) == len(Verdict.values)
    assert len({json.dumps(sign["notes"]) for sign in words["signs"].values()}) == len(Verdict.values)
    assert len({json.dumps(sign["icon"]) for sign in words["signs"].values()}) == len(Verdict.values)


def test_every_sign_is_drawn() -> None:
    drawn = set(re.findall(r'<symbol id="(\w+)"', content("/static/pickup/counter/icons.svg").decode()))
    assert {sign.icon for sign in counter_words.SIGNS.values()} <= drawn


def test_the_page_speaks_the_language_of_the_browser(phone: Client, point: ServicePoint) -> None:
    assert 'lang="zh-Hans"' in shell(phone, point, "zh-CN")
    assert embedded(shell(phone, point, "zh-CN"), "words")["asks"]["pickup"] == "扫描收件人的二维码或包裹面单"
    assert 'lang="en"' in shell(phone, point, "en")


def test_only_this_page_may_run_the_reader_of_codes_and_nothing_runs_inline(phone: Client, point: ServicePoint) -> None:
    answer = phone.get(f"/counter/{point.pk}/")
    policy = answer.headers["Content-Security-Policy"]
    assert "'wasm-unsafe-eval'" in policy
    assert "'unsafe-inline'" not in policy
    assert "'unsafe-eval'" not in policy
    page = answer.content.decode()
    scripts = re.findall(r"<script([^>]*)>", page)
    assert all("src=" in script or "application/json" in script for script in scripts)
    assert not re.search(r"<style|\sstyle=|\son\w+=", page)
    for other in ("/account/", f"/counter/{point.pk}/shelf/"):
        assert "wasm" not in phone.get(other).headers["Content-Security-Policy"]


def test_nothing_comes_from_elsewhere(phone: Client, point: ServicePoint) -> None:
    assert not re.search(r'(?:href|src)="(?:https?:)?//', shell(phone, point))
    for path in (*counter.SCRIPTS, *counter.STYLES, counter.LATER["decoder"], counter.WORKER):
        assert not re.search(r"[\"'`(]https?://(?!www\.w3\.org/2000/svg)", content(f"/static/{path}").decode()), path


def test_the_first_load_is_light(phone: Client, point: ServicePoint) -> None:
    """All that a first visit fetches, also what the service worker keeps; only the engine comes later and apart."""
    page = shell(phone, point)
    kept = json.loads(sent_worker(phone)["kept"])
    fetched = addresses_in(page) | set(kept) | {f"/static/{counter.LATER['reader']}"}
    sizes = {address: len(gzip.compress(content(address))) for address in fetched}
    total = sum(sizes.values()) + len(gzip.compress(page.encode()))
    assert len(fetched) > 15
    assert total < FIRST_LOAD_BYTES, sizes


def sent_worker(browser: Client) -> dict[str, str]:
    source = browser.get("/counter/sw.js").content.decode()
    settled = json.loads(source.partition("const SETTLED = ")[2].partition(";\n")[0])
    return {name: json.dumps(value) for name, value in settled.items()}


def test_the_worker_keeps_every_file_of_the_page(phone: Client, point: ServicePoint) -> None:
    answer = phone.get("/counter/sw.js")
    assert answer.headers["Content-Type"].startswith("text/javascript")
    assert answer.headers["Service-Worker-Allowed"] == "/counter/"
    assert "no-cache" in answer.headers["Cache-Control"]
    kept = set(json.loads(sent_worker(phone)["kept"]))
    assert addresses_in(shell(phone, point)) <= kept
    for address in kept:
        imported = re.findall(r'from "\./(\w+\.js)"', content(address).decode(errors="replace"))
        assert {f"/static/pickup/counter/{name}" for name in imported} <= kept


def test_the_version_changes_with_what_the_app_is_made_of(monkeypatch: pytest.MonkeyPatch) -> None:
    before = counter._version()
    assert counter._version() == before
    monkeypatch.setattr(counter, "SCRIPTS", counter.SCRIPTS[:-1])
    assert counter._version() != before


def test_the_page_tells_its_version_to_the_worker(phone: Client, point: ServicePoint) -> None:
    answer = phone.get(f"/counter/{point.pk}/")
    assert json.dumps(answer.headers["X-Counter-Version"]) == sent_worker(phone)["version"]


def test_the_manifest_lets_a_phone_install_the_shop(phone: Client, point: ServicePoint) -> None:
    answer = phone.get(f"/counter/{point.pk}/manifest.webmanifest", headers={"accept-language": "zh-CN"})
    assert answer.headers["Content-Type"] == "application/manifest+json"
    told = answer.json()
    assert told["name"] == "Corner Shop · 柜台"
    assert told["start_url"] == f"/counter/{point.pk}/"
    assert {(icon["sizes"], icon["purpose"]) for icon in told["icons"]} >= {("192x192", "any"), ("512x512", "maskable")}
    for icon in told["icons"]:
        picture = content(icon["src"])
        assert picture.startswith(b"\x89PNG")
        side = int(icon["sizes"].split("x")[0])
        assert (int.from_bytes(picture[16:20]), int.from_bytes(picture[20:24])) == (side, side)


def test_a_browser_becomes_a_device_of_its_own(phone: Client, clerk: User, point: ServicePoint) -> None:
    shell(phone, point)
    shell(phone, point)
    assert [device.user for device in Device.objects.all()] == [clerk]
    assert phone.cookies[COOKIE]["path"] == f"/counter/{point.pk}/"
    assert phone.cookies["csrftoken"].value  # the first scan may come before anything else was asked


def test_one_shop_is_opened_at_once_and_several_are_offered(phone: Client, clerk: User, point: ServicePoint) -> None:
    assert phone.get("/counter/").headers["Location"] == f"/counter/{point.pk}/"
    other = make_point(name="Second Shop")
    Membership.objects.create(user=clerk, service_point=other, role="clerk")
    page = phone.get("/counter/").content.decode()
    for one in (point, other):
        assert f'href="/counter/{one.pk}/"' in page


def test_a_stranger_gets_neither_page_nor_data(client: Client, point: ServicePoint) -> None:
    for path in ("/counter/", f"/counter/{point.pk}/"):
        answer = client.get(path)
        assert answer.status_code == 302
        assert answer.headers["Location"].startswith("/?next=")
    for path in ("manifest.webmanifest", "state"):
        assert client.get(f"/counter/{point.pk}/{path}").status_code == 401
    for path in ("scans", "releases"):
        assert client.post(f"/counter/{point.pk}/{path}", {}).status_code == 401
    assert not Device.objects.exists()


def test_somebody_of_another_shop_finds_nothing(client: Client, point: ServicePoint) -> None:
    client.force_login(factories.make_member(make_point()))
    for path in ("", "manifest.webmanifest", "state"):
        assert client.get(f"/counter/{point.pk}/{path}").status_code == 404
    for path in ("scans", "releases"):
        assert client.post(f"/counter/{point.pk}/{path}", {}).status_code == 404
    assert client.get(f"/counter/{point.pk + 1000}/").status_code == 404


def test_a_clerk_who_left_finds_nothing(phone: Client, clerk: User, point: ServicePoint) -> None:
    shell(phone, point)
    Membership.objects.filter(user=clerk).update(ended_at=now())
    for path in ("", "manifest.webmanifest", "state"):
        assert phone.get(f"/counter/{point.pk}/{path}").status_code == 404


def test_a_revoked_device_is_signed_out_at_once(phone: Client, point: ServicePoint) -> None:
    shell(phone, point)
    Device.objects.update(revoked_at=now())
    assert phone.get(f"/counter/{point.pk}/manifest.webmanifest").status_code == 401
    assert phone.get(f"/counter/{point.pk}/").headers["Location"].startswith("/?next=")
    assert "_auth_user_id" not in phone.session


def test_the_worker_holds_no_secret_and_is_there_for_whoever_signs_in_next(client: Client, point: ServicePoint) -> None:
    source = client.get("/counter/sw.js").content.decode()
    assert point.name not in source
    assert client.post("/counter/sw.js").status_code == 405


def test_the_words_follow_the_language_of_the_moment() -> None:
    with translation.override("zh-hans"):
        assert counter_words.as_json()["counted"]["waiting"] == ["%(counter)s 条待上传"] * 2
    with translation.override("en"):
        assert counter_words.as_json()["counted"]["waiting"] == ["%(counter)s scan waits", "%(counter)s scans wait"]
