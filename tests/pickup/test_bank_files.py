"""The file for the bank is a pain.001.001.09: each element in its place, in its order, with a value of its type.

`SCHEMA` is the part of ISO 20022's schema that we write, by hand from pain.001.001.09.xsd: name, how often, and either
what is inside or a pattern of the type. What is not in it is refused, so a new element needs its line here.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree

import pytest

from pickup import bank_files
from pickup.bank_details import Details
from pickup.models import BankTemplate

NAMESPACE = "{urn:iso:std:iso:20022:tech:xsd:pain.001.001.09}"
ONE, MAYBE, SOME = (1, 1), (0, 1), (1, 1_000_000)


def text(most: int) -> str:
    """MaxNText: at least one letter, and at most so many."""
    return rf"(?s).{{1,{most}}}"


BIC = "[A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}([A-Z0-9]{3})?"
IBAN = "[A-Z]{2}[0-9]{2}[a-zA-Z0-9]{1,30}"
AMOUNT = r"(?=[0-9.]{1,19}$)[0-9]{1,18}(\.[0-9]{1,5})?"
SUM = r"(?=[0-9.]{1,19}$)[0-9]{1,18}(\.[0-9]{1,17})?"
COUNT = "[0-9]{1,15}"
DATE = r"[0-9]{4}-(0[1-9]|1[0-2])-([0-2][0-9]|3[01])"
# A list is a sequence, a set the names of which there is one (xs:choice).
BANK = [
    ("BICFI", MAYBE, BIC),
    ("ClrSysMmbId", MAYBE, [("ClrSysId", MAYBE, [("Cd", ONE, text(5))]), ("MmbId", ONE, text(35))]),
    ("Nm", MAYBE, text(140)),
    ("Othr", MAYBE, [("Id", ONE, text(35))]),
]
AGENT = [("FinInstnId", ONE, BANK)]
ACCOUNT = [("Id", ONE, {"IBAN": IBAN, "Othr": [("Id", ONE, text(34))]})]
PARTY = [("Nm", ONE, text(140))]
SCHEMA: Any = [
    (
        "CstmrCdtTrfInitn",
        ONE,
        [
            (
                "GrpHdr",
                ONE,
                [
                    ("MsgId", ONE, text(35)),
                    ("CreDtTm", ONE, rf"{DATE}T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]Z"),
                    ("NbOfTxs", ONE, COUNT),
                    ("CtrlSum", MAYBE, SUM),
                    ("InitgPty", ONE, PARTY),
                ],
            ),
            (
                "PmtInf",
                SOME,
                [
                    ("PmtInfId", ONE, text(35)),
                    ("PmtMtd", ONE, "CHK|TRF|TRA"),
                    ("NbOfTxs", MAYBE, COUNT),
                    ("CtrlSum", MAYBE, SUM),
                    ("ReqdExctnDt", ONE, {"Dt": DATE}),
                    ("Dbtr", ONE, PARTY),
                    ("DbtrAcct", ONE, ACCOUNT),
                    ("DbtrAgt", ONE, AGENT),
                    (
                        "CdtTrfTxInf",
                        SOME,
                        [
                            ("PmtId", ONE, [("EndToEndId", ONE, text(35))]),
                            ("Amt", ONE, {"InstdAmt": AMOUNT}),
                            ("CdtrAgt", MAYBE, AGENT),
                            ("Cdtr", MAYBE, PARTY),
                            ("CdtrAcct", MAYBE, ACCOUNT),
                            ("RmtInf", MAYBE, [("Ustrd", MAYBE, text(140))]),
                        ],
                    ),
                ],
            ),
        ],
    )
]
ATTRIBUTES = {"InstdAmt": {"Ccy": "[A-Z]{3}"}}


def faults(node: ElementTree.Element, inside: Any, path: str = "") -> list[str]:
    """Where a node is not what the schema says."""
    told = []
    name = node.tag.removeprefix(NAMESPACE)
    path = f"{path}/{name}"
    wanted = ATTRIBUTES.get(name, {})
    if set(node.attrib) != set(wanted) or not all(re.fullmatch(wanted[key], node.attrib[key]) for key in wanted):
        told.append(f"{path}: attributes {node.attrib}")
    if isinstance(inside, str):
        if len(node) or not re.fullmatch(inside, node.text or ""):
            told.append(f"{path}: {node.text!r}")
        return told
    if (node.text or "").strip():
        told.append(f"{path}: words between elements")
    if isinstance(inside, dict):
        inside = [(child.tag.removeprefix(NAMESPACE), ONE, inside.get(child.tag.removeprefix(NAMESPACE), "(?!)"))
                  for child in node][:1] or [("a choice", ONE, "")]  # fmt: skip
    left = list(node)
    for child, (least, most), within in inside:
        count = 0
        while left and left[0].tag == NAMESPACE + child and count < most:
            told += faults(left.pop(0), within, path)
            count += 1
        if count < least:
            told.append(f"{path}: no {child}")
    return told + [f"{path}: {one.tag} is not expected there" for one in left]


def template(bank: str = "CMBCCNBS") -> BankTemplate:
    return BankTemplate(
        form="pain.001", debtor_name="取件网络 & Söhne <x>", debtor_account="7559123456789", debtor_bank=bank
    )


def transfer(number: int, to: Details, amount_minor: int, currency: str, purpose: str) -> bank_files.Transfer:
    return bank_files.Transfer(number, f"PN-1-{number}-0123456789", to, amount_minor, currency, purpose)


ODD = [
    transfer(1, Details("王小明", "6214831234567890", "招商银行", "308584000013"), 2000, "CNY", "Pickup fees 2026-11"),
    transfer(2, Details("Erika", "DE89370400440532013000", "Bank", "COBADEFFXXX"), 10**12 + 1, "EUR", "x" * 200),
    transfer(3, Details("名" * 70, "A" * 34, "行" * 70), 5, "JPY", "費用 <&>"),
    transfer(4, Details("x", "12345", ""), 5, "TND", "y"),
]


def written(bank: str = "CMBCCNBS") -> ElementTree.Element:
    order = bank_files.Order("PN-1-0a1b2c3d", datetime(2026, 11, 30, 20, tzinfo=UTC), ODD)
    content = bank_files.write(template(bank), order)
    assert content == bank_files.write(template(bank), order), "the same order is the same bytes"
    return ElementTree.fromstring(content)


@pytest.mark.parametrize("bank", ["CMBCCNBS", "308584000013", "SOMETHING-ELSE"])
def test_a_pain_001_has_each_element_in_its_place(bank: str) -> None:
    root = written(bank)
    assert root.tag == f"{NAMESPACE}Document"
    assert faults(root, SCHEMA) == []
    assert len(root.findall(f".//{NAMESPACE}CdtTrfTxInf")) == len(ODD)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        ("Nm", "no Nm"),
        ("EndToEndId", "no EndToEndId"),
        ("ReqdExctnDt", "no ReqdExctnDt"),
        ("InstdAmt", "no a choice"),
        ("DbtrAgt", "no DbtrAgt"),
    ],
)
def test_control_an_element_that_is_missing_is_missed(spoil: str, told: str) -> None:
    root = written()
    parent = next(node for node in root.iter() if node.find(NAMESPACE + spoil) is not None)
    parent.remove(parent.find(NAMESPACE + spoil))  # type: ignore[arg-type]
    assert any(told in fault for fault in faults(root, SCHEMA))


def test_control_a_value_that_is_wrong_is_found() -> None:
    root = written()
    amount = root.find(f".//{NAMESPACE}InstdAmt")
    assert amount is not None
    amount.text, amount.attrib["Ccy"] = "1,00", "yuan"
    [attributes, value] = faults(root, SCHEMA)
    assert "yuan" in attributes
    assert "'1,00'" in value


def test_control_another_order_is_found() -> None:
    root = written()
    block = root.find(f".//{NAMESPACE}PmtInf")
    assert block is not None
    block[0], block[1] = block[1], block[0]
    assert "/Document/CstmrCdtTrfInitn/PmtInf: no PmtInfId" in faults(root, SCHEMA)


def test_the_sums_of_the_file_are_those_of_its_transfers() -> None:
    root = written()
    counts = {node.text for node in root.iter(f"{NAMESPACE}NbOfTxs")}
    sums = {node.text for node in root.iter(f"{NAMESPACE}CtrlSum")}
    assert (counts, sums) == ({"4"}, {"10000000025.015"})
