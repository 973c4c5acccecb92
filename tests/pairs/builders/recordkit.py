"""Writes records as a dump would hold them, and reads them through a builder as a job does, in several layouts."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from pairmill.pairs import sources
from pairmill.pairs.batch import Quarantined
from pairmill.pairs.schema import PARSED
from pairmill.pairs.sources import Piece
from pairmill.spec.curate import Input

_INPUT: TypeAdapter[Any] = TypeAdapter(Input)


@dataclass
class Outcome:
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


def spec_of(**settings: Any) -> Any:
    return _INPUT.validate_python({"name": "mine", **settings})


def built(layouts: Iterable[tuple[int, int]] = ((1 << 40, 512), (1, 1), (200, 3)), **settings: Any) -> Outcome:
    """What an input gives: the same in every layout (bytes of a shard, records of a batch), with a balanced account."""
    outcomes = [_built(shard_size, batch_rows, settings) for shard_size, batch_rows in layouts]
    for other in outcomes[1:]:
        assert other == outcomes[0]
    made = outcomes[0]
    assert made.records == made.parsed + made.no_pair.total() + len(made.quarantine)
    numbered = {row["origin_row"] for row in made.rows} | {entry.origin_row for entry in made.quarantine}
    assert len(numbered) == made.parsed + len(made.quarantine) and numbered <= set(range(made.records))
    return made


def _built(shard_size: int, batch_rows: int, settings: dict[str, Any]) -> Outcome:
    spec, outcome = spec_of(**settings), Outcome()
    for file in sources.find(spec):
        for piece in sources.split(spec, file, shard_size):
            for batch in sources.read(spec, Piece(**json.loads(json.dumps(asdict(piece)))), batch_rows):
                assert batch.pairs.schema == PARSED
                batch.pairs.validate(full=True)
                assert 0 < batch.records <= batch_rows
                outcome.records += batch.records
                outcome.parsed += batch.parsed
                outcome.rows += batch.pairs.to_pylist()
                outcome.no_pair.update(batch.no_pair)
                outcome.quarantine += batch.quarantine
    return outcome


def jsonl(path: Path, *records: Any) -> str:
    """Lines of JSON; bytes are written as they are."""
    lines = [item if isinstance(item, bytes) else json.dumps(item, ensure_ascii=False).encode() for item in records]
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return str(path)


def from_jsonl(tmp_path: Path, builder: Any, *records: Any, **settings: Any) -> Outcome:
    return built(format="jsonl", path=jsonl(tmp_path / "dump.jsonl", *records), builder=builder, **settings)
