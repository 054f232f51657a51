"""Tiles: what each layer shows at which zoom, at which date, and that the database's own copies never differ."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from math import asinh, pi, radians, tan
from typing import Any

import pytest
from django.contrib.gis.geos import MultiPolygon, Point, Polygon
from django.db import connection, transaction
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange
from django.test import Client
from django.utils.timezone import now

from network import atlas, tiles
from network.models import Boundary, BoundarySet, Level, Outline, Pause, PointCell, Region, ServicePoint
from network.tiles import Show, Tile
from tests import factories, mvt
from tests.factories import LONG_AGO, make_point
from tests.roles import as_owner

pytestmark = pytest.mark.django_db
Chain = dict[Level, Region]
LAT, LON = 22.535, 113.935


def tile_at(zoom: int, lat: float = LAT, lon: float = LON) -> Tile:
    return Tile(zoom, int((lon + 180) / 360 * 2**zoom), int((1 - asinh(tan(radians(lat))) / pi) / 2 * 2**zoom))


def drawn(zoom: int, *, at: datetime | None = None, **asked: Any) -> dict[str, list[dict[str, Any]]]:
    return mvt.features(tiles.regions(tile_at(zoom), at=at or now(), **asked))


def mains(layers: dict[str, list[dict[str, Any]]]) -> set[str]:
    return {feature["code"] for feature in layers.get("regions", []) if feature["main"]}


def nobody(_ids: Iterable[int]) -> dict[int, int]:
    return {}


def points(zoom: int, show: Show = Show.ALL, full: Iterable[int] = (), **held: Any) -> list[dict[str, Any]]:
    tile = tiles.points(
        tile_at(zoom), at=now(), show=show, held_at=held.get("held_at", nobody), full_points=lambda: full
    )
    return mvt.features(tile).get("points", [])


@pytest.mark.parametrize(
    ("zoom", "code"), [(3, "CN-S"), (5, "440000"), (7, "440300"), (10, "440305"), (13, "440305-1")]
)
def test_each_zoom_shows_its_level(chain: Chain, zoom: int, code: str) -> None:
    assert code in mains(drawn(zoom))


def test_a_level_that_is_asked_for_is_shown_at_any_zoom(chain: Chain) -> None:
    assert mains(drawn(4, level=Level.DISTRICT)) == {"440305"}


def test_the_next_coarser_level_is_there_for_its_borders(chain: Chain) -> None:
    borders = {feature["code"] for feature in drawn(9)["regions"] if not feature["main"]}
    assert borders == {"440300"}


def test_a_region_without_a_boundary_is_drawn_as_its_children(chain: Chain) -> None:
    layers = drawn(3)
    (macro,) = layers["regions"]
    assert (macro["id"], macro["code"], macro["part"]) == (chain[Level.MACRO].pk, "CN-S", True)
    assert [name["name"] for name in layers["names"]] == ["华南"]


def test_a_region_that_is_not_divided_stays_when_its_neighbours_show_their_parts(chain: Chain) -> None:
    factories.make_region("441900", "东莞市", Level.CITY, chain[Level.PROVINCE], (113.5, 22.95, 114.2, 23.1))
    layers = mvt.features(tiles.regions(tile_at(8), at=now()))
    assert mains(layers) == {"441900", "440305"}


def test_a_name_stands_in_one_tile_only(chain: Chain) -> None:
    # The district reaches over the border of two tiles at 113.906 E; the point inside it lies west of that.
    west, east = (
        mvt.features(tiles.regions(tile_at(9, lon=lon), at=now())).get("names", []) for lon in (113.89, 113.92)
    )
    assert [name["name"] for name in west] == ["南山区"]
    assert [name["name"] for name in east] == []


def test_only_the_boundary_in_force_is_drawn(chain: Chain) -> None:
    district, moved = chain[Level.DISTRICT], datetime(2025, 1, 1, tzinfo=UTC)
    old = district.boundaries.get()
    Boundary.objects.filter(pk=old.pk).update(valid=DateTimeTZRange(LONG_AGO, moved))
    Boundary.objects.create(
        region=district,
        boundary_set=BoundarySet.objects.create(name="later", source="test", valid_from=moved),
        level=Level.DISTRICT,
        valid=DateTimeTZRange(moved, None),
        geom=MultiPolygon(Polygon.from_bbox((114.3, 22.4, 114.5, 22.65)), srid=4326),
        inside=Point(114.4, 22.5, srid=4326),
        radius_m=3000,
    )
    before, after = drawn(10, at=moved - timedelta(days=1)), drawn(10, at=moved)
    assert "440305" in mains(before)
    assert "440305" not in mains(after)
    assert not drawn(10, at=LONG_AGO - timedelta(days=1))


def test_vacant_is_who_has_nobody_appointed_at_that_time(chain: Chain) -> None:
    factories.make_appointment(chain[Level.DISTRICT])
    assert [feature["vacant"] for feature in drawn(10)["regions"] if feature["main"]] == [False]
    earlier = drawn(10, at=now() - timedelta(days=30))
    assert [feature["vacant"] for feature in earlier["regions"] if feature["main"]] == [True]


def test_vacant_only_leaves_the_others_out(chain: Chain) -> None:
    factories.make_appointment(chain[Level.DISTRICT])
    layers = drawn(10, vacant_only=True)
    assert mains(layers) == set()
    assert "names" not in layers


def test_outlines_follow_the_boundaries(chain: Chain) -> None:
    assert Outline.objects.count() == len(tiles.OUTLINE_ZOOMS) * Boundary.objects.count()
    with as_owner(), transaction.atomic():
        chain[Level.CUSTOM].boundaries.get().delete()
    assert Outline.objects.count() == len(tiles.OUTLINE_ZOOMS) * Boundary.objects.count()


def test_a_region_at_the_pole_is_cut_where_the_map_ends(db: None) -> None:
    factories.make_region("AQ", "Antarctica", Level.PROVINCE, None, (-180, -90, 180, -60))
    box = atlas.box_of(None, at=now())
    assert box is not None
    assert box[1] > -85.06
    for zoom in (0, 4):
        assert mvt.features(tiles.regions(tile_at(zoom, lat=-70, lon=0.1), at=now(), level=Level.PROVINCE))


def cells_counted_again() -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT zoom, map_x(location) >> 30 - zoom, map_y(location) >> 30 - zoom,
                      ((map_y(location) >> 26 - zoom) & 15) * 16 + ((map_x(location) >> 26 - zoom) & 15),
                      count(*) FILTER (WHERE status = 'proposed'), count(*) FILTER (WHERE status = 'active'),
                      count(*) FILTER (WHERE status = 'suspended'), count(*) FILTER (WHERE status = 'closed'),
                      sum(map_x(location))::bigint, sum(map_y(location))::bigint
               FROM network_servicepoint CROSS JOIN generate_series(0, 10) AS zoom
               GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"""
        )
        return list(cursor.fetchall())


def cells() -> list[tuple[Any, ...]]:
    names = ("proposed", "active", "suspended", "closed")
    rows = PointCell.objects.order_by("zoom", "tile_x", "tile_y", "cell").values_list(
        "zoom", "tile_x", "tile_y", "cell", *names, "x_sum", "y_sum"
    )
    return [row for row in rows if any(row[4:8])]


def test_cells_follow_the_points_whatever_happens_to_them(db: None) -> None:
    kept, moved, closed, gone = (make_point(LAT + n / 50, LON - n) for n in range(4))
    assert cells() == cells_counted_again()
    ServicePoint.objects.filter(pk=closed.pk).update(status="closed")
    ServicePoint.objects.filter(pk=moved.pk).update(location=Point(-70.5, -33.4, srid=4326))
    ServicePoint.objects.filter(pk=kept.pk).update(name="another name")
    with as_owner():
        gone.delete()
    assert cells() == cells_counted_again()
    assert sum(row[4] + row[5] + row[6] + row[7] for row in cells() if row[0] == 0) == 3
    ServicePoint.objects.bulk_create(
        [ServicePoint(ref=kept.ref, name="x", location=Point(0, 89.99, srid=4326), status="suspended")],
        update_conflicts=True,
        unique_fields=["ref"],
        update_fields=["location", "status"],
    )
    assert cells() == cells_counted_again()


def test_points_are_counted_by_cell_from_afar(db: None) -> None:
    for n in range(3):
        make_point(LAT + n / 1000, LON, status=("active", "active", "closed")[n])
    (cell,) = points(5)
    assert (cell["count"], cell["active"], cell["closed"]) == (3, 2, 1)
    assert [cell["count"] for cell in points(5, Show.CLOSED)] == [1]
    assert points(5, Show.PROPOSED) == []


def test_a_cell_stands_where_its_points_are(db: None) -> None:
    make_point(LAT, LON)
    (far,), (near,) = points(10), points(11)
    tile = tile_at(10)
    x = (LON + 180) / 360 * 2**10
    assert abs(far["at"][0] - (x - tile.x) * 4096) <= 1
    assert near["at"][0] == pytest.approx(far["at"][0] * 2 % 4096, abs=2)
    assert near["at"][1] == pytest.approx(far["at"][1] * 2 % 4096, abs=2)


def test_a_point_tells_its_state_and_load(db: None) -> None:
    held = {
        make_point(name="free", capacity=100).pk: 69,
        make_point(name="filling", capacity=100).pk: 70,
        make_point(name="full", capacity=100).pk: 100,
        make_point(name="suspended", status="suspended").pk: 5,
        make_point(name="proposed", status="proposed").pk: 0,
        make_point(name="closed", status="closed").pk: 0,
    }
    for name, reason in (("paused", Pause.Reason.VACATION), ("full by its own word", Pause.Reason.FULL)):
        point = make_point(name=name)
        Pause.objects.create(service_point=point, reason=reason, period=DateTimeTZRange(now() - timedelta(hours=1)))
        held[point.pk] = 1
    found = {point["name"]: point for point in points(14, held_at=lambda ids: {pk: held[pk] for pk in ids})}
    assert {name: point["state"] for name, point in found.items()} == {
        **{name: name for name in ("free", "filling", "full", "suspended", "proposed", "closed", "paused")},
        "full by its own word": "full",
    }
    assert (found["filling"]["held"], found["filling"]["capacity"]) == (70, 100)


@pytest.mark.parametrize("zoom", [4, 14])
def test_points_are_picked_by_what_they_are(db: None, zoom: int) -> None:
    plain, paused, full = make_point(), make_point(), make_point()
    Pause.objects.create(
        service_point=paused, reason=Pause.Reason.VACATION, period=DateTimeTZRange(now() - timedelta(hours=1))
    )
    make_point(status="suspended")

    def number(show: Show) -> int:
        return sum(point["count"] for point in points(zoom, show, full=[full.pk]))

    assert plain.pk != full.pk
    assert [number(show) for show in Show] == [4, 3, 1, 1, 1, 0, 0]


def test_a_pause_that_is_over_pauses_nothing(db: None) -> None:
    Pause.objects.create(
        service_point=make_point(),
        reason=Pause.Reason.VACATION,
        period=DateTimeTZRange(now() - timedelta(days=2), now() - timedelta(days=1)),
    )
    assert [point["state"] for point in points(14)] == ["free"]
    assert points(14, Show.PAUSED) == []


def test_the_indexes_of_points_hold_what_their_names_say(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexname, indexdef FROM pg_indexes WHERE indexname ~ '^point_(active|other)_location$'")
        conditions = {name: text.partition(" WHERE ")[2] for name, text in cursor.fetchall()}
    assert conditions["point_active_location"] == "((status)::text = 'active'::text)"
    assert conditions["point_other_location"] == "(NOT ((status)::text = 'active'::text))"


def test_too_many_points_in_one_tile_are_counted_instead(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiles, "MOST_SINGLES", 2)
    for _ in range(3):
        make_point()
    (cell,) = points(14)
    assert cell["count"] == 3
    assert "name" not in cell


def test_a_question_that_takes_too_long_is_given_up(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiles, "PATIENCE_MS", 20)
    with pytest.raises(tiles.TooMuch):
        tiles.run("SELECT pg_sleep(5)", {})


@pytest.mark.parametrize("place", [(0, 1, 0), (21, 0, 0), (3, 8, 0), (3, 0, 8), (2, -1, 0), (-1, 0, 0), (10**9, 0, 0)])
def test_what_is_no_tile_is_refused_before_the_database_is_asked(place: tuple[int, int, int]) -> None:
    with pytest.raises(tiles.NoSuchTile):
        Tile(*place)


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(factories.make_user(is_staff=True, is_superuser=True))
    return client


HOSTILE = [
    "99/0/0", "3/8/0", "3/0/8", "-1/0/0", "1/-1/0", "x/0/0", "1/0/0.5", "٣/0/0", f"{'9' * 5000}/0/0", "3/1/1/1",
    f"3/{'1' * 400}/1", "1e3/0/0", "0x1/0/0",
]  # fmt: skip


@pytest.mark.parametrize("place", HOSTILE, ids=lambda place: place[:12])
@pytest.mark.parametrize("layer", ["regions", "points", "review"])
def test_a_hostile_address_is_not_found(staff: Client, layer: str, place: str) -> None:
    assert staff.get(f"/regions/tiles/{layer}/{place}.pbf").status_code == 404


@pytest.mark.parametrize("query", ["level=9", "level=x", "at=yesterday", "at=0001-01-01", "at=9999-12-31", "level=-1"])
def test_what_makes_no_sense_is_not_found(staff: Client, query: str) -> None:
    assert staff.get(f"/regions/tiles/regions/3/6/3.pbf?{query}").status_code == 404


def test_points_asked_for_by_an_unknown_word_are_not_found(staff: Client) -> None:
    assert staff.get("/regions/tiles/points/3/6/3.pbf?points=gold").status_code == 404


def test_a_tile_is_kept_by_the_browser_and_not_sent_twice(staff: Client, chain: Chain) -> None:
    first = staff.get("/regions/tiles/regions/3/6/3.pbf")
    assert first.status_code == 200
    assert first["Content-Type"] == "application/vnd.mapbox-vector-tile"
    assert first["Cache-Control"] == "private, max-age=60"
    again = staff.get("/regions/tiles/regions/3/6/3.pbf", headers={"if-none-match": first["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    factories.make_appointment(chain[Level.MACRO])
    changed = staff.get("/regions/tiles/regions/3/6/3.pbf", headers={"if-none-match": first["ETag"]})
    assert changed.status_code == 200


def test_a_tile_that_is_too_much_says_so(staff: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def give_up(*_: Any, **__: Any) -> bytes:
        raise tiles.TooMuch

    monkeypatch.setattr(tiles, "regions", give_up)
    assert staff.get("/regions/tiles/regions/3/6/3.pbf").status_code == 503


def test_a_region_tile_is_one_question_to_the_database(
    staff: Client, chain: Chain, django_assert_num_queries: Any
) -> None:
    # The session, the person, and within a savepoint the patience and the tile.
    with django_assert_num_queries(6):
        staff.get("/regions/tiles/regions/10/835/446.pbf")
