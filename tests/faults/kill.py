"""Kill the driver (SIGKILL) in every stage, kill workers, and vary CPUs: the kept rows must equal an unbroken run's.

    python tests/faults/kill.py [--spec SPEC] [--stages annotate,groups,decide,select] [--json FILE]

Every case starts from an empty storage. A unit that an attempt committed must never be committed again: the stage
records prove it: what the resuming attempt's events say it did is disjoint from what storage held before it.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "platform"), str(ROOT / "tests")]

from pairmill.runs.record import read_events  # noqa: E402
from reading import digest, only_run  # noqa: E402

STAGES = ("annotate", "groups", "decide", "select")


def command(spec: str, storage: Path, *sets: str) -> list[str]:
    options = [part for item in ("resources.shard_size=1MB", *sets) for part in ("--set", item)]
    return [sys.executable, "-m", "pairmill", "run", spec, "--storage", str(storage), *options]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT / "platform")}


def start(spec: str, storage: Path, *sets: str) -> subprocess.Popen[str]:
    return launch(command(spec, storage, *sets))


def launch(command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
        cwd=ROOT,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str]) -> None:
    _, errors = process.communicate(timeout=900)
    if process.returncode != 0:
        raise SystemExit(f"the run failed ({process.returncode}):\n{errors}")


def wait_for(process: subprocess.Popen[str], line_start: str) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith(line_start):
            return
    raise SystemExit(f"the run ended before {line_start!r}")


def units(storage: Path, stage: str = "") -> dict[str, str]:
    """Every committed unit's manifest (of one stage) and the attempt that made it."""
    names = [str(path) for path in storage.rglob("*.json")]
    paths = [Path(n) for n in names if ("/stages/" in n or "/g0/" in n) and (not stage or f"/{stage}/" in n)]
    found = {str(path.relative_to(storage)): json.loads(path.read_text()) for path in paths}
    return {path: manifest["record"]["attempt"] for path, manifest in found.items() if "record" in manifest}


def done_units(storage: Path) -> set[tuple[str, str]]:
    """(stage, unit) of everything committed so far, units named as in storage."""
    found = set()
    for path in map(Path, units(storage)):
        if path.name != "started.json" and not path.name.startswith("chunk-"):
            found.add((path.parent.parent.name if path.name == "done.json" else path.parent.name, unit_name(path)))
    return found


def unit_name(path: Path) -> str:
    return path.parent.name if path.name == "done.json" else path.stem


def worked_on(storage: Path) -> set[tuple[str, str]]:
    """(stage, unit) that the last attempt says it did itself, by the run's events."""
    run = only_run(str(storage))
    last = (run.record() or {})["attempt"]
    keys = (run.manifest() or {})["keys"]
    found = set()
    for event in read_events(run):
        if event["event"] == "unit committed" and event["attempt"] == last:
            unit = str(event["unit"])
            names = {"annotate": keys.get(unit), "select": unit.zfill(6)}
            found.add((event["stage"], names.get(event["stage"]) or unit))
    return found


def kill_driver(spec: str, storage: Path, stage: str, delay: float) -> dict[str, Any]:
    process = start(spec, storage)
    wait_for(process, f"{stage}:")
    deadline = time.monotonic() + 60
    while stage in ("annotate", "select") and not units(storage, stage) and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(delay)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    time.sleep(2)  # Ray's processes end with their driver; until then a worker may still commit
    before = done_units(storage)
    finish(start(spec, storage))
    worked = worked_on(storage)
    return {
        "units before the kill": len(before),
        "units done after it": len(worked),
        "done twice": len(before & worked),
    }


def kill_workers(spec: str, storage: Path) -> dict[str, Any]:
    """SIGKILL a busy Ray worker of this driver, three times during annotate."""
    process = start(spec, storage)
    wait_for(process, "annotate:")
    killed = 0
    deadline = time.monotonic() + 60
    while killed < 3 and time.monotonic() < deadline and process.poll() is None:
        for child in psutil.Process(process.pid).children(recursive=True):
            try:
                if child.name().startswith("ray::") and "Map" in child.name() and "IDLE" not in child.name():
                    child.kill()
                    killed += 1
                    break
            except psutil.NoSuchProcess:
                continue
        time.sleep(1.5)
    finish(process)
    return {"workers killed": killed}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spec", default="jobs/examples/gettext.yaml")
    parser.add_argument("--stages", default=",".join(STAGES))
    parser.add_argument(
        "--delay",
        type=float,
        default=0.1,
        help="seconds from a stage's start (annotate, select: first unit) to the kill",
    )
    parser.add_argument("--json", help="write the results to this file")
    options = parser.parse_args()
    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="pairmill-faults-") as folder:
        place = Path(folder)
        finish(start(options.spec, place / "unbroken"))
        expected = digest(only_run(str(place / "unbroken")))

        def case(name: str, storage: Path, facts: dict[str, Any]) -> None:
            same = digest(only_run(str(storage))) == expected
            results.append({"case": name, "same rows": same, **facts})
            print(json.dumps(results[-1]), flush=True)

        for stage in options.stages.split(","):
            storage = place / f"killed-{stage}"
            case(f"driver killed in {stage}", storage, kill_driver(options.spec, storage, stage, options.delay))
        storage = place / "workers"
        case("workers killed in annotate", storage, kill_workers(options.spec, storage))
        for cpus in (1, 2, 4):
            storage = place / f"cpus-{cpus}"
            finish(start(options.spec, storage, f"resources.cpus={cpus}"))
            case(f"{cpus} CPUs", storage, {})
        storage = place / "shards"
        finish(start(options.spec, storage, "resources.shard_size=300KB"))
        case("shards of 300 KB", storage, {})
        storage = place / "twice"
        pair = [start(options.spec, storage) for _ in range(2)]
        [finish(process) for process in pair]
        case("two identical commands at once", storage, {"attempts that committed": len(set(units(storage).values()))})
    if options.json:
        Path(options.json).write_text(json.dumps(results, indent=1) + "\n")
    bad = [r for r in results if not r["same rows"] or r.get("done twice")]
    print(f"{len(results) - len(bad)} passed, {len(bad)} failed")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
