"""`kind: pipeline`: steps, each a spec of another kind; `${steps.NAME}` stands for the run of an earlier step."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from pairmill.errors import SpecError
from pairmill.spec.base import Model
from pairmill.spec.text import Document, Path, dotted
from pairmill.spec.training import Name

_STEP = re.compile(r"\$\{steps\.([A-Za-z0-9_-]*)\}")


#: What of a step's spec does not change its result.
UNMEANT = ("resources", "report", "expect")


class Step(Model):
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,40}$", description="What `${steps.NAME}` refers to.")
    spec: dict[str, Any] = Field(description="A spec; without a `name` it is called after pipeline and step.")

    @field_validator("spec")
    @classmethod
    def _of_another_kind(cls, value: dict[str, Any]) -> dict[str, Any]:
        if value.get("kind") == "pipeline":
            raise ValueError("a step cannot be a pipeline: write its steps here")
        return value


class PipelineResources(Model):
    cpus: int | None = Field(None, gt=0, description="CPUs of the local Ray; default: all. A cluster has its own.")


class PipelineSpec(Model):
    kind: Literal["pipeline"]
    name: Name
    steps: list[Step] = Field(min_length=1)
    resources: PipelineResources = PipelineResources()

    @model_validator(mode="after")
    def _unique_names(self) -> PipelineSpec:
        names = [step.name for step in self.steps]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"steps: two steps are called {twice[0]!r}; names must differ")
        return self


def step_document(document: Document, number: int, runs: Mapping[str, str]) -> Document:
    """The spec of a step, with the ids of earlier steps' runs in place of `${steps.NAME}`; errors name its lines.

    Raises SpecError for a reference to a step that is not there or comes later.
    """
    step = document.data["steps"][number]
    prefix: Path = ("steps", number, "spec")
    earlier = [item["name"] for item in document.data["steps"][:number]]

    def run_of(match: re.Match[str], path: Path) -> str:
        if match[1] not in earlier:
            known = ", ".join(earlier) or "none: this is the first step"
            where = document.where((*prefix, *path))
            raise SpecError(
                f"{where}: {dotted((*prefix, *path))}: {match[0]} names no earlier step. Earlier steps: {known}."
            )
        return runs[match[1]]

    data = _replaced(step["spec"], (), run_of)
    named = {"name": f"{document.data['name']}-{step['name']}", **data}
    length = len(prefix)
    return Document(
        document.name,
        named,
        {path[length:]: line for path, line in document.lines.items() if path[:length] == prefix},
        {path[length:]: text for path, text in document.references.items() if path[:length] == prefix},
        prefix,
    )


def meaning(steps: list[dict[str, Any]]) -> list[list[Any]]:
    """Of each step its name, and the part of its spec that determines the result."""
    return [[step["name"], {key: one for key, one in step["spec"].items() if key not in UNMEANT}] for step in steps]


def placeholders(document: Document) -> dict[str, str]:
    """Run ids as they could be, for checking a pipeline before anything has run."""
    return {step["name"]: f"{step['name']}-000000000000" for step in document.data["steps"]}


def _replaced(data: Any, path: Path, run_of: Callable[[re.Match[str], Path], str]) -> Any:
    if isinstance(data, dict):
        return {key: _replaced(value, (*path, key), run_of) for key, value in data.items()}
    if isinstance(data, list):
        return [_replaced(value, (*path, number), run_of) for number, value in enumerate(data)]
    return _STEP.sub(lambda match: run_of(match, path), data) if isinstance(data, str) else data
