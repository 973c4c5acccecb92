"""The page of a mine run, in the manner of `page.py`. The summary's shape: `mine_view.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pairmill.report import show
from pairmill.report.frame import frame
from pairmill.report.mine_view import indexes, ranks, scores, sentences
from pairmill.report.tables import language_rows
from pairmill.report.templating import template

CONTENTS = (("summary", "Summary"), ("result", "Result"), ("index", "Index"))


def render(summary: Mapping[str, Any]) -> str:
    """The page for a mine run's summary. Mappings may be empty and values null."""
    return template("mine.html.j2").render(prepare(summary))


def prepare(summary: Mapping[str, Any]) -> dict[str, Any]:
    """The template's variables."""
    return {
        **frame(summary, "mine", CONTENTS),
        "sentences": sentences(summary),
        "of": show.fact(summary.get("of")),
        "columns": summary.get("columns") or [],
        "scores": scores(summary),
        "ranks": ranks(summary),
        "languages": language_rows(summary.get("languages") or []),
        "indexes": indexes(summary),
    }
