"""`kind: train`: contrastive, multi-task and distillation training of an encoder on prepared pairs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from pairmill.spec.base import switch
from pairmill.spec.data import DataEntry, Mixing, check_entries
from pairmill.spec.model import Encoder, Place
from pairmill.spec.objectives import Contrastive, Matryoshka, Terms, needs
from pairmill.spec.training import Optimizer, Training


class TrainSpec(Training):
    kind: Literal["train"]
    model: Encoder
    teacher: Place | Literal["initial"] | None = Field(
        None, description="A frozen model that objectives read: a place, or `initial`, the model as training finds it."
    )
    data: list[DataEntry] = Field(min_length=1)
    mixing: Mixing = Mixing()
    objective: Terms = Field([Contrastive()], description="Of entries that have none: one term, or weighted terms.")
    matryoshka: Annotated[Matryoshka | None, BeforeValidator(switch)] = None
    accumulate: int = Field(1, gt=0, description="Batches per optimiser step; each has its own in-batch negatives.")
    optimizer: Optimizer = Optimizer()

    @model_validator(mode="after")
    def _consistent(self) -> TrainSpec:
        check_entries(self.data, self.mixing)
        for entry in self.data:
            asked = needs(entry.objective or self.objective)
            if "negatives" in asked and not entry.negatives:
                raise ValueError(f"data: {entry.name}: its objective reads hard negatives: set `negatives: h`")
            if asked & {"teacher_anchor", "teacher_positive"} and self.teacher is None:
                raise ValueError(f"data: {entry.name}: its objective has a teacher: set `teacher`, such as `initial`")
        self.check_batches(entry.batch_size for entry in self.data)
        rule = self.evaluate.early_stopping
        if rule is not None and rule.metric == "loss":
            raise ValueError(
                "evaluate.early_stopping.metric: loss is kind pretrain's. Use accuracy, cosine, spearman or alignment"
            )
        if self.resources.fsdp and self.model.trained != "all":
            raise ValueError(
                f"resources.fsdp and model.trained: {self.model.trained} do not go together: leave one out"
            )
        if self.model.architecture is not None and self.teacher == "initial":
            raise ValueError("teacher: initial: a model from scratch knows nothing yet. Name another model")
        return self
