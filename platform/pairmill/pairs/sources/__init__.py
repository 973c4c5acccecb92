"""Sources: files in, batches of pairs out. One module per format, each with find, split and read.

A new format is one module with these three functions, one line in FORMATS, and its model in `spec/inputs.py`:

1. `find` lists an input's files and fails at once for those that cannot be used.
2. `split` cuts a file into pieces; it may read the file once for that.
3. `read` streams a piece as batches in which every record is a pair, a counted `no_pair`, or in quarantine.
4. `records`, where builders can read the format, streams its records as they are (see `records.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pairmill.pairs import builders
from pairmill.pairs.batch import Batch
from pairmill.pairs.sources import (
    arrow,
    csv,
    fields,
    gettext,
    html,
    json,
    jsonl,
    linefiles,
    moses,
    packages,
    parquet,
    selection,
    tmx,
    warc,
    xml,
)
from pairmill.pairs.sources.base import BATCH_ROWS, Piece, SourceFile, whole
from pairmill.pairs.sources.languages import locale_to_language
from pairmill.pairs.sources.records import Records

#: Raise it when the same bytes may give other pairs.
VERSION = 2

FORMATS: dict[str, Any] = {
    "arrow": arrow,
    "csv": csv,
    "gettext": gettext,
    "html": html,
    "json": json,
    "jsonl": jsonl,
    "moses": moses,
    "parquet": parquet,
    "tmx": tmx,
    "warc": warc,
    "xml": xml,
}


def find(spec_input: Any) -> list[SourceFile]:
    """The files of an input (a model of `spec/inputs.py`), in canonical order.

    Raises SourceError: nothing matches, a file cannot be read, a column is missing, Moses sides do not pair up.
    """
    files: list[SourceFile] = _module(spec_input).find(spec_input)
    return files


def split(spec_input: Any, file: SourceFile, shard_size: int) -> list[Piece]:
    """The file as pieces of about `shard_size` bytes of text, in order; whole where it cannot be cut."""
    if _builder(spec_input) in builders.EXPANDING:
        return [whole(file)]
    pieces: list[Piece] = _module(spec_input).split(spec_input, file, shard_size)
    return pieces


def read(spec_input: Any, piece: Piece, batch_rows: int = BATCH_ROWS) -> Iterator[Batch]:
    """The records of a piece, in order, at most `batch_rows` per batch; memory does not grow with the file.

    Raises SourceError: the file has changed or went away, a field is in no record, Moses sides differ in length.
    """
    module, builder = _module(spec_input), _builder(spec_input)
    if builder in builders.SINGLE:
        yield from builders.read(spec_input, records(spec_input, piece, batch_rows), batch_rows)
    elif builder is None and getattr(spec_input, "where", None):
        yield from (fields.batch(spec_input, some) for some in records(spec_input, piece, batch_rows))
    else:
        yield from module.read(spec_input, piece, batch_rows)
    if not packages.is_package(piece.uris[0]):  # those are compared by content as they are read
        linefiles.check(spec_input, piece)  # a file that changed meanwhile is not the one that was listed


def records(spec_input: Any, piece: Piece, batch_rows: int = BATCH_ROWS) -> Iterator[Records]:
    """The records of a piece as they are, those that the input's `where` means; for builders."""
    return selection.selected(spec_input, FORMATS[spec_input.format].records(spec_input, piece, batch_rows))


def _builder(spec_input: Any) -> str | None:
    builder = getattr(spec_input, "builder", None)
    return builder.name if builder else None


def _module(spec_input: Any) -> Any:
    """What finds, splits and reads the input: its format, or a builder that brings records together."""
    return builders.JOINING.get(_builder(spec_input) or "") or FORMATS[spec_input.format]


__all__ = ["BATCH_ROWS", "FORMATS", "Piece", "SourceFile", "find", "locale_to_language", "read", "records", "split"]
