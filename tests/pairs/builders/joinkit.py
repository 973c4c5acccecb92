"""Reads an input whose builder brings files together as a job does, in several layouts, and checks the account."""

from __future__ import annotations

from typing import Any

from pairmill.pairs import sources
from sourcekit import Outcome, read_all, spec_of

__all__ = ["built", "spec_of", "worlds"]


def built(**settings: Any) -> Outcome:
    """What an input gives: the same in every layout, and every record accounted for once."""
    layouts = ((1 << 40, 512), (1, 1), (9, 3))
    outcomes = [read_all(shard_size, batch_rows, **settings) for shard_size, batch_rows in layouts]
    assert outcomes[0] == outcomes[1] == outcomes[2]
    files = len(sources.find(spec_of(**settings)))
    assert all(len(outcome.pieces) == files for outcome in outcomes), "a world is never cut"
    made = outcomes[0]
    assert made.records == made.parsed + made.no_pair.total() + len(made.quarantine)
    return made


def worlds(outcome: Outcome) -> int:
    """How many worlds the input has: groups of files that are read together."""
    return len(outcome.pieces)
