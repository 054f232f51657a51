"""Files for banks and from them: CSV and XLSX by a template of columns, ISO 20022 pain.001 out and pain.002 in."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import BinaryIO, Literal
from xml.etree import ElementTree

import xlsxwriter
from django.utils.timezone import localdate

from network import rows
from pickup import ledger
from pickup.bank_details import Details
from pickup.models import BankTemplate

Form = BankTemplate.Form
CONTENT_TYPES = {
    Form.CSV: "text/csv; charset=utf-8",
    Form.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    Form.PAIN001: "application/xml",
}
ENDINGS = {Form.CSV: "csv", Form.XLSX: "xlsx", Form.PAIN001: "xml"}
PAIN001 = "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"
MOST_BYTES = 20 * 1024 * 1024
BIC = re.compile(r"[A-Z]{6}[A-Z0-9]{2}([A-Z0-9]{3})?", re.ASCII)
IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{10,30}", re.ASCII)


class BadTemplate(ValueError):
    """A line of a template's columns makes no sense; the message says which and why."""


class Unreadable(ValueError):
    """A result file that is none: not one row of it was taken."""


@dataclass(frozen=True)
class Transfer:
    """One payout as a bank needs it."""

    number: int
    end_to_end_id: str
    to: Details
    amount_minor: int
    currency: str
    purpose: str

    @property
    def amount(self) -> str:
        return ledger.plain(self.amount_minor, self.currency)


@dataclass(frozen=True)
class Order:
    """A whole run: its name is the message's id."""

    name: str
    at: datetime
    transfers: Sequence[Transfer]


SOURCES: dict[str, Callable[[Transfer, Order], str]] = {
    "number": lambda one, order: str(one.number),
    "end_to_end_id": lambda one, order: one.end_to_end_id,
    "holder": lambda one, order: one.to.holder,
    "account": lambda one, order: one.to.number,
    "bank": lambda one, order: one.to.bank,
    "bank_code": lambda one, order: one.to.code,
    "amount": lambda one, order: one.amount,
    "amount_minor": lambda one, order: str(one.amount_minor),
    "currency": lambda one, order: one.currency,
    "purpose": lambda one, order: one.purpose,
    "date": lambda one, order: f"{localdate(order.at):%Y-%m-%d}",
}


def columns(text: str) -> list[tuple[str, Callable[[Transfer, Order], str]]]:
    """Read `title = source`, one a line. Raises BadTemplate."""
    told: list[tuple[str, Callable[[Transfer, Order], str]]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        title, equals, source = (part.strip() for part in line.partition("="))
        if not equals or not title:
            raise BadTemplate(f"line {number}: write “title = source”")
        if len(source) >= 2 and source[0] == source[-1] == '"':
            told.append((title, lambda one, order, words=source[1:-1]: words))  # type: ignore[misc]
        elif source in SOURCES:
            told.append((title, SOURCES[source]))
        else:
            raise BadTemplate(f"line {number}: no source “{source}”; there are {', '.join(SOURCES)}")
    if not told:
        raise BadTemplate("no columns")
    if not any(read is SOURCES["end_to_end_id"] for _, read in told):
        raise BadTemplate("without end_to_end_id no result could be told")
    return told


def write(template: BankTemplate, order: Order) -> bytes:
    """The file's bytes. Raises BadTemplate."""
    if template.form == Form.PAIN001:
        return _pain001(template, order)
    wanted = columns(template.columns)
    table = [[title for title, _ in wanted]]
    table += [[read(one, order) for _, read in wanted] for one in order.transfers]
    return _csv(table) if template.form == Form.CSV else _xlsx(table, order.at)


def _csv(table: list[list[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(table)
    return b"\xef\xbb\xbf" + text.getvalue().encode()


def _xlsx(table: list[list[str]], at: datetime) -> bytes:
    """All cells are texts: an account of 19 digits is no number to a spreadsheet."""
    file = io.BytesIO()
    with xlsxwriter.Workbook(file, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}) as book:
        book.set_properties({"created": at.astimezone(UTC).replace(tzinfo=None)})
        sheet = book.add_worksheet()
        for number, row in enumerate(table):
            for place, cell in enumerate(row):
                sheet.write_string(number, place, cell)
    return file.getvalue()


def _pain001(template: BankTemplate, order: Order) -> bytes:
    """Customer Credit Transfer Initiation; the order of the elements is the schema's."""
    root = ElementTree.Element("Document", xmlns=PAIN001)
    message = _in(root, "CstmrCdtTrfInitn")
    total = sum(Decimal(one.amount) for one in order.transfers)
    head = _in(message, "GrpHdr")
    _in(head, "MsgId", order.name)
    _in(head, "CreDtTm", f"{order.at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}")
    _in(head, "NbOfTxs", str(len(order.transfers)))
    _in(head, "CtrlSum", str(total))
    _in(_in(head, "InitgPty"), "Nm", template.debtor_name)
    block = _in(message, "PmtInf")
    _in(block, "PmtInfId", order.name)
    _in(block, "PmtMtd", "TRF")
    _in(block, "NbOfTxs", str(len(order.transfers)))
    _in(block, "CtrlSum", str(total))
    _in(_in(block, "ReqdExctnDt"), "Dt", f"{localdate(order.at):%Y-%m-%d}")
    _in(_in(block, "Dbtr"), "Nm", template.debtor_name)
    _account(_in(block, "DbtrAcct"), template.debtor_account)
    _bank(_in(block, "DbtrAgt"), template.debtor_bank, "")
    for one in order.transfers:
        transfer = _in(block, "CdtTrfTxInf")
        _in(_in(transfer, "PmtId"), "EndToEndId", one.end_to_end_id)
        amount = _in(_in(transfer, "Amt"), "InstdAmt", one.amount)
        amount.set("Ccy", one.currency)
        _bank(_in(transfer, "CdtrAgt"), one.to.code, one.to.bank)
        _in(_in(transfer, "Cdtr"), "Nm", one.to.holder)
        _account(_in(transfer, "CdtrAcct"), one.to.number)
        _in(_in(transfer, "RmtInf"), "Ustrd", one.purpose[:140])
    body: bytes = ElementTree.tostring(root, encoding="utf-8")
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + body


def _in(parent: ElementTree.Element, name: str, text: str = "") -> ElementTree.Element:
    child = ElementTree.SubElement(parent, name)
    child.text = text or None
    return child


def _account(parent: ElementTree.Element, number: str) -> None:
    held = _in(parent, "Id")
    if IBAN.fullmatch(number):
        _in(held, "IBAN", number)
    else:
        _in(_in(held, "Othr"), "Id", number)


def _bank(parent: ElementTree.Element, code: str, name: str) -> None:
    held = _in(parent, "FinInstnId")
    if BIC.fullmatch(code):
        _in(held, "BICFI", code)
    elif code:
        member = _in(held, "ClrSysMmbId")
        if re.fullmatch(r"[0-9]{12}", code):
            _in(_in(member, "ClrSysId"), "Cd", "CNAPS")
        _in(member, "MmbId", code)
    if name:
        _in(held, "Nm", name)
    if not code and not name:
        _in(_in(held, "Othr"), "Id", "NOTPROVIDED")


# ---------------------------------------------------------------- results

Verdict = Literal["sent", "failed", "pending"]
# What banks write, in ISO 20022 and in words.
VERDICTS: dict[str, Verdict] = {
    **dict.fromkeys(("ACCC", "ACSC", "ACSP", "ACWC", "ACCP", "SENT", "OK", "SUCCESS", "PAID", "成功", "已付"), "sent"),
    **dict.fromkeys(("RJCT", "CANC", "FAILED", "FAIL", "REJECTED", "RETURNED", "失败", "退票", "退回"), "failed"),
    **dict.fromkeys(("PDNG", "RCVD", "ACTC", "PENDING", "处理中"), "pending"),
}


@dataclass(frozen=True)
class Result:
    """What the bank says of one transfer. `amount` is empty where it names none."""

    number: int
    end_to_end_id: str
    verdict: Verdict
    amount: str = ""
    reason: str = ""


def read_results(stream: BinaryIO, *, name: str) -> Iterator[Result | rows.BadRow]:
    """Read a bank's answer: CSV (`end_to_end_id,status,amount?,reason?`) or pain.002, each row typed or refused.

    Raises Unreadable before the first row when it is no such file.
    """
    content = stream.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise Unreadable("the file is too large")
    if name.lower().endswith(".xml") or content.lstrip()[:1] == b"<":
        return _pain002(content)
    try:
        read = rows.read(io.BytesIO(content), required=("end_to_end_id", "status"), optional=("amount", "reason"))
    except rows.Unreadable as error:
        raise Unreadable(str(error)) from error
    return (row if isinstance(row, rows.BadRow) else _result(row.number, **row.fields) for row in read)


def _result(
    number: int, *, end_to_end_id: str, status: str, amount: str = "", reason: str = ""
) -> Result | rows.BadRow:
    if not end_to_end_id.strip():
        return rows.BadRow(number, "end_to_end_id", "is empty")
    verdict = VERDICTS.get(status.strip().upper())
    if verdict is None:
        return rows.BadRow(number, "status", f"unknown status “{status.strip()[:40]}”")
    try:
        Decimal(amount.strip() or "0")
    except InvalidOperation:
        return rows.BadRow(number, "amount", "is not a number")
    return Result(number, end_to_end_id.strip(), verdict, amount.strip(), " ".join(reason.split())[:200])


def _pain002(content: bytes) -> Iterator[Result | rows.BadRow]:
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise Unreadable("it defines entities, which no bank's report does")
    try:
        root = ElementTree.fromstring(content)  # noqa: S314 - no entities, see above
    except ElementTree.ParseError as error:
        raise Unreadable(f"it is not XML: {error}") from error
    found = list(root.iter("{*}TxInfAndSts"))
    if not found:
        raise Unreadable("it says nothing of any transfer (TxInfAndSts)")
    return (
        _result(
            number,
            end_to_end_id=one.findtext("{*}OrgnlEndToEndId") or "",
            status=one.findtext("{*}TxSts") or "",
            amount=one.findtext(".//{*}InstdAmt") or "",
            reason=" ".join(
                text for text in (part.text for part in one.iterfind("{*}StsRsnInf//*")) if text and text.strip()
            ),
        )
        for number, one in enumerate(found, start=1)
    )
