"""`data:` and `mixing:` of a train spec: which rows are trained on, in which shares."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from pairmill.spec.base import Model, Names
from pairmill.spec.inputs import Input
from pairmill.spec.objectives import Terms, needs

_FILTER = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]+)*")


class EntryPrompts(Model):
    """Which of the model's prompts each side gets: names of `model.prompts`."""

    anchor: str | None = None
    positive: str | None = None


class DataEntry(Model):
    """Rows of one kept run, or of a ready-made set that is read as it is."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    run: str | None = Field(None, description="Kept rows of a curate run: its id, the start of one, or its URI.")
    input: Input | None = Field(None, description="Files, as under `inputs` of a curate spec, read without filters.")
    sources: Names | None = Field(None, description="Only rows of these inputs of the run.")
    languages: Names | None = Field(None, description="Only rows with a language (`de`) or a pair of them (`de-en`).")
    prompts: EntryPrompts = EntryPrompts()
    instruction: str | None = Field(
        None, min_length=1, description="Task put before the anchor, in the model's instruction template."
    )
    negatives: int = Field(0, ge=0, le=1024, description="Hard negatives per row; rows with fewer are dropped.")
    batch_by: Literal["entry", "language-pair"] = Field(
        "entry", description="What shares a batch: rows of the whole entry, or of one language pair of it."
    )
    limit: int | None = Field(None, gt=0, description="At most so many training rows, drawn by hash.")
    holdout: float = Field(
        0, ge=0, description="Rows kept out of training for its evaluation: from 1 on a number, below 1 a share."
    )
    score_range: tuple[float, float] | None = Field(
        None, description="Lowest and highest gold score, brought to 0..1. Default: scores stay as they are."
    )
    swap: Literal["never", "always", "both"] = Field(
        "never", description="Exchange anchor and positive; both: a row each way."
    )
    objective: Terms | None = Field(None, description="One term, or a list of weighted terms; default: the spec's.")
    weight: float | None = Field(None, gt=0, description="Share of the steps, relative to the other entries' weights.")
    batch_size: int | None = Field(None, gt=1, description="Rows per step; default: that of the spec.")

    @model_validator(mode="before")
    @classmethod
    def _input_is_named_as_the_entry(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(data.get("input"), dict):
            return {**data, "input": {"name": data.get("name"), **data["input"]}}
        return data

    @field_validator("holdout")
    @classmethod
    def _whole_rows(cls, value: float) -> float:
        if value > 1 and value != int(value):
            raise ValueError(f"{value:g} is neither a number of rows nor a share: write 1000, or 0.01")
        return value

    @field_validator("score_range")
    @classmethod
    def _ascending(cls, value: tuple[float, float] | None) -> tuple[float, float] | None:
        if value is not None and value[0] >= value[1]:
            raise ValueError(f"{list(value)}: the lowest score comes first, and the highest must be above it")
        return value

    @field_validator("languages")
    @classmethod
    def _codes(cls, value: list[str] | None) -> list[str] | None:
        for entry in value or ():
            if not _FILTER.fullmatch(entry):
                raise ValueError(f"{entry!r} is neither a language code (de) nor a pair of them (de-en)")
        return value

    @model_validator(mode="after")
    def _possible(self) -> DataEntry:
        if (self.run is None) == (self.input is None):
            raise ValueError("needs either `run` (a curate run) or `input` (files), and not both")
        if self.input is not None and self.sources is not None:
            raise ValueError("`sources` names inputs of a curate run; an `input` has none: leave it out")
        if self.instruction is not None and self.prompts.anchor is not None:
            raise ValueError("`instruction` and `prompts.anchor` both go before the anchor: name one")
        if self.swap != "never" and self.negatives:
            raise ValueError(f"swap: {self.swap} would give the positive its anchor's negatives: use `never`")
        if self.objective is not None and "negatives" in needs(self.objective) and not self.negatives:
            raise ValueError("the objective reads hard negatives: say how many a row has, such as `negatives: 7`")
        return self


class Stage(Model):
    """Weights that hold before a step."""

    until: int | None = Field(None, gt=0, description="First step that they do not hold for; default: to the end.")
    weights: dict[str, Annotated[float, Field(ge=0)]] = Field(description="By entry; an entry left out gets no steps.")

    @field_validator("weights")
    @classmethod
    def _some(cls, value: dict[str, float]) -> dict[str, float]:
        if not any(value.values()):
            raise ValueError("all weights are 0: give an entry a weight above 0")
        return value


class Mixing(Model):
    """The entries' shares of the steps: n^alpha for n rows (GTE, arXiv 2308.03281), unless entries have weights."""

    alpha: float = Field(1.0, ge=0, le=1, description="0: every group alike; 0.5: GTE; 1: by rows.")
    schedule: list[Stage] = Field([], description="Weights in the course of training, instead of the entries' own.")

    @model_validator(mode="after")
    def _in_order(self) -> Mixing:
        ends = [stage.until for stage in self.schedule]
        known = [end for end in ends if end is not None]
        if None in ends[:-1] or known != sorted(set(known)):
            raise ValueError(f"schedule: `until` must rise, and only the last stage may lack it; found {ends}")
        return self


def check_entries(entries: list[DataEntry], mixing: Mixing) -> None:
    """Refuse entries that do not go together. Raises ValueError."""
    names = [entry.name for entry in entries]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"data: two entries are called {twice[0]!r}; names must differ")
    weighted = [entry.name for entry in entries if entry.weight is not None]
    if weighted and len(weighted) < len(entries):
        lacking = [name for name in names if name not in weighted]
        raise ValueError(f"data: {', '.join(weighted)} have a weight and {', '.join(lacking)} have none: all or none")
    for number, stage in enumerate(mixing.schedule):
        unknown = [name for name in stage.weights if name not in names]
        if unknown:
            raise ValueError(
                f"mixing.schedule[{number}].weights: no entry is called {unknown[0]!r}; entries: {', '.join(names)}"
            )
