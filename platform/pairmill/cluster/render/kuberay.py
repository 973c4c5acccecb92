"""KubeRay manifests: a RayJob with a cluster of its own, or a RayCluster that stays and takes jobs.

The spec travels in a config map that the head mounts, because the driver of a job without resources of its own runs on
the head: nothing is uploaded, and all that runs is in the image. A job that fails is given a new cluster up to
`backoffLimit` times. That is safe: the run's id is what the job means and its units are committed in the storage, so
each attempt goes on where the last one was; a job that is done prints its result.
"""

from __future__ import annotations

from importlib import metadata
from typing import Any

from pairmill import __version__
from pairmill.cluster.render import pods
from pairmill.cluster.render.groups import OBJECT_STORE, Group
from pairmill.cluster.render.options import METRICS_PORT, SPEC_PATH, Options

Json = dict[str, Any]
Document = tuple[str, Json]
DASHBOARD = 8265


def job(kind: str, name: str, spec: str, groups: list[Group], options: Options) -> list[Document]:
    """The documents of a job: `spec` is the text of the spec, `kind` and `name` are its own."""
    told = {"kind": kind, "name": name, "storage": options.storage, "pairmill": __version__}
    body = {
        "entrypoint": f"python -m pairmill run {SPEC_PATH}",
        "metadata": told,
        "submissionMode": "K8sJobMode",
        "submitterPodTemplate": pods.submitter(options),
        "backoffLimit": options.backoff_limit,
        "shutdownAfterJobFinishes": True,
        "ttlSecondsAfterFinished": options.ttl,
        **({"suspend": True} if options.queue else {}),
        "rayClusterSpec": _cluster(groups, options, options.name),
    }
    made = {**_object("ray.io/v1", "RayJob", options), "spec": body}
    config = {**_object("v1", "ConfigMap", options), "data": {"spec.yaml": spec}}
    why = (
        "Runs the spec on a cluster of its own, which ends with the job. backoffLimit: a failed attempt is repeated\n"
        "on a new cluster and resumes; what was committed is not done again. Exit code 3 (an expectation is missed)\n"
        "counts as failed too: its repetition finds the run done and ends at once."
    )
    return [
        *_account(options),
        ("The spec, as the head sees it.", config),
        _policy(options),
        (why, _queued(made, options)),
    ]


def cluster(groups: list[Group], options: Options) -> list[Document]:
    """The documents of a cluster that stays."""
    made = {**_object("ray.io/v1", "RayCluster", options), "spec": _cluster(groups, options, None)}
    if options.queue:
        made["spec"]["suspend"] = True
    why = (
        "Stays until it is deleted, and takes jobs:\n"
        f"  kubectl port-forward service/{options.name}-head-svc {DASHBOARD}:{DASHBOARD}\n"
        f"  pairmill submit SPEC --address http://127.0.0.1:{DASHBOARD} --storage {options.storage}"
    )
    return [*_account(options), _policy(options), (why, _queued(made, options))]


def _object(version: str, kind: str, options: Options) -> Json:
    named = {"name": options.name, **({"namespace": options.namespace} if options.namespace else {})}
    return {"apiVersion": version, "kind": kind, "metadata": {**named, "labels": pods.labels(options)}}


def _queued(made: Json, options: Options) -> Json:
    if options.queue:
        made["metadata"]["labels"] |= {"kueue.x-k8s.io/queue-name": options.queue}
    return made


def _account(options: Options) -> list[Document]:
    if options.service_account:
        return []
    made = {**_object("v1", "ServiceAccount", options), "automountServiceAccountToken": False}
    return [("Who the pods are. For a cloud's storage, annotate it, or name one that may: --service-account.", made)]


def _cluster(groups: list[Group], options: Options, spec_map: str | None) -> Json:
    token: Json = {"mode": "token", **({"secretName": options.token_secret} if options.token_secret else {})}
    scaling: Json = {"enableInTreeAutoscaling": False}
    if not options.fixed:
        scaling = {"enableInTreeAutoscaling": True, "autoscalerOptions": _autoscaler()}
    return {
        "rayVersion": metadata.version("ray"),
        "authOptions": token,
        **scaling,
        "headGroupSpec": {
            "rayStartParams": {"num-cpus": "0", **_start_parameters(), "dashboard-host": "0.0.0.0"},
            "template": pods.head(options, spec_map),
        },
        "workerGroupSpecs": [_workers(group, options) for group in groups],
    }


def _workers(group: Group, options: Options) -> Json:
    start = {"num-cpus": str(group.cpus), "memory": str(group.memory), **_start_parameters()}
    return {
        "groupName": group.name,
        "replicas": group.low,
        "minReplicas": group.low,
        "maxReplicas": group.high,
        "rayStartParams": start,
        "template": pods.worker(options, group),
    }


def _start_parameters() -> dict[str, str]:
    return {"object-store-memory": str(OBJECT_STORE), "metrics-export-port": str(METRICS_PORT)}


def _autoscaler() -> Json:
    return {
        "version": "v2",
        "upscalingMode": "Default",
        "idleTimeoutSeconds": 300,
        "env": [{"name": "HOME", "value": "/tmp"}],
        "resources": {name: {"cpu": "500m", "memory": "1G"} for name in ("requests", "limits")},
        "securityContext": pods.RESTRICTED,
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }


def _policy(options: Options) -> Document:
    ours = {"podSelector": {"matchLabels": {"pairmill/job": options.name}}}
    operator = {
        "namespaceSelector": {},
        "podSelector": {"matchLabels": {"app.kubernetes.io/name": "kuberay-operator"}},
    }
    monitoring = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": options.monitoring}}}
    outside = [_port(number) for number in (443, 6443, *options.egress_ports)]
    body = {
        "podSelector": ours["podSelector"],
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [
            {"from": [ours]},
            {"from": [operator], "ports": [_port(DASHBOARD)]},
            {"from": [monitoring], "ports": [_port(port) for port in (METRICS_PORT, *dict(pods.HEAD_METRICS))]},
        ],
        "egress": [
            {"to": [ours]},
            {"ports": [{"port": 53, "protocol": "UDP"}, _port(53)]},
            {"ports": outside},
        ],
    }
    why = (
        "In: the job's own pods, the KubeRay operator (dashboard), Prometheus (metrics). Out: its own pods, names\n"
        "(53), storage and the Kubernetes API by TLS (443, 6443), and --egress-port. The token is set beside it."
    )
    return why, {**_object("networking.k8s.io/v1", "NetworkPolicy", options), "spec": body}


def _port(number: int) -> Json:
    return {"port": number, "protocol": "TCP"}
