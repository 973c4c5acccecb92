"""`map:` of an evaluate spec: what a model's vectors of one language go through on their way to those of another."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from pairmill.spec.base import Language, Model, Names
from pairmill.spec.data import DataEntry
from pairmill.spec.inputs import Input

NAME = "map"
#: Options of one method alone.
_OPTIONS = {"penalty": "ridge", "towards": "ridge", "hidden": "mlp"}


class Map(Model):
    """A map of vectors, fitted on bitext of `language` and `to`; texts of tasks in `language` go through it."""

    method: Literal["procrustes", "ridge", "mlp"]
    language: Language = Field(description="Of the texts whose vectors are mapped.")
    to: Language = Field("en", description="Language of the bitext's other side.")
    run: str | None = Field(None, description="Bitext: kept rows of a curate run, by its id, its start, or its URI.")
    input: Input | None = Field(None, description="Bitext: files, as under `inputs` of a curate spec, without filters.")
    sources: Names | None = Field(None, description="Only rows of these inputs of the run.")
    pairs: int = Field(50_000, gt=9, description="At most so many pairs, drawn by hash; more pairs include fewer.")
    seed: int = Field(0, ge=0)
    center: bool = Field(True, description="Procrustes, ridge: between vectors less their means, not vectors.")
    penalty: float | None = Field(
        None, gt=0, description="Ridge; default: the best of 1e-4 to 1e4 by leave-one-out error."
    )
    towards: Literal["zero", "identity"] = Field(
        "zero", description="Ridge: where the penalty draws the map; identity: the vector as it is."
    )
    hidden: int = Field(1024, gt=0, description="Mlp: width of its hidden layer.")

    @property
    def entry(self) -> DataEntry:
        """The rows of the bitext, as training reads them."""
        pair = [f"{self.language}-{self.to}"]
        return DataEntry(name=NAME, run=self.run, input=self.input, sources=self.sources, languages=pair)

    @model_validator(mode="before")
    @classmethod
    def _input_has_a_name(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(data.get("input"), dict):
            return {**data, "input": {"name": NAME, **data["input"]}}
        return data

    @model_validator(mode="after")
    def _possible(self) -> Map:
        if (self.run is None) == (self.input is None):
            raise ValueError("needs either `run` (a curate run) or `input` (files), and not both")
        if self.input is not None and self.sources is not None:
            raise ValueError("`sources` names inputs of a curate run; an `input` has none: leave it out")
        if self.language == self.to:
            raise ValueError(f"language and to are both {self.to}: a map leads from one language to another")
        for key, method in _OPTIONS.items():
            if getattr(self, key) != type(self).model_fields[key].default and method != self.method:
                raise ValueError(f"`{key}` is of method {method}, not of {self.method}: leave it out")
        if not self.center and self.method == "mlp":
            raise ValueError("`center` is of methods procrustes and ridge; an mlp has biases: leave it out")
        return self
