"""Files as streams of decompressed blocks, in bounded memory, whatever is wrong with them.

A stream that ends early (truncated, corrupt, empty, not compressed as its name says) first gives all that can be
read, then raises `Damaged`. Compression is told by the file's first bytes, never by its name alone. Several gzip
members, bz2 streams or zstd frames one after another are one text; zero bytes after the last one are padding.
"""

from __future__ import annotations

import bz2
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import obstore
import zstandard
from obstore.exceptions import BaseError

from pairmill import objects
from pairmill.errors import SourceError
from pairmill.pairs.sources.stat import local_error, remote_error

BLOCK = 1 << 20  # bytes of text handed on at once
_LOCAL_READ, _REMOTE_READ = 1 << 20, 8 << 20
_ZSTD_WINDOW = 1 << 31  # of `zstd --long=31`, as Reddit dumps are made; memory is taken as it is used

EXTENSIONS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}
_UNSUPPORTED = {b"\xfd7zXZ\0": "xz", b"PK\x03\x04": "zip", b"7z\xbc\xaf": "7z", b"\x04\x22\x4d\x18": "lz4"}


class Damaged(Exception):
    """The stream ended early, at `offset` of its (decompressed) bytes. `error` is the quarantine's code.

    Of corrupt compressed data: `rest` is what was read but not decompressed, `inside` how many bytes of text the
    damaged member gave.
    """

    def __init__(self, error: str, offset: int, detail: str, rest: bytes = b"", inside: int = 0):
        super().__init__(error, offset, detail)
        self.error, self.offset, self.detail, self.rest, self.inside = error, offset, detail, rest, inside


def codec_of(head: bytes) -> str | None:
    """gzip, bz2 or zstd by a file's first bytes (10 or more), else None."""
    if head[:3] == b"\x1f\x8b\x08":
        return "gzip"
    if head[:3] == b"BZh" and head[3:4].isdigit() and head[4:10] in (b"1AY&SY", b"\x17rE8P\x90"):
        return "bz2"
    if head[:4] == b"\x28\xb5\x2f\xfd" or (len(head) > 3 and head[0] >> 4 == 5 and head[1:4] == b"\x2a\x4d\x18"):
        return "zstd"
    return None


def named_codec(uri: str) -> str | None:
    return EXTENSIONS.get(uri[uri.rfind(".") :].lower()) if "." in uri else None


def raw_blocks(uri: str, where: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
    """A file's bytes from `start` to `stop`."""
    if objects.is_remote(uri):
        yield from _remote_blocks(uri, where, start, stop)
        return
    try:
        with open(objects.local_path(uri), "rb", buffering=0) as file:
            file.seek(start)
            left = _LOCAL_READ if stop is None else stop - start
            while left and (block := file.read(min(_LOCAL_READ, left))):
                yield block
                left = left if stop is None else left - len(block)
    except OSError as error:
        raise local_error(where, uri, error) from error


def _remote_blocks(uri: str, where: str, start: int, stop: int | None) -> Iterator[bytes]:
    root, key = objects.split(uri)
    store = objects.bucket(root)
    try:
        end = obstore.head(store, key)["size"] if stop is None else stop
        for offset in range(start, end, _REMOTE_READ):
            yield bytes(obstore.get_range(store, key, start=offset, end=min(offset + _REMOTE_READ, end)))
    except (BaseError, FileNotFoundError, PermissionError) as error:
        raise remote_error(where, uri, error) from error


def text_blocks(uri: str, where: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
    """The decompressed bytes of a file, or of the range of an uncompressed one. Raises Damaged at an early end."""
    blocks = raw_blocks(uri, where, start, stop)
    first = next(blocks, b"")
    if start or stop is not None:
        yield from _chain(first, blocks)
        return
    if not first:
        raise Damaged("empty_file", 0, "the file has no bytes")
    codec, named = codec_of(first), named_codec(uri)
    if codec is None:
        if named is not None:
            raise Damaged("bad_compression", 0, f"named as {named}, but starts with {first[:8].hex(' ')}")
        yield from _chain(first, blocks)
        return
    yield from decompressed(_chain(first, blocks), codec)


def refuse_archives(uri: str, head: bytes, where: str) -> None:
    for magic, name in _UNSUPPORTED.items():
        if head.startswith(magic):
            raise SourceError(f"{where}: {uri} is a {name} file. Allowed: plain, .gz, .zst, .bz2. Convert it first.")


def _chain(first: bytes, blocks: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from blocks


class _Gzip:
    feed = 64 << 10

    def __init__(self) -> None:
        self._decoder = zlib.decompressobj(wbits=31)

    def step(self, data: memoryview) -> tuple[bytes, int]:
        before = self._decoder.copy()
        try:
            out = self._decoder.decompress(data, BLOCK)
        except zlib.error as error:
            raise _Corrupt(str(error), *_salvage(before, data)) from error
        rest = self._decoder.unused_data if self._decoder.eof else self._decoder.unconsumed_tail
        return out, len(data) - len(rest)

    @property
    def eof(self) -> bool:
        return self._decoder.eof


class _Bz2:
    feed = 64 << 10
    _OUT = 64 << 10  # what an error in the compressed data can take with it

    def __init__(self) -> None:
        self._decoder = bz2.BZ2Decompressor()

    def step(self, data: memoryview) -> tuple[bytes, int]:
        try:
            out = self._decoder.decompress(data, self._OUT)
        except OSError as error:
            raise _Corrupt(str(error), b"", 0) from error
        return out, len(data) - len(self._decoder.unused_data)  # it may give back what an earlier step took

    @property
    def eof(self) -> bool:
        return self._decoder.eof


class _Zstd:
    feed = 4 << 10  # zstd has no output limit: what 4 KiB can expand to (128 MiB of zeros) is the bound

    def __init__(self) -> None:
        self._decoder = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj()

    def step(self, data: memoryview) -> tuple[bytes, int]:
        try:
            out = self._decoder.decompress(data)
        except zstandard.ZstdError as error:
            raise _Corrupt(str(error), b"", 0) from error
        return out, len(data) - len(self._decoder.unused_data)

    @property
    def eof(self) -> bool:
        return self._decoder.eof


class _Corrupt(Exception):
    def __init__(self, detail: str, salvaged: bytes, used: int):
        super().__init__(detail)
        self.salvaged, self.used = salvaged, used


_DECODERS: dict[str, Callable[[], Any]] = {"gzip": _Gzip, "bz2": _Bz2, "zstd": _Zstd}


def _salvage(decoder: Any, data: memoryview) -> tuple[bytes, int]:
    """What the longest prefix of `data` that decompresses without error gives, and its length."""
    good, bad = 0, len(data)
    best = b""
    while bad - good > 1:
        middle = (good + bad) // 2
        try:
            best = decoder.copy().decompress(data[:middle], BLOCK)
            good = middle
        except zlib.error:
            bad = middle
    return best, good


def decompressed(blocks: Iterator[bytes], codec: str) -> Iterator[bytes]:
    """The text in blocks of about BLOCK bytes. Raises Damaged (`truncated`, `corrupt`) after the readable prefix."""
    held: list[bytes] = []
    size = offset = 0
    try:
        for part in _parts(blocks, codec):
            held.append(part)
            size += len(part)
            if size >= BLOCK:
                yield b"".join(held)
                offset += size
                held, size = [], 0
    except Damaged as damage:
        if held:
            yield b"".join(held)
        raise Damaged(damage.error, offset + size, damage.detail, damage.rest, damage.inside) from damage
    if held:
        yield b"".join(held)
    if offset + size == 0:
        raise Damaged("empty_file", 0, "the file decompresses to nothing")


def _parts(blocks: Iterator[bytes], codec: str) -> Iterator[bytes]:
    decoder: Any = None
    members = read = inside = 0
    for block in blocks:
        view, at = memoryview(block), 0
        pending = False  # the decoder may hold output that its limit kept back
        while at < len(view) or pending:
            if decoder is None:
                if members and view[at] == 0 and not bytes(view[at:]).strip(b"\0"):
                    break
                decoder, inside = _DECODERS[codec](), 0
            try:
                out, used = decoder.step(view[at : at + decoder.feed])
            except _Corrupt as error:
                yield error.salvaged
                where = f"after member {members}, " if members else ""
                detail = f"{codec}: data do not decompress, {where}before compressed byte {read + len(view)}: {error}"
                inside += len(error.salvaged)
                raise Damaged("corrupt", 0, detail, bytes(view[at + error.used :]), inside) from error
            yield out
            at += used
            inside += len(out)
            pending = len(out) > 0 and not decoder.eof
            if decoder.eof:
                decoder, members = None, members + 1
        read += len(view)
    if decoder is not None:
        raise Damaged("truncated", 0, f"{codec}: the file ends inside the compressed data, at compressed byte {read}")
