"""Units in the test's own process: for tests of what units make, where Ray would only add seconds to every stage."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from pairmill.runs import engine


@contextmanager
def units_here() -> Iterator[None]:
    """Jobs do their units one after the other in this process; what goes in and comes out is JSON, as through Ray."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "run_units", _run)
        yield


def _run(work: engine.WorkFunction, items: Sequence[dict[str, Any]], resources: engine.Resources) -> Iterator[Any]:
    for item in items:
        yield json.loads(json.dumps(work(json.loads(json.dumps(item)))))
