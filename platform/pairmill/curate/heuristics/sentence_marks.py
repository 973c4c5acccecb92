"""Marks that end sentences, in the scripts of the world."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from pairmill.curate import codepoints

if TYPE_CHECKING:
    from pairmill.curate.heuristics.side import Side

STATEMENT, QUESTION, EXCLAMATION = 1, 2, 3
_MARKS = {STATEMENT: ".…。．｡।॥۔։።။។៕᠃།", QUESTION: "?？؟՞፧", EXCLAMATION: "!！‼՜"}
_WIDE = np.array([ord(mark) for mark in "。．｡！？"], np.uint32)  # the next sentence may follow without a space
_CLOSED = np.array([ord(mark) for mark in '"”’»['], np.uint32)


@cache
def marks() -> np.ndarray:
    """The uint8 table (0x110000,) from code point to STATEMENT, QUESTION, EXCLAMATION or 0."""
    table = np.zeros(codepoints.LIMIT, np.uint8)
    for kind, characters in _MARKS.items():
        table[[ord(character) for character in characters]] = kind
    return table


def count(side: Side) -> np.ndarray:
    """Marks per row behind which a sentence ends, where white space, a closing mark or the end of the row follows."""
    at, _, row = side.terminals
    behind = side.beside(at, 1)
    again = np.r_[(at[1:] == at[:-1] + 1) & (side.signs[at[1:]] == side.signs[at[:-1]] + 1), False][: len(at)]
    ends = (behind == codepoints.SPACE) | (behind == codepoints.PUNCTUATION) | np.isin(side.sign_points[at], _WIDE)
    return np.bincount(row[ends & ~again], minlength=len(side))


def last(side: Side) -> np.ndarray:
    """The kind of the mark that each row ends in, up to two signs behind it left out; 0: none. uint8 (n,)."""
    at, kind, row = side.terminals
    kinds = np.zeros(len(side), np.uint8)
    final = _final(side, at)
    np.maximum.at(kinds, row[final], kind[final])
    return kinds


def ends_in_ellipsis(side: Side) -> tuple[np.ndarray, np.ndarray]:
    """Rows that end in an ellipsis or three dots, up to two signs behind it left out, and those of them where it stands
    in square brackets or behind a closing quote: bools (n,).
    """
    at, _, row = side.terminals
    final = _final(side, at)
    points = side.flat[side.signs[at]]
    dots = points == ord(".")
    three = np.zeros(len(at), bool)
    three[2:] = dots[2:] & dots[1:-1] & dots[:-2] & (side.signs[at[2:]] - side.signs[at[:-2]] == 2)
    found = final & (three | (points == ord("…")))
    place = side.signs[at[found]] - np.where(points[found] == ord("…"), 1, 3)
    inside = place >= side.offsets[row[found]]
    before = np.where(inside, place, 0)
    opens = (side.flat[before] == ord('"')) & (side.classes[np.maximum(before - 1, 0)] == codepoints.SPACE)
    marked = np.isin(side.flat[before], _CLOSED) & inside & ~opens
    ends, shows = np.zeros(len(side), bool), np.zeros(len(side), bool)
    ends[row[found]] = True
    shows[row[found][marked]] = True
    return ends, shows


def _final(side: Side, at: np.ndarray) -> np.ndarray:
    """Which of some signs are the last of their row, up to two signs or spaces behind it left out."""
    left = side.offsets[side.sign_rows[at] + 1] - side.signs[at] - 1
    final = left <= 2
    for distance in (1, 2):
        final[final] &= (left[final] < distance) | (side.beside(at[final], distance) >= codepoints.SPACE)
    return final
