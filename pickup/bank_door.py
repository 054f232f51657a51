"""The bank's own address: a file is posted there once, and its answer is yes, no, or not known."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

from django.conf import settings

TIMEOUT_S = 20
LONGEST_ANSWER = 65_536
LOCAL = ("127.0.0.1", "localhost", "::1")


class NoDoor(Exception):
    """No address of a bank is set, or one that is not https."""


class Rejected(Exception):
    """The bank said no and did nothing; the words are the bank's."""


class Unknown(Exception):
    """Whether the bank took it nobody here knows: it may have, so it is never sent again by itself."""


def is_set() -> bool:
    return bool(settings.BANK_URL)


def deliver(*, name: str, content: bytes, content_type: str) -> None:
    """Post the file once: no redirect is followed, nothing is tried again.

    Returns when the bank took it (2xx). Raises Rejected for 4xx, NoDoor before anything was sent, and Unknown for
    everything else, whatever it was: a cut connection, a time-out, 3xx, 5xx, an answer that is none.
    """
    address = urlsplit(settings.BANK_URL)
    if not address.hostname or address.scheme not in ("https", "http"):
        raise NoDoor("PICKUP_BANK is not set")
    if address.scheme == "http" and address.hostname not in LOCAL:
        raise NoDoor("PICKUP_BANK must be https")
    kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
    connection = kind(address.hostname, address.port, timeout=TIMEOUT_S)
    headers = {"Content-Type": content_type, "Idempotency-Key": name, "X-File-Name": name}
    if settings.BANK_TOKEN:
        headers["Authorization"] = f"Bearer {settings.BANK_TOKEN}"
    try:
        path = (address.path or "/") + (f"?{address.query}" if address.query else "")
        connection.request("POST", path, body=content, headers=headers)
        answer = connection.getresponse()
        words = answer.read(LONGEST_ANSWER).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        raise Unknown(type(error).__name__) from error
    finally:
        connection.close()
    if 200 <= answer.status < 300:
        return
    if 400 <= answer.status < 500 and answer.status not in (408, 409, 425, 429):
        raise Rejected(f"{answer.status} {' '.join(words.split())[:200]}")
    raise Unknown(f"{answer.status}")
