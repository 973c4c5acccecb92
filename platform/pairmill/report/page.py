"""The run's page: one HTML file that needs nothing else, whatever the rows hold.

1. `view.prepare` turns the summary (plain JSON) into what the page shows: sorted, bounded, formatted.
2. A Jinja2 template writes it (`templating.py`: nothing that comes from the rows can act on the page). Its one script,
   `templates/curate.js`, is allowed by its digest; it searches, filters and moves thresholds over what the page already
   says in its tables, and the page can be read without it.
3. A page above `LARGEST` bytes is written again with shorter sample texts, then with fewer samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pairmill.report.sample_view import texts
from pairmill.report.templating import script, template
from pairmill.report.view import prepare

LARGEST = 5_000_000
#: Characters of a sample text, and samples in the whole page, where the page stays below LARGEST.
TEXT_CHARACTERS, SHORTEST_TEXT, SAMPLES = 1000, 40, 2000


def render(summary: Mapping[str, Any]) -> str:
    """The page for a run's summary (its shape: the docstring of `view`), at most 5 MB in UTF-8.

    Lists may be empty and values null; a run that failed early, without a ledger, has a page too.
    """
    written, acting = template("curate.html.j2"), script("curate.js")
    characters, samples = TEXT_CHARACTERS, SAMPLES
    while True:
        view = prepare(summary, characters, samples)
        page = written.render(view, script=acting)
        size = len(page.encode())
        if size <= LARGEST or samples == 1:
            return page
        shown = sum(len(text["html"].encode()) for text in texts(view))
        room = LARGEST - (size - shown)
        if characters > SHORTEST_TEXT and room > 0:
            characters = max(SHORTEST_TEXT, int(0.95 * characters * room / shown))
        else:
            samples = max(1, samples // 4)
