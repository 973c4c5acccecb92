"""Options of the builders that bring records of one or more files together."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from pairmill.spec.base import Model, Paths


class StackExchange(Model):
    """A question -> its accepted or best answer (`Posts.xml` of the StackExchange dumps, one per site)."""

    FORM: ClassVar[str] = "question-answer"
    name: Literal["stackexchange"]
    question: Literal["title", "title-body"] = Field("title", description="What of the question is the anchor.")
    answers: Literal["best", "accepted", "all"] = Field(
        "best", description="best: the accepted answer, else the one with the highest score; accepted; all."
    )
    min_score: int = Field(0, description="Answers with a lower score are left out, accepted ones too.")
    negatives: int = Field(
        0, ge=0, description="So many other answers to the question, lowest score first, become negatives."
    )
    site: str | None = Field(
        None,
        description="For the rows' `url`, such as `superuser.com`. Default: the folder's or file's name if it is one.",
    )

    def fields(self) -> list[str]:
        """The attributes of a post that the builder reads."""
        return ["Id", "PostTypeId", "ParentId", "AcceptedAnswerId", "Score", "Title", "Body"]


class Reddit(Model):
    """A comment -> its response, a post's title -> a comment on it (Pushshift and Arctic Shift dumps, E5 section 3.1).

    `path` names the comments (`RC_*.zst`).
    """

    FORM: ClassVar[str] = "post-comment"
    name: Literal["reddit"]
    posts: Paths | None = Field(
        None,
        description="The submissions (`RS_*.zst`). With as many wildcards as `path` has, files pair up where these "
        "stand for the same text and each pair is read for itself; otherwise all files are read together.",
    )
    post: Literal["title", "title-selftext"] = Field("title", description="What of a post is the anchor.")
    responses: Literal["best", "all"] = Field(
        "all", description="best: of the responses to a comment or post only the one with the highest score."
    )
    min_score: int | None = Field(1, description="Responses with a lower score are left out; null: none.")
    max_depth: int | None = Field(
        None, ge=1, description="Responses further below the post are left out; a comment on the post has depth 1."
    )
    nsfw: bool = Field(False, description="Whether posts marked over 18, and what is below them, are used.")
    exclude_authors: list[str] = Field(["AutoModerator"], description="What they write is no response and no anchor.")

    def fields(self) -> list[str]:
        """The fields of a comment that the builder reads."""
        return ["id", "parent_id", "link_id", "body", "author", "score", "over_18"]


class Citations(Model):
    """A paper -> each paper it cites, where the input has both (S2ORC, Semantic Scholar's open corpus and datasets)."""

    FORM: ClassVar[str] = "citation"
    name: Literal["citations"]
    id: str = Field("paper_id", description="Field of the paper's id; S2AG: `corpusid`.")
    title: str = "title"
    abstract: str = "abstract"
    cites: str = Field("outbound_citations", description="Field with the list of cited ids; not used with `links`.")
    abstracts: Paths | None = Field(None, description="JSONL table of id and abstract (S2AG), where papers lack them.")
    links: Paths | None = Field(None, description="JSONL table of citing and cited id (S2AG `citations`).")
    citing: str = Field("citingcorpusid", description="Field of `links`.")
    cited: str = Field("citedcorpusid", description="Field of `links`.")
    anchor: Literal["title", "title-abstract"] = Field("title", description="What of the citing paper is the anchor.")
    max_per_paper: int = Field(5, ge=1, description="Of more cited papers so many are drawn, always the same ones.")

    def fields(self) -> list[str]:
        """The fields of a paper that the builder reads."""
        return [self.id, self.title, self.abstract, *([] if self.links else [self.cites])]


class _Judged(Model):
    id: str = Field("qid", description="The queries' field of the id.")
    query: str = Field("query", description="The queries' field of the text.")
    qrels: Paths = Field(
        description="Relevance judgements, separated by tabs or spaces: `qid 0 docid relevance` (TREC) or "
        "`qid docid relevance` (BEIR, with its header)."
    )
    negatives: Paths | None = Field(
        None,
        description="Negatives by id: `qid positive negative` (TSV), or JSONL with `qid` and `neg`, a list of ids or "
        "lists of ids by system.",
    )
    max_negatives: int = Field(7, ge=0, description="Negatives per pair: judged ones first, then those of `negatives`.")
    min_relevance: int = Field(1, ge=1, description="Judgements from here on are positives; those below 1, negatives.")

    def fields(self) -> list[str]:
        """The fields of a query that the builder reads."""
        return [self.id, self.query]


class MsMarco(_Judged):
    """A query -> its relevant passage, with negatives (MS MARCO; BEIR's JSONL and TSV sets are of the same form)."""

    FORM: ClassVar[str] = "query-passage"
    name: Literal["msmarco"]
    collection: Paths = Field(
        description="Passages: TSV (`id text`, `id url title text`), or `.jsonl` with `_id`, `title` and `text`."
    )
    passage_id: str = Field("_id", description="Field of a JSONL collection.")


class Miracl(_Judged):
    """A query -> its relevant passage, title and text, with judged ones as negatives (MIRACL, Mr. TyDi)."""

    FORM: ClassVar[str] = "query-passage"
    name: Literal["miracl"]
    corpus: Paths = Field(description="Passages: `.jsonl` files, compressed or not.")
    passage_id: str = Field("docid", description="Field of the corpus.")


JOIN_BUILDERS = (StackExchange, Reddit, Citations, MsMarco, Miracl)
