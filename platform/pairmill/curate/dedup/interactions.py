"""Which rows have code points that interact with their neighbours when text is folded: the rules of `folding`."""

import numpy as np

from pairmill.curate.dedup.folding import COMPOSES, MAY_BE_FINAL, ORDERED, SPACE, tables

_STEPS_BACK = 16
_JAMO = (0x1161, 0x11C2)
_CASED_GREEK = (0x391, 0x3CE)
_WORD_STARTS_AFTER = (SPACE, 0xA)


def interacting(flat: np.ndarray, at: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Return the rows, ascending, in which neighbours interact; a row may be named without need, never missed.

    `at` holds the positions in `flat` that `tables().fold` flags.
    """
    if not len(at):
        return at
    starts = np.zeros(len(flat) + 1, bool)
    starts[offsets] = True
    flags = tables().fold[flat[at]]
    found = [
        _moves(at[(flags & ORDERED) > 0], flat, starts),
        _composes(at[(flags & COMPOSES) > 0], flat, starts),
        _may_be_final(at[(flags & MAY_BE_FINAL) > 0], flat, starts),
    ]
    return np.unique(np.searchsorted(offsets, np.concatenate(found), side="right") - 1)


def _before(at: np.ndarray, flat: np.ndarray, starts: np.ndarray) -> np.ndarray:
    return np.where(starts[at], SPACE, flat[at - 1])


def _moves(at: np.ndarray, flat: np.ndarray, starts: np.ndarray) -> np.ndarray:
    table = tables()
    return at[table.tail[_before(at, flat, starts)] > table.head[flat[at]]]


def _composes(at: np.ndarray, flat: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Find what composes with the starter before it; marks in between are taken not to stand in the way."""
    table = tables()
    first = table.first[flat[at]].astype(np.uint64)
    found = (first >= _JAMO[0]) & (first <= _JAMO[1])
    open_, back = np.flatnonzero(~found), at[~found]
    for _ in range(_STEPS_BACK):
        if not len(open_):
            return at[found]
        starter = np.where(starts[back], SPACE, table.starter[flat[back - 1]]).astype(np.uint64)
        found[open_] = _is_pair(starter << np.uint64(21) | first[open_])
        marks = starter == 0
        open_, back = open_[marks], back[marks] - 1
    found[open_] = True
    return at[found]


def _is_pair(keys: np.ndarray) -> np.ndarray:
    pairs = tables().pairs
    return pairs[np.minimum(np.searchsorted(pairs, keys), len(pairs) - 1)] == keys


def _may_be_final(at: np.ndarray, flat: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Find the capital sigmas that neither start a word nor stand before a Greek letter."""
    word_start = np.isin(_before(at, flat, starts), _WORD_STARTS_AFTER)
    after = np.where(starts[at + 1], SPACE, flat[np.minimum(at + 1, len(flat) - 1)])
    return at[~word_start & ~((after >= _CASED_GREEK[0]) & (after <= _CASED_GREEK[1]) & (after != 0x3A2))]
