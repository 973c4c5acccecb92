"""The run's page: one HTML file that needs nothing else, whatever the rows hold.

1. `view.prepare` turns the summary (plain JSON) into what the page shows: sorted, bounded, formatted.
2. A Jinja2 template writes it. Autoescape is always on, and every value that is no markup goes through
   `show.one_line` first, so that no name, path or message can act on the page, or fail to encode.
3. A page above `LARGEST` bytes is written again with shorter sample texts, then with fewer samples.

The page holds no script, and its Content-Security-Policy forbids scripts and every request.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pairmill.report import show
from pairmill.report.view import prepare

LARGEST = 5_000_000
#: Characters per sample text and samples in the whole page, tried in this order until the page is small enough.
SIZES = ((1000, 2000), (500, 2000), (250, 2000), (100, 2000), (40, 2000), (40, 200))


def _final(value: Any) -> Any:
    """Applied to every `{{ }}` of the template."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return show.one_line(value, 1000)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("pairmill.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_final,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    names = ("marked", "whole", "plural", "share", "value", "fact", "size", "bounds")
    environment.filters.update({name: getattr(show, name) for name in names})
    environment.filters["lines"] = lambda text: Markup("{}").format(show.lines(text))
    return environment


def render(summary: Mapping[str, Any]) -> str:
    """The page for a run's summary (its shape: docs of `view.prepare`), at most 5 MB in UTF-8.

    Lists may be empty and values null; a run that failed early, without a ledger, has a page too.
    """
    template = _environment().get_template("run.html.j2")
    for characters, samples in SIZES:
        page = template.render(prepare(summary, characters, samples))
        if len(page.encode()) <= LARGEST:
            break
    return page
