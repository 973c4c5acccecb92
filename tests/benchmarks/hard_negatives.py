"""Do mined hard negatives help, at equal CPU time? And are copies of a positive ever taken for its negatives?

    python tests/benchmarks/hard_negatives.py DATA MODEL [--questions 6000] [--steps 60] [--seeds 0 1 2] [--json FILE]

MODEL is a directory with multilingual-e5-small. English questions and sentences (the part of SQuAD's train split in
squad_pairs: no question of XQuAD) are curated, embedded by the model, mined for one hard negative each, and trained on
with it and without: InfoNCE over the batch. Without negatives a step costs less, so that variant takes as many more
steps as it has fewer tokens a row; the CPU-seconds of both are given. nDCG@10 x 100 on XQuAD (question -> 240 contexts)
in languages that were not trained on, by seed; effects are paired over seeds, with a 95 % interval of Student's t.

Then every tenth passage is put in again under other questions: as it is, in capitals, and without its last word. How
many of the mined negatives are such copies of the row's own positive, with the exclusion of near-positives and without?
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml
from multi_task import effect
from quality_anchors import measure

from pairmill.jobs import run_job
from pairmill.pairs.kept import kept_files
from pairmill.runs.record import Run
from pairmill.spec.load import loads

HELD_OUT = ("de", "es", "ru", "tr", "zh")
PROMPTS = {"query": "query: ", "passage": "passage: "}
SIDES = {"anchor": "query", "positive": "passage"}
LENGTH = 96  # tokens, in training and evaluation
COPIES = ("as it is", "in capitals", "without its last word")


def run(spec: dict[str, Any], storage: Path) -> Run:
    return run_job(loads(yaml.safe_dump(spec), spec["name"]), str(storage), None, False, "", print).run


def questions(data: Path, rows: int) -> pa.Table:
    """Questions with their sentences, none of SQuAD's dev split (which XQuAD's are of), in random order."""
    table = pq.read_table(data / "qa/squad_pairs.parquet", columns=["split", "question", "passage"])
    table = table.filter(pc.equal(table["split"], "test")).drop_columns("split")
    return table.take(np.random.default_rng(0).permutation(len(table))[:rows])


def curated(table: pa.Table, name: str, storage: Path) -> Run:
    file = storage.parent / f"{name}.parquet"
    pq.write_table(table, file)
    columns = {"anchor": "question", "positive": "passage"}
    given = {"name": "squad", "format": "parquet", "path": str(file), "columns": columns, "form": "question-answer"}
    given |= {"langs": {"anchor": "en", "positive": "en"}, "language": "trust"}
    spec = {"kind": "curate", "name": name, "inputs": [given], "filters": {"preset": "none"}}
    spec["dedup"] = {"exact": False, "near": False}
    return run(spec, storage)


def mined(kept: Run, name: str, model: str, storage: Path, **negatives: Any) -> Run:
    encoder = {"path": model, "pooling": "mean", "prompts": PROMPTS}
    data = [{"name": "rows", "run": kept.id, "prompts": SIDES}]
    vectors = run({"kind": "embed", "name": f"{name}-vectors", "model": encoder, "data": data}, storage)
    spec = {"kind": "mine", "name": name, "run": kept.id, "vectors": vectors.id}
    return run({**spec, "negatives": {"k": 50, **negatives}}, storage)


def rows(of: Run, storage: Path) -> pa.Table:
    found = kept_files(str(storage), of.id)
    return pa.concat_tables(pq.read_table(storage / file.path) for file in found.files)


def longer(table: pa.Table) -> float:
    """Size of a row with its negative to that without, in characters: the texts are of one kind."""
    columns = (table["anchor"], table["positive"], pc.list_flatten(table["negatives"]))
    anchor, positive, negative = (pc.sum(pc.utf8_length(texts)).as_py() for texts in columns)
    return float((anchor + positive + negative) / (anchor + positive))


def learnt(of: Run, model: str, negatives: int, steps: int, seed: int, storage: Path) -> Run:
    entry = {"name": "questions", "run": of.id, "prompts": SIDES, "negatives": negatives}
    encoder = {"path": model, "pooling": "mean", "prompts": PROMPTS, "max_length": LENGTH}
    spec = {"kind": "train", "name": f"negatives-{negatives}", "model": encoder, "data": [entry], "steps": steps}
    spec |= {"objective": {"name": "contrastive", "temperature": 0.02}, "batch_size": 32, "seed": seed}
    return run({**spec, "optimizer": {"lr": 2.0e-5, "warmup": 0.1}}, storage)


def scores(model: dict[str, Any], name: str, data: Path, storage: Path) -> dict[str, float]:
    """nDCG@10 x 100 by held-out language, and their mean."""
    task = {
        "name": "xquad",
        "type": "retrieval",
        "path": str(data / "qa/xquad.parquet"),
        "by": "lang",
        "where": {"lang": list(HELD_OUT)},
        "columns": {"query": "question", "document": "context", "query_id": "qid", "document_id": "doc_id"},
    }
    found = measure(model, name, [task], str(storage))["xquad"]
    return {**found, "mean": sum(found.values()) / len(found)}


def trained(data: Path, model: str, count: int, steps: int, seeds: list[int], storage: Path) -> dict[str, Any]:
    hard = mined(curated(questions(data, count), "questions", storage), "mined", model, storage, count=1)
    ratio = longer(rows(hard, storage))
    encoder = {"path": model, "pooling": "mean", "prompts": PROMPTS, "max_length": LENGTH}
    found: dict[str, Any] = {"tokens": round(ratio, 3), "before": scores(encoder, "before", data, storage)}
    plans = {"hard negatives": (1, steps), "in-batch only": (0, round(steps * ratio))}
    for name, (negatives, length) in plans.items():
        lines = []
        for seed in seeds:
            made = learnt(hard, model, negatives, length, seed, storage)
            told = scores({"run": made.id, "prompts": PROMPTS}, f"after-{negatives}-{seed}", data, storage)
            lines.append({**told, "cpu_seconds": made.summary()["training"]["cpu_seconds"], "steps": length})
            print(json.dumps({name: lines[-1]}), flush=True)
        found[name] = lines
    one, other = ([{k: line[k] for k in (*HELD_OUT, "mean")} for line in found[name]] for name in plans)
    found["effect"] = {k: effect([line[k] for line in one], [line[k] for line in other]) for k in one[0]}
    return found


def copies(data: Path, model: str, count: int, storage: Path) -> dict[str, Any]:
    """Negatives that are copies of the row's own positive, by kind of copy, with and without the margin."""
    table = questions(data, count).to_pylist()
    made = [table[at]["passage"] for at in range(0, count, 10)]
    variants = [made, [text.upper() for text in made], [text.rsplit(" ", 1)[0] for text in made]]
    more = [  # each kind under questions of its own: two positives of one question are never each other's negatives
        {"question": table[at]["question"], "passage": text}
        for first, texts in enumerate(variants, start=1)
        for at, text in zip(range(first, count, 10), texts, strict=False)
    ]
    kept = curated(pa.Table.from_pylist(table + more), "copied", storage)
    kinds = {
        text: (kind, whole)
        for kind, texts in zip(COPIES, variants, strict=True)
        for text, whole in zip(texts, made, strict=True)
    }
    found: dict[str, Any] = {}
    for name, margin in (("with the margin", {"relative": 0.95}), ("without it", {"absolute": None, "relative": None})):
        table_of = rows(
            mined(kept, name.replace(" ", "-"), model, storage, count=7, sample="hardest", margin=margin), storage
        )
        counts = dict.fromkeys(COPIES, 0)
        for row in table_of.select(["positive", "negatives"]).to_pylist():
            for text in row["negatives"]:
                kind, whole = kinds.get(text, ("", ""))
                if kind and whole == row["positive"]:
                    counts[kind] += 1
        found[name] = {"rows": len(table_of), "negatives": 7 * len(table_of), **counts}
    return {"passages copied": len(made), **found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("model")
    parser.add_argument("--questions", type=int, default=6000)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--storage", type=Path, help="default: a temporary directory")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pairmill-hard-negatives-") as place:
        storage = given.storage or Path(place) / "store"
        storage.mkdir(parents=True, exist_ok=True)
        found = {"copies": copies(given.data, given.model, given.questions // 3, storage)}
        print(json.dumps(found), flush=True)
        found["trained"] = trained(given.data, given.model, given.questions, given.steps, given.seeds, storage)
    print(json.dumps(found, indent=1))
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
