"""Drafts of borders over HTTP: who may do what, what is refused and how, what a draft would change, and publishing."""

from __future__ import annotations

import json
import random
import zipfile
from collections.abc import Callable
from datetime import timedelta
from io import BytesIO
from typing import Any
from unittest import mock

import numpy as np
import pytest
import shapely
from django.contrib.auth.models import Permission
from django.contrib.gis.geos import Point
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils.timezone import now
from shapely import box

from network import drafts
from network.models import Address, Level, Region, RegionDraft, ServicePoint, User
from pickup import fees, preview, tasks
from pickup.models import ImpactPreview, Parcel, Posting
from tests import factories
from tests.factories import make_appointment, make_point, make_ready_parcel, make_region, pick_up

pytestmark = pytest.mark.django_db
D = "/regions/drafts/data/"
SEE = {"view_region", "view_regiondraft"}
EDIT = SEE | {"add_regiondraft", "change_regiondraft"}
ALL = EDIT | {"publish_regiondraft", "view_parcel", "view_posting", "view_servicepoint", "view_appointment"}
WEST, EAST = box(113.8, 22.4, 114.0, 22.6), box(114.0, 22.4, 114.2, 22.6)


def staff_with(rights: set[str]) -> User:
    user = factories.make_user(is_staff=True, name="王")
    user.user_permissions.set(Permission.objects.filter(codename__in=rights))
    return user


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def client(db: None) -> Client:
    return signed_in(staff_with(ALL))


@pytest.fixture
def pair(db: None) -> tuple[Region, Region]:
    province = make_region("440000", "广东省", Level.PROVINCE, None, (109, 20, 117, 25.5))
    city = make_region("440300", "深圳市", Level.CITY, province, (113.8, 22.4, 114.2, 22.6))
    west = make_region("440305", "南山区", Level.DISTRICT, city, WEST.bounds)
    return west, make_region("440304", "福田区", Level.DISTRICT, city, EAST.bounds)


def shape(geom: Any) -> Any:
    return json.loads(shapely.to_geojson(geom))


def post(client: Client, path: str, body: Any, status: int = 200) -> Any:
    data = body if isinstance(body, bytes) else json.dumps(body)
    answer = client.post(f"{D}{path}", data, content_type="application/json")
    assert answer.status_code == status, answer.content[:500]
    return answer.json()


def get(client: Client, path: str, status: int = 200) -> Any:
    answer = client.get(f"{D}{path}")
    assert answer.status_code == status, answer.content[:500]
    return answer.json()


def made(client: Client) -> int:
    return int(post(client, "", {"name": "moves"}, 201)["id"])


def edit(client: Client, draft_id: int, status: int = 200, **values: Any) -> Any:
    version = RegionDraft.objects.get(pk=draft_id).version
    return post(client, f"{draft_id}/edits/", {"version": version, **values}, status)


def move_border(client: Client, lon: float) -> int:
    """A draft that moves the border between the two districts to this longitude."""
    draft_id = made(client)
    edit(client, draft_id, op="reshape", code="440304", geometry=shape(box(lon, 22.4, 114.2, 22.6)))
    edit(client, draft_id, op="reshape", code="440305", geometry=shape(box(113.8, 22.4, lon, 22.6)))
    return draft_id


def previewed(client: Client, draft_id: int, since: Any = None) -> Any:
    version = RegionDraft.objects.get(pk=draft_id).version
    return post(client, f"{draft_id}/preview/", {"version": version, "from": since})


def publish(client: Client, draft_id: int, status: int = 200, **more: Any) -> Any:
    version = RegionDraft.objects.get(pk=draft_id).version
    return post(client, f"{draft_id}/publish/", {"version": version, **more}, status)


# Who may.


def pages(draft_id: int) -> list[tuple[str, str, Any]]:
    one = f"{draft_id}/"
    reads = [
        "",
        one,
        f"{one}shapes.geojson",
        f"{one}neighbours.geojson?box=113,22,115,23&level=4",
        f"{one}region.geojson?code=440305",
        f"{one}history/",
        f"{one}problems/",
        "sets/",
        "compare/?a=2026-01-01&b=2026-02-01",
        "compare/440305/?a=2026-01-01&b=2026-02-01",
    ]
    writes = [
        "",
        *(
            f"{one}{name}/"
            for name in ("edits", "rename", "abandon", "problems/accept", "problems/reject", "preview", "publish")
        ),
    ]
    return [("get", path, None) for path in reads] + [("post", path, {}) for path in writes]


def asked(client: Client, method: str, path: str) -> int:
    data = {"content_type": "application/json", "data": "{}"} if method == "post" else {}
    return int(getattr(client, method)(f"{D}{path}", **data).status_code)


def test_strangers_are_asked_to_sign_in_and_others_find_nothing(client: Client, pair: Any) -> None:
    draft_id = made(client)
    point = make_point()
    others = [
        factories.make_member(point),
        factories.make_user(is_staff=True),
        staff_with(ALL - {"view_region"}),
        staff_with(ALL - {"view_regiondraft"}),
        factories.make_user(is_superuser=True),
    ]
    for method, path, _body in pages(draft_id):
        assert asked(Client(), method, path) == 401, path
        for user in others:
            assert asked(signed_in(user), method, path) == 404, (path, user)


def test_who_may_only_look_changes_nothing(client: Client, pair: Any) -> None:
    draft_id, viewer = made(client), signed_in(staff_with(SEE))
    for method, path, _body in pages(draft_id):
        wanted = 200 if method == "get" else 403
        if path.endswith("preview/"):
            wanted = 400  # whoever sees a draft may ask what it would change
        assert asked(viewer, method, path) == wanted, path
    assert get(viewer, f"{draft_id}/")["may"] == {"edit": False, "publish": False}


def test_editing_is_not_publishing(client: Client, pair: Any) -> None:
    editor = signed_in(staff_with(EDIT))
    draft_id = move_border(editor, 114.02)
    assert publish(editor, draft_id, 403)["error"]["code"] == "forbidden"


def test_a_post_without_the_token_is_refused(pair: Any) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(staff_with(ALL))
    assert client.post(D, "{}", content_type="application/json").status_code == 403


def test_parts_of_a_preview_need_their_own_permissions(client: Client, pair: Any) -> None:
    editor = signed_in(staff_with(EDIT))
    result = previewed(editor, move_border(editor, 114.02))["result"]
    assert [result[part] for part in ("parcels", "points", "fees", "appointments")] == [None] * 4


# Reading and editing.


def test_a_draft_is_made_edited_and_read(client: Client, pair: Any) -> None:
    draft_id = made(client)
    told = edit(client, draft_id, op="reshape", code="440305", geometry=shape(box(113.8, 22.4, 113.9, 22.6)))
    assert told["draft"]["version"] == 2
    assert [feature["properties"]["kind"] for feature in told["features"]] == ["changed"]
    assert get(client, f"{draft_id}/")["shapes"][0]["code"] == "440305"
    collection = get(client, f"{draft_id}/shapes.geojson")
    assert shapely.from_geojson(json.dumps(collection["features"][0]["geometry"])).bounds == (113.8, 22.4, 113.9, 22.6)
    near = get(client, f"{draft_id}/neighbours.geojson?box=113.85,22.45,114.1,22.5&level=4")["features"]
    assert {row["properties"]["code"]: row["properties"]["drafted"] for row in near} == {
        "440304": False,
        "440305": True,
    }
    assert get(client, f"{draft_id}/region.geojson?code=440304")["properties"]["name"] == "福田区"
    assert [row["op"] for row in get(client, f"{draft_id}/history/")["edits"]] == ["reshape", "make"]
    assert get(client, "?status=draft")["drafts"][0]["shape_count"] == 1


def test_an_old_version_is_told_what_changed(client: Client, pair: Any) -> None:
    draft_id = made(client)
    edit(client, draft_id, op="retire", code="440305")
    told = post(client, f"{draft_id}/edits/", {"version": 1, "op": "undo", "code": "440305"}, 409)["error"]
    assert (told["code"], told["version"]) == ("version_conflict", 2)
    assert [(row["op"], row["codes"], row["by"]["name"]) for row in told["changes"]] == [("retire", ["440305"], "王")]


def test_a_split_and_a_merge_and_a_snap_over_http(client: Client, pair: Any) -> None:
    draft_id = made(client)
    line = {"type": "LineString", "coordinates": [[113.9, 22], [113.9, 23]]}
    told = edit(
        client,
        draft_id,
        op="split",
        code="440305",
        line=line,
        new={"code": "440399", "name": "新"},
        keep=[113.85, 22.5],
    )
    assert {row["properties"]["code"]: row["properties"]["kind"] for row in told["features"]} == {
        "440305": "changed",
        "440399": "new",
    }
    told = edit(client, draft_id, op="merge", codes=["440304", "440399"], keep="440304")
    assert told["dropped"] == ["440399"]
    edit(client, draft_id, op="snap", code="440304", metres=5)
    assert get(client, f"{draft_id}/problems/")["problems"] == []


def test_a_gap_is_accepted_by_name_and_taken_back(client: Client, pair: Any) -> None:
    draft_id = made(client)
    edit(client, draft_id, op="reshape", code="440305", geometry=shape(box(113.8, 22.4, 113.9, 22.6)))
    (gap,) = get(client, f"{draft_id}/problems/")["problems"]
    assert (gap["kind"], gap["must_solve"], gap["geometry"]["type"]) == ("gap", False, "Polygon")
    previewed(client, draft_id)
    told = post(client, f"{draft_id}/problems/accept/", {"version": 2, "ids": [gap["id"]], "reason": "a lake"})
    assert (told["open"], told["problems"][0]["accepted"]["reason"]) == (0, "a lake")
    told = post(client, f"{draft_id}/problems/reject/", {"version": 3, "ids": [gap["id"]]})
    assert told["open"] == 1
    assert publish(client, draft_id, 409)["error"]["code"] == "preview_needed"
    seen = previewed(client, draft_id)
    assert publish(client, draft_id, 409, preview=seen["id"])["error"]["code"] == "problems_open"


def test_two_moments_are_compared_and_an_older_one_comes_back(client: Client, pair: Any) -> None:
    draft_id = move_border(client, 114.02)
    publish(client, draft_id, preview=previewed(client, draft_id)["id"])
    first = get(client, "sets/")["sets"][-1]["id"]
    told = get(client, f"compare/?a=set:{first}&b=")
    assert [(row["code"], row["gained_m2"] > 0, row["lost_m2"] > 0) for row in told["changed"]] == [
        ("440304", False, True),
        ("440305", True, False),
    ]
    parts = get(client, f"compare/440305/?a=set:{first}&b=")["features"]
    assert [row["properties"]["part"] for row in parts] == ["before", "after", "gained"]
    back = post(client, "", {"name": "back", "as_of": f"set:{first}"}, 201)
    assert {row["code"]: row["kind"] for row in back["shapes"]} == {"440304": "changed", "440305": "changed"}
    assert post(client, "", {"name": "back", "as_of": "set:999"}, 400)["error"]["field"] == "as_of"


# Files.


def upload(client: Client, draft_id: int, content: bytes, status: int = 200) -> Any:
    version = RegionDraft.objects.get(pk=draft_id).version
    body = {"version": version, "file": SimpleUploadedFile("borders", content)}
    answer = client.post(f"{D}{draft_id}/import/", body)
    assert answer.status_code == status, answer.content[:500]
    return answer.json()


def geojson(*rows: tuple[str, str, str, str, Any]) -> bytes:
    told = [
        {
            "type": "Feature",
            "properties": {"code": code, "name": name, "level": level, "parent": parent},
            "geometry": shape(geom) if not isinstance(geom, dict) else geom,
        }
        for code, name, level, parent, geom in rows
    ]
    return json.dumps({"type": "FeatureCollection", "features": told}).encode()


def test_a_file_is_taken_row_by_row(client: Client, pair: Any) -> None:
    told = upload(
        client,
        made(client),
        geojson(
            ("440304", "福田区", "district", "440300", EAST),
            ("440305", "南山区", "district", "440300", box(113.8, 22.4, 113.95, 22.6)),
            ("440399", "新区", "district", "440300", box(113.95, 22.4, 114.0, 22.6)),
            ("440398", "不", "district", "nowhere", WEST),
            ("440397", "不", "district", "440300", shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)])),
        ),
    )
    assert (told["taken"], told["unchanged"]) == (["440305", "440399"], ["440304"])
    assert [(row["row"], row["code"]) for row in told["refused"]] == [(4, "440398"), (5, "440397")]


def test_a_file_of_nothing_is_refused_with_its_rows(client: Client, pair: Any) -> None:
    draft_id = made(client)
    told = upload(client, draft_id, geojson(("x y", "不", "district", "", WEST)), 422)["error"]
    assert (told["field"], told["refused"][0]["row"]) == ("file", 1)
    assert RegionDraft.objects.get(pk=draft_id).version == 1


def zipped(**files: bytes) -> bytes:
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name.replace("_", "."), content)
    return packed.getvalue()


def ring(seed: int, vertices: int = 3_000) -> Any:
    random.seed(seed)
    places = [[random.uniform(113, 115), random.uniform(22, 24)] for _ in range(vertices)]
    return {"type": "Polygon", "coordinates": [[*places, places[0]]]}


def comb(teeth: int) -> Any:
    """A valid polygon whose long diagonal edges all lie across each other's boxes."""
    across = np.linspace(113, 114, teeth * 2)
    up = np.where(np.arange(teeth * 2) % 2, 24.0, 22.0)
    places = np.column_stack([across + (up - 22) / 2, up]).tolist()
    return {"type": "Polygon", "coordinates": [[*places, [116, 21], [113, 21], places[0]]]}


# Made when they are wanted: together they are some hundred megabytes.
BOMBS: dict[str, Callable[[], bytes]] = {
    "random ring": lambda: geojson(("X", "不", "district", "440300", ring(1))),
    "many random rings": lambda: geojson(*((f"X{n}", "不", "district", "440300", ring(n)) for n in range(20))),
    "comb": lambda: geojson(("X", "不", "district", "440300", comb(20_000))),
    "many combs": lambda: geojson(*((f"X{n}", "不", "district", "440300", comb(1_500)) for n in range(50))),
    "deep": lambda: b'{"type":"FeatureCollection","features":' + b"[" * 2_000_000,
    "deep in a row": lambda: (
        b'{"type":"FeatureCollection","features":[{"type":"Feature","properties":' + b'{"a":' * 500_000
    ),
    "zip bomb": lambda: zipped(a_shp=bytes(80 * 2**20)),
    "kmz bomb": lambda: zipped(a_kml=b"<kml>" + b" " * (80 * 2**20)),
    "kml entities": lambda: (
        b'<!DOCTYPE kml [<!ENTITY a "' + b"a" * 100 + b'"><!ENTITY b "' + b"&a;" * 1000 + b'">]><kml>&b;</kml>'
    ),
    "nan": lambda: geojson(
        (
            "X",
            "不",
            "district",
            "440300",
            {"type": "Polygon", "coordinates": [[[0, 0], [1, float("nan")], [1, 1], [0, 0]]]},
        )
    ),
    "antimeridian": lambda: geojson(("X", "不", "district", "440300", box(-179, 10, 179, 20))),
    "swapped": lambda: geojson(("X", "不", "district", "440300", box(22, 113, 23, 114))),
    "other datum": lambda: geojson(("X", "不", "district", "440300", WEST)).replace(
        b'"features"', b'"crs": "EPSG:3857", "features"'
    ),
    "huge row": lambda: (
        b'{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"a":"'
        + b"x" * (20 * 2**20)
        + b'"}}]}'
    ),
    "many vertices": lambda: geojson(
        (
            "X",
            "不",
            "district",
            "440300",
            {"type": "Polygon", "coordinates": [[[n / 1e6, 0] for n in range(150_000)] + [[0, 0]]]},
        )
    ),
    "nothing": lambda: b"",
    "noise": lambda: random.Random(7).randbytes(100_000),
    "sqlite": lambda: b"SQLite format 3\0" + bytes(100_000),
    "zip of noise": lambda: b"PK\x03\x04" + random.Random(8).randbytes(100_000),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bad_file_is_refused_with_its_reason(client: Client, pair: Any, name: str) -> None:
    draft_id = made(client)
    with mock.patch.object(drafts, "record", side_effect=AssertionError("nothing is written")):
        told = upload(client, draft_id, BOMBS[name](), 422)["error"]
    assert told["message"]
    assert RegionDraft.objects.get(pk=draft_id).version == 1


def test_a_huge_file_is_refused_before_it_is_read(client: Client, pair: Any) -> None:
    draft_id = made(client)

    class Unread:
        def read(self, *_size: int) -> bytes:
            raise AssertionError("nobody reads it")

        readline = read

    environ: dict[str, Any] = {"CONTENT_LENGTH": str(2**31), "wsgi.input": Unread()}
    answer = client.generic("POST", f"{D}{draft_id}/import/", **environ)
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "too_large"


BAD_BODIES: dict[str, Any] = {
    "no json": b"{",
    "list": b"[]",
    "deep": b'{"version": 1, "op": ' + b"[" * 1_000_000,
    "nan": b'{"version": NaN}',
    "digits": b'{"version": ' + b"9" * 100_000 + b"}",
    "no op": {"version": 1},
    "unknown op": {"version": 1, "op": "bomb"},
    "no version": {"op": "undo", "code": "440305"},
    "bool": {"version": True, "op": "undo", "code": "440305"},
    "no code": {"version": 1, "op": "undo"},
    "number": {"version": 1, "op": "undo", "code": 7},
    "level": {"version": 1, "op": "draw", "code": "X", "name": "x", "level": 9},
    "codes": {"version": 1, "op": "merge", "codes": "440305", "keep": "440305"},
    "line": {"version": 1, "op": "split", "code": "440305", "line": {"type": "LineString", "coordinates": [[1, 2]]}},
    "position": {
        "version": 1,
        "op": "split",
        "code": "440305",
        "line": {"type": "LineString", "coordinates": [[1, 2], ["a", 2]]},
    },
    "far": {
        "version": 1,
        "op": "split",
        "code": "440305",
        "line": {"type": "LineString", "coordinates": [[1, 2], [1e9, 2]]},
    },
    "metres": {"version": 1, "op": "snap", "code": "440305", "metres": "5"},
}


@pytest.mark.parametrize("name", BAD_BODIES)
def test_a_bad_body_is_malformed(client: Client, pair: Any, name: str) -> None:
    draft_id = made(client)
    assert post(client, f"{draft_id}/edits/", BAD_BODIES[name], 400)["error"]["code"] == "malformed"


def test_a_huge_body_is_too_large(client: Client, pair: Any) -> None:
    draft_id = made(client)
    told = post(client, f"{draft_id}/edits/", b'{"a": "' + b"x" * (6 * 2**20) + b'"}', 413)
    assert told["error"]["code"] == "too_large"


@pytest.mark.parametrize(
    "geometry",
    [
        ring(3),
        comb(20_000),
        {"type": "Polygon", "coordinates": [[[0, 0], [1, 10**400], [1, 1], [0, 0]]]},
        {"type": "Polygon", "coordinates": [[["a", 0], [1, 1], [1, 1], [0, 0]]]},
        {"type": "Polygon", "coordinates": []},
        {"type": "Point", "coordinates": [1, 2]},
        {"type": "GeometryCollection", "geometries": []},
        {"type": ["Polygon"]},
        None,
        7,
    ],
)
def test_a_bad_geometry_is_refused(client: Client, pair: Any, geometry: Any) -> None:
    draft_id = made(client)
    told = edit(client, draft_id, 422, op="reshape", code="440305", geometry=geometry)["error"]
    assert (told["code"], told["field"]) == ("refused", "geometry")


def test_a_number_beyond_all_numbers_is_refused(client: Client, pair: Any) -> None:
    shape = b'{"type": "Polygon", "coordinates": [[[0, 0], [1, 1e400], [1, 1], [0, 0]]]}'
    body = b'{"version": 1, "op": "reshape", "code": "440305", "geometry": ' + shape + b"}"
    assert post(client, f"{made(client)}/edits/", body, 422)["error"]["field"] == "geometry"


@pytest.mark.parametrize(
    "path",
    [
        "neighbours.geojson?box=1,2&level=4",
        "neighbours.geojson?box=1,2,3,4&level=x",
        "neighbours.geojson?box=nan,2,3,4&level=4",
        "problems/?from=tomorrow",
        "problems/?from=9999-99-99",
    ],
)
def test_a_bad_question_is_malformed(client: Client, pair: Any, path: str) -> None:
    assert get(client, f"{made(client)}/{path}", 400)["error"]["code"] == "malformed"


def test_what_is_not_there_is_not_found(client: Client, pair: Any) -> None:
    assert get(client, "999999/", 404)["error"]["code"] == "not_found"
    assert get(client, f"{made(client)}/preview/7/", 404)["error"]["code"] == "not_found"


# What it would change, and publishing.


@pytest.fixture
def collected(pair: Any) -> list[Parcel]:
    """Three parcels handed over at three addresses in the eastern district, and one in the western."""
    west, east = pair
    for region in (west, east, east.parent):
        make_appointment(region)
    point = make_point(22.5, 114.01, region=east, region_ids=[east.pk, east.parent_id])
    scanner = factories.scanner_of(point)
    parcels = []
    for region, lon in ((east, 114.005), (east, 114.015), (east, 114.1), (west, 113.9)):
        parent = region.parent
        assert parent is not None
        parcel = make_ready_parcel(scanner, point, region_ids=[region.pk, parent.pk, parent.parent_id])
        Address.objects.filter(pk=parcel.order.address_id).update(location=Point(lon, 22.5, srid=4326))
        assert pick_up(scanner, parcel).verdict == "ok"
        parcels.append(parcel)
    return parcels


def test_a_preview_tells_parcels_points_and_fees(client: Client, pair: Any, collected: Any) -> None:
    told = previewed(client, move_border(client, 114.02))
    assert (told["status"], told["current"]) == ("done", True)
    result = told["result"]
    assert result["parcels"]["moved"] == 2
    assert result["parcels"]["flows"] == [
        {
            "from": {"code": "440304", "name": "福田区"},
            "to": {"code": "440305", "name": "南山区", "new": False},
            "parcels": 2,
        }
    ]
    assert {row["barcode"] for row in result["parcels"]["sample"]} == {parcel.barcode for parcel in collected[:2]}
    assert [row["to"]["code"] for row in result["points"]["points"]] == ["440305"]
    differences = {row["ref"]: (row["paid_minor"], row["would_minor"]) for row in result["fees"]["agents"]}
    assert sorted(differences.values()) == [(300, 900), (900, 300)]
    assert result["fees"]["network_difference_minor"] == 0
    assert result["fees"]["agents"][0]["written"]["difference"] in ("6.00", "−6.00")


def test_a_preview_agrees_with_the_database_s_own_rule(client: Client, pair: Any, collected: Any) -> None:
    """What each pickup would have paid is asked of `fee_parts`, after the draft was published."""
    draft_id = move_border(client, 114.02)
    seen = previewed(client, draft_id)
    would = {row["id"]: row["difference_minor"] for row in seen["result"]["fees"]["agents"]}
    publish(client, draft_id, preview=seen["id"])
    west, _east = pair
    expected: dict[int, int] = {}
    for parcel in collected[:2]:
        parcel.refresh_from_db()
        assert parcel.collected_at is not None
        tariff = fees.tariff_at(parcel.collected_at)
        for posting in Posting.objects.filter(handover__parcel=parcel, kind="agent_fee").select_related("credit"):
            assert posting.credit.agent_id is not None
            expected[posting.credit.agent_id] = expected.get(posting.credit.agent_id, 0) - posting.amount_minor
        chain = [west.pk, west.parent_id, west.parent.parent_id]
        for part in fees.agent_parts(region_ids=chain, at=parcel.collected_at, tariff=tariff):
            expected[part.agent_id] = expected.get(part.agent_id, 0) + part.amount_minor
    assert would == {agent: amount for agent, amount in expected.items() if amount}


def test_addresses_known_by_name_stay_with_the_name(client: Client, pair: Any, collected: Any) -> None:
    Address.objects.update(source="gazetteer")
    parcels = previewed(client, move_border(client, 114.02))["result"]["parcels"]
    assert (parcels["moved"], parcels["by_name"]) == (0, 2)


def test_a_new_region_has_no_agent_yet_and_the_next_above_gets_its_part(
    client: Client, pair: Any, collected: Any
) -> None:
    draft_id = made(client)
    line = {"type": "LineString", "coordinates": [[114.02, 22], [114.02, 23]]}
    edit(
        client,
        draft_id,
        op="split",
        code="440304",
        line=line,
        new={"code": "440399", "name": "新区"},
        keep=[114.1, 22.5],
    )
    result = previewed(client, draft_id)["result"]
    assert result["parcels"]["flows"][0]["to"] == {"code": "440399", "name": "新区", "new": True}
    assert sorted(row["difference_minor"] for row in result["fees"]["agents"]) == [-600, 600]


def test_a_retired_region_s_appointments_are_told(client: Client, pair: Any, collected: Any) -> None:
    draft_id = made(client)
    edit(client, draft_id, op="merge", codes=["440304", "440305"], keep="440305")
    (row,) = previewed(client, draft_id)["result"]["appointments"]
    assert row["region"]["code"] == "440304"


def test_a_large_preview_waits_for_a_worker(client: Client, pair: Any, collected: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(preview, "AT_ONCE", 1)
    monkeypatch.setattr(preview, "CHUNK", 1)
    draft_id = move_border(client, 114.02)
    with mock.patch.object(tasks, "ring") as rung:
        told = post(client, f"{draft_id}/preview/", {"version": 3, "from": None}, 202)
        assert post(client, f"{draft_id}/preview/", {"version": 3}, 202)["id"] == told["id"]
    assert rung.called
    assert told["status"] == "waiting"
    assert preview.work_out_waiting(now=now(), limit=5) == 1
    seen = get(client, f"{draft_id}/preview/{told['id']}/")
    assert (seen["status"], seen["done"], seen["total"], seen["result"]["parcels"]["moved"]) == ("done", 2, 2, 2)


def test_a_worker_that_died_is_followed_by_another(client: Client, pair: Any, collected: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(preview, "AT_ONCE", 0)
    draft_id = move_border(client, 114.02)
    with mock.patch.object(tasks, "ring"):
        post(client, f"{draft_id}/preview/", {"version": 3}, 202)
    ImpactPreview.objects.update(status="running", seen_at=now())
    assert preview.work_out_waiting(now=now(), limit=5) == 0
    assert preview.work_out_waiting(now=now() + preview.SILENT_FOR * 2, limit=5) == 1


def test_a_preview_of_what_was_changed_meanwhile_fails(
    client: Client, pair: Any, collected: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(preview, "AT_ONCE", 0)
    draft_id = move_border(client, 114.02)
    with mock.patch.object(tasks, "ring"):
        told = post(client, f"{draft_id}/preview/", {"version": 3}, 202)
    edit(client, draft_id, op="undo", code="440305")
    preview.work_out_waiting(now=now(), limit=5)
    seen = get(client, f"{draft_id}/preview/{told['id']}/")
    assert (seen["status"], seen["current"]) == ("failed", False)


def test_publishing_needs_a_preview_of_these_very_shapes_and_date(client: Client, pair: Any, collected: Any) -> None:
    draft_id = move_border(client, 114.02)
    assert publish(client, draft_id, 409)["error"]["code"] == "preview_needed"
    seen = previewed(client, draft_id)["id"]
    later = (now() + timedelta(days=2)).isoformat()
    assert publish(client, draft_id, 409, preview=seen, **{"from": later})["error"]["code"] == "preview_needed"
    edit(client, draft_id, op="snap", code="440305", metres=1)
    assert publish(client, draft_id, 409, preview=seen)["error"]["code"] == "preview_needed"
    before = list(Posting.objects.order_by("pk").values())
    chains = list(Parcel.objects.order_by("pk").values_list("region_ids", flat=True))
    told = publish(client, draft_id, preview=previewed(client, draft_id)["id"])
    assert (told["changed"], told["moved_points"], told["draft"]["status"]) == (["440304", "440305"], 1, "published")
    assert list(Posting.objects.order_by("pk").values()) == before
    assert list(Parcel.objects.order_by("pk").values_list("region_ids", flat=True)) == chains
    assert ServicePoint.objects.get().region == pair[0]
    assert publish(client, draft_id, 409, preview=seen)["error"]["code"] == "not_open"


def test_a_date_in_the_past_is_refused(client: Client, pair: Any) -> None:
    draft_id = move_border(client, 114.02)
    past = (now() - timedelta(days=2)).isoformat()
    assert publish(client, draft_id, 409, **{"from": past})["error"]["code"] == "preview_needed"
    assert post(client, f"{draft_id}/preview/", {"version": 3, "from": past}, 422)["error"]["field"] == "from"


def test_of_two_drafts_of_one_border_the_second_is_told_of_the_first(client: Client, pair: Any) -> None:
    first, second = move_border(client, 114.02), move_border(client, 113.98)
    seen = {draft: previewed(client, draft)["id"] for draft in (first, second)}
    publish(client, first, preview=seen[first])
    told = publish(client, second, 409, preview=seen[second])["error"]
    assert told["code"] == "base_changed"
    assert [(row["code"], row["set"]["name"]) for row in told["regions"]] == [("440304", "moves"), ("440305", "moves")]
