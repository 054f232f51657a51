"""Reads Mapbox Vector Tiles, as much as a test wants to know: the attributes of each feature, by layer."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
LAYER, NAME, FEATURE, KEY, VALUE = 3, 1, 2, 3, 4
FEATURE_ID, TAGS, GEOMETRY = 1, 2, 4


def features(tile: bytes) -> dict[str, list[dict[str, Any]]]:
    """Return each layer's features as their attributes; `id` is the feature's own, `at` its first vertex."""
    return dict(_layer(body) for field, body in _fields(tile) if field == LAYER)


def _layer(body: Any) -> tuple[str, list[dict[str, Any]]]:
    parts = list(_fields(body))
    name = next(bytes(value).decode() for field, value in parts if field == NAME)
    keys = [bytes(value).decode() for field, value in parts if field == KEY]
    values = [_value(value) for field, value in parts if field == VALUE]
    return name, [_feature(value, keys, values) for field, value in parts if field == FEATURE]


def _feature(body: Any, keys: list[str], values: list[Any]) -> dict[str, Any]:
    feature: dict[str, Any] = {}
    for field, value in _fields(body):
        if field == FEATURE_ID:
            feature["id"] = value
        elif field == TAGS:
            tags = list(_varints(value))
            feature |= {keys[key]: values[worth] for key, worth in zip(tags[::2], tags[1::2], strict=True)}
        elif field == GEOMETRY:
            first = list(_varints(value))[1:3]
            feature["at"] = tuple((number >> 1) ^ -(number & 1) for number in first)
    return feature


def _value(body: Any) -> Any:
    ((field, value),) = _fields(body)
    if field == 1:
        return bytes(value).decode()
    if field in (2, 3):
        return struct.unpack("<f" if field == 2 else "<d", value)[0]
    return bool(value) if field == 7 else (value >> 1) ^ -(value & 1) if field == 6 else value


def _fields(body: Any) -> Iterator[tuple[int, Any]]:
    at = 0
    while at < len(body):
        key, at = _varint(body, at)
        kind = key & 7
        if kind == VARINT:
            value, at = _varint(body, at)
        else:
            if kind == BYTES:
                length, at = _varint(body, at)
            else:
                length = {FIXED64: 8, FIXED32: 4}[kind]
            value, at = body[at : at + length], at + length
        yield key >> 3, value


def _varints(body: Any) -> Iterator[int]:
    at = 0
    while at < len(body):
        value, at = _varint(body, at)
        yield value


def _varint(body: Any, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = body[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
