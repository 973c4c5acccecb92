"""Near deduplication on Ray: Pairmill's distributed path and Data-Juicer's RayBTSMinhashDeduplicator, 2 CPUs each.

    python -m venv VENV && VENV/bin/pip install py-data-juicer "ray[data]==2.60.0" aiohttp scipy
    python tests/benchmarks/dedup_data_juicer.py --data-juicer VENV/bin/python [--pages 20000] [--pairs 100000]

The corpora are the pages of `near_dedup.py` (the data has some 10,000 originals; planted copies are 30 % of --pages)
and the pairs of `pair_generator.py`; the truth is that of `near_dedup.py`. Both engines read the same eight Parquet
files; a pair's text is its sides joined by a space.
  ours         `pairmill run` with `dedup: distributed`, no filters and no cleaning, in a fresh storage: the whole job,
               with its report and index
  data-juicer  the operator's `run` on a Ray dataset, without the executor around it: character 5-grams, lower case,
               threshold 0.8, bands by its own choice, and its default of 256 permutations (--permutations)

Each run is a process of its own with a Ray of its own. Wall time is from its start to its end. CPU time is that of its
whole process tree, Ray's processes and workers included: all descendants are looked at five times a second, so a
process that ends may lose a fifth of a second, alike for both. What the same takes for four rows (`start_up`) is
subtracted from both times for the rates; `_total` keeps it. Ours takes some 16 CPU-seconds for four rows, so that small
corpora or a busy machine leave nothing but noise: a difference that is not positive gives no rate. The engines take
turns; figures are of medians. Recall: share of the pairs with an exact Jaccard similarity of at least 0.8 of which not
both rows are kept. Precision: share of the removed rows to which a kept row is that similar, or equal.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from dedup_peers import quality
from near_dedup import THRESHOLD, pages, true_pairs
from pair_generator import tables

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "platform"), str(ROOT / "tests")]

from reading import only_run, table  # noqa: E402

CPUS, FILES, INTERVAL = 2, 8, 0.2
SPEC = """
kind: curate
name: rows
inputs:
  - {{name: rows, format: parquet, path: "{source}/*.parquet", language: trust, langs: {{anchor: en, positive: en}},
     columns: {{anchor: anchor, positive: positive, label: id}}}}
clean: {{entities: keep, tags: keep, mojibake: keep, unicode: keep, control: keep, whitespace: keep}}
filters: {{preset: none}}
dedup: {{exact: {{key: {key}}}, near: {{key: {key}, threshold: {threshold}}}}}
output: {{rejected: refs}}
resources: {{dedup: distributed, cpus: {cpus}}}
"""
DATA_JUICER = """
import sys
import ray
source, target, work, cpus, threshold, permutations = sys.argv[1:]
ray.init(address="local", num_cpus=int(cpus), include_dashboard=False, log_to_driver=False)
from data_juicer.ops.deduplicator.ray_bts_minhash_deduplicator import RayBTSMinhashDeduplicator
operator = RayBTSMinhashDeduplicator(tokenization="character", window_size=5, jaccard_threshold=float(threshold),
    num_permutations=int(permutations), work_dir=work)
operator.run(ray.data.read_parquet(source, columns=["id", "text"])).write_parquet(target)
ray.shutdown()
"""


class Job(NamedTuple):
    """What to start, and how the ids of the kept rows are read afterwards."""

    command: list[str]
    kept: Callable[[], pa.ChunkedArray]


class Times(NamedTuple):
    wall: float
    cpu: float


class Tree:
    """CPU-seconds of a process and all that descend from it, also after their parents have ended."""

    def __init__(self, process: int) -> None:
        root = psutil.Process(process)
        self._seconds = {(process, root.create_time()): 0.0}

    def look(self) -> None:
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error), process.oneshot():
                used = process.cpu_times()
                key = process.pid, process.create_time()
                found.append((key, process.ppid(), used.user + used.system))
        members = {key[0] for key, _, _ in found if key in self._seconds}
        while added := {key[0] for key, parent, _ in found if parent in members} - members:
            members |= added
        self._seconds.update({key: seconds for key, _, seconds in found if key[0] in members})

    def seconds(self) -> float:
        return sum(self._seconds.values())


def timed(command: list[str], log: Path) -> Times:
    quiet = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DATA_DISABLE_PROGRESS_BARS": "1", "LOGURU_LEVEL": "WARNING"}
    environment = {**os.environ, **quiet, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "platform")}
    environment.pop("RAY_ADDRESS", None)
    started = time.monotonic()
    with log.open("w") as output:
        process = subprocess.Popen(command, env=environment, cwd=log.parent, stdout=output, stderr=subprocess.STDOUT)
    tree = Tree(process.pid)
    while process.poll() is None:
        tree.look()
        with suppress(subprocess.TimeoutExpired):
            process.wait(INTERVAL)
    wall = time.monotonic() - started
    if process.returncode:
        raise SystemExit(f"{command[:3]}: exit {process.returncode}\n{log.read_text()[-4000:]}")
    return Times(wall, tree.seconds())


def ours(source: Path, work: Path, key: str) -> Job:
    spec, storage = work / "rows.yaml", work / "store"
    spec.write_text(SPEC.format(source=source, key=key, threshold=THRESHOLD, cpus=CPUS))
    command = [sys.executable, "-m", "pairmill", "run", str(spec), "--storage", str(storage)]
    return Job(command, lambda: table(only_run(str(storage)), "kept", ["label"])["label"])


def data_juicer(source: Path, work: Path, interpreter: str, permutations: int) -> Job:
    target = work / "kept"
    values = (source, target, work, CPUS, THRESHOLD, permutations)
    return Job([interpreter, "-c", DATA_JUICER, *map(str, values)], lambda: pq.read_table(target)["id"])


def run(make: Callable[[Path, Path], Job], source: Path, folder: Path) -> tuple[Times, np.ndarray]:
    """The times, and the ids of the kept rows."""
    with tempfile.TemporaryDirectory(dir=folder) as work:
        job = make(source, Path(work))
        times = timed(job.command, Path(work) / "log")
        return times, np.asarray(job.kept()).astype(np.int64)


def write(rows: pa.Table, folder: Path) -> Path:
    folder.mkdir(parents=True)
    rows = rows.append_column("id", pa.array(np.arange(len(rows))).cast(pa.string()))
    size = -(-len(rows) // FILES)
    for number, start in enumerate(range(0, len(rows), size)):
        pq.write_table(rows.slice(start, size), folder / f"{number}.parquet")
    return folder


def page_rows(data: Path, count: int) -> pa.Table:
    text = pages(data, count, np.random.default_rng(7))
    number = pa.array(np.arange(len(text))).cast(pa.large_string())
    return pa.table({"anchor": number, "positive": text, "text": text})


def pair_rows(data: Path, count: int) -> pa.Table:
    found = pa.concat_tables(tables(data, count)).combine_chunks()
    text = pc.binary_join_element_wise(found["src"], found["tgt"], pa.scalar(" ", pa.large_string()))
    return pa.table({"anchor": found["src"], "positive": found["tgt"], "text": text})


def measure(
    name: str, rows: pa.Table, makers: dict[str, Callable[[Path, Path], Job]], rounds: dict[str, int], folder: Path
) -> list[dict[str, Any]]:
    column = rows["text"].combine_chunks()
    source, few = write(rows, folder / name), write(rows.slice(0, 4), folder / f"{name}-few")
    start: dict[str, list[Times]] = {engine: [] for engine in makers}
    found: dict[str, list[tuple[Times, np.ndarray]]] = {engine: [] for engine in makers}
    for turn in range(max(rounds.values())):
        for engine, make in makers.items():
            if turn < rounds[engine]:
                start[engine].append(run(make, few, folder)[0])
                found[engine].append(run(make, source, folder))
    pairs, megabytes, results = true_pairs(column, THRESHOLD), pc.sum(pc.binary_length(column)).as_py() / 1e6, []
    base = {of: seconds(of, start["ours"], found["ours"]) for of in Times._fields}
    for engine, runs in found.items():
        result: dict[str, Any] = {"corpus": name, "engine": engine, "rows": len(rows), "megabytes": round(megabytes, 1)}
        for of in Times._fields:
            mine = seconds(of, start[engine], runs)
            result[f"{of}_seconds_total"] = [round(getattr(times, of), 2) for times, _ in runs]
            result |= {f"{of}_start_up": round(mine.start_up, 2), f"{of}_seconds": round(mine.net, 2)}
            result[f"megabytes_per_{of}_second"] = ratio(megabytes, mine.net)
            result[f"ours_is_faster_by_{of}"] = ratio(mine.net, base[of].net)
            result[f"ours_is_faster_by_{of}_total"] = ratio(mine.total, base[of].total)
        results.append(result | {"true_pairs": len(pairs)} | quality(runs[0][1], column, pairs))
        print(*(f"{key}: {value}" for key, value in results[-1].items()), sep="\n  ", end="\n\n", flush=True)
    return results


class Seconds(NamedTuple):
    total: float
    start_up: float

    @property
    def net(self) -> float:
        return self.total - self.start_up


def seconds(of: str, start: list[Times], runs: list[tuple[Times, np.ndarray]]) -> Seconds:
    """Medians of the wall or CPU time, for the corpus and for four rows."""
    total = statistics.median(getattr(times, of) for times, _ in runs)
    return Seconds(total, statistics.median(getattr(times, of) for times in start))


def ratio(one: float, other: float) -> float | None:
    return round(one / other, 2) if one > 0 and other > 0 else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = ROOT.parent / "shared" / "data"
    parser.add_argument("--data", type=Path, default=default, help="directory of the shared data")
    parser.add_argument("--data-juicer", required=True, help="an interpreter with py-data-juicer")
    parser.add_argument("--pages", type=int, default=20_000, help="0: leave the pages out")
    parser.add_argument("--pairs", type=int, default=100_000, help="0: leave the pairs out")
    parser.add_argument("--permutations", type=int, default=256, help="Data-Juicer's; ours has 128 slots")
    parser.add_argument("--rounds", type=int, default=3, help="of ours")
    parser.add_argument("--data-juicer-rounds", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the results to this file")
    given = parser.parse_args()
    if not given.data.is_dir():
        parser.error(f"--data: {given.data} is not a directory")
    results, rounds = [], {"ours": given.rounds, "data-juicer": given.data_juicer_rounds}
    with tempfile.TemporaryDirectory(prefix="pairmill-juicer-") as folder:
        for name, key, rows, count in (
            ("pages", "positive", page_rows, given.pages),
            ("pairs", "pair", pair_rows, given.pairs),
        ):
            makers: dict[str, Callable[[Path, Path], Job]] = {
                "ours": lambda source, work, key=key: ours(source, work, key),  # type: ignore[misc]
                "data-juicer": lambda source, work: data_juicer(source, work, given.data_juicer, given.permutations),
            }
            if count:
                results += measure(name, rows(given.data, count), makers, rounds, Path(folder))
    if given.json:
        given.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
