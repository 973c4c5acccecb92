"""For `kind: pretrain`: texts become rows of one column `tokens`, either one text per row or concatenated.

Concatenated, the texts of a unit (a kept file, or a shard of files) are one stream in the order of the input, the
special tokens that end a text between them; it is cut into sequences of `max_length` tokens, specials included. So
consecutive pages of a document become long sequences. The last sequence of a unit is shorter.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from pairmill.train.prepared.pairs import IDS, TAIL
from pairmill.train.prepared.reading import mix
from pairmill.train.prepared.tokens import Tokens, text_ids

SCHEMA = pa.schema([("tokens", IDS), ("tokens_id", pa.int64()), *TAIL])


@dataclass(frozen=True)
class Packing:
    """What a unit makes of an entry's texts; JSON by `asdict`."""

    sides: tuple[str, ...] = ("anchor", "positive")
    pack: str = "concatenate"  # or "text"
    seed: int = 0


class Packer:
    """Feeds on tables with reading.SCHEMA, gives tables with SCHEMA; `finish` gives the stream's last sequence.

    `used` counts the texts, `dropped` those without tokens.
    """

    def __init__(self, packing: Packing, tokens: Tokens, dropped: Counter[str]):
        self._packing, self._tokens, self._dropped = packing, tokens, dropped
        self._rest = np.empty(0, np.int32)  # begins where a sequence begins
        self._rest_of = np.empty((0, 3), np.int64)  # the row it begins in: pair_id, origin, place
        self._sequences = 0
        self.used = 0

    def feed(self, table: pa.Table) -> pa.Table:
        texts, of = self._texts(table)
        if self._packing.pack == "text":
            encoded = self._tokens.encode(texts.to_pylist())
            filled = self._count(encoded)
            return self._rows(encoded.filter(pa.array(filled)), text_ids(texts)[filled], of[filled])
        encoded = self._tokens.plain(texts.to_pylist())
        filled = self._count(encoded)
        return self._stream(encoded.filter(pa.array(filled)), of[filled])

    def finish(self) -> pa.Table:
        return self._cut(self._rest, self._rest_of, max(len(self._rest), 1))

    def _texts(self, table: pa.Table) -> tuple[pa.Array, np.ndarray]:
        """The present texts row by row; of each its pair_id and origin, and a place that is the text's own."""
        texts = pa.concat_arrays([table[side].combine_chunks() for side in self._packing.sides])
        order = np.arange(len(texts)).reshape(len(self._packing.sides), -1).T.ravel()
        texts = texts.take(pa.array(order))
        present = np.asarray(pc.is_valid(texts))
        self._dropped["null_text"] += len(present) - int(present.sum())
        columns = [np.asarray(table[name].combine_chunks()) for name in ("pair_id", "origin", "place")]
        of = np.column_stack([column.astype(np.int64) for column in columns])
        of = np.repeat(of, len(self._packing.sides), axis=0)
        side = np.arange(len(of)) % len(self._packing.sides)
        of[:, 2] = mix(of[:, 2], side).view(np.int64)
        return texts.filter(pa.array(present)), of[present]

    def _count(self, encoded: pa.ListArray) -> np.ndarray:
        filled = np.asarray(pc.list_value_length(encoded)) > 0
        self.used += int(filled.sum())
        self._dropped["empty_text"] += len(filled) - int(filled.sum())
        return filled

    def _stream(self, encoded: pa.ListArray, of: np.ndarray) -> pa.Table:
        """Append texts, each with its ending special tokens, to the stream, and cut off whole sequences."""
        ending = np.array(self._tokens.behind, np.int32)
        lengths = np.asarray(pc.list_value_length(encoded)) + len(ending)
        ends = np.cumsum(lengths)
        at = ends[:, None] - np.arange(len(ending), 0, -1)
        flat, body = np.empty(int(lengths.sum()), np.int32), np.ones(int(lengths.sum()), bool)
        flat[at], body[at] = ending, False
        flat[body] = np.asarray(encoded.flatten())
        starts = np.concatenate([np.zeros(len(self._rest_of), np.int64), len(self._rest) + ends - lengths])
        stream, of = np.concatenate([self._rest, flat]), np.concatenate([self._rest_of, of])
        room = self._tokens.max_length - len(self._tokens.before) - len(ending)
        whole = len(stream) // room * room
        begins = of[np.searchsorted(starts, np.arange(0, len(stream), room), side="right") - 1]
        self._rest, self._rest_of = stream[whole:], begins[whole // room :]
        return self._cut(stream[:whole], begins[: whole // room], room)

    def _cut(self, stream: np.ndarray, of: np.ndarray, room: int) -> pa.Table:
        """Sequences of `room` tokens of the stream, with special tokens around them."""
        body = stream.reshape(-1, room)
        sides = (self._tokens.before, self._tokens.behind)
        first, last = (np.tile(np.array(side, np.int32), (len(body), 1)) for side in sides)
        values = np.concatenate([first, body, last], axis=1)
        offsets = pa.array(np.arange(len(body) + 1) * values.shape[1], pa.int32())
        ids = np.array([xxhash.xxh3_64_intdigest(row.tobytes()) for row in body], np.uint64).view(np.int64)
        number = np.arange(self._sequences, self._sequences + len(body))
        self._sequences += len(body)
        of = np.column_stack([of[:, :2], mix(of[:, 2], number).view(np.int64)])
        return self._rows(pa.ListArray.from_arrays(offsets, pa.array(values.ravel())), ids, of)

    def _rows(self, lists: pa.Array, ids: np.ndarray, of: np.ndarray) -> pa.Table:
        place = of[:, 2].astype(np.uint64)
        order = mix(np.full(len(ids), self._packing.seed, np.uint64), ids, place)
        pairs = pa.repeat(pa.scalar("*", pa.string()), len(ids))
        origin = pa.array(of[:, 1].astype(np.int32))
        columns = [lists, pa.array(ids), pa.array(of[:, 0]), origin, pa.array(order), pa.array(place), pairs]
        return pa.table(columns, schema=SCHEMA)
