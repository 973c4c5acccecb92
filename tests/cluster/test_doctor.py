"""The doctor finds what is really wrong: each fault is planted in a cluster, a store or a token, and then found."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import faultproxy
import services
from pairmill.cluster.doctor.findings import failed
from pairmill.cluster.doctor.run import CHECKS, examine

Findings = list[dict[str, Any]]

GPU_SPEC = """
kind: train
name: on-gpus
model: {path: /models/any}
data: [{name: rows, input: {format: jsonl, path: rows.jsonl, columns: {anchor: a, positive: b}}}]
batch_size: 8
steps: 10
resources: {workers: 2, gpus_per_worker: 1}
"""


def ours() -> dict[str, str]:
    return {**services.NO_TOKEN, "PYTHONPATH": str(services.ROOT / "platform")}


@pytest.fixture(scope="module")
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file system of 8 MB."""
    if os.geteuid():
        pytest.skip("mounting a small file system needs root")
    with services.small_disk(tmp_path_factory.mktemp("disk"), "8m") as folder:
        yield folder


@pytest.fixture(scope="module")
def sick(
    s3: services.S3, small_disk: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Findings, Findings]]:
    """What is found of a head where all is well and of a worker with three faults, by a spec that wants GPUs, on a
    store whose clock is two minutes ahead: the findings of the head, and the others."""
    other = tmp_path_factory.mktemp("other")
    (other / "pairmill").mkdir()
    (other / "pairmill" / "__init__.py").write_text('__version__ = "0.0.1"\n')
    spec = other / "gpus.yaml"
    spec.write_text(GPU_SPEC)
    storage = s3.bucket("doctor")
    faults = faultproxy.Faults(ahead=120)
    with faultproxy.between(s3, faults) as bad, services.start_ray_cluster(0, {**ours(), **bad.env}) as cluster:
        cluster.env = {**cluster.env, "PYTHONPATH": str(other)}
        small = ["--object-store-memory", "80000000", "--object-spilling-directory", str(small_disk)]
        cluster.add_node("--address", cluster.gcs_address, *small)
        told = found(
            cluster.gcs_address, "--storage", storage, "--spec", str(spec), env={**services.NO_TOKEN, **bad.env}
        )
    head = next(name for name, offers in told["offers"].items() if "node:__internal_head__" in offers)
    yield [f for f in told["findings"] if f["node"] == head], [f for f in told["findings"] if f["node"] != head]


def found(address: str, *options: str, env: dict[str, str]) -> dict[str, Any]:
    outcome = services.run_pairmill("doctor", "--address", address, "--json", *options, env=env)
    assert outcome.code == 1, outcome.output
    told: dict[str, Any] = json.loads(outcome.stdout)
    return told


def one(findings: Findings, check: str, level: str = "error") -> dict[str, Any]:
    fitting = [f for f in findings if (f["check"], f["level"]) == (check, level) and f["node"] != "here"]
    assert len(fitting) == 1, findings
    assert fitting[0]["remedy"]
    return fitting[0]


def test_another_pairmill_on_a_node_is_found(sick: tuple[Findings, Findings]) -> None:
    message = one(sick[1], "package")["message"]
    assert "0.0.1" in message and "here it is" in message


def test_a_full_spill_disk_is_found(sick: tuple[Findings, Findings]) -> None:
    assert "free of 8 MB" in one(sick[1], "spill disk")["message"]


def test_a_small_object_store_is_found(sick: tuple[Findings, Findings]) -> None:
    assert "80 MB" in one(sick[1], "object store")["message"]


def test_gpus_that_the_spec_asks_for_and_the_cluster_lacks_are_found(sick: tuple[Findings, Findings]) -> None:
    assert "2 x 1 GPUs" in one(sick[1], "gpu")["message"]


def test_a_clock_that_is_off_is_found_from_the_node(sick: tuple[Findings, Findings]) -> None:
    found = re.search(r"(\d+) s behind the store's", one(sick[0], "clock")["message"])
    assert found and abs(int(found[1]) - 120) <= 2  # the store's clock has whole seconds


def test_a_node_where_all_is_well_but_the_clock_has_no_other_finding(sick: tuple[Findings, Findings]) -> None:
    assert {f["check"] for f in sick[0] if f["level"] == "error"} == {"clock"}
    assert {f["check"] for f in sick[1] if f["level"] == "ok"} >= {"nodes", "versions", "ports"}


def test_a_missing_token_is_found_by_both_addresses() -> None:
    token = "doctor-0123456789abcdef0123456789abcdef"
    with services.start_ray_cluster(0, {**ours(), "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token}) as cluster:
        for address in (cluster.gcs_address, cluster.job_address):
            told = found(address, env=services.NO_TOKEN)
            assert "RAY_AUTH_MODE=token" in one(told["findings"], "auth")["remedy"]


def test_a_store_without_conditional_writes_is_found(rclone_s3: services.S3, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in rclone_s3.env.items():
        monkeypatch.setenv(name, value)
    told = {f.check: f for f in examine(None, rclone_s3.bucket("doctor"), None).findings}
    assert told["storage"].level == "error" and "no conditional writes" in told["storage"].message


def test_a_store_that_nobody_serves_is_found_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in services.KEYS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{services.free_port()}")
    told = {f.check: f for f in examine(None, "s3://nowhere/x", None).findings}
    assert told["storage"].level == "error" and "cannot be connected to" in told["storage"].message


def test_this_machine_and_a_good_store_have_no_errors(tmp_path: Path) -> None:
    told = examine(None, str(tmp_path / "store"), None).findings
    assert not failed(told), told
    assert {f.check for f in told} == set(CHECKS)
    assert not list((tmp_path / "store" / "probes").glob("*"))


def test_an_address_where_no_cluster_answers_is_found() -> None:
    told = found(f"127.0.0.1:{services.free_port()}", env=services.NO_TOKEN)
    assert one(told["findings"], "connection")["remedy"]
