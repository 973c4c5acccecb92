"""`kind: curate` on a run: rows that a run kept are selected again, by its scores and by those of mine runs."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from pairmill.spec.base import Model, Names, TaskResources
from pairmill.spec.curate import Output, Report
from pairmill.spec.expect import Expect
from pairmill.spec.filters import Filters

_DONE_BY_THE_RUN = ("clean", "language", "dedup", "exclude", "decontaminate")


class RunInput(Model):
    run: str = Field(min_length=1, description="The run that kept the rows: its id, the start of one, or its URI.")
    scores: Names = Field([], description="Mine runs that scored these rows; their columns are rules and are kept.")
    missing: Literal["reject", "keep"] = Field(
        "reject", description="Rows without a score that a rule asks for; rejected ones have the reason `no_score`."
    )


class DerivedFilters(Filters):
    """As on files, but rules may be score columns too: which there are is known when the job opens the runs."""

    preset: Literal["bitext", "strict", "lenient", "web", "none"] = Field(
        "none", description="Another preset than none judges the scores that the run has of its rows again."
    )

    @model_validator(mode="before")
    @classmethod
    def _known_rules(cls, data: Any) -> Any:
        return data


class DerivedSpec(Model):
    kind: Literal["curate"]
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$", description="Part of the run id.")
    inputs: list[RunInput] = Field(min_length=1, max_length=1, description="One run.")
    filters: DerivedFilters = DerivedFilters()
    semantic_duplicates: Literal["keep", "drop"] = Field(
        "keep", description="drop: of rows that mining found to say the same, one that passes all rules stays."
    )
    output: Output = Output()
    report: Report = Report()
    expect: Expect = Expect()
    resources: TaskResources = TaskResources()

    @model_validator(mode="before")
    @classmethod
    def _selects_only(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        for key in _DONE_BY_THE_RUN:
            if key in data:
                raise _at((key,), f"rows of a run are only selected; `{key}` is for jobs that read files. Leave it out")
        inputs = data.get("inputs")
        for number, item in enumerate(inputs if isinstance(inputs, list) else ()):
            if number or (isinstance(item, dict) and "run" not in item):
                raise _at(
                    ("inputs", number),
                    "a job that reads a run reads this run alone. Give each run, and files, a job of their own; "
                    "training reads several runs",
                )
        return data


def reads_run(data: Any) -> bool:
    """Whether a curate spec (a mapping) names a run among its inputs: then it is a DerivedSpec."""
    inputs = data.get("inputs")
    return isinstance(inputs, list) and any(isinstance(item, dict) and "run" in item for item in inputs)


def _at(path: tuple[str | int, ...], problem: str) -> PydanticCustomError:
    return PydanticCustomError("value_error", "{error}", {"error": problem, "path": path})
