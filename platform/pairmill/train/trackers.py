"""Figures of a training for people's own tools: TensorBoard always, MLflow where it is configured.

TensorBoard's files lie in `runs/<id>/tensorboard/`; for a remote storage they are written here and uploaded at the end.
MLflow gets the same figures where MLFLOW_TRACKING_URI is set and mlflow is installed.
"""

from __future__ import annotations

import importlib.util
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pairmill import objects
from pairmill.runs.record import Run

FOLDER = "tensorboard"
_NO_FIGURES = ("step", "entry", "group")


class Tracker:
    """Writes the figures of steps and evaluations; `close` it."""

    def __init__(self, run: Run, name: str):
        self._run, self._name = run, name
        self._remote = objects.is_remote(run.storage.uri)
        self._folder = Path(
            tempfile.mkdtemp(prefix="pairmill-tb-") if self._remote else run.storage.where(run.path(FOLDER))
        )
        self._board: Any = None
        self._mlflow: Any = None

    def add(self, event: str, facts: dict[str, Any]) -> None:
        """Take note of an event of the metrics log; others than steps and evaluations have no figures."""
        if event not in ("step", "evaluation"):
            return
        if self._board is None:
            self._open(facts["step"])
        figures = dict(_step(facts) if event == "step" else flat("held_out", facts["groups"]))
        for tag, value in figures.items():
            self._board.add_scalar(tag, value, facts["step"])
        if self._mlflow is not None:
            self._mlflow.log_metrics(figures, step=facts["step"])

    def close(self) -> None:
        """Write what is left, and upload it where the storage is remote."""
        if self._board is not None:
            self._board.close()
        if self._mlflow is not None:
            self._mlflow.end_run()
        if self._remote:
            for file in self._folder.iterdir():
                self._run.storage.put(self._run.path(f"{FOLDER}/{file.name}"), file.read_bytes())

    def _open(self, step: int) -> None:
        """Start at a step: what an earlier attempt wrote of later ones no longer counts."""
        from tensorboardX import SummaryWriter  # type: ignore[import-untyped]

        self._board = SummaryWriter(str(self._folder), purge_step=step)
        if os.environ.get("MLFLOW_TRACKING_URI") and importlib.util.find_spec("mlflow"):
            self._mlflow = importlib.import_module("mlflow")
            self._mlflow.start_run(run_name=self._name, tags={"pairmill_run": self._run.id})


def _step(facts: dict[str, Any]) -> Iterator[tuple[str, float]]:
    for name, value in facts.items():
        if name not in _NO_FIGURES:
            yield f"train/{name}", float(value)
    yield f"loss/{facts['entry']}", float(facts["loss"])


def flat(prefix: str, facts: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """The numbers of nested facts by their path."""
    for name, value in facts.items():
        if isinstance(value, dict):
            yield from flat(f"{prefix}/{name}", value)
        elif isinstance(value, int | float):
            yield f"{prefix}/{name}", float(value)
