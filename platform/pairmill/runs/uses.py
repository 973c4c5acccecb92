"""Which runs use which shared results, so that `pairmill runs collect` can tell what no run needs.

A shared result is all that stands below one key of `stages/`: a shard's annotations, the groups of some shards,
prepared rows, a cache of vectors.

1. Before a process that works for a run reads or makes one for the first time, it leaves a mark, the empty object
   `uses/<stage>/<key>/<run id>`. Before its run's id is known, a driver marks by a name of its own.
2. Then it looks whether a collection has announced that it takes this result, and if so waits for its end.
3. A collection (collection.py) announces first and reads the marks then. So either it sees the mark, or the process
   sees the announcement, and nothing is taken from under a run.
"""

from __future__ import annotations

import re
import time
import uuid
from typing import Any

PREFIX = "uses"
#: Runs that have marked all they use, `uses/runs/<run id>`: those of earlier versions have not.
MARKING = f"{PREFIX}/runs"
#: What a collection is taking, while it does: `{"id", "results"}`.
COLLECTING = f"{PREFIX}/collecting.json"
#: A collection announces what it takes in less time; one that was killed leaves its announcement.
ABANDONED_SECONDS = 600.0
_RESULT = re.compile(r"stages/((?:[a-z]+/)+[0-9a-f]{32})")

_user = ""
_attempt = ""
_marked: set[tuple[str, str]] = set()


def result_of(path: str) -> str | None:
    """The shared result that a path of a storage belongs to, such as `annotate/<key>`."""
    found = _RESULT.match(path)
    return found[1] if found else None


def begin(user: str, attempt: str = "") -> None:
    """From now on this process works for a run, or with "" for none."""
    global _user, _attempt
    if (user, attempt) != (_user, _attempt):
        _user, _attempt = user, attempt
        _marked.clear()


def begin_unnamed() -> None:
    """This process works for a run whose id is not known yet."""
    begin(f"driver-{uuid.uuid4().hex[:12]}")


def begin_run(storage: Any, run_id: str, attempt: str) -> None:
    """This process drives a run."""
    storage.put(f"{MARKING}/{run_id}", b"")
    begin(run_id, attempt)


def mark(storage: Any, path: str) -> None:
    """Leave the mark, where `path` belongs to a shared result that this process has not marked yet."""
    if not _user or (result := result_of(path)) is None or (storage.uri, result) in _marked:
        return
    storage.put(f"{PREFIX}/{result}/{_user}", b"")
    announced, since = storage.get_json(COLLECTING), time.monotonic()
    while announced and result in announced["results"] and time.monotonic() - since < ABANDONED_SECONDS:
        time.sleep(0.2)
        announced = storage.get_json(COLLECTING)
    _marked.add((storage.uri, result))
