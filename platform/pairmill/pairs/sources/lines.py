"""Lines of a text file, several thousand at a time, with exact offsets, and the index of where to cut it.

Lines end with `\\n` alone; the last one may lack it. A line beyond the limit is not held in memory: it comes as
`TooLong`, with its start. A stream that ends early gives its complete lines, then one `Damage`, which takes the
unfinished line with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pairmill.pairs.batch import QUARANTINE_BYTES
from pairmill.pairs.sources.streams import BLOCK, Damaged, raw_blocks, text_blocks

MAX_LINE = 64 << 20
BOM = b"\xef\xbb\xbf"
#: Damage of a file of which nothing was read: quarantine holds its path instead of bytes.
WHOLE_FILE = ("empty_file", "bad_compression")


@dataclass(frozen=True)
class Lines:
    data: bytes  # whole lines
    offset: int  # of the first

    def split(self) -> list[bytes]:
        """The lines without their `\\n`."""
        lines = self.data.split(b"\n")
        if not lines[-1]:
            lines.pop()
        return lines


@dataclass(frozen=True)
class TooLong:
    """One line of `length` bytes; `data` is how it starts."""

    data: bytes
    offset: int
    length: int


@dataclass(frozen=True)
class Damage:
    """Nothing can be read from `offset` on. `data` is the unfinished line."""

    error: str
    offset: int
    detail: str
    data: bytes


def read_lines(
    uri: str, where: str, start: int = 0, stop: int | None = None, limit: int = MAX_LINE
) -> Iterator[Lines | TooLong | Damage]:
    """The lines of a file, or of a range of it that starts and stops at lines. A byte order mark is dropped."""
    held = _Held(start, limit)
    first = start == 0
    damage: Damaged | None = None
    blocks = text_blocks(uri, where, start, stop)
    while True:
        try:
            block = next(blocks, None)
        except Damaged as error:
            damage = error
            break
        if block is None:
            break
        if first:
            block = held.drop_mark(block)
            first = False
        for at in range(0, len(block), BLOCK):
            yield from held.add(block[at : at + BLOCK] if len(block) > BLOCK else block)
    if damage is None:
        yield from held.last()
    else:
        data = uri.encode() if damage.error in WHOLE_FILE else held.unfinished()
        yield Damage(damage.error, damage.offset, damage.detail, data)


class _Held:
    """The start of a line whose end has not been read yet."""

    def __init__(self, offset: int, limit: int):
        self.offset, self.limit = offset, limit
        self.parts: list[bytes] = []
        self.size = 0

    def drop_mark(self, block: bytes) -> bytes:
        if block.startswith(BOM):
            self.offset += len(BOM)
            return block[len(BOM) :]
        return block

    def unfinished(self) -> bytes:
        return b"".join(self.parts)

    def _hold(self, data: bytes) -> None:
        self.parts.append(data)
        self.size += len(data)
        if self.size > self.limit:
            self.parts = [self.unfinished()[:QUARANTINE_BYTES]]

    def add(self, block: bytes) -> Iterator[Lines | TooLong]:
        end = block.rfind(b"\n") + 1
        if not end:
            self._hold(block)
            return
        first = block.find(b"\n") + 1
        if self.size + first - 1 > self.limit:
            yield self._too_long(block[:first], self.size + first)
            whole = block[first:end]
        else:
            whole = b"".join([*self.parts, block[:end]]) if self.parts else block[:end]
        if whole:
            yield Lines(whole, self.offset)
            self.offset += len(whole)
        self.parts, self.size = [], 0
        if end < len(block):
            self._hold(block[end:])

    def _too_long(self, tail: bytes, size: int) -> TooLong:
        data = (self.unfinished() + tail)[:QUARANTINE_BYTES]
        line = TooLong(data, self.offset, size)
        self.offset += size
        return line

    def last(self) -> Iterator[Lines | TooLong]:
        if self.size > self.limit:
            yield TooLong(self.unfinished()[:QUARANTINE_BYTES], self.offset, self.size)
        elif self.size:
            yield Lines(self.unfinished(), self.offset)


@dataclass(frozen=True)
class Cut:
    """Where a piece starts: a line's byte offset and its 0-based number."""

    offset: int
    row: int


def cut_by_size(uri: str, where: str, size: int) -> tuple[list[Cut], int]:
    """Cuts of an uncompressed file at line starts, `size` bytes apart or a line more, and how many lines it has.

    The first cut is (0, 0).
    """
    cuts = [Cut(0, 0)]
    offset = row = 0
    last = b"\n"
    for block in raw_blocks(uri, where):
        ends: np.ndarray | None = None
        at = 0
        while (wanted := cuts[-1].offset + size) <= offset + len(block):
            end = block.find(b"\n", max(wanted - offset - 1, at)) + 1
            if not end:
                break
            ends = np.flatnonzero(np.frombuffer(block, np.uint8) == 10) if ends is None else ends
            cuts.append(Cut(offset + end, row + int(np.searchsorted(ends, end))))
            at = end
        offset += len(block)
        row += block.count(b"\n")
        last = block[-1:]
    if len(cuts) > 1 and cuts[-1].offset >= offset:
        cuts.pop()
    return cuts, row + (last != b"\n")


def cut_at_rows(uri: str, where: str, rows: list[int]) -> tuple[list[Cut], int]:
    """Where the lines numbered `rows` (ascending) start in an uncompressed file, and how many lines it has.

    Rows at or beyond the number of lines have no cut.
    """
    cuts = [Cut(0, 0)] if rows and rows[0] == 0 else []
    offset = row = 0
    last = b"\n"
    for block in raw_blocks(uri, where):
        count = block.count(b"\n")
        wanted = [number for number in rows[len(cuts) :] if number <= row + count]
        if wanted:
            ends = np.flatnonzero(np.frombuffer(block, np.uint8) == 10) + 1
            cuts += [Cut(offset + int(ends[number - row - 1]), number) for number in wanted]
        offset += len(block)
        row += count
        last = block[-1:]
    total = row + (last != b"\n")
    return [cut for cut in cuts if cut.row < total], total
