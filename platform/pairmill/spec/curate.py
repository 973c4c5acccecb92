"""`kind: curate`: raw pairs in, kept pairs out. Its longer sections are modules of their own, named as in the spec."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from pairmill.spec.base import Bytes, Model, Names
from pairmill.spec.clean import Clean, clean_by_preset
from pairmill.spec.decontaminate import Decontaminate
from pairmill.spec.dedup import Dedup
from pairmill.spec.expect import Expect
from pairmill.spec.filters import Filters
from pairmill.spec.inputs import Input


class LanguageIdentification(Model):
    engine: Literal["cascade", "fasttext", "eldc", "py3langid", "langdetect"] = Field(
        "cascade", description="cascade: eldc where it is sure, py3langid and fasttext (lid.176) for the rest."
    )
    min_confidence: float = Field(0.5, ge=0, le=1, description="Below it, an identified language decides nothing.")


class Output(Model):
    rejected: Literal["full", "refs", "sample"] = Field(
        "full", description="How much text rejected rows keep: all, none, or a sample's. Counts are always complete."
    )


class Report(Model):
    samples_per_reason: int = Field(50, ge=0, le=1000)
    sensitivity: bool = Field(True, description="What the run would keep if each threshold were another.")


class Resources(Model):
    """Never part of a run's identity: the same job with more memory is the same run."""

    cpus_per_task: float = Field(1, gt=0)
    memory_per_task: Bytes = Field(1_000_000_000, description="Reserved per task on the cluster.")
    shard_size: Bytes = Field(32_000_000, description="Text per shard, the unit that is committed and resumed.")
    cpus: int | None = Field(None, gt=0, description="CPUs of the local Ray; default: all. A cluster has its own.")
    dedup: Literal["auto", "single", "distributed"] = Field(
        "auto",
        description="single: one task holds all rows' hashes; auto: where a node has the memory. Same rows kept.",
    )
    components: Literal["auto", "single", "stars"] = Field(
        "auto", description="Distributed dedup: components in one task, or by rounds of large-star and small-star."
    )
    partitions: int | None = Field(None, gt=0, description="Distributed dedup: tasks per shuffle; default: by memory.")
    spill: Bytes | None = Field(
        None, description="Disk that distributed dedup may take for its shuffles; less disk means more passes."
    )


def _may_have_urls(spec_input: Any) -> bool:
    """Whether rows of the input may have a `url`: by its column, or by a builder."""
    columns = getattr(spec_input, "columns", None)
    return getattr(spec_input, "builder", None) is not None or (columns is not None and columns.url is not None)


class CurateSpec(Model):
    kind: Literal["curate"]
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$", description="Part of the run id.")
    inputs: list[Input] = Field(min_length=1)
    clean: Clean = Clean()
    language: LanguageIdentification = LanguageIdentification()
    filters: Filters = Filters()
    dedup: Dedup = Dedup()
    output: Output = Output()
    report: Report = Report()
    expect: Expect = Expect()
    resources: Resources = Resources()
    exclude: Names = Field(
        [], description="Files of opt-outs, one domain, URL or text per line: rows that match are rejected."
    )
    decontaminate: Decontaminate | None = Field(None, description="Reject rows that hold texts of evaluation sets.")

    @model_validator(mode="before")
    @classmethod
    def _by_preset(cls, data: Any) -> Any:
        return clean_by_preset(data)

    @model_validator(mode="after")
    def _sites_are_known(self) -> CurateSpec:
        if self.clean.boilerplate and not any(map(_may_have_urls, self.inputs)):
            raise ValueError(
                "clean.boilerplate counts lines by the site of the rows' `url`, and no input has one: name the column "
                "or field that holds it, columns: {url: ..}, or switch boilerplate off"
            )
        return self

    @model_validator(mode="after")
    def _expects_what_there_is(self) -> CurateSpec:
        for path, problem in self.expect.problems([item.name for item in self.inputs]):
            raise PydanticCustomError("value_error", "{error}", {"error": problem, "path": path})
        return self

    @field_validator("inputs")
    @classmethod
    def _unique_names(cls, inputs: list[Any]) -> list[Any]:
        names = [item.name for item in inputs]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two inputs are named {name!r}: the name is the rows' source and must be unique")
        return inputs
