"""A page's title without the name of its site.

1. The title is the `title` element's text, else `og:title`, else the first `h1`.
2. Where a part of it before or after a separator (` - `, ` | `, ` :: `) is the site's name (`og:site_name`,
   `application-name`, or the host), that part goes.
3. Else, where the part before a separator is the page's only matching `h1` or its `og:title`, it is the title.
"""

from __future__ import annotations

import re
from typing import Any

from pairmill.pairs.pages import urls

_SEPARATOR = re.compile(r"\s+[-–—|·•»«:/~]{1,2}\s+|\s*[|｜]\s*|\s*::\s*")
_SITE_NAMES = ("og:site_name", "application-name", "apple-mobile-web-app-title")
#: Longer titles are no titles; looking for separators in them would be wasted.
_MAX_TITLE = 1_000


def title(page: Any) -> str:
    """The title of a `Page`, on one line; empty where it has none."""
    og = _line(page.meta("og:title"))
    headings = [_line(node.text) for node in page.select("h1") if not _is_logo(node)]
    whole = _line(page.tree.title) or og or next(filter(None, headings), "")
    if len(whole) > _MAX_TITLE:
        return whole
    return without_site(whole, _site_names(page), {og, *headings} - {""})


def without_site(whole: str, sites: set[str], others: set[str]) -> str:
    """A title without the site's name. `sites`: names it may have, folded; `others`: the page's other titles."""
    cuts = [match.span() for match in _SEPARATOR.finditer(whole) if match.start() > 0 and match.end() < len(whole)]
    if not cuts:
        return whole
    (first_start, first_end), (last_start, last_end) = cuts[0], cuts[-1]
    if _fold(whole[last_end:]) in sites:
        return whole[:last_start]
    if _fold(whole[:first_start]) in sites:
        return whole[first_end:]
    known = {_fold(other) for other in others} - sites
    if _fold(whole[last_end:]) in known:  # the heading may be the site's name
        return whole
    for start, _ in reversed(cuts):
        if _fold(whole[:start]) in known:
            return whole[:start]
    return whole


def _site_names(page: Any) -> set[str]:
    """What the site may call itself, folded: also `example.com` and `example`."""
    names = {_fold(_line(page.meta(name))) for name in _SITE_NAMES}
    if host := urls.host(page.url or ""):
        names |= {host, host.rpartition(".")[0]}
    return names - {""}


def _is_logo(heading: Any) -> bool:
    """Whether an h1 is the site's name, which links to the home page."""
    link = heading.query_selector("a[href]")
    return link is not None and link.getattr("href").rstrip("/").count("/") in (0, 2) and link.text == heading.text


def _line(text: str | None) -> str:
    return " ".join((text or "").split())


def _fold(text: str) -> str:
    return _line(text).casefold()
