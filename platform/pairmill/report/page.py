"""The run's page: one HTML file that needs nothing else, whatever the rows hold.

1. `view.prepare` turns the summary (plain JSON) into what the page shows: sorted, bounded, formatted.
2. A Jinja2 template writes it (`templating.py`: nothing that comes from the rows can act on the page).
3. A page above `LARGEST` bytes is written again with shorter sample texts, then with fewer samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pairmill.report.templating import template
from pairmill.report.view import prepare

LARGEST = 5_000_000
#: Characters of a sample text, and samples in the whole page, where the page stays below LARGEST.
TEXT_CHARACTERS, SHORTEST_TEXT, SAMPLES = 1000, 40, 2000


def _text_bytes(view: Mapping[str, Any]) -> int:
    rows = [row for group in view["groups"] for row in group["rows"]]
    texts = [row[part] for row in rows for part in ("anchor", "positive", "duplicate") if row[part]]
    leaks = (view["contamination"] or {}).get("samples", ())
    texts += [row[part] for row in leaks for part in ("evaluation", "around")]
    return sum(len(text["html"].encode()) for text in texts)


def render(summary: Mapping[str, Any]) -> str:
    """The page for a run's summary (its shape: the docstring of `view`), at most 5 MB in UTF-8.

    Lists may be empty and values null; a run that failed early, without a ledger, has a page too.
    """
    written = template("curate.html.j2")
    characters, samples = TEXT_CHARACTERS, SAMPLES
    while True:
        view = prepare(summary, characters, samples)
        page = written.render(view)
        size = len(page.encode())
        if size <= LARGEST or samples == 1:
            return page
        texts = _text_bytes(view)
        room = LARGEST - (size - texts)
        if characters > SHORTEST_TEXT and room > 0:
            characters = max(SHORTEST_TEXT, int(0.95 * characters * room / texts))
        else:
            samples = max(1, samples // 4)
