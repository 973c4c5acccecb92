"""`kind: pretrain`: masked-language training on kept text, from scratch or from a model that is there."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from pairmill.spec.base import Model
from pairmill.spec.data import DataEntry, Mixing, check_entries
from pairmill.spec.model import Encoder
from pairmill.spec.training import Optimizer, Training

#: Keys of an entry that are about pairs.
OF_PAIRS = ("prompts", "instruction", "negatives", "batch_by", "score_range", "swap", "objective")


def _without_pairs(schema: dict[str, Any]) -> None:
    for name in OF_PAIRS:
        schema["properties"].pop(name, None)


class TextEntry(DataEntry):
    """Texts of one kept run, or of a set that is read as it is."""

    model_config = ConfigDict(json_schema_extra=_without_pairs)

    @model_validator(mode="after")
    def _texts_only(self) -> TextEntry:
        fields = type(self).model_fields
        found = [name for name in OF_PAIRS if getattr(self, name) != fields[name].default]
        if found:
            allowed = ", ".join(name for name in fields if name not in OF_PAIRS)
            raise ValueError(f"`{found[0]}` is about pairs, and pretraining reads texts: leave it out. Keys: {allowed}")
        return self


class Masking(Model):
    """Which tokens are hidden (BERT, arXiv 1810.04805; whole words: arXiv 1906.08101)."""

    share: float = Field(0.3, gt=0, lt=1, description="Of the tokens of a text. Typical: 0.15-0.4.")
    whole_words: bool = Field(True, description="Hide all tokens of a word, or none.")
    replace: tuple[float, float, float] = Field(
        (0.8, 0.1, 0.1), description="Shares of the hidden tokens: mask token, random token, no change."
    )

    @field_validator("replace")
    @classmethod
    def _whole(cls, value: tuple[float, float, float]) -> tuple[float, float, float]:
        if min(value) < 0 or not math.isclose(sum(value), 1, abs_tol=1e-9):
            raise ValueError(f"{list(value)}: three shares that sum to 1, such as [0.8, 0.1, 0.1]")
        return value


class PretrainSpec(Training):
    accumulate: ClassVar[int] = 1  # batches per optimiser step: one of any size goes through in micro-batches

    kind: Literal["pretrain"]
    model: Encoder
    data: list[TextEntry] = Field(min_length=1)
    mixing: Mixing = Mixing()
    masking: Masking = Masking()
    pack: Literal["concatenate", "text"] = Field(
        "concatenate", description="What a row is: texts end to end, cut at max_length; or one text."
    )
    sides: list[Literal["anchor", "positive"]] = Field(
        ["anchor", "positive"], min_length=1, max_length=2, description="Whose texts are read."
    )
    optimizer: Optimizer = Optimizer(lr=5e-4)

    @model_validator(mode="after")
    def _consistent(self) -> PretrainSpec:
        check_entries(list(self.data), self.mixing)
        if len(set(self.sides)) < len(self.sides):
            raise ValueError(f"sides: {self.sides[0]} is named twice")
        if self.model.lora is not None:
            raise ValueError("model.lora: masked-language training changes all weights. Adapters belong to kind: train")
        if self.resources.fsdp:
            raise ValueError("resources.fsdp: in pretraining every worker has the whole model: leave it out")
        rule = self.evaluate.early_stopping
        if rule is not None and rule.metric not in ("accuracy", "loss"):
            raise ValueError(f"evaluate.early_stopping.metric: found {rule.metric!r}. Allowed: accuracy, loss")
        self.check_batches(entry.batch_size for entry in self.data)
        return self
