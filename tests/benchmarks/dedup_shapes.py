"""Deduplication of hard shapes, as whole jobs, in one task and in many: do the right rows stay, and at what cost?

    python tests/benchmarks/dedup_shapes.py [--rows 1000000] [--json FILE]

  chain     10,000 texts of 60 words, each the one before it with the first word gone and one new: A ~ B ~ C ~ ...
  copies    one boilerplate text, a million times
  star      the same text with a number of its own each: a million near copies
  crowd     `page 1483920`: a million short texts that share many bands; only numbers of a digit or two are 0.8 alike
  prefixes  `page 100`, `page 1001`: the same without a fixed length, so that a number is 0.8 like its longer ones

Right is: both paths keep the same rows; of the chain no fewer than the plain loop over shingle sets, and 2 % more at
most (in a group of this size only kept rows that share a band are compared, which finds 95 % of what is just at the
threshold); one of the copies and of the star; 999 of 1,000 of the crowd; removed rows of chain, crowd and
prefixes (2,000 drawn at random) resemble the kept row that removes them. CPU is that of the units of deduplication.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from dedup_scale import ROOT, cpu, digest
from near_dedup import THRESHOLD, grams

from pairmill.runs.browse import find, records
from reading import table

BOILERPLATE = (
    "By using this site you agree to the terms of use and to the storage of cookies on your device. "
    "Read our privacy policy to learn how we use your data, and how you can withdraw your consent at any time."
)
SPEC = """
kind: curate
name: {name}
inputs: [{{name: shape, format: parquet, path: {path}, columns: {{anchor: text, positive: other}}, language: trust}}]
filters: {{preset: none}}
dedup: {{near: {{key: anchor}}, exact: {{key: anchor}}}}
resources: {{memory_per_task: {memory}, dedup: {name}, shard_size: 4MB}}
"""


def chain(rows: int) -> list[str]:
    rng = random.Random(5)
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(3, 9))) for _ in range(rows + 60)]
    return [" ".join(words[i : i + 60]) for i in range(rows)]


SHAPES: dict[str, Callable[[int], list[str]]] = {
    "chain": lambda rows: chain(min(rows, 10_000)),
    "copies": lambda rows: [BOILERPLATE] * rows,
    "star": lambda rows: [f"{BOILERPLATE} {number:07d}" for number in range(rows)],
    "crowd": lambda rows: [f"page {10**6 + number}" for number in range(rows)],
    "prefixes": lambda rows: [f"page {number}" for number in range(rows)],
}


def job(folder: Path, source: Path, path: str, memory: str) -> tuple[Any, dict[str, Any]]:
    spec, storage = folder / f"{path}.yaml", folder / "store"
    spec.write_text(SPEC.format(name=path, path=source, memory=memory))
    command = [sys.executable, "-m", "pairmill", "run", str(spec), "--storage", str(storage)]
    subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT / "platform")}, cwd=ROOT, check=True)
    run = next(find(str(storage), r["id"]) for r in records(str(storage)) if r["id"].startswith(path))
    seconds = sum(s for stage, s in cpu(storage, run.id, path).items() if stage.startswith(("groups", "decide")))
    return run, {"kept": (run.record() or {})["kept"], "cpu_seconds": round(seconds, 1), "rows": digest(run)}


def plain_chain(texts: list[str]) -> int:
    """How many rows the plain loop keeps: only the last 60 rows share a word with a row."""
    sets, kept = [grams(text) for text in texts], list[int]()
    for row, one in enumerate(sets):
        near = (sets[other] for other in kept if other > row - 60)
        if not any(len(one & other) >= THRESHOLD * len(one | other) for other in near):
            kept.append(row)
    return len(kept)


def unjustified(run: Any) -> int:
    """Of 2,000 removed rows, those that the kept row which removes them does not resemble."""
    kept = dict(zip(*(table(run, "kept")[name].to_pylist() for name in ("pair_id", "anchor")), strict=True))
    removed = table(run, "rejected", ["anchor", "duplicate_of"]).to_pylist()
    wrong: Counter[bool] = Counter()
    for row in random.Random(7).sample(removed, min(2_000, len(removed))):
        one, other = grams(row["anchor"]), grams(kept[row["duplicate_of"]])
        wrong[len(one & other) < THRESHOLD * len(one | other)] += 1
    return wrong[True]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--memory", default="200MB", help="memory_per_task; decides the number of partitions")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    results, failed = [], []
    for shape, make in SHAPES.items():
        texts = make(given.rows)
        with tempfile.TemporaryDirectory(prefix="pairmill-shapes-") as place:
            source = Path(place) / "rows.parquet"
            column = pa.array(texts, pa.large_string())
            pq.write_table(pa.table({"text": column, "other": column}), source)
            found = {path: job(Path(place), source, path, given.memory) for path in ("single", "distributed")}
            (run, single), (_, many) = found.values()
            result = {
                "shape": shape,
                "rows": len(texts),
                "kept": single["kept"],
                "same": single["rows"] == many["rows"],
            }
            result |= {f"cpu_seconds, {path}": facts["cpu_seconds"] for path, (_, facts) in found.items()}
            if shape in ("chain", "crowd", "prefixes"):
                result["unjustified of 2,000"] = unjustified(run)
            if shape == "chain":
                result["kept by the plain loop"] = plain_chain(texts)
        least = {"copies": 1, "star": 1, "crowd": 0.999 * len(texts), "prefixes": result["kept"]}.get(shape, 0)
        least = result.get("kept by the plain loop", least)
        if not result["same"] or not least <= result["kept"] <= 1.02 * least or result.get("unjustified of 2,000"):
            failed.append(shape)
        results.append(result)
        print(json.dumps(result), flush=True)
    if given.json:
        given.json.write_text(json.dumps(results, indent=1) + "\n")
    sys.exit(f"wrong: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
