"""`decontaminate:` of a curate spec: which evaluation sets, and how much of one of their texts makes a row a leak."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from pairmill.spec.base import Model, Names
from pairmill.spec.inputs import Columns, Input

_BY_ENDING = {
    "parquet": "parquet",
    "jsonl": "jsonl",
    "ndjson": "jsonl",
    "json": "json",
    "csv": "csv",
    "tsv": "csv",
    "arrow": "arrow",
    "xml": "xml",
    "tmx": "tmx",
    "mo": "gettext",
    "po": "gettext",
    "html": "html",
    "htm": "html",
    "warc": "warc",
}
_PACKED = re.compile(r"\.(gz|bz2|xz|zst|lz4|br)$")


class EvaluationSet(Model):
    """Evaluation files in any format of `inputs`, with that format's own options.

    Of records, the texts are the `fields` named, else all that hold text; with `columns` or a `builder`, and in formats
    of pairs, they are the two sides.
    """

    input: Input
    fields: Names = Field(
        [], description="Fields that hold the texts, `meta.question` inside another. Default: all that read like text."
    )

    @property
    def name(self) -> str:
        return self.input.name

    @property
    def by_record(self) -> bool:
        """Whether the texts are fields of records, and not the sides of pairs."""
        columns, builder = getattr(self.input, "columns", None), getattr(self.input, "builder", None)
        return columns is not None and builder is None and columns == Columns()

    @model_validator(mode="before")
    @classmethod
    def _flat(cls, data: Any) -> Any:
        """`/eval/*.parquet`, or the keys of an input beside `fields`; name and format have defaults."""
        data = {"path": data} if isinstance(data, str) else data
        if not isinstance(data, dict) or "input" in data:
            return data
        source = {key: value for key, value in data.items() if key != "fields"}
        path = source.get("path") or source.get("packages") or ""
        first = str(path[0] if isinstance(path, list) and path else path)
        plain = _PACKED.sub("", first)
        ending = plain.rpartition(".")[2].lower()
        if ending in _BY_ENDING:
            source.setdefault("format", _BY_ENDING[ending])
        if ending == "tsv":
            source.setdefault("delimiter", "\t")
        source.setdefault("name", _name(plain))
        return {"input": source, **({"fields": data["fields"]} if "fields" in data else {})}

    @model_validator(mode="after")
    def _fields_of_records(self) -> EvaluationSet:
        if self.fields and not self.by_record:
            raise ValueError(
                f"{self.name}: `fields` are for records without `columns` and `builder`; here the texts are the two "
                "sides of its pairs: leave `fields` out"
            )
        return self


def _name(path: str) -> str:
    """A set's name from its path: the last part that says something, without its ending."""
    parts = [re.sub(r"[^A-Za-z0-9._-]+", "-", part).strip("-._") for part in path.split("/")]
    stem, _, ending = parts[-1].rpartition(".")
    parts[-1] = re.sub(r"[^A-Za-z0-9._-]+", "-", stem or ending if parts[-1].lower() not in _BY_ENDING else "")
    return next((part.strip("-._")[:64] for part in reversed(parts) if part.strip("-._")), "evaluation")


def _sets(value: Any) -> Any:
    return [value] if isinstance(value, str | dict) else value


class Decontaminate(Model):
    """Rows that hold texts of evaluation sets. How they are found: `docs/decontamination.md`.

    `ngram`: GPT-3 (Brown et al. 2020, appendix C) looks for n-grams of 8 to 13 words, 8 being where chance hits begin;
    PaLM (Chowdhery et al. 2022, section 8) and Dolma (Soldaini et al. 2024) for 8-grams and a share of 0.7. Evaluation
    texts of embedding models are shorter than theirs (Tatoeba: 23 letters), hence 8, and whole texts below that.
    """

    against: Annotated[list[EvaluationSet], BeforeValidator(_sets), Field(min_length=1)]
    ngram: int = Field(
        8,
        ge=6,
        le=50,
        description="Words in a row that count as overlap, or 5 x as many letters, whichever is fewer. In scripts "
        "without spaces characters count, each for the letters it stands for: a Chinese one 3, kana 1.5, a Thai 1.2.",
    )
    min_share: float = Field(
        0.5, gt=0, le=1, description="Share of an evaluation text that a row must hold where it does not hold all."
    )
    sides: Literal["both", "anchor", "positive"] = "both"
    boilerplate: int = Field(
        10,
        ge=1,
        description="An n-gram that more evaluation texts than this have, or more rows without the rest of the text, "
        "is a common phrase and counts for nothing.",
    )
    action: Literal["reject", "flag"] = Field("reject", description="flag: rows stay, and are listed in the report.")

    @model_validator(mode="after")
    def _unique_names(self) -> Decontaminate:
        names = [each.name for each in self.against]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two evaluation sets are named {name!r}: give each a `name` of its own")
        return self
