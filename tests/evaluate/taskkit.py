"""Small tasks of random words, as files, and jobs that evaluate tiny models on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from pairmill.jobs import run_job
from pairmill.runs.job import Outcome
from pairmill.spec.load import loads

LETTERS = list("abcdefghij")


def words(count: int, seed: int) -> list[str]:
    """Texts of random letters in a few words; all different."""
    random = np.random.default_rng(seed)
    return [
        " ".join("".join(random.choice(LETTERS, size)) for size in random.integers(2, 7, random.integers(4, 9)))
        for _ in range(count)
    ]


def changed(text: str, seed: int, share: float) -> str:
    """The text with a share of its letters drawn anew."""
    random = np.random.default_rng(seed)
    return "".join(random.choice(LETTERS) if one != " " and random.random() < share else one for one in text)


def write_tasks(folder: Path) -> list[dict[str, Any]]:
    """A task of each type, two languages each, on 40 rows a language; the specs of the tasks."""
    folder.mkdir(parents=True, exist_ok=True)
    first, languages = words(80, 1), ["de", "en"] * 40
    shares = np.random.default_rng(0).random(80).tolist()
    second = [changed(text, number, share) for number, (text, share) in enumerate(zip(first, shares, strict=True))]
    pairs = pa.table(
        {
            "lang": languages,
            "sentence1": first,
            "sentence2": second,
            "score": [5 * (1 - share) for share in shares],
            "label": ["same" if share < 0.5 else "other" for share in shares],
        }
    )
    pq.write_table(pairs, folder / "pairs.parquet")
    texts = words(160, 2)
    labelled = {"lang": ["de", "en"] * 80, "split": ["train"] * 80 + ["test"] * 80, "text": texts}
    pq.write_table(pa.table({**labelled, "label": [text[0] < "e" for text in texts]}), folder / "texts.parquet")
    asked = {"lang": languages, "qid": [f"q{i}" for i in range(80)], "question": second, "context": first}
    asked["other"] = [[first[(i + 2) % 80], first[(i + 4) % 80]] for i in range(80)]
    pq.write_table(pa.table(asked), folder / "asked.parquet")
    pairs_, texts_, asked_ = (str(folder / f"{name}.parquet") for name in ("pairs", "texts", "asked"))
    question = {"query": "question", "document": "context", "query_id": "qid"}
    labels = {"positive": "same", "negative": "other"}
    return [
        {"name": "sts", "type": "sts", "path": pairs_, "by": "lang"},
        {"name": "bitext", "type": "bitext", "path": pairs_, "by": "lang", "languages": ["fr"]},
        {"name": "pairs", "type": "pair-classification", "path": pairs_, "by": "lang", "labels": labels},
        {
            "name": "classes",
            "type": "classification",
            "path": texts_,
            "by": "lang",
            "where": {"split": "test"},
            "train": {"split": "train"},
            "experiments": 3,
        },
        {"name": "clusters", "type": "clustering", "path": texts_, "by": "lang", "experiments": 3},
        {"name": "retrieval", "type": "retrieval", "path": asked_, "by": "lang", "columns": question},
        {
            "name": "reranking",
            "type": "reranking",
            "path": asked_,
            "by": "lang",
            "columns": {"query": "question", "positive": "context", "negative": "other"},
        },
        {
            "name": "long",
            "type": "long-document-retrieval",
            "path": asked_,
            "columns": question,
            "lengths": [4, 24],
        },
    ]


def evaluate(folder: Path, tasks: list[dict[str, Any]], storage: Path, **more: Any) -> Outcome:
    """The outcome of an evaluate job on the model in a directory, unless `model` names another."""
    spec = {
        "kind": "evaluate",
        "name": "tiny",
        "model": {"path": str(folder), "max_length": 32},
        "tasks": tasks,
        "bootstrap": 100,
        "inference": {"texts": 10},
        **more,
    }
    loaded = loads(yaml.safe_dump(spec), "test.yaml")
    return run_job(loaded, str(storage), None, False, "pairmill run test.yaml", lambda line: None)
