"""MS MARCO (1611.09268) and sets of its form: a query -> its relevant passage or document, with negatives by id."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pairmill.pairs.batch import Batch
from pairmill.pairs.builders import retrieval
from pairmill.pairs.builders.joining import split
from pairmill.pairs.sources.base import BATCH_ROWS, Piece, SourceFile


def find(spec: Any) -> list[SourceFile]:
    return retrieval.find(spec, spec.builder.collection)


def read(spec: Any, piece: Piece, batch_rows: int = BATCH_ROWS) -> Iterator[Batch]:
    return retrieval.read(spec, piece, spec.builder.collection, batch_rows)


__all__ = ["find", "read", "split"]
