"""A link's text -> the title or the main content of the page it leads to (GTE, 2308.03281, uses hyperlinks so).

All files of the input are one world (see `joining`): only links between its pages count.

1. First reading: each page's title (or main content) and language go to the temporary disk, by its address and by its
   canonical address. Of two pages with one address the first counts. A text that leads to more than `MAX_TARGETS` pages
   from pages of one site and language ("next", "edit", a menu's entry for each page's subpage) is noted as generic.
2. Second reading: the links of each batch of pages are looked up; a page is the record of all pairs of its links.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
from xxhash import xxh3_64_intdigest

from pairmill.pairs.batch import Batch
from pairmill.pairs.builders import joining
from pairmill.pairs.builders.base import Pair, WrongRecord, batches
from pairmill.pairs.builders.joining import split
from pairmill.pairs.builders.lookup import Lookup
from pairmill.pairs.builders.webpage import page_of
from pairmill.pairs.pages import content
from pairmill.pairs.pages.links import Link, links
from pairmill.pairs.pages.page import Page
from pairmill.pairs.pages.urls import host, key
from pairmill.pairs.sources.base import BATCH_ROWS, Piece, SourceFile
from pairmill.spec.page_builders import Anchors

__all__ = ["find", "read", "split"]

#: Pages of a site that one text may lead to.
MAX_TARGETS = 3
#: Texts whose targets are remembered; then those with the fewest are forgotten, until half are left. About 250 MB.
MAX_TEXTS = 1_000_000
#: A page's links, its language and address.
_Found = tuple[list[Link], str | None, str | None]


def find(spec: Any) -> list[SourceFile]:
    return joining.find_together(spec, {})


def read(spec: Any, piece: Piece, batch_rows: int = BATCH_ROWS) -> Iterator[Batch]:
    options: Anchors = spec.builder
    texts = _Texts()
    with Lookup() as pages:

        def remember(row: int, record: dict[str, Any]) -> list[tuple[Lookup, Any, Any]]:
            page = page_of(record, options)
            texts.add(page)
            value = orjson.dumps([_target(page, options), page.lang])
            keys = dict.fromkeys([key(page.address or ""), key(page.url or "")])
            return [(pages, each, value) for each in keys if each]

        for uri in piece.uris:
            for some in joining.records(spec, uri):
                joining.collect(some, "", remember, spec.langs)
        for uri in piece.uris:
            for some in joining.records(spec, uri, batch_rows):
                found = {row: _links(record, options, texts) for row, record in some.items}
                targets = {link.target for made in found.values() if isinstance(made, tuple) for link in made[0]}
                known = {target: orjson.loads(value) for target, value in pages.get(list(targets)).items()}
                yield from batches(some, _Build(found, known), spec.langs)


def _target(page: Page, options: Anchors) -> str:
    return page.title if options.target == "title" else content.join(page.blocks)


class _Texts:
    """The texts that lead to many pages of a site."""

    def __init__(self) -> None:
        self.targets: dict[tuple[str, str], set[int]] = {}
        self.generic: set[tuple[str, str]] = set()

    def add(self, page: Page) -> None:
        for link in links(page):
            key = self._key(page, link)
            if key in self.generic:
                continue
            targets = self.targets.setdefault(key, set())
            targets.add(xxh3_64_intdigest(link.target.encode()))
            if len(targets) > MAX_TARGETS:
                self.generic.add(key)
                del self.targets[key]
        if len(self.targets) > MAX_TEXTS:
            self._forget()

    def _forget(self) -> None:
        fewest = 1
        while len(self.targets) > MAX_TEXTS // 2:
            self.targets = {key: targets for key, targets in self.targets.items() if len(targets) > fewest}
            fewest += 1

    def telling(self, page: Page) -> list[Link]:
        return [link for link in links(page) if self._key(page, link) not in self.generic]

    @staticmethod
    def _key(page: Page, link: Link) -> tuple[str, str]:
        return f"{host(page.url or '')} {page.lang}", link.text


def _links(record: dict[str, Any], options: Anchors, texts: _Texts) -> _Found | WrongRecord:
    try:
        page = page_of(record, options)
    except WrongRecord as error:
        return error
    return texts.telling(page), page.lang, page.url


class _Build:
    """The pairs of a page, given the links of its batch's pages and what is known of where they lead."""

    def __init__(self, found: dict[int, _Found | WrongRecord], known: dict[str, tuple[str, str | None]]):
        self.found, self.known = found, known

    def __call__(self, row: int, record: dict[str, Any]) -> list[Pair] | str:
        found = self.found[row]
        if isinstance(found, WrongRecord):
            raise found
        some, lang, url = found
        if not some:
            return "no_links_found"
        pairs = {
            (link.text, text): Pair(link.text, text, anchor_lang=lang, positive_lang=target_lang, url=url)
            for link in some
            for text, target_lang in [self.known.get(link.target, ("", None))]
            if text
        }
        return list(pairs.values()) or "no_target"
