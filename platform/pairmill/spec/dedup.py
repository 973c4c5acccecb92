"""`dedup:` of a curate spec: which rows count as the same, and which of them stays."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from pairmill.spec.base import Model, switch
from pairmill.spec.rules import RULES

SCORE_COLUMNS = tuple(sorted(column for rule in RULES.values() for column in rule.columns))


class Exact(Model):
    key: Literal["anchor", "positive", "pair"] = "pair"


class Near(Model):
    """MinHash of character 5-grams with verification.

    Default: P(candidate) = 1 - (1 - J^8)^16 = 0.95 at J = 0.8 and 0.61 at J = 0.7.
    """

    key: Literal["anchor", "positive", "pair"] = "pair"
    threshold: float = Field(0.8, gt=0, le=1, description="Jaccard similarity of character shingles. Typical: 0.7-0.9.")
    keep: Literal["first", "longest"] | dict[Literal["best"], str] = Field(
        "first", description="Which row of a group stays: first, longest, or {best: <score column>} (highest)."
    )
    verify: Literal["exact", "estimate"] = "exact"
    slots: int = Field(128, ge=8, le=1024, description="MinHash slots; at least bands x rows.")
    bands: int = Field(16, ge=1, le=256)
    rows: int = Field(8, ge=1, le=64, description="Rows per band.")
    signature: Literal["pairmill", "datasketch"] = Field(
        "pairmill", description="datasketch: signatures equal to that library's, a hundred times slower."
    )

    @model_validator(mode="after")
    def _banding_fits(self) -> Near:
        if self.bands * self.rows > self.slots:
            raise ValueError(f"bands x rows = {self.bands * self.rows} must not exceed slots = {self.slots}")
        if self.keep == {}:
            raise ValueError("keep: {} names no column: write {best: <score column>}, first or longest")
        if isinstance(self.keep, dict) and self.keep["best"] not in ("score", *SCORE_COLUMNS):
            raise ValueError(
                f"keep.best: {self.keep['best']!r} is no score column; allowed: score, {', '.join(SCORE_COLUMNS)}"
            )
        return self


class Dedup(Model):
    exact: Annotated[Exact | None, BeforeValidator(switch)] = Exact()
    near: Annotated[Near | None, BeforeValidator(switch)] = Near()
    against: list[str] = Field(
        [],
        description="Earlier runs whose kept rows win: run ids, or <storage>/runs/<id>. Name all: each has its own.",
    )

    @model_validator(mode="after")
    def _against_something(self) -> Dedup:
        if self.against and not (self.exact or self.near):
            raise ValueError("against: exact and near are both off, so there is nothing to compare. Switch one on.")
        return self
