"""The specs of a sweep's trials: the trial's document with other values, and what is known of them before they run."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path as FilePath
from typing import Any

import yaml

from pairmill.errors import SpecError
from pairmill.spec.sweep import TRAININGS, TRIALS, Draw, Objective, Overrides, SweepSpec, known
from pairmill.spec.text import Document, Path, assign, parse

#: How far below the sweep's spec the values of `space` and `variants` stand.
_DEPTHS = {"space": 4, "variants": 3}


def inline(document: Document) -> None:
    """Put the trial that `file` names in its place. Raises SpecError."""
    data = document.data
    if data.get("kind") != "sweep" or "file" not in data:
        return
    where = f"{document.where(('file',))}: file"
    if "trial" in data:
        raise SpecError(f"{where}: found both of trial and file: write one.")
    path = FilePath(document.name).parent / str(data.pop("file"))
    try:
        found = parse(path.read_text("utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SpecError(f"{where}: {path} cannot be read: {reason}. Name a spec beside {document.name}.") from None
    data["trial"] = found.data
    document.lines[("trial",)] = document.lines.pop(("file",))


def whole(text: str, name: str) -> str:
    """A spec's text that needs no file beside it. Raises SpecError."""
    document = parse(text, name)
    if not isinstance(document.data, dict) or "file" not in document.data:
        return text
    inline(document)
    return yaml.safe_dump(document.data, sort_keys=False, allow_unicode=True)


def trial_document(document: Document, values: Mapping[str, Any] | None = None) -> Document:
    """The spec of a trial with these values; without a name it is called after the sweep. Raises SpecError."""
    given = document.data["trial"]
    if not isinstance(given, dict) or given.get("kind") == "sweep":
        raise SpecError(f"{document.where(('trial',))}: trial: is a spec of any kind but sweep.")
    prefix: Path = (*document.prefix, "trial")
    trial = Document(
        document.name,
        {"name": document.data["name"], **copy.deepcopy(given)},
        {path[1:]: line for path, line in document.lines.items() if path[:1] == ("trial",)},
        {path[1:]: text for path, text in document.references.items() if path[:1] == ("trial",)},
        prefix,
    )
    for name, value in sorted((values or {}).items()):  # a path before what is below it
        path = assign(trial, name, copy.deepcopy(value), document.lines.get(("trial",), 1))
        kept = {known: text for known, text in trial.references.items() if known[: len(path)] != path}
        trial.references = {**kept, **{(*path, *below): text for below, text in _written(document, name, value)}}
    return trial


def _referring(document: Document) -> Iterator[tuple[Path, Any, Path, str]]:
    """Of each reference to the environment in the space or a variant: its path, the value that it is in, where it
    stands below that, and its text."""
    for path, text in document.references.items():
        if depth := _DEPTHS.get(str(path[0])):
            value: Any = document.data
            for part in path[:depth]:
                value = value[part]
            yield path, value, path[depth:], text


def _written(document: Document, name: str, value: Any) -> Iterator[tuple[Path, str]]:
    """The references to the environment in a value of the space or of a variant, below the value."""
    for path, candidate, below, text in _referring(document):
        if name in path[1:3] and candidate == value:
            yield below, text


def written(document: Document, values: Mapping[str, Any]) -> Overrides:
    """The values with references to the environment as they were written: what records may keep."""
    return {name: unread(value, _written(document, name, value)) for name, value in values.items()}


def read(document: Document, values: Mapping[str, Any]) -> Overrides:
    """The values that `written` was given."""
    found = dict(values)
    for path, candidate, _, _ in _referring(document):
        for name, value in values.items():
            if name in path[1:3] and value == unread(candidate, _written(document, name, candidate)):
                found[name] = candidate
    return found


def unread(value: Any, texts: Iterable[tuple[Path, str]]) -> Any:
    """A copy of a value with these texts in their places."""
    held = [copy.deepcopy(value)]
    for below, text in texts:
        path: Path = (0, *below)
        target: Any = held
        for part in path[:-1]:
            target = target[part]
        target[path[-1]] = text
    return held[0]


def seed_paths(spec: SweepSpec) -> list[str]:
    """Where seeds are written. Raises SpecError where the trial trains nothing."""
    if spec.seed_paths is not None:
        return spec.seed_paths
    if spec.trial.get("kind") in TRAININGS:
        return ["seed"]
    steps = spec.trial.get("steps") if spec.trial.get("kind") == "pipeline" else None
    found = [f"steps.{step['name']}.spec.seed" for step in steps or [] if step["spec"].get("kind") in TRAININGS]
    if not found:
        raise SpecError("seeds: the trial has no train or pretrain step. Name `seed_paths`, or leave seeds out.")
    return found


def seeded(spec: SweepSpec, values: Mapping[str, Any], seed: int | None) -> Overrides:
    """The values of a trial's run with a seed; None: its own."""
    return {**values, **({} if seed is None else dict.fromkeys(seed_paths(spec), seed))}


def cases(document: Document, spec: SweepSpec) -> Iterator[tuple[Path, Overrides]]:
    """Values with which the trial must be a good spec, and where they stand: each variant, each end of each value
    drawn with what it is drawn beside, and a seed. Raises SpecError for an objective or seeds that the trial has no
    place for.
    """
    for key, objective in [("objective", spec.objective), *(("claims", spec.objective_of(c)) for c in spec.claims)]:
        try:
            step_of(spec.trial, objective)
        except ValueError as error:
            raise SpecError(f"{document.where((key,))}: {key}: {error}") from None
    if spec.seeds:
        try:
            yield ("seeds",), seeded(spec, {}, spec.seeds[0])
        except SpecError as error:
            raise SpecError(f"{document.where(('seeds',))}: {error}") from None
    for name, values in spec.variants.items():
        yield ("variants", name), values
    for path, draw in spec.space.items():
        beside = _conditions(spec.space, path)
        for end in draw.ends:
            yield ("space", path), {**beside, path: end}


def _conditions(space: Mapping[str, Draw], path: str) -> Overrides:
    """Values with which the value of a path is drawn."""
    found: Overrides = {}
    for other, allowed in space[path].when.items():
        found |= {**_conditions(space, other), other: allowed[0]}
    return found


def step_of(trial: Mapping[str, Any], objective: Objective) -> str | None:
    """The pipeline's step that has an objective's figure; None where the trial is no pipeline. Raises ValueError."""
    if trial.get("kind") != "pipeline":
        if objective.step is not None:
            raise ValueError(f"step: the trial is a {trial.get('kind')} spec, which has no steps: leave it out")
        if objective.held_out and trial.get("kind") not in TRAININGS:
            raise ValueError(f"held_out: the trial is a {trial.get('kind')} spec, which trains nothing: use metric")
        return None
    kinds = {step["name"]: step["spec"].get("kind") for step in trial["steps"]}
    if objective.step is not None and objective.step not in kinds:
        raise ValueError(f"step: {objective.step!r} is no step of the trial. {known(list(kinds))}")
    if objective.metric is not None:
        return objective.step or list(kinds)[-1]
    return training_of(trial, objective)


def training_of(trial: Mapping[str, Any], objective: Objective) -> str | None:
    """The pipeline's step whose evaluations are looked at; None where the trial is no pipeline. Raises ValueError."""
    if trial.get("kind") != "pipeline":
        return None
    trainings = [step["name"] for step in trial["steps"] if step["spec"].get("kind") in TRAININGS]
    named = objective.step if objective.metric is None else None
    if not trainings or (named is not None and named not in trainings):
        raise ValueError(f"held_out: {named or 'the trial'} trains nothing. Steps that train: {known(trainings)}")
    return named or trainings[-1]


def grid(space: Mapping[str, Draw]) -> Iterator[Overrides]:
    """Every combination, the last value changing fastest; what a `when` leaves out is not there."""
    found: list[Overrides] = [{}]
    for path, draw in space.items():
        values = draw.values
        assert values is not None, "checked"
        found = [
            {**one, **added}
            for one in found
            for added in ([{path: value} for value in values] if is_drawn(draw, one) else [{}])
        ]
    yield from found


def shared_steps(spec: SweepSpec) -> set[str]:
    """The steps of a pipeline that are the same in all trials: no value of theirs changes, nor of a step they read."""
    if spec.trial.get("kind") != "pipeline":
        return set()
    given = [*spec.space, *(path for values in spec.variants.values() for path in values)]
    changed = [
        path.replace("[", ".").replace("]", "").split(".") for path in given + (seed_paths(spec) if spec.seeds else [])
    ]
    shared: set[str] = set()
    for number, step in enumerate(spec.trial["steps"]):
        own = any(path[0] == "steps" and path[1] in (step["name"], str(number)) for path in changed)
        read = set(re.findall(r"\$\{steps\.([a-z0-9-]+)\}", str(step["spec"])))
        if not own and read <= shared:
            shared.add(step["name"])
    return shared


def name_of(spec: SweepSpec, number: int) -> str:
    """What a trial is called: its variant, or its number."""
    return list(spec.variants)[number] if spec.variants else str(number)


def most_trials(spec: SweepSpec) -> int:
    """How many trials a sweep makes, where no budget ends it."""
    if spec.variants:
        return len(spec.variants)
    if spec.search == "grid":
        every = len(list(grid(spec.space)))
        return min(every, spec.trials or every)
    return spec.trials or TRIALS


def is_drawn(draw: Draw, values: Mapping[str, Any]) -> bool:
    """Whether the condition holds for the values drawn before."""
    return all(path in values and values[path] in allowed for path, allowed in draw.when.items())
