"""Where a payee's money goes. A change is proposed by one person, approved by another, and used 72 hours later."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache

from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings
from django.db import IntegrityError, transaction

from network.models import User
from network.tables import FORMULA
from pickup.models import Account, BankDetails, Decision
from pickup.statements import owned_by

WAIT = timedelta(hours=72)  # the same in pickup/models/sql/payable.sql
NUMBER = re.compile(r"[A-Z0-9]{5,34}", re.ASCII)
CODE = re.compile(r"[A-Z]{6}[A-Z0-9]{2}([A-Z0-9]{3})?|[0-9]{12}|", re.ASCII)
IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]+", re.ASCII)
NAME_LETTERS, BANK_LETTERS = 70, 70


class Refusal(StrEnum):
    HOLDER = "holder"
    NUMBER = "number"
    BANK = "bank"
    CODE = "code"
    WAITS = "waits"  # another proposal is not decided yet
    DECIDED = "decided"
    SAME_PERSON = "same_person"
    OWN_ACCOUNT = "own_account"
    NO_REASON = "no_reason"


class Refused(Exception):
    """`refusal` names the field where one is wrong."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal)
        self.refusal = refusal


@dataclass(frozen=True)
class Details:
    """`number` is the account's or the IBAN, `code` a BIC, a Chinese clearing number of twelve digits, or empty."""

    holder: str
    number: str
    bank: str
    code: str = ""

    @property
    def shown(self) -> str:
        """王小明, 6214 8312 3456 7890 at 招商银行 → 招商银行 ····7890 · 王*"""
        return f"{self.bank[:40]} ····{self.number[-4:]} · {self.holder[:1]}*"


@cache
def _safe() -> MultiFernet:
    return MultiFernet([Fernet(key) for key in settings.SECRETS["field_keys"]])


def shut(content: bytes) -> bytes:
    return _safe().encrypt(content)


def opened(box: bytes | memoryview) -> bytes:
    return _safe().decrypt(bytes(box))


def read(details: BankDetails) -> Details:
    """All of it: for the bank's file, and for whoever approves it."""
    return Details(**json.loads(opened(details.box)))


def clean(details: Details) -> Details:
    """Spaces and case made even. Raises Refused with the field that is wrong."""
    told = Details(
        holder=" ".join(details.holder.split()),
        number=re.sub(r"[\s-]", "", details.number).upper(),
        bank=" ".join(details.bank.split()),
        code=re.sub(r"\s", "", details.code).upper(),
    )
    for field, text, most in (
        (Refusal.HOLDER, told.holder, NAME_LETTERS),
        (Refusal.BANK, told.bank, BANK_LETTERS),
    ):
        if not 0 < len(text) <= most or not text.isprintable() or text.startswith(FORMULA):
            raise Refused(field)
    if not NUMBER.fullmatch(told.number) or (IBAN.fullmatch(told.number) and not _is_iban(told.number)):
        raise Refused(Refusal.NUMBER)
    if not CODE.fullmatch(told.code):
        raise Refused(Refusal.CODE)
    return told


def _is_iban(number: str) -> bool:
    """ISO 13616: the number with its head moved to the end is 1 modulo 97."""
    return int("".join(str(int(one, 36)) for one in number[4:] + number[:4])) % 97 == 1


def propose(*, account: Account, details: Details, by: User) -> BankDetails:
    """Leave a proposal for a second person. Raises Refused."""
    told = clean(details)
    box = shut(json.dumps(asdict(told), ensure_ascii=False).encode())
    try:
        with transaction.atomic():
            return BankDetails.objects.create(account=account, box=box, shown=told.shown, made_by=by)
    except IntegrityError as error:
        if "bank_details_one_proposal" in str(error):
            raise Refused(Refusal.WAITS) from error
        raise


def decide(*, proposal: BankDetails, decision: Decision, by: User, reason: str = "", now: datetime) -> BankDetails:
    """Approve or reject a proposal, once, by somebody who neither made it nor is paid by it. Raises Refused.

    A rejection needs a reason; whoever wants the details of before back proposes them again.
    """
    if decision == Decision.REJECTED and not reason.strip():
        raise Refused(Refusal.NO_REASON)
    with transaction.atomic(durable=True):
        row = BankDetails.objects.select_for_update(of=("self",)).select_related("account").get(pk=proposal.pk)
        if row.decision:
            raise Refused(Refusal.DECIDED)
        if row.made_by_id == by.pk:
            raise Refused(Refusal.SAME_PERSON)
        if owned_by(by).filter(pk=row.account_id).exists():
            raise Refused(Refusal.OWN_ACCOUNT)
        row.decision, row.decided_by, row.decided_at, row.reason = decision, by, now, reason.strip()[:200]
        row.save(update_fields=["decision", "decided_by", "decided_at", "reason"])
    return row


def newest(account: Account) -> BankDetails | None:
    """The approved ones that count, whether or not their 72 hours are over."""
    return BankDetails.objects.filter(account=account, decision=Decision.APPROVED).order_by("-id").first()


def usable_from(details: BankDetails) -> datetime | None:
    return details.decided_at + WAIT if details.decided_at and details.decision == Decision.APPROVED else None
