"""The shard plan: which files and ranges make up which shard, in canonical (input, URI, offset) order.

Large files are cut into pieces of about `shard_size` of text; small files are grouped. A group ends where it is full,
or after a file whose name hashes to a boundary, so that adding a file changes the group it falls into and no other.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from pairmill.pairs import sources
from pairmill.spec.curate import CurateSpec

_BOUNDARY = 8


def plan(inputs: list[Any], found: dict[str, list[sources.SourceFile]], shard_size: int) -> list[dict[str, Any]]:
    """All shards of a run, as plain JSON: `{"index", "input", "pieces", "text_size"}`."""
    shards: list[dict[str, Any]] = []
    for spec_input in inputs:
        pieces = (p for file in found[spec_input.name] for p in sources.split(spec_input, file, shard_size))
        for group in _groups(pieces, shard_size):
            shards.append(
                {
                    "index": len(shards),
                    "input": spec_input.name,
                    "pieces": [asdict(piece) for piece in group],
                    "text_size": sum(piece.text_size for piece in group),
                }
            )
    return shards


def _groups(pieces: Iterable[sources.Piece], shard_size: int) -> Iterable[list[sources.Piece]]:
    group: list[sources.Piece] = []
    size = 0
    for piece in pieces:
        if group and size + piece.text_size > shard_size:
            yield group
            group, size = [], 0
        group.append(piece)
        size += piece.text_size
        if size >= shard_size // _BOUNDARY and zlib.crc32(piece.uris[0].encode()) % _BOUNDARY == 0:
            yield group
            group, size = [], 0
    if group:
        yield group


def input_of(spec: CurateSpec, shard: dict[str, Any]) -> Any:
    """The input that a shard is a part of."""
    return next(spec_input for spec_input in spec.inputs if spec_input.name == shard["input"])


def pieces_of(shard: dict[str, Any]) -> list[sources.Piece]:
    return [sources.Piece(**piece) for piece in shard["pieces"]]
