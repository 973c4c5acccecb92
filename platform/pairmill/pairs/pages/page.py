"""A page: its tree, and what builders ask for, computed when they do."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from pairmill.pairs.pages import content, limits, titles, urls

#: Asking a node for an attribute costs 10 us, so only `meta` elements that matter are asked.
_NAMES = ("application-name", "apple-mobile-web-app-title")
_META = ", ".join(
    [
        'meta[property^="og:" i][content]',
        'meta[name^="og:" i][content]',
        'meta[http-equiv="content-language" i][content]',
        *(f'meta[name="{name}" i][content]' for name in _NAMES),
    ]
)


class Page:
    """A parsed page. `address` is where it was found, `lang` what its record says; both may be unknown."""

    def __init__(self, html: str, address: str | None = None, lang: str | None = None, extractor: str = "resiliparse"):
        from resiliparse.parse.html import HTMLTree

        limits.check_source(html)
        self.html, self.address, self.extractor = html, address, extractor
        self.tree: Any = HTMLTree.parse(html)
        limits.check_depth(self.tree, html.count("<"))
        self.lang = lang or self._declared()

    def select(self, selector: str) -> Any:
        """The elements that a CSS selector matches, in document order."""
        return self.tree.document.query_selector_all(selector)

    @cached_property
    def _meta(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for node in self.select(_META):
            name = node.getattr("property") or node.getattr("name") or node.getattr("http-equiv")
            if name:
                found.setdefault(name.strip().lower(), node.getattr("content"))
        return found

    def meta(self, name: str) -> str:
        """The content of the first such `meta` element of those in `_META`; empty where there is none."""
        return self._meta.get(name, "").strip()

    @cached_property
    def base(self) -> str:
        """What relative links are relative to."""
        return urls.resolve(self.address or "", _href(self.tree, "base[href]")) or self.address or ""

    @cached_property
    def url(self) -> str | None:
        """The canonical address where it is on the same host, so that an opt-out of that host is not evaded."""
        canonical = urls.resolve(self.base, _href(self.tree, "link[rel~=canonical][href]"))
        if urls.on_the_web(canonical) and (not self.address or urls.host(canonical) == urls.host(self.address)):
            return canonical
        return self.address

    def _declared(self) -> str | None:
        """The first of the page's own declarations that is a language."""
        from pairmill.pairs.sources.languages import declared_language  # sources know the builders, which know pages

        root = self.tree.document.document_element
        places = [root.getattr("lang"), root.getattr("xml:lang")] if root is not None else []
        places += [self.meta("content-language").partition(",")[0], self.meta("og:locale")]
        return next((found for place in places if place and (found := declared_language(place))), None)

    @cached_property
    def title(self) -> str:
        """The title without the site's name, on one line; empty where there is none."""
        return titles.title(self)

    @cached_property
    def blocks(self) -> list[content.Block]:
        """The main content."""
        return content.main_content(self.tree, self.html, self.extractor)


def _href(tree: Any, selector: str) -> str:
    node = tree.document.query_selector(selector)
    return node.getattr("href") or "" if node is not None else ""
