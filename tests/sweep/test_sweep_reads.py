"""What a sweep's trials read: every file that stands in the spec of one, and of its variants."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

pytest.importorskip("optuna", reason="needs the extra pairmill[sweep]")

from corpus import catalogue_rows, write_jsonl
from pairmill.spec.load import load, loads
from pairmill.sweep import reads
from services import ROOT

SWEEPS = [
    path
    for path in sorted(ROOT.glob("jobs/recipes/*/*.yaml"))
    if yaml.safe_load(path.read_text("utf-8"))["kind"] == "sweep"
]
#: A tokenizer's inputs are other runs; the evaluation sets of `decontaminate` are files.
TRIAL = """
kind: pipeline
name: trial
steps:
  - name: curate
    spec:
      kind: curate
      inputs: [{{name: rows, format: jsonl, path: {rows}}}]
      decontaminate: {{against: [{rows}]}}
  - {{name: tokenizer, spec: {{kind: tokenizer, inputs: [{{run: "${{steps.curate}}"}}], vocabulary: 500}}}}
"""


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_the_sweeps_of_the_recipes_find_their_files(
    path: Path, shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAIRMILL_DATA", str(shared_data))
    assert reads.of(load(str(path)))


def test_files_of_every_step_and_variant_are_read_and_runs_are_not(tmp_path: Path) -> None:
    rows = {name: write_jsonl(tmp_path / f"{name}.jsonl", catalogue_rows(("de",))[:5]) for name in ("one", "other")}
    path = "steps.curate.spec.decontaminate.against.0"
    sweep = {
        "kind": "sweep",
        "name": "reads",
        "trial": yaml.safe_load(TRIAL.format(rows=rows["one"])),
        "variants": {"plain": {}},
        "objective": {"step": "curate", "metric": "ledger.total.kept"},
    }

    def found() -> list[str]:
        return reads.of(loads(yaml.safe_dump(sweep, sort_keys=False), "sweep.yaml"))

    assert len(found()) == 2  # the input, and the evaluation set
    sweep["variants"]["other"] = {path: str(rows["other"])}
    assert len(found()) == 3
