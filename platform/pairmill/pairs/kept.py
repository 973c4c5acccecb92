"""Kept rows of finished curate runs, for the jobs that train on them.

`kept_files` finds a run and what it kept; `read_kept` streams one of its files, filtered by source and language, one
table per row group. The columns of the filter are read first; a row group without a fitting row is read no further.

A language filter is a list of codes and pairs. A code, such as `de`, fits rows with that language on either side; a
pair, such as `en-de`, fits rows with these two, in either order. A code takes in its varieties (`zh`: also `zh-Hant`),
as in basic filtering of RFC 4647, section 3.3.1. Scripts and regions are written with capitals, so `zh-Hant` is a code
and `zh-en` a pair.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pairmill.errors import SpecError
from pairmill.runs.browse import named
from pairmill.runs.record import newest
from pairmill.runs.storage import Storage

_CODE = r"[a-z]{2,3}(?:-(?:[A-Z][a-z]{3}|[A-Z]{2}|[0-9]{3}))*"
_PAIR = re.compile(f"({_CODE})-({_CODE})")


@dataclass(frozen=True)
class KeptFile:
    """One Parquet file of kept rows; `path` is relative to the storage of the run."""

    path: str
    rows: int


@dataclass(frozen=True)
class KeptRun:
    """A finished curate run: its files, and how many rows it kept by source and by (anchor_lang, positive_lang).

    `generation` changes with `--fresh`: id and generation together name the content. `licences` is by source.
    """

    id: str
    generation: int
    storage: Storage
    files: tuple[KeptFile, ...]
    sources: dict[str, int]
    languages: dict[tuple[str | None, str | None], int]
    licences: dict[str, str]

    def check(self, place: str, sources: Sequence[str] | None, languages: Sequence[str] | None) -> None:
        """Raise SpecError where a source or language of the filter has no kept row. `place` is what errors call it."""
        for source in sources or ():
            if not self.sources.get(source):
                known = [name for name, rows in self.sources.items() if rows]
                raise SpecError(f"{place}: run {self.id} kept no row of source {source!r}. {_choice(source, known)}")
        for entry in languages or ():
            if not any(rows and fits(entry, *pair) for pair, rows in self.languages.items()):
                raise SpecError(
                    f"{place}: run {self.id} kept no row of language {entry!r}. {_choice(entry, self._codes(entry))}"
                )

    def _codes(self, entry: str) -> list[str]:
        """What stands beside a code or a pair: codes or pairs with kept rows, the most frequent first."""
        found: Counter[str] = Counter()
        for pair, rows in self.languages.items():
            codes = sorted({code for code in pair if code})
            found.update({name: rows for name in (["-".join(codes)] if _PAIR.fullmatch(entry) else codes) if rows})
        return [name for name, _ in found.most_common()]


def kept_files(storage_uri: str, run_name: str) -> KeptRun:
    """The run called `run_name` (an id, the start of one, or `<storage>/runs/<id>`) and what it kept.

    Raises SpecError where it is unknown, not finished, or neither a curate run nor a mine run that keeps rows.
    """
    run = named(storage_uri, run_name)
    record = run.record() or {}
    if record.get("kind", "curate") not in ("curate", "mine"):
        raise SpecError(f"run {run.id} is a {record['kind']} run and has no kept rows. Name a curate run.")
    manifest = run.finished_manifest()
    summary = run.summary()
    if "ledger" not in summary:
        raise SpecError(f"run {run.id} is a mine run of scores and kept no rows. Name the run that they are of.")
    by_input = summary["ledger"]["by_input"]
    return KeptRun(
        run.id,
        newest(record),
        run.storage,
        tuple(KeptFile(file["path"], file["rows"]) for file in manifest["files"].get("kept", [])),
        {name: counts["kept"] for name, counts in by_input.items()},
        {(row["anchor_lang"], row["positive_lang"]): row["kept"] for row in summary["languages"]},
        dict(record.get("licences", {})),
    )


def read_kept(
    storage: Storage,
    path: str,
    columns: Sequence[str],
    sources: Sequence[str] | None = None,
    languages: Sequence[str] | None = None,
    groups: range | None = None,
) -> Iterator[pa.Table]:
    """Stream the rows of a kept file that fit the filter (None: all), as tables of `columns` in their order.

    `groups` are the row groups to read (None: all); those without a fitting row yield nothing. Raises StorageError
    where the file is gone or damaged.
    """
    with storage.open_parquet(path) as parquet, storage.reading(path):
        for group in range(parquet.num_row_groups) if groups is None else groups:
            mask = _fitting(parquet, group, sources, languages)
            if mask is None:
                yield parquet.read_row_group(group, columns=list(columns)).select(columns)
            elif mask.any():
                table = parquet.read_row_group(group, columns=list(columns)).select(columns)
                yield table if mask.all() else table.filter(pa.array(mask))


def fits(entry: str, anchor: str | None, positive: str | None) -> bool:
    """Whether a row with these languages fits one entry of a language filter."""
    pair = _PAIR.fullmatch(entry)
    if pair is None:
        return takes_in(entry, anchor) or takes_in(entry, positive)
    one, other = pair.groups()
    return (takes_in(one, anchor) and takes_in(other, positive)) or (
        takes_in(other, anchor) and takes_in(one, positive)
    )


def takes_in(code: str, language: str | None) -> bool:
    """Whether `language` is `code` or one of its varieties."""
    return language is not None and (language == code or language.startswith(code + "-"))


def _fitting(
    parquet: Any, group: int, sources: Sequence[str] | None, languages: Sequence[str] | None
) -> np.ndarray | None:
    """Which rows (n,) of a row group fit; None: all, without a look."""
    asked = (["source"] if sources is not None else []) + (
        ["anchor_lang", "positive_lang"] if languages is not None else []
    )
    if not asked:
        return None
    table = parquet.read_row_group(group, columns=asked)
    mask = np.ones(len(table), bool)
    if sources is not None:
        mask &= np.asarray(pc.is_in(table["source"], pa.array(list(sources), table["source"].type)))
    if languages is not None:
        mask &= of_languages(table["anchor_lang"], table["positive_lang"], languages)
    return mask


def of_languages(anchor: pa.ChunkedArray, positive: pa.ChunkedArray, entries: Sequence[str]) -> np.ndarray:
    """Which rows fit an entry; each combination of languages is looked at once."""
    left, right = (column.combine_chunks().dictionary_encode("encode") for column in (anchor, positive))
    table = np.array(
        [
            [any(fits(entry, one, other) for entry in entries) for other in right.dictionary.to_pylist()]
            for one in left.dictionary.to_pylist()
        ],
        bool,
    ).reshape(len(left.dictionary), len(right.dictionary))
    return table[np.asarray(left.indices), np.asarray(right.indices)]


def _choice(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    more = f" and {len(known) - 20} more" if len(known) > 20 else ""
    return (f"Did you mean {near[0]!r}? " if near else "") + f"It kept: {', '.join(known[:20]) or 'nothing'}{more}."
