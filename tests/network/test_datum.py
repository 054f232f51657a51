"""Conversion between WGS 84, GCJ-02 and BD-09."""

from math import cos, hypot, inf, nan, radians

import pytest
from hypothesis import given
from hypothesis import strategies as st

from network.datum import (
    CHINA_BOX,
    Datum,
    bd09_to_gcj02,
    from_wgs84,
    gcj02_to_bd09,
    gcj02_to_wgs84,
    in_china_box,
    to_wgs84,
    wgs84_to_gcj02,
)

MICROMETRE_DEG = 1e-11
south, north, west, east = CHINA_BOX

# A point of the box that is not so near to its edge that the shift carries it out.
chinese_points = st.tuples(st.floats(south + 0.1, north - 0.1), st.floats(west + 0.1, east - 0.1))
foreign_points = st.tuples(st.floats(-85, 85), st.floats(-179, 179)).filter(
    lambda point: not (south - 0.1 < point[0] < north + 0.1 and west - 0.1 < point[1] < east + 0.1)
)


def metres_between(start: tuple[float, float], end: tuple[float, float]) -> float:
    """On a plane, which is good to a per cent over a kilometre."""
    return 111_195 * hypot(end[0] - start[0], (end[1] - start[1]) * cos(radians(start[0])))


@pytest.mark.parametrize(
    ("wgs84", "gcj02"),
    [
        # The test points that the eviltransform programs publish: Shanghai, Shenzhen, Beijing.
        ((31.1774276, 121.5272106), (31.17530398364597, 121.531541859215)),
        ((22.543847, 113.912316), (22.540796131694766, 113.9171764808363)),
        ((39.911954, 116.377817), (39.91334545536069, 116.38404722455657)),
    ],
)
def test_published_points_of_gcj02_are_met(wgs84: tuple[float, float], gcj02: tuple[float, float]) -> None:
    assert wgs84_to_gcj02(*wgs84) == pytest.approx(gcj02, abs=1e-10)


def test_published_point_of_bd09_is_met() -> None:
    # From the readme of coordtransform.
    assert gcj02_to_bd09(39.915, 116.404) == pytest.approx((39.92133699351021, 116.41036949371029), abs=1e-10)


@given(point=chinese_points)
def test_gcj02_and_back_is_within_a_micrometre(point: tuple[float, float]) -> None:
    assert gcj02_to_wgs84(*wgs84_to_gcj02(*point)) == pytest.approx(point, rel=0, abs=MICROMETRE_DEG)


@given(point=chinese_points | foreign_points)
def test_bd09_and_back_is_within_a_micrometre(point: tuple[float, float]) -> None:
    assert bd09_to_gcj02(*gcj02_to_bd09(*point)) == pytest.approx(point, rel=0, abs=MICROMETRE_DEG)


@given(point=chinese_points | foreign_points, datum=st.sampled_from(Datum))
def test_every_datum_comes_back_to_wgs84(point: tuple[float, float], datum: Datum) -> None:
    assert to_wgs84(*from_wgs84(*point, datum), datum) == pytest.approx(point, rel=0, abs=MICROMETRE_DEG)


@given(offset_deg=st.floats(-1e-6, 1e-6), lat=st.floats(south + 0.1, north - 0.1))
def test_the_root_at_105_degrees_east_does_not_disturb_the_way_back(offset_deg: float, lat: float) -> None:
    point = (lat, 105.0 + offset_deg)
    assert gcj02_to_wgs84(*wgs84_to_gcj02(*point)) == pytest.approx(point, rel=0, abs=MICROMETRE_DEG)


@given(lat=st.floats(18, 53), lon=st.floats(74, 135))
def test_gcj02_moves_a_chinese_point_by_a_few_hundred_metres(lat: float, lon: float) -> None:
    assert 10 < metres_between((lat, lon), wgs84_to_gcj02(lat, lon)) < 1_500


@given(point=foreign_points)
def test_outside_china_gcj02_is_wgs84(point: tuple[float, float]) -> None:
    assert not in_china_box(*point)
    assert wgs84_to_gcj02(*point) == point
    assert gcj02_to_wgs84(*point) == point


def test_paris_is_shifted_by_baidu_alone() -> None:
    paris = (48.8566, 2.3522)
    assert from_wgs84(*paris, Datum.GCJ02) == paris
    assert metres_between(paris, from_wgs84(*paris, Datum.BD09)) > 100


def test_wgs84_is_returned_untouched() -> None:
    assert to_wgs84(39.915, 116.404, Datum.WGS84) == (39.915, 116.404)


def test_the_pole_is_not_lost_in_the_projection() -> None:
    assert to_wgs84(90.0, 0.0, Datum.GCJ02) == (90.0, 0.0)


@pytest.mark.parametrize("datum", Datum)
@pytest.mark.parametrize(("lat", "lon"), [(nan, 116.4), (39.9, inf), (-inf, 116.4)])
def test_coordinates_that_are_not_finite_are_refused(lat: float, lon: float, datum: Datum) -> None:
    with pytest.raises(ValueError, match="finite"):
        to_wgs84(lat, lon, datum)
