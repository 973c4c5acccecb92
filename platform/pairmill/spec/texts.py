"""Texts that a job reads: sides of a run's kept pairs, or monolingual files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field, field_validator, model_validator

from pairmill.spec.base import Model, Names, Paths
from pairmill.spec.data import EntryPrompts

Side = Literal["anchor", "positive"]
#: The one side of a set of files.
TEXT = "text"


class TextInput(Model):
    """Files with one text a record."""

    format: Literal["jsonl", "parquet", "csv", "text"] = Field(
        description="text: a text a line. All may be gzip, zstd."
    )
    path: Paths = Field(description="Path, URI or glob, or a list. Relative to the working directory.")
    column: str = Field("text", min_length=1, description="The column, field or header that holds the text.")
    delimiter: str = Field(",", description="csv: one character; a tab (or `\\t`) for TSV.")

    @model_validator(mode="after")
    def _of_the_format(self) -> TextInput:
        if self.format == "text" and "column" in self.model_fields_set and self.column != TEXT:
            raise ValueError(f"column: {self.column!r}: a line of format text is the text; leave `column` out")
        if self.format != "csv" and self.delimiter != ",":
            raise ValueError(f"delimiter is an option of format csv, not of {self.format}: leave it out")
        return self


class TextSet(Model):
    """A text is known by its set, its side and its `pair_id`; of files that is `file << 32 | record`."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="What later jobs call the set.")
    run: str | None = Field(None, min_length=1, description="A curate run: its id, the start of one, or its URI.")
    input: TextInput | None = Field(None, description="Files of texts, instead of a run.")
    sides: list[Side] = Field(["anchor", "positive"], min_length=1, description="Of the run's pairs.")
    sources: Names | None = Field(None, description="Only rows of these inputs of the run.")
    languages: Names | None = Field(None, description="Only rows with a language (`de`) or a pair of them (`de-en`).")
    prompts: EntryPrompts = Field(EntryPrompts(), description="Names of the model's prompts, by side of the pairs.")
    prompt: str | None = Field(None, description="Of files: the name of the model's prompt.")

    @field_validator("sides")
    @classmethod
    def _each_once(cls, sides: list[Side]) -> list[Side]:
        if len(set(sides)) < len(sides):
            raise ValueError(f"{sides}: a side is named twice; allowed: anchor, positive, each once")
        return sides

    @model_validator(mode="after")
    def _one_kind(self) -> TextSet:
        if (self.run is None) == (self.input is None):
            raise ValueError("needs either `run` (a curate run) or `input` (files of texts), and not both")
        if self.input is not None:
            of_pairs = self.model_fields_set & {"sides", "sources", "languages", "prompts"}
            given = [name for name in sorted(of_pairs) if getattr(self, name) != type(self).model_fields[name].default]
            if given:
                raise ValueError(f"`{given[0]}` is of a run's pairs; an `input` has none: leave it out")
        elif self.prompt is not None:
            raise ValueError("`prompt` is of an `input`; for a run name `prompts: {anchor: .., positive: ..}`")
        unread = [side for side, prompt in self.prompts if prompt is not None and side not in self.sides]
        if unread:
            raise ValueError(f"prompts: {unread[0]}: not read (sides: {', '.join(self.sides)}): leave it out")
        return self

    def prompts_by_side(self) -> dict[str, str | None]:
        """The sides that are read, and the name of each one's prompt."""
        if self.input is not None:
            return {TEXT: self.prompt}
        return {side: getattr(self.prompts, side) for side in self.sides}


def check_sets(sets: Sequence[TextSet]) -> None:
    """Refuse two sets of one name. Raises ValueError."""
    names = [one.name for one in sets]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"data: two sets are called {twice!r}; names must differ")
