"""`kind: mine`: what the vectors of an embed run tell of pairs: scores, hard negatives, new pairs, duplicates."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from pairmill.spec.base import Bytes, Language, Model, TaskResources
from pairmill.spec.inputs import Input
from pairmill.spec.model import Place
from pairmill.spec.training import Name

Within = Annotated[
    Literal["all", "source", "languages"],
    Field(description="Whose texts compete: all rows', those of the row's source, or of its pair of languages."),
]
SECTIONS = ("negatives", "margin", "bitext", "consistency", "groups", "rerank")


class CrossEncoder(Model):
    """A model that reads two texts together (`AutoModelForSequenceClassification`)."""

    model: Place
    label: int | None = Field(
        None, ge=0, description="Of models with several classes: the one whose log odds are the score."
    )
    max_length: int | None = Field(None, gt=1, description="Tokens of both texts; default: the model's own, else 512.")
    micro_batch: int = Field(8192, gt=0, description="Tokens per forward pass.")
    trust_remote_code: bool = Field(False, description="Run Python code that comes with the model.")


class Check(CrossEncoder):
    max_score: float = Field(description="A candidate that scores more is no negative.")


class NearPositives(Model):
    """Candidates as near to the anchor as its positive are probably no negatives (NV-Retriever, arXiv 2407.15831)."""

    absolute: float | None = Field(None, description="Left out: cosine >= the positive's - absolute.")
    relative: float | None = Field(0.95, gt=0, description="Left out: cosine >= the positive's * relative.")


class Negatives(Model):
    k: int = Field(100, ge=1, le=2048, description="Nearest texts looked at for each anchor.")
    rank: tuple[int, int] | None = Field(
        None, description="First and last rank that negatives are taken from, positives not counted. Default: [1, k]."
    )
    margin: NearPositives = NearPositives()
    count: int = Field(7, ge=1, le=1024, description="Negatives of each row; rows with fewer are rejected.")
    sample: Literal["random", "hardest"] = Field("random", description="Which of the ranks are taken.")
    seed: int = Field(0, ge=0)
    corpus: str | None = Field(None, description="Set of the embed run whose texts are candidates; default: positives.")
    within: Within = "all"
    cross_encoder: Check | None = None

    @model_validator(mode="after")
    def _possible(self) -> Negatives:
        low, high = self.rank or (1, self.k)
        if not 1 <= low <= high <= self.k:
            raise ValueError(f"rank: {[low, high]} is no range within 1 to k ({self.k})")
        if high - low + 1 < self.count:
            raise ValueError(f"count: {self.count} negatives cannot be taken from the {high - low + 1} ranks of `rank`")
        if self.corpus is not None and self.within != "all":
            raise ValueError("within: texts of a corpus have no source and no pair of languages: leave it out")
        return self


class Margin(Model):
    """Artetxe & Schwenk 2019, arXiv 1811.01136: see mine/margin.py."""

    k: int = Field(4, ge=1, le=1024, description="Neighbours on each side.")
    score: Literal["ratio", "distance", "absolute"] = "ratio"
    within: Within = "languages"


class Dev(Model):
    """Gold pairs among the texts of both sides."""

    dev: Input = Field(description="Files of gold pairs, as under `inputs` of a curate spec: anchor left.")

    @model_validator(mode="before")
    @classmethod
    def _named(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(data.get("dev"), dict):
            return {**data, "dev": {"name": "dev", **data["dev"]}}
        return data


class Bitext(Model):
    left: str = Field(description="A set of the embed run, or set/side where it has two: the anchors.")
    right: str = Field(description="The other: the positives.")
    k: int = Field(4, ge=1, le=1024, description="Neighbours on each side.")
    score: Literal["ratio", "distance", "absolute"] = "ratio"
    threshold: float | Dev | None = Field(
        None, description="Pairs that score less are left out: a number, or {dev: gold pairs} for the best F1 on them."
    )
    retrieval: Literal["max", "forward", "backward", "intersection"] = "max"
    left_lang: Language | None = None
    right_lang: Language | None = None
    source: str = Field("mined", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="The rows' `source`.")

    @model_validator(mode="after")
    def _two_sides(self) -> Bitext:
        if self.left == self.right:
            raise ValueError(f"left and right are both {self.left!r}: name the two sides")
        return self


class Consistency(Model):
    """E5, arXiv 2212.03533, section 3: see mine/consistency.py."""

    k: int = Field(2, ge=1, description="Rank that the report calls consistent; the filter itself is a select rule.")
    pool: int = Field(1_000_000, ge=1, description="Passages drawn from all rows, or from each source or pair.")
    within: Within = "all"
    seed: int = Field(0, ge=0)


class Groups(Model):
    """SemDeDup, arXiv 2303.09540: see mine/groups.py."""

    clusters: int | None = Field(None, ge=1, description="Of k-means. Default: one for 1,000 rows, at most 8,192.")
    threshold: float = Field(0.95, gt=0, le=1, description="Cosine from which rows say the same. Typical: 0.9-0.98.")
    side: Literal["anchor", "positive", "pair"] = Field(
        "pair", description="What is compared; pair: the mean of both sides' cosines."
    )
    cross_lingual: bool = Field(False, description="Rows of different languages may be duplicates too.")
    seed: int = Field(0, ge=0)


class Rerank(CrossEncoder):
    negatives: bool = Field(
        True,
        description="Score the row's hard negatives too and keep rows with `scores`, for score_distillation; "
        "false: a side-table of the pairs' scores.",
    )


class Index(Model):
    """How nearest neighbours are found; see mine/index.py."""

    kind: Literal["auto", "flat", "ivf", "hnsw", "ivf-sq", "ivf-pq"] = Field(
        "auto", description="flat is exact. auto: by number of vectors, dimensions and memory; the reason is printed."
    )
    lists: int | None = Field(None, ge=1, description="ivf: clusters. Default: 4 times the root of the vectors.")
    probes: int | None = Field(None, ge=1, description="ivf: clusters searched for a query. Default: a 32nd of them.")
    links: int = Field(32, ge=4, le=512, description="hnsw: links of a vector.")
    sample: int = Field(1000, ge=0, description="Queries on which recall is measured against flat; 0: not.")
    seed: int = Field(0, ge=0)


class MineResources(TaskResources):
    memory_per_task: Bytes = Field(4_000_000_000, description="Of each task; an index larger than it becomes shards.")


class MineSpec(Model):
    kind: Literal["mine"]
    name: Name
    run: str | None = Field(
        None, min_length=1, description="The run whose kept rows these are: its id, the start of one, or its URI."
    )
    vectors: str | None = Field(None, min_length=1, description="A finished embed run: its id, or its URI.")
    set: str | None = Field(
        None, description="Set of the embed run that holds the rows; default: the only one of `run`."
    )
    negatives: Negatives | None = None
    margin: Margin | None = None
    bitext: Bitext | None = None
    consistency: Consistency | None = None
    groups: Groups | None = None
    rerank: Rerank | None = None
    index: Index = Index()
    resources: MineResources = MineResources()

    @property
    def section(self) -> str:
        return next(name for name in SECTIONS if getattr(self, name) is not None)

    @field_validator(*SECTIONS, mode="before")
    @classmethod
    def _defaults(cls, value: Any) -> Any:
        return {} if value in ("on", True) else value

    @model_validator(mode="after")
    def _one_section(self) -> MineSpec:
        found = [name for name in SECTIONS if getattr(self, name) is not None]
        if len(found) != 1:
            raise ValueError(f"found {' and '.join(found) or 'none'}: write exactly one of {', '.join(SECTIONS)}")
        if self.run is None and self.section != "bitext":
            raise ValueError(f"run: {self.section} works on the kept rows of a run: name it")
        if self.run is not None and self.section == "bitext":
            raise ValueError("run: bitext makes pairs of the sets of `vectors` and reads no pairs: leave it out")
        if self.vectors is None and self.section != "rerank":
            raise ValueError(f"vectors: {self.section} works on the vectors of an embed run: name it")
        if self.vectors is not None and self.section == "rerank":
            raise ValueError("vectors: rerank reads texts alone: leave it out")
        return self
