"""New rows against an earlier run: the union is what one run keeps, at a share of its CPU.

    python tests/benchmarks/incremental.py DATA [--rows 1000000] [--json FILE]

Pairs of `pair_generator` in ten files: nine are run first, then the tenth against that run; on a storage of its own one
run takes all ten. CPU-seconds are those of the runs' committed units.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from pair_generator import write

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "platform"), str(ROOT / "tests")]

from pairmill.runs.browse import find, records  # noqa: E402
from reading import table  # noqa: E402

SPEC = """
kind: curate
name: {name}
inputs:
  - {{name: pairs, format: parquet, path: {paths}, form: bitext, language: trust,
     columns: {{anchor: src, positive: tgt, positive_lang: lang}}, langs: {{anchor: en}}}}
filters: {{preset: none}}
output: {{rejected: refs}}
dedup: {{against: [{against}]}}
"""


def job(folder: Path, storage: Path, name: str, paths: list[Path], against: str = "") -> Any:
    spec = folder / f"{name}.yaml"
    spec.write_text(SPEC.format(name=name, paths=json.dumps(list(map(str, paths))), against=against))
    before = cpu(storage)
    command = [sys.executable, "-m", "pairmill", "run", str(spec), "--storage", str(storage)]
    subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT / "platform")}, cwd=ROOT, check=True)
    newest = records(str(storage))[-1]["id"]
    return find(str(storage), newest), cpu(storage) - before


def cpu(storage: Path) -> float:
    """CPU-seconds of all units committed so far."""
    found = (json.loads(path.read_text()) for path in storage.rglob("*.json"))
    return sum(unit["record"].get("cpu_seconds", 0) for unit in found if isinstance(unit, dict) and "record" in unit)


def kept(*runs: Any) -> set[tuple[str, int]]:
    found = set()
    for run in runs:
        rows = table(run, "kept", ["origin_file", "origin_row"])
        found |= set(zip(rows["origin_file"].to_pylist(), rows["origin_row"].to_pylist(), strict=True))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pairmill-incremental-") as place:
        folder = Path(place)
        write(given.data, folder / "corpus", given.rows, given.rows // 10)
        files = sorted((folder / "corpus").glob("*.parquet"))
        first, first_cpu = job(folder, folder / "store", "first", files[:9])
        new, new_cpu = job(folder, folder / "store", "new", files[9:], first.id)
        whole, whole_cpu = job(folder, folder / "whole", "whole", files)
        union, one = kept(first, new), kept(whole)
        result = {
            "rows": given.rows,
            "cpu_seconds": {"first": round(first_cpu, 1), "new": round(new_cpu, 1), "whole": round(whole_cpu, 1)},
            "share": round(new_cpu / whole_cpu, 3),
            "kept": {"union": len(union), "one run": len(one)},
            "only in the union": len(union - one),
            "only in the one run": len(one - union),
        }
    print(json.dumps(result))
    if given.json:
        given.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
