"""The page of a train or pretrain run, in the manner of `page.py`: one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pairmill.report.templating import template
from pairmill.report.train_view import prepare


def render(summary: Mapping[str, Any]) -> str:
    """The page for the summary of a train or pretrain run (its shape: `train/result.py`).

    Lists may be empty and values null; a run that failed early has a page too.
    """
    return template("train.html.j2").render(prepare(summary))
