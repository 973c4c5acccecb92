"""A row as it was in its file, and what cleaning made of it: the record is read and cleaned again.

A row's id says its shard and its number there; the run's plan says the files and ranges of the shard. The shard is read
up to the row, by the same reader as the job's. This is the one thing that the explorer reads outside of the storage.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml

from pairmill.curate import annotate
from pairmill.curate.shardfiles import SHARD_BITS
from pairmill.errors import PairmillError
from pairmill.explore.contents import Contents
from pairmill.explore.database import Question
from pairmill.pairs import sources
from pairmill.pairs.shards import input_of, pieces_of
from pairmill.runs.record import Run
from pairmill.spec.curate import CurateSpec


@dataclass(frozen=True)
class Original:
    """The two sides as they were in the file, and the steps of cleaning that changed them. `problem`: why not."""

    sides: dict[str, str]
    steps: list[str]
    problem: str = ""


def planned(contents: Contents) -> bool:
    """Whether the run has a plan of its files: a run of files, not one selected from a run."""
    return _plan(contents.run) is not None


def original(asked: Question, contents: Contents, pair_id: int) -> Original:
    """Read the row's record again. Its file may be gone, or have changed: then `problem` says so."""
    plan = _plan(contents.run)
    if plan is None:
        return Original({}, [], "This run reads another run, not files.")
    spec = CurateSpec.model_validate(yaml.safe_load(str(contents.summary["spec"])))
    try:
        columns = _record(asked, spec, plan[pair_id >> SHARD_BITS], pair_id & ((1 << SHARD_BITS) - 1))
    except (PairmillError, OSError, IndexError) as error:
        asked.check()
        return Original({}, [], f"The record cannot be read again: {error}")
    _, changed = annotate.clean_sides(columns, spec)
    sides = {side: columns[side][0].as_py() or "" for side in annotate.SIDES}
    return Original(sides, [step for step, rows in changed.items() if rows])


def _plan(run: Run) -> list[dict[str, Any]] | None:
    committed = run.units("plan").get("shards")
    return committed["shards"] if committed else None


def _record(asked: Question, spec: CurateSpec, shard: dict[str, Any], number: int) -> dict[str, Any]:
    """One parsed row of a shard, as columns of length 1. Raises IndexError where the shard has fewer."""
    spec_input = input_of(spec, shard)
    for piece in pieces_of(shard):
        for batch in sources.read(spec_input, piece):
            asked.check()
            if number < len(batch.pairs):
                row = batch.pairs.slice(number, 1)
                return {name: row[name].combine_chunks() for name in row.column_names}
            number -= len(batch.pairs)
    raise IndexError("the file holds fewer records than it did")
