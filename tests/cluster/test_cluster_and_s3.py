"""The same job on a local disk, on S3, and on a Ray cluster of three raylets: the same rows."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import obstore
import pytest

import services
from catalogue_job import INPUT
from corpus import catalogue_rows, write_jsonl
from pairmill import objects
from pairmill.curate.job import run_curate
from pairmill.runs.record import Run
from pairmill.spec.load import load
from reading import committed, content, only_run
from services import ROOT, S3, RayCluster

SPEC = INPUT.replace("{name}", "everywhere") + "resources: {{shard_size: 60KB}}\n"


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """A working directory as a user submits it: the package's source, a spec and, for this test, the data's path."""
    folder = tmp_path / "working"
    shutil.copytree(ROOT / "platform", folder / "platform", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "data").mkdir()
    rows = catalogue_rows()
    for number in range(3):
        write_jsonl(tmp_path / "data" / f"part-{number}.jsonl", rows[number::3])
    (folder / "job.yaml").write_text(SPEC.format(path=tmp_path / "data" / "*.jsonl"))
    return folder


def without_origin(run: Run) -> list[tuple]:
    return [row[:6] for row in content(run)]


@pytest.mark.usefixtures("local_ray")
def test_a_submitted_job_on_three_raylets_with_inputs_and_storage_on_s3_keeps_the_same_rows(
    job: Path, tmp_path: Path, ray_cluster: RayCluster, s3_env: S3
) -> None:
    here = run_curate(load(str(job / "job.yaml")), str(tmp_path / "local"), None, False, "", lambda line: None)
    corpus = s3_env.bucket("corpus")
    for path in sorted((tmp_path / "data").iterdir()):
        obstore.put(objects.bucket(corpus), f"in/{path.name}", path.read_bytes())
    (job / "job.yaml").write_text(SPEC.format(path=f"{corpus}/in/*.jsonl"))
    storage = s3_env.bucket("runs") + "/pairmill"
    arguments = ["python", "-m", "pairmill", "run", "job.yaml", "--storage", storage]
    outcome = ray_cluster.submit(*arguments, working_dir=job, env={"PYTHONPATH": "platform", **s3_env.env})
    assert outcome.code == 0, outcome.output
    assert "kept" in outcome.output
    run = only_run(storage)
    assert without_origin(run) == without_origin(here.run)
    assert run.record()["cluster"]["nodes"] == 3
    assert s3_env.env["AWS_SECRET_ACCESS_KEY"] not in json.dumps(run.record())
    units = committed(run)
    assert len(units["annotate"]) == len(set(units["annotate"])) > 3
    again = ray_cluster.submit(*arguments, working_dir=job, env={"PYTHONPATH": "platform", **s3_env.env})
    assert again.code == 0 and "done already" in again.output


def test_a_store_without_conditional_writes_is_refused_with_reason_and_remedy(job: Path, rclone_s3: S3) -> None:
    storage = rclone_s3.bucket("runs")
    outcome = services.run_pairmill("run", str(job / "job.yaml"), "--storage", storage, env=rclone_s3.env)
    assert outcome.code == 1
    assert (
        "no conditional writes" in outcome.stderr
        and "If-None-Match" in outcome.stderr
        and "local disk" in outcome.stderr
    )
    assert "Traceback" not in outcome.output


def test_an_unreachable_store_is_named_in_one_line(job: Path, tmp_path: Path) -> None:
    env = {**services.KEYS, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{services.free_port()}"}
    outcome = services.run_pairmill("run", str(job / "job.yaml"), "--storage", "s3://nowhere/x", env=env, timeout=600)
    assert outcome.code == 1
    assert "s3://nowhere/x" in outcome.stderr and "Traceback" not in outcome.output
