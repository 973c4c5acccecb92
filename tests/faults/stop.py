"""Stop a submitted job in every stage: it records `stopped`, resumes, and its result is that of an unbroken run.

    python tests/faults/stop.py [--kinds curate,train] [--json FILE]

A cluster of a head and two raylets is started, and jobs are stopped by `pairmill stop` when their log shows the stage.
"Seconds": from the stop to the job's end. Curate: Django's catalogues (40 kB shards). Train: a tiny model, two workers.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parents[2] / place) for place in ("platform", "tests")]

import services  # noqa: E402
import tiny_training  # noqa: E402
from catalogue_job import SPEC as CURATE  # noqa: E402
from corpus import catalogue_rows, write_jsonl  # noqa: E402
from pairmill.runs.record import Run  # noqa: E402
from reading import digest, only_run  # noqa: E402

STAGES = {
    "curate": ("run ", "annotate: ", "groups: ", "decide: ", "select: "),
    "train": ("run ", "prepare: tokenise", "prepare: shuffle", "train: step"),
}
SETS = {
    "curate": ["resources.shard_size=40KB"],
    "train": ["steps=300", "checkpoints.steps=5000", "resources.workers=2"],
}


def specs(folder: Path) -> dict[str, Path]:
    for number, language in enumerate(("de", "fr", "ja", "ar")):
        write_jsonl(folder / f"part-{number}.jsonl", catalogue_rows((language,)))
    found = {"curate": folder / "curate.yaml", "train": folder / "train.yaml"}
    found["curate"].write_text(CURATE.format(path=folder / "*.jsonl"))
    found["train"].write_text(tiny_training.SPEC.format(folder=tiny_training.write_inputs(folder)))
    return found


def result(kind: str, run: Run) -> Any:
    if kind == "curate":
        return digest(run)
    weights = tiny_training.weights(run)
    return tiny_training.losses(run), {name: tensor.tolist() for name, tensor in weights.items()}


class Jobs:
    """Submissions of a spec to the cluster; each storage is a run of its own."""

    def __init__(self, cluster: services.RayCluster, kind: str, spec: Path):
        self.kind = kind
        self._env = {**services.NO_TOKEN, "RAY_API_SERVER_ADDRESS": cluster.job_address}
        self._command = ["submit", str(spec), "--follow"]
        self._command += services.options_set(SETS[kind])

    def start(self, storage: Path, log: Path) -> services.Process:
        return services.start_pairmill(*self._command, "--storage", str(storage), log=log, env=self._env)

    def finish(self, storage: Path) -> services.Outcome:
        return services.run_pairmill(*self._command, "--storage", str(storage), env=self._env)

    def stop(self, job_id: str) -> services.Outcome:
        return services.run_pairmill("stop", job_id, env=self._env)


def wait_for(log: Path, ready: Callable[[str], Any], process: services.Process) -> bool:
    """Whether it was seen before the job ended."""
    while process.poll() is None:
        if ready(log.read_text(errors="replace")):
            return True
        time.sleep(0.05)
    return False


def stopped_in(jobs: Jobs, stage: str, folder: Path, expected: Any) -> dict[str, Any]:
    storage, log = folder / "runs", folder / "log"
    folder.mkdir(parents=True)
    client = jobs.start(storage, log)
    seen = wait_for(log, lambda text: re.search(rf"^{re.escape(stage)}", text, re.M), client)
    match = re.search(r"^pairmill-\S+$", log.read_text(), re.M)
    assert match is not None, log.read_text()
    started = time.monotonic()
    told = jobs.stop(match[0])
    seconds = time.monotonic() - started
    code = client.wait()
    state = (only_run(str(storage)).record() or {})["state"]
    again = jobs.finish(storage)
    checkpoint = re.search(r"checkpoint of step (\d+) written", log.read_text())
    return {
        "case": f"{jobs.kind} stopped at `{stage.strip()}`",
        "in time": seen and code == 130,
        "in order": "its run is stopped, too" in told.stdout,
        "state": state,
        "seconds": round(seconds, 1),
        "checkpoint": int(checkpoint[1]) if checkpoint else None,
        "resumed": again.code == 0,
        "same result": again.code == 0 and result(jobs.kind, only_run(str(storage))) == expected,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", default="curate,train")
    parser.add_argument("--json", help="write the results to this file")
    options = parser.parse_args()
    results = []
    with (
        tempfile.TemporaryDirectory(prefix="pairmill-stop-") as made,
        services.start_ray_cluster(workers=2, env={**services.NO_TOKEN, **services.INSTALLED}) as cluster,
    ):
        folder = Path(made)
        (folder / "inputs").mkdir()
        files = specs(folder / "inputs")
        for kind in options.kinds.split(","):
            jobs = Jobs(cluster, kind, files[kind])
            whole = jobs.finish(folder / kind / "whole")
            assert whole.code == 0, whole.output
            expected = result(kind, only_run(str(folder / kind / "whole")))
            for number, stage in enumerate(STAGES[kind]):
                results.append(stopped_in(jobs, stage, folder / kind / str(number), expected))
                print(json.dumps(results[-1]), flush=True)
    if options.json:
        Path(options.json).write_text(json.dumps(results, indent=1) + "\n")
    bad = [r for r in results if not r["same result"] or (r["in time"] and r["state"] != "stopped")]
    print(f"{len(results) - len(bad)} passed, {len(bad)} failed")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
