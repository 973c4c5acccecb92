"""The page of a train or pretrain run, in the manner of `page.py`: one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from pairmill.report import card


def render(summary: Mapping[str, Any]) -> str:
    """The page for the summary of a train or pretrain run."""
    return f"<!doctype html><pre>{escape(card.render(summary))}</pre>"
