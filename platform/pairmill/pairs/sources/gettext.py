"""Gettext catalogues: `.mo` and `.po` files, or those inside installed Python packages; msgid -> msgstr.

1. `.mo` files are read by their tables of offsets, without polib: all strings of a catalogue are checked at once.
2. An entry is one record. Its index in the catalogue is `origin_row`. A plural entry gives up to two pairs: singular
   with the first form, plural with the last. A context (msgctxt) is no part of the anchor.
3. The header, untranslated, fuzzy and obsolete entries are no pairs, and are counted.
4. The positive's language: the spec's, else the directory (`de/LC_MESSAGES`), else the header, else the file's name.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow as pa

from pairmill.errors import SourceError
from pairmill.pairs.batch import Batch, Quarantined
from pairmill.pairs.sources import columns, linefiles
from pairmill.pairs.sources.base import BATCH_ROWS, Piece, SourceFile, whole
from pairmill.pairs.sources.catalogues import Catalogue, read_mo, read_po
from pairmill.pairs.sources.globs import expand
from pairmill.pairs.sources.languages import locale_to_language
from pairmill.pairs.sources.packages import catalogues_of, is_package, load, package_fingerprint
from pairmill.pairs.sources.stat import check_unchanged
from pairmill.pairs.sources.streams import raw_blocks
from pairmill.spec.inputs import GettextInput, Langs

__all__ = ["find", "locale_to_language", "read", "split"]

_DIRECTORY = re.compile(r"([^/]+)/LC_MESSAGES/[^/]+$")


def find(spec: GettextInput) -> list[SourceFile]:
    place = linefiles.where(spec)
    if spec.packages is not None:
        return sorted((file for name in spec.packages for file in catalogues_of(name, place)), key=lambda f: f.uris)
    found = []
    for match in expand(spec.path or [], place):
        if not match.uri.endswith((".mo", ".po", ".pot")):
            raise SourceError(f"{place}: {match.uri} is no gettext catalogue by its name. Allowed: .mo, .po.")
        size = match.stat.size
        found.append(SourceFile((match.uri,), match.stat.fingerprint, size, size))
    return found


def split(spec: GettextInput, file: SourceFile, shard_size: int) -> list[Piece]:
    return [whole(file)]


def read(spec: GettextInput, piece: Piece, batch_rows: int = BATCH_ROWS) -> Iterator[Batch]:
    place, uri = linefiles.where(spec), piece.uris[0]
    data = _load(uri, piece.fingerprint, place)
    if not data:
        entry = Quarantined("empty_file", uri, 0, 0, "the file has no bytes", uri.encode())
        yield columns.only_quarantine([entry])
        return
    catalogue = read_mo(data) if uri.endswith(".mo") else read_po(data)
    langs = Langs.model_construct(anchor=spec.langs.anchor, positive=_language(spec, uri, catalogue))
    for at in range(0, len(catalogue.rows), batch_rows):
        yield _batch(catalogue, slice(at, at + batch_rows), langs, uri)
    if catalogue.damage:
        error, row, offset, detail = catalogue.damage
        yield columns.only_quarantine([Quarantined(error, uri, row, offset, detail, uri.encode())])


def _load(uri: str, fingerprint: str, place: str) -> bytes:
    if is_package(uri):
        data = load(uri, place)
        if package_fingerprint(data) != fingerprint:
            raise SourceError(
                f"{place}: {uri} is not what the job listed: install the same version of the package "
                "on every machine, or start the job again."
            )
        return data
    check_unchanged((uri,), fingerprint, place)
    return b"".join(raw_blocks(uri, place))


def _language(spec: GettextInput, uri: str, catalogue: Catalogue) -> str | None:
    if spec.langs.positive:
        return spec.langs.positive
    directory = _DIRECTORY.search(uri)
    names = [directory[1]] if directory else [catalogue.language, uri.rpartition("/")[2].rpartition(".")[0]]
    return next((code for name in names if name and (code := locale_to_language(name))), None)


@dataclass
class _Pairs:
    anchors: list[bytes] = field(default_factory=list)
    positives: list[bytes] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)

    def add(self, row: int, anchor: bytes, positive: bytes) -> None:
        self.anchors.append(anchor)
        self.positives.append(positive)
        self.rows.append(row)

    def without(self, rows: set[int]) -> _Pairs:
        kept = [index for index, row in enumerate(self.rows) if row not in rows]
        return _Pairs(
            [self.anchors[index] for index in kept],
            [self.positives[index] for index in kept],
            [self.rows[index] for index in kept],
        )

    def arrays(self, charset: str) -> dict[str, pa.Array]:
        """Raises ArrowInvalid or UnicodeDecodeError where a string is not of the charset."""
        return {"anchor": _decoded(self.anchors, charset), "positive": _decoded(self.positives, charset)}


def _decoded(texts: list[bytes], charset: str) -> pa.Array:
    if codecs.lookup(charset).name == "utf-8":
        return columns.strings(texts)
    return pa.array([text.decode(charset) for text in texts], pa.large_string())


def _batch(catalogue: Catalogue, some: slice, langs: Langs, uri: str) -> Batch:
    charset = catalogue.charset
    rows, msgids, msgstrs = catalogue.rows[some], catalogue.msgids[some], catalogue.msgstrs[some]
    no_pair: Counter[str] = Counter()
    wrong: list[Quarantined] = []
    if not catalogue.special and _plain(msgids, msgstrs):
        pairs = _Pairs(msgids, msgstrs, list(rows))
    else:
        pairs = _Pairs()
        for row, msgid, msgstr in zip(rows, msgids, msgstrs, strict=True):
            known = catalogue.special.get(row)
            if known and known.error:
                wrong.append(Quarantined(known.error, uri, row, None, known.detail, msgid))
            elif reason := known.no_pair if known else _add(pairs, row, msgid, msgstr):
                no_pair[reason] += 1
    try:
        made = pairs.arrays(charset)
    except (pa.ArrowInvalid, UnicodeDecodeError):
        unreadable = _undecodable(pairs, charset)
        code = "invalid_utf8" if codecs.lookup(charset).name == "utf-8" else "invalid_encoding"
        wrong += [Quarantined(code, uri, row, None, *what) for row, what in unreadable.items()]
        made = pairs.without(set(unreadable)).arrays(charset)
        pairs = pairs.without(set(unreadable))
    return Batch(columns.table(made, langs, uri, pairs.rows), len(rows), dict(no_pair), wrong)


def _plain(msgids: list[bytes], msgstrs: list[bytes]) -> bool:
    """Whether each entry is one pair as it stands: no header, context, plural or missing translation."""
    if not (all(msgids) and all(msgstrs)) or b"\0" in b"".join(msgstrs):
        return False
    joined = b"".join(msgids)
    return b"\0" not in joined and b"\x04" not in joined


def _add(pairs: _Pairs, row: int, msgid: bytes, msgstr: bytes) -> str:
    """Add the pairs of an entry, or say why it has none."""
    if not msgid:
        return "header"
    if msgstr and b"\0" not in msgid and b"\x04" not in msgid and b"\0" not in msgstr:
        pairs.add(row, msgid, msgstr)
        return ""
    singular, _, plural = msgid.rpartition(b"\x04")[2].partition(b"\0")
    forms = msgstr.split(b"\0")
    last = next((form for form in reversed(forms) if form), b"") if b"\0" in msgid else b""
    if forms[0]:
        pairs.add(row, singular, forms[0])
    if last and (plural, last) != (singular, forms[0]):
        pairs.add(row, plural, last)
    return "" if forms[0] or last else "untranslated"


def _undecodable(pairs: _Pairs, charset: str) -> dict[int, tuple[str, bytes]]:
    """Row -> what is wrong, and the bytes of its two sides."""
    found = {}
    for row, anchor, positive in zip(pairs.rows, pairs.anchors, pairs.positives, strict=True):
        try:
            anchor.decode(charset)
            positive.decode(charset)
        except UnicodeDecodeError as error:
            found[row] = (str(error), anchor + b"\n" + positive)
    return found
