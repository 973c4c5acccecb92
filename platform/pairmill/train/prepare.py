"""Prepare: tokenise the training rows once and shuffle them once, so that training only reads.

1. tokenise (per kept file or shard of files): read, filter, swap, tokenise; drop and count what cannot be used; write
   an exchange file by ranges of the rows' order, a seeded hash of their texts and origin.
2. hold out (one unit, where an entry asks for it): choose rows for evaluation; their texts leave training everywhere.
3. shuffle (per entry and range): sort by that order, write row batches of each group.

The order of rows depends on the seed and the rows alone, not on files, shards, ranges or workers. An entry is known by
a digest of what it means: its rows, the tokenizer, prompts and options. Jobs that differ in anything else, such as the
learning rate, share it; one entry more does not touch the others, unless rows are held out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pairmill.runs.storage import Storage
from pairmill.runs.units import Units, digest
from pairmill.spec.data import DataEntry
from pairmill.train.prepared import bucket, holdout, manifest, shard, tokens
from pairmill.train.prepared.manifest import Manifest
from pairmill.train.prepared.work import PREFIX, Options, Teacher, Work, describe

#: (stage, unit function, items) -> what the units returned, in any order; it adds `storage` and `attempt` to each item.
StageRunner = Callable[[str, Callable[[dict[str, Any]], dict[str, Any]], list[dict[str, Any]]], list[dict[str, Any]]]


def prepare(
    storage: Storage, entries: Sequence[DataEntry], tokenizer: str, options: Options, run_stage: StageRunner
) -> Manifest:
    """Prepare all entries, or find them prepared.

    `tokenizer` is a Hugging Face directory. Returns the manifest (see `prepared/manifest.py`). Raises SpecError for a
    run, source, language or prompt that is not there, and for an objective that needs what an entry does not give.
    """
    fingerprint = tokens.publish(storage, tokenizer)
    teacher = options.teacher
    second = [tokens.publish(storage, teacher.tokenizer), teacher.max_length] if teacher else None
    works = [describe(storage, entry, options, fingerprint, second) for entry in entries]
    context = _held_context(works)
    for work in works:
        work.settle(context, options.salt)
    unfinished = [work for work in works if work.result(storage) is None]
    run_stage("prepare: tokenise", shard.tokenise_shard, [item for work in unfinished for item in work.row_items()])
    held = _hold_out(storage, works, context, run_stage) if unfinished else None
    buckets = [item for work in unfinished for item in work.bucket_items(storage, held)]
    run_stage("prepare: shuffle", bucket.shuffle_bucket, buckets)
    for work in unfinished:
        work.commit(storage)
    for work in works:
        work.clear(storage)
    return manifest.whole([work.result(storage) for work in works], fingerprint, options.max_length)


def _held_context(works: Sequence[Work]) -> str | None:
    """What decides which rows are held out; None where none are."""
    held = [[work.entry.name, work.meaning] for work in works if work.entry.holdout]
    return digest(held) if held else None


def _hold_out(
    storage: Storage, works: Sequence[Work], context: str | None, run_stage: StageRunner
) -> dict[str, str] | None:
    """The files that name the held-out rows and texts."""
    if context is None:
        return None
    units = Units(storage, f"{PREFIX}/held")
    if units.get(context) is None:
        entries = [
            {"name": work.entry.name, "holdout": work.entry.holdout, "candidates": work.files(storage, "candidates")}
            for work in works
            if work.entry.holdout
        ]
        run_stage("prepare: hold out", holdout.choose, [{"prefix": units.prefix, "key": context, "entries": entries}])
    done = units.get(context)
    assert done is not None, "the unit is committed"
    return done["files"]


__all__ = ["Manifest", "Options", "StageRunner", "Teacher", "prepare"]
