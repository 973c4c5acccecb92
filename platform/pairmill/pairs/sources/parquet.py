"""Parquet: read by row groups, with only the columns that are used.

1. `find` reads the footers: a missing column or one of another type is an error before anything starts.
2. Row groups are grouped to pieces by their uncompressed size, all columns together.
3. Rows are streamed within a row group. A string that is not UTF-8 (Parquet does not check) makes its row unreadable.
4. Where a page cannot be read, the row group's rows before it are kept; the rest is one quarantine entry that says
   how many rows it stands for. A file without a readable footer is one entry. (Damage is seen where the writer set
   page checksums or where decoding fails; zstd pages without checksums can decode to other text unnoticed.)
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import accumulate
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from pairmill import objects
from pairmill.pairs.batch import Batch, Quarantined
from pairmill.pairs.sources import fields, linefiles, tables
from pairmill.pairs.sources.base import BATCH_ROWS, Piece, SourceFile, whole
from pairmill.pairs.sources.globs import Match, expand
from pairmill.pairs.sources.records import Records
from pairmill.pairs.sources.stat import local_error, remote_error, stat
from pairmill.spec.inputs import ParquetInput

_BUFFER, _REMOTE_BUFFER = 1 << 20, 8 << 20  # bytes of a column chunk fetched at once
_READ_BYTES = 8 << 20  # of text, read and converted at once


def find(spec: ParquetInput) -> list[SourceFile]:
    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(lambda match: _examine(spec, match), expand(spec.path, linefiles.where(spec))))


def _examine(spec: ParquetInput, match: Match) -> SourceFile:
    text_size = match.stat.size
    with _opened(match.uri, linefiles.where(spec)) as file:
        if file is not None:
            tables.check_columns(spec, match.uri, file.schema_arrow)
            text_size = sum(_group_sizes(file.metadata))
    return SourceFile((match.uri,), match.stat.fingerprint, match.stat.size, text_size)


def split(spec: ParquetInput, file: SourceFile, shard_size: int) -> list[Piece]:
    if file.text_size <= shard_size:
        return [whole(file)]
    with _opened(file.uris[0], linefiles.where(spec)) as opened:
        if opened is None:
            return [whole(file)]
        sizes = _group_sizes(opened.metadata)
        rows = [opened.metadata.row_group(index).num_rows for index in range(len(sizes))]
    first_rows = list(accumulate(rows, initial=0))
    starts, held = [0], 0
    for index, size in enumerate(sizes):
        if held and held + size > shard_size:
            starts.append(index)
            held = 0
        held += size
    return [
        Piece(file.uris, file.fingerprint, start, stop, first_row=first_rows[start], text_size=sum(sizes[start:stop]))
        for start, stop in zip(starts, [*starts[1:], len(sizes)], strict=True)
    ]


def count(spec: ParquetInput, file: SourceFile) -> int:
    """The rows of a file by its footer; 0 where it has none that can be read."""
    with _opened(file.uris[0], linefiles.where(spec)) as opened:
        return 0 if opened is None else opened.metadata.num_rows


def read(spec: ParquetInput, piece: Piece, batch_rows: int = BATCH_ROWS) -> Iterator[Batch]:
    return tables.read_pairs(spec, _rows(spec, piece, batch_rows), piece.uris[0], batch_rows)


def records(spec: ParquetInput, piece: Piece, batch_rows: int = BATCH_ROWS) -> Iterator[Records]:
    """The rows as dictionaries of the columns that the builder reads, nested ones as Python objects."""
    return tables.read_records(_rows(spec, piece, batch_rows), piece.uris[0], batch_rows)


def _rows(spec: ParquetInput, piece: Piece, batch_rows: int) -> Iterator[tables.Part]:
    place = linefiles.check(spec, piece)
    uri = piece.uris[0]
    with _opened(uri, place) as file:
        if file is None:
            yield _bad_file(uri, place)
            return
        tables.check_columns(spec, uri, file.schema_arrow)
        row = piece.first_row
        stop = file.num_row_groups if piece.stop is None else piece.stop
        for group in range(piece.start, stop):
            yield from _group(spec, file, group, uri, row, batch_rows)
            row += file.metadata.row_group(group).num_rows


def _group(
    spec: ParquetInput, file: pq.ParquetFile, group: int, uri: str, row: int, batch_rows: int
) -> Iterator[tables.Part]:
    rows = file.metadata.row_group(group).num_rows
    size = max(1, _group_sizes(file.metadata)[group])
    at_once = max(1, min(8 * batch_rows, _READ_BYTES * rows // size))
    labels = tables.label_names(file.schema_arrow)
    wanted = fields.needed(spec) if spec.builder is None else tables.wanted(spec, file.schema_arrow)
    done = 0
    try:
        for batch in file.iter_batches(at_once, [group], wanted, use_threads=False):
            yield row + done, tables.with_labels(batch, labels)
            done += len(batch)
    except (OSError, pa.ArrowException) as error:
        _refuse_disk_errors(error, uri, linefiles.where(spec))
        lost = f"rows {row + done} to {row + rows - 1} ({rows - done} rows)"
        detail = f"row group {group}: {lost} cannot be read: {error}"
        yield Quarantined("corrupt", uri, row + done, None, detail, uri.encode())


def _group_sizes(metadata: pq.FileMetaData) -> list[int]:
    """Uncompressed bytes of each row group; its columns' own sizes abort the process where a footer is damaged."""
    return [max(0, metadata.row_group(index).total_byte_size) for index in range(metadata.num_row_groups)]


@contextmanager
def _opened(uri: str, place: str) -> Iterator[pq.ParquetFile | None]:
    """The file; None where it has no readable footer."""
    remote = objects.is_remote(uri)
    buffer = _REMOTE_BUFFER if remote else _BUFFER
    with _remote(uri, place) if remote else _local(uri, place) as source:
        try:
            file = pq.ParquetFile(source, buffer_size=buffer, pre_buffer=False, page_checksum_verification=True)
            list(file.schema_arrow.names)  # raises where one is not UTF-8
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            _refuse_disk_errors(error, uri, place)
            file = None
        yield file


def _refuse_disk_errors(error: Exception, uri: str, place: str) -> None:
    """What the operating system refused (it has a number) says nothing about the file's content."""
    if isinstance(error, OSError) and error.errno is not None:
        raise local_error(place, uri, error) from error


def _remote(uri: str, place: str) -> objects.Reader:
    root, key = objects.split(uri)
    size = stat(uri, place).size
    return objects.Reader(objects.bucket(root), key, size, lambda error: remote_error(place, uri, error))


def _local(uri: str, place: str) -> IO[bytes]:
    try:
        return open(objects.local_path(uri), "rb")
    except OSError as error:
        raise local_error(place, uri, error) from error


def _bad_file(uri: str, place: str) -> Quarantined:
    size = stat(uri, place).size
    if size == 0:
        return Quarantined("empty_file", uri, 0, 0, "the file has no bytes", uri.encode())
    return Quarantined("bad_parquet", uri, 0, 0, f"{size} bytes without a readable Parquet footer", uri.encode())
