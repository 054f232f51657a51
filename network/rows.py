"""Rows of CSV files from outside: streamed, and each one typed or refused by itself.

A row is counted as a spreadsheet counts it: the header is row 1. What is wrong with one row (bytes that are not
UTF-8, a NUL, a quote that is never closed, fields too many or too few) hurts that row only; a file that is not text
at all, or whose header is not the expected one, is refused before anything is taken from it.
"""

from __future__ import annotations

import csv
import io
import re
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, BinaryIO, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)

MAX_ROW = 20_000  # characters; the longest address that is taken has 500
MAX_LINES = 50  # of one row with quoted line breaks

_UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_WHOLE = re.compile(r"\d+", re.ASCII)
_FIELD_IN_MESSAGE = re.compile(r"(?:Value error, )?(?:([a-z]+): )?(.*)", re.DOTALL)
_OTHER_ENCODINGS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


class Unreadable(Exception):
    """The whole file is refused: not text in UTF-8, or not the expected columns."""


@dataclass(frozen=True)
class Row:
    number: int
    fields: dict[str, str]


@dataclass(frozen=True)
class BadRow:
    """Why one row was not taken. `field` is a column, or `row` where it is not one field's fault."""

    number: int
    field: str
    reason: str

    def __str__(self) -> str:
        return f"row {self.number}: {self.field}: {self.reason}"


@contextmanager
def opened(path: str) -> Iterator[BinaryIO]:
    """Open a file for reading. Raises Unreadable where there is none."""
    try:
        with Path(path).open("rb") as stream:
            yield stream
    except OSError as error:
        raise Unreadable(error.strerror or str(error)) from error


def read(stream: BinaryIO, *, required: Sequence[str], optional: Sequence[str] = ()) -> Iterator[Row | BadRow]:
    """Check the header at once, then yield the rows as they are read. Raises Unreadable."""
    lines = _Lines(stream)
    columns = _header(lines, required, [*required, *optional])
    return _rows(lines, columns)


def read_lines(stream: BinaryIO) -> Iterator[tuple[int, str] | BadRow]:
    """Yield the lines that are not blank, such as the objects of a JSONL file. Raises Unreadable at once."""
    lines = _Lines(stream)
    first = lines.next()
    _refuse_other_encodings(first)
    lines.give_back([first])
    return _text_lines(lines)


class _Lines:
    """The lines of a stream, with a way back for those that were read as part of a row and do not belong to it.

    Of a line longer than a row may be only the beginning is kept, so that a file without line breaks costs no memory.
    """

    def __init__(self, stream: BinaryIO) -> None:
        # Bytes that are not UTF-8 become lone surrogates, which are found again row by row.
        self._text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape")
        self._returned: deque[str] = deque()
        self._cut = False

    def next(self) -> str:
        """Return the next line with its line break, or "" at the end."""
        if self._returned:
            return self._returned.popleft()
        while self._cut:
            self._cut = self._is_cut(self._text.readline(MAX_ROW + 1))
        line = self._text.readline(MAX_ROW + 1)
        self._cut = self._is_cut(line)
        return line

    def _is_cut(self, line: str) -> bool:
        return len(line) > MAX_ROW and not line.endswith("\n")

    def give_back(self, lines: Sequence[str]) -> None:
        self._returned.extendleft(reversed(lines))


class _Broken(Exception):
    """A row that cannot be split into fields."""


def _refuse_other_encodings(line: str) -> None:
    for start, encoding in _OTHER_ENCODINGS.items():
        if line.encode("utf-8", "surrogateescape").startswith(start):
            raise Unreadable(f"it is {encoding}, not UTF-8: save it as UTF-8")
    if _UNFIT.search(line):
        raise Unreadable("it is not text in UTF-8")


def _text_lines(lines: _Lines) -> Iterator[tuple[int, str] | BadRow]:
    number = 0
    while line := lines.next():
        number += 1
        if len(line) > MAX_ROW:
            yield BadRow(number, "row", f"longer than {MAX_ROW} characters")
        elif found := _UNFIT.search(line):
            yield BadRow(number, "row", _why_unfit(found[0]))
        elif line.strip():
            yield number, line


def _header(lines: _Lines, required: Sequence[str], known: Sequence[str]) -> list[str]:
    line = lines.next()
    _refuse_other_encodings(line)
    if not line.strip():
        raise Unreadable(f"it has no header: the first row names the columns {','.join(known)}")
    lines.give_back([line])
    try:
        names = [name.strip().lower() for name in _split(lines)]
    except _Broken as error:
        raise Unreadable(f"its header cannot be read: {error}") from error
    for name in required:
        if name not in names:
            raise Unreadable(f"its header has no column “{name}”; it needs {','.join(required)}")
    for name in names:
        if names.count(name) > 1:
            raise Unreadable(f"its header has the column “{name}” twice")
        if name not in known:
            raise Unreadable(f"its header has an unknown column “{name[:40]}”; known are {','.join(known)}")
    return names


def _rows(lines: _Lines, columns: Sequence[str]) -> Iterator[Row | BadRow]:
    number = 1
    while line := lines.next():
        number += 1
        lines.give_back([line])
        try:
            fields = _split(lines, expected=len(columns))
        except _Broken as error:
            yield BadRow(number, "row", str(error))
            continue
        if not any(field.strip() for field in fields):
            continue  # a blank line, or the commas that spreadsheets leave behind
        yield _unfit(number, columns, fields) or Row(number, dict(zip(columns, fields, strict=True)))


def _split(lines: _Lines, *, expected: int | None = None) -> list[str]:
    """Take one row. If it makes no sense, only its first line is taken: a quote there was never closed."""
    taken: list[str] = []
    try:
        fields = next(csv.reader(_row_lines(lines, taken), strict=True))
        if expected is not None and fields and len(fields) != expected:
            raise _Broken(f"{len(fields)} fields where the header has {expected}")
    except (_Broken, csv.Error) as error:
        lines.give_back(taken[1:])
        if isinstance(error, csv.Error):
            raise _Broken("a quote is not closed, or stands inside a field without being doubled") from error
        raise
    return fields


def _row_lines(lines: _Lines, taken: list[str]) -> Iterator[str]:
    length = 0
    while len(taken) < MAX_LINES and (line := lines.next()):
        taken.append(line)
        length += len(line)
        if length > MAX_ROW:
            raise _Broken(f"longer than {MAX_ROW} characters")
        yield line


def _unfit(number: int, columns: Sequence[str], fields: Sequence[str]) -> BadRow | None:
    for column, field in zip(columns, fields, strict=True):
        found = _UNFIT.search(field)
        if found is not None:
            return BadRow(number, column, _why_unfit(found[0]))
    return None


def _why_unfit(character: str) -> str:
    if character >= "\ud800":
        return "not UTF-8: save the file as UTF-8"
    return "control characters are not text"


def _plain_number(text: object) -> object:
    """Refuse what Python reads as a number and nobody means as one: full-width digits, 1_000, nan."""
    if isinstance(text, str) and not _NUMBER.fullmatch(text.strip()):
        raise ValueError(f"“{text[:40]}” is not a number in ASCII digits")
    return text


def _whole_number(text: object) -> object:
    if isinstance(text, str) and not _WHOLE.fullmatch(text.strip()):
        raise ValueError(f"“{text[:40]}” is not a whole number in ASCII digits")
    return text


def _ascii_digits(text: str) -> str:
    if any(character.isdigit() and not character.isascii() for character in text):
        raise ValueError("only ASCII digits, not full-width ones")
    return text


def _none_if_blank(text: object) -> object:
    return None if isinstance(text, str) and not text.strip() else text


Text = Annotated[str, StringConstraints(strip_whitespace=True)]
AsciiDigits = Annotated[Text, BeforeValidator(_ascii_digits)]
Latitude = Annotated[float, BeforeValidator(_plain_number), Field(ge=-90, le=90, allow_inf_nan=False)]
Longitude = Annotated[float, BeforeValidator(_plain_number), Field(ge=-180, le=180, allow_inf_nan=False)]
Whole = Annotated[int, BeforeValidator(_whole_number)]
Blank = BeforeValidator(_none_if_blank)


class Form(BaseModel):
    model_config = ConfigDict(extra="forbid")


T = TypeVar("T", bound=BaseModel)


def read_as(stream: BinaryIO, form: type[T]) -> Iterator[tuple[int, T] | BadRow]:
    """Read rows into a form, whose fields are the columns. Raises Unreadable at once."""
    required = [name for name, field in form.model_fields.items() if field.is_required()]
    rows = read(stream, required=required, optional=[name for name in form.model_fields if name not in required])
    return (row if isinstance(row, BadRow) else _typed(row, form) for row in rows)


def _typed(row: Row, form: type[T]) -> tuple[int, T] | BadRow:
    try:
        return row.number, form.model_validate(row.fields)
    except ValidationError as error:
        return BadRow(row.number, *first_error(error))


def first_error(error: ValidationError) -> tuple[str, str]:
    """Return the field and the reason of the first thing that is wrong with a form."""
    first = error.errors()[0]
    found = _FIELD_IN_MESSAGE.fullmatch(first["msg"])
    assert found is not None, "the pattern matches every text"
    names = [str(name) for name in first["loc"] if isinstance(name, str)]
    return (names[0] if names else found[1] or "row"), found[2] if names or found[1] else first["msg"]
