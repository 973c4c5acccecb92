"""`kind: evaluate`: a model's scores on tasks of local files, or on mteb's own tasks by name."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, field_validator, model_validator

from pairmill.spec.base import Bytes, Language, Model, Names, Paths, TaskResources, Values, Where, switch
from pairmill.spec.embed import EmbeddingModel, Precision
from pairmill.spec.maps import Map
from pairmill.spec.training import Name

Type = Literal[
    "sts",
    "bitext",
    "retrieval",
    "classification",
    "clustering",
    "reranking",
    "pair-classification",
    "long-document-retrieval",
]
Format = Literal["parquet", "jsonl", "json", "csv", "arrow"]
_ENDINGS: dict[str, Format] = {"ndjson": "jsonl", "tsv": "csv"}
_FORMATS = get_args(Format)
_PACKED = re.compile(r"\.(gz|bz2|xz|zst|lz4|br)$")

#: Columns that a type reads: those it must have, and those it may have. A column is called as here unless `columns`
#: says otherwise.
_SENTENCES = ("sentence1", "sentence2")
COLUMNS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "sts": ((*_SENTENCES, "score"), ("id",)),
    "bitext": (_SENTENCES, ("id",)),
    "pair-classification": ((*_SENTENCES, "label"), ("id",)),
    "classification": (("text", "label"), ("id",)),
    "clustering": (("text", "label"), ("id",)),
    "reranking": (("query", "positive", "negative"), ("id",)),
    "retrieval": (("query", "document"), ("query_id", "document_id", "title", "score")),
}
COLUMNS["long-document-retrieval"] = COLUMNS["retrieval"]
#: Of the three files of a retrieval task.
PARTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "queries": (("id", "text"), ()),
    "corpus": (("id", "text"), ("title",)),
    "qrels": (("query_id", "document_id"), ("score",)),
}
RETRIEVAL = ("retrieval", "long-document-retrieval")


class Files(Model):
    """Files of records, and which of the records are meant."""

    path: Paths = Field(description="Path, URI or glob, or a list.")
    format: Format | None = Field(None, description="Default: by the first path's ending.")
    where: Where = Field({}, description="Only records with these values: {split: dev, lang: [en, de]}.")
    columns: dict[str, str] = Field({}, description="Names of columns that are called otherwise: {sentence1: src}.")

    @model_validator(mode="after")
    def _known_format(self) -> Files:
        format_of(self)
        return self


class Prompts(Model):
    """Names of the model's prompts."""

    query: str | None = Field(None, description="For queries, and for all texts of symmetric tasks.")
    passage: str | None = Field(None, description="For documents.")


class Labels(Model):
    """Which labels of a pair classification mean that the two texts say the same; other rows are left out."""

    positive: Values
    negative: Values


class Task(Model):
    """One task: local files (`type`), or one of mteb's by its name (`mteb`)."""

    name: str | None = Field(None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    mteb: str | None = Field(None, description="Name of one of mteb's tasks, whose data mteb loads.")
    subsets: Names | None = Field(None, description="Of an mteb task: only these of its subsets.")
    type: Type | None = None
    path: Paths | None = Field(None, description="Files of records.")
    format: Format | None = Field(None, description="Default: by the path's ending.")
    where: Where = Field({}, description="Only records with these values: {split: dev, lang: [en, de]}.")
    columns: dict[str, str] = Field({}, description="Names of columns that are called otherwise: {sentence1: src}.")
    by: Names = Field([], description="Columns whose values part the records in subsets, such as a language column.")
    across: str | None = Field(
        None,
        min_length=1,
        description="Sentence pairs: the column that an item's translations share. With `by: lang`, sentence1 in one "
        "language and sentence2 in another: a subset for each two, such as en-de and de-en.",
    )
    languages: list[Language] = Field([], description="Languages of the texts, where `by` does not name them.")
    queries: Files | None = None
    corpus: Files | None = Field(None, description="Retrieval: documents that all subsets share.")
    qrels: Files | None = None
    train: Where | None = Field(None, description="Classification: the records to learn from, as `where`.")
    labels: Labels | None = Field(None, description="Pair classification: default positive 1, negative 0.")
    lengths: list[Annotated[int, Field(gt=1)]] = Field(
        [], description="Long documents: a result for each cut to so many tokens; default: the model's max_length."
    )
    samples_per_label: int = Field(8, gt=0, description="Classification: records learnt from.")
    experiments: int = Field(10, gt=0, description="Classification and clustering: repetitions.")
    limit: int | None = Field(None, gt=1, description="At most so many rows (queries) of a subset, drawn by hash.")
    metric: str | None = Field(None, description="The main score, of those mteb computes; default: the type's.")
    prompts: Prompts | None = Field(None, description="Default: those of the spec.")

    @property
    def called(self) -> str:
        return str(self.name or self.mteb)

    @property
    def results(self) -> dict[str, int | None]:
        """What the task's results are called, and to how many tokens texts are cut for each (None: the model's own)."""
        return {f"{self.called}-{length}": length for length in self.lengths} or {self.called: None}

    def files(self) -> dict[str, Files]:
        """The task's files by what they hold: `rows`, or `queries`, `corpus` and `qrels`."""
        named = {"queries": self.queries, "corpus": self.corpus, "qrels": self.qrels}
        found = {name: files for name, files in named.items() if files is not None}
        if self.path is not None:
            found["rows"] = Files.model_construct(
                path=self.path, format=self.format, where=self.where, columns=self.columns
            )
        return found

    @model_validator(mode="after")
    def _local_or_named(self) -> Task:
        if (self.mteb is None) == (self.type is None):
            raise ValueError("needs either `type` (local files) or `mteb` (one of mteb's tasks), and not both")
        if self.mteb is not None:
            own = ("name", "mteb", "subsets", "prompts")
            fields = type(self).model_fields
            others = [key for key in fields if key not in own and getattr(self, key) != fields[key].default]
            if others:
                raise ValueError(f"mteb: {self.mteb} brings its own data and score: leave `{others[0]}` out")
            return self
        if self.name is None:
            raise ValueError("needs a `name`")
        if self.subsets is not None:
            raise ValueError("`subsets` are of mteb's tasks; of files choose records by `where`")
        self._check_options()
        self._check_files()
        return self

    def _check_options(self) -> None:
        only = {
            "across": ("sts", "pair-classification"),
            "train": ("classification",),
            "labels": ("pair-classification",),
            "lengths": ("long-document-retrieval",),
            "queries": RETRIEVAL,
            "corpus": RETRIEVAL,
            "qrels": RETRIEVAL,
            "samples_per_label": ("classification",),
            "experiments": ("classification", "clustering"),
        }
        for key, types in only.items():
            if getattr(self, key) != type(self).model_fields[key].default and self.type not in types:
                raise ValueError(f"`{key}` is of type {' or '.join(types)}, not of {self.type}: leave it out")
        if self.across is not None and len(self.by) != 1:
            raise ValueError("across: the language must be known: set `by` to its column, such as `by: lang`")
        if self.type == "classification" and self.train is None:
            raise ValueError("classification learns from records: say which, such as `train: {split: train}`")

    def _check_files(self) -> None:
        assert self.type is not None, "local tasks have a type"
        if self.type in RETRIEVAL and self.qrels is not None:
            if self.path is not None or self.queries is None or self.corpus is None:
                raise ValueError("`qrels` go with `queries` and `corpus`, and without `path`")
            if self.by:
                raise ValueError("`by` parts the records of `path`: leave it out, or write a task for each subset")
        elif self.path is None or self.queries is not None:
            raise ValueError("needs `path` (for retrieval also: `queries`, `corpus` and `qrels`)")
        for part, files in self.files().items():
            format_of(files)
            required, optional = COLUMNS[self.type] if part == "rows" else PARTS[part]
            for key in files.columns:
                if key not in (*required, *optional):
                    place = "columns" if part == "rows" else f"{part}.columns"
                    raise ValueError(f"{place}: {key!r} is unknown. Allowed: {', '.join((*required, *optional))}")


class Leaks(Model):
    """Evaluation texts in what a training run learnt from: the kept rows of its lineage.

    `ngram` and `min_share` are those of `decontaminate`: see `docs/decontamination.md`.
    """

    runs: Names = Field([], description="Train, pretrain or curate runs; default: the run that `model` names.")
    ngram: int = Field(8, ge=6, le=50, description="Words in a row that count as overlap.")
    min_share: float = Field(0.5, gt=0, le=1, description="Share of a text that a row must hold.")


class Inference(Model):
    """What encoding costs: single texts for the latency, all at once for the throughput."""

    texts: int = Field(200, ge=10, description="Texts of the tasks that are timed.")


class EvaluateResources(TaskResources):
    memory_per_task: Bytes = Field(2_000_000_000, description="Reserved per task on the cluster.")
    gpus_per_task: float = Field(0, ge=0)
    threads: int | None = Field(None, gt=0, description="Of each task; default: its CPUs.")


class EvaluateSpec(Model):
    kind: Literal["evaluate"]
    name: Name
    model: EmbeddingModel
    tasks: list[Task] = Field(min_length=1)
    prompts: Prompts | None = Field(
        None, description="Default: the model's prompts called `query` and `passage`, where it has them."
    )
    dims: list[Annotated[int, Field(gt=0)]] | None = Field(
        None, min_length=1, description="Matryoshka: each of these first dimensions is evaluated; default: all."
    )
    precision: Precision = "fp32"
    bootstrap: int = Field(1000, ge=100, le=100_000, description="Draws of each 95 % interval.")
    map: Map | None = Field(None, description="Vectors of one language go through a map fitted on bitext.")
    leaks: Annotated[Leaks | None, BeforeValidator(switch)] = None
    inference: Annotated[Inference | None, BeforeValidator(switch)] = Inference()
    resources: EvaluateResources = EvaluateResources()

    @field_validator("dims")
    @classmethod
    def _once(cls, value: list[int] | None) -> list[int] | None:
        return sorted(set(value), reverse=True) if value else value

    @model_validator(mode="after")
    def _consistent(self) -> EvaluateSpec:
        names = [name for task in self.tasks for name in task.results]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"tasks: two tasks are called {twice[0]!r}; names must differ")
        if self.leaks is not None and all(task.mteb for task in self.tasks):
            raise ValueError("leaks: only the texts of local tasks are looked for, and there is none: leave it out")
        if self.map is not None and any(task.mteb for task in self.tasks):
            raise ValueError("map: only the texts of local tasks can be mapped: leave mteb's tasks out")
        if self.precision == "int8" and self.resources.gpus_per_task:
            raise ValueError("precision: int8 runs on CPUs: leave resources.gpus_per_task out, or use fp16 or bf16")
        if self.leaks is not None and not self.leaks.runs and self.model.run is None:
            raise ValueError("leaks: `model` names no run: say which runs to look in, such as `leaks: {runs: [..]}`")
        return self


def format_of(files: Files) -> Format:
    """The files' format: as written, else by the first path's ending. Raises ValueError."""
    if files.format is not None:
        return files.format
    ending = _PACKED.sub("", files.path[0]).rpartition(".")[2].lower()
    found: Any = _ENDINGS.get(ending, ending)
    if found not in _FORMATS:
        raise ValueError(f"{files.path[0]!r}: its ending names no format: set `format`, one of {', '.join(_FORMATS)}")
    return found
