"""Jobs on a cluster that asks for a token: a head and two raylets, and a store on S3 whose keys only the nodes have."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import services
from corpus import catalogue_rows, write_jsonl
from pairmill.cluster.submission import Options, prepare
from pairmill.curate.job import run_curate
from pairmill.jobs import run_job
from pairmill.runs.record import Run, read_events
from pairmill.spec.load import load
from pairmill.train.progress import metrics
from reading import content, only_run
from relay import Relay
from tiny_training import SPEC as TRAINING
from tiny_training import losses, same, write_inputs

SPEC = """
kind: curate
name: submitted
inputs:
  - name: catalogue
    format: jsonl
    path: "{folder}/*.jsonl"
    columns: {{anchor: src, positive: tgt, anchor_lang: src_lang, positive_lang: tgt_lang}}
    language: trust
resources: {{shard_size: 40KB}}
"""


@dataclass
class Site:
    """A cluster, the relay that leads to its job server, a token, and the store that its nodes reach."""

    cluster: services.RayCluster
    relay: Relay
    s3: services.S3
    token: str

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.relay.port}"

    def environment(self, token: str | None = "") -> dict[str, str]:
        """A client's: with the cluster's token, another, or (None) none."""
        mode = {"RAY_AUTH_MODE": "disabled" if token is None else "token"}
        return {**mode, "RAY_API_SERVER_ADDRESS": self.address, "RAY_AUTH_TOKEN": token or self.token}

    def pairmill(self, *arguments: str, token: str | None = "") -> services.Outcome:
        return services.run_pairmill(*arguments, env=self.environment(token))

    def start(self, *arguments: str, log: Path) -> services.Process:
        return services.start_pairmill(*arguments, log=log, env=self.environment())


@pytest.fixture(scope="module")
def site(s3: services.S3, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    token = "a" * 64
    file = tmp_path_factory.mktemp("token") / "token"
    file.write_text(token)
    env = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(file), **services.INSTALLED, **s3.env}
    with services.start_ray_cluster(workers=2, env=env) as cluster:
        port = urlsplit(cluster.job_address).port
        assert port is not None
        yield Site(cluster, Relay(port), s3, token)


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    rows = catalogue_rows()
    for number in range(3):
        write_jsonl(tmp_path / "data" / f"part-{number}.jsonl", rows[number::3])
    file = tmp_path / "job.yaml"
    file.write_text(SPEC.format(folder=tmp_path / "data"))
    return file


def wait_for_text(file: Path, pattern: str, process: services.Process, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not re.search(pattern, file.read_text(errors="replace")):
        assert process.poll() is None and time.monotonic() < deadline, file.read_text(errors="replace")
        time.sleep(0.05)


def finish(process: services.Process, seconds: float = 240) -> int:
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        services.end(process)
        raise


def rows(run: Run) -> list[tuple]:
    return content(run)


@pytest.mark.long
@pytest.mark.usefixtures("local_ray")
def test_a_stopped_training_of_two_workers_writes_a_checkpoint_and_loses_no_step(site: Site, tmp_path: Path) -> None:
    spec = tmp_path / "train.yaml"
    spec.write_text(TRAINING.format(folder=write_inputs(tmp_path)))
    sets = [
        "steps=80",
        "batch_size=32",
        "checkpoints.steps=1000",
        "resources.workers=2",
        "resources.cpus_per_worker=0.5",
    ]
    options = services.options_set(sets)
    storage, log = str(tmp_path / "runs"), tmp_path / "log"
    client = site.start("submit", str(spec), "--storage", storage, "--follow", *options, log=log)
    wait_for_text(log, "train: step ", client)
    stopped = site.pairmill("stop", "pairmill-tiny")
    assert "its run is stopped, too" in stopped.stdout, stopped.output + log.read_text()
    assert finish(client) == 130
    written = re.search(r"checkpoint of step (\d+) written", log.read_text())
    assert written and 0 < int(written[1]) < 80, log.read_text()
    outcome = site.pairmill("submit", str(spec), "--storage", storage, "--follow", *options)
    assert outcome.code == 0, outcome.output
    run = only_run(storage)
    resumed = [event["step"] for event in read_events(run, metrics(run)) if event["event"] == "resumed"]
    assert resumed == [int(written[1])]
    unbroken = run_job(load(str(spec), sets), str(tmp_path / "local"), None, False, "", lambda line: None).run
    assert losses(run) == losses(unbroken) and same(run, unbroken)


@pytest.mark.long
@pytest.mark.usefixtures("local_ray", "s3_env")
def test_a_submitted_job_keeps_the_rows_of_a_local_run_and_its_log_resumes_behind_a_lost_connection(
    site: Site, spec: Path, tmp_path: Path
) -> None:
    here = run_curate(load(str(spec)), str(tmp_path / "local"), None, False, "", lambda line: None)
    storage = site.s3.bucket("submitted") + "/runs"
    log = tmp_path / "log"
    arguments = ["submit", str(spec), "--storage", storage]
    client = site.start(*arguments, "--follow", log=log)
    wait_for_text(log, "annotate: ", client)
    site.relay.cut()
    wait_for_text(log, "groups: |select: ", client)
    site.relay.go_away()
    wait_for_text(log, "trying again", client)
    site.relay.come_back()
    assert finish(client) == 0, log.read_text()
    text = log.read_text()
    assert rows(only_run(storage)) == rows(here.run)
    assert "the cluster answers again" in text
    job_id = re.search(r"^pairmill-submitted-\w+$", text, re.M)[0]  # type: ignore[index]
    logged = site.pairmill("logs", job_id).stdout.splitlines()
    assert [line for line in text.splitlines() if line in logged] == logged
    again = site.pairmill(*arguments, "--json")
    found = json.loads(again.stdout)
    assert (found["id"], found["new"], found["state"]) == (job_id, False, "succeeded")
    assert "done already" in again.stderr
    status = json.loads(site.pairmill("status", job_id, "--json").stdout)
    assert status["exit_code"] == 0 and status["metadata"]["kind"] == "curate"
    missed = site.pairmill(*arguments, "--follow", "--set", "expect.kept_share.min=0.999")
    assert missed.code == 3 and "an expectation is missed" in missed.stderr, missed.output
    listed = site.pairmill("list")
    assert job_id in listed.stdout and "succeeded" in listed.stdout


@pytest.mark.long
def test_of_two_submissions_at_once_the_second_follows_the_first(site: Site, spec: Path, tmp_path: Path) -> None:
    arguments = ["submit", str(spec), "--storage", str(tmp_path / "runs"), "--follow"]
    logs = [tmp_path / "one", tmp_path / "two"]
    clients = [site.start(*arguments, log=log) for log in logs]
    assert [finish(client) for client in clients] == [0, 0]
    ids = {re.search(r"^pairmill-submitted-\w+$", log.read_text(), re.M)[0] for log in logs}  # type: ignore[index]
    assert len(ids) == 1
    jobs = [job for job in json.loads(site.pairmill("list", "--json").stdout) if job["id"].startswith(ids.copy().pop())]
    assert len(jobs) == 1
    assert sum("is there already" in log.read_text() or "done already" in log.read_text() for log in logs) == 1


@pytest.mark.parametrize(
    ("value", "code", "message"),
    [("/nowhere/*.jsonl", 1, "/nowhere"), ("${env:NOT_ON_THE_CLUSTER}", 2, "NOT_ON_THE_CLUSTER is not set")],
)
def test_the_code_and_the_message_of_a_job_that_cannot_start_arrive_on_the_client(
    site: Site, spec: Path, tmp_path: Path, value: str, code: int, message: str
) -> None:
    arguments = ["--storage", str(tmp_path / "runs"), "--set", f"inputs.catalogue.path={value}"]
    outcome = site.pairmill("submit", str(spec), *arguments, "--follow")
    assert outcome.code == code and message in outcome.stdout, outcome.output
    assert f"exit code {code}" in outcome.stderr


@pytest.mark.long
def test_the_pairmill_of_the_client_is_used_where_it_is_uploaded(site: Site, spec: Path, tmp_path: Path) -> None:
    copy = tmp_path / "here" / "pairmill"
    shutil.copytree(services.ROOT / "platform" / "pairmill", copy, ignore=shutil.ignore_patterns("__pycache__"))
    with (copy / "jobs.py").open("a") as file:
        file.write('\nprint("of the client")\n')
    arguments = ["--storage", str(tmp_path / "runs"), "--set", "inputs.catalogue.path=/nowhere/*.jsonl", "--follow"]
    env = {**site.environment(), "PYTHONPATH": str(copy.parent)}
    outcome = services.run_pairmill("submit", str(spec), *arguments, "--package", env=env)
    assert outcome.code == 1 and "of the client" in outcome.stdout, outcome.output
    assert "this pairmill is uploaded" in outcome.stderr


def test_a_wrong_and_a_missing_token_are_refused_with_the_remedy(site: Site, spec: Path, tmp_path: Path) -> None:
    arguments = ["submit", str(spec), "--storage", str(tmp_path / "runs")]
    before = site.pairmill("list").stdout
    wrong = site.pairmill(*arguments, token="b" * 64)
    missing = site.pairmill(*arguments, token=None)
    assert wrong.code == missing.code == 1
    assert "refuses the token" in wrong.stderr and "asks for a token" in missing.stderr
    for outcome in (wrong, missing):
        assert "RAY_AUTH_TOKEN_PATH" in outcome.stderr and "Traceback" not in outcome.stderr
        assert site.token not in outcome.output
    assert site.pairmill("list").stdout == before


@pytest.mark.long
@pytest.mark.usefixtures("local_ray", "s3_env")
def test_a_stopped_curation_says_so_and_goes_on_to_the_same_rows(site: Site, spec: Path, tmp_path: Path) -> None:
    storage = site.s3.bucket("stopped") + "/runs"
    log = tmp_path / "log"
    arguments = ["submit", str(spec), "--storage", storage]
    client = site.start(*arguments, "--follow", log=log)
    wait_for_text(log, "annotate: [1-9]|annotate: .*units", client)
    job_id = prepare(str(spec), Options(storage=storage)).id
    stopped = site.pairmill("stop", job_id)
    assert stopped.code == 0 and "its run is stopped, too" in stopped.stdout, stopped.output + log.read_text()
    assert finish(client) == 130
    assert only_run(storage).record()["state"] == "stopped"
    outcome = site.pairmill(*arguments, "--follow")
    assert outcome.code == 0 and f"{job_id}-2" in outcome.stdout and "resumes" in outcome.stderr, outcome.output
    here = run_curate(load(str(spec)), str(tmp_path / "local"), None, False, "", lambda line: None)
    assert rows(only_run(storage)) == rows(here.run)
