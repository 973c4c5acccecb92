"""Which pages are not read: those whose parsing or extraction would take seconds to hours.

resiliparse's parser needs no recursion, so no nesting makes it crash; but its time is quadratic in a few shapes that
only damaged, generated or hostile pages have. Where a limit is passed, the page goes to quarantine.

1. `MAX_CHARS`: Common Crawl itself cuts pages there.
2. `MAX_TAGS` bounds everything below: 100,000 elements.
3. Attributes: a tag's are compared with each other. 2,000 take 10 ms, 100,000 half a minute.
4. Unclosed formatting (`<font color=..>`): the parser repeats all that are open in each new block.
5. Nesting: content extraction looks at a tag's ancestors, 0.2 us each. Browsers, too, stop at depth 512.
"""

from __future__ import annotations

import re
from typing import Any

from pairmill.pairs.batch import WrongRecord

MAX_CHARS = 5 << 20
MAX_TAGS = 200_000
MAX_ATTRIBUTES = 2_000
MAX_FORMATTING = 1_000
#: Tags times depth: 2 s of extraction.
MAX_ANCESTORS = 10_000_000
MAX_DEPTH = 512
#: Pages of fewer tags cannot be slow, however they are nested.
FEW_TAGS = 3_000
#: Share of characters that are NUL or undecodable from which a page is no text.
BINARY_SHARE = 0.05

_LONG = 4_096  # characters without `>` that are looked at for attributes
_TAG = re.compile(r"<[A-Za-z]")
_FORMATTING = re.compile(r"<(/?)(?:a|b|big|code|em|font|i|nobr|s|small|strike|strong|tt|u)(?=[\s/>])", re.I)


def refuse_binary(text: str) -> str:
    """The text without NULs. Raises WrongRecord where so many characters are NUL or U+FFFD that it is no text."""
    nuls = text.count("\0")
    strange = nuls + text.count("\N{REPLACEMENT CHARACTER}")
    if strange > BINARY_SHARE * len(text):
        raise WrongRecord(f"html: no text: {strange} of {len(text)} characters are NUL or undecodable in any encoding")
    return text.replace("\0", "") if nuls else text


def check_size(size: int) -> None:
    """Raises WrongRecord for a page of more bytes or characters than are read."""
    if size > MAX_CHARS:
        raise WrongRecord(f"html: page too long: {size:,} bytes; at most {MAX_CHARS:,} are read")


def check_source(html: str) -> None:
    """Raises WrongRecord where parsing would be slow."""
    tags = html.count("<")
    if tags > MAX_TAGS:
        raise WrongRecord(f"html: page of {tags:,} tags; at most {MAX_TAGS:,} are read")
    if len(html) > _LONG:
        _check_attributes(html)
    if tags > FEW_TAGS:
        slashes = _FORMATTING.findall(html)
        unclosed = len(slashes) - 2 * sum(map(bool, slashes))
        if unclosed > MAX_FORMATTING:
            raise WrongRecord(f"html: {unclosed:,} unclosed formatting tags; at most {MAX_FORMATTING:,} are read")


def _check_attributes(html: str) -> None:
    start = 0
    while len(html) - start > _LONG:
        end = html.rfind(">", start, start + _LONG)
        if end < 0:
            end = html.find(">", start)
            end = len(html) if end < 0 else end
            tag = _TAG.search(html, start, end)
            count = len(html[tag.start() : end].split()) if tag else 0
            if count > MAX_ATTRIBUTES:
                raise WrongRecord(f"html: a tag with {count:,} attributes; at most {MAX_ATTRIBUTES:,} are read")
        start = end + 1


def check_depth(tree: Any, tags: int) -> None:
    """Raises WrongRecord where content extraction would be slow. `tree`: resiliparse's HTMLTree."""
    if tags <= FEW_TAGS or tree.document is None:
        return
    depth = min(MAX_DEPTH, MAX_ANCESTORS // tags)
    if tree.document.query_selector(" > ".join(["*"] * (depth + 1))) is not None:
        raise WrongRecord(f"html: tags nested deeper than {depth}, to which a page of {tags:,} tags is read")
