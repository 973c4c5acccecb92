"""`expect:` of a curate spec: what its ledger must show when the job has finished."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator
from typing import Annotated

from pydantic import Field, model_validator

from pairmill.spec.base import Model
from pairmill.spec.filters import Pair
from pairmill.spec.rules import RULES

#: What a row may be lost to, beside the rules; `quarantine` stands for all records that could not be read.
REASONS = ("exact_duplicate", "near_duplicate", "excluded", "contaminated", "quarantine")
Difference = Annotated[float, Field(ge=0, le=1)]


class Share(Model):
    min: float = Field(0, ge=0, le=1)
    max: float = Field(1, ge=0, le=1)

    @model_validator(mode="after")
    def _possible(self) -> Share:
        if self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}: it could never hold")
        return self


class KeptShare(Share):
    per_source: dict[str, Share] = Field({}, description="Bounds for single sources, by the names of the inputs.")


class KeptRows(Model):
    per_pair: dict[Pair, Annotated[int, Field(ge=1)]] = Field(
        {}, description="Least kept rows of a pair of languages, in either order, varieties included (`de-en: 1000`)."
    )


class Drift(Model):
    """Shares may differ from those of an earlier run by this much; 1 allows everything."""

    run: str = Field(min_length=1, description="A finished curate run: its id, the start of one, or its URI.")
    kept_share: Difference = Field(0.02, description="Difference of the share of rows kept.")
    reasons: Difference = Field(0.05, description="Largest difference of a reason's share of the rows.")
    languages: Difference = Field(0.05, description="Largest difference of a language pair's share of the kept rows.")


class Expect(Model):
    """Checked when the job has finished; exit code 3 where one does not hold."""

    kept_share: KeptShare = Field(KeptShare(), description="Rows kept, as a share of the rows that came in.")
    rows: KeptRows = KeptRows()
    reasons: dict[str, Share] = Field({}, description="Rows lost to a reason, as a share of the rows that came in.")
    drift: Drift | None = Field(None, description="Compare with an earlier run.")

    def problems(
        self, sources: Collection[str], reasons: Collection[str] = (*RULES, *REASONS)
    ) -> Iterator[tuple[tuple[str, ...], str]]:
        """Where a name is none of the job's sources or reasons, and what is wrong: it would never be found broken."""
        for name in self.kept_share.per_source:
            if name not in sources:
                yield ("expect", "kept_share", "per_source", name), _unknown("source", name, sources)
        for name in self.reasons:
            if name not in reasons:
                yield ("expect", "reasons", name), _unknown("reason", name, reasons)


def _unknown(what: str, name: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    near = f" Did you mean {close[0]!r}?" if close else ""
    return f"{name!r} is no {what} of this job.{near} Allowed: {', '.join(known)}"
