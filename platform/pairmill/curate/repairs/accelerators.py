"""Menu accelerators of software messages, removed where both sides of a pair mark exactly one.

A mark is `_`, `&` or `~` in front of a letter or digit (`_File`, `E&xit`, `~Tools`), or behind a text in a script
without capitals in brackets: `文件(_F)`, `ファイル(&F)`, `파일(F)`. A word with a mark inside that both sides hold is a
name: `AT&T` and `snake_case` stay, as do `__init__`, `R & D` and `~5`.
"""

from __future__ import annotations

import re

HINT = "[_&~(（]"
_BRACKETED = re.compile(r"\s?[(（][_&~]?[A-Z0-9][)）](?=[\s.…:：]|$)")
_SIGNS = re.compile(r"(?<![_&~])(?:[_&](?=[^\W_])|~(?=[^\W\d_]))")
_BEFORE, _BEHIND = re.compile(r"\w*$"), re.compile(r"[_&~]\w*")
_CAPITALLESS = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


def remove(left: str, right: str) -> tuple[str, str]:
    """Both texts without their accelerators, or as they were where one of them marks none or several."""
    marks = _only(left), _only(right)
    if marks[0] is None or marks[1] is None:
        return left, right
    name = _name(left, marks[0])
    if name and name == _name(right, marks[1]):
        return left, right
    return left[: marks[0].start()] + left[marks[0].end() :], right[: marks[1].start()] + right[marks[1].end() :]


def _name(text: str, mark: re.Match[str]) -> str:
    """The word that has the mark inside; empty if the mark does not stand behind a letter."""
    before, behind = _BEFORE.search(text, 0, mark.start()), _BEHIND.match(text, mark.start())
    return before[0] + behind[0] if before and before[0] and behind else ""


def _only(text: str) -> re.Match[str] | None:
    """The accelerator's mark; None if the text does not hold exactly one."""
    bracketed = list(_BRACKETED.finditer(text)) if _CAPITALLESS.search(text) else []
    inside = [match.span() for match in bracketed]
    signs = [m for m in _SIGNS.finditer(text) if not any(start <= m.start() < end for start, end in inside)]
    marks = bracketed + signs
    return marks[0] if len(marks) == 1 else None
