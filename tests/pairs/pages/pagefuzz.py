"""Pages of random tags, attributes and fragments for every page builder; each seed is printed before it is tried."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import suppress

from pairmill.pairs.batch import WrongRecord
from pairmill.pairs.builders import faq, heading_section, title_body
from pairmill.pairs.builders.webpage import page_of
from pairmill.pairs.pages.links import links
from pairmill.spec.page_builders import Faq, HeadingSection, TitleBody

TAGS = """
    html head body title base meta link script style template svg math table tr td th tbody caption select option form
    input button textarea p div span a b font nobr ul ol li dl dt dd h1 h2 h6 pre plaintext frameset noframes iframe
    noscript object article main nav footer details summary img br ruby rt foreignObject mi annotation-xml x-y
""".split()  # noqa: SIM905
ATTRIBUTES = (
    'class="main content"', "class=nav", "hidden", "href=/x", "href=//[", "lang=en", "itemprop=name", "itemprop=text",
    'itemscope itemtype="http://schema.org/Question"', "itemprop=acceptedAnswer", "typeof=Question", "property=name",
    "property=acceptedAnswer", 'type="application/ld+json"', 'property="og:title"', 'content="5"', '="', "'",
    "role=main",
)  # fmt: skip
FRAGMENTS = (
    "<!--", "-->", "<![CDATA[", "]]>", "<!doctype html>", "<?x", "&#0;", "&#xD800;", "&amp", "\0", "\x1b", "\ud800",
    "<<<<", "</", "<!", '{"@type": "Question", "name": "Why?", "acceptedAnswer": {"text": "<p>So."}}',
    "What? ", "text " * 20,
)  # fmt: skip


def build_all(html: str | bytes) -> None:
    """Raises WrongRecord for a page that is not read."""
    record = {"html": html, "url": "http://a.example/b"}
    title_body.build(record, TitleBody(name="title-body"))
    heading_section.build(record, HeadingSection(name="heading-section"))
    faq.build(record, Faq(name="faq"))
    links(page_of(record, TitleBody(name="title-body")))


def document(chance: random.Random) -> Iterator[str]:
    for _ in range(chance.choice((5, 50, 300))):
        kind = chance.random()
        if kind < 0.5:
            attributes = chance.choices(ATTRIBUTES, k=chance.choice((0, 0, 1, 3)))
            yield "<" + " ".join([chance.choice(TAGS), *attributes]) + chance.choice(">>>> /")
        else:
            yield f"</{chance.choice(TAGS)}>" if kind < 0.75 else chance.choice(FRAGMENTS)


def main(seeds: int) -> None:
    for seed in range(seeds):
        print(seed, flush=True)
        html = "".join(document(random.Random(seed)))
        with suppress(WrongRecord):
            build_all(html if seed % 2 else html.encode("utf-8", "replace"))
