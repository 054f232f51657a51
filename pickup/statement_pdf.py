"""A statement as a PDF, in the reader's language, with a Chinese font embedded as far as its letters are used."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from fpdf import FPDF
from fpdf.enums import TableBordersLayout, XPos, YPos
from fpdf.fonts import FontFace

from pickup import ledger, statements
from pickup.models import Posting, SealBlock, Statement

# The system's font has every letter; ours has those of GB 2312 and is everywhere.
FONTS = (
    (Path("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc"), 2),
    (Path("/usr/share/fonts/noto-cjk/NotoSansCJK-Regular.ttc"), 2),
)
OWN_FONT = Path(__file__).parent / "fonts" / "NotoSansSC-Regular.otf"
MOST_LINES = 1_000  # in a PDF; a longer statement shows its days, and its lines are in the spreadsheet
GREY, LIGHT = (81, 96, 92), (201, 210, 207)


@cache
def font() -> tuple[Path, int]:
    return next(((path, number) for path, number in FONTS if path.is_file()), (OWN_FONT, 0))


class Sheet(FPDF):
    """A4 with a foot that says which page of how many it is."""

    def __init__(self, *, title: str, foot: str) -> None:
        super().__init__(format="A4")
        path, number = font()
        self.foot = foot
        self.add_font("text", fname=path, collection_font_number=number)
        self.set_font("text", size=10)
        self.set_title(title)
        self.set_margin(18)
        self.set_auto_page_break(auto=True, margin=20)
        self.alias_nb_pages()
        self.add_page()

    def footer(self) -> None:
        self.set_y(-15)
        self.set_font_size(8)
        self.set_text_color(*GREY)
        self.cell(0, 5, self.foot)
        self.cell(0, 5, f"{self.page_no()} / {{nb}}", align="R", new_x=XPos.RIGHT)
        self.set_text_color(0, 0, 0)

    def said(self, text: str, *, size: float = 10, height: float = 6, quiet: bool = False) -> None:
        self.set_font_size(size)
        self.set_text_color(*(GREY if quiet else (0, 0, 0)))
        self.multi_cell(0, height, text, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        self.set_text_color(0, 0, 0)
        self.set_font_size(10)

    def rows(self, head: Sequence[str], rows: Iterable[Sequence[str]], *, widths: Sequence[int], align: str) -> None:
        self.set_font_size(9)
        self.set_draw_color(*LIGHT)
        letters: dict[str, Any] = {"L": "LEFT", "R": "RIGHT"}
        with self.table(
            borders_layout=TableBordersLayout.HORIZONTAL_LINES,
            col_widths=tuple(widths),
            text_align=tuple(letters[one] for one in align),
            headings_style=FontFace(color=GREY),
            line_height=5.5,
            padding=(0.6, 1),
        ) as table:
            table.row(list(head))
            for row in rows:
                table.row(list(row))
        self.set_font_size(10)


def pdf(statement: Statement, *, now: datetime) -> bytes:
    """The file. Opening balance, what the lines come to, carry-over and total; then the lines or, where there are more
    than MOST_LINES, the days.
    """
    currency, period = statement.settlement.currency, statement.settlement.period
    title = _("Statement %(period)s") % {"period": period}
    foot = f"{title} · {statements.name_of(statement.account)} · {_('made')} {localtime(now):%Y-%m-%d %H:%M}"
    sheet = Sheet(title=title, foot=foot)
    sheet.said(title, size=18, height=9)
    sheet.said(statements.name_of(statement.account), size=12, height=7)
    closed = f"{localtime(statement.settlement.closed_at):%Y-%m-%d %H:%M} {settings.TIME_ZONE}"
    sheet.said(
        _("No. %(number)s · closed %(at)s · amounts in %(currency)s")
        % {"number": statement.pk, "at": closed, "currency": currency},
        quiet=True,
    )
    sheet.ln(3)
    sums = statements.sums(statement)
    sheet.rows(
        [_("What"), _("Amount")],
        [(name, ledger.written(amount, currency)) for name, amount in account_of(statement, sums)],
        widths=(3, 1),
        align="LR",
    )
    sheet.ln(2)
    for note in notes(statement):
        sheet.said(note, size=9, height=5, quiet=True)
    sheet.ln(3)
    _details(sheet, statement, sums.lines, currency)
    return bytes(sheet.output())


def account_of(statement: Statement, sums: statements.Sums) -> list[tuple[str, int]]:
    """The lines of the summary, in order; the total is the sum of all but the first."""
    return [
        (_("Opening balance"), statement.opening_minor),
        (_("Carried over from before"), statement.carried_minor),
        (_("Fees of this period"), sums.fees),
        (_("Corrections by the network"), sums.adjustments),
        (_("Fees that were taken back"), sums.reversals),
        (_("Total of this statement"), statement.total_minor),
    ]


def notes(statement: Statement) -> list[str]:
    told = []
    unpaid = statement.opening_minor - statement.carried_minor
    if unpaid > 0:
        told.append(
            _("%(amount)s of the opening balance belong to earlier statements and are paid by themselves.")
            % {"amount": statements.written(unpaid, statement.settlement.currency)}
        )
    if statement.total_minor < 0:
        told.append(_("A total below zero is never asked back: it is carried over into the next statement."))
    told += [
        _("Payout %(id)s: %(state)s") % {"id": payout.end_to_end_id, "state": payout.get_state_display()}
        for payout in statements.payouts_of(statement)
    ]
    block = SealBlock.objects.order_by("-number").first()
    if block is not None:
        told.append(
            _("The books were last sealed at %(at)s: %(head)s")
            % {"at": f"{localtime(block.sealed_at):%Y-%m-%d %H:%M}", "head": bytes(block.head).hex()}
        )
    return told


def _details(sheet: Sheet, statement: Statement, lines: int, currency: str) -> None:
    words = ngettext("%(count)s line", "%(count)s lines", lines) % {"count": f"{lines:,}"}
    sheet.said(words, size=12, height=7)
    if lines > MOST_LINES:
        sheet.said(_("By day; each line is in the spreadsheet of this statement."), size=9, height=5, quiet=True)
        days = statements.days(statement, zone=settings.TIME_ZONE)
        sheet.rows(
            [_("Day"), _("Lines"), _("Amount")],
            [(f"{day.day:%Y-%m-%d}", f"{day.lines:,}", ledger.written(day.amount_minor, currency)) for day in days],
            widths=(2, 1, 1),
            align="LRR",
        )
        return
    rows = ledger.with_causes(statements.postings(statement)).order_by("id")
    sheet.rows(
        [_("Recorded"), _("Barcode"), _("What for"), _("No."), _("Amount")],
        [
            (
                f"{localtime(posting.recorded_at):%m-%d %H:%M}",
                posting.handover.parcel.barcode if posting.handover else "—",
                what_for(posting),
                str(posting.pk),
                ledger.written(posting.signed_minor, currency),  # type: ignore[attr-defined]
            )
            for posting in rows
        ],
        widths=(15, 25, 34, 12, 14),
        align="LLLRR",
    )


def what_for(posting: Posting) -> str:
    words = str(posting.get_kind_display())
    if posting.region:
        words += f" · {posting.region.name}"
    return words + (f": {posting.reason}" if posting.reason else "")
