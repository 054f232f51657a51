"""A bank's address that keeps every byte it hears, and answers as it is told."""

from __future__ import annotations

import re
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread


class Bank:
    """Hears raw bytes, one entry for each connection, and answers 200 once a whole request is there."""

    def __init__(self, answer: bytes = b"200 OK") -> None:
        self.heard: list[bytearray] = []
        self.answer = answer
        self.door = socket.create_server(("127.0.0.1", 0))
        self.door.settimeout(0.2)
        self.is_open = True
        self.thread = Thread(target=self._listen, daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.door.getsockname()[1]}/payments"

    def _listen(self) -> None:
        while self.is_open:
            try:
                caller, _ = self.door.accept()
            except TimeoutError:
                continue
            with caller:
                self._hear(caller)

    def _hear(self, caller: socket.socket) -> None:
        words = bytearray()
        self.heard.append(words)
        caller.settimeout(20)
        while part := caller.recv(65_536):
            words += part
            head, blank, body = bytes(words).partition(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", head)
            if blank and length and len(body) >= int(length[1]):
                caller.sendall(b"HTTP/1.1 " + self.answer + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                return

    def orders(self) -> Counter[bytes]:
        """How often each end-to-end id was heard, in whole requests and in halves of them."""
        return Counter(found for words in self.heard for found in set(re.findall(rb"PN-\d+-\d+-[0-9a-f]{10}", words)))

    def close(self) -> None:
        self.is_open = False
        self.thread.join()
        self.door.close()


@contextmanager
def a_bank(answer: bytes = b"200 OK") -> Iterator[Bank]:
    bank = Bank(answer)
    try:
        yield bank
    finally:
        bank.close()
