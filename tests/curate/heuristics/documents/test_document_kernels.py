"""The kernels of the document rules agree with their definitions in plain Python, on any text in any batch."""

from __future__ import annotations

import numpy as np
import plaindocument as plain
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairmill.curate.heuristics import Side
from pairmill.curate.heuristics.documents import MODULES, kernels, matching, stopwords

PIECES = [
    "the",
    "of",
    "cat",
    "Cat,",
    "end.",
    "so...",
    "…",
    "# ",
    "•",
    "- ",
    "{",
    "3.5",
    "漢字",
    "かな",
    "。",
    "ไทยที่",
    "»",
]
TEXT = st.one_of(
    st.lists(st.sampled_from([*PIECES, " ", " ", "\n", "\n\n", "a b c d e f "]), max_size=30).map("".join),
    st.text(st.one_of(st.characters(codec="utf-8"), st.sampled_from("ab .\n…-•漢\u0301")), max_size=25),
)


def side_of(texts: list[str], lang: str | None = None) -> Side:
    return Side(pa.array(texts, pa.large_string()), pa.array([lang] * len(texts), pa.string()))


@settings(max_examples=100, deadline=None)
@given(st.lists(TEXT, max_size=3))
def test_counts_lines_and_grams_equal_their_plain_definitions(texts: list[str]) -> None:
    document = side_of(texts).document
    for row, text in enumerate(texts):
        lettered, numbers, markers, unspaced = plain.words(text)
        assert document.count(kernels.WORDS)[row] == lettered
        assert document.count(kernels.NUMBERS)[row] == numbers
        assert document.count(kernels.MARKERS)[row] == markers
        assert document.unspaced_words[row] == pytest.approx(unspaced)
        symbols = max(document.count(kernels.HASHES)[row], document.count(kernels.ELLIPSES)[row])
        assert symbols == plain.symbols(text)
        assert document.count(kernels.BRACES)[row] == plain.braces(text)
        assert document.sentences[row] == plain.sentences(text)
        assert document.grams[row].tolist() == plain.grams(text)
        found = plain.lines(text)
        assert document.lines[row] == len(found)
        here = slice(*document.line_offsets[row : row + 2])
        assert document.line(kernels.SIZE)[here].tolist() == [line.size for line in found]
        assert document.line(kernels.LENGTH)[here].tolist() == [line.length for line in found]
        ends = ["", "stop", "ellipsis", ""]
        assert [ends[flag & kernels.CLEAR] for flag in document.line(kernels.FLAGS)[here]] == [
            each.ends for each in found
        ]
        assert document.flagged(kernels.BULLETED)[here].sum() == plain.bulleted(text)
        assert tuple(document.duplicate_lines[row]) == plain.duplicates([(line.key, line.size) for line in found])
        assert document.paragraphs[row] == len(plain.paragraphs(text))
        assert tuple(document.duplicate_paragraphs[row]) == plain.duplicates(plain.paragraphs(text))


@settings(max_examples=80, deadline=None)
@given(st.lists(TEXT, max_size=4), st.sampled_from(["en", "fr", "ru"]))
def test_stop_words_equal_their_plain_definition(texts: list[str], lang: str) -> None:
    listed = stopwords.words(lang)
    found, applies = side_of(texts, lang).document.stop_words
    assert applies.all()
    assert found.tolist() == [min(matching.MOST, len(listed & set(plain.alone(text)))) for text in texts]


@settings(max_examples=25, deadline=None)
@given(st.lists(TEXT, max_size=5))
def test_a_score_does_not_depend_on_the_batch(texts: list[str]) -> None:
    together = side_of(texts, "en")
    for name, module in MODULES.items():
        alone = [module.score(side_of([text], "en")) for text in texts]
        np.testing.assert_array_equal(
            module.score(together), np.concatenate([np.empty(0, np.float32), *alone]), err_msg=name
        )


HOSTILE = {
    "one letter": "a" * 10_000_000,
    "a million newlines": "\n" * 1_000_000,
    "a million equal lines": "a\n" * 1_000_000,
    "one word again and again": "word " * 1_000_000,
    "one ideograph": "漢" * 1_000_000,
    "different words": " ".join(map(str, range(500_000))),
    "dots": "." * 2_000_000,
    "Thai that is all stop words": "ที่" * 500_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_scored(name: str) -> None:
    """Work that is quadratic in the text would take until pytest's `faulthandler_timeout`."""
    side = side_of([HOSTILE[name]], "th")
    for module in MODULES.values():
        assert module.score(side).shape == (1,)
