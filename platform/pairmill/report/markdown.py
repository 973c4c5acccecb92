"""Markdown from strings that come from anywhere: they are shown, and act on nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from pairmill.report import show

_ACTING = re.compile(r"([\\`*_\[\]<>|~$&:@]|(?<=www)\.)")
_BARE_PIPE = re.compile(r"(?<!\\)\|")


def text(thing: Any) -> str:
    """Anything as running text, on one line; addresses make no links."""
    return _ACTING.sub(r"\\\1", show.fact(thing))


def code(thing: Any) -> str:
    """A code span, whatever backticks it holds."""
    told = show.fact(thing)
    if "`" not in told:
        return f"`{told}`"
    ticks = "`" * (1 + _longest_run(told))
    return f"{ticks} {told} {ticks}"


def fenced(block: str, language: str) -> str:
    """A code block, whatever backticks it holds."""
    block = show.lines(block).rstrip("\n")
    fence = "`" * max(3, 1 + _longest_run(block))
    return f"{fence}{language}\n{block}\n{fence}"


def _longest_run(of: str) -> int:
    return max((len(ticks) for ticks in re.findall("`+", of)), default=0)


def table(head: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """A table of ready cells; the first `left` columns are text, the others numbers."""
    rule = ["---"] * left + ["---:"] * (len(head) - left)
    cells = [[_BARE_PIPE.sub(r"\\|", cell) for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *cells))


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """A table of names and ready values, without a head."""
    return table(["", ""], pairs, left=2)
