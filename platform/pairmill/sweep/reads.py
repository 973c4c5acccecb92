"""The files that a sweep's trials read: part of its identity, so that it is not found done when one has changed."""

from __future__ import annotations

from typing import Any

from pairmill.pairs import sources
from pairmill.runs.units import digest
from pairmill.spec.derived import DerivedSpec
from pairmill.spec.evaluate import Task
from pairmill.spec.load import LoadedSpec, check, steps
from pairmill.spec.trials import cases, trial_document


def of(loaded: LoadedSpec) -> list[str]:
    """What the files are now that the trial names, or any variant or value of the space (of a range its ends).

    Raises SourceError for files that are not there: nothing has started yet.
    """
    given = [{}, *(values for _, values in cases(loaded.document, loaded.spec))]
    known: dict[str, Any] = {}
    for values in given:
        trial = check(trial_document(loaded.document, values))
        for part in [part for _, part in steps(trial)] or [trial]:
            for one in _files(part.spec):
                name = one.model_dump_json()
                if name not in known:
                    known[name] = _fingerprints(one)
    return sorted({digest([name, found]) for name, found in known.items()})


def _files(spec: Any) -> list[Any]:
    """The inputs and local tasks of a spec."""
    entries = [entry.input for entry in getattr(spec, "data", None) or [] if getattr(entry, "input", None)]
    inputs = [] if isinstance(spec, DerivedSpec) else getattr(spec, "inputs", None) or []
    return [*inputs, *entries, *(task for task in getattr(spec, "tasks", None) or [] if task.mteb is None)]


def _fingerprints(one: Any) -> list[Any]:
    if isinstance(one, Task):
        from pairmill.evaluate.job import fingerprints

        return fingerprints(one)
    return [[*file.uris, file.fingerprint] for file in sources.find(one)]
