"""The same job on a local disk, on S3, and on a Ray cluster of three raylets: the same rows."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import obstore
import pytest

import services
from corpus import catalogue_rows, write_jsonl
from pairmill import objects
from reading import committed, content, only_run
from services import ROOT, S3, RayCluster

SPEC = """
kind: curate
name: everywhere
inputs:
  - name: catalogue
    format: jsonl
    path: "{path}"
    columns: {{anchor: src, positive: tgt, anchor_lang: src_lang, positive_lang: tgt_lang}}
resources: {{shard_size: 60KB}}
"""


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


def local_rows(job: Path, tmp_path: Path) -> list[tuple]:
    outcome = services.run_pairmill("run", str(job / "job.yaml"), "--storage", str(tmp_path / "local"))
    assert outcome.code == 0, outcome.output
    return content(only_run(str(tmp_path / "local")))


@pytest.mark.slow
def test_a_submitted_job_on_three_raylets_with_s3_keeps_the_same_rows(
    job: Path, tmp_path: Path, ray_cluster: RayCluster, s3_env: S3
) -> None:
    storage = s3_env.bucket("runs") + "/pairmill"
    arguments = ["python", "-m", "pairmill", "run", "job.yaml", "--storage", storage]
    outcome = ray_cluster.submit(*arguments, working_dir=job, env={"PYTHONPATH": "platform", **s3_env.env})
    assert outcome.code == 0, outcome.output
    assert "kept" in outcome.output
    run = only_run(storage)
    assert content(run) == local_rows(job, tmp_path)
    assert run.record()["cluster"]["nodes"] == 3
    units = committed(run)
    assert len(units["annotate"]) == len(set(units["annotate"])) > 3
    again = ray_cluster.submit(*arguments, working_dir=job, env={"PYTHONPATH": "platform", **s3_env.env})
    assert again.code == 0 and "done already" in again.output


@pytest.mark.slow
def test_inputs_and_storage_on_s3_keep_the_same_rows(job: Path, tmp_path: Path, s3_env: S3) -> None:
    bucket = s3_env.bucket("corpus")
    for path in sorted((tmp_path / "data").iterdir()):
        obstore.put(objects.bucket(bucket), f"in/{path.name}", path.read_bytes())
    (job / "s3.yaml").write_text(SPEC.format(path=f"{bucket}/in/*.jsonl"))
    outcome = services.run_pairmill("run", str(job / "s3.yaml"), "--storage", f"{bucket}/runs", env=s3_env.env)
    assert outcome.code == 0, outcome.output
    without_origin = [
        [row[:6] for row in rows] for rows in (content(only_run(f"{bucket}/runs")), local_rows(job, tmp_path))
    ]
    assert without_origin[0] == without_origin[1]
    record = json.dumps(only_run(f"{bucket}/runs").record())
    assert s3_env.env["AWS_SECRET_ACCESS_KEY"] not in record


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
