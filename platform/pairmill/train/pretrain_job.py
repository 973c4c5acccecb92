"""The pretrain job: a train job whose rows are texts and whose task is to guess their hidden tokens."""

from __future__ import annotations

from typing import Any

from pairmill.model.loading import load_tokenizer
from pairmill.model.settings import Settings
from pairmill.spec.model import Place
from pairmill.spec.pretrain import PretrainSpec
from pairmill.train.job import Train
from pairmill.train.masking import vocabulary_of
from pairmill.train.prepare import Options


class Pretrain(Train):
    """One attempt at a pretrain run."""

    kind = "pretrain"
    spec: PretrainSpec  # type: ignore[assignment]

    def models(self) -> dict[str, Place]:
        return {}

    def teacher_place(self) -> dict[str, Any] | None:
        return None

    def options(self, folder: str, settings: Settings) -> Options:
        """Raises SpecError where the tokenizer has no mask token, or its words cannot be told."""
        vocabulary_of(load_tokenizer(folder, self.spec.model.trust_remote_code), self.spec.masking.whole_words)
        return Options(max_length=settings.max_length, pack=self.spec.pack, sides=tuple(self.spec.sides))
