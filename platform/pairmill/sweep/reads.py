"""The files that a sweep's trials read: part of its identity, so that it is not found done when one has changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from pairmill.curate.decontamination import evaluation
from pairmill.pairs import sources
from pairmill.runs.units import digest
from pairmill.spec.decontaminate import EvaluationSet
from pairmill.spec.evaluate import Task
from pairmill.spec.inputs import MODELS
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


def _files(value: Any) -> Iterator[Any]:
    """The inputs, evaluation sets and local tasks of a spec, wherever they stand; not what it reads of other runs."""
    if isinstance(value, Task):
        yield from [value] if value.mteb is None else []
    elif isinstance(value, (EvaluationSet, *MODELS)):
        yield value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _files(getattr(value, name))
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _files(one)
    elif isinstance(value, dict):
        yield from _files(list(value.values()))


def _fingerprints(one: Any) -> list[Any]:
    if isinstance(one, Task):
        from pairmill.evaluate.job import fingerprints

        return fingerprints(one)
    files = evaluation.files(one) if isinstance(one, EvaluationSet) else sources.find(one)
    return [[*file.uris, file.fingerprint] for file in files]
