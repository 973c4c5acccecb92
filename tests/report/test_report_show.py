"""Values as people read them, and text from anywhere made harmless."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pairmill.report import show

ACTING = {"Cc", "Cs", "Zl", "Zp"}
BIDI = set("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
ANY_TEXT = st.text(st.characters(exclude_categories=()) | st.sampled_from(sorted(BIDI | {"\x00", "\ud800", "\u0301"})))


@given(ANY_TEXT)
def test_one_line_leaves_no_character_that_acts_on_its_surroundings(text: str) -> None:
    shown = show.one_line(text)
    assert not [c for c in shown if unicodedata.category(c) in ACTING or c in BIDI]
    shown.encode()


@given(ANY_TEXT)
def test_marked_text_is_encodable_and_holds_no_tag_but_its_own(text: str) -> None:
    html = str(show.marked(text, 1000))
    html.encode()
    assert "<" not in html.replace("<b>", "").replace("</b>", "")
    assert not [c for c in html if (unicodedata.category(c) in ACTING and c not in "\n\t") or c in BIDI]


@pytest.mark.parametrize(
    "text", ["می\u200cخواهم", "क्\u200dष", "Tiếng Việt", "ภาษาไทยที่นี่", "שָׁלוֹם", "漢字かな", "naïve", "👩\u200d🔬"]
)
def test_ordinary_writing_is_shown_unchanged(text: str) -> None:
    assert show.one_line(text) == text
    assert str(show.marked(text, 1000)) == text


def test_hidden_characters_are_written_out_by_code_point() -> None:
    assert show.one_line("a\u202eb\x00\ud800\n") == "a[U+202E]b[U+0000][U+D800][U+000A]"
    assert str(show.marked("a\x00\u202e<", 1000)) == "a<b>[U+0000][U+202E]</b>&lt;"


def test_piled_up_accents_are_counted_after_the_fourth() -> None:
    assert show.one_line("a" + "\u0301" * 40) == "a" + "\u0301" * 4 + "[36 marks]"


def test_a_long_name_keeps_both_ends() -> None:
    assert show.one_line("a" * 400 + "z" * 400, 10) == "aaaaa … zzzzz"


@pytest.mark.parametrize(
    ("part", "of", "shown"),
    [
        (0, 10, "0%"),
        (10, 10, "100%"),
        (1, 3, "33.3%"),
        (1, 100_000, "< 0.1%"),
        (99_999, 100_000, "> 99.9%"),
        (1, 0, "–"),
    ],
)
def test_a_share_never_looks_like_nothing_or_all_when_it_is_not(part: int, of: int, shown: str) -> None:
    assert show.share(part, of) == shown


@pytest.mark.parametrize(
    ("found", "threshold", "shown"),
    [
        (4.21, 3, "4.21, above 3"),
        (0.1, 0.3, "0.1, below 0.3"),
        (0.8, 0.8, "0.8, at 0.8"),
        (None, 3, ""),
        (2, None, "2"),
    ],
)
def test_a_value_is_shown_against_its_threshold(found: float | None, threshold: float | None, shown: str) -> None:
    assert show.compared(found, threshold) == shown


def test_times_sizes_and_bounds_are_written_for_people() -> None:
    assert show.moment(0) == "1970-01-01 00:00:00 UTC"
    assert show.moment("2025-11-21T05:52:10.123Z") == "2025-11-21 05:52:10 UTC"
    assert show.moment("yesterday\x1b") == "yesterday[U+001B]"
    assert [show.duration(s) for s in (4.24, 185, 7620, None)] == ["4.2 s", "3 min 05 s", "2 h 07 min", "–"]
    assert [show.size(b) for b in (512, 1_250_000, None)] == ["512 B", "1.2 MB", "–"]
    assert [show.bounds(0.3, None), show.bounds(None, 3.0), show.bounds(2, 40), show.bounds(None, None)] == [
        "≥ 0.3",
        "≤ 3",
        "2 to 40",
        "no bound",
    ]
