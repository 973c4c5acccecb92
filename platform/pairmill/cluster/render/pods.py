"""Pods of a cluster: what they run as, what they may write, what they see.

They meet the restricted Pod Security Standard: not root, no new privileges, no capabilities, the runtime's seccomp
profile; and their root file system is read-only. They write to `/tmp` (Ray's session and what it spills is a volume of
its own there) and to their home directory (models, compiled kernels), which end with the pod.
"""

from __future__ import annotations

from typing import Any

from pairmill.cluster.render.groups import OBJECT_STORE, Group
from pairmill.cluster.render.options import HOME, METRICS_PORT, Options
from pairmill.train.stopping import STOP_SECONDS, STOP_VARIABLE

Json = dict[str, Any]
#: The user of cluster/image/Dockerfile.
USER = 1000
TMP, HOME_SIZE = 10_000_000_000, 5_000_000_000
HEAD_CPUS, HEAD_MEMORY = 2, 8_000_000_000
RESTRICTED: Json = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
POD_SECURITY: Json = {
    "runAsNonRoot": True,
    "runAsUser": USER,
    "runAsGroup": USER,
    "fsGroup": USER,
    "seccompProfile": {"type": "RuntimeDefault"},
}
#: Beside the node's: those of the autoscaler and of the dashboard.
HEAD_METRICS = ((44217, "as-metrics"), (44227, "dash-metrics"))
#: Tasks are what runs side by side; libraries stay within theirs.
THREADS = {"RAYON_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "ARROW_NUM_THREADS": "1"}
#: Kubernetes adds a suffix of its own; KubeRay shares this volume between the head and its autoscaler.
SESSION = "ray-logs"


def labels(options: Options) -> dict[str, str]:
    """What all of a job's objects have, and its network policy selects."""
    return {"app.kubernetes.io/part-of": "pairmill", "pairmill/job": options.name}


def head(options: Options, spec_map: str | None) -> Json:
    """The pod template of the head; `spec_map` is the config map that holds the spec."""
    volumes = _volumes(options)
    mounts = _mounts(options)
    if spec_map:
        volumes.append({"name": "spec", "configMap": {"name": spec_map}})
        mounts.append({"name": "spec", "mountPath": "/etc/pairmill", "readOnly": True})
    ports = [(6379, "gcs"), (8265, "dashboard"), (10001, "client"), (METRICS_PORT, "metrics"), *HEAD_METRICS]
    limits = {"cpu": str(HEAD_CPUS), "memory": quantity(HEAD_MEMORY)}
    return _template(options, "ray-head", limits, volumes, mounts, ports, automount=not options.fixed)


def worker(options: Options, group: Group) -> Json:
    """The pod template of a group of workers."""
    limits = {"cpu": str(group.cpus), "memory": quantity(group.whole_memory)}
    if group.gpus:
        limits["nvidia.com/gpu"] = str(group.gpus)
    ports = [(METRICS_PORT, "metrics")]
    made = _template(options, "ray-worker", limits, _volumes(options), _mounts(options), ports, automount=False)
    made["metadata"]["annotations"]["pairmill/arithmetic"] = "\n".join(group.arithmetic) + "\n"
    if group.gpus:
        made["spec"]["tolerations"] = [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    return made


def submitter(options: Options) -> Json:
    """The pod template of the Kubernetes job that hands the job to Ray and shows its log."""
    container = {
        "name": "ray-job-submitter",
        "image": options.image,
        "env": [{"name": "HOME", "value": "/tmp"}],
        "resources": _resources({"cpu": "500m", "memory": "1G"}),
        "securityContext": RESTRICTED,
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }
    spec = {
        "restartPolicy": "Never",
        "serviceAccountName": account(options),
        "automountServiceAccountToken": False,
        "securityContext": POD_SECURITY,
        **_priority(options),
        "containers": [container],
        "volumes": [_empty("tmp", 1_000_000_000)],
    }
    return {"metadata": {"labels": labels(options)}, "spec": spec}


def account(options: Options) -> str:
    return options.service_account or options.name


def quantity(size: int) -> str:
    """Bytes as Kubernetes writes them."""
    for unit, suffix in ((10**9, "G"), (10**6, "M")):
        if size % unit == 0:
            return f"{size // unit}{suffix}"
    return str(size)


def _template(
    options: Options,
    name: str,
    limits: dict[str, str],
    volumes: list[Json],
    mounts: list[Json],
    ports: list[tuple[int, str]],
    automount: bool,
) -> Json:
    scratch = sum(v["emptyDir"]["sizeLimit"] for v in volumes if "sizeLimit" in v.get("emptyDir", {}) and _on_disk(v))
    container: Json = {
        "name": name,
        "image": options.image,
        "imagePullPolicy": "IfNotPresent",
        "ports": [{"containerPort": number, "name": called} for number, called in ports],
        "env": [{"name": name, "value": value} for name, value in _environment(options).items()],
        **({"envFrom": [{"secretRef": {"name": n}} for n in options.env_secrets]} if options.env_secrets else {}),
        "resources": _resources({**limits, "ephemeral-storage": quantity(scratch)}),
        "securityContext": RESTRICTED,
        "volumeMounts": mounts,
    }
    spec = {
        "serviceAccountName": account(options),
        "automountServiceAccountToken": automount,
        "securityContext": POD_SECURITY,
        **_priority(options),
        "containers": [container],
        "volumes": [_as_written(found) for found in volumes],
    }
    scraped = {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(METRICS_PORT),
        "prometheus.io/path": "/metrics",
    }
    return {"metadata": {"labels": labels(options), "annotations": scraped}, "spec": spec}


def _environment(options: Options) -> dict[str, str]:
    return {
        "HOME": HOME,
        "PAIRMILL_STORAGE": options.storage,
        "RAY_USAGE_STATS_ENABLED": "0",
        STOP_VARIABLE: str(STOP_SECONDS),
        **THREADS,
        **dict(options.env),
    }


def _resources(limits: dict[str, str]) -> Json:
    """Requests as limits: what is promised is there, and no pod is ended for memory that another took."""
    return {"requests": limits, "limits": limits}


def _priority(options: Options) -> Json:
    return {"priorityClassName": options.priority_class} if options.priority_class else {}


def _volumes(options: Options) -> list[Json]:
    session: Json = _sized(SESSION, options.spill)
    if options.spill_class:
        claim = {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": options.spill_class,
            "resources": {"requests": {"storage": quantity(options.spill)}},
        }
        session = {"name": SESSION, "ephemeral": {"volumeClaimTemplate": {"spec": claim}}}
    shared = {"name": "shared-mem", "emptyDir": {"medium": "Memory", "sizeLimit": 2 * OBJECT_STORE}}
    claims = [
        {"name": f"data-{number}", "persistentVolumeClaim": {"claimName": claim}}
        for number, (claim, _) in enumerate(options.volumes)
    ]
    return [session, _sized("tmp", TMP), _sized("home", HOME_SIZE), shared, *claims]


def _mounts(options: Options) -> list[Json]:
    places = [("tmp", "/tmp"), (SESSION, "/tmp/ray"), ("home", HOME), ("shared-mem", "/dev/shm")]
    places += [(f"data-{number}", path) for number, (_, path) in enumerate(options.volumes)]
    return [{"name": name, "mountPath": path} for name, path in places]


def _sized(name: str, size: int) -> Json:
    return {"name": name, "emptyDir": {"sizeLimit": size}}


def _empty(name: str, size: int) -> Json:
    return _as_written(_sized(name, size))


def _on_disk(volume: Json) -> bool:
    return "medium" not in volume["emptyDir"]


def _as_written(volume: Json) -> Json:
    """The volume with its size as Kubernetes writes sizes."""
    if "emptyDir" not in volume:
        return volume
    return {**volume, "emptyDir": {**volume["emptyDir"], "sizeLimit": quantity(volume["emptyDir"]["sizeLimit"])}}
