"""Sources: files in, batches of pairs out. One module per format, each with find, split and read.

A new format is one module with these three functions, one line in FORMATS, and its model in `spec/curate.py`:

1. `find` lists an input's files and fails at once for those that cannot be used.
2. `split` cuts a file into pieces; it may read the file once for that.
3. `read` streams a piece as batches in which every record is a pair, a counted `no_pair`, or in quarantine.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pairmill.pairs.batch import Batch
from pairmill.pairs.sources import csv, gettext, jsonl, linefiles, moses, packages, parquet
from pairmill.pairs.sources.base import BATCH_ROWS, Piece, SourceFile
from pairmill.pairs.sources.languages import locale_to_language

#: Raise it when the same bytes may give other pairs.
VERSION = 1

FORMATS: dict[str, Any] = {
    "csv": csv,
    "gettext": gettext,
    "jsonl": jsonl,
    "moses": moses,
    "parquet": parquet,
}


def find(spec_input: Any) -> list[SourceFile]:
    """The files of an input (a model of `spec/curate.py`), in canonical order.

    Raises SourceError: nothing matches, a file cannot be read, a column is missing, Moses sides do not pair up.
    """
    files: list[SourceFile] = FORMATS[spec_input.format].find(spec_input)
    return files


def split(spec_input: Any, file: SourceFile, shard_size: int) -> list[Piece]:
    """The file as pieces of about `shard_size` bytes of text, in order; whole where it cannot be cut."""
    pieces: list[Piece] = FORMATS[spec_input.format].split(spec_input, file, shard_size)
    return pieces


def read(spec_input: Any, piece: Piece, batch_rows: int = BATCH_ROWS) -> Iterator[Batch]:
    """The records of a piece, in order, at most `batch_rows` per batch; memory does not grow with the file.

    Raises SourceError: the file has changed or went away, a field is in no record, Moses sides differ in length.
    """
    yield from FORMATS[spec_input.format].read(spec_input, piece, batch_rows)
    if not packages.is_package(piece.uris[0]):  # those are compared by content as they are read
        linefiles.check(spec_input, piece)  # a file that changed meanwhile is not the one that was listed


__all__ = ["BATCH_ROWS", "FORMATS", "Piece", "SourceFile", "find", "locale_to_language", "read", "split"]
