"""The kernels that every rule reads from agree with plain Python."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairmill.curate import codepoints
from pairmill.curate.heuristics import Side, kernels, repetition
from pairmill.curate.heuristics.scripts import properties, script_of

TEXT = st.one_of(
    st.text(st.one_of(st.characters(codec="utf-8"), st.sampled_from("aB 1.\n\u3000éж漢\U00020000")), max_size=40),
    st.lists(st.sampled_from(["ha", "ab", " ", " ", "  ", "\x00", "漢", "x y "]), max_size=30).map("".join),
    st.sampled_from(["a" * 700, "Ab 1" * 200, "жя " * 200]),
)


def side_of(texts: list[str]) -> Side:
    return Side(pa.array(texts, pa.large_string()), pa.nulls(len(texts), pa.string()))


def tokens(text: str) -> list[str]:
    spaced = [" " if codepoints.classes()[ord(c)] == codepoints.SPACE else c for c in text]
    return [token for token in "".join(spaced).split(" ") if token]


@settings(max_examples=150, deadline=None)
@given(st.lists(TEXT, max_size=4))
def test_characters_kinds_scripts_and_tokens_equal_their_plain_definitions(texts: list[str]) -> None:
    side = side_of(texts)
    edges, rows = side.tokens
    for row, text in enumerate(texts):
        here = side.flat[side.offsets[row] : side.offsets[row + 1]]
        assert here.tolist() == list(map(ord, text))
        kinds = properties()[here] & 15
        assert side.kinds[row].tolist() == np.bincount(kinds, minlength=kernels.KINDS).tolist()
        letters = here[codepoints.classes()[here] == codepoints.LETTER]
        assert side.scripts[row].tolist() == np.bincount(script_of()[letters], minlength=64).tolist()
        found = [side.flat[edges[2 * t] : edges[2 * t + 1]] for t in range(rows[row], rows[row + 1])]
        assert ["".join(map(chr, token)) for token in found] == tokens(text)


@settings(max_examples=150, deadline=None)
@given(st.lists(TEXT, max_size=4))
def test_repetition_equals_its_plain_definition(texts: list[str]) -> None:
    assert repetition.score(side_of(texts)).tolist() == [np.float32(repeated(text)) for text in texts]


def repeated(text: str) -> float:
    """The larger share, by characters or by words, of stretches that equal what stands a period before."""
    words, ends, at = tokens(text), [], 0
    for word in words:
        at = text.index(word, at)
        ends.append(at)
        at += len(word)
    best = max(
        most_repeated(list(text), list(range(len(text) + 1)), repetition.CHARACTERS),
        most_repeated(words, [*ends, len(text)], repetition.WORDS),
    )
    return best / len(text) if text else 0


def most_repeated(items: list[str], starts: list[int], periods: int) -> int:
    best = 0
    for period in range(1, periods + 1):
        total, begin = 0, period
        for end in range(period, len(items) + 1):
            if end == len(items) or items[end] != items[end - period]:
                total += starts[end] - starts[begin] if end - begin >= 2 * period else 0
                begin = end + 1
        best = max(best, total)
    return best


@pytest.mark.parametrize("broken", [b"ab\xe6\xbc", b"ab\xf7\xbf\xbf\xbf"])
def test_what_is_no_utf8_is_an_error(broken: bytes) -> None:
    offsets = np.array([0, len(broken)], np.int64)
    texts = pa.LargeStringArray.from_buffers(1, pa.py_buffer(offsets), pa.py_buffer(broken))
    with pytest.raises(ValueError, match="not UTF-8"):
        _ = Side(texts, pa.nulls(1, pa.string())).flat
