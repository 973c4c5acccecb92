"""The texts of a set, cut into units that can be read, embedded and committed one by one.

A unit is some row groups of a kept file, about UNIT_ROWS rows, and one of the sides; or a shard of files of texts, as
curate cuts them (`pairs/shards.py`). A text of a run is known by its `pair_id`, a text of files by
`file << 32 | record`, where files count from 0 in canonical order and records are numbered as `origin_row`. Texts that
are null or blank have no vector; they are counted, as are records that cannot be read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np
from pydantic import TypeAdapter

from pairmill.errors import SpecError
from pairmill.pairs import shards, sources
from pairmill.pairs.batch import Batch
from pairmill.pairs.kept import KeptFile, KeptRun, kept_files, read_kept
from pairmill.pairs.sources import linefiles
from pairmill.pairs.sources.lines import read_lines
from pairmill.runs.storage import Storage, open_storage
from pairmill.spec.inputs import Input
from pairmill.spec.texts import TEXT, TextInput, TextSet

UNIT_ROWS = 32_768
#: pair_ids (n,) int64 and as many texts.
Rows = tuple[np.ndarray, list[str]]


class LineFiles(NamedTuple):
    """Files of format `text`, as `pairs/sources/linefiles.py` takes an input."""

    name: str
    path: list[str]


class Found(NamedTuple):
    """A set of texts that was looked up: what it means, for a run's id, and its units without a side."""

    meaning: dict[str, Any]
    parts: list[dict[str, Any]]
    run: KeptRun | None
    files: list[sources.SourceFile]


def find(storage_uri: str, number: int, texts: TextSet, shard_size: int) -> Found:
    """Look a set up. `parts` are what `read` takes, in the order of the texts, as plain JSON.

    Raises SpecError or SourceError where the run or the files cannot be read, or hold no text.
    """
    found = _of_run(storage_uri, number, texts) if texts.run else _of_files(texts, shard_size)
    if not found.parts:
        raise SpecError(f"data[{number}] ({texts.name}): it holds no text. Name another run, or other files.")
    return found


def _of_run(storage_uri: str, number: int, texts: TextSet) -> Found:
    assert texts.run is not None
    try:
        run = kept_files(storage_uri, texts.run)
    except SpecError as error:
        raise SpecError(f"data[{number}].run: {error}") from None
    run.check(f"data[{number}]", texts.sources, texts.languages)
    filters = {"sources": texts.sources, "languages": texts.languages}
    with ThreadPoolExecutor(16) as pool:
        cuts = list(pool.map(lambda file: _cut(run.storage, file), run.files))
    parts = [
        {"storage": run.storage.uri, "path": file.path, "groups": groups, "rows": rows, **filters}
        for file, some in zip(run.files, cuts, strict=True)
        for groups, rows in some
    ]
    return Found({"run": run.id, "generation": run.generation, **filters}, parts, run, [])


def _cut(storage: Storage, file: KeptFile) -> list[tuple[list[int], int]]:
    """Runs of row groups, [start, stop), of about UNIT_ROWS rows, and how many rows each has."""
    if not file.rows:
        return []
    with storage.open_parquet(file.path) as parquet:
        rows = [parquet.metadata.row_group(group).num_rows for group in range(parquet.num_row_groups)]
    cuts: list[tuple[list[int], int]] = []
    start = held = 0
    for group, count in enumerate(rows):
        held += count
        if held >= UNIT_ROWS or group == len(rows) - 1:
            cuts.append(([start, group + 1], held))
            start, held = group + 1, 0
    return cuts


def _of_files(texts: TextSet, shard_size: int) -> Found:
    given = texts.input
    assert given is not None
    reader = _reader(texts.name, given)
    files = linefiles.find(reader) if isinstance(reader, LineFiles) else sources.find(reader)
    numbers = {file.uris[0]: number for number, file in enumerate(files)}
    if isinstance(reader, LineFiles):
        pieces = [[asdict(piece)] for file in files for piece in linefiles.split(reader, file, shard_size)]
    else:
        pieces = [shard["pieces"] for shard in shards.plan([reader], {texts.name: files}, shard_size)]
    parts = [
        {"name": texts.name, "input": given.model_dump(mode="json"), "pieces": some, "rows": None,
         "files": [numbers[piece["uris"][0]] for piece in some]}
        for some in pieces
    ]  # fmt: skip
    listed = [[file.uris, file.fingerprint] for file in files]
    return Found({"input": given.model_dump(mode="json", exclude={"path"}), "files": listed}, parts, None, files)


def _reader(name: str, given: TextInput) -> Any:
    """The input of `spec/inputs.py` that reads such files; its two sides are the text."""
    if given.format == "text":
        return LineFiles(name, given.path)
    columns = {"anchor": given.column, "positive": given.column}
    made = {"name": name, "format": given.format, "path": given.path, "columns": columns}
    if given.format == "csv":
        made["delimiter"] = given.delimiter
    return TypeAdapter(Input).validate_python(made)


def read(part: dict[str, Any], side: str, lost: Counter[str]) -> Iterator[Rows]:
    """Stream the texts of a unit; `lost` counts what is none: `filtered`, `empty`, `unreadable`."""
    for ids, texts in _kept(part, side, lost) if side != TEXT else _records(part, lost):
        present = np.fromiter((bool(text and text.strip()) for text in texts), bool, len(texts))
        lost["empty"] += len(texts) - int(present.sum())
        some = texts if present.all() else [text for text, here in zip(texts, present, strict=True) if here]
        yield ids[present], some


def _kept(part: dict[str, Any], side: str, lost: Counter[str]) -> Iterator[tuple[np.ndarray, list[str]]]:
    storage, columns = open_storage(part["storage"]), ["pair_id", side]
    lost["filtered"] += part["rows"]
    groups = range(*part["groups"])
    for table in read_kept(storage, part["path"], columns, part["sources"], part["languages"], groups):
        lost["filtered"] -= len(table)
        yield np.asarray(table["pair_id"]), table[side].to_pylist()


def _records(part: dict[str, Any], lost: Counter[str]) -> Iterator[Rows]:
    reader = _reader(part["name"], TextInput.model_validate(part["input"]))
    read_piece = _lines if isinstance(reader, LineFiles) else _columns
    for number, given in zip(part["files"], part["pieces"], strict=True):
        for rows, texts in read_piece(reader, sources.Piece(**given), lost):
            yield (number << 32) | rows, texts


def _columns(reader: Any, piece: sources.Piece, lost: Counter[str]) -> Iterator[Rows]:
    for batch in sources.read(reader, piece):
        lost["unreadable"] += len(batch.quarantine)
        lost["empty"] += sum(batch.no_pair.values())
        yield np.asarray(batch.pairs["origin_row"]), batch.pairs["anchor"].to_pylist()


def _lines(reader: LineFiles, piece: sources.Piece, lost: Counter[str]) -> Iterator[Rows]:
    place, uri = linefiles.check(reader, piece), piece.uris[0]
    lines = read_lines(uri, place, piece.start, piece.stop)
    for some in linefiles.numbered(lines, uri, piece.first_row, sources.BATCH_ROWS):
        if isinstance(some, Batch):
            lost["unreadable"] += len(some.quarantine)
            continue
        texts = [_decoded(line) for line in some.lines]
        rows = np.arange(some.row, some.row + len(texts))
        readable = np.fromiter((text is not None for text in texts), bool, len(texts))
        lost["unreadable"] += len(texts) - int(readable.sum())
        yield rows[readable], [text for text in texts if text is not None]
    linefiles.check(reader, piece)  # a file that changed meanwhile is not the one that was listed


def _decoded(line: bytes) -> str | None:
    try:
        return line.decode().rstrip("\r")
    except UnicodeDecodeError:
        return None


def chunks(rows: Iterator[Rows], most: int) -> Iterator[Rows]:
    """The same texts, `most` at a time."""
    ids: list[np.ndarray] = []
    texts: list[str] = []
    for some, more in rows:
        ids.append(some)
        texts += more
        while len(texts) >= most:
            held = np.concatenate(ids)
            yield held[:most], texts[:most]
            ids, texts = [held[most:]], texts[most:]
    if texts:
        yield np.concatenate(ids), texts
