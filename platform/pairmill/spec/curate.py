"""`kind: curate`: raw pairs in, kept pairs out."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from pairmill.spec.base import Bytes, Language, Model, check_language
from pairmill.spec.builders import FORMS, Builder, as_builder
from pairmill.spec.page_builders import PAGE_BUILDERS
from pairmill.spec.rules import RULES

SCORE_COLUMNS = tuple(sorted(column for rule in RULES.values() for column in rule.columns))
MOST_ACTIVE = 64  # rules; a row's failing ones are the bits of one integer
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
    url: str | None = None


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


class _Records(_Files):
    """Files of records with named fields: `columns` says which fields are a pair, or a builder makes the pairs."""

    columns: Columns = Columns()
    builder: Annotated[Builder | None, BeforeValidator(as_builder)] = Field(
        None, description="Makes pairs from records that are none as they stand: a name, or {name: .., options}."
    )

    @model_validator(mode="after")
    def _columns_or_builder(self) -> _Records:
        if self.builder is not None and self.columns != Columns():
            raise ValueError(
                f"builder {self.builder.name} reads its own fields, so `columns` would have no effect: leave it out, "
                "and name other fields as the builder's options"
            )
        return self

    @model_validator(mode="before")
    @classmethod
    def _form_of_builder(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(builder := as_builder(data.get("builder")), dict):
            return {"form": FORMS.get(str(builder.get("name")), "bitext"), **data}
        return data


class ParquetInput(_Records):
    format: Literal["parquet"]


class JsonlInput(_Records):
    format: Literal["jsonl"]


class ArrowInput(_Records):
    """Arrow IPC files and Hugging Face `datasets` folders (`save_to_disk`, or the cache's `*.arrow`)."""

    format: Literal["arrow"]


class JsonInput(_Records):
    """One JSON document per file, with the records in a list inside it."""

    format: Literal["json"]
    records: str = Field("", description="Dotted path of the list, such as `data`; empty: the document is the list.")


class XmlInput(_Records):
    """Dumps in XML: each `element` is a record, its attributes and child elements are the fields."""

    format: Literal["xml"]
    element: str = Field("row", description="Name of the element that is a record: `row` (StackExchange), `page`.")


class _Pages(_Files):
    builder: Annotated[Builder, BeforeValidator(as_builder)] = Field(
        "title-body",
        validate_default=True,
        description="What pairs are made of a page; a name, or {name: .., options}.",
    )

    @field_validator("builder")
    @classmethod
    def _of_pages(cls, builder: Any) -> Any:
        if not isinstance(builder, PAGE_BUILDERS):
            allowed = ", ".join(model.model_fields["name"].annotation.__args__[0] for model in PAGE_BUILDERS)  # type: ignore
            raise ValueError(f"{builder.name} makes no pairs of pages; allowed: {allowed}")
        if builder.html != "html":
            raise ValueError(f"the page is the whole record here, and not its field {builder.html!r}: leave out `html`")
        return builder

    @model_validator(mode="before")
    @classmethod
    def _form_of_builder(cls, data: Any) -> Any:
        if isinstance(data, dict):
            builder = as_builder(data.get("builder", "title-body"))
            name = builder.get("name") if isinstance(builder, dict) else getattr(builder, "name", None)
            return {"form": FORMS.get(str(name), "title-body"), **data}
        return data


class HtmlInput(_Pages):
    """HTML files, one page each."""

    format: Literal["html"]


class WarcInput(_Pages):
    """WARC files (gzip or zstd or plain) as crawlers and Common Crawl write them: HTML responses are the records."""

    format: Literal["warc"]


class TmxInput(_Files):
    """Translation memories (TMX 1.4): a unit's variants in the two languages are a pair."""

    format: Literal["tmx"]
    langs: Langs = Field(Langs(), description="The two languages to take; needed where units have more than two.")


class CsvInput(_Records):
    format: Literal["csv"]
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


_AnyInput = (
    ParquetInput | JsonlInput | CsvInput | ArrowInput | JsonInput | XmlInput | HtmlInput | WarcInput | TmxInput
    | MosesInput | GettextInput
)  # fmt: skip
Input = Annotated[_AnyInput, Field(discriminator="format")]
FORMATS: tuple[str, ...] = tuple(get_args(model.model_fields["format"].annotation)[0] for model in get_args(_AnyInput))


class PersonalData(Model):
    """What is done with personal data by kind: keep, or mask (replaced by a tag such as `<email>`; counted).

    To reject rows instead, switch on the rules `emails`, `phones`, `ips`, `ibans`: `rules: {emails: 0}`.
    """

    email: Literal["keep", "mask"] = "keep"
    iban: Literal["keep", "mask"] = Field("keep", description="IBANs and payment card numbers whose check digits hold.")
    ip: Literal["keep", "mask"] = Field("keep", description="Globally routed IPv4 and IPv6 addresses.")
    phone: Literal["keep", "mask"] = Field(
        "keep", description="International numbers; national ones where the language is that of one country."
    )


def _personal_data(value: Any) -> Any:
    return dict.fromkeys(PersonalData.model_fields, value) if value in ("keep", "mask") else value


class Boilerplate(Model):
    """Lines that recur on a site's pages (menus, footers) are removed. Needs `url` of the rows."""

    min_pages: int = Field(5, ge=2, description="A line is boilerplate if at least so many pages of its site have it,")
    min_share: float = Field(0.1, gt=0, le=1, description="and at least this share of the site's pages.")


def _switch(value: Any) -> Any:
    return None if value in ("off", "keep", False) else {} if value in ("on", "remove", True) else value


class Clean(Model):
    """Repairs, in the order of the fields. Each is counted."""

    entities: Literal["unescape", "keep"] = Field("unescape", description="HTML character references such as &amp;.")
    tags: Literal["remove", "unmatched", "keep"] | None = Field(
        None,
        description="HTML and XML tags, remnants of tags and scripts left in the text; unmatched: not where both sides "
        "hold the same. Default: keep with the presets web and none, else unmatched.",
    )
    mojibake: Literal["fix", "keep"] = Field("fix", description="Text decoded in the wrong encoding.")
    unicode: Literal["NFC", "NFKC", "keep"] = "NFC"
    quotes: Literal["keep", "straight"] = Field("keep", description="straight: typographic quotes to \" and '.")
    dashes: Literal["keep", "hyphen"] = Field("keep", description="hyphen: en and em dashes and minus signs to -.")
    placeholders: Literal["keep", "remove"] = Field("keep", description="%s, {name}, ${x}, <0> of software messages.")
    personal_data: Annotated[PersonalData, BeforeValidator(_personal_data)] = Field(
        PersonalData(), description="E-mail, phone, IP and account numbers: keep or mask, for all or by kind."
    )
    control: Literal["remove", "keep"] = Field("remove", description="Control and zero-width characters.")
    whitespace: Literal["collapse", "lines", "keep"] | None = Field(
        None,
        description="collapse: trim, each run of white space to one space; lines: the same inside each line, empty "
        "lines dropped. Default: lines with the preset web or with boilerplate, else collapse.",
    )
    accelerators: Literal["keep", "remove"] = Field(
        "keep", description="Menu accelerators that both sides mark (`_File`, `&File`, `文件(_F)`)."
    )
    boilerplate: Annotated[Boilerplate | None, BeforeValidator(_switch)] = Field(
        None, description="Lines repeated across a site: off, on, or {min_pages:, min_share:}."
    )

    @model_validator(mode="after")
    def _lines_are_left(self) -> Clean:
        if self.boilerplate and self.whitespace == "collapse":
            raise ValueError(
                "boilerplate looks at lines, and whitespace: collapse leaves none: write whitespace: lines, or nothing"
            )
        return self


def _clean_by_preset(data: Any) -> Any:
    """Fill in what `clean` leaves to the preset."""
    filters = data.get("filters") if isinstance(data, dict) else None
    preset = filters.get("preset", "bitext") if isinstance(filters, dict) else getattr(filters, "preset", "bitext")
    clean = data.get("clean") if isinstance(data, dict) else None
    given = clean.model_dump() if isinstance(clean, Clean) else clean
    if not isinstance(data, dict) or not isinstance(given, dict | None):
        return data
    lines = preset == "web" or (given is not None and _switch(given.get("boilerplate")) is not None)
    defaults = {
        "tags": "keep" if preset in ("web", "none") else "unmatched",
        "whitespace": "lines" if lines else "collapse",
    }
    return {**data, "clean": {**defaults, **{key: value for key, value in (given or {}).items() if value is not None}}}


class LanguageIdentification(Model):
    engine: Literal["cascade", "fasttext", "eldc", "py3langid", "langdetect"] = Field(
        "cascade", description="cascade: eldc where it is sure, py3langid and fasttext (lid.176) for the rest."
    )
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


_CODE = "([a-z]{2,3}(?:-[A-Z][a-z]{3})?(?:-(?:[A-Z]{2}|[0-9]{3}))?)"
_PAIR = re.compile(f"{_CODE}-{_CODE}")


def split_pair(pair: str) -> tuple[str, str]:
    """The two codes of `de-en` or `pt-BR-zh-Hant`: languages in lower case, scripts and regions as in BCP-47."""
    match = _PAIR.fullmatch(pair)
    if match is None:
        raise ValueError(f"{pair!r} is not a pair of languages: write two codes, such as de-en, pt-BR-fr or zh-Hant-ja")
    return check_language(match[1]), check_language(match[2])


def _check_pair(pair: str) -> str:
    split_pair(pair)
    return pair


Pair = Annotated[str, AfterValidator(_check_pair)]
Settings = dict[str, Setting]


class Filters(Model):
    preset: Literal["bitext", "strict", "lenient", "web", "none"] = Field(
        "bitext", description="strict and lenient have the rules of bitext with other bounds; web judges documents."
    )
    rules: Settings = Field({}, description="Changes to the preset by rule name.")
    per_language: dict[Language, Settings] = Field(
        {}, description="Changes for sides in a language; for a rule on the pair, the anchor's language comes first."
    )
    per_pair: dict[Pair, Settings] = Field(
        {}, description="Changes for pairs of languages, in either direction (`de-en`); they win over per_language."
    )

    @property
    def groups(self) -> list[tuple[tuple[str, ...], Settings]]:
        """All changes, with where they stand."""
        return [
            (("rules",), self.rules),
            *[(("per_language", code), settings) for code, settings in self.per_language.items()],
            *[(("per_pair", pair), settings) for pair, settings in self.per_pair.items()],
        ]

    @property
    def switched_off(self) -> set[str]:
        """Rules of the preset that the spec switches off."""
        return {name for name, setting in self.rules.items() if isinstance(setting, Bounds) and not setting.enabled}

    @property
    def named(self) -> set[str]:
        """Rules that the spec switches on or changes by name."""
        return {
            name
            for _, settings in self.groups
            for name, setting in settings.items()
            if not isinstance(setting, Bounds) or setting.enabled
        }

    @model_validator(mode="before")
    @classmethod
    def _known_rules(cls, data: Any) -> Any:
        if isinstance(data, dict):
            groups: list[tuple[tuple[str, ...], Any]] = [(("rules",), data.get("rules"))]
            for kind in ("per_language", "per_pair"):
                if isinstance(data.get(kind), dict):
                    groups += [((kind, code), rules) for code, rules in data[kind].items()]
            for where, rules in groups:
                for name in rules if isinstance(rules, dict) else ():
                    if name not in RULES:
                        raise PydanticCustomError(
                            "unknown_rule",
                            "unknown rule {name}",
                            {"name": name, "path": (*where, name), "allowed": list(RULES)},
                        )
        return data

    @model_validator(mode="after")
    def _possible(self) -> Filters:
        for where, settings in self.groups:
            for name, setting in settings.items():
                if not isinstance(setting, Bounds) and RULES[name].direction == "between":
                    raise ValueError(
                        f"{'.'.join(where)}.{name} has two bounds: write {{min: .., max: ..}} instead of {setting}"
                    )
        active = {name for name, rule in RULES.items() if self.preset in rule.presets} - self.switched_off | self.named
        if len(active) > MOST_ACTIVE:
            raise ValueError(f"{len(active)} rules are on, at most {MOST_ACTIVE} can be: switch some off")
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


def _may_have_urls(spec_input: Any) -> bool:
    """Whether rows of the input may have a `url`: by its column, or by a builder."""
    columns = getattr(spec_input, "columns", None)
    return getattr(spec_input, "builder", None) is not None or (columns is not None and columns.url is not None)


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
    exclude: Annotated[list[Name], BeforeValidator(_as_list)] = Field(
        [], description="Files of opt-outs, one domain, URL or text per line: rows that match are rejected."
    )
    decontaminate: Any = None

    @model_validator(mode="before")
    @classmethod
    def _by_preset(cls, data: Any) -> Any:
        return _clean_by_preset(data)

    @model_validator(mode="after")
    def _sites_are_known(self) -> CurateSpec:
        if self.clean.boilerplate and not any(map(_may_have_urls, self.inputs)):
            raise ValueError(
                "clean.boilerplate counts lines by the site of the rows' `url`, and no input has one: name the column "
                "or field that holds it, columns: {url: ..}, or switch boilerplate off"
            )
        return self

    @field_validator("decontaminate")
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
