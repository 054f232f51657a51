"""Asking the configured geocoders for many texts at once: what is remembered first, then each in its order.

A geocoder that is down, too slow or out of turn is passed over, and the text then waits: that nobody answered never
reads as "no such address". Questions run side by side in threads that do nothing but HTTP; the shared pace, the pauses
and the remembered answers are read and written by the caller's thread, outside any transaction.
"""

from __future__ import annotations

import re
import time
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from threading import Lock

from network import answers, geocoders, pacing
from network.answers import Remembered
from network.geocoders import DOWN, Outcome, Said, Service

AT_ONCE = 8  # questions to one geocoder side by side
GIVE_UP_AFTER = pacing.FAILURES_BEFORE_PAUSE


@dataclass(frozen=True)
class Lookup:
    """What came out for one text. `said` is found or implausible, or None; `moved`: it said another place before.

    `waits` tells that a geocoder which may know the text could not be asked now.
    """

    said: Said | None = None
    source: str = ""
    moved: bool = False
    waits: bool = False


NOTHING = Lookup()

_PHONE = re.compile(r"(?<!\d)(?:\+?86[- ]?)?1[3-9]\d(?:[- ]?\d{4}){2}(?!\d)|(?<!\d)0\d{2,3}-\d{7,8}(?!\d)")
_WHO = re.compile(
    r"(?:收货人|收件人|联系人|姓名|电话|手机号?|联系电话)\s*[:：]?\s*[\u4e00-\u9fff]{0,4}(?=[\s,，;；:：]|$)"
    r"|[\u4e00-\u9fff]{1,4}(?:先生|女士|小姐)|[\u4e00-\u9fff]{2,3}收(?=\s|$)"
)
_ROOM = re.compile(r"(?<=[栋幢座号楼元])\s*\d[\dA-Za-z-]*\s*(?:室|房|户)|\d+\s*单元\s*\d*\s*(?:室|房|户)?")
_SPACES = re.compile(r"\s+")


def words_for(text: str, city: str = "") -> str:
    """Return what leaves our network of an address: no phone, no name that stands for itself, no door."""
    text = unicodedata.normalize("NFKC", text)
    for pattern in (_PHONE, _WHO, _ROOM):
        text = pattern.sub(" ", text)
    text = _SPACES.sub(" ", text).strip(" ,，;；:：")
    city = _SPACES.sub(" ", unicodedata.normalize("NFKC", city)).strip()
    return text if not city or city in text else f"{city}{text}"


def look_up(
    texts: Sequence[str],
    *,
    at: datetime,
    budget_s: float,
    services: Sequence[Service] | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> list[Lookup]:
    """Look for texts as `words_for` gives them; equal ones are asked for once.

    No question is begun that would have to wait for its turn longer than `budget_s`; 0 asks nobody.
    """
    services = geocoders.configured() if services is None else services
    if not services or not texts:
        return [NOTHING] * len(texts)
    keys = [answers.key(text) for text in texts]
    known = answers.recall(keys, names=[service.name for service in services], at=at)
    found: dict[bytes, Lookup] = {}
    for text_key in keys:
        found.setdefault(text_key, _recalled(text_key, services, known))
    words = dict(zip(keys, texts, strict=True))
    began = time.monotonic()
    for service in services:
        open_ = {
            one: words[one]
            for one, so_far in found.items()
            if so_far.said is None and not _has_said(known.get((one, service.name)))
        }
        if open_:
            left_s = budget_s - (time.monotonic() - began)
            _ask(service, open_, found, known, at=at, budget_s=left_s, sleep=sleep)
    return [found[text_key] for text_key in keys]


def _recalled(text_key: bytes, services: Sequence[Service], known: Mapping[tuple[bytes, str], Remembered]) -> Lookup:
    for service in services:
        row = known.get((text_key, service.name))
        if row is not None and row.is_fresh and row.said.outcome is Outcome.FOUND:
            return Lookup(row.said, service.name, row.moved)
    return NOTHING


def _has_said(row: Remembered | None) -> bool:
    return row is not None and row.is_fresh


def _ask(
    service: Service,
    open_: Mapping[bytes, str],
    found: dict[bytes, Lookup],
    known: Mapping[tuple[bytes, str], Remembered],
    *,
    at: datetime,
    budget_s: float,
    sleep: Callable[[float], None],
) -> None:
    """Ask one geocoder for as many of these texts as it has turns, and note what came of it."""
    told: dict[bytes, Said] = {}
    if budget_s > 0:
        turn = pacing.take(
            name=service.name,
            wanted=len(open_),
            rate=service.rate,
            budget_s=budget_s,
            timeout_s=service.timeout_s,
            at=at,
        )
        told = _questions(service, dict(list(open_.items())[: turn.questions]), turn, budget_s, sleep)
        pacing.note(name=service.name, said=list(told.values()), at=at)
        before = {one: row for (one, name), row in known.items() if name == service.name}
        for one, row in answers.keep(service, told, known=before, at=at).items():
            if row.said.outcome is Outcome.FOUND:
                found[one] = Lookup(row.said, service.name, row.moved)
    for one in open_:
        said = told.get(one)
        if said is None or said.outcome in DOWN:
            found[one] = Lookup(waits=True)
        elif said.outcome is Outcome.IMPLAUSIBLE:
            found[one] = Lookup(said, service.name)


def _questions(
    service: Service, open_: Mapping[bytes, str], turn: pacing.Turn, budget_s: float, sleep: Callable[[float], None]
) -> dict[bytes, Said]:
    """Ask each in its moment; stop when it fails again and again, or says itself that it will not answer."""
    began = time.monotonic()
    failed = 0
    lock = Lock()

    def put(number: int, words: str) -> Said | None:
        nonlocal failed
        wait_s = turn.wait_s + number * turn.every_s - (time.monotonic() - began)
        if wait_s > 0:
            sleep(wait_s)
        with lock:
            if failed >= GIVE_UP_AFTER or time.monotonic() - began > budget_s + service.timeout_s:
                return None
        said = geocoders.ask(service, words)
        with lock:
            if said.outcome in pacing.PAUSES:
                failed = GIVE_UP_AFTER
            elif failed < GIVE_UP_AFTER:
                failed = failed + 1 if said.outcome in DOWN else 0
        return said

    with ThreadPoolExecutor(max_workers=AT_ONCE, thread_name_prefix="geocoder") as pool:
        answered = pool.map(put, range(len(open_)), open_.values())
        return {one: said for one, said in zip(open_, answered, strict=True) if said is not None}
