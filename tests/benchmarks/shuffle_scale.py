"""The exchange alone, on hash rows: hundreds of millions of them, through Ray, on a bounded disk.

    python tests/benchmarks/shuffle_scale.py --rows 320000000 [--disk 6GB] [--memory 1GB] [--cpus 2] [--json FILE]

Rows are what deduplication sends to its partitions: hash, id and sketch, 32 bytes, 16 for each of `rows / 16` ids, a
quarter of which have the hashes of an earlier id. They go by the units, files and reservations of the job: a unit of
*write* makes the rows of a range and writes its exchange file (`runs/exchange.py`), one of *read* takes its partition
of all files, in pieces that fit a quarter of its memory, sorts it and counts what shares a hash. With less disk than
the rows take there are several passes, each over some of the bands; the files of a pass are deleted behind it.

Every row is accounted for: the rows read, and the sum of their ids and hashes, must be those written.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "platform"))

from pairmill.curate.distributed import units as placed  # noqa: E402
from pairmill.runs import engine, exchange  # noqa: E402
from pairmill.runs.storage import open_storage  # noqa: E402
from pairmill.runs.units import Units, do_once  # noqa: E402
from pairmill.spec.base import parse_bytes  # noqa: E402

BANDS = 16
COPIES = 0.25
SCHEMA = pa.schema([("hash", pa.uint64()), ("id", pa.int64()), ("sketch", pa.binary(16))])
ROW = 32
_ODD = np.uint64(0x9E3779B97F4A7C15)


def mixed(x: np.ndarray) -> np.ndarray:
    """splitmix64."""
    x = x * _ODD
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    found: np.ndarray = x ^ (x >> np.uint64(31))
    return found


def hashes(ids: np.ndarray, band: int) -> np.ndarray:
    """The band's hashes (n,) uint64; a quarter of the ids have those of an earlier one."""
    chance = mixed(ids.astype(np.uint64) + np.uint64(1 << 50))
    copy = (chance >> np.uint64(11)) / float(1 << 53) < COPIES
    earlier = (mixed(chance) >> np.uint64(1)).astype(np.int64) % np.maximum(ids, 1)
    return mixed(np.where(copy, earlier, ids).astype(np.uint64) * np.uint64(BANDS) + np.uint64(band))


def write_range(item: dict[str, Any]) -> dict[str, Any]:
    """The rows of a range of ids, for the bands of this pass."""

    def work(units: Units) -> dict[str, Any]:
        ids = np.arange(item["start"], item["stop"])
        every = np.concatenate([hashes(ids, band) for band in item["bands"]])
        named = np.tile(ids, len(item["bands"]))
        sketch = np.column_stack([every, mixed(every)]).ravel()
        packed = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(every), [None, pa.py_buffer(sketch)])
        table = pa.table([pa.array(every), pa.array(named), packed], schema=SCHEMA)
        path = units.data_path(item["key"], kind="arrow")
        exchange.write(units.storage, path, table, exchange.by_prefix(every, item["partitions"]), item["partitions"])
        facts = {"path": path, "bytes": table.nbytes, **sums(every, named)}
        return {"files": {"rows": [path]}, "rows": len(every), "facts": facts}

    return do_once(item, "shuffle", work)


def read_partition(item: dict[str, Any]) -> dict[str, Any]:
    """What of a partition shares its hash with a row before it."""

    def work(units: Units) -> dict[str, Any]:
        rows = shared = 0
        total = {"ids": 0, "hashes": 0}
        for piece in placed.pieces(units.storage, item["files"], item["number"], item["piece"]):
            found, ids = np.asarray(piece["hash"]), np.asarray(piece["id"])
            shared += len(found) - len(np.unique(found))
            rows += len(found)
            for name, value in sums(found, ids).items():
                total[name] = (total[name] + value) % (1 << 64)
        return {"rows": rows, "facts": {"shared": shared, **total}}

    return do_once(item, "shuffle", work)


def sums(found: np.ndarray, ids: np.ndarray) -> dict[str, int]:
    return {"ids": int(ids.astype(np.uint64).sum()), "hashes": int(found.sum())}


def shuffle(rows: int, disk: int, memory: int, cpus: int, folder: str) -> dict[str, Any]:
    ids = rows // BANDS
    at_once = max(1, min(BANDS, disk // max(ids * ROW, 1)))
    piece = memory // (4 * ROW)
    ranges = max(1, math.ceil(ids * at_once / piece))
    partitions = max(1, math.ceil(4 * ids * at_once * ROW / memory))
    passes = [list(range(start, min(start + at_once, BANDS))) for start in range(0, BANDS, at_once)]
    bounds = [round(number * ids / ranges) for number in range(ranges + 1)]
    base = {"storage": folder, "attempt": "benchmark", "partitions": partitions, "piece": piece}
    reserve, storage = engine.Resources(1, memory), open_storage(folder)
    told: dict[str, Any] = {"rows": ids * BANDS, "ranges": ranges, "partitions": partitions, "passes": len(passes)}
    sent: dict[str, float] = {"write": 0.0, "read": 0.0, "bytes": 0, "shared": 0}
    wall = {"write": 0.0, "read": 0.0}
    for number, bands in enumerate(passes):
        start = time.monotonic()
        items = [
            {**base, "key": f"write-{number}-{n:06d}", "start": bounds[n], "stop": bounds[n + 1], "bands": bands}
            for n in range(ranges)
        ]
        written = sorted(engine.run_units(write_range, items, reserve), key=lambda done: str(done["key"]))
        wall["write"] += time.monotonic() - start
        start = time.monotonic()
        files = [done["path"] for done in written]
        items = [{**base, "key": f"read-{number}-{n:06d}", "number": n, "files": files} for n in range(partitions)]
        read = list(engine.run_units(read_partition, items, reserve))
        wall["read"] += time.monotonic() - start
        check(written, read)
        for name, done in (("write", written), ("read", read)):
            sent[name] += sum(one["cpu_seconds"] for one in done)
        sent["bytes"] += sum(one["bytes"] for one in written)
        sent["shared"] += sum(one["shared"] for one in read)
        for path in files:
            storage.delete(path)
    return {
        **told,
        "bytes": int(sent["bytes"]),
        "disk_at_a_time": ids * at_once * ROW,
        "shared": int(sent["shared"]),
        "cpu_us_a_row": {name: round(1e6 * sent[name] / rows, 3) for name in ("write", "read")},
        "wall_seconds": {name: round(value, 1) for name, value in wall.items()},
        "mb_per_second": round(2 * sent["bytes"] / 1e6 / (wall["write"] + wall["read"]), 1),
        "driver_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "cpus": cpus,
    }


def check(written: list[dict[str, Any]], read: list[dict[str, Any]]) -> None:
    for name in ("rows", "ids", "hashes"):
        there, here = (sum(one[name] for one in some) % (1 << 64) for some in (written, read))
        if there != here:
            raise SystemExit(f"{name}: {there} were written and {here} read")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=320_000_000)
    parser.add_argument("--disk", type=parse_bytes, default="6GB")
    parser.add_argument("--memory", type=parse_bytes, default="1GB", help="of a task; decides ranges and partitions")
    parser.add_argument("--cpus", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where the exchange files go; default: the temporary directory")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    facts = engine.start("local", given.cpus)
    try:
        with tempfile.TemporaryDirectory(prefix="pairmill-shuffle-", dir=given.folder) as folder:
            told = shuffle(given.rows, given.disk, given.memory, given.cpus, folder)
    finally:
        engine.stop(facts)
    print(json.dumps(told))
    if given.json:
        given.json.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
