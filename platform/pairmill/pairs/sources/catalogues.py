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
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import polib

_CHARSET = re.compile(rb"charset=([A-Za-z0-9_.:-]+)")
_LANGUAGE = re.compile(rb"^Language:[ \t]*([A-Za-z0-9_@.-]+)", re.MULTILINE)
_HEADER_BYTES = 16 << 10
_MAX_STRING = 256 << 10  # bytes of the lines that continue one string
_STRING_LINES = re.compile(rb'(?:^[ \t]*"[^\n]*(?:\n|\Z))+', re.MULTILINE)
Entry = tuple[bytes, bytes, "Special"]  # msgid, msgstr


class Special(NamedTuple):
    """Why an entry is no pair, or cannot be read."""

    no_pair: str = ""
    error: str = ""
    detail: str = ""


@dataclass
class Catalogue:
    rows: Sequence[int] = ()
    msgids: list[bytes] = field(
        default_factory=list
    )  # `context\x04singular\x00plural`; of an unreadable one, its bytes
    msgstrs: list[bytes] = field(default_factory=list)  # `form 0\x00form 1...`
    special: dict[int, Special] = field(default_factory=dict)  # by row
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
    rows: Sequence[int] = range(whole) if inside.all() else np.flatnonzero(inside).tolist()
    msgids = _strings(data, ids[inside])
    msgstrs = _strings(data, strings[inside])
    header = msgstrs[0] if msgids and not msgids[0] else b""
    charset = charset_of(header)
    if not is_known(charset):
        return unknown_charset(charset)
    language = _LANGUAGE.search(header)
    catalogue = Catalogue(rows, msgids, msgstrs, {}, charset, language[1].decode() if language else "")
    if len(rows) < count:
        first = int(np.argmin(inside)) if not inside.all() else whole
        detail = f"{count - len(rows)} of {count} entries reach beyond the file's end at byte {len(data)}"
        catalogue.damage = ("truncated", first, len(data), detail)
    return catalogue


def _strings(data: bytes, table: np.ndarray) -> list[bytes]:
    return [data[at:end] for at, end in zip(table[:, 1].tolist(), table.sum(axis=1).tolist(), strict=True)]


def _table(data: bytes, order: str, at: int, count: int) -> np.ndarray:
    """Rows of (length, offset)."""
    if not count:
        return np.zeros((0, 2), np.int64)
    return np.frombuffer(data, order + "u4", 2 * count, at).reshape(count, 2).astype(np.int64)


def read_po(data: bytes) -> Catalogue:
    charset = charset_of(data[:_HEADER_BYTES])
    if not is_known(charset):
        return unknown_charset(charset)
    if not _has_long_string(data):
        try:
            return _catalogue([_parse(data.decode(charset))])
        except (OSError, UnicodeDecodeError):
            pass
    blocks = re.split(rb"(?:\r?\n[ \t]*){2,}", data)
    return _catalogue([_parse_block(block, charset) for block in blocks])


def _has_long_string(data: bytes) -> bool:
    """Whether a string goes on over more lines than any text does: polib's time grows with their square."""
    return len(data) > _MAX_STRING and any(len(run[0]) > _MAX_STRING for run in _STRING_LINES.finditer(data))


def _catalogue(blocks: list[list[Entry]]) -> Catalogue:
    entries = [entry for block in blocks for entry in block]
    header = next((msgstr for _, msgstr, special in entries if special.no_pair == "header"), b"")
    language = _LANGUAGE.search(header)
    return Catalogue(
        range(len(entries)),
        [msgid for msgid, _, _ in entries],
        [msgstr for _, msgstr, _ in entries],
        {row: special for row, (_, _, special) in enumerate(entries) if any(special)},
        language=language[1].decode() if language else "",
    )


def _parse_block(block: bytes, charset: str) -> list[Entry]:
    if all(not line.strip() or line.startswith(b"#") and not line.startswith(b"#~") for line in block.split(b"\n")):
        return []
    if _has_long_string(block):
        return [(block, b"", Special(error="too_long", detail=f"a string of more than {_MAX_STRING} bytes"))]
    try:
        return _parse(block.decode(charset))
    except UnicodeDecodeError as error:
        code = "invalid_utf8" if codecs.lookup(charset).name == "utf-8" else "invalid_encoding"
        return [(block, b"", Special(error=code, detail=str(error)))]
    except OSError as error:
        detail = re.sub(r"in po file \S+ ?", "", str(error))
        return [(block, b"", Special(error="malformed_po", detail=detail))]


def _parse(text: str) -> list[Entry]:
    """The entries of a `.po` text. Raises OSError where polib refuses it."""
    if text.splitlines() == text.rstrip("\n").split("\n"):
        po = polib.pofile(text.rstrip("\n") + "\n", encoding="utf-8")
    else:
        with tempfile.NamedTemporaryFile("w", suffix=".po", encoding="utf-8", newline="") as file:
            file.write(text)  # a file, since polib splits a string at U+2028 and its like too
            file.flush()
            po = polib.pofile(file.name, encoding="utf-8")
    header = "".join(f"{name}: {value}\n" for name, value in po.metadata.items())
    has_header = isinstance(po.metadata_is_fuzzy, list)  # polib keeps the header's flags there, else 0
    first: list[Entry] = [(b"", header.encode(), Special("header"))] if has_header else []
    return first + [_entry(entry) for entry in po]


def _entry(entry: polib.POEntry) -> Entry:
    msgid = entry.msgid if not entry.msgid_plural else f"{entry.msgid}\0{entry.msgid_plural}"
    forms = [entry.msgstr_plural[index] for index in sorted(entry.msgstr_plural)] or [entry.msgstr]
    reason = "obsolete" if entry.obsolete else "fuzzy" if entry.fuzzy and any(forms) else ""
    return msgid.encode(), "\0".join(forms).encode(), Special(reason)
