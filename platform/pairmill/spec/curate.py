"""`kind: curate`: raw pairs in, kept pairs out."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from pairmill.spec.base import Bytes, Language, Model
from pairmill.spec.rules import RULES

SCORE_COLUMNS = tuple(sorted(column for rule in RULES.values() for column in rule.columns))
NOT_YET = "is not in this version of Pairmill: leave it out"


class Langs(Model):
    """Languages of the two sides, where the whole input has the same."""

    anchor: Language | None = None
    positive: Language | None = None


class Columns(Model):
    """The input's column, field or header names for what a pair is made of. Nested JSON fields: `meta.lang`."""

    anchor: str = "anchor"
    positive: str = "positive"
    negatives: str | None = None
    anchor_lang: str | None = None
    positive_lang: str | None = None
    score: str | None = None
    label: str | None = None


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Name = Annotated[str, Field(min_length=1)]
Paths = Annotated[list[Name], BeforeValidator(_as_list), Field(min_length=1)]


class _Input(Model):
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="The row's `source`.")
    form: str = Field(
        "bitext",
        pattern=r"^[a-z][a-z0-9-]*$",
        description="What the two sides are: bitext, title-body, question-answer, nli, sts, ...",
    )
    langs: Langs = Langs()
    language: Literal["require", "trust", "identify"] | None = Field(
        None,
        description="require: reject sides identified as another language than declared; trust: believe what is "
        "declared; identify: use the identified language. Default: require where one is declared, else identify.",
    )
    licence: str | None = Field(None, description="Goes into run.json and the model card.")


class _Files(_Input):
    path: Paths = Field(
        description="Path, URI or glob (`*`, `**`, `{a,b}`), or a list. Relative to the working directory."
    )


class ParquetInput(_Files):
    format: Literal["parquet"]
    columns: Columns = Columns()


class JsonlInput(_Files):
    format: Literal["jsonl"]
    columns: Columns = Columns()


class CsvInput(_Files):
    format: Literal["csv"]
    columns: Columns = Columns()
    delimiter: str = Field(",", description="One character; a tab (or `\\t`) for TSV.")
    quote: str | None = Field('"', description="One character, or null: quotes are ordinary characters.")
    header: bool | list[str] = Field(True, description="true: the first line names the columns; or their names.")
    newlines_in_fields: bool = Field(
        True, description="false: no field holds a line break, so large files may be split."
    )

    @field_validator("delimiter", "quote")
    @classmethod
    def _one_character(cls, value: str | None) -> str | None:
        value = "\t" if value == "\\t" else value
        if value is not None and (len(value) != 1 or value in "\r\n"):
            raise ValueError("must be one character, such as ',' or '\\t'")
        return value

    @model_validator(mode="after")
    def _possible(self) -> CsvInput:
        if self.quote == self.delimiter:
            raise ValueError(f"delimiter and quote are both {self.quote!r}: they must differ (quote may be null)")
        if self.header is False or self.header == []:
            raise ValueError("header: without a header line, give the columns' names: header: [src, tgt]")
        return self


class MosesInput(_Files):
    format: Literal["moses"]
    path: Paths = Field(
        description="Two line-aligned files by one brace of two alternatives, anchor first: `corpus.en-de.{en,de}.gz`."
    )

    @field_validator("path")
    @classmethod
    def _two_sides(cls, paths: list[str]) -> list[str]:
        for path in paths:
            inside = path.partition("{")[2].partition("}")[0]
            if path.count("{") != 1 or path.count("}") != 1 or len([a for a in inside.split(",") if a]) != 2:
                raise ValueError(
                    f"{path!r} must hold one brace with two alternatives, anchor first: corpus.en-de.{{en,de}}"
                )
        return paths


class GettextInput(_Input):
    """Translation catalogues: anchor = msgid, positive = msgstr."""

    format: Literal["gettext"]
    path: Paths | None = Field(
        None, description="`.mo` or `.po` files; the language comes from the header or the path."
    )
    packages: Paths | None = Field(
        None, description="Instead of `path`: names of installed Python packages whose catalogues to read."
    )
    langs: Langs = Langs(anchor="en")

    @model_validator(mode="after")
    def _one_of(self) -> GettextInput:
        if (self.path is None) == (self.packages is None):
            raise ValueError("needs either `path` (catalogue files) or `packages` (installed packages), and not both")
        return self


Input = Annotated[ParquetInput | JsonlInput | CsvInput | MosesInput | GettextInput, Field(discriminator="format")]


class Clean(Model):
    """Repairs, in the order of the fields. Each is counted."""

    entities: Literal["unescape", "keep"] = Field("unescape", description="HTML character references such as &amp;.")
    mojibake: Literal["fix", "keep"] = Field(
        "keep", description="Text decoded in the wrong encoding (ftfy, on suspects)."
    )
    unicode: Literal["NFC", "NFKC", "keep"] = "NFC"
    control: Literal["remove", "keep"] = Field("remove", description="Control and zero-width characters.")
    whitespace: Literal["collapse", "keep"] = Field(
        "collapse", description="Trim; each run of white space to one space."
    )


class LanguageIdentification(Model):
    engine: Literal["fasttext", "langdetect"] = "fasttext"
    min_confidence: float = Field(0.5, ge=0, le=1, description="Below it, an identified language decides nothing.")


class Bounds(Model):
    """A rule's setting: `off`, `on`, one number for the rule's only bound, or `{min:, max:}`."""

    enabled: bool = True
    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _possible(self) -> Bounds:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}: no row could pass")
        return self


def _bounds(value: Any) -> Any:
    if (value in ("off", False) and not isinstance(value, (int, float))) or value is False:
        return {"enabled": False}
    if value in ("on", None) or value is True:
        return {}
    if isinstance(value, str):
        raise ValueError(f"{value!r} is not a setting of a rule: write off, on, a number or {{min: .., max: ..}}")
    return value


Setting = Annotated[Bounds | float, BeforeValidator(_bounds)]


class Filters(Model):
    preset: Literal["bitext", "web", "none"] = "bitext"
    rules: dict[str, Setting] = Field({}, description="Changes to the preset by rule name.")
    per_language: dict[Language, dict[str, Setting]] = Field(
        {}, description="Changes for sides in a language; for a rule on the pair, the anchor's language comes first."
    )

    @model_validator(mode="before")
    @classmethod
    def _known_rules(cls, data: Any) -> Any:
        if isinstance(data, dict):
            groups: list[tuple[tuple[str, ...], Any]] = [(("rules",), data.get("rules"))]
            per_language = data.get("per_language")
            if isinstance(per_language, dict):
                groups += [(("per_language", code), rules) for code, rules in per_language.items()]
            for where, rules in groups:
                if isinstance(rules, dict):
                    for name in rules:
                        if name not in RULES:
                            raise PydanticCustomError(
                                "unknown_rule",
                                "unknown rule {name}",
                                {"name": name, "path": (*where, name), "allowed": list(RULES)},
                            )
        return data

    @model_validator(mode="after")
    def _single_numbers(self) -> Filters:
        for rules in (self.rules, *self.per_language.values()):
            for name, setting in rules.items():
                if not isinstance(setting, Bounds) and RULES[name].direction == "between":
                    raise ValueError(f"rules.{name} has two bounds: write {{min: .., max: ..}} instead of {setting}")
        return self


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


def _off(value: Any) -> Any:
    return None if value in ("off", False) else {} if value in ("on", True) else value


class Dedup(Model):
    exact: Annotated[Exact | None, BeforeValidator(_off)] = Exact()
    near: Annotated[Near | None, BeforeValidator(_off)] = Near()
    against: list[str] = Field([], description="Runs whose kept rows win. " + NOT_YET.capitalize() + ".")

    @field_validator("against")
    @classmethod
    def _not_yet(cls, value: list[str]) -> list[str]:
        if value:
            raise ValueError(f"dedup against earlier runs {NOT_YET}")
        return value


class Output(Model):
    rejected: Literal["full", "refs", "sample"] = Field(
        "full", description="How much text rejected rows keep: all, none, or a sample's. Counts are always complete."
    )


class Report(Model):
    samples_per_reason: int = Field(50, ge=0, le=1000)


class Share(Model):
    min: float = Field(0, ge=0, le=1)
    max: float = Field(1, ge=0, le=1)

    @model_validator(mode="after")
    def _possible(self) -> Share:
        if self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}: it could never hold")
        return self


class Expect(Model):
    """Checked when the job has finished; exit code 3 where one does not hold."""

    kept_share: Share = Share()


class Resources(Model):
    """Never part of a run's identity: the same job with more memory is the same run."""

    cpus_per_task: float = Field(1, gt=0)
    memory_per_task: Bytes = Field(1_000_000_000, description="Reserved per task on the cluster.")
    shard_size: Bytes = Field(32_000_000, description="Text per shard, the unit that is committed and resumed.")
    cpus: int | None = Field(None, gt=0, description="CPUs of the local Ray; default: all. A cluster has its own.")


class CurateSpec(Model):
    kind: Literal["curate"]
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$", description="Part of the run id.")
    inputs: list[Input] = Field(min_length=1)
    clean: Clean = Clean()
    language: LanguageIdentification = LanguageIdentification()
    filters: Filters = Filters()
    dedup: Dedup = Dedup()
    output: Output = Output()
    report: Report = Report()
    expect: Expect = Expect()
    resources: Resources = Resources()
    decontaminate: Any = None
    exclude: Any = None

    @field_validator("decontaminate", "exclude")
    @classmethod
    def _not_yet(cls, value: Any) -> Any:
        if value:
            raise ValueError(NOT_YET)
        return value

    @field_validator("inputs")
    @classmethod
    def _unique_names(cls, inputs: list[Any]) -> list[Any]:
        names = [item.name for item in inputs]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two inputs are named {name!r}: the name is the rows' source and must be unique")
        return inputs
