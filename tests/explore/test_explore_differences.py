"""Two texts side by side: what differs is marked, all of both is there, nothing acts."""

from __future__ import annotations

import re
import time

import pytest

from explorekit import HOSTILE
from pairmill.explore.differences import CHARACTERS, marked
from pairmill.report import show


@pytest.mark.parametrize(
    ("one", "other", "left", "right"),
    [
        ("the red house", "the blue house", "the <mark>red</mark> house", "the <mark>blue</mark> house"),
        ("same", "same", "same", "same"),
        ("", "new", "", "<mark>new</mark>"),
        ("日本語を読む", "日本語で読む", "日本語<mark>を</mark>読む", "日本語<mark>で</mark>読む"),
        ("a < b", "a > b", "a <mark>&lt;</mark> b", "a <mark>&gt;</mark> b"),
    ],
)
def test_words_that_differ_are_marked(one: str, other: str, left: str, right: str) -> None:
    assert marked(one, other) == (left, right)


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_of_a_text_is_lost_or_acts(text: str) -> None:
    for shown in (*marked(text, text), *marked(text, text[::-1])):
        assert set(re.findall(r"<[^>]*>", shown)) <= {"<mark>", "</mark>", "<b>", "</b>"}
    assert marked(text, text)[0] == show.marked(text[:CHARACTERS], CHARACTERS) or "[" in text


def test_long_texts_that_repeat_take_little_time() -> None:
    began = time.process_time()
    marked("a b " * 5000, "b a c " * 5000)
    assert time.process_time() - began < 2
