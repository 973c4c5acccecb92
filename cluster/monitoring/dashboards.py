"""Writes the Grafana dashboards: `python cluster/monitoring/dashboards.py`.

Each dashboard is a table of panels: title, unit, and lines of (legend, expression). Grafana asks for the data source
when the JSON is imported; panels are laid out two in a row.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "grafana"
WIDTH, HEIGHT = 12, 8
Panel = tuple[str, str, list[tuple[str, str]]]


def rate(name: str, by: str, where: str = "") -> str:
    """Increase per second of a counter, by labels."""
    return f"sum by ({by}) (rate({name}{where}[$__rate_interval]))"


def lost(name: str) -> str:
    return f"increase({name}[$__rate_interval])"


def reserved(resource: str, used: bool) -> str:
    state = ', State="USED"' if used else ""
    return f'sum(ray_resources{{Name="{resource}"{state}}})'


ROWS, SELECT = "ray_pairmill_rows_total", 'stage="select"'
KEPT = f"""sum(rate({ROWS}{{{SELECT}, reason="kept"}}[$__rate_interval]))"""
JUDGED = f"sum(rate({ROWS}{{{SELECT}}}[$__rate_interval]))"
UNFINISHED = '{State!~"FINISHED|FAILED"}'
DISK, GPU_MEMORY = "ray_node_disk_usage", "ray_node_gram_used"

PAIRMILL: list[Panel] = [
    ("Rows per second by stage", "rowsps", [("{{kind}} {{stage}}", rate(ROWS, "kind, stage"))]),
    ("Rows judged per second by reason", "rowsps", [("{{reason}}", rate(ROWS, "reason", f"{{{SELECT}}}"))]),
    ("Share of rows kept", "percentunit", [("kept", f"{KEPT} / {JUDGED}")]),
    ("Text per second by stage", "Bps", [("{{kind}} {{stage}}", rate("ray_pairmill_bytes_total", "kind, stage"))]),
    (
        "Units done",
        "short",
        [("{{kind}} {{stage}} {{state}}", "sum by (kind, stage, state) (ray_pairmill_units_total)")],
    ),
    ("Unreadable records", "short", [("{{kind}}", "sum by (kind) (ray_pairmill_quarantined_rows_total)")]),
    ("Training loss", "none", [("{{name}}", "max by (name) (ray_pairmill_loss)")]),
    ("Tokens per second", "short", [("{{name}}", "max by (name) (ray_pairmill_tokens_per_second)")]),
    (
        "Training since the last checkpoint",
        "s",
        [("{{name}}", "max by (name) (ray_pairmill_checkpoint_age_seconds)")],
    ),
    (
        "Evaluation: main score",
        "percentunit",
        [("{{name}} {{task}}", "max by (name, task) (ray_pairmill_evaluation_score)")],
    ),
]

CLUSTER: list[Panel] = [
    (
        "Nodes by group",
        "short",
        [
            ("{{NodeType}} active", "sum by (NodeType) (autoscaler_active_nodes)"),
            ("{{NodeType}} pending", "sum by (NodeType) (autoscaler_pending_nodes)"),
        ],
    ),
    ("Tasks: waiting and running", "short", [("{{State}}", f"sum by (State) (ray_tasks{UNFINISHED})")]),
    ("CPUs reserved", "short", [("used", reserved("CPU", True)), ("all", reserved("CPU", False))]),
    ("Processor load by node", "percent", [("{{instance}}", "ray_node_cpu_utilization")]),
    ("Memory reserved by tasks", "bytes", [("used", reserved("memory", True)), ("all", reserved("memory", False))]),
    ("Memory used by node", "percentunit", [("{{instance}}", "ray_node_mem_used / ray_node_mem_total")]),
    ("Objects in memory and spilled", "bytes", [("{{Location}}", "sum by (Location) (ray_object_store_memory)")]),
    ("Disk used by node", "percentunit", [("{{instance}}", f"{DISK} / ({DISK} + ray_node_disk_free)")]),
    (
        "Network by node",
        "Bps",
        [("{{instance}} in", "ray_node_network_receive_speed"), ("{{instance}} out", "ray_node_network_send_speed")],
    ),
    (
        "Workers lost: killed for memory, ended otherwise",
        "short",
        [
            ("memory {{instance}}", lost("ray_memory_manager_worker_eviction_total")),
            ("other {{instance}}", lost("ray_node_manager_unexpected_worker_failure_total")),
        ],
    ),
    ("GPU load", "percent", [("{{instance}} {{GpuIndex}}", "ray_node_gpus_utilization")]),
    (
        "GPU memory used",
        "percentunit",
        [("{{instance}} {{GpuIndex}}", f"{GPU_MEMORY} / ({GPU_MEMORY} + ray_node_gram_available)")],
    ),
]

DASHBOARDS = {"pairmill": ("Pairmill: jobs", PAIRMILL), "cluster": ("Pairmill: Ray cluster", CLUSTER)}
SOURCE = {"type": "prometheus", "uid": "${DS_PROMETHEUS}"}


def dashboard(name: str) -> dict[str, Any]:
    """A dashboard as Grafana imports it."""
    title, panels = DASHBOARDS[name]
    return {
        "__inputs": [{"name": "DS_PROMETHEUS", "label": "Prometheus", "type": "datasource", "pluginId": "prometheus"}],
        "uid": f"pairmill-{name}",
        "title": title,
        "tags": ["pairmill", "ray"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "panels": [_panel(number, *panel) for number, panel in enumerate(panels)],
    }


def _panel(number: int, title: str, unit: str, lines: list[tuple[str, str]]) -> dict[str, Any]:
    targets = [
        {"refId": chr(ord("A") + at), "expr": expression, "legendFormat": legend, "datasource": SOURCE}
        for at, (legend, expression) in enumerate(lines)
    ]
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": title,
        "datasource": SOURCE,
        "gridPos": {"x": number % 2 * WIDTH, "y": number // 2 * HEIGHT, "w": WIDTH, "h": HEIGHT},
        "fieldConfig": {"defaults": {"unit": unit}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": targets,
    }


def text(name: str) -> str:
    return json.dumps(dashboard(name), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for each in DASHBOARDS:
        (FOLDER / f"{each}.json").write_text(text(each), "utf-8")
