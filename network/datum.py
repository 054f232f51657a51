"""The three datums of Chinese map services, converted to and from WGS 84.

GCJ-02 is WGS 84 with an obfuscating shift of 100 to 700 m that Chinese law asks of public maps (AMap, Tencent);
BD-09 is Baidu's second shift on top of it. Neither has an official publication. The constants and series below
are those of the widely copied "eviltransform" and "coordtransform" programs, which agree with the services'
own conversion interfaces to within a few metres.

All coordinates are degrees, latitude first. The inverses are iterated until they stand still, so a round trip
returns the same point within 1e-11 degrees (a micrometre), which the tests hold.
"""

from collections.abc import Callable
from enum import StrEnum
from math import atan2, cos, hypot, isfinite, pi, sin, sqrt

KRASOVSKY_AXIS_M = 6378245.0
KRASOVSKY_ECCENTRICITY_SQUARED = 0.00669342162296594323
BAIDU_ANGLE = pi * 3000.0 / 180.0
BAIDU_LAT_SHIFT = 0.006
BAIDU_LON_SHIFT = 0.0065

# Degrees: south, north, west, east. The shift is only defined in this box, which is the one the services'
# own programs test. It is wider than China: parts of its neighbours, Hong Kong, Macau and Taiwan lie in it too.
CHINA_BOX = (0.8293, 55.8271, 72.004, 137.8347)

_STILL_DEG = 1e-13
_MAX_ROUNDS = 50


class Datum(StrEnum):
    """Where a pair of coordinates counts from; the values are stored with addresses."""

    WGS84 = "wgs84"
    GCJ02 = "gcj02"
    BD09 = "bd09"


def in_china_box(lat: float, lon: float) -> bool:
    """Tell whether a point lies where GCJ-02 differs from WGS 84. The edges belong to the box."""
    south, north, west, east = CHINA_BOX
    return south <= lat <= north and west <= lon <= east


def to_wgs84(lat: float, lon: float, datum: Datum) -> tuple[float, float]:
    """Return WGS 84 degrees (lat, lon) of a point given in any of the datums.

    Outside China GCJ-02 equals WGS 84. Raises ValueError for what is not finite; a latitude of 91 is the
    caller's to refuse. Along the edges of the box, far out at sea or abroad, the shift opens gaps and overlaps of
    some hundred metres; there, and only there, the way back is not unique.
    """
    if not (isfinite(lat) and isfinite(lon)):
        raise ValueError(f"coordinates must be finite: {lat}, {lon}")
    if datum == Datum.WGS84:
        return lat, lon
    if datum == Datum.BD09:
        lat, lon = bd09_to_gcj02(lat, lon)
    return gcj02_to_wgs84(lat, lon)


def from_wgs84(lat: float, lon: float, datum: Datum) -> tuple[float, float]:
    """Return the degrees (lat, lon) that a map drawn in `datum` needs for a WGS 84 point."""
    if datum == Datum.WGS84:
        return lat, lon
    lat, lon = wgs84_to_gcj02(lat, lon)
    return gcj02_to_bd09(lat, lon) if datum == Datum.BD09 else (lat, lon)


def wgs84_to_gcj02(lat: float, lon: float) -> tuple[float, float]:
    """Shift a WGS 84 point into GCJ-02; outside the box of China it stays where it is."""
    return _shifted(lat, lon) if in_china_box(lat, lon) else (lat, lon)


def gcj02_to_wgs84(lat: float, lon: float) -> tuple[float, float]:
    """Undo `wgs84_to_gcj02` to within 1e-11 degrees."""
    if not in_china_box(lat, lon):
        return lat, lon
    wgs_lat, wgs_lon = _undo(_shifted, lat, lon)
    return (wgs_lat, wgs_lon) if in_china_box(wgs_lat, wgs_lon) else (lat, lon)


def gcj02_to_bd09(lat: float, lon: float) -> tuple[float, float]:
    """Shift a GCJ-02 point into BD-09. Baidu applies this shift everywhere, in China or not."""
    radius = hypot(lon, lat) + 0.00002 * sin(lat * BAIDU_ANGLE)
    angle = atan2(lat, lon) + 0.000003 * cos(lon * BAIDU_ANGLE)
    return radius * sin(angle) + BAIDU_LAT_SHIFT, radius * cos(angle) + BAIDU_LON_SHIFT


def bd09_to_gcj02(lat: float, lon: float) -> tuple[float, float]:
    """Undo `gcj02_to_bd09` to within 1e-11 degrees."""
    return _undo(gcj02_to_bd09, lat, lon)


def _shifted(lat: float, lon: float) -> tuple[float, float]:
    x, y = lon - 105.0, lat - 35.0
    ripple = (20.0 * sin(6.0 * x * pi) + 20.0 * sin(2.0 * x * pi)) * 2.0 / 3.0
    root = sqrt(abs(x))
    north_m = -100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * root + ripple
    north_m += (20.0 * sin(y * pi) + 40.0 * sin(y / 3.0 * pi)) * 2.0 / 3.0
    north_m += (160.0 * sin(y / 12.0 * pi) + 320.0 * sin(y * pi / 30.0)) * 2.0 / 3.0
    east_m = 300.0 + x + 2.0 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * root + ripple
    east_m += (20.0 * sin(x * pi) + 40.0 * sin(x / 3.0 * pi)) * 2.0 / 3.0
    east_m += (150.0 * sin(x / 12.0 * pi) + 300.0 * sin(x / 30.0 * pi)) * 2.0 / 3.0
    latitude = lat / 180.0 * pi
    flattening = 1.0 - KRASOVSKY_ECCENTRICITY_SQUARED * sin(latitude) ** 2
    meridian_m = KRASOVSKY_AXIS_M * (1.0 - KRASOVSKY_ECCENTRICITY_SQUARED) / flattening**1.5
    parallel_m = KRASOVSKY_AXIS_M / sqrt(flattening) * cos(latitude)
    return lat + north_m * 180.0 / (meridian_m * pi), lon + east_m * 180.0 / (parallel_m * pi)


def _undo(shift: Callable[[float, float], tuple[float, float]], lat: float, lon: float) -> tuple[float, float]:
    """Find the point that `shift` moves to (lat, lon), by fixed-point iteration: the shifts change slowly."""
    found_lat, found_lon = lat, lon
    for _ in range(_MAX_ROUNDS):
        moved_lat, moved_lon = shift(found_lat, found_lon)
        error_lat, error_lon = lat - moved_lat, lon - moved_lon
        found_lat += error_lat
        found_lon += error_lon
        if abs(error_lat) < _STILL_DEG and abs(error_lon) < _STILL_DEG:
            break
    return found_lat, found_lon
