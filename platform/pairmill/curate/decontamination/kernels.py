"""The inner loops of decontamination, compiled by numba when first used (see `compiled.py`).

A run of tokens is hashed by a polynomial modulo 2^64 over the tokens' hashes, taken from the polynomials of all
prefixes, and a mixer with the kind of key: seed, whole or gap.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from pairmill.compiled import Kernel, compile_kernel

if TYPE_CHECKING:
    from pairmill.curate.decontamination.index import Index, Limits
    from pairmill.curate.decontamination.tokens import Tokens

SEED, WHOLE, GAP = 1, 2, 3
#: What can stand for one word: so many letters (in twentieths) of characters in scripts without spaces, marks counted
#: at most so many characters.
_WORD_OF_CHARACTERS, _MOST_CHARACTERS = 180, 10
_MULTIPLIERS = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0xFF51AFD7ED558CCD], np.uint64)


def is_word(sizes: np.ndarray, words: np.ndarray, much: bool) -> bool:
    """Whether a run of tokens, given by their columns, can be what one changed word was or has become.

    Where `much` of the text is left, an n-gram or more, a word may be of two tokens: `on-line`, `{max_days}`.
    """
    if len(sizes) <= 1 or (much and len(sizes) == 2):
        return True
    few = len(sizes) <= _MOST_CHARACTERS and int(sizes.sum()) <= _WORD_OF_CHARACTERS
    return few and not words.any()


def ends(cut: Tokens, size: int, words: int) -> np.ndarray:
    """For each token the end of the shortest run from it on that has the size or so many words; -1: none. int64."""
    out = np.empty(len(cut.hashes), np.int64)
    _compiled("ends")(cut.sizes, cut.words, cut.offsets, size, words, out)
    return out


def run_keys(cut: Tokens, stops: np.ndarray, kind: int) -> np.ndarray:
    """The key of the run from each token up to `stops`, 0 where that is -1. uint64."""
    out = np.zeros(len(cut.hashes), np.uint64)
    _compiled("run_keys")(cut.hashes, cut.offsets, stops, kind, _MULTIPLIERS, out)
    return out


def whole_keys(cut: Tokens) -> np.ndarray:
    """The key of each text, 0 for one without tokens. uint64 (n,)."""
    stops = np.full(len(cut.hashes), -1, np.int64)
    filled = np.diff(cut.offsets) > 0
    stops[cut.offsets[:-1][filled]] = cut.offsets[1:][filled]
    out = np.zeros(len(cut.offsets) - 1, np.uint64)
    out[filled] = run_keys(cut, stops, WHOLE)[cut.offsets[:-1][filled]]
    return out


def choose(cut: Tokens, seeds: np.ndarray, grams: np.ndarray, allowed: np.ndarray, dense: int) -> np.ndarray:
    """Which tokens get a seed (see `index`). `seeds`, `grams`: ends of the runs; `dense`: size up to which all do."""
    out = np.zeros(len(cut.hashes), np.bool_)
    _compiled("choose")(cut.sizes, cut.offsets, seeds, grams, allowed, dense, out)
    return out


def gap_keys(cut: Tokens, limits: Limits) -> tuple[np.ndarray, np.ndarray]:
    """The gap keys of all texts, and the text of each."""
    keys, text = np.empty(0, np.uint64), np.empty(0, np.int64)
    bounds = (limits.changed, limits.gram, limits.longest_changed)
    for _ in range(2):  # the first time counts
        found = _compiled("gaps")(cut.hashes, cut.sizes, cut.words, cut.offsets, *bounds, _MULTIPLIERS, keys, text)
        if found <= len(keys):
            break
        keys, text = np.empty(found, np.uint64), np.empty(found, np.int64)
    return keys, text


def look_up(keys: np.ndarray, index: Index) -> np.ndarray:
    """The first entry of the index that has each key; -1: none, and where the key is 0. int64."""
    out = np.empty(len(keys), np.int64)
    _compiled("look_up")(keys, index.keys, index.heads, out)
    return out


@cache
def _compiled(name: str) -> Kernel:
    signatures: dict[str, tuple[Kernel, str, str, str]] = {
        "ends": (_ends, "int32[] uint8[] int64[] int64 int64", "int64[::1]", "void"),
        "run_keys": (_run_keys, "uint64[] int64[] int64[] int64 uint64[]", "uint64[::1]", "void"),
        "choose": (_choose, "int32[] int64[] int64[] int64[] boolean[] int64", "boolean[::1]", "void"),
        "gaps": (
            _gaps,
            "uint64[] int32[] uint8[] int64[] int64 int64 int64 uint64[]",
            "uint64[::1] int64[::1]",
            "int64",
        ),
        "look_up": (_look_up, "uint64[] uint64[] int64[]", "int64[::1]", "void"),
    }
    return compile_kernel(*signatures[name])


def _ends(sizes, words, offsets, size, count, out):  # type: ignore[no-untyped-def]
    for row in range(offsets.size - 1):
        stop, held, held_words = offsets[row], 0, 0
        for i in range(offsets[row], offsets[row + 1]):
            while stop < offsets[row + 1] and held < size and held_words < count:
                held += sizes[stop]
                held_words += words[stop]
                stop += 1
            out[i] = stop if held >= size or held_words >= count else -1
            held -= sizes[i]
            held_words -= words[i]


def _run_keys(hashes, offsets, stops, kind, multipliers, out):  # type: ignore[no-untyped-def]
    base, mix, end = multipliers[0], multipliers[1], multipliers[2]
    longest = 0
    for row in range(offsets.size - 1):
        longest = max(longest, offsets[row + 1] - offsets[row])
    prefix, power = np.empty(longest + 1, np.uint64), np.empty(longest + 1, np.uint64)
    prefix[0], power[0] = 0, 1
    for i in range(longest):
        power[i + 1] = power[i] * base
    salt = np.uint64(kind) * end
    for row in range(offsets.size - 1):
        start = offsets[row]
        for i in range(offsets[row + 1] - start):
            prefix[i + 1] = prefix[i] * base + hashes[start + i]
        for i in range(offsets[row + 1] - start):
            stop = stops[start + i] - start
            if stop >= 0:
                g = prefix[stop] - prefix[i] * power[stop - i] + salt
                g = (g ^ (g >> np.uint64(32))) * mix
                g = (g ^ (g >> np.uint64(29))) * end
                out[start + i] = max(g ^ (g >> np.uint64(32)), np.uint64(1))


def _choose(sizes, offsets, seeds, grams, allowed, dense, out):  # type: ignore[no-untyped-def]
    for row in range(offsets.size - 1):
        start, stop = offsets[row], offsets[row + 1]
        size, chosen = 0, False
        for i in range(start, stop):
            size += sizes[i]
        last = start - 1
        for i in range(start, stop):
            if grams[i] < 0:
                break
            if last >= i:
                continue
            for j in range(i, grams[i]):
                if seeds[j] < 0 or seeds[j] > grams[i]:
                    break
                if allowed[j]:
                    last = j
                    if size <= dense:
                        out[j] = chosen = True
            if last >= i:
                out[last] = chosen = True
        if not chosen and start < stop and seeds[start] >= 0:
            out[start] = True  # of a text without an n-gram, or all of whose seeds are common


def _gaps(hashes, sizes, words, offsets, least, much, longest, multipliers, keys, text):  # type: ignore[no-untyped-def]
    base, mix, end = multipliers[0], multipliers[1], multipliers[2]
    salt = np.uint64(GAP) * end
    found = 0
    for row in range(offsets.size - 1):
        start, count = offsets[row], offsets[row + 1] - offsets[row]
        size = 0
        for i in range(start, start + count):
            size += sizes[i]
        if size < least or size > longest:
            continue
        prefix, power = np.empty(count + 1, np.uint64), np.empty(count + 1, np.uint64)
        prefix[0], power[0] = 0, 1
        for i in range(count):
            prefix[i + 1], power[i + 1] = prefix[i] * base + hashes[start + i], power[i] * base
        for first in range(count):
            gone, characters = 0, True
            for last in range(first, min(first + _MOST_CHARACTERS, count) + 1):
                if last > first:
                    at = start + last - 1
                    gone += sizes[at]
                    characters = characters and words[at] == 0
                    two = last - first == 2 and size - gone >= much
                    if last - first > 1 and not two and not (characters and gone <= _WORD_OF_CHARACTERS):
                        break
                elif first > 0:
                    continue  # nothing is left out: once is enough
                if size - gone >= least:
                    if found < keys.size:
                        g = (prefix[first] - prefix[last]) * power[count - last] + prefix[count] + salt
                        g = (g ^ (g >> np.uint64(32))) * mix
                        g = (g ^ (g >> np.uint64(29))) * end
                        keys[found], text[found] = max(g ^ (g >> np.uint64(32)), np.uint64(1)), row
                    found += 1
    return found


def _look_up(keys, held, heads, out):  # type: ignore[no-untyped-def]
    shift = np.uint64(64)
    size = heads.size - 1
    while size > 1:
        size >>= 1
        shift -= np.uint64(1)
    for i in range(keys.size):
        key = keys[i]
        out[i] = -1
        if key == 0:
            continue
        bucket = np.int64(key >> shift)
        for at in range(heads[bucket], heads[bucket + 1]):
            if held[at] >= key:
                if held[at] == key:
                    out[i] = at
                break
