"""Distributed deduplication after SIGKILLs and on clusters of any shape: the kept rows of the single task's run.

    python tests/faults/kill_dedup.py [--only WORD] [--json FILE]

The driver is killed in every phase, with components by stars and by a single task; a worker in every phase; a whole
raylet of a cluster of three while it works on bands, links or the walk. Then CPUs, partitions and raylets vary. Cases
start from the single task's annotated shards. Of every case that is killed:

- "done before": units of deduplication that are committed before the command runs again;
- "done after": units that the command, run again, says it did itself; "done twice": those that were done before;
- "half done": units that have files and no manifest, the work that is repeated;
- "files left": exchange files that the finished run left behind, of committed units.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from kill import ROOT, finish, only_run, start
from outcomes import parser

from pairmill.runs.record import read_events
from reading import digest
from services import (
    INSTALLED,
    NO_TOKEN,
    RayCluster,
    clean_environment,
    end,
    options_set,
    pairmill_command,
    start_ray_cluster,
)

#: The first files of a phase, which show that it is under way. Components in a single task: all links are committed.
PHASES = {
    "bands": "bands-0-",
    "links": "links-0-",
    "components": "small-001-",
    "groups": "groups-",
    "candidates": "candidates-",
    "walk": "walk-",
    "decisions": "decisions-",
}
METHODS = ("stars", "single")
SHAPES = {f"{cpus} CPUs": [f"resources.cpus={cpus}"] for cpus in (1, 2, 4)} | {
    f"{count} partitions": [f"resources.partitions={count}"] for count in (1, 3, 17)
}
#: 50 MB per task make four ranges of the rows of gettext.yaml.
DISTRIBUTED = ["resources.dedup=distributed", "resources.partitions=5", "resources.memory_per_task=50MB"]
SUBMITTED = ["resources.shard_size=1MB", *DISTRIBUTED]
UNIT = re.compile(r"(?:/groups/\w+|/decide/distributed)/\w+/([a-z0-9-]+-\d{6})(.*)$")


def units(storage: Path) -> tuple[set[str], set[str], set[str]]:
    """(committed units of deduplication, units with files that no manifest names, exchange files of committed ones)."""
    committed, named, seen, kept = set[str](), set[str](), dict[str, str](), set[str]()
    for path in storage.rglob("*"):
        found = UNIT.search(str(path))
        if not found or path.is_dir():
            continue
        if found[2] == ".json":
            committed.add(found[1])
            manifest = json.loads(path.read_text())
            named.update(name for names in manifest.get("files", {}).values() for name in names)
            kept.update([manifest["file"]] if "file" in manifest else [])
        else:
            seen[str(path.relative_to(storage))] = found[1]
    half_done = {unit for file, unit in seen.items() if file not in named | kept}
    return committed, half_done, named & set(seen)


def worked_on(storage: Path) -> set[str]:
    """Units of deduplication that the last attempt says it did itself."""
    run = only_run(str(storage))
    last = (run.record() or {})["attempt"]
    mine = [e for e in read_events(run) if e["event"] == "unit committed" and e["attempt"] == last]
    return {e["unit"].rpartition("/")[2] for e in mine if e["stage"].startswith("dedup:")}


def busy(root: psutil.Process) -> psutil.Process | None:
    """A Ray worker below `root` that is at work on a unit."""
    for child in root.children(recursive=True):
        try:
            if any(part.startswith("ray::Map(") for part in child.cmdline()[:1]):
                return child
        except psutil.Error:
            continue
    return None


def under_way(storage: Path, phase: str, method: str = "stars") -> bool:
    if (phase, method) == ("components", "single"):
        return len(list(storage.glob("stages/groups/*/*/links-0-*.json"))) == 5
    places = ("stages/groups/*/*", "runs/*/g0/decide/distributed/*")
    return any(next(storage.glob(f"{place}/{PHASES[phase]}*"), None) for place in places)


def until(found: Callable[[], Any], what: str, seconds: float = 600, pause: float = 0.01) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if result := found():
            return result
        time.sleep(pause)
    raise SystemExit(f"never seen: {what}")


@dataclass
class Faults:
    """The cases, and what came of them."""

    spec: str
    folder: Path
    only: str
    results: list[dict[str, Any]] = field(default_factory=list)
    expected: str = ""

    def unbroken(self) -> None:
        finish(start(self.spec, self.folder / "unbroken", "resources.dedup=single"))
        self.expected = digest(only_run(str(self.folder / "unbroken")))

    def storage(self, case: str) -> Path:
        """A new storage that has the shards annotated."""
        path = self.folder / re.sub(r"\W+", "-", case)
        shutil.copytree(self.folder / "unbroken/stages/annotate", path / "stages/annotate")
        return path

    def case(self, name: str, run: Callable[[Path], dict[str, Any]]) -> None:
        if not re.search(self.only, name):
            return
        storage = self.storage(name)
        facts = run(storage)
        facts["files left"] = len(units(storage)[2])
        facts["same rows"] = digest(only_run(str(storage))) == self.expected
        self.results.append({"case": name, **facts})
        print(json.dumps(self.results[-1]), flush=True)
        shutil.rmtree(storage)

    def driver(self, storage: Path, phase: str, method: str) -> dict[str, Any]:
        """Kill the driver in the phase, and run its command again."""
        settings = [*DISTRIBUTED, f"resources.components={method}"]
        process = start(self.spec, storage, *settings)
        until(lambda: under_way(storage, phase, method), phase)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        time.sleep(2)  # Ray's processes end with their driver; until then a worker may still commit
        before, half_done, _ = units(storage)
        finish(start(self.spec, storage, *settings))
        worked = worked_on(storage)
        counts = {"done before": len(before), "done after": len(worked), "done twice": len(before & worked)}
        return {**counts, "half done": len(half_done)}

    def workers(self, storage: Path, method: str) -> dict[str, Any]:
        """Kill a worker in each phase of one run."""
        process = start(self.spec, storage, *DISTRIBUTED, f"resources.components={method}")
        family, killed = psutil.Process(process.pid), 0
        for phase in PHASES:
            until(lambda phase=phase: under_way(storage, phase, method), phase)
            worker = until(lambda: process.poll() is not None or busy(family), "a busy worker")
            if isinstance(worker, psutil.Process):
                worker.kill()
                killed += 1
        finish(process)
        return {"workers killed": killed, "done twice": twice(storage), "half done": len(units(storage)[1])}

    def node(self, storage: Path, phase: str, cluster: RayCluster) -> dict[str, Any]:
        """SIGKILL every process of a raylet that is at work on the phase; another raylet takes its place afterwards."""
        process = submit(self.spec, storage, cluster, *SUBMITTED)
        nodes = [(node, psutil.Process(node.pid)) for node in cluster.nodes[1:] if node.poll() is None]
        until(lambda: under_way(storage, phase), phase)
        end(until(lambda: [node for node, family in nodes if busy(family)], "a busy raylet")[0], by_force=True)
        finish(process)
        cluster.add_worker()
        return {"nodes killed": 1, "done twice": twice(storage), "half done": len(units(storage)[1])}


def twice(storage: Path) -> int:
    """Units that the events say were done more than once."""
    events = [e for e in read_events(only_run(str(storage))) if e["event"] == "unit committed"]
    done = [e["unit"] for e in events if e["stage"].startswith("dedup:")]
    return len(done) - len(set(done))


def submit(spec: str, storage: Path, cluster: RayCluster, *sets: str) -> subprocess.Popen[str]:
    """`ray job submit` of the job: its driver runs on the head, its tasks on the other raylets."""
    options = options_set(sets)
    pairmill = pairmill_command("run", str(ROOT / spec), "--storage", str(storage), *options)
    environment = json.dumps({"env_vars": INSTALLED})
    ray = [sys.executable, "-m", "ray.scripts.scripts", "job", "submit", "--address", cluster.job_address]
    return subprocess.Popen(
        [*ray, "--runtime-env-json", environment, "--", *pairmill],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=clean_environment(**NO_TOKEN),
        cwd=ROOT,
    )


def all_cases(faults: Faults, cluster: Callable[[], RayCluster]) -> Iterator[tuple[str, Callable[[Path], Any]]]:
    for method in METHODS:
        for phase in PHASES:
            yield (
                f"driver killed in {phase}, {method}",
                lambda at, phase=phase, method=method: faults.driver(at, phase, method),
            )
        yield f"a worker killed in every phase, {method}", lambda at, method=method: faults.workers(at, method)
    for name, settings in SHAPES.items():
        yield (
            name,
            lambda at, settings=settings: finish(start(faults.spec, at, *DISTRIBUTED, *settings)) or {},
        )
    yield "three raylets", lambda at: finish(submit(faults.spec, at, cluster(), *SUBMITTED)) or {}
    for phase in ("bands", "links", "walk"):
        yield f"a raylet killed in {phase}", lambda at, phase=phase: faults.node(at, phase, cluster())


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--spec", default="jobs/examples/gettext.yaml")
    options = arguments.parse_args()
    with ExitStack() as stack:
        started: list[RayCluster] = []

        def cluster() -> RayCluster:
            if not started:
                started.append(stack.enter_context(start_ray_cluster(workers=2)))
            return started[0]

        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="pairmill-faults-"))
        faults = Faults(options.spec, Path(folder), options.only)
        faults.unbroken()
        for name, run in all_cases(faults, cluster):
            faults.case(name, run)
    if options.json:
        Path(options.json).write_text(json.dumps(faults.results, indent=1) + "\n")
    bad = [r for r in faults.results if not r["same rows"] or r.get("done twice") or r["files left"]]
    print(f"{len(faults.results) - len(bad)} passed, {len(bad)} failed")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
