"""Reads an input the way a job does: find, split, read; and adds up what came out."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from pydantic import TypeAdapter

from pairmill.pairs import sources
from pairmill.pairs.batch import QUARANTINE_BYTES, Quarantined
from pairmill.pairs.schema import PARSED
from pairmill.pairs.sources import FORMATS, Piece
from pairmill.spec.inputs import Input

WHOLE = 1 << 40
_INPUT: TypeAdapter[Any] = TypeAdapter(Input)


def spec_of(**settings: Any) -> Any:
    return _INPUT.validate_python({"name": "mine", **settings})


@dataclass
class Outcome:
    pieces: list[Piece] = field(default_factory=list, compare=False)  # they are the layout, not what it gives
    records: int = 0
    parsed: int = 0
    rows: list[dict[str, Any]] = field(default_factory=list)
    no_pair: Counter[str] = field(default_factory=Counter)
    quarantine: list[Quarantined] = field(default_factory=list)

    @property
    def texts(self) -> list[tuple[str, str]]:
        return [(row["anchor"], row["positive"]) for row in self.rows]

    @property
    def errors(self) -> Counter[str]:
        return Counter(entry.error for entry in self.quarantine)

    @property
    def details(self) -> list[str]:
        return [entry.detail for entry in self.quarantine]


def read_all(shard_size: int = WHOLE, batch_rows: int = 512, **settings: Any) -> Outcome:
    """Everything of an input. Checks what holds for every batch: the schema, the account, rows of one file."""
    spec = spec_of(**settings)
    outcome = Outcome()
    for file in sources.find(spec):
        for piece in sources.split(spec, file, shard_size):
            outcome.pieces.append(piece)
            sent = Piece(**json.loads(json.dumps(asdict(piece))))
            assert sent == piece
            for batch in sources.read(spec, sent, batch_rows):
                assert batch.pairs.schema == PARSED
                batch.pairs.validate(full=True)
                assert 0 < batch.records <= batch_rows
                rows = batch.pairs.to_pylist()
                assert len({row["origin_row"] for row in rows}) == batch.parsed
                assert batch.records == batch.parsed + sum(batch.no_pair.values()) + len(batch.quarantine)
                assert len({row["origin_file"] for row in rows}) <= 1
                outcome.records += batch.records
                outcome.parsed += batch.parsed
                outcome.rows += rows
                outcome.no_pair.update(batch.no_pair)
                outcome.quarantine += batch.quarantine
    return outcome


@dataclass
class Raw:
    """What builders are given."""

    items: dict[int, dict[str, Any]] = field(default_factory=dict)
    count: int = 0
    no_pair: Counter[str] = field(default_factory=Counter)
    quarantine: list[Quarantined] = field(default_factory=list)

    @property
    def errors(self) -> list[tuple[str, int | None]]:
        return [(entry.error, entry.origin_row) for entry in self.quarantine]


def records_of(shard_size: int = WHOLE, batch_rows: int = 512, **settings: Any) -> Raw:
    """All records of an input as builders are given them. Checks the account and the order of each batch."""
    spec = spec_of(**settings)
    raw = Raw()
    for file in sources.find(spec):
        for piece in sources.split(spec, file, shard_size):
            for some in FORMATS[spec.format].records(spec, piece, batch_rows):
                assert some.count == len(some.items) + sum(some.no_pair.values()) + len(some.quarantine)
                assert 0 < some.count <= batch_rows
                assert all(len(entry.data) <= QUARANTINE_BYTES for entry in some.quarantine)
                rows = [row for row, _ in some.items]
                assert rows == sorted(set(rows))
                raw.items.update(some.items)
                raw.count += some.count
                raw.no_pair.update(some.no_pair)
                raw.quarantine += some.quarantine
    return raw
