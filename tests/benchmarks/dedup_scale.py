"""Deduplication at scale: CPU per pair, driver memory and disk as rows grow, single task against distributed.

    python tests/benchmarks/dedup_scale.py DATA [--rows 1000000 4000000] [--paths single distributed] [--json FILE]

For each number of rows: pairs of `pair_generator`, one job for each path on one storage, so that both share annotate.
Every job is a process of its own, as a user starts it. CPU is what the units' records say, by stage; the driver's
memory is the most it has to itself; disk is the largest size of the exchange's files, both looked at twice a second.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
from pair_generator import write

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "platform"), str(ROOT / "tests")]

from pairmill.runs.record import read_events  # noqa: E402
from reading import table  # noqa: E402

SPEC = """
kind: curate
name: {name}
inputs:
  - {{name: pairs, format: parquet, path: {path}/*.parquet, form: bitext, language: trust,
     columns: {{anchor: src, positive: tgt, positive_lang: lang}}, langs: {{anchor: en}}}}
filters: {{preset: none}}
output: {{rejected: refs}}
resources: {{memory_per_task: {memory}, dedup: {path_name}, components: {components}}}
"""


class Watch(threading.Thread):
    """The largest size of a directory's exchange files, and the most memory a process has to itself."""

    def __init__(self, folder: Path, process: int) -> None:
        super().__init__(daemon=True)
        self._folder, self._process, self.over = folder, psutil.Process(process), threading.Event()
        self.disk = self.memory = 0

    def run(self) -> None:
        while not self.over.wait(0.5):
            size = 0
            for path in self._folder.rglob("*-*.arrow"):
                try:
                    size += path.stat().st_size
                except FileNotFoundError:
                    continue
            self.disk = max(self.disk, size)
            with suppress(psutil.Error):
                used = self._process.memory_info()
                self.memory = max(self.memory, used.rss - used.shared)


def job(folder: Path, corpus: Path, path_name: str, components: str, memory: str) -> dict[str, Any]:
    name, storage = f"{path_name}-{components}", folder / "store"
    spec = folder / f"{name}.yaml"
    spec.write_text(SPEC.format(name=name, path=corpus, path_name=path_name, components=components, memory=memory))
    command = [sys.executable, "-m", "pairmill", "run", str(spec), "--storage", str(storage)]
    started = time.monotonic()
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT / "platform")}, cwd=ROOT)
    watch = Watch(storage / "stages" / "groups", process.pid)
    watch.start()
    status = process.wait()
    wall = time.monotonic() - started
    watch.over.set()
    if status:
        raise SystemExit(f"{command}: exit {status}")
    run = next(r for r in _runs(storage) if r.id.startswith(name))
    events = read_events(run)
    layout = next((event for event in events if event["event"] == "dedup layout"), {})
    return {
        "path": name,
        "wall_seconds": round(wall, 1),
        "cpu_seconds": {stage: round(seconds, 1) for stage, seconds in cpu(storage, run.id, path_name).items()},
        "driver_mb": watch.memory // 1_000_000,
        "task_mb": peak(storage, path_name) // 1_000_000,
        "spill_predicted_mb": layout.get("spill", 0) // 1_000_000,
        "disk_peak_mb": watch.disk // 1_000_000,
        "partitions": layout.get("partitions"),
        "bytes_per_pair": volumes(storage, run.id, int(run.summary()["ledger"]["total"]["rows_in"])),
        "kept": run.record()["kept"],
        "rows": digest(run),
    }


def _runs(storage: Path) -> list[Any]:
    from pairmill.runs.browse import find, records

    return [find(str(storage), record["id"]) for record in records(str(storage))]


def volumes(storage: Path, run_id: str, rows: int) -> dict[str, int]:
    """Bytes per pair of what stays on disk: annotated shards, groups, and the run's parts."""
    places = {"annotate": storage / "stages/annotate", "groups": storage / "stages/groups"}
    places |= {part: storage / "runs" / run_id / part for part in ("kept", "rejected", "dedup_index")}
    sizes = {name: sum(path.stat().st_size for path in place.rglob("*.parquet")) for name, place in places.items()}
    return {name: round(size / rows) for name, size in sizes.items()}


def digest(run: Any) -> str:
    """Of the kept rows' ids, and of what removes each rejected one."""
    hashed = hashlib.sha256()
    for part, columns in (("kept", ["pair_id"]), ("rejected", ["pair_id", "reason", "duplicate_of"])):
        found = table(run, part, columns)
        for column in found.sort_by("pair_id").columns if len(found) else []:
            hashed.update(repr(column.to_pylist()).encode())
    return hashed.hexdigest()[:16]


def cpu(storage: Path, run_id: str, path_name: str) -> Counter[str]:
    """CPU-seconds of committed units by stage: the shared ones, and those of this run's path."""
    seconds: Counter[str] = Counter()
    for path in (*storage.rglob("stages/**/*.json"), *storage.rglob(f"runs/{run_id}/g*/**/*.json")):
        record = json.loads(path.read_text()).get("record", {})
        relative = path.relative_to(storage)
        stage = relative.parts[1] if relative.parts[0] == "stages" else relative.parts[3]
        distributed = "groups" in relative.parts and len(relative.parts) > 3
        if stage == "groups" and distributed != (path_name == "distributed"):
            continue
        if stage in ("groups", "decide") and "-" in path.stem:
            stage = f"{stage}: {path.stem.split('-')[0]}"
        seconds[stage] += record.get("cpu_seconds", 0)
    return seconds


def peak(storage: Path, path_name: str) -> int:
    """The most memory that a task of deduplication took."""
    most = 0
    for path in (*storage.glob("stages/groups/**/*.json"), *storage.glob("runs/*/g*/decide/**/*.json")):
        if ("-" in path.stem) == (path_name == "distributed"):
            most = max(most, json.loads(path.read_text()).get("record", {}).get("peak_rss", 0))
    return most


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 4_000_000])
    parser.add_argument("--paths", nargs="+", default=["single", "distributed"])
    parser.add_argument("--components", default="auto")
    parser.add_argument("--memory", default="1GB", help="memory_per_task; decides the number of partitions")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    results = []
    for rows in given.rows:
        with tempfile.TemporaryDirectory(prefix="pairmill-scale-") as place:
            folder = Path(place)
            size = write(given.data, folder / "corpus", rows)
            for path_name in given.paths:
                found = job(folder, folder / "corpus", path_name, given.components, given.memory)
                dedup = sum(s for stage, s in found["cpu_seconds"].items() if stage.startswith(("groups", "decide")))
                found.update(pairs=rows, text_mb=size // 1_000_000, dedup_us_per_pair=round(1e6 * dedup / rows, 2))
                results.append(found)
                print(json.dumps(found), flush=True)
    if given.json:
        given.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
