"""The explorer over five million kept rows: seconds per view, memory of the server, ten readers at a time.

    pairmill run BITEXT.yaml --storage FROM
    python tests/benchmarks/explore.py FROM RUN TO [--rows 5000000] [--json FILE]

The rows are those of a finished curate run, again and again under new shard numbers, written with the row groups and by
the writer that select uses; a storage TO that holds them already is used as it is. The server is a process of its own,
asked over HTTP. Before each first question the server is new, so that only the operating system's cache is warm.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "platform"), str(ROOT / "tests")]

from pairmill.curate.shardfiles import SHARD_BITS  # noqa: E402
from pairmill.runs.browse import find  # noqa: E402
from pairmill.runs.record import Run  # noqa: E402
from pairmill.runs.storage import Storage, open_storage  # noqa: E402

ID = "five-million-0123456789ab"
COUNT = re.compile(r'role="status">(.*?)</p>', re.DOTALL)
VIEWS = {
    "runs": "",
    "kept, first page": f"runs/{ID}/rows?part=kept",
    "kept, by source and pair": f"runs/{ID}/rows?part=kept&source={{source}}&language=de-en",
    "kept, by a score range": f"runs/{ID}/rows?part=kept&score=length_ratio&min=1.2&max=1.4",
    "kept, all filters": f"runs/{ID}/rows?part=kept&language=de&score=letters_anchor&min=0.7&max=0.9&file=parquet",
    "rejected, by reason": f"runs/{ID}/rows?part=rejected&reason=near_duplicate",
    "text, in many rows": f"runs/{ID}/rows?part=kept&q=und",
    "text, in few rows": f"runs/{ID}/rows?part=kept&q=Schokolade",
    "text, in no row": f"runs/{ID}/rows?part=kept&q=qqqxyzzyqqq",
    "text, match case": f"runs/{ID}/rows?part=kept&q=Schokolade&case=1",
    "threshold": f"runs/{ID}/threshold?rule=length_ratio+max&value=1.5",
}


def make(source: Run, to: Storage, rows: int) -> None:
    """Write a finished run of `rows` kept rows, and as many rejected ones for each as the source has."""
    manifest, summary = source.manifest(), source.summary()
    assert manifest is not None, "the run is finished"
    kept = sum(entry["rows"] for entry in manifest["files"]["kept"])
    times, target = -(-rows // kept), Run(to, ID)
    files: dict[str, list[dict[str, Any]]] = {"kept": [], "rejected": []}
    for part, entries in files.items():
        for number in range(times * len(manifest["files"][part])):
            entry = manifest["files"][part][number % len(manifest["files"][part])]
            path = target.path(f"{part}/{number:06d}.parquet")
            copy(source.storage, entry["path"], to, path, number)
            entries.append({"path": path, "rows": entry["rows"], "shard": number})
            print(f"{part} {number}", file=sys.stderr)
    multiply(summary["ledger"], times)
    for row in summary["languages"]:
        multiply(row, times)
    summary["run"]["id"] = ID
    places = target.publish({"files": files}, summary)
    target.write_record({**(source.record() or {}), "id": ID, "kept": times * kept, **places})


def copy(source: Storage, path: str, to: Storage, target: str, shard: int) -> None:
    """A file with the ids of another shard, row group by row group."""
    with source.open_parquet(path) as file, to.parquet_writer(target, file.schema_arrow) as writer:
        for group in range(file.num_row_groups):
            table = file.read_row_group(group)
            ids = np.asarray(table["pair_id"]) & ((1 << SHARD_BITS) - 1) | (shard << SHARD_BITS)
            writer.write_table(table.set_column(0, table.schema.field(0), pa.array(ids)))


def multiply(counts: Any, times: int) -> None:
    """All numbers in nested dicts, in place."""
    for name, value in counts.items():
        if isinstance(value, dict):
            multiply(value, times)
        elif isinstance(value, int):
            counts[name] = value * times


@contextmanager
def served(storage: str) -> Iterator[tuple[str, psutil.Process]]:
    """A new server: its address and its process."""
    command = [sys.executable, "-m", "pairmill", "explore", storage, "--port", "0"]
    process = subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": str(ROOT / "platform")}, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        found = re.search(r"http://[^ ]*", process.stderr.readline())
        assert found, "the server says where it is"
        yield found[0], psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(10)


def ask(address: str) -> tuple[float, str]:
    """Seconds until all of a page is there, and what it says of its rows."""
    began = time.monotonic()
    with urllib.request.urlopen(address, timeout=120) as answer:
        page = answer.read().decode()
    told = COUNT.search(page)
    return time.monotonic() - began, re.sub("<[^>]*>", "", told[1]) if told else ""


def measure(storage: Storage) -> dict[str, Any]:
    found: dict[str, Any] = {"views": {}}
    source = next(iter(find(storage.uri, ID).summary()["ledger"]["by_input"]))
    views = {name: path.format(source=source) for name, path in VIEWS.items()}
    peak = 0
    for name, path in views.items():
        with served(storage.uri) as (address, process):
            first, told = ask(address + path)
            again, _ = ask(address + path)
            peak = max(peak, process.memory_info().rss)
            found["views"][name] = {"first": round(first, 2), "again": round(again, 2), "told": told}
            print(f"{name:26} {first:6.2f} s  again {again:6.2f} s  {told}")
    found["peak_rss_single"] = peak
    with served(storage.uri) as (address, process):
        found["readers"] = readers(address, process, list(views.values()))
        found["download"] = downloads(address, process)
    print(json.dumps({name: found[name] for name in ("peak_rss_single", "readers", "download")}, indent=1))
    return found


def readers(address: str, process: psutil.Process, views: list[str]) -> dict[str, Any]:
    """Ten readers at a time, each asking for every view, each from another one on."""
    peaks = [0]
    orders = [views[start:] + views[:start] for start in range(10)]
    began = time.monotonic()
    with ThreadPoolExecutor(10) as pool:
        work = [pool.submit(lambda order: [ask(address + path)[0] for path in order], order) for order in orders]
        while not all(each.done() for each in work):
            peaks.append(process.memory_info().rss)
            time.sleep(0.05)
    seconds = sorted(second for each in work for second in each.result())
    return {
        "wall": round(time.monotonic() - began, 1),
        "answers": len(seconds),
        "median": round(seconds[len(seconds) // 2], 2),
        "longest": round(seconds[-1], 2),
        "peak_rss": max(peaks),
    }


def downloads(address: str, process: psutil.Process) -> dict[str, Any]:
    """All kept rows in each form: MB/s, rows a second and the server's memory."""
    told = {}
    rows = int(re.sub(r"\D", "", ask(f"{address}{VIEWS['kept, first page']}")[1]))
    for form in ("csv", "jsonl", "parquet"):
        began, size, peak = time.monotonic(), 0, 0
        with urllib.request.urlopen(f"{address}runs/{ID}/download.{form}?part=kept", timeout=600) as answer:
            while part := answer.read(1 << 20):
                size += len(part)
                peak = max(peak, process.memory_info().rss)
        took = time.monotonic() - began
        told[form] = {"seconds": round(took, 1), "rows/s": round(rows / took), "MB": size >> 20, "peak_rss": peak}
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("storage")
    parser.add_argument("run")
    parser.add_argument("to")
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--json")
    given = parser.parse_args()
    to = open_storage(given.to)
    if to.get_json(Run(to, ID).path("run.json")) is None:
        make(find(given.storage, given.run), to, given.rows)
    found = measure(to)
    if given.json:
        Path(given.json).write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
