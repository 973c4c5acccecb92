"""Promises all rules keep: any text, any batch, linear time, and a version for every change of a score."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairmill.curate.heuristics import Side, score_all, versions
from pairmill.spec.rules import RULES

TEXT = st.text(
    st.one_of(st.characters(codec="utf-8"), st.sampled_from("aab  -12,.0%s{}$<>/@:wн漢かो\u0301\n")),
    max_size=25,
)
PAIRS = st.lists(st.tuples(TEXT, TEXT, st.sampled_from(["en", "zh", "sr", "xx", None])), max_size=6)
FIXED = [
    ("", "", None, None),
    ("Hello, World!", "hello world", "en", "de"),
    ("1,000 years", "1.000 Jahre", "en", "de"),
    ("see www.example.org/x now", "见 www.example.org/x", "en", "zh"),
    ("%s of {n} <b>x</b>", "{n} из %s", "en", "ru"),
    ("ha ha ha ha ha", "--------", "en", "en"),
    ("Привет, мир", "hello", "en", "ru"),
    ("漢字とカナ 42", "kanji & kana: 42", "ja", "en"),
    ("नमस्ते दुनिया", "hello world", "hi", "en"),
    ("a@b.cd " * 3, "x" * 300, "en", "fr"),
    ("Home | News | About us? Yes.", 'class="x"> nbsp &nbsp; var a = b || []; f(x);', "en", "de"),
    ("schÃ¶n Ïðèâåò g?t \ufffd \ue000", "s p a c e d Моscоw wordWord.Word \\u00e9\\n", "de", "ru"),
    ("We left the whole sentence as it was ...", "(Wir) left the whole sentence as it was!", "en", "de"),
]
#: Digests of what FIXED scores, with the VERSION that made them.
GOLDEN: dict[str, tuple[int, str]] = {
    "empty": (1, "171244c4cf79"),
    "min_chars": (1, "171244c4cf79"),
    "max_chars": (1, "12708844c6f1"),
    "identical": (1, "89eb19995898"),
    "length_ratio": (1, "bdac46116bc1"),
    "url_share": (1, "c1696a8f4390"),
    "letters": (1, "0bd88ebcb760"),
    "script": (2, "dcfcf50c2246"),
    "numbers": (3, "46f4e3ad59ac"),
    "placeholders": (2, "46f4e3ad59ac"),
    "repetition": (1, "4c53370264f3"),
    "html": (2, "a8622ab460ea"),
    "length_difference": (1, "6db13580c7c4"),
    "max_words": (1, "12a6e007e7c4"),
    "word_length": (1, "befd220a5ce1"),
    "longest_word": (1, "dec75d2594a4"),
    "glued_words": (2, "c235110f31a1"),
    "spaced_letters": (2, "324fcf49dc96"),
    "shared_words": (1, "c1e77ed99a5e"),
    "shared_phrases": (1, "9a08dc7e5898"),
    "punctuation": (1, "23de841a93c9"),
    "digits": (1, "9a163b97525e"),
    "symbols": (2, "dd01983edc7e"),
    "capitals": (1, "54289357f249"),
    "terminal_punctuation": (1, "7adf270f3cf4"),
    "sentences": (1, "46f4e3ad59ac"),
    "cut_off": (2, "d0c1018b48e9"),
    "brackets": (1, "e3ccc1802f74"),
    "addresses": (2, "967764616be5"),
    "separators": (2, "6cecdf6836be"),
    "markup": (2, "7cc2dfbd995d"),
    "code": (2, "a83a40ced0d3"),
    "escapes": (1, "076f3dd3ae65"),
    "mojibake": (2, "4c65cf927818"),
    "lost_letters": (2, "4c65cf927818"),
    "private_use": (1, "6ab4a98a4138"),
    "mixed_alphabets": (2, "2174f986db12"),
}
NAMES = [name for name, rule in RULES.items() if {"bitext", "strict", "lenient"} & rule.presets.keys()]
COUNTS = (
    "empty", "min_chars", "max_chars", "max_words", "length_ratio", "length_difference", "word_length", "longest_word",
    "sentences", "markup", "mojibake", "lost_letters", "private_use",
)  # fmt: skip


def scores(anchor: Side, positive: Side) -> dict[str, np.ndarray]:
    return score_all(anchor, positive, NAMES)


def sides(rows: list[tuple[str, str, str | None]]) -> tuple[Side, Side]:
    languages = pa.array([row[2] for row in rows], pa.string())
    anchor, positive = (pa.array([row[i] for row in rows], pa.large_string()) for i in (0, 1))
    return Side(anchor, languages), Side(positive, languages)


@settings(max_examples=60, deadline=None)
@given(PAIRS)
def test_any_text_has_finite_scores_that_do_not_depend_on_the_batch(rows: list[tuple[str, str, str | None]]) -> None:
    together = scores(*sides(rows))
    for column, values in together.items():
        assert values.dtype == np.float32 and values.shape == (len(rows),), column
        assert np.isfinite(values).all() and (values >= 0).all(), column
    for number, row in enumerate(rows):
        for column, values in scores(*sides([row])).items():
            assert values[0] == together[column][number], column


@settings(max_examples=40, deadline=None)
@given(PAIRS, st.integers(0, 3), st.integers(0, 4))
def test_slices_are_scored_like_copies(rows: list[tuple[str, str, str | None]], start: int, length: int) -> None:
    sliced = scores(
        *(Side(side.texts[start : start + length], side.langs[start : start + length]) for side in sides(rows))
    )
    copied = scores(*sides(rows[start : start + length]))
    assert all(np.array_equal(sliced[column], copied[column]) for column in copied)


@settings(max_examples=40, deadline=None)
@given(PAIRS)
def test_shares_lie_between_0_and_1(rows: list[tuple[str, str, str | None]]) -> None:
    for column, values in scores(*sides(rows)).items():
        if not column.startswith(COUNTS):
            assert (values <= 1).all(), column


@pytest.mark.parametrize(
    "unit",
    [
        "<",
        "%",
        "7",
        "1,",
        "@",
        "a",
        "://",
        "w.",
        "{",
        "${",
        "<a",
        "<!--",
        "%(",
        "a@",
        "a.b@c.",
        "aab",
        "\u0301",
        "ab ",
        "?a",
        "&#1",
        "[[",
        "a=",
        "\\u00e",
        "var a=",
        "Ã©",
        ". ",
        "a b ",
    ],
)
def test_hostile_text_is_scored(unit: str) -> None:
    """Work that is quadratic in the text would take until pytest's `faulthandler_timeout`."""
    text = unit * (1_000_000 // len(unit))
    assert all(len(column) == 1 for column in scores(*sides([(text, text, "en")])).values())


def digest(value: object) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()[:12]


def test_scores_change_only_with_their_version() -> None:
    languages = [pa.array([row[i] for row in FIXED], pa.string()) for i in (2, 3)]
    texts = [pa.array([row[i] for row in FIXED], pa.large_string()) for i in (0, 1)]
    found = {}
    columns = scores(Side(texts[0], languages[0]), Side(texts[1], languages[1]))
    for name, version in versions(NAMES).items():
        values = [np.round(columns[column].astype(float), 4).tolist() for column in RULES[name].columns]
        found[name] = (version, digest(values))
    assert found == GOLDEN, "raise the VERSION of what changed, then put the new pair into GOLDEN"
