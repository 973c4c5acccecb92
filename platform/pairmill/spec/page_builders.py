"""Options of the builders that make pairs of web pages (WARC and HTML files, or records with a field of HTML)."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from pairmill.spec.base import Model


class _OfPage(Model):
    html: str = Field("html", description="The record's field that holds the page (not for formats warc and html).")
    url: str | None = Field("url", description="The field that holds its address, or null.")
    lang: str | None = Field(None, description="The field with its language; default: the page's own `lang` attribute.")
    extractor: Literal["resiliparse", "trafilatura"] = Field(
        "resiliparse", description="What finds the page's main content; docs/web.md compares them."
    )

    def fields(self) -> list[str]:
        """The fields of a record that the builder reads."""
        return [name for name in (self.html, self.url, self.lang) if name]


class TitleBody(_OfPage):
    """A page's title -> its main content."""

    FORM: ClassVar[str] = "title-body"
    name: Literal["title-body"]
    min_chars: int = Field(50, ge=1, description="Pages whose main content is shorter give no pair.")


class HeadingSection(_OfPage):
    """Each heading of a page -> the text of its section."""

    FORM: ClassVar[str] = "heading-section"
    name: Literal["heading-section"]
    min_chars: int = Field(20, ge=1, description="Shorter sections give no pair.")
    subsections: bool = Field(True, description="Whether the text under lower headings is part of a section.")
    path: bool = Field(False, description="The anchor is `Title › Section › Subsection` instead of the heading alone.")


class Faq(_OfPage):
    """Questions and their answers: schema.org Question (JSON-LD, microdata, RDFa), and headings that are questions."""

    FORM: ClassVar[str] = "question-answer"
    name: Literal["faq"]
    headings: bool = Field(True, description="Whether a heading with a question mark and its section are a pair, too.")
    min_chars: int = Field(1, ge=1, description="Shorter answers give no pair.")


class Anchors(_OfPage):
    """A link's text -> the title or main content of the page it leads to, where that page is in the input, too."""

    FORM: ClassVar[str] = "anchor-title"
    name: Literal["anchors"]
    target: Literal["title", "body"] = Field("title", description="What of the other page is the positive.")


PAGE_BUILDERS = (TitleBody, HeadingSection, Faq, Anchors)
