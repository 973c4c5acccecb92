"""`kind: tokenizer`: a vocabulary made of the kept text of curate runs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from pairmill.spec.base import Bytes, Language, Model, Names, TaskResources
from pairmill.spec.model import Place


class KeptText(Model):
    """Kept text of one curate run."""

    run: str = Field(min_length=1, description="Id of a finished curate run, or <storage>/runs/<id>.")
    sides: list[Literal["anchor", "positive"]] = Field(["anchor", "positive"], min_length=1)
    sources: Names | None = Field(None, description="Only rows of these inputs of that run. Default: all.")
    languages: Names | None = Field(None, description="Only rows of these languages (de) or pairs (en-de).")


class SpecialTokens(Model):
    """BERT's by default. A text becomes `cls text sep`, a pair `cls text sep text sep`."""

    pad: str = Field("[PAD]", min_length=1)
    unk: str = Field("[UNK]", min_length=1)
    cls: str = Field("[CLS]", min_length=1)
    sep: str = Field("[SEP]", min_length=1)
    mask: str = Field("[MASK]", min_length=1)
    additional: list[Annotated[str, Field(min_length=1)]] = Field([], description="More tokens that are never split.")

    def all(self) -> list[str]:
        """In the order of their ids, from 0."""
        return [self.pad, self.unk, self.cls, self.sep, self.mask, *self.additional]

    @model_validator(mode="after")
    def _distinct(self) -> SpecialTokens:
        for token in self.all():
            if self.all().count(token) > 1:
                raise ValueError(f"{token!r} stands for two special tokens: each needs a text of its own")
        return self


class TokenizerSpec(Model):
    kind: Literal["tokenizer"]
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$", description="Part of the run id.")
    inputs: list[KeptText] = Field(min_length=1)
    type: Literal["wordpiece", "bpe", "unigram"] = "wordpiece"
    byte_level: bool = Field(False, description="bpe: over bytes, so that nothing is ever unknown (GPT-2, RoBERTa).")
    vocabulary: int = Field(30_000, ge=16, description="Number of tokens, special ones and characters included.")
    min_frequency: int = Field(
        2, ge=1, description="wordpiece, bpe: two pieces are joined if they meet that often in the sample."
    )
    character_coverage: float = Field(
        0.9999,
        gt=0,
        le=1,
        description="Share of the sample's characters that get a token; the rarest beyond it are unknown. Typical: "
        "0.9995-1. Byte-level: always 1.",
    )
    normalization: Literal["NFC", "NFKC", "none"] = "NFC"
    lowercase: bool = False
    strip_accents: bool = False
    special_tokens: SpecialTokens = SpecialTokens()
    max_length: int = Field(512, ge=8, description="model_max_length: what longer texts are cut to.")
    languages: dict[Language, Annotated[float, Field(gt=0)]] | None = Field(
        None, description="Shares of the sample by language, in bytes; scaled to sum to 1. Instead of alpha."
    )
    alpha: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Shares of the languages p ~ characters^alpha. 1: as found; 0: equal. Default: 0.3.",
    )
    sample: Bytes = Field(200_000_000, description="Text to train on, in bytes of UTF-8.")
    shortfall: Literal["whole", "shrink"] = Field(
        "whole",
        description="Where a language has less text than its share: whole: use all of it, report what is missing; "
        "shrink: a smaller sample, so that the shares hold.",
    )
    held_out: Bytes = Field(1_000_000, description="Text per language that fertility is measured on, at most.")
    compare: Place | None = Field(None, description="The tokenizer whose fertility is reported beside the new one's.")
    resources: TaskResources = TaskResources()

    @field_validator("languages")
    @classmethod
    def _some(cls, languages: dict[str, float] | None) -> dict[str, float] | None:
        if languages == {}:
            raise ValueError("names no language: write {en: 0.5, de: 0.5}, or leave it out and set alpha")
        return languages

    @model_validator(mode="after")
    def _consistent(self) -> TokenizerSpec:
        if self.languages is not None and self.alpha is not None:
            raise ValueError("languages and alpha both set the languages' shares: give one of them")
        if self.byte_level and self.type != "bpe":
            raise ValueError(f"byte_level is an option of type bpe, not of {self.type}: leave it out")
        if self.byte_level and self.vocabulary < 256 + len(self.special_tokens.all()):
            raise ValueError(
                f"vocabulary: {self.vocabulary} is too small for byte_level: 256 bytes and "
                f"{len(self.special_tokens.all())} special tokens come first"
            )
        return self
