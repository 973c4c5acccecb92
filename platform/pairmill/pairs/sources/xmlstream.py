"""Elements of an XML file, one at a time, in bounded memory, whatever is wrong with it or meant by it.

1. The text is brought to UTF-8 (a byte order mark or the declaration says from what) and fed to expat.
2. Nothing is resolved or expanded: a document that declares entities is refused (`hostile_xml`), external ones are
   never fetched. Depth, the number of elements and the bytes of a record, and of a single tag, are bounded.
3. Where a record is damaged, it is one `Broken`; parsing starts again, inside the same ancestors, at the next start
   of such an element. Each byte is searched and parsed a bounded number of times.
4. A file that ends early gives its complete elements, then one `Broken` (`truncated`, or what the compression says).
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol
from xml.parsers import expat

from pairmill.pairs.batch import QUARANTINE_BYTES
from pairmill.pairs.sources.streams import Damaged, text_blocks

#: No record, and no single tag or comment, is longer, in bytes.
MAX_RECORD = 16 << 20
MAX_DEPTH = 128
MAX_ELEMENTS = 200_000  # in one record: Python objects take many times the bytes of `<a/>`
_STEP = 64 << 10
_ROOT = "_"  # around what comes after damage: outside of a root expat takes all up to the next quote for one token
_HEAD = 1 << 10
_ENCODING = re.compile(rb"""^\s*<\?xml[^>]*?encoding\s*=\s*["']([A-Za-z0-9._:-]+)["']""")
_TEXT_ENCODINGS = re.compile("(utf-16|utf-32|iso8859|cp|koi8|shift_jis|euc_|gb|big5|mac-|tis-620|johab|iso2022)")
_QUOTED = re.compile(rb"""("[^"]*("|\Z)|'[^']*('|\Z))""")
_ENDS_EARLY = (expat.errors.codes[expat.errors.XML_ERROR_NO_ELEMENTS],
               expat.errors.codes[expat.errors.XML_ERROR_UNCLOSED_TOKEN],
               expat.errors.codes[expat.errors.XML_ERROR_PARTIAL_CHAR],
               expat.errors.codes[expat.errors.XML_ERROR_UNCLOSED_CDATA_SECTION])  # fmt: skip


@dataclass(frozen=True)
class Element:
    """What a record's handler made of it. `offset` and `size` are bytes of the (decompressed) file in UTF-8."""

    value: Any
    offset: int
    size: int


@dataclass(frozen=True)
class Broken:
    """A record, or the rest of the file, that cannot be read. `offset` is None where the file is not UTF-8."""

    error: str
    offset: int | None
    detail: str
    data: bytes


class Refused(Exception):
    """The record cannot be used; parsing goes on at the next start of one, which may be the tag that raised it."""

    def __init__(self, error: str, detail: str):
        super().__init__(error, detail)
        self.error, self.detail = error, detail


class Handler(Protocol):
    """Makes a value of a record's events; `outside` hears of the elements that are in no record."""

    def begin(self, attributes: dict[str, str]) -> None: ...
    def start(self, name: str, attributes: dict[str, str]) -> None: ...
    def end(self, name: str) -> None: ...
    def text(self, data: str) -> None: ...
    def finish(self) -> Any: ...
    def outside(self, name: str, attributes: dict[str, str]) -> None: ...


def read_elements(uri: str, where: str, name: str, handler: Handler) -> Iterator[Element | Broken]:
    """The elements called `name` that are in no other of that name."""
    damage: list[Damaged] = []
    blocks = _until_damage(text_blocks(uri, where), damage)
    head = next(blocks, b"")
    while len(head) < _HEAD and (more := next(blocks, b"")):
        head += more
    codec = _codec(head)
    if isinstance(codec, Broken):
        yield codec
        return
    exact = codec is None
    for found in _Stream(name, handler).read(_decoded(_before(head, blocks), codec), damage, uri):
        yield found if exact or isinstance(found, Element) else Broken(found.error, None, found.detail, found.data)


def _until_damage(blocks: Iterator[bytes], damage: list[Damaged]) -> Iterator[bytes]:
    try:
        yield from blocks
    except Damaged as error:
        damage.append(error)


def _before(head: bytes, blocks: Iterator[bytes]) -> Iterator[bytes]:
    if head:
        yield head
    yield from blocks


def _codec(head: bytes) -> str | Broken | None:
    """The encoding to decode from; None: UTF-8, or as good as (ASCII)."""
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    if head[:4] in (b"<\0?\0", b"\0<\0?"):
        return "utf-16-le" if head[0] else "utf-16-be"
    declared = _ENCODING.match(head[:_HEAD].removeprefix(codecs.BOM_UTF8))
    if declared is None or head.startswith(codecs.BOM_UTF8):
        return None
    try:
        name = codecs.lookup(declared[1].decode()).name
    except LookupError:
        name = ""
    if name in ("utf-8", "ascii") or name.startswith("utf-16"):  # this very declaration is readable as ASCII
        return None
    if not _TEXT_ENCODINGS.match(name):
        detail = f"the file says encoding={declared[1].decode()!r}, which is not known"
        return Broken("unknown_charset", 0, detail, head[:_HEAD])
    return name


def _decoded(blocks: Iterator[bytes], codec: str | None) -> Iterator[bytes]:
    if codec is None:
        yield from blocks
        return
    decoder = codecs.getincrementaldecoder(codec)(errors="replace")
    for block in blocks:
        yield decoder.decode(block).encode("utf-8", "replace")
    yield decoder.decode(b"", final=True).encode("utf-8", "replace")


@dataclass
class _Failure:
    error: str
    detail: str
    at: int  # where parsing may go on, offset
    start: int  # of what is lost


class _Stream:
    """The parser's state. All offsets are absolute; `kept` holds the bytes from `kept_at` on."""

    def __init__(self, name: str, handler: Handler):
        self.name, self.handler = name, handler
        self.pattern = re.compile(rb"<" + re.escape(name.encode()) + rb"(?=[\s/>])")
        self.kept, self.kept_at, self.fed = bytearray(), 0, 0
        self.done: list[Element] = []
        self.path: list[str] = []  # of the open elements
        self.ancestors: list[str] = []  # of the last record
        self._start(0)

    @property
    def _beyond(self) -> str:
        return f"a {f'<{self.name}>' if self.depth >= 0 else 'tag or comment'} of more than {MAX_RECORD} bytes"

    def _start(self, offset: int) -> None:
        """A new parser, for the bytes from `offset` on."""
        parser = expat.ParserCreate("utf-8")
        parser.buffer_text = True
        parser.StartElementHandler, parser.EndElementHandler = self._opened, self._closed
        parser.EntityDeclHandler = self._entity
        if offset and self.ancestors[:1] != [_ROOT]:
            self.ancestors = [_ROOT, *self.ancestors]
        prolog = b"".join(b"<" + name.encode() + b">" for name in self.ancestors)
        self.parser, self.depth, self.path = parser, -1, []  # depth of the record that is open
        self.refused_at = self.started = offset
        self.begun = self.behind = offset  # the open record's start, and the end of the one before
        self.elements = 0
        self.base = offset - len(prolog)
        self.restarting = True
        parser.Parse(prolog, False)
        self.restarting = False

    def _here(self) -> int:
        return self.base + max(self.parser.CurrentByteIndex, 0)

    def _refuse(self, error: str, detail: str) -> None:
        self.refused_at = self._here()  # expat reads on to the end of what it was given, without handlers
        raise Refused(error, detail)

    def _entity(self, name: str, *_: Any) -> None:
        self._refuse("hostile_xml", f"the document declares the entity {name[:40]!r}; entities are not expanded")

    def _opened(self, name: str, attributes: dict[str, str]) -> None:
        if len(self.path) >= MAX_DEPTH:
            self._refuse("too_deep", f"elements are nested {MAX_DEPTH} deep")
        self.path.append(name)
        if self.depth >= 0:
            self.elements += 1
            if self.elements > MAX_ELEMENTS:
                self._refuse("too_long", f"a record of more than {MAX_ELEMENTS} elements")
            try:
                self.handler.start(name, attributes)
            except Refused as error:
                self._refuse(error.error, error.detail)
        elif name == self.name and not self.restarting:
            self.depth, self.begun, self.elements = len(self.path), self._here(), 0
            self.ancestors = self.path[:-1]
            self.parser.CharacterDataHandler = self.handler.text
            self.parser.SkippedEntityHandler = self._skipped
            self.handler.begin(attributes)
        elif not self.restarting:
            self.handler.outside(name, attributes)

    def _skipped(self, name: str, is_parameter: bool) -> None:
        self._refuse("malformed_xml", f"the entity {name[:40]!r} is not known")

    def _closed(self, name: str) -> None:
        if len(self.path) == self.depth:
            if self._here() - self.begun > MAX_RECORD:
                self._refuse("too_long", self._beyond)
            self.parser.CharacterDataHandler = None
            self.depth = -1
            offset = self.begun
            self.behind = self._here()
            self.done.append(Element(self.handler.finish(), offset, self.behind - offset))
        elif self.depth >= 0:
            self.handler.end(name)
        self.path.pop()

    def read(self, blocks: Iterator[bytes], damage: list[Damaged], uri: str) -> Iterator[Element | Broken]:
        lost: _Failure | None = None
        for block in blocks:
            self.kept += block
            end = self.kept_at + len(self.kept)
            while self.fed < end:
                if lost is not None:
                    found = self._next_start(lost.at)
                    if found is None:
                        self.fed = lost.at = max(lost.at, end - len(self.name) - 2)
                        break
                    yield self._broken(lost, found)
                    lost = None
                    self._start(found)
                    self.fed = found
                unread = self.fed - self._here()  # a tag that has not ended is scanned again with each step
                lost = self._feed(min(self.fed + max(_STEP, unread), end))
                yield from self._take()
                if lost is not None and lost.error == "hostile_xml":
                    yield self._broken(lost, lost.start + QUARANTINE_BYTES)
                    return
            self._forget(lost)
        if lost is None and not damage:
            lost = self._finish()
            yield from self._take()
        if lost is not None:
            yield self._broken(lost, lost.start + QUARANTINE_BYTES)
        if damage:
            yield self._damaged(damage[0], uri, lost is not None)

    def _take(self) -> list[Element]:
        done, self.done = self.done, []
        return done

    def _next_start(self, at: int) -> int | None:
        match = self.pattern.search(self.kept, at - self.kept_at)
        return None if match is None else self.kept_at + match.start()

    def _feed(self, stop: int) -> _Failure | None:
        """Parse the bytes from `fed` to `stop`."""
        try:
            with memoryview(self.kept) as view, view[self.fed - self.kept_at : stop - self.kept_at] as part:
                self.parser.Parse(part, False)
        except expat.ExpatError as error:
            at = self.base + max(self.parser.ErrorByteIndex, 0)
            return self._failure("malformed_xml", str(error), at)
        except Refused as error:
            return self._failure(error.error, error.detail, self.refused_at)
        self.fed = stop
        unread = stop - (self.begun if self.depth >= 0 else self._here())
        if unread > MAX_RECORD:
            return self._failure("too_long", self._beyond, stop)
        return None

    def _failure(self, error: str, detail: str, at: int) -> _Failure:
        start = self.begun if self.depth >= 0 else self._tag_before(at)
        return _Failure(error, detail, max(at, self.started + 1), start)

    def _tag_before(self, at: int) -> int:
        """Where the record's own tag starts if that is what is damaged, else `at`."""
        at_kept = max(at - self.kept_at, 0)
        found = self.kept.rfind(b"<", 0, at_kept)
        if found < 0 or self.kept_at + found <= self.behind or not self.pattern.match(self.kept, found):
            return at
        is_open = b">" not in _QUOTED.sub(b"", self.kept[found:at_kept])
        return self.kept_at + found if is_open else at

    def _finish(self) -> _Failure | None:
        try:
            if self.started and self.path == [_ROOT]:
                self.parser.Parse(f"</{_ROOT}>".encode(), False)
            self.parser.Parse(b"", True)
        except expat.ExpatError as error:
            code = "truncated" if error.code in _ENDS_EARLY or self.depth >= 0 or self.path else "malformed_xml"
            return self._failure(code, f"the file ends early: {error}", self.fed)
        except Refused as error:
            return self._failure(error.error, error.detail, self.fed)
        return None

    def _broken(self, lost: _Failure, stop: int) -> Broken:
        first = max(lost.start - self.kept_at, 0)
        data = bytes(self.kept[first : min(stop - self.kept_at, first + QUARANTINE_BYTES)])
        return Broken(lost.error, lost.start, lost.detail, data)

    def _damaged(self, damage: Damaged, uri: str, apart: bool) -> Broken:
        if apart or self.depth < 0:
            return Broken(damage.error, damage.offset, damage.detail, uri.encode())
        lost = _Failure(damage.error, damage.detail, self.fed, self.begun)
        return self._broken(lost, self.begun + QUARANTINE_BYTES)

    def _forget(self, lost: _Failure | None) -> None:
        """Drop the bytes that no entry and no search will want."""
        first = lost.at if lost else min(self._here(), self.begun if self.depth >= 0 else self.fed)
        if lost:
            first = min(first, lost.start) if lost.at - lost.start < QUARANTINE_BYTES else first
        drop = max(first - self.kept_at, 0)
        del self.kept[:drop]
        self.kept_at += drop
