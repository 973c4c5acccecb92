"""Finished runs with score tables, as mine jobs publish them, of scores that a test has computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pairmill.pairs import scores
from pairmill.pairs.scores import Column
from pairmill.runs.record import Run, now
from pairmill.runs.storage import Storage


def publish(
    storage: Storage,
    name: str,
    of: tuple[str, int],
    columns: Sequence[Column],
    ids: np.ndarray,
    values: Mapping[str, np.ndarray],
    per_file: int = 1000,
) -> str:
    """Write the scores of rows `ids` (ascending) of the run and generation `of`; returns the id of their run."""
    run = Run(storage, name)
    files = []
    for start in range(0, len(ids), per_file):
        part = slice(start, start + per_file)
        path = run.path(f"scores/{start:06d}.parquet")
        files.append(scores.write(storage, path, columns, ids[part], {key: all_[part] for key, all_ in values.items()}))
    places = run.publish(scores.manifest(*of, columns, files), {})
    run.write_record(
        {"id": name, "kind": "mine", "state": "done", "started": now(), "seconds": 0, "inputs": [], **places}
    )
    return name
