"""What Prometheus and Grafana are told to look at exists, and is seen on a real cluster: that of cluster/local."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import services
from catalogue_job import INPUT
from corpus import catalogue_rows, write_jsonl
from pairmill.runs.metrics import METRICS
from services import ROOT

MONITORING = ROOT / "cluster/monitoring"
DASHBOARDS = sorted((MONITORING / "grafana").glob("*.json"))
SPEC = INPUT.replace("{name}", "watched") + "resources: {{shard_size: 60KB}}\n"


#: A real training loop and a score, in a driver of the cluster; prints the loss of the last step.
TRAINING = """
import sys
import ray
import tiny_models
from pairmill.runs import metrics
ray.init(address=sys.argv[1], logging_level="ERROR")
log = tiny_models.Log()
tiny_models.loop(tiny_models.spec(), tiny_models.encoder(), log=log).run()
metrics.task_scored("tiny", "sts", 0.75)
print(log.losses()[4], flush=True)
sys.stdin.read()  # Ray forgets the metrics of a process some time after its end
ray.shutdown()
"""


def module(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem + "_file", path)
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = made
    spec.loader.exec_module(made)
    return made


def expressions() -> Iterator[tuple[str, str]]:
    """Where and what Prometheus is asked."""
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            yield from ((f"{path.name}: {panel['title']}", target["expr"]) for target in panel["targets"])
    for group in yaml.safe_load((MONITORING / "rules.yaml").read_text())["groups"]:
        yield from ((f"rules.yaml: {group['name']}", rule["expr"]) for rule in group["rules"])


def asked(pattern: str) -> dict[str, str]:
    """Names of metrics that are asked for, and where."""
    return {name: where for where, expression in expressions() for name in re.findall(pattern, expression)}


def test_every_metric_of_ours_that_dashboards_and_rules_name_is_recorded_and_every_one_is_shown():
    ours = {name.removeprefix("ray_"): where for name, where in asked(r"\bray_pairmill_\w+").items()}
    assert set(ours) == set(METRICS), ours
    for where, expression in expressions():
        for name, labels in re.findall(r"\bray_(pairmill_\w+)\{([^}]*)\}", expression):
            assert set(re.findall(r"(\w+)[!=~]+\"", labels)) <= set(METRICS[name].labels), where
        grouped = re.findall(r"by \(([^)]*)\) \((?:rate\()?ray_(pairmill_\w+)", expression)
        for labels, name in grouped:
            assert set(labels.split(", ")) <= set(METRICS[name].labels), where


def test_every_metric_of_rays_that_dashboards_and_rules_name_is_one_that_this_ray_exports():
    import ray

    source = Path(ray.__file__).parent
    gauges = (source / "dashboard/modules/reporter/reporter_agent.py").read_text()
    scaler = (source / "autoscaler/_private/prom_metrics.py").read_text()
    places = ("core/src/ray/raylet/raylet", "core/src/ray/gcs/gcs_server", "_raylet.so")
    binaries = [(source / place).read_bytes() for place in places]
    names = asked(r"\b(?:ray|autoscaler)_(?!pairmill)\w+")
    assert len(names) > 15
    for name, where in names.items():
        if name.startswith("autoscaler_"):
            assert f'"{name.removeprefix("autoscaler_")}"' in scaler, where
            continue
        short = name.removeprefix("ray_")
        stored = b"\0" + short.removesuffix("_total").encode() + b"\0"
        in_binaries = any(stored in found for found in binaries)
        assert f'"{short}"' in gauges or in_binaries, f"{where}: {name}"


def test_the_dashboards_are_what_their_tables_say():
    written = module(MONITORING / "dashboards.py")
    assert {path.stem for path in DASHBOARDS} == set(written.DASHBOARDS)
    for path in DASHBOARDS:
        assert path.read_text("utf-8") == written.text(path.stem), "run: python cluster/monitoring/dashboards.py"


def test_every_alert_says_what_happened_and_what_to_do():
    groups = yaml.safe_load((MONITORING / "rules.yaml").read_text())["groups"]
    alerts = [rule for group in groups for rule in group["rules"] if "alert" in rule]
    assert len({alert["alert"] for alert in alerts}) == len(alerts) > 5
    for alert in alerts:
        assert alert["labels"]["severity"] in ("warning", "critical")
        assert alert["annotations"]["summary"] and alert["annotations"]["action"]


def test_the_documents_list_the_metrics_with_their_labels():
    text = (ROOT / "docs/monitoring.md").read_text("utf-8")
    for name, metric in METRICS.items():
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        assert f"| `{name}` | {metric.type} | {labels} | {metric.description} |" in text, name


def test_labels_are_never_ids_of_runs_or_languages():
    assert {label for metric in METRICS.values() for label in metric.labels} == {
        *("kind", "stage", "reason", "state", "name", "task")
    }


# ---- a real cluster, started by cluster/local


@pytest.fixture(scope="module")
def local() -> Iterator[Any]:
    """The local cluster's script, and the state of a cluster of a head and two workers that it started."""
    script = module(ROOT / "cluster/local/cluster.py")
    folder = Path(tempfile.mkdtemp(prefix="pm-local-"))  # short: paths of Unix sockets end at 107 bytes
    arguments = script.parser().parse_args(["up", "--folder", str(folder), "--workers", "2"])
    state = script.up(arguments)
    try:
        yield script, folder, state
    finally:
        script.down(folder)


def scraped(state: dict[str, Any]) -> str:
    """All that the nodes' metrics ports say."""
    pages = []
    for node in state["nodes"]:
        with urllib.request.urlopen(f"http://127.0.0.1:{node['metrics']}/metrics", timeout=5) as reply:
            pages.append(reply.read().decode())
    return "\n".join(pages)


def test_jobs_on_the_local_cluster_show_rows_units_text_loss_and_scores_while_ray_shows_its_own(local, tmp_path):
    pytest.importorskip("torch", reason="needs the extra pairmill[train]")
    _, _, state = local
    write_jsonl(tmp_path / "part.jsonl", catalogue_rows())
    (tmp_path / "job.yaml").write_text(SPEC.format(path=tmp_path / "part.jsonl"))
    env = {"RAY_AUTH_MODE": "disabled", "PAIRMILL_STORAGE": str(tmp_path / "store")}
    training = subprocess.Popen(
        [sys.executable, "-c", TRAINING, state["gcs"]],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=services.clean_environment(PYTHONPATH=f"{ROOT}/platform:{ROOT}/tests", **services.NO_TOKEN),
    )
    done = services.run_pairmill("run", str(tmp_path / "job.yaml"), "--address", state["gcs"], env=env)
    assert done.code == 0, done.output
    assert training.stdout is not None
    loss = float(training.stdout.readline())
    page = _with(state, "ray_pairmill_rows_total", "ray_pairmill_loss", "ray_pairmill_evaluation_score")
    training.communicate(timeout=120)
    assert training.returncode == 0
    _check_rows(page, tmp_path / "store")
    assert samples(page, "ray_pairmill_loss", "name") == {("tiny",): pytest.approx(loss)}
    assert samples(page, "ray_pairmill_evaluation_score", "name", "task") == {("tiny", "sts"): 0.75}
    assert samples(page, "ray_pairmill_tokens_per_second", "name")["tiny",] > 0
    assert 0 < samples(page, "ray_pairmill_checkpoint_age_seconds", "name")["tiny",] < 120
    assert set(re.findall(r"^ray_(pairmill_\w+?)(?:\{| )", page, re.M)) <= set(METRICS)
    for name in ("ray_resources", "ray_node_cpu_utilization", "ray_node_mem_used", "ray_object_store_memory"):
        assert f"\n{name}{{" in page, name


def _check_rows(page: str, store: Path) -> None:
    (ledger,) = [json.loads(path.read_text())["total"] for path in store.glob("runs/*/ledger.json")]
    rows = samples(page, "ray_pairmill_rows_total", "kind", "stage", "reason")
    told = {reason: count for (kind, stage, reason), count in rows.items() if (kind, stage) == ("curate", "select")}
    assert told == {"kept": ledger["kept"], **ledger["rejected"]}
    units = samples(page, "ray_pairmill_units_total", "stage", "state")
    assert units["annotate", "committed"] == units["select", "committed"] > 1
    assert samples(page, "ray_pairmill_bytes_total", "stage")["annotate",] > 0


def _with(state: dict[str, Any], *names: str) -> str:
    """What the nodes say once they have values of all these names: at Ray's next report."""
    deadline = time.monotonic() + 60
    while not all(f"\n{name}{{" in (page := scraped(state)) for name in names) and time.monotonic() < deadline:
        time.sleep(0.3)
    return page


def samples(page: str, name: str, *labels: str) -> dict[tuple[str, ...], float]:
    """The values of a metric by labels."""
    found = re.findall(rf"^{name}\{{([^}}]*)\}} (\S+)$", page, re.M)
    read = [(dict(re.findall(r'(\w+)="([^"]*)"', told)), float(value)) for told, value in found]
    return {tuple(told[label] for label in labels): value for told, value in read}


def test_the_local_cluster_shows_its_nodes_is_not_started_twice_and_ends_without_a_process_left(local):
    script, folder, state = local
    assert [alive for _, alive in script.status(folder)] == [True, True, True]
    assert [node["cpus"] for node in state["nodes"]] == [0, 1, 1]
    ports = [port for node in state["nodes"] for port in (node["agent"], node["metrics"])]
    assert len(set(ports)) == len(ports)
    with pytest.raises(RuntimeError, match="runs already"):
        script.up(script.parser().parse_args(["up", "--folder", str(folder)]))
    family = {pid: script.born(pid) for node in state["nodes"] for pid in script.members(node)}
    assert len(family) > 10
    assert script.down(folder) == 3
    assert not left(script, family)
    assert script.status(folder) == [] and not folder.exists()


def left(script: Any, family: dict[int, str | None]) -> list[int]:
    """Those of the processes that have not ended after a while."""
    deadline = time.monotonic() + 10
    while any(script.born(pid) == start for pid, start in family.items() if start) and time.monotonic() < deadline:
        time.sleep(0.1)
    return [pid for pid, start in family.items() if start and script.born(pid) == start]


def test_a_node_that_ends_while_it_starts_is_started_anew_and_nothing_of_it_stays(monkeypatch):
    script = module(ROOT / "cluster/local/cluster.py")
    folder = Path(tempfile.mkdtemp(prefix="pm-local-"))
    family: dict[int, str | None] = {}

    def first_dies(*given: Any) -> dict[str, Any]:
        node: dict[str, Any] = start_node(*given)
        if not family:
            while len(script.members(node)) < 4:  # it has started processes of its own: they are not asked to end
                time.sleep(0.05)
            family.update({pid: script.born(pid) for pid in script.members(node)})
            os.kill(node["pid"], signal.SIGKILL)
        return node

    start_node = script.start_node
    monkeypatch.setattr(script, "start_node", first_dies)
    try:
        state = script.up(script.parser().parse_args(["up", "--folder", str(folder), "--workers", "0"]))
        assert len(state["nodes"]) == 1 and script.lives(state["nodes"][0]) and state["nodes"][0]["pid"] not in family
        assert len(family) >= 4 and not left(script, family)
    finally:
        script.down(folder)


def test_the_local_cluster_uses_nothing_that_ray_does_not_bring():
    tree = ast.parse((ROOT / "cluster/local/cluster.py").read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names
