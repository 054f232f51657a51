"""KML, read as a stream: its placemarks with their words and the corners of their polygons, and nothing else.

A document with a DOCTYPE is refused, since entities are programs; depth and text are bounded. Coordinates are WGS 84
by definition (OGC 12-007r2). Nothing that a KML refers to is ever fetched.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO
from xml.parsers import expat

from django.utils.translation import gettext as _

MAX_DEPTH = 64
MAX_TEXT = 8 * 2**20  # characters of one placemark; 100,000 corners are half of it
_CHUNK = 2**16

Ring = list[list[float]]


class BadKml(Exception):
    """The whole file is refused."""


@dataclass
class Placemark:
    """`polygons` are lists of rings, the outer one first, of [longitude, latitude]. `fault` says why it has none."""

    fields: dict[str, str] = field(default_factory=dict)
    polygons: list[list[Ring]] = field(default_factory=list)
    others: int = 0  # points and lines, which are no regions
    fault: str = ""


def placemarks(stream: BinaryIO) -> Iterator[Placemark]:
    """Give the placemarks one after another. Raises BadKml, here or while they are read."""
    reader = _Reader()
    try:
        while chunk := stream.read(_CHUNK):
            reader.parser.Parse(chunk, False)
            yield from reader.take()
        reader.parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise BadKml(_("not XML: %s") % error) from error
    except (LookupError, ValueError) as error:
        raise BadKml(_("not XML: %s") % str(error)[:80]) from error
    if not reader.is_kml:
        raise BadKml(_("not KML"))
    yield from reader.take()


class _Reader:
    def __init__(self) -> None:
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.end
        self.parser.CharacterDataHandler = self.text
        self.parser.StartDoctypeDeclHandler = self.refuse
        self.names: list[str] = []
        self.is_kml = False
        self.done: list[Placemark] = []
        self.mark: Placemark | None = None
        self.rings: list[Ring] = []
        self.key = ""
        self.words: list[str] = []
        self.size = 0

    def take(self) -> list[Placemark]:
        taken, self.done = self.done, []
        return taken

    def refuse(self, *_declared: object) -> None:
        raise BadKml(_("a document with a DOCTYPE is not read"))

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag.rpartition(":")[2]
        if not self.is_kml and name != "kml":
            raise BadKml(_("not KML"))
        self.is_kml = True
        self.names.append(name)
        if len(self.names) > MAX_DEPTH:
            raise BadKml(_("nested too deeply"))
        self.words = []
        if name == "Placemark":
            self.mark, self.size = Placemark(), 0
        elif name == "Polygon":
            self.rings = []
        elif name in ("Data", "SimpleData"):
            self.key = attributes.get("name", "").lower()
        elif name in ("Point", "LineString", "Model", "Track") and self.mark is not None:
            self.mark.others += 1

    def text(self, words: str) -> None:
        if self.mark is None:
            return
        self.size += len(words)
        if self.size > MAX_TEXT:
            raise BadKml(_("a placemark of more than %s MB") % (MAX_TEXT // 2**20))
        self.words.append(words)

    def end(self, tag: str) -> None:
        name = self.names.pop()
        mark, words, self.words = self.mark, "".join(self.words).strip(), []
        if mark is None:
            return
        if name == "name" and self.names[-1:] == ["Placemark"]:
            mark.fields.setdefault("name", words)
        elif name == "SimpleData" or (name == "value" and self.names[-1:] == ["Data"]):
            mark.fields[self.key] = words
        elif name == "coordinates" and self.names[-1:] == ["LinearRing"] and "Polygon" in self.names:
            self.ring(mark, words, outer="outerBoundaryIs" in self.names)
        elif name == "Polygon":
            mark.polygons.append(self.rings)
        elif name == "Placemark":
            self.done.append(mark)
            self.mark = None

    def ring(self, mark: Placemark, words: str, *, outer: bool) -> None:
        try:
            ring = [[float(number) for number in corner.split(",")[:2]] for corner in words.split()]
        except ValueError:
            mark.fault = _("a ring is not a list of positions")
            return
        if outer:
            self.rings.insert(0, ring)
        else:
            self.rings.append(ring)
