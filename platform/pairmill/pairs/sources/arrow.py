"""Arrow IPC files and streams, and the folders in which Hugging Face `datasets` keeps them.

1. A folder is one of `save_to_disk` (`state.json` names the files; `dataset_dict.json` the splits, which are read one
   after another) or of the cache (its `*.arrow`). Local files are memory-mapped.
2. Pieces are ranges of record batches: `start` and `stop` are byte offsets. A file with dictionaries is read whole.
3. A batch that cannot be used is one entry in quarantine that says how many rows it stands for; a file that breaks off
   gives the batches that are whole, then one `truncated`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import obstore
import pyarrow as pa
from obstore.exceptions import BaseError

from pairmill import objects
from pairmill.errors import SourceError
from pairmill.pairs.batch import Batch, Quarantined
from pairmill.pairs.sources import linefiles, tables
from pairmill.pairs.sources.arrowstream import DAMAGED, Stream
from pairmill.pairs.sources.base import BATCH_ROWS, Piece, SourceFile, whole
from pairmill.pairs.sources.globs import Match, alternatives, expand
from pairmill.pairs.sources.records import Records
from pairmill.pairs.sources.stat import local_error, remote_error, stat
from pairmill.pairs.sources.streams import raw_blocks
from pairmill.spec.inputs import ArrowInput

_READ_BYTES = 8 << 20  # of a batch, converted at once


def find(spec: ArrowInput) -> list[SourceFile]:
    place = linefiles.where(spec)
    paths = [path for pattern in spec.path for named in alternatives(pattern) for path in _files(named, place)]
    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(lambda match: _examine(spec, match), expand(paths, place)))


def _files(path: str, place: str) -> list[str]:
    """The files of a `datasets` folder; any other path as it is."""
    folder = path.rstrip("/")
    if _has(f"{folder}/dataset_dict.json"):
        splits = _json(f"{folder}/dataset_dict.json", place).get("splits") or []
        return [file for split in splits for file in _files(f"{folder}/{split}", place)]
    if _has(f"{folder}/state.json"):
        state = _json(f"{folder}/state.json", place)
        if state.get("_indices_data_files") or state.get("_indices_files"):
            raise SourceError(
                f"{place}: {path} was saved with an index of its rows. Save it again: "
                "datasets.load_from_disk(..).flatten_indices().save_to_disk(..)"
            )
        return [f"{folder}/{file['filename']}" for file in state.get("_data_files") or []]
    if _has(f"{folder}/dataset_info.json"):
        return [f"{folder}/*.arrow"]
    if not objects.is_remote(path) and objects.local_path(path).is_dir():
        raise SourceError(
            f"{place}: {path} is a directory without state.json, dataset_dict.json or dataset_info.json, so no "
            f"dataset of Hugging Face. Name the files inside it: {folder}/*.arrow"
        )
    return [path]


def _has(uri: str) -> bool:
    if not objects.is_remote(uri):
        return objects.local_path(uri).is_file()
    root, key = objects.split(uri)
    try:
        obstore.head(objects.bucket(root), key)
    except (BaseError, FileNotFoundError, PermissionError):
        return False
    return True


def _json(uri: str, place: str) -> dict[str, Any]:
    try:
        found = json.loads(b"".join(raw_blocks(uri, place)))
        if isinstance(found, dict):
            return found
        problem = f"it holds a {type(found).__name__} and no object"
    except ValueError as error:
        problem = str(error)
    raise SourceError(f"{place}: {uri} cannot be read: {problem}. Save the dataset again with save_to_disk.")


def _examine(spec: ArrowInput, match: Match) -> SourceFile:
    place = linefiles.where(spec)
    head = next(raw_blocks(match.uri, place, 0, min(64, match.stat.size)), b"") if match.stat.size else b""
    if head.startswith((b"PAR1", b"FEA1")):
        kind = "a Parquet file: use format: parquet" if head[0] == 80 else "Feather version 1: write it as version 2"
        raise SourceError(f"{place}: {match.uri} is {kind}.")
    with _opened(match.uri, place) as stream:
        if stream is not None:
            tables.check_columns(spec, match.uri, stream.schema)
    return SourceFile((match.uri,), match.stat.fingerprint, match.stat.size, match.stat.size)


def split(spec: ArrowInput, file: SourceFile, shard_size: int) -> list[Piece]:
    if file.size <= shard_size:
        return [whole(file)]
    starts, rows, row = [0], [0], 0
    with _opened(file.uris[0], linefiles.where(spec)) as stream:
        if stream is None or stream.has_dictionaries:
            return [whole(file)]
        try:
            for batch, end in stream.batches():
                row += len(batch)
                if end - starts[-1] >= shard_size:
                    starts.append(end)
                    rows.append(row)
        except DAMAGED:
            pass  # `read` meets it again, and says so
    stops: list[int | None] = [*starts[1:], None]
    return [
        Piece(file.uris, file.fingerprint, start, stop, first_row=first, text_size=(stop or file.size) - start)
        for start, stop, first in zip(starts, stops, rows, strict=True)
    ]


def read(spec: ArrowInput, piece: Piece, batch_rows: int = BATCH_ROWS) -> Iterator[Batch]:
    return tables.read_pairs(spec, _rows(spec, piece, batch_rows), piece.uris[0], batch_rows)


def records(spec: ArrowInput, piece: Piece, batch_rows: int = BATCH_ROWS) -> Iterator[Records]:
    """The rows as dictionaries of the columns that the builder reads, nested ones as Python objects."""
    return tables.read_records(_rows(spec, piece, batch_rows), piece.uris[0], batch_rows)


def _rows(spec: ArrowInput, piece: Piece, batch_rows: int) -> Iterator[tables.Part]:
    place = linefiles.check(spec, piece)
    uri, row, at = piece.uris[0], piece.first_row, piece.start
    with _opened(uri, place) as stream:
        if stream is None:
            yield _bad_file(uri, place)
            return
        tables.check_columns(spec, uri, stream.schema)
        wanted = tables.wanted(spec, stream.schema)
        labels = tables.label_names(stream.schema) or _labels_beside(uri, place)
        try:
            for batch, end in stream.batches(piece.start, piece.stop):
                try:
                    checked = stream.checked(batch, wanted)
                except pa.ArrowException as error:
                    detail = f"rows {row} to {row + len(batch) - 1} ({len(batch)} rows) cannot be read: {error}"
                    yield Quarantined("corrupt", uri, row, at, detail, uri.encode())
                else:
                    at_once = max(1, min(8 * batch_rows, _READ_BYTES * len(batch) // max(1, batch.nbytes)))
                    for first in range(0, len(batch), at_once):
                        yield row + first, tables.with_labels(checked.slice(first, at_once), labels)
                row, at = row + len(batch), end
        except DAMAGED as error:
            code = "corrupt" if stream.is_complete() else "truncated"
            yield Quarantined(code, uri, row, at, f"nothing can be read from row {row} on: {error}", uri.encode())
            return
        if piece.stop is None and stream.is_file and not stream.is_complete():
            yield Quarantined("truncated", uri, row, at, "the file ends without its footer", uri.encode())


def _labels_beside(uri: str, place: str) -> dict[str, list[str]]:
    """The class names in the `dataset_info.json` of the file's folder."""
    info = f"{uri.rpartition('/')[0]}/dataset_info.json" if "/" in uri else "dataset_info.json"
    return tables.class_labels(_json(info, place).get("features")) if _has(info) else {}


@contextmanager
def _opened(uri: str, place: str) -> Iterator[Stream | None]:
    """The file as a stream; None where it does not start as one."""
    if objects.is_remote(uri):
        root, key = objects.split(uri)
        size = stat(uri, place).size
        reader = objects.Reader(objects.bucket(root), key, size, lambda error: remote_error(place, uri, error))
        source = pa.PythonFile(reader, "r")
    elif stat(uri, place).size == 0:
        yield None  # an empty file cannot be mapped
        return
    else:
        try:
            source = pa.memory_map(str(objects.local_path(uri)))
        except OSError as error:
            raise local_error(place, uri, error) from error
    with source:
        try:
            stream = Stream(source)
        except DAMAGED:
            yield None
        else:
            yield stream


def _bad_file(uri: str, place: str) -> Quarantined:
    size = stat(uri, place).size
    if size == 0:
        return Quarantined("empty_file", uri, 0, 0, "the file has no bytes", uri.encode())
    return Quarantined("bad_arrow", uri, 0, 0, f"{size} bytes that do not start as an Arrow stream", uri.encode())
