"""Tasks as mteb evaluates them: built from subsets of local files, or mteb's own.

A local task is a subclass of mteb's class for its type whose data is there already, so nothing is looked up anywhere.
"""

from __future__ import annotations

import contextlib
import logging
import re
import warnings
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from pairmill.errors import PairmillError, SpecError
from pairmill.evaluate.languages import UNKNOWN, of_mteb
from pairmill.evaluate.subsets import Parts
from pairmill.spec.evaluate import Task

SPLIT = "test"
#: By type: mteb's class, its name of the type, the main score.
_TYPES = {
    "sts": ("AbsTaskSTS", "STS", "cosine_spearman"),
    "bitext": ("AbsTaskBitextMining", "BitextMining", "f1"),
    "pair-classification": ("AbsTaskPairClassification", "PairClassification", "max_ap"),
    "classification": ("AbsTaskClassification", "Classification", "accuracy"),
    "clustering": ("AbsTaskClustering", "Clustering", "v_measure"),
    "retrieval": ("AbsTaskRetrieval", "Retrieval", "ndcg_at_10"),
    "long-document-retrieval": ("AbsTaskRetrieval", "Retrieval", "ndcg_at_10"),
    "reranking": ("AbsTaskRetrieval", "Reranking", "map_at_1000"),
}


def label(subset: str, split: str) -> str:
    """What a subset is called: with its split where that is another than `test`."""
    return subset if split == SPLIT else f"{subset} ({split})"


def main_score(task: Task) -> str:
    """The name of a local task's main score."""
    return task.metric or _TYPES[str(task.type)][2]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without the progress bars, log lines and warnings of mteb and datasets."""
    import datasets

    datasets.disable_progress_bars()
    level = logging.getLogger("mteb").level
    logging.getLogger("mteb").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.getLogger("mteb").setLevel(level)


def local(task: Task, name: str, subset: str, codes: list[str], parts: Parts, revision: str) -> Any:
    """mteb's task for one subset of a local task. `revision` names the data."""
    import mteb.abstasks
    from mteb.abstasks.task_metadata import TaskMetadata
    from mteb.abstasks.text.bitext_mining import AbsTaskBitextMining

    class_, kind, _ = _TYPES[str(task.type)]
    base = AbsTaskBitextMining if class_ == "AbsTaskBitextMining" else getattr(mteb.abstasks, class_)
    languages = [found for code in codes if (found := of_mteb(code))]
    metadata = TaskMetadata(
        name=name,
        description=f"A task of local files: {name}.",
        type=kind,
        category="t2t",
        dataset={"path": "local", "revision": revision},
        eval_splits=[SPLIT],
        eval_langs={subset: languages or [UNKNOWN]},
        main_score=main_score(task),
    )
    made = type(name, (base,), {"metadata": metadata, **_options(task, parts)})()
    made.dataset = {subset: _DATA[kind](parts)}
    made.data_loaded = True
    return made


def _options(task: Task, parts: Parts) -> dict[str, Any]:
    if task.type == "classification":
        return {"samples_per_label": task.samples_per_label, "n_experiments": task.experiments}
    if task.type == "clustering":
        from mteb.abstasks import AbsTaskClustering

        drawn = min(AbsTaskClustering.max_documents_per_cluster, len(parts["rows"]))
        return {
            "max_fraction_of_documents_to_embed": None,
            "max_documents_per_cluster": drawn,
            "n_clusters": task.experiments,
        }
    return {}


def _dataset(table: pa.Table, **names: str) -> Any:
    """Columns of a table as a `datasets.Dataset`; `names` are new name = column."""
    import datasets

    return datasets.Dataset.from_dict({new: table[column].to_pylist() for new, column in names.items()})


def _pairs(parts: Parts, value: str | None) -> dict[str, Any]:
    rows = parts["rows"]
    names = {"sentence1": "sentence1", "sentence2": "sentence2", **({value: "value"} if value else {})}
    data = _dataset(rows, **names)
    if value == "labels":
        data = data.remove_columns("labels").add_column("labels", [int(one) for one in rows["value"].to_pylist()])
    return {SPLIT: data}


def _classification(parts: Parts) -> Any:
    import datasets

    numbers = {label: number for number, label in enumerate(sorted(set(parts["train"]["label"].to_pylist())))}
    found = {}
    for split, part in (("train", "train"), (SPLIT, "rows")):
        labels = parts[part]["label"].to_pylist()
        numbers.update((label, len(numbers)) for label in sorted(set(labels)) if label not in numbers)
        found[split] = _dataset(parts[part], text="text").add_column("label", [numbers[label] for label in labels])
    return datasets.DatasetDict(found)


def _retrieval(parts: Parts) -> dict[str, Any]:
    relevant: dict[str, dict[str, int]] = {}
    for row in parts["qrels"].to_pylist():
        relevant.setdefault(row["query_id"], {})[row["document_id"]] = int(row["score"])
    ranked: dict[str, list[str]] = {}
    for row in parts["ranked"].to_pylist() if "ranked" in parts else ():
        ranked.setdefault(row["query_id"], []).append(row["document_id"])
    asked = set(parts["queries"]["id"].to_pylist())
    data = {
        "queries": _dataset(parts["queries"], id="id", text="text"),
        "corpus": _dataset(parts["corpus"], id="id", title="title", text="text"),
        "relevant_docs": {query: documents for query, documents in relevant.items() if query in asked},
        "top_ranked": ranked or None,
    }
    return {SPLIT: data}


_DATA: dict[str, Any] = {
    "STS": lambda parts: _pairs(parts, "score"),
    "BitextMining": lambda parts: _pairs(parts, None),
    "PairClassification": lambda parts: _pairs(parts, "labels"),
    "Classification": _classification,
    "Clustering": lambda parts: {SPLIT: _dataset(parts["rows"], sentences="text", labels="label")},
    "Retrieval": _retrieval,
    "Reranking": _retrieval,
}


def named(task: Task) -> Any:
    """One of mteb's tasks, without its data. Raises SpecError where there is none of this name, or of its subsets."""
    import mteb

    with quiet():
        try:
            found = mteb.get_task(str(task.mteb))
        except KeyError as error:
            near = re.search(r"Did you mean: '(.+?)'", str(error))
            hint = f" Did you mean {near[1]!r}?" if near else ""
            raise SpecError(f"tasks: mteb has no task {task.mteb!r}.{hint} See `mteb available-tasks`.") from None
    if "text" not in found.modalities or len(found.modalities) > 1:
        raise SpecError(f"tasks: mteb: {task.mteb} is a task of {', '.join(found.modalities)}. Name one of text alone.")
    unknown = [name for name in task.subsets or () if name not in found.hf_subsets]
    if unknown:
        raise SpecError(
            f"tasks: mteb: {task.mteb} has no subset {unknown[0]!r}. It has: {', '.join(found.hf_subsets[:40])}."
        )
    return found


def loaded(task: Task, subset: str) -> Any:
    """One of mteb's tasks with the data of a subset. Raises PairmillError where it cannot be loaded."""
    found = named(task)
    found.hf_subsets = [subset]
    try:
        with quiet():
            found.load_data()
            if hasattr(found, "convert_v1_dataset_format_to_v2"):
                found.convert_v1_dataset_format_to_v2(num_proc=1)
    except Exception as error:  # datasets and hub clients raise errors of many kinds
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise PairmillError(
            f"mteb task {task.mteb}: its data cannot be loaded ({type(error).__name__}: {first}). It comes from a hub "
            "or from the cache of `datasets` (HF_HOME, HF_DATASETS_CACHE). Copy the cache here, or write the task with "
            "`type` and `path` on files of your own."
        ) from error
    return found
