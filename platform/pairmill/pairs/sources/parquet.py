"""Parquet: read by row groups, with only the columns that are used.

1. `find` reads the footers: a missing column or one of another type is an error before anything starts.
2. Row groups are grouped to pieces by the uncompressed size of the columns that are used.
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
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyarrow.types as pt

from pairmill import objects
from pairmill.errors import SourceError
from pairmill.pairs.batch import Batch, Quarantined
from pairmill.pairs.schema import PARSED
from pairmill.pairs.sources import columns, linefiles
from pairmill.pairs.sources.base import BATCH_ROWS, Piece, SourceFile, whole
from pairmill.pairs.sources.globs import Match, expand
from pairmill.pairs.sources.stat import local_error, remote_error, stat
from pairmill.spec.curate import Langs, ParquetInput

_BUFFER, _REMOTE_BUFFER = 1 << 20, 8 << 20  # bytes of a column chunk fetched at once
_READ_BYTES = 8 << 20  # of text, read and converted at once
_TEXTUAL = ("anchor", "positive", "anchor_lang", "positive_lang")


def find(spec: ParquetInput) -> list[SourceFile]:
    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(lambda match: _examine(spec, match), expand(spec.path, linefiles.where(spec))))


def _examine(spec: ParquetInput, match: Match) -> SourceFile:
    text_size = match.stat.size
    with _opened(match.uri, linefiles.where(spec)) as file:
        if file is not None:
            _check_columns(spec, match.uri, file.schema_arrow)
            text_size = sum(_group_sizes(spec, file.metadata))
    return SourceFile((match.uri,), match.stat.fingerprint, match.stat.size, text_size)


def split(spec: ParquetInput, file: SourceFile, shard_size: int) -> list[Piece]:
    if file.text_size <= shard_size:
        return [whole(file)]
    with _opened(file.uris[0], linefiles.where(spec)) as opened:
        if opened is None:
            return [whole(file)]
        sizes = _group_sizes(spec, opened.metadata)
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



def read(spec: ParquetInput, piece: Piece, batch_rows: int = BATCH_ROWS) -> Iterator[Batch]:
    place = linefiles.check(spec, piece)
    uri = piece.uris[0]
    with _opened(uri, place) as file:
        if file is None:
            yield columns.only_quarantine([_bad_file(uri, place)])
            return
        _check_columns(spec, uri, file.schema_arrow)
        row = piece.first_row
        stop = file.num_row_groups if piece.stop is None else piece.stop
        for group in range(piece.start, stop):
            yield from _group(spec, file, group, uri, row, batch_rows)
            row += file.metadata.row_group(group).num_rows


def _group(
    spec: ParquetInput, file: pq.ParquetFile, group: int, uri: str, row: int, batch_rows: int
) -> Iterator[Batch]:
    names = columns.used(spec.columns)
    rows = file.metadata.row_group(group).num_rows
    size = max(1, _group_sizes(spec, file.metadata)[group])
    at_once = max(1, min(8 * batch_rows, _READ_BYTES * rows // size))
    done = 0
    try:
        wanted = list(dict.fromkeys(names.values()))
        for batch in file.iter_batches(at_once, [group], wanted, use_threads=False):
            yield from _batches(spec, batch, names, uri, row + done, batch_rows)
            done += len(batch)
    except (OSError, pa.ArrowException) as error:
        _refuse_disk_errors(error, uri, linefiles.where(spec))
        lost = f"rows {row + done} to {row + rows - 1} ({rows - done} rows)"
        detail = f"row group {group}: {lost} cannot be read: {error}"
        yield columns.only_quarantine([Quarantined("corrupt", uri, row + done, None, detail, uri.encode())])


def _batches(
    spec: ParquetInput, batch: pa.RecordBatch, names: dict[str, str], uri: str, row: int, batch_rows: int
) -> Iterator[Batch]:
    raw = {column: _column(batch, name) for column, name in names.items()}
    rows = len(batch)
    try:
        made = {column: _converted(column, values, spec.langs) for column, values in raw.items()}
    except pa.ArrowInvalid:
        for at in range(0, rows, batch_rows):
            some = {column: values.slice(at, batch_rows) for column, values in raw.items()}
            yield _one_by_one(spec, some, names, uri, range(row + at, row + min(at + batch_rows, rows)))
        return
    table = columns.table(made, spec.langs, uri, range(row, row + rows))
    for at in range(0, rows, batch_rows):
        yield Batch(table.slice(at, batch_rows), min(batch_rows, rows - at))


def _one_by_one(spec: ParquetInput, raw: dict[str, pa.Array], names: dict[str, str], uri: str, rows: range) -> Batch:
    """A batch some of whose rows may hold strings that are not UTF-8."""
    wrong: dict[int, str] = {}
    for column, name in names.items():
        _find_wrong(column, name, raw[column], wrong)
    keep = [index for index in range(len(rows)) if index not in wrong]
    made = {
        column: _converted(column, values.take(pa.array(keep, pa.int64())), spec.langs)
        for column, values in raw.items()
    }
    entries = [
        Quarantined("invalid_utf8", uri, rows[index], None, detail, _bytes(raw, index))
        for index, detail in sorted(wrong.items())
    ]
    pairs = columns.table(made, spec.langs, uri, [rows[index] for index in keep])
    return Batch(pairs, len(rows), quarantine=entries)


def _find_wrong(column: str, name: str, values: pa.Array, wrong: dict[int, str]) -> None:
    for index in range(len(values)):
        try:
            _converted(column, values.slice(index, 1), Langs())
        except pa.ArrowInvalid as error:
            wrong.setdefault(index, f"{name}: {error}")


def _bytes(raw: dict[str, pa.Array], index: int) -> bytes:
    """The bytes of a row's two sides."""
    sides = [raw[column].slice(index, 1).cast(pa.large_binary())[0].as_py() or b"" for column in ("anchor", "positive")]
    return b"\n".join(sides)


def _column(batch: pa.RecordBatch, name: str) -> pa.Array:
    """A column, or a field inside a struct by its dotted name; dictionaries as their values."""
    first, *path = [name] if name in batch.schema.names else name.split(".")
    values = batch.column(first)
    for key in path:
        values = pc.struct_field(values, key)
    if pt.is_dictionary(values.type):
        values = values.dictionary_decode()
    return values


def _converted(column: str, values: pa.Array, langs: Langs) -> pa.Array:
    """Values as the schema's type. Raises ArrowInvalid where a string is not UTF-8."""
    kind = PARSED.field(column).type
    if column in _TEXTUAL:
        texts = _checked(values, kind)
        if column in ("anchor", "positive"):
            return texts.fill_null("") if texts.null_count else texts
        return columns.language_column(texts, columns.declared(column, langs))
    if column == "negatives":
        return _negatives(values)
    if column == "label" and not _is_text(values.type):
        return values.cast(kind)
    return _checked(values, kind) if column == "label" else values.cast(kind, safe=False)


def _checked(values: pa.Array, kind: pa.DataType) -> pa.Array:
    if pt.is_null(values.type):
        return values.cast(kind)
    return values.cast(pa.large_binary()).cast(pa.large_string()).cast(kind)


def _negatives(values: pa.Array) -> pa.Array:
    kind = PARSED.field("negatives").type
    if pt.is_null(values.type):
        return values.cast(kind)
    if _is_text(values.type):
        texts = _checked(values, pa.large_string())
        return pa.array([None if text is None else [text] for text in texts.to_pylist()], kind)
    values = values.cast(pa.list_(values.type.value_type))
    texts = _checked(values.values, pa.large_string())
    offsets = values.offsets
    if values.null_count:
        return pa.array(values.to_pylist(), kind)
    return pa.ListArray.from_arrays(offsets, texts)


def _is_text(kind: pa.DataType) -> bool:
    if pt.is_dictionary(kind):
        return _is_text(kind.value_type)
    return (
        pt.is_string(kind) or pt.is_large_string(kind) or pt.is_binary(kind) or pt.is_large_binary(kind)
        or pt.is_string_view(kind) or pt.is_binary_view(kind) or pt.is_null(kind)
    )  # fmt: skip


def _fits(column: str, kind: pa.DataType) -> bool:
    if column in _TEXTUAL:
        return _is_text(kind)
    if column == "negatives":
        is_list = pt.is_list(kind) or pt.is_large_list(kind) or pt.is_fixed_size_list(kind)
        return _is_text(kind) or (is_list and _is_text(kind.value_type) and not pt.is_dictionary(kind.value_type))
    if column == "score":
        return pt.is_floating(kind) or pt.is_integer(kind) or pt.is_decimal(kind) or pt.is_null(kind)
    return _is_text(kind) or pt.is_integer(kind) or pt.is_boolean(kind) or pt.is_floating(kind)


def _type(schema: pa.Schema, name: str) -> pa.DataType | None:
    """The type of a column or of a struct's field; None where there is none."""
    if name in schema.names:
        return schema.field(name).type
    first, *path = name.split(".")
    kind = schema.field(first).type if first in schema.names else None
    for key in path:
        if kind is None or not pt.is_struct(kind) or kind.get_field_index(key) < 0:
            return None
        kind = kind.field(key).type
    return kind


def _check_columns(spec: ParquetInput, uri: str, schema: pa.Schema) -> None:
    place = linefiles.where(spec)
    types = {column: (name, _type(schema, name)) for column, name in columns.used(spec.columns).items()}
    missing = [name for name, kind in types.values() if kind is None]
    if missing:
        raise linefiles.missing_columns(place, uri, missing, schema.names, "column")
    for column, (name, kind) in types.items():
        if kind is not None and not _fits(column, kind):
            allowed = {"score": "a number", "negatives": "a list of strings", "label": "a string or a number"}
            raise SourceError(
                f"{place}: column {name!r} of {uri} is {kind}; `columns.{column}` must be "
                f"{allowed.get(column, 'a string')}. Name another column, or convert it."
            )


def _group_sizes(spec: ParquetInput, metadata: Any) -> list[int]:
    """Uncompressed bytes of the columns that are used, per row group."""
    names = set(columns.used(spec.columns).values())
    paths = [metadata.schema.column(index).path for index in range(metadata.num_columns)]
    chosen = [i for i, path in enumerate(paths) if any(path == name or path.startswith(name + ".") for name in names)]
    groups = (metadata.row_group(index) for index in range(metadata.num_row_groups))
    return [sum(group.column(index).total_uncompressed_size for index in chosen) for group in groups]


@contextmanager
def _opened(uri: str, place: str) -> Iterator[pq.ParquetFile | None]:
    """The file; None where it has no readable footer."""
    remote = objects.is_remote(uri)
    buffer = _REMOTE_BUFFER if remote else _BUFFER
    with _remote(uri, place) if remote else _local(uri, place) as source:
        try:
            file = pq.ParquetFile(source, buffer_size=buffer, pre_buffer=False, page_checksum_verification=True)
        except (pa.ArrowException, OSError) as error:
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
