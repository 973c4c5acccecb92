"""The files that a sweep's trials read: part of its identity, so that it is not found done when one has changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pairmill.pairs import sources
from pairmill.runs.units import digest
from pairmill.spec.derived import DerivedSpec
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
            for name, find in _files(part.spec):
                if name not in known:
                    known[name] = find()
    return sorted({digest([name, found]) for name, found in known.items()})


def _files(spec: Any) -> Iterator[tuple[str, Any]]:
    """Inputs and tasks of a spec as text, and what finds their files' fingerprints."""
    entries = [entry.input for entry in getattr(spec, "data", None) or [] if getattr(entry, "input", None)]
    inputs = [] if isinstance(spec, DerivedSpec) else getattr(spec, "inputs", None) or []
    for one in [*inputs, *entries]:
        yield one.model_dump_json(), lambda one=one: [[*file.uris, file.fingerprint] for file in sources.find(one)]
    for task in getattr(spec, "tasks", None) or []:
        if task.mteb is None:
            from pairmill.evaluate.job import fingerprints

            yield task.model_dump_json(), lambda task=task: fingerprints(task)
