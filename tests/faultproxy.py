"""An S3 server behind a bad network: a proxy that fails some requests, loses some answers, is slow, or is gone.

    with faultproxy.between(s3, Faults(errors=0.05)) as bad:
        bad.faults.gone = True

What goes wrong is drawn from a seeded generator. An answer that is lost is one of a request that the server has done: a
client that tries again finds its own work.
"""

from __future__ import annotations

import http.client
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime, parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import services

_ERROR = b"<Error><Code>InternalError</Code><Message>planted</Message></Error>"
_HOP = {"connection", "transfer-encoding", "keep-alive", "content-length", "date", "server"}


@dataclass
class Faults:
    """What goes wrong; shares are of all requests."""

    errors: float = 0.0  # answered 500, and not done
    lost: float = 0.0  # done, and answered 500
    hanging: float = 0.0  # no answer for `hang` seconds, then the connection is dropped
    hang: float = 40.0
    delay: float = 0.0  # seconds before each request
    ahead: float = 0.0  # seconds that the store's clock is ahead of the real one
    gone: bool = False  # connections are dropped at once
    seed: int = 0
    seen: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._random, self._lock = random.Random(self.seed), threading.Lock()

    def draw(self) -> str:
        """What becomes of the next request."""
        with self._lock:
            at = self._random.random()
            kind = "good"
            if self.gone:
                kind = "gone"
            elif at < self.errors:
                kind = "error"
            elif at < self.errors + self.lost:
                kind = "lost"
            elif at < self.errors + self.lost + self.hanging:
                kind = "hanging"
            self.seen[kind] += 1
            return kind


@dataclass
class BadS3(services.S3):
    """The server as its clients see it."""

    faults: Faults


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    faults: Faults
    upstream: tuple[str, int]

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        kind = self.faults.draw()
        time.sleep(self.faults.hang if kind == "hanging" else self.faults.delay)
        if kind in ("gone", "hanging"):
            self.close_connection = True
            self.connection.close()
            return
        if kind == "error":
            self._answer(500, {"Content-Type": "application/xml"}, _ERROR)
            return
        status, headers, data = self._forward(body)
        if kind == "lost":
            status, headers, data = 500, {"Content-Type": "application/xml"}, _ERROR
        self._answer(status, headers, data)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _serve

    def _forward(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(*self.upstream, timeout=60)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP}
        connection.request(self.command, self.path, body=body, headers={**headers, "Content-Length": str(len(body))})
        reply = connection.getresponse()
        data = reply.read()
        answered = {name: value for name, value in reply.getheaders() if name.lower() not in _HOP}
        if self.command == "HEAD":
            answered["Content-Length"] = reply.getheader("Content-Length") or "0"
        connection.close()
        return reply.status, answered, data

    def _answer(self, status: int, headers: dict[str, str], data: bytes) -> None:
        self.send_response_only(status)
        ahead = timedelta(seconds=self.faults.ahead)
        for name, value in headers.items():
            if name.lower() == "last-modified":
                value = format_datetime(parsedate_to_datetime(value) + ahead, usegmt=True)
            self.send_header(name, value)
        self.send_header("Date", format_datetime(datetime.now(timezone.utc) + ahead, usegmt=True))
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@contextmanager
def between(s3: services.S3, faults: Faults) -> Iterator[BadS3]:
    """A proxy before `s3`, in threads of this process."""
    parts = urlsplit(s3.env["AWS_ENDPOINT_URL"])
    handler = type("Handler", (_Handler,), {"faults": faults, "upstream": (parts.hostname, parts.port)})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield BadS3({**s3.env, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}"}, faults)
    finally:
        server.shutdown()
        server.server_close()
