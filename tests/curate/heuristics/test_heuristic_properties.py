"""Promises all rules keep: any text, any batch, linear time, and a version for every change of a score."""

from __future__ import annotations

import hashlib
import time

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairmill.curate import clean
from pairmill.curate.heuristics import Side, score_all, versions
from pairmill.spec.curate import Clean
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
]
#: Digests of what FIXED scores and of what DIRTY becomes, with the VERSION that made them.
GOLDEN = {
    "empty": (1, "c5c7dbff2bca"),
    "min_chars": (1, "c5c7dbff2bca"),
    "max_chars": (1, "1983aebe941c"),
    "identical": (1, "fa6f9223e909"),
    "length_ratio": (1, "697a1006a3f2"),
    "url_share": (1, "8809dc75910d"),
    "letters": (1, "b504769ef654"),
    "script": (1, "0f5f51cbc045"),
    "numbers": (1, "7e192a45104a"),
    "placeholders": (1, "7e192a45104a"),
    "repetition": (1, "9c9b38e2591d"),
    "html": (1, "ca5831a7f457"),
    "clean": (1, "8a984e5b64e4"),
}
DIRTY = [
    "&amp;quot;x&#8230; ",
    "e\u0301 \u200b\u00ad\ufeff",
    "a\r\n\x07\u2028b",
    "می\u200cخواهم",
    "schÃ¶n",
    "ﬁ １",
    None,
]


def sides(rows: list[tuple[str, str, str | None]]) -> tuple[Side, Side]:
    languages = pa.array([row[2] for row in rows], pa.string())
    anchor, positive = (pa.array([row[i] for row in rows], pa.large_string()) for i in (0, 1))
    return Side(anchor, languages), Side(positive, languages)


@settings(max_examples=60, deadline=None)
@given(PAIRS)
def test_any_text_has_finite_scores_that_do_not_depend_on_the_batch(rows: list[tuple[str, str, str | None]]) -> None:
    together = score_all(*sides(rows))
    for column, values in together.items():
        assert values.dtype == np.float32 and values.shape == (len(rows),), column
        assert np.isfinite(values).all() and (values >= 0).all(), column
    for number, row in enumerate(rows):
        for column, values in score_all(*sides([row])).items():
            assert values[0] == together[column][number], column


@settings(max_examples=40, deadline=None)
@given(PAIRS, st.integers(0, 3), st.integers(0, 4))
def test_slices_are_scored_like_copies(rows: list[tuple[str, str, str | None]], start: int, length: int) -> None:
    sliced = score_all(
        *(Side(side.texts[start : start + length], side.langs[start : start + length]) for side in sides(rows))
    )
    copied = score_all(*sides(rows[start : start + length]))
    assert all(np.array_equal(sliced[column], copied[column]) for column in copied)


@settings(max_examples=40, deadline=None)
@given(PAIRS)
def test_shares_lie_between_0_and_1(rows: list[tuple[str, str, str | None]]) -> None:
    for column, values in score_all(*sides(rows)).items():
        if not column.startswith(("empty", "min_chars", "max_chars", "length_ratio")):
            assert (values <= 1).all(), column


@pytest.mark.parametrize(
    "unit",
    ["<", "%", "7", "1,", "@", "a", "://", "w.", "{", "${", "<a", "<!--", "%(", "a@", "a.b@c.", "aab", "\u0301", "ab "],
)
def test_hostile_text_takes_time_in_proportion_to_its_length(unit: str) -> None:
    def seconds(size: int) -> float:
        rows = sides([(unit * (size // len(unit)), unit * (size // len(unit)), "en")])
        start = time.process_time()
        score_all(*rows)
        return time.process_time() - start

    seconds(1_000)
    assert min(seconds(160_000) for _ in range(2)) < 10 * max(min(seconds(40_000) for _ in range(2)), 0.01)


def digest(value: object) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()[:12]


def test_scores_and_cleaning_change_only_with_their_version() -> None:
    languages = [pa.array([row[i] for row in FIXED], pa.string()) for i in (2, 3)]
    texts = [pa.array([row[i] for row in FIXED], pa.large_string()) for i in (0, 1)]
    scores = score_all(Side(texts[0], languages[0]), Side(texts[1], languages[1]))
    found = {}
    for name, version in versions().items():
        values = [np.round(scores[column].astype(float), 4).tolist() for column in RULES[name].columns]
        found[name] = (version, digest(values))
    settings_ = (Clean(), Clean(mojibake="fix", unicode="NFKC"), Clean(whitespace="keep", entities="keep"))
    cleaned = [clean.clean(pa.array(DIRTY), options) for options in settings_]
    found["clean"] = (clean.VERSION, digest([(texts.to_pylist(), changed) for texts, changed in cleaned]))
    assert found == GOLDEN, "raise the VERSION of what changed, then put the new pair into GOLDEN"
