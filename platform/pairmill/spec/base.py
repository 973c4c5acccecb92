"""Base model and small value types shared by all kinds of spec."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

_UNITS = {
    "": 1,
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KIB": 2**10,
    "MIB": 2**20,
    "GIB": 2**30,
    "TIB": 2**40,
}

#: Two-letter codes, so that the usual ones need no table of all languages (its import costs 0.08 s).
_TWO_LETTERS = frozenset("""
    aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee
    el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is
    it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms
    mt my na nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk
    sl sm sn so sq sr ss st su sv sw ta te tg th ti tk tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo
    za zh zu
""".split())  # fmt: skip  # noqa: SIM905


class Model(BaseModel):
    """Immutable; a key it does not know is an error. Built when first used: a spec uses few of all models."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False, defer_build=True)


def parse_bytes(value: Any) -> int:
    """`64MB`, `1.5GiB` or a plain number of bytes as an int."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*", str(value))
    if not match or match[2].upper() not in _UNITS:
        raise ValueError("not a size: write a number with a unit, such as 500MB, 1GB or 2GiB")
    if len(match[1]) > 15:
        raise ValueError("not a size a machine could have")
    return int(float(match[1]) * _UNITS[match[2].upper()])


def check_language(code: str) -> str:
    """Accept a BCP-47 code such as `de`, `zh-Hant` or `sr-Latn`, and return it as given."""
    if code in _TWO_LETTERS:
        return code
    import langcodes

    if not re.fullmatch(r"[A-Za-z0-9-]+", code) or not langcodes.tag_is_valid(code):
        raise ValueError(f"{code!r} is not a BCP-47 language code: write one such as en, de, nb, zh-Hant or sr-Latn")
    return code


def switch(value: Any) -> Any:
    """`off` or `on` where a section of options stands: none, or all at their defaults."""
    return None if value in ("off", False) else {} if value in ("on", True) else value


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Bytes = Annotated[int, BeforeValidator(parse_bytes), Field(gt=0)]
Language = Annotated[str, AfterValidator(check_language)]
Names = Annotated[list[Annotated[str, Field(min_length=1)]], BeforeValidator(_as_list)]
#: Paths, URIs or globs; one may stand alone.
Paths = Annotated[Names, Field(min_length=1)]


class Between(Model):
    """Values in the order of text: `xnli-dev-0099` stands before `xnli-dev-0100`, but 99 behind 100."""

    min: str | None = Field(None, description="The first value.")
    below: str | None = Field(None, description="The first value that is not meant any more.")

    @model_validator(mode="after")
    def _some(self) -> Between:
        if self.min is None and self.below is None:
            raise ValueError("a range without bounds: set min, below or both")
        if self.min is not None and self.below is not None and self.min >= self.below:
            raise ValueError(f"min: {self.min!r} does not come before below: {self.below!r} in the order of text")
        return self


def as_values(value: Any) -> Any:
    """What a column may hold, as text: one value, a list of them, or a range."""
    if isinstance(value, (dict, Between)):
        return value
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]


Values = Annotated[list[str], BeforeValidator(as_values)]
#: Which records are meant, by column.
Where = dict[str, Annotated[Between | Annotated[list[str], Field(min_length=1)], BeforeValidator(as_values)]]


class TaskResources(Model):
    """What the tasks of a job reserve. Never part of a run's identity."""

    cpus_per_task: float = Field(1, gt=0)
    memory_per_task: Bytes = Field(1_000_000_000, description="Reserved per task on the cluster.")
    cpus: int | None = Field(None, gt=0, description="CPUs of the local Ray; default: all. A cluster has its own.")
