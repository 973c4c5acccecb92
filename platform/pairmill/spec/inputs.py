"""`inputs:` of a curate spec: one model per format; how each is read is in `pairs/sources/`."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, field_validator, model_validator

from pairmill.spec.base import Language, Model, Paths, Where
from pairmill.spec.builders import FORMS, Builder, as_builder
from pairmill.spec.page_builders import PAGE_BUILDERS


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

    where: Where = Field(
        {}, description="Only records with these values: {split: train, lang: [en, de], id: {min: a-1, below: a-2}}."
    )
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
MODELS: tuple[type[Model], ...] = get_args(_AnyInput)
FORMATS: tuple[str, ...] = tuple(get_args(model.model_fields["format"].annotation)[0] for model in MODELS)
