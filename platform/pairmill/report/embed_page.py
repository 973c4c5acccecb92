"""The page of an embed run, in the manner of `page.py`. The summary's shape: `embed_view.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pairmill.report import show
from pairmill.report.embed_view import rows, sentences
from pairmill.report.frame import frame
from pairmill.report.templating import template

CONTENTS = (("summary", "Summary"), ("vectors", "Vectors"), ("model", "Model"))


def render(summary: Mapping[str, Any]) -> str:
    """The page for an embed run's summary. Mappings may be empty and values null."""
    return template("embed.html.j2").render(prepare(summary))


def prepare(summary: Mapping[str, Any]) -> dict[str, Any]:
    """The template's variables."""
    model = summary.get("model") or {}
    return {
        **frame(summary, "embed", CONTENTS),
        "sentences": sentences(summary),
        "rows": rows(summary),
        "model": [
            ("model", show.fact(model.get("name"))),
            ("checksum", show.digits(model.get("checksum"))),
            ("precision", show.fact(model.get("precision"))),
            ("dimension", show.fact(summary.get("dims"))),
            ("norm of a vector", "1" if summary.get("normalized") else "as they come"),
        ],
    }
