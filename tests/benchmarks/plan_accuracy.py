"""`pairmill plan` against what a job then took: CPU-seconds, kept rows, bytes exchanged.

    python tests/benchmarks/plan_accuracy.py DATA [--rows 8000000] [--sample 20000] [--no-quickstart] [--folder DIR]

Two jobs, both with `dedup: distributed`, so that there is an exchange: the quickstart's curate step (557,120 pairs of
catalogues) and `--rows` pairs of `pair_generator`. Each is planned first, by the package's own calibration, which was
measured on other texts (`plan_calibration.py`), and a sample of the inputs; then it runs. Targets: CPU-seconds within
30 %, kept rows within 3 points of the rows, exchanged bytes within 25 %.
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

import yaml
from pair_generator import write

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "platform"))

from pairmill.runs.browse import find, records  # noqa: E402
from pairmill.runs.record import read_events  # noqa: E402

GENERATED = """
kind: curate
name: generated
inputs:
  - {{name: pairs, format: parquet, path: {path}/*.parquet, form: bitext, language: trust,
     columns: {{anchor: src, positive: tgt, positive_lang: lang}}, langs: {{anchor: en}}}}
filters: {{preset: {preset}}}
output: {{rejected: refs}}
resources: {{memory_per_task: {memory}, dedup: distributed}}
"""
TARGETS = {"cpu": 0.30, "kept_points": 3.0, "exchanged": 0.25}


def quickstart(folder: Path) -> Path:
    spec = yaml.safe_load((ROOT / "jobs/quickstart.yaml").read_text("utf-8"))["steps"][0]["spec"]
    path = folder / "quickstart.yaml"
    path.write_text(yaml.safe_dump({"name": "quickstart-curate", **spec, "resources": {"dedup": "distributed"}}))
    return path


def command(*words: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "platform"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "pairmill", *words], env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    if done.returncode:
        raise SystemExit(f"pairmill {' '.join(words)}: exit {done.returncode}")
    return done.stdout


def planned(spec: Path, sample: int) -> dict[str, Any]:
    plan = json.loads(command("plan", str(spec), "--sample", str(sample), "--json"))
    figures = {one["name"]: one for one in plan["figures"]}
    stages = {one["name"]: one["cpu_seconds"] for one in plan["stages"]}
    names = {
        "cpu": "CPU",
        "rows": "rows in",
        "kept": "kept rows",
        "exchanged": "exchange",
        "spill": "exchange files at a time",
    }
    found = {key: figures[name] for key, name in names.items()}
    return {**found, "stages": stages}


def took(spec: Path, store: Path) -> dict[str, Any]:
    command("run", str(spec), "--storage", str(store))
    run = find(str(store), records(str(store))[-1]["id"])
    stages: dict[str, dict[str, Any]] = {}
    for event in read_events(run):
        if event["event"] == "stage done":
            stages[event["stage"]] = event
    total = run.summary()["ledger"]["total"]
    exchanged = sum(stages[name]["bytes"] for name in ("dedup: bands", "dedup: candidates"))
    cpu = {name: event["cpu_seconds"] for name, event in stages.items()}
    return {
        "cpu": sum(cpu.values()),
        "rows": total["rows_in"],
        "kept": total["kept"],
        "exchanged": exchanged,
        "stages": cpu,
    }


def compare(name: str, plan: dict[str, Any], actual: dict[str, Any]) -> dict[str, Any]:
    """Print and return the deviations, and whether they are within the targets."""
    rows = actual["rows"]
    found = {
        "cpu": plan["cpu"]["value"] / actual["cpu"] - 1,
        "kept_points": 100 * (plan["kept"]["value"] / plan["rows"]["value"] - actual["kept"] / rows),
        "exchanged": plan["exchanged"]["value"] / actual["exchanged"] - 1,
    }
    holds = {key: abs(value) <= TARGETS[key] for key, value in found.items()}
    inside = {key: plan[key]["low"] <= actual[key] <= plan[key]["high"] for key in ("cpu", "kept", "exchanged", "rows")}
    print(f"\n{name}: {rows:,} rows")
    for key in ("cpu", "rows", "kept", "exchanged"):
        one = plan[key]
        mark = "inside" if inside[key] else "OUTSIDE"
        print(f"  {key:10} planned {one['value']:16,.0f} ({one['low']:,.0f} to {one['high']:,.0f}) actual "
              f"{actual[key]:16,.0f}  {mark}")  # fmt: skip
    for stage in sorted({*plan["stages"], *actual["stages"]}):
        print(f"    {stage:24} {plan['stages'].get(stage, 0):10.1f} {actual['stages'].get(stage, 0):10.1f} CPU-s")
    for key, value in found.items():
        told = f"{value:+.1f} points" if key == "kept_points" else f"{100 * value:+.1f} %"
        print(f"  {key:12} {told:>14}  target {TARGETS[key]:g}  {'holds' if holds[key] else 'MISSED'}")
    return {"name": name, "deviations": found, "holds": holds, "inside": inside, "plan": plan, "actual": actual}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--rows", type=int, nargs="*", default=[8_000_000])
    parser.add_argument("--sample", type=int, default=400_000, help="rows of the generated pairs")
    parser.add_argument("--quickstart-sample", type=int, default=20_000, help="rows for each input")
    parser.add_argument("--memory", default="1GB", help="memory_per_task")
    parser.add_argument(
        "--preset", default="none", help="rules on the generated pairs; bitext rejects two thirds of them"
    )
    parser.add_argument("--no-quickstart", action="store_true")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory(prefix="pairmill-accuracy-", dir=given.folder) as place:
        folder = Path(place)
        if not given.no_quickstart:
            spec = quickstart(folder)
            plan = planned(spec, given.quickstart_sample)
            results.append(compare("quickstart, curate", plan, took(spec, folder / "store")))
        for rows in given.rows:
            corpus, spec = folder / f"corpus-{rows}", folder / f"generated-{rows}.yaml"
            write(given.data, corpus, rows)
            spec.write_text(GENERATED.format(path=corpus, memory=given.memory, preset=given.preset))
            plan = planned(spec, given.sample)
            results.append(
                compare(f"generated pairs, sample {given.sample:,}", plan, took(spec, folder / f"store-{rows}"))
            )
    if given.json:
        given.json.write_text(json.dumps(results, indent=1) + "\n")
    sys.exit(0 if all(all(one["holds"].values()) for one in results) else 1)


if __name__ == "__main__":
    main()
