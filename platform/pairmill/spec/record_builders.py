"""Options of the builders that make pairs of one record at a time.

Where a dump's field has had several names, an option is a list of them: the first that holds something is read.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from pairmill.spec.base import Model
from pairmill.spec.model import INSTRUCTION_TEMPLATE, InstructionTemplate


def _listed(value: object) -> object:
    return [] if value is None else [value] if isinstance(value, str) else value


Names = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_listed)]
Needed = Annotated[Names, Field(min_length=1)]


class _OfRecord(Model):
    def fields(self) -> list[str]:
        """The fields of a record that the builder may read; a record need not have them all."""
        named = [names for _, names in self if isinstance(names, tuple)]
        return list(dict.fromkeys(name for names in named for name in names if isinstance(name, str)))


class News(_OfRecord):
    """A news article's title -> its body (CC-News and what news-please writes)."""

    FORM: ClassVar[str] = "title-body"
    name: Literal["news"]
    title: Needed = ("title",)
    body: Needed = ("maintext", "plain_text", "text")
    lang: Names = ("language",)
    url: Names = ("url", "requested_url")


class Wikipedia(_OfRecord):
    """Section title -> passage, article title -> first paragraph (MediaWiki's XML dumps and what is made of them)."""

    FORM: ClassVar[str] = "section-passage"
    name: Literal["wikipedia"]
    pairs: Literal["sections", "article", "both"] = Field(
        "both", description="sections: heading -> passage; article: title -> lead. Plain text has no sections."
    )
    lead: Literal["paragraph", "text"] = Field(
        "paragraph", description="Of an article's lead (of plain text: the article): the first paragraph, or all."
    )
    anchor: Literal["path", "section"] = Field(
        "path", description="path: `Article › Section › Subsection`; section: the section's own title."
    )
    min_chars: int = Field(50, ge=1, description="Shorter passages make no pair.")

    def fields(self) -> list[str]:
        plain = ["title", "name", "text", "opening_text", "abstract", "sections", "url", "language", "in_language"]
        return [*plain, "namespace", "ns", "redirect", "revision", "index"]


class Papers(_OfRecord):
    """A paper's title -> its abstract (S2ORC of all releases, S2AG, arXiv's metadata)."""

    FORM: ClassVar[str] = "title-abstract"
    name: Literal["papers"]
    title: Needed = ("title", "metadata.title")
    abstract: Needed = ("abstract", "metadata.abstract")
    lang: Names = ()

    def fields(self) -> list[str]:
        return [*super().fields(), "content"]


class Code(_OfRecord):
    """A function's documentation -> its code (CodeSearchNet). The programming language becomes the row's label."""

    FORM: ClassVar[str] = "docstring-code"
    name: Literal["code"]
    docstring: Needed = ("docstring", "func_documentation_string")
    code: Needed = ("code", "func_code_string", "original_string", "whole_func_string")
    language: Names = ("language",)
    documentation: Literal["first_paragraph", "whole"] = Field(
        "first_paragraph", description="What of the documentation is the anchor (CodeSearchNet: the first paragraph)."
    )
    remove_docstring: bool = Field(True, description="Cut the documentation out of the code where it stands there.")


class Nli(_OfRecord):
    """Premise -> entailed hypothesis, contradicting hypotheses of the same premise as negatives (SNLI, MNLI, XNLI)."""

    FORM: ClassVar[str] = "nli"
    name: Literal["nli"]
    premise: Needed = ("premise", "sentence1")
    hypothesis: Needed = ("hypothesis", "sentence2", "hypo")
    label: Needed = ("gold_label", "label")
    lang: Names = ("language", "lang")
    labels: tuple[str, str, str] = Field(
        ("entailment", "neutral", "contradiction"), description="What the labels 0, 1 and 2 mean."
    )
    negatives: int = Field(1, ge=0, le=100, description="At most so many contradictions per pair.")
    cross_lingual: bool = Field(False, description="Premise and hypothesis in different languages of one file.")
    align: Names = Field(
        ("align_id", "pairID"), description="What is the same in all translations of a pair (for cross_lingual)."
    )

    def fields(self) -> list[str]:
        return [name for name in super().fields() if name not in self.labels]

    @model_validator(mode="after")
    def _three_labels(self) -> Nli:
        if sorted(self.labels) != ["contradiction", "entailment", "neutral"]:
            raise ValueError("labels must be entailment, neutral and contradiction, in the order of their numbers")
        return self


class Sts(_OfRecord):
    """Two sentences with a gold similarity, brought to 0..1 (STS benchmark, SICK, STS 2017)."""

    FORM: ClassVar[str] = "sts"
    name: Literal["sts"]
    sentence1: Needed = ("sentence1", "sentence_A")
    sentence2: Needed = ("sentence2", "sentence_B")
    score: Needed = ("score", "similarity_score", "relatedness_score", "label")
    lang: Names = ("lang", "language")
    scale: tuple[float, float] = Field((0, 5), description="The scores that mean unrelated and equivalent.")

    @model_validator(mode="after")
    def _ascending(self) -> Sts:
        if self.scale[0] >= self.scale[1]:
            raise ValueError(f"scale: [{self.scale[0]:g}, {self.scale[1]:g}] must ascend, such as [0, 5]")
        return self


class Squad(_OfRecord):
    """A question -> the passage that answers it (SQuAD 1.1 and 2.0 and all in their format, MRQA, flat rows)."""

    FORM: ClassVar[str] = "question-passage"
    name: Literal["squad"]
    passage: Literal["context", "sentence"] = Field(
        "context", description="sentence: only the sentence of the context that holds the answer."
    )
    title: bool = Field(False, description="Put the article's title before the passage.")
    lang: Names = ("lang", "language")

    def fields(self) -> list[str]:
        flat = ["title", "context", "passage", "question", "answers", "is_impossible"]
        return [*flat, "paragraphs", "qas", "context_text", "header", *super().fields()]


class Prompts(_OfRecord):
    """A prompt -> its response (xP3, P3, Aya; instruction and output; chat messages)."""

    FORM: ClassVar[str] = "prompt-response"
    name: Literal["prompts"]
    prompt: Needed = ("inputs", "instruction", "prompt", "inputs_pretokenized")
    context: Names = Field(("input", "context"), description="What follows the prompt in the anchor, where it is set.")
    response: Needed = ("targets", "output", "response", "completion", "targets_pretokenized")
    messages: Names = ("messages", "conversations")
    turns: Literal["first", "all"] = Field("first", description="Of a chat: its first exchange, or each one.")
    lang: Names = ("language_code", "language", "lang")


class Triples(_OfRecord):
    """A query -> a relevant passage, irrelevant ones as negatives, all as texts (MS MARCO triples, DPR, Tevatron)."""

    FORM: ClassVar[str] = "query-passage"
    name: Literal["triples"]
    query: Needed = ("query", "question", "anchor")
    positive: Needed = ("positive", "pos", "positive_ctxs", "positive_passages")
    negative: Names = Field(
        ("negative", "neg", "negatives", "hard_negative_ctxs", "negative_passages"),
        description="The first that holds something; with it, `negative_1`, `negative_2`, ... where there are such.",
    )
    positives: int = Field(1, ge=1, description="At most so many pairs of a query, from its first positive on.")
    negatives: int = Field(8, ge=0, le=1000, description="At most so many negatives of a pair.")
    title: bool = Field(True, description="Put a passage's title, where it has one, before its text.")
    instruction: Names = Field(
        (), description="Fields of the query's task, which stands before it as `instruction_template` says."
    )
    instruction_template: InstructionTemplate = Field(INSTRUCTION_TEMPLATE, description="Of `instruction`.")
    lang: Names = ("lang", "language")

    def fields(self) -> list[str]:
        return [*super().fields(), *(f"{name}_{n}" for name in self.negative[:1] for n in range(1, self.negatives + 1))]


RECORD_BUILDERS = (News, Wikipedia, Papers, Code, Nli, Sts, Squad, Prompts, Triples)
