"""One task, subset and model through mteb's own evaluator: its scores, and a value for each row.

mteb gives scores of whole subsets. What they are made of is taken from it as it passes by: predictions where it would
save them, per-query scores of retrieval where it offers them to tasks. Each row also has `length`, the characters of
its longer text (of a query: of its first relevant document), and `script`, that of its first text.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from pairmill.curate import codepoints
from pairmill.curate.heuristics import scripts
from pairmill.errors import SpecError
from pairmill.evaluate.tasks import quiet

#: mteb makes batches of so many texts; the engine makes its own.
BATCH = 4096
_NAMES = {number: name for name, number in scripts.NUMBER.items()}
Columns = dict[str, Any]


class Evaluated(NamedTuple):
    """mteb's scores of a subset, and its rows; None for types whose rows are not known."""

    scores: dict[str, Any]
    rows: pa.Table | None


class _Captured:
    """What mteb's evaluator found on the way."""

    def __init__(self, task: Any):
        self.predictions: Any = None
        self.queries: dict[str, dict[str, float]] = {}
        self.results: dict[str, dict[str, float]] = {}
        self.relevant: dict[str, dict[str, int]] = {}
        task._save_task_predictions = self._save
        task._add_main_score = lambda scores: _add_main_score(task, scores)
        if hasattr(task, "task_specific_scores"):
            own = task.task_specific_scores
            task.task_specific_scores = lambda *given, **more: self._retrieval(own, *given, **more)

    def _save(self, predictions: Any, *given: Any, **more: Any) -> None:
        self.predictions = predictions

    def _retrieval(self, own: Any, scores: Any, relevant: Any, results: Any, **more: Any) -> Any:
        self.queries, self.relevant, self.results = scores, relevant, results
        return own(scores, relevant, results, **more)


def _add_main_score(task: Any, scores: dict[str, Any]) -> None:
    """As mteb does; raises SpecError for a score that it does not compute."""
    name = task.metadata.main_score
    if name not in scores:
        known = [
            metric for metric, value in scores.items() if isinstance(value, float) and not metric.startswith("nauc")
        ]
        raise SpecError(f"task {task.metadata.name}: metric {name!r} is unknown. Allowed: {', '.join(known)}.")
    scores["main_score"] = scores[name]


def evaluate(task: Any, subset: str, split: str, encoder: Any, ids: list[str] | None = None) -> Evaluated:
    """The scores of mteb's task with its data loaded; `ids` name the rows of types without ids of their own."""
    captured = _Captured(task)
    with quiet():
        scores = task.evaluate(
            encoder,
            split,
            [subset],
            encode_kwargs={"batch_size": BATCH, "show_progress_bar": False},
            prediction_folder=Path("captured"),
        )[subset]
    data = task.dataset[subset][split] if subset in task.dataset else task.dataset[split]
    columns = _columns(task, data, scores, captured)
    return Evaluated(_plain(scores), None if columns is None else _table(columns, ids))


def _columns(task: Any, data: Any, scores: dict[str, Any], captured: _Captured) -> Columns | None:
    """Values by row, and `first` and `longer` text of each; None for a type that is not known."""
    import mteb.abstasks as types
    from mteb.abstasks.clustering_legacy import AbsTaskClusteringLegacy
    from mteb.abstasks.text.bitext_mining import AbsTaskBitextMining

    known: list[tuple[type, Callable[[Any, Any, dict[str, Any], _Captured], Columns | None]]] = [
        (types.AbsTaskSTS, _sts),
        (AbsTaskBitextMining, _bitext),
        (types.AbsTaskPairClassification, _pair_classification),
        (types.AbsTaskClassification, _classification),
        (types.AbsTaskClustering, _clustering),
        (AbsTaskClusteringLegacy, _clustering),
        (types.AbsTaskRetrieval, _retrieval),
    ]
    return next((made(task, data, scores, captured) for type_, made in known if isinstance(task, type_)), None)


def _sts(task: Any, data: Any, scores: dict[str, Any], captured: _Captured) -> Columns:
    first, second = (list(data[name]) for name in task.column_names)
    found = captured.predictions
    gold = np.array(data["score"], float)
    return {"gold": gold, "cosine": np.array(found["cosine_scores"]), **_pair_texts(first, second)}


def _bitext(task: Any, data: Any, scores: dict[str, Any], captured: _Captured) -> Columns | None:
    if "sentence1-sentence2" not in (captured.predictions or {}) or "gold" in data:
        return None
    found = np.array([one["corpus_id"] for one in captured.predictions["sentence1-sentence2"]])
    hit = (found == np.arange(len(found))).astype(float)
    chosen = np.bincount(found, minlength=len(found))[: len(found)]
    texts = _pair_texts(list(data["sentence1"]), list(data["sentence2"]))
    return {"accuracy": hit, "f1": 2 * hit / (chosen + 1), **texts}


def _pair_classification(task: Any, data: Any, scores: dict[str, Any], captured: _Captured) -> Columns:
    data = data[0] if len(data) == 1 else data  # mteb's older sets: one row of lists
    first, second = (list(data[name]) for name in (task.input1_column_name, task.input2_column_name))
    found = captured.predictions
    return {
        "label": np.array(data[task.label_column_name], float),
        "cosine": np.array(found["cosine_scores"]),
        "dot": np.array(found["dot_scores"]),
        "similarity": np.array(found["similarity_scores"]),
        "euclidean": -np.array(found["euclidean_distances"]),
        "manhattan": -np.array(found["manhattan_distances"]),
        **_pair_texts(first, second),
    }


def _classification(task: Any, data: Any, scores: dict[str, Any], captured: _Captured) -> Columns | None:
    gold = np.array(data[task.label_column_name])
    found = np.array(captured.predictions)
    if gold.ndim != 1 or found.ndim != 2 or found.shape[1] != len(gold):
        return None  # several labels a text, or cross-validation
    texts = list(data[task.input_column_name])
    return {"accuracy": (found == gold).mean(0), "first": texts, "longer": texts}


def _clustering(task: Any, data: Any, scores: dict[str, Any], captured: _Captured) -> Columns:
    """Its rows are mteb's repetitions, each over a sample of the texts."""
    found = scores["v_measures"]
    values = [one for level in found.values() for one in level] if isinstance(found, dict) else list(found)
    return {"v_measure": np.array(values, float), "first": [""] * len(values), "longer": [""] * len(values)}


def _retrieval(task: Any, data: Any, scores: dict[str, Any], captured: _Captured) -> Columns:
    from mteb._evaluators.retrieval_metrics import mrr

    texts = dict(zip(data["queries"]["id"], data["queries"]["text"], strict=True))
    documents = dict(zip(data["corpus"]["id"], data["corpus"]["text"], strict=True))
    queries = sorted(captured.queries)
    reciprocal = mrr(captured.relevant, {query: captured.results[query] for query in queries}, [10])["MRR@10"]
    columns: Columns = {"id": queries, "mrr_at_10": np.array(reciprocal)}
    for written, name in _RETRIEVAL.items():
        columns[name] = np.array([captured.queries[query][written] for query in queries])
    first = [_as_text(texts[query]) for query in queries]
    relevant = [next((one for one, score in captured.relevant[query].items() if score > 0), "") for query in queries]
    return {**columns, "first": first, "longer": [documents.get(one, "") for one in relevant]}


#: pytrec_eval's names, and mteb's for their means.
_RETRIEVAL = {
    "ndcg_cut_10": "ndcg_at_10",
    "map_cut_1000": "map_at_1000",
    "recall_1": "recall_at_1",
    "recall_10": "recall_at_10",
    "recall_100": "recall_at_100",
    "success_10": "hit_rate_at_10",
}


def _pair_texts(first: list[str], second: list[str]) -> Columns:
    return {"first": first, "longer": [max(pair, key=len) for pair in zip(first, second, strict=True)]}


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else str(value)


def _table(columns: Columns, ids: list[str] | None) -> pa.Table:
    first, longer = columns.pop("first"), columns.pop("longer")
    count = len(first)
    named = columns.pop("id", None) or (ids if ids is not None and len(ids) == count else list(map(str, range(count))))
    values = {name: pa.array(found, pa.float64()) for name, found in columns.items()}
    lengths = pa.array([len(text) for text in longer], pa.int32())
    return pa.table({"id": named, "length": lengths, "script": list(map(script_of, first)), **values})


def script_of(text: str) -> str:
    """The script most letters of a text are of, as ISO 15924 code; `Zyyy` for none."""
    points = np.frombuffer(text.encode("utf-32-le", "replace"), np.uint32)
    letters = points[codepoints.classes()[points] == codepoints.LETTER]
    numbers = scripts.script_of()[letters]
    if not len(numbers):
        return "Zyyy"
    return _NAMES.get(int(np.bincount(numbers).argmax()), "Zyyy")


def _plain(value: Any) -> Any:
    """Scores as JSON holds them: NumPy's numbers as Python's, what is no number as null."""
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(inner) for inner in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
