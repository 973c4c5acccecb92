"""Writes records as a dump would hold them, and reads them through a builder as a job does, in several layouts."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sourcekit import Outcome, read_all, spec_of

__all__ = ["Outcome", "built", "from_jsonl", "jsonl", "spec_of"]


def built(layouts: Iterable[tuple[int, int]] = ((1 << 40, 512), (1, 1), (200, 3)), **settings: Any) -> Outcome:
    """What an input gives: the same in every layout (bytes of a shard, records of a batch), with a balanced account."""
    outcomes = [read_all(shard_size, batch_rows, **settings) for shard_size, batch_rows in layouts]
    for other in outcomes[1:]:
        assert other == outcomes[0]
    made = outcomes[0]
    assert made.records == made.parsed + made.no_pair.total() + len(made.quarantine)
    numbered = {row["origin_row"] for row in made.rows} | {entry.origin_row for entry in made.quarantine}
    assert len(numbered) == made.parsed + len(made.quarantine) and numbered <= set(range(made.records))
    return made


def jsonl(path: Path, *records: Any) -> str:
    """Lines of JSON; bytes are written as they are."""
    lines = [item if isinstance(item, bytes) else json.dumps(item, ensure_ascii=False).encode() for item in records]
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return str(path)


def from_jsonl(tmp_path: Path, builder: Any, *records: Any, **settings: Any) -> Outcome:
    return built(format="jsonl", path=jsonl(tmp_path / "dump.jsonl", *records), builder=builder, **settings)
