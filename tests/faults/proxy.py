"""A small proxy that cuts connections at random, on either side of any piece of data."""

from __future__ import annotations

import random
import socket
import struct
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType

CHUNK = 65_536


class Proxy:
    """Listens on a port of its own and passes on to `(host, port)` or to a unix socket.

    Each piece of data is dropped, and both connections reset, with the probability `cut`; which ones follows from the
    seed. `cut_answers` instead lets each connection's request through and cuts its first answer.
    """

    def __init__(
        self, to: tuple[str, int] | Path, *, cut: float = 0.0, cut_answers: bool = False, seed: int = 7
    ) -> None:
        self.to, self.cut, self.cut_answers = to, cut, cut_answers
        self.random, self.lock = random.Random(seed), threading.Lock()
        self.cuts = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            try:
                far = self._connect()
            except OSError:
                near.close()
                continue
            for source, sink, is_answer in ((near, far, False), (far, near, True)):
                threading.Thread(target=self._pass_on, args=(source, sink, is_answer), daemon=True).start()

    def _connect(self) -> socket.socket:
        if isinstance(self.to, tuple):
            return socket.create_connection(self.to, timeout=300)
        far = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        far.connect(str(self.to))
        return far

    def _pass_on(self, source: socket.socket, sink: socket.socket, is_answer: bool) -> None:
        try:
            while data := source.recv(CHUNK):
                if self._is_cut(is_answer):
                    break
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            with suppress(OSError):
                # Zero seconds to linger: the other side learns of it by a reset, as when a cable is pulled.
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _is_cut(self, is_answer: bool) -> bool:
        with self.lock:
            cut = is_answer if self.cut_answers else self.random.random() < self.cut
            self.cuts += cut
        return cut
