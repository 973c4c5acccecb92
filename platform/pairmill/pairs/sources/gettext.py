"""Gettext catalogues: `.mo` and `.po` files, or those inside installed Python packages; msgid -> msgstr.

1. `.mo` files are read by their tables of offsets, without polib: all strings of a catalogue are checked at once.
2. An entry is one record. Its index in the catalogue is `origin_row`. A plural entry gives up to two pairs: singular
   with the first form, plural with the last. A context (msgctxt) is no part of the anchor.
3. The header, untranslated, fuzzy and obsolete entries are no pairs, and are counted.
4. The positive's language: the spec's, else the directory (`de/LC_MESSAGES`), else the header, else the file's name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow as pa

from pairmill.errors import SourceError
from pairmill.pairs.batch import Batch, Quarantined
from pairmill.pairs.sources import columns, linefiles
from pairmill.pairs.sources.base import BATCH_ROWS, Piece, SourceFile, whole
from pairmill.pairs.sources.catalogues import Catalogue, Entry, read_mo, read_po
from pairmill.pairs.sources.globs import expand
from pairmill.pairs.sources.languages import locale_to_language
from pairmill.pairs.sources.packages import catalogues_of, load, package_fingerprint
from pairmill.pairs.sources.stat import check_unchanged
from pairmill.pairs.sources.streams import raw_blocks
from pairmill.spec.curate import GettextInput, Langs

__all__ = ["find", "locale_to_language", "read", "resumable", "split"]

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


def resumable(spec: GettextInput, piece: Piece) -> bool:
    return False


def read(spec: GettextInput, piece: Piece, batch_rows: int = BATCH_ROWS) -> Iterator[Batch]:
    place, uri = linefiles.where(spec), piece.uris[0]
    data = _load(uri, piece.fingerprint, place)
    if not data:
        entry = Quarantined("empty_file", uri, 0, 0, "the file has no bytes", uri.encode())
        yield columns.only_quarantine([entry])
        return
    catalogue = read_mo(data) if uri.endswith(".mo") else read_po(data)
    langs = Langs.model_construct(anchor=spec.langs.anchor, positive=_language(spec, uri, catalogue))
    for at in range(0, len(catalogue.entries), batch_rows):
        yield _batch(catalogue.entries[at : at + batch_rows], catalogue.charset, langs, uri, at)
    if catalogue.damage:
        error, offset, detail = catalogue.damage
        row = len(catalogue.entries)
        yield columns.only_quarantine([Quarantined(error, uri, row, offset, detail, uri.encode())])


def _load(uri: str, fingerprint: str, place: str) -> bytes:
    if uri.startswith("pkg:"):
        data = load(uri, place)
        if package_fingerprint(data) != fingerprint:
            raise SourceError(f"{place}: {uri} is not what the job listed: install the same version of the package "
                              "on every machine, or start the job again.")
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


def _batch(entries: list[Entry], charset: str, langs: Langs, uri: str, first: int) -> Batch:
    pairs, no_pair, wrong = _Pairs(), dict[str, int](), list[Quarantined]()
    for row, entry in enumerate(entries, first):
        reason = entry[2]
        if not reason:
            reason = _add(pairs, row, entry[0], entry[1])
        elif reason.startswith("!"):
            wrong.append(Quarantined(reason[1:], uri, row, None, "the entry cannot be read", entry[0]))
            continue
        if reason:
            no_pair[reason] = no_pair.get(reason, 0) + 1
    try:
        made = {"anchor": _decoded(pairs.anchors, charset), "positive": _decoded(pairs.positives, charset)}
    except (pa.ArrowInvalid, UnicodeDecodeError):
        pairs = _readable(pairs, charset, uri, wrong)
        made = {"anchor": _decoded(pairs.anchors, charset), "positive": _decoded(pairs.positives, charset)}
    wrong.sort(key=lambda entry: entry.origin_row or 0)
    return Batch(columns.table(made, langs, uri, pairs.rows), len(entries), no_pair, wrong)
