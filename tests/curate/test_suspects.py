"""Promises of the checks and compiled loops of cleaning: each agrees with a plain reading of the rule, on any text."""

from __future__ import annotations

import itertools
import re
import unicodedata
from typing import Literal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairmill.curate import clean as clean_module
from pairmill.curate import invisible, suspect_tables, suspects
from pairmill.curate.clean import clean_pairs
from pairmill.curate.repairs import kernels, mojibake, whitespace
from pairmill.curate.suspect_tables import Bit
from pairmill.spec.clean import Clean

LANGS = ["en", "de", "it", "pl", "ru", "ja", "cs-CZ", None]
ALL = Clean.model_validate(
    {"tags": "remove", "unicode": "NFKC", "mojibake": "keep", "personal_data": "mask", "whitespace": "lines"}
)
PIECES = st.sampled_from(
    [
        *"<>/=\"'&;#x7.:+@-_ \t\n([{é\u017f",
        *("b", "pan", "script", "href", "!--", "-->", "</", "/>", 'class="a"', "ſcript", "function", "var x ="),
        *(
            "window.a",
            "document.write(",
            "$(document",
            "a.push([",
            "gtag('",
            "googletag.a",
            "(adsbygoogle =",
            "){",
            ");",
        ),
        *("&amp;", "&lt;", "&#65;", "&#x41;", "&Eacute;", "&lt", "12", "1234", "2001:4860", "::8", "a@b.de", "8.8.8.8"),
        *("+49 30 ", "123456", "06 1234 5678", "DE89 3704 0044 0532 0130 00", "4111 1111 1111 1111", "\u0661\u0662"),
        *("\u0301", "\u0327", "\u0f42\u0f72", "\u0f71", "\u0f72", "\u09c7\u09be", "\u09bc", "\u1100\u1161", "\u11a8"),
        *(
            "가",
            "\u200d",
            "\u200c",
            "\u094d",
            "क",
            "ا",
            "👩",
            "\ufe0f",
            "🏴",
            "\U000e0067",
            "\r",
            "\u2028",
            "\u3000",
            "\ue000",
        ),
    ]
)
TEXT = st.lists(st.one_of(PIECES, st.characters(codec="utf-8")), max_size=24).map("".join)


def column(rows: list[str]) -> pa.LargeStringArray:
    return pa.array(rows, pa.large_string())


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(TEXT, st.sampled_from(LANGS)), min_size=1, max_size=4))
def test_no_row_that_a_step_would_change_is_passed_over(rows: list[tuple[str, str | None]]) -> None:
    """Scripts aside, which are looked for where there is `<` or `>` or one of `={[`."""
    texts, langs = [text for text, _ in rows], [lang for _, lang in rows]
    flags = suspects.flags(column(texts), ALL, pa.array(langs, pa.string()))
    for bit, step in clean_module._steps(ALL).items():
        repaired = step.repair(column(texts), langs).to_pylist()
        for flag, old, new in zip(flags, texts, repaired, strict=True):
            scripts = bit == Bit.TAG and not any(character in old for character in "<>={[")
            assert flag & bit or old == new or scripts, (step.name, old)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(TEXT, TEXT), min_size=2, max_size=5))
def test_a_pair_is_cleaned_alike_whatever_its_neighbours_are(rows: list[tuple[str, str]]) -> None:
    options = Clean(tags="unmatched", whitespace="collapse")
    left, right, changed = clean_pairs(column([a for a, _ in rows]), column([b for _, b in rows]), options)
    single = [clean_pairs(column([a]), column([b]), options) for a, b in rows]
    assert [(a[0].as_py(), b[0].as_py()) for a, b, _ in single] == list(
        zip(left.to_pylist(), right.to_pylist(), strict=True)
    )
    assert changed == {step: sum(counts[step] for *_, counts in single) for step in changed}


@pytest.mark.parametrize("form", ["NFC", "NFKC"])
def test_every_pair_of_characters_that_normal_form_changes_is_a_suspect(form: Literal["NFC", "NFKC"]) -> None:
    """Second halves of compositions behind first ones, marks, composed characters and plain ones."""
    says = suspect_tables.says(form, lines=False)
    seconds = np.flatnonzero(says & suspect_tables.SECOND).tolist()
    firsts = np.flatnonzero(says & (suspect_tables.FIRST | suspect_tables.MARK)).tolist()[::9]
    others = [*range(0x20, 0x250), *range(0x900, 0x1000), *range(0xAC00, 0xAC40), 0x4E00, 0x1100, 0x1161]
    rows = [chr(a) + chr(b) for a, b in itertools.product({*firsts, *others}, seconds)]
    options = Clean.model_validate({"unicode": form, "mojibake": "keep"})
    flagged = suspects.flags(column(rows), options) & Bit.UNNORMALISED > 0
    changed = np.array([unicodedata.normalize(form, row) != row for row in rows])
    assert changed.any()
    assert not (changed & ~flagged).any()


@settings(max_examples=40, deadline=None)
@given(st.lists(TEXT, max_size=4))
def test_white_space_is_collapsed_as_python_splits(rows: list[str]) -> None:
    assert whitespace.collapse(column(rows), lines=False).to_pylist() == [" ".join(row.split()) for row in rows]
    lines = [[" ".join(line.split()) for line in row.splitlines()] for row in rows]
    assert whitespace.collapse(column(rows), lines=True).to_pylist() == ["\n".join(filter(None, row)) for row in lines]


@settings(max_examples=60, deadline=None)
@given(st.lists(TEXT, max_size=4))
def test_invisible_characters_go_as_when_removed_kind_by_kind(rows: list[str]) -> None:
    assert invisible.remove(column(rows)).to_pylist() == [without_invisible(row) for row in rows]


def without_invisible(text: str) -> str:
    """Kind by kind: what is always removed, repeated joiners, stray joiners, stray tags."""
    actions, neighbours = invisible.actions(), invisible._neighbours()
    text = re.sub("\r\n", "\r", text)
    text = "".join("\n" if actions[ord(c)] == kernels.BREAK else c for c in text if actions[ord(c)] != kernels.REMOVE)
    text = re.sub("([\u200c\u200d])[\u200c\u200d]+", r"\1", text)
    kept = []
    for at, character in enumerate(text):
        before = int(neighbours[ord(text[at - 1])]) if at else 0
        both = before & int(neighbours[ord(text[at + 1])]) if at + 1 < len(text) else 0
        emoji = character == "\u200d" and both & kernels.IS_EMOJI
        if character not in "\u200c\u200d" or before & kernels.IS_VIRAMA or both & kernels.IS_JOINING or emoji:
            kept.append(character)
    return re.sub("(?<!\U0001f3f4)(?<![\U000e0020-\U000e007f])[\U000e0020-\U000e007f]+", "", "".join(kept))


GARBLED = st.lists(
    st.one_of(
        st.sampled_from([*"ÃÂâÐÑРС¤€œ°±іє \x92\u00a0éaZб字क", "Ã©", "Ã ", "Ð¿", "â€™", "Ã¤ Ã¶", "a" * 900, "Рі "]),
        st.characters(codec="utf-8"),
    ),
    max_size=20,
).map("".join)


@settings(max_examples=60, deadline=None)
@given(GARBLED)
def test_garbled_text_is_told_as_by_expressions(text: str) -> None:
    assert mojibake.is_garbled(text) == is_garbled(text)
    assert mojibake.is_garbled(text * 30) == is_garbled(text * 30)


def is_garbled(text: str) -> bool:
    from ftfy.badness import badness

    if re.search("[\x80-\x9f]", text) or mojibake.MIXED.search(text):
        return True
    table = suspect_tables.misread()
    lead, follower = table >> suspect_tables.LEAD_OF_TWO, table & ((1 << suspect_tables.LEAD_OF_TWO) - 1)
    leads, followers, either = (re.escape("".join(map(chr, np.flatnonzero(t)))) for t in (lead, follower, table))
    signs = 0
    for number, match in enumerate(re.finditer(f"[{leads}][{followers}][ {either}]*|[\u00c2\u00c3] ", text)):
        if number == mojibake.MOST_PLACES:
            return badness(text) * mojibake.SPARSE >= len(text)
        signs += badness(text[max(0, match.start() - 3) : match.end() + 4])
        if signs * mojibake.SPARSE >= len(text):
            return signs > 0
    return False
