"""The body of a HTTP response as it was meant: chunks joined, compression undone, in bounded memory.

Crawlers often store the body decoded and leave the headers as they were. So a body that does not look as its headers
say (no chunk size, no gzip magic) is taken as it is.
"""

from __future__ import annotations

import re
import zlib

_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]{0,256})?\r?\n")
_MAX_MEMBERS = 16  # gzip members in one body


class Undecodable(Exception):
    """The body cannot be decoded: the quarantine's error and detail."""

    def __init__(self, error: str, detail: str):
        super().__init__(error, detail)
        self.error, self.detail = error, detail


def decoded(body: bytes, transfer: str, encoding: str, limit: int) -> bytes:
    """The body by its Transfer-Encoding and Content-Encoding. Raises Undecodable, also where it is beyond `limit`."""
    if "chunked" in transfer.lower():
        body = _joined(body)
    codings = [coding.strip().lower() for coding in encoding.split(",")]
    for coding in reversed([coding for coding in codings if coding not in ("", "identity", "none")]):
        if coding in ("gzip", "x-gzip", "deflate"):
            body = _inflated(body, coding, limit)
        elif body.lstrip()[:1] != b"<":
            raise Undecodable("unsupported_encoding", f"Content-Encoding is {coding[:40]!r}; allowed: gzip, deflate")
    if len(body) > limit:
        raise Undecodable("too_long", f"a page of {len(body)} bytes; the limit is {limit}")
    return body


def _joined(body: bytes) -> bytes:
    """The chunks' bytes; of a body that was cut, those there are."""
    joined, at = bytearray(), 0
    while match := _CHUNK.match(body, at):
        size = int(match[1], 16)
        if size == 0:
            return bytes(joined)
        joined += body[match.end() : match.end() + size]
        at = match.end() + size
        at += 2 if body[at : at + 2] == b"\r\n" else body[at : at + 1] == b"\n"
    return bytes(joined) if joined and at >= len(body) else body if not joined else bytes(joined + body[at:])


def _inflated(body: bytes, coding: str, limit: int) -> bytes:
    if coding != "deflate" and body[:2] != b"\x1f\x8b":
        return body
    wbits = 31 if body[:2] == b"\x1f\x8b" else 15 if _is_zlib(body) else -15
    out = b""
    try:
        for _ in range(_MAX_MEMBERS):
            decoder = zlib.decompressobj(wbits=wbits)
            out += decoder.decompress(body, limit + 1 - len(out))
            if len(out) > limit:
                raise Undecodable("too_long", f"the page decompresses to more than {limit} bytes")
            body = decoder.unused_data
            if wbits != 31 or body[:2] != b"\x1f\x8b":
                return out
    except zlib.error as error:
        if coding == "deflate" and not out and body.lstrip()[:1] == b"<":
            return body
        raise Undecodable("corrupt", f"Content-Encoding is {coding}: {error}") from error
    raise Undecodable("corrupt", f"Content-Encoding is {coding}: more than {_MAX_MEMBERS} members")


def _is_zlib(body: bytes) -> bool:
    return len(body) > 1 and body[0] & 15 == 8 and (body[0] << 8 | body[1]) % 31 == 0
