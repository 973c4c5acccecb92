"""The two formats of gettext catalogues, read to the same entries: bytes as in a `.mo` file, plurals joined.

`.mo`: two tables of (length, offset), for ids and for strings. An entry that reaches beyond the file's end is lost;
all such entries together are one `truncated`. `.po`: polib; where it refuses a file, each block between blank lines is
parsed alone, and the blocks it refuses are unreadable records.
"""

from __future__ import annotations

import codecs
import re
import struct
import tempfile
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import polib

_CHARSET = re.compile(rb"charset=([A-Za-z0-9_.:-]+)")
_LANGUAGE = re.compile(rb"^Language:[ \t]*([A-Za-z0-9_@.-]+)", re.MULTILINE)
_HEADER_BYTES = 16 << 10


class Entry(NamedTuple):
    row: int
    msgid: bytes  # `context\x04singular\x00plural`
    msgstr: bytes  # `form 0\x00form 1...`
    no_pair: str = ""  # why it is no pair
    error: str = ""  # why it is unreadable; msgid then holds its bytes
    detail: str = ""


@dataclass
class Catalogue:
    entries: list[Entry] = field(default_factory=list)
    charset: str = "utf-8"
    language: str = ""  # as the header says
    damage: tuple[str, int, int, str] | None = None  # error, row, offset, detail of what cannot be read at all


def charset_of(header: bytes) -> str:
    match = _CHARSET.search(header)
    name = match[1].decode() if match else "utf-8"
    return "utf-8" if name == "CHARSET" else name


def is_known(charset: str) -> bool:
    try:
        codecs.lookup(charset)
    except LookupError:
        return False
    return True


def unknown_charset(charset: str) -> Catalogue:
    return Catalogue(damage=("unknown_charset", 0, 0, f"the header says charset={charset}, which Python does not know"))


def read_mo(data: bytes) -> Catalogue:
    order = {b"\xde\x12\x04\x95": "<", b"\x95\x04\x12\xde": ">"}.get(data[:4])
    if order is None or len(data) < 20:
        detail = f"starts with {data[:4].hex(' ')}: no .mo file, or cut in its header"
        return Catalogue(damage=("bad_catalogue", 0, 0, detail))
    count, ids_at, strings_at = struct.unpack(order + "III", data[8:20])
    whole = max(0, min(count, (len(data) - ids_at) // 8, (len(data) - strings_at) // 8))
    ids = _table(data, order, ids_at, whole)
    strings = _table(data, order, strings_at, whole)
    inside = (ids.sum(axis=1) <= len(data)) & (strings.sum(axis=1) <= len(data))
    if ids[inside, 0].sum() + strings[inside, 0].sum() > 4 * len(data):
        return Catalogue(damage=("bad_catalogue", 0, 0, "its strings overlap: the tables of offsets are damaged"))
    rows = np.flatnonzero(inside)
    entries = [
        Entry(row, data[at : at + size], data[to : to + length])
        for row, (size, at), (length, to) in zip(rows.tolist(), ids[rows].tolist(), strings[rows].tolist(), strict=True)
    ]
    header = entries[0].msgstr if entries and not entries[0].msgid else b""
    charset = charset_of(header)
    if not is_known(charset):
        return unknown_charset(charset)
    language = _LANGUAGE.search(header)
    catalogue = Catalogue(entries, charset, language[1].decode() if language else "")
    if len(entries) < count:
        first = int(np.argmin(inside)) if not inside.all() else whole
        detail = f"{count - len(entries)} of {count} entries reach beyond the file's end at byte {len(data)}"
        catalogue.damage = ("truncated", first, len(data), detail)
    return catalogue


def _table(data: bytes, order: str, at: int, count: int) -> np.ndarray:
    """Rows of (length, offset)."""
    if not count:
        return np.zeros((0, 2), np.int64)
    return np.frombuffer(data, order + "u4", 2 * count, at).reshape(count, 2).astype(np.int64)


def read_po(data: bytes) -> Catalogue:
    charset = charset_of(data[:_HEADER_BYTES])
    if not is_known(charset):
        return unknown_charset(charset)
    language = ""
    try:
        parsed = [_parse(data.decode(charset))]
    except (OSError, UnicodeDecodeError):
        parsed = []
        for block in re.split(rb"(?:\r?\n[ \t]*){2,}", data):
            parsed.append(_parse_block(block, charset))
    entries: list[Entry] = []
    for some in parsed:
        entries += [entry._replace(row=len(entries) + index) for index, entry in enumerate(some)]
        header = next((entry.msgstr for entry in some if entry.no_pair == "header"), b"")
        match = _LANGUAGE.search(header)
        language = language or (match[1].decode() if match else "")
    return Catalogue(entries, "utf-8", language)


def _parse_block(block: bytes, charset: str) -> list[Entry]:
    if all(not line.strip() or line.startswith(b"#") and not line.startswith(b"#~") for line in block.split(b"\n")):
        return []
    try:
        return _parse(block.decode(charset))
    except UnicodeDecodeError as error:
        code = "invalid_utf8" if codecs.lookup(charset).name == "utf-8" else "invalid_encoding"
        return [Entry(0, block, b"", error=code, detail=str(error))]
    except OSError as error:
        return [Entry(0, block, b"", error="malformed_po", detail=re.sub(r"in po file \S+ ?", "", str(error)))]


def _parse(text: str) -> list[Entry]:
    """The entries of a `.po` text. Raises OSError where polib refuses it."""
    with tempfile.NamedTemporaryFile("w", suffix=".po", encoding="utf-8", newline="") as file:
        file.write(text)  # a file, since polib splits a string at U+2028 and its like too
        file.flush()
        po = polib.pofile(file.name, encoding="utf-8")
    header = "".join(f"{name}: {value}\n" for name, value in po.metadata.items())
    first = [Entry(0, b"", header.encode(), "header")] if isinstance(po.metadata_is_fuzzy, list) else []
    return first + [_entry(entry) for entry in po]


def _entry(entry: polib.POEntry) -> Entry:
    msgid = entry.msgid if not entry.msgid_plural else f"{entry.msgid}\0{entry.msgid_plural}"
    forms = [entry.msgstr_plural[index] for index in sorted(entry.msgstr_plural)] or [entry.msgstr]
    reason = "obsolete" if entry.obsolete else "fuzzy" if entry.fuzzy and any(forms) else ""
    return Entry(0, msgid.encode(), "\0".join(forms).encode(), reason)
