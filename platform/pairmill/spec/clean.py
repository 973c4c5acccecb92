"""`clean:` of a curate spec: which repairs are made; they are in `curate/clean.py` and `curate/repairs/`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from pairmill.spec.base import Model, switch


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


def _removal(value: Any) -> Any:
    return switch(value == "remove" if value in ("keep", "remove") else value)


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
    boilerplate: Annotated[Boilerplate | None, BeforeValidator(_removal)] = Field(
        None, description="Lines repeated across a site: off, on, or {min_pages:, min_share:}."
    )

    @model_validator(mode="after")
    def _lines_are_left(self) -> Clean:
        if self.boilerplate and self.whitespace == "collapse":
            raise ValueError(
                "boilerplate looks at lines, and whitespace: collapse leaves none: write whitespace: lines, or nothing"
            )
        return self


def clean_by_preset(data: Any) -> Any:
    """Fill in what `clean` leaves to the preset."""
    filters = data.get("filters") if isinstance(data, dict) else None
    preset = filters.get("preset", "bitext") if isinstance(filters, dict) else getattr(filters, "preset", "bitext")
    clean = data.get("clean") if isinstance(data, dict) else None
    given = clean.model_dump() if isinstance(clean, Clean) else clean
    if not isinstance(data, dict) or not isinstance(given, dict | None):
        return data
    lines = preset == "web" or (given is not None and _removal(given.get("boilerplate")) is not None)
    defaults = {
        "tags": "keep" if preset in ("web", "none") else "unmatched",
        "whitespace": "lines" if lines else "collapse",
    }
    return {**data, "clean": {**defaults, **{key: value for key, value in (given or {}).items() if value is not None}}}
