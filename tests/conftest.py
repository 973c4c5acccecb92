"""Fixtures on the real things of `services.py`; each is started when the first test asks for it, once per session."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import services


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first: of two processes, neither then waits long for the other."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


os.environ.pop("RAY_ADDRESS", None)
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[services.S3]:
    """An S3 store with conditional writes (moto): `s3.env` for a process's environment, `s3.bucket(name)` -> `s3://...`."""
    with services.moto_s3(tmp_path_factory.mktemp("moto")) as server:
        yield server


@pytest.fixture(scope="session")
def rclone_s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[services.S3]:
    """An S3 store without conditional writes (rclone); otherwise like `s3`."""
    with services.rclone_s3(tmp_path_factory.mktemp("rclone")) as server:
        yield server


@pytest.fixture
def s3_env(s3: services.S3, monkeypatch: pytest.MonkeyPatch) -> services.S3:
    """`s3`, with its variables set in this process too."""
    for name, value in s3.env.items():
        monkeypatch.setenv(name, value)
    return s3


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[services.RayCluster]:
    """Three raylets on this machine: a head with the job server and no CPUs, two workers with one CPU each."""
    with services.start_ray_cluster(workers=2) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The project's shared data, beside the checkout."""
    if not services.SHARED_DATA.is_dir():
        pytest.skip("needs the shared data: no folder shared/data beside the repository")
    return services.SHARED_DATA


@pytest.fixture(scope="session")
def pairmill() -> Callable[..., services.Outcome]:
    """Runs the command line in a process of its own: `pairmill("validate", "jobs/quickstart.yaml").code`."""
    return services.run_pairmill


@pytest.fixture(scope="session")
def local_ray() -> Iterator[None]:
    """A Ray of this process with two CPUs, which the jobs of a test share instead of starting one each."""
    from pairmill.runs import engine

    facts = engine.start("local", 2)
    yield
    engine.stop(facts)
