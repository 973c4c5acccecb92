"""The page of an evaluate run, in the manner of `page.py`. The summary's shape: `evaluate_view.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pairmill.report import evaluate_view as view
from pairmill.report.frame import frame
from pairmill.report.templating import template

CONTENTS = (
    ("summary", "Summary"),
    ("scores", "Scores"),
    ("subsets", "Languages"),
    ("slices", "Slices"),
    ("leaks", "Leaks"),
    ("inference", "Inference"),
)


def render(summary: Mapping[str, Any]) -> str:
    """The page for an evaluate run's summary. Lists may be empty and values null."""
    return template("evaluate.html.j2").render(prepare(summary))


def prepare(summary: Mapping[str, Any]) -> dict[str, Any]:
    """The template's variables."""
    return {
        **frame(summary, "evaluate", CONTENTS),
        "sentences": view.sentences(summary),
        "tasks": view.tasks(summary),
        "left_out": view.left_out(summary),
        "heat": view.heat(summary),
        "sliced": view.slices(summary),
        "leaks": view.leaks(summary),
        "costs": view.costs(summary),
    }
