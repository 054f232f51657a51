"""Lists as files for spreadsheets: CSV and XLSX from the same rows, written as they come and never held as a whole."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import BinaryIO

import xlsxwriter
from django.conf import settings
from django.utils.timezone import localtime

Cell = str | int | float | Decimal | date | datetime | None

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
LONGEST_CELL = 32_767  # letters, of XLSX
MOST_ROWS = 1_048_575  # of one sheet under its head, of XLSX
SURE_DIGITS = 15  # a spreadsheet's number keeps so many

TYPES = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


@dataclass(frozen=True)
class Column:
    """`moment`: its cells are moments, shown in the network's time zone, which the head names."""

    title: str
    moment: bool = False

    @property
    def head(self) -> str:
        return f"{self.title} ({settings.TIME_ZONE})" if self.moment else self.title


def no_formula(text: str) -> str:
    """Keep a spreadsheet from reading a text as a formula: others than us chose names, barcodes and notes."""
    return f"'{text}" if text.startswith(FORMULA) else text


def csv_parts(columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> Iterator[bytes]:
    """The file in parts, with a byte order mark, or Excel would not read Chinese from UTF-8."""
    part = io.StringIO()
    writer = csv.writer(part)
    part.write("\ufeff")
    writer.writerow([no_formula(column.head) for column in columns])
    for number, row in enumerate(rows, start=1):
        writer.writerow([_plain(cell) for cell in row])
        if number % 200 == 0:
            yield part.getvalue().encode()
            part.seek(0)
            part.truncate()
    yield part.getvalue().encode()


def _plain(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, datetime):
        return f"{localtime(cell):%Y-%m-%d %H:%M:%S}"
    if isinstance(cell, date):
        return f"{cell:%Y-%m-%d}"
    if isinstance(cell, bool):
        return str(int(cell))
    return no_formula(cell) if isinstance(cell, str) else str(cell)


def write_csv(file: BinaryIO, columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> None:
    for part in csv_parts(columns, rows):
        file.write(part)


def write_xlsx(
    file: BinaryIO, columns: Sequence[Column], rows: Iterable[Sequence[Cell]], *, folder: Path | None = None
) -> None:
    """Numbers stay numbers and moments dates; what is too long for one sheet goes on in the next.

    Rows go to temporary files in `folder` as they come, so that memory does not grow with them.
    """
    options = {
        "constant_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
        "tmpdir": str(folder) if folder else None,
    }
    with xlsxwriter.Workbook(file, options) as book:
        bold = book.add_format({"bold": True})
        formats = {
            datetime: book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"}),
            date: book.add_format({"num_format": "yyyy-mm-dd"}),
            Decimal: {},
        }
        sheet, line = None, MOST_ROWS
        for row in rows:
            if line >= MOST_ROWS:
                sheet, line = _new_sheet(book, columns, bold), 0
            line += 1
            for number, cell in enumerate(row):
                _write(book, sheet, line, number, cell, formats)
        if sheet is None:
            _new_sheet(book, columns, bold)


def _new_sheet(book: xlsxwriter.Workbook, columns: Sequence[Column], bold: object) -> object:
    sheet = book.add_worksheet()
    sheet.freeze_panes(1, 0)
    for number, column in enumerate(columns):
        sheet.set_column(number, number, 20 if column.moment else 16)
        sheet.write_string(0, number, no_formula(column.head), bold)
    return sheet


def _write(book: xlsxwriter.Workbook, sheet: object, line: int, number: int, cell: Cell, formats: dict) -> None:  # type: ignore[type-arg]
    if cell is None or cell == "":
        return
    if isinstance(cell, datetime):
        sheet.write_datetime(line, number, localtime(cell).replace(tzinfo=None), formats[datetime])  # type: ignore[attr-defined]
    elif isinstance(cell, date):
        sheet.write_datetime(line, number, cell, formats[date])  # type: ignore[attr-defined]
    elif isinstance(cell, str) or len(str(cell).lstrip("-").replace(".", "")) > SURE_DIGITS:
        sheet.write_string(line, number, no_formula(str(cell))[:LONGEST_CELL])  # type: ignore[attr-defined]
    elif isinstance(cell, Decimal):
        places = max(0, -int(cell.as_tuple().exponent))
        kind = formats[Decimal].setdefault(places, None)
        if kind is None:
            pattern = "0." + "0" * places if places else "0"
            kind = formats[Decimal][places] = book.add_format({"num_format": pattern})
        sheet.write_number(line, number, cell, kind)  # type: ignore[attr-defined]
    else:
        sheet.write_number(line, number, cell)  # type: ignore[attr-defined]
