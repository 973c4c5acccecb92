"""A TCP relay before a server, that tests cut: connections break off, or nobody listens for a while."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress


class Relay:
    """Listens on a port of 127.0.0.1 and passes everything on to another, until it is closed."""

    def __init__(self, target: int):
        self._target = target
        self._open: list[socket.socket] = []
        self._listen(0)
        self.port = int(self._server.getsockname()[1])

    def cut(self) -> None:
        """Break off all connections that are open; new ones are welcome."""
        for end in self._open:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def go_away(self) -> None:
        """Stop listening, and break off all connections."""
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self.cut()

    def come_back(self) -> None:
        self._listen(self.port)

    def _listen(self, port: int) -> None:
        self._server = socket.socket()
        self._server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._server.bind(("127.0.0.1", port))
        self._server.listen()
        threading.Thread(target=self._accept, args=[self._server], daemon=True).start()

    def _accept(self, server: socket.socket) -> None:
        while True:
            try:
                client, _ = server.accept()
                target = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                return
            self._open += [client, target]
            for one, other in ((client, target), (target, client)):
                threading.Thread(target=_pass_on, args=[one, other], daemon=True).start()


def _pass_on(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while data := one.recv(65536):
            other.sendall(data)
    with suppress(OSError):
        other.shutdown(socket.SHUT_WR)
