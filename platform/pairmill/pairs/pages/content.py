"""A page's main content as blocks: headings with their level, and the text between them.

1. The extractor leaves out menus, headers, footers, forms, comments and what CSS classes mark as such. resiliparse does
   so by rules (Bevendorff et al., 2023); trafilatura (Barbaresi, ACL 2021) by rules, then by comparing with two other
   extractors where its own result looks too short.
2. What remains is written as minimal HTML, in which only headings are looked for: everything between them is text, one
   line per paragraph, list item, table row or line break.
"""

from __future__ import annotations

import re
from html import unescape
from typing import Any, NamedTuple

from pairmill.errors import PairmillError

#: The mark behind a heading that links to it (`#` only behind a space: there is C#).
_PERMALINK = re.compile(r"(?:\s*[¶§🔗]|\s+#)$")
_HEADING = re.compile(r"<(/?)h([1-6])>")
_MARKUP = re.compile(r"<[^<>]*>")
#: The site's header, which resiliparse keeps because articles have headers, too.
_CHROME = ["body > header", "[role=banner]", "[role=contentinfo]"]
_OPTIONS: dict[str, Any] = {"alt_texts": False, "list_bullets": False, "comments": False, "post_meta": False}


class Block(NamedTuple):
    """A heading (level 1 to 6) or the text between two headings (level 0), its lines separated by line feeds."""

    level: int
    text: str


def main_content(tree: Any, html: str, extractor: str) -> list[Block]:
    """The blocks of a page's main content, empty ones left out. `tree`: resiliparse's HTMLTree of `html`."""
    from resiliparse.extract.html2text import extract_plain_text

    if extractor == "trafilatura":
        found = _by_trafilatura(html)
        minimal = extract_plain_text(found, preserve_formatting="minimal_html", **_OPTIONS) if found else ""
    else:
        minimal = extract_plain_text(
            tree, preserve_formatting="minimal_html", main_content=True, skip_elements=_CHROME, **_OPTIONS
        )
    return _blocks(minimal)


def _by_trafilatura(html: str) -> str | None:
    try:
        import trafilatura
    except ImportError as error:
        raise PairmillError(
            f"extractor trafilatura: {error}. Run `pip install 'pairmill[web]'`, or choose `extractor: resiliparse`."
        ) from error
    found: str | None = trafilatura.extract(html, output_format="html", include_comments=False, deduplicate=False)
    return found


def text_of(html: str) -> str:
    """The text of a piece of HTML (a schema.org answer), a line per paragraph."""
    from resiliparse.extract.html2text import extract_plain_text

    return _lines(extract_plain_text(html, preserve_formatting="minimal_html", **_OPTIONS))


def _blocks(minimal: str) -> list[Block]:
    blocks: list[Block] = []
    level, at = 0, 0
    for tag in _HEADING.finditer(minimal):
        _add(blocks, level, minimal[at : tag.start()])
        level, at = (0 if tag[1] else int(tag[2])), tag.end()
    _add(blocks, level, minimal[at:])
    return blocks


def _add(blocks: list[Block], level: int, minimal: str) -> None:
    text = _lines(minimal)
    if level:
        text = _PERMALINK.sub("", " ".join(text.split("\n")))
    if text:
        blocks.append(Block(level, text))


def _lines(minimal: str) -> str:
    """Text of minimal HTML, where every `<` is a tag's: tags removed, white space collapsed, empty lines dropped."""
    lines = (" ".join(line.split()) for line in unescape(_MARKUP.sub("", minimal)).split("\n"))
    return "\n".join(line for line in lines if line)


def join(blocks: list[Block]) -> str:
    """The text of some blocks, headings included."""
    return "\n".join(block.text for block in blocks)
