"""The page of a tokenizer run, in the manner of `page.py`. The summary's shape: `tokenizer_view.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pairmill.report import show
from pairmill.report.frame import frame
from pairmill.report.templating import template
from pairmill.report.tokenizer_view import RATIOS, fertility_rows, sentences

CONTENTS = (("summary", "Summary"), ("fertility", "Fertility"), ("sample", "Sample"))


def render(summary: Mapping[str, Any]) -> str:
    """The page for a tokenizer run's summary. Mappings may be empty and values null."""
    return template("tokenizer.html.j2").render(prepare(summary))


def prepare(summary: Mapping[str, Any]) -> dict[str, Any]:
    """The template's variables."""
    languages, model = summary.get("languages") or {}, summary.get("model") or {}
    return {
        **frame(summary, "tokenizer", CONTENTS),
        "sentences": sentences(summary),
        "place": model.get("place"),
        "headings": [heading for _, heading, _ in RATIOS],
        "with_other": bool(summary.get("compared")),
        "fertility": fertility_rows(summary),
        "sample": [
            {"name": name, "share": show.share(row["share"], 1), **{k: row[k] for k in ("texts", "bytes", "short")}}
            for name, row in sorted(languages.items())
        ],
    }
