"""The test servers behave as the tests that use them assume."""

from __future__ import annotations

import json
from pathlib import Path

import obstore
import pytest
from obstore.exceptions import AlreadyExistsError, PreconditionError
from obstore.store import S3Store

import services


def store(server: services.S3) -> S3Store:
    name = server.bucket("probe").removeprefix("s3://")
    return S3Store(
        name,
        endpoint=server.env["AWS_ENDPOINT_URL"],
        region=server.env["AWS_REGION"],
        access_key_id=server.env["AWS_ACCESS_KEY_ID"],
        secret_access_key=server.env["AWS_SECRET_ACCESS_KEY"],
        client_options={"allow_http": True},
        virtual_hosted_style_request=False,
    )


def test_moto_refuses_a_second_put_if_absent_and_a_stale_etag(s3: services.S3) -> None:
    bucket = store(s3)
    first = obstore.put(bucket, "a", b"1", mode="create")
    with pytest.raises(AlreadyExistsError):
        obstore.put(bucket, "a", b"2", mode="create")
    obstore.put(bucket, "a", b"3")
    with pytest.raises(PreconditionError):
        obstore.put(bucket, "a", b"4", mode={"e_tag": first["e_tag"]})
    assert bytes(obstore.get(bucket, "a").bytes()) == b"3"


def test_rclone_accepts_a_second_put_if_absent(rclone_s3: services.S3) -> None:
    bucket = store(rclone_s3)
    obstore.put(bucket, "a", b"1", mode="create")
    obstore.put(bucket, "a", b"2", mode="create")
    assert bytes(obstore.get(bucket, "a").bytes()) == b"2"


def test_the_command_line_runs_from_any_directory(tmp_path: Path) -> None:
    outcome = services.run_pairmill("--help", cwd=tmp_path)
    assert outcome.code == 0, outcome.stderr
    assert "validate" in outcome.stdout


PROBE = """
import json, os, platform, ray, pairmill
ray.init(logging_level="ERROR")

def facts():
    return {"node": ray.get_runtime_context().get_node_id(), "pairmill": pairmill.__file__, "system": platform.system(),
            "stdlib": platform.__file__}

@ray.remote(num_cpus=1, scheduling_strategy="SPREAD")
def remote():
    import platform, time, pairmill
    time.sleep(2)
    return facts()

found = {"driver": facts(), "workers": ray.get([remote.remote() for _ in range(4)]), "nodes": len(ray.nodes())}
print("FOUND " + json.dumps(found))
"""


def test_a_plain_submitted_job_imports_pairmill_from_its_working_dir_on_every_raylet(
    ray_cluster: services.RayCluster, tmp_path: Path
) -> None:
    package = tmp_path / "platform" / "pairmill"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("here = True\n")
    (package / "probe.py").write_text(PROBE)
    outcome = ray_cluster.submit("python", "-m", "pairmill.probe", working_dir=tmp_path, env={"PYTHONPATH": "platform"})
    assert outcome.code == 0, outcome.output
    found = json.loads(next(line for line in outcome.stdout.splitlines() if line.startswith("FOUND"))[6:])
    places = [found["driver"], *found["workers"]]
    assert found["nodes"] == 3
    assert len({place["node"] for place in found["workers"]}) == 2
    assert found["driver"]["node"] not in {place["node"] for place in found["workers"]}
    assert all("working_dir" in place["pairmill"] for place in places), places
    assert all("working_dir" not in place["stdlib"] and place["system"] for place in places), places
