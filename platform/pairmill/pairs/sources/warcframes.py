"""Records of a WARC file as bytes, with each damaged one told and, where possible, those behind it.

A reader that trusts `Content-Length` swallows the next record where it is too long, and hands on half a record at the
end of a truncated file; so records are framed here, and parsed elsewhere:

1. A record is its head, `Content-Length` bytes, and blank lines. If those, the next record or the file's end do not
   follow, the length is wrong: the record is broken, and reading goes on at the next `WARC/1.x` that begins a line.
2. Crawlers compress each record by itself. Behind data that do not decompress, the next gzip member or zstd frame that
   begins with `WARC/` is looked for. A record whose member fails its checksum is broken, though it could be read.
3. A record beyond the limit is passed over without being held, to the next line of that kind.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import zstandard

from pairmill.pairs.batch import QUARANTINE_BYTES
from pairmill.pairs.sources.streams import Damaged, codec_of, decompressed, raw_blocks, text_blocks

#: No record is held that is larger, in bytes; crawlers cut pages at a few MB.
MAX_RECORD = 32 << 20
MAX_HEAD = 64 << 10
_LINE = re.compile(rb"WARC/\d\.\d{1,2}\r?\n")
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_LENGTH = re.compile(rb"^content-length[ \t]*:[ \t]*(\d{1,15})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_MAGIC = {"gzip": b"\x1f\x8b\x08", "zstd": b"\x28\xb5\x2f\xfd"}
#: Places where compressed data may be corrupt before the rest of the file is given up: each costs about 1 ms.
MAX_GAPS = 1000
_SLICE = 64 << 10  # of the file, read at once: what is copied at each such place
_PROBE = 1 << 10  # compressed bytes that are enough to see what a member begins with
_MARK = 20  # bytes of the longest start line and the character before it


@dataclass(frozen=True)
class Frame:
    """A whole record: `data` is head, empty line and block."""

    data: bytes
    offset: int


@dataclass(frozen=True)
class Broken:
    error: str
    offset: int
    detail: str
    data: bytes


class _Suspect(Broken):
    """The record before was read whole, but from data that turned out to be corrupt."""


def read_frames(uri: str, where: str) -> Iterator[Frame | Broken]:
    """The records of a file in order, one for one. Offsets are of the decompressed bytes that could be had."""
    frames = _Frames(_blocks(uri, where), uri)
    held: Frame | Broken | None = None
    for found in frames.read():
        if isinstance(found, _Suspect) and held is not None:
            held = Broken(found.error, held.offset, found.detail, held.data[:QUARANTINE_BYTES])
            continue
        if held is not None:
            yield held
        held = found
    if held is not None:
        yield held


def _blocks(uri: str, where: str) -> Iterator[bytes | Damaged]:
    """The decompressed bytes, with a `Damaged` where some are missing; more may follow it."""
    raw = _slices(raw_blocks(uri, where))
    first = next(raw, b"")
    codec = codec_of(first)
    text = decompressed(chain([first], raw), codec) if codec else text_blocks(uri, where)
    for _ in range(MAX_GAPS):
        try:
            yield from text
            return
        except Damaged as damage:
            yield damage
            if codec not in _MAGIC or damage.error != "corrupt":
                return
            found = _next_member(damage.rest, raw, codec)
            if found is None:
                return
            text = decompressed(chain([found], raw), codec)
    yield Damaged("corrupt", 0, f"damaged in more than {MAX_GAPS} places: the rest of the file is not read")


def _slices(blocks: Iterator[bytes]) -> Iterator[bytes]:
    for block in blocks:
        for at in range(0, len(block), _SLICE):
            yield block[at : at + _SLICE]


def _next_member(rest: bytes, raw: Iterator[bytes], codec: str) -> bytes | None:
    """The compressed bytes from the next record's start on, as far as they have been read."""
    magic, data, at = _MAGIC[codec], rest, 1
    while True:
        at = data.find(magic, at)
        if 0 <= at <= len(data) - _PROBE:
            if _begins_record(data[at : at + _PROBE], codec):
                return data[at:]
            at += 1
            continue
        keep = at if at >= 0 else max(len(data) - len(magic) + 1, 0)
        more = next(raw, None)
        if more is None:
            return data[at:] if at >= 0 and _begins_record(data[at:], codec) else None
        data, at = data[keep:] + more, 0


def _begins_record(data: bytes, codec: str) -> bool:
    try:
        if codec == "gzip":
            return zlib.decompressobj(wbits=31).decompress(data, 16).startswith(b"WARC/")
        return zstandard.ZstdDecompressor().stream_reader(data).read(5) == b"WARC/"
    except (zlib.error, zstandard.ZstdError):
        return False


class _Frames:
    def __init__(self, items: Iterator[bytes | Damaged], uri: str):
        self.items, self.uri = items, uri
        self.data, self.at, self.base = bytearray(), 0, 0  # `base`: offset of data[0]
        self.gap: Damaged | None = None  # what follows `data`
        self.ended = False
        self.no_head_end = 0  # no head ends before this offset, so that no byte is searched again and again

    def _more(self) -> bool:
        """Read a block; False at a gap and at the end."""
        if self.ended or self.gap is not None:
            return False
        if self.at > len(self.data) // 2:
            del self.data[: self.at]
            self.base, self.at = self.base + self.at, 0
        item = next(self.items, None)
        if isinstance(item, bytes):
            self.data += item
            return True
        self.gap, self.ended = item, item is None
        return False

    def _ensure(self, size: int) -> bool:
        while len(self.data) - self.at < size:
            if not self._more():
                return False
        return True

    def read(self) -> Iterator[Frame | Broken]:
        while True:
            while self._ensure(1) and self.data[self.at] in b"\r\n":
                self.at += 1
            if self._ensure(1):
                yield self._record()
                continue
            if self.gap is None:
                return
            gap, self.gap = self.gap, None
            if gap.error == "corrupt" and gap.inside:
                yield _Suspect(gap.error, self.base + self.at, gap.detail, self.uri.encode())
            else:
                yield Broken(gap.error, self.base + self.at, gap.detail, self.uri.encode())

    def _record(self) -> Frame | Broken:
        start = self.base + self.at
        self._ensure(_MARK)
        if not _LINE.match(self.data, self.at):
            cut = b"WARC/1.1\r\n".startswith(bytes(self.data[self.at : self.at + _MARK]))
            detail = "no WARC/1.x where a record must begin"
            return self._broken("malformed_warc", start, detail, 1, ending="truncated" if cut else "")
        head = self._head_size()
        if head == 0:
            cut = len(self.data) - self.at < MAX_HEAD
            detail = "a head without an end" if cut else f"no end of the head within {MAX_HEAD} bytes"
            return self._broken("malformed_warc", start, detail, 1, ending="truncated" if cut else "")
        inner = self._next_start(self.at + 1, self.at + head)
        if inner is not None:
            return self._broken("malformed_warc", start, "a head inside a head", inner - self.at)
        length = _LENGTH.search(self.data, self.at, self.at + head)
        if length is None:
            return self._broken("malformed_warc", start, "a head without a Content-Length", head)
        size = int(length[1])
        if size > MAX_RECORD:
            return self._broken("too_long", start, f"a record of {size} bytes; the limit is {MAX_RECORD}", head)
        if not self._ensure(head + size):
            detail = f"{head + size} bytes announced, {len(self.data) - self.at} there"
            return self._broken("wrong_length", start, detail, head, ending="truncated")
        if not self._is_boundary(head + size):
            detail = f"Content-Length is {size}, but no record begins behind that"
            return self._broken("wrong_length", start, detail, head)
        data = bytes(self.data[self.at : self.at + head + size])
        self.at += head + size
        return Frame(data, start)

    def _head_size(self) -> int:
        """Bytes of the head with its empty line; 0: too long, or cut."""
        while True:
            first, last = max(self.at, self.no_head_end - self.base), self.at + MAX_HEAD
            end = _HEAD_END.search(self.data, first, last)
            if end:
                self.no_head_end = self.base + end.start()
                return end.end() - self.at
            self.no_head_end = max(self.no_head_end, self.base + min(last, len(self.data)) - 3)
            if len(self.data) >= last or not self._more():
                return 0

    def _is_boundary(self, size: int) -> bool:
        """Whether the file ends behind `size` bytes, or what ends a record stands there."""
        self._ensure(size + 4 + _MARK)
        behind = bytes(self.data[self.at + size : self.at + size + 4 + _MARK])
        rest = behind.lstrip(b"\r\n")
        return not rest or behind.startswith(b"\r\n\r\n") or (rest.startswith(b"WARC/") and len(rest) < len(behind))

    def _next_start(self, at: int, stop: int | None = None) -> int | None:
        """The index of the next line that begins a record (`find` is many times as fast as a regular expression)."""
        while (found := self.data.find(b"\nWARC/", max(at - 1, 0), stop)) >= 0:
            if _LINE.match(self.data, found + 1):
                return found + 1
            at = found + 2
        return None

    def _broken(self, error: str, start: int, detail: str, skip: int, ending: str = "") -> Broken:
        """A broken record: it ends where, `skip` bytes on or later, another seems to begin.

        Where none does before the data end, `ending` is its error, or what cut the data short.
        """
        data = bytearray()
        skip = min(skip, len(self.data) - self.at)
        while True:
            start_line = self._next_start(self.at + skip)
            stop = max(len(self.data) - _MARK, self.at + skip) if start_line is None else start_line
            data += self.data[self.at : min(stop, self.at + QUARANTINE_BYTES - len(data))]
            self.at, skip = stop, 0
            if start_line is not None:
                return Broken(error, start, detail, bytes(data))
            if not self._more():
                break
        data += self.data[self.at :]
        self.at = len(self.data)
        error = ending or error
        if self.gap is not None:
            error, detail, self.gap = self.gap.error, f"{self.gap.detail} ({detail})", None
        return Broken(error, start, detail, bytes(data[:QUARANTINE_BYTES]))
