"""Reads an input whose builder brings files together as a job does, in several layouts, and adds up the account."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from pydantic import TypeAdapter

from pairmill.pairs import sources
from pairmill.pairs.batch import Quarantined
from pairmill.pairs.schema import PARSED
from pairmill.pairs.sources import Piece
from pairmill.spec.curate import Input

_INPUT: TypeAdapter[Any] = TypeAdapter(Input)


def spec_of(**settings: Any) -> Any:
    return _INPUT.validate_python({"name": "mine", **settings})


@dataclass
class Outcome:
    worlds: int = 0
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


def built(**settings: Any) -> Outcome:
    """What an input gives: the same in every layout, and every record accounted for once."""
    outcomes = [_built(shard_size, batch_rows, settings) for shard_size, batch_rows in ((1 << 40, 512), (1, 1), (9, 3))]
    assert outcomes[0] == outcomes[1] == outcomes[2]
    made = outcomes[0]
    assert made.records == made.parsed + made.no_pair.total() + len(made.quarantine)
    return made


def _built(shard_size: int, batch_rows: int, settings: dict[str, Any]) -> Outcome:
    spec, outcome = spec_of(**settings), Outcome()
    for file in sources.find(spec):
        pieces = sources.split(spec, file, shard_size)
        assert len(pieces) == 1, "a world is never cut"
        outcome.worlds += 1
        sent = Piece(**json.loads(json.dumps(asdict(pieces[0]))))
        for batch in sources.read(spec, sent, batch_rows):
            assert batch.pairs.schema == PARSED
            batch.pairs.validate(full=True)
            assert 0 < batch.records <= batch_rows
            assert batch.records == batch.parsed + sum(batch.no_pair.values()) + len(batch.quarantine)
            rows = batch.pairs.to_pylist()
            assert len({row["origin_file"] for row in rows}) <= 1
            outcome.records += batch.records
            outcome.parsed += batch.parsed
            outcome.rows += rows
            outcome.no_pair.update(batch.no_pair)
            outcome.quarantine += batch.quarantine
    return outcome
