"""Promises of cleaning: what is repaired, what stays, and that a second pass changes nothing."""

from __future__ import annotations

import unicodedata

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pairmill.curate import clean as clean_module
from pairmill.curate import codepoints, suspects
from pairmill.curate.clean import clean, clean_pairs
from pairmill.spec.clean import Clean

EVERYTHING = Clean.model_validate(
    {
        "tags": "remove",
        "mojibake": "fix",
        "unicode": "NFKC",
        "quotes": "straight",
        "dashes": "hyphen",
        "accelerators": "remove",
        "placeholders": "remove",
        "personal_data": "mask",
        "whitespace": "lines",
    }
)
NOTHING = Clean(entities="keep", mojibake="keep", unicode="keep", control="keep", whitespace="keep")
TRICKY = st.lists(
    st.one_of(
        st.characters(codec="utf-8"),
        st.sampled_from(" \t\n\r\v\u00a0\u2028\u3000&;#amplt38\u0301\u0327\u200b\u200c\u200d"),
        st.sampled_from("\ufeff\u00adÃ¤â€œक्षیم👨👩🏴\U000e0067"),
        st.sampled_from(
            ["<b>", "</p", "<a hre", 'class="x">', "<!--", "-->", "<", ">", "/>", "<script>", "</script>", "_"]
        ),
        st.sampled_from(["a@b.de", "+49 30 123456", "8.8.8.8", "93.184.216.34", "DE89370400440532013000", "%s", "{0}"]),
        st.sampled_from(["var x = 1;", "“", "–", "\x92", "\ufffd", "Ð¿", "7", ".", ":", "-", "\u0663", "é"]),
    ),
    max_size=30,
).map("".join)


def one(text: str | None, options: Clean | None = None) -> str:
    texts, _ = clean(pa.array([text], pa.large_string()), options or Clean())
    return texts[0].as_py()


def plain(text: str, **on: str) -> str:
    """Clean with only the given steps on."""
    return one(text, Clean.model_validate({**NOTHING.model_dump(), **on}))


@pytest.mark.parametrize(
    ("dirty", "repaired"),
    [
        ("  two   words\t\n", "two words"),
        ("no\u00a0break\u2003and\u3000wide", "no break and wide"),
        ("Caf\u0065\u0301", "Café"),
        ("&quot;A&quot; &amp; &#8230; &#x41;", '"A" & … A'),
        ("&amp;quot;twice&amp;quot;", '"twice"'),
        ("\ufeffmark", "mark"),
        ("hy\u00adphen and zero\u200bwidth", "hyphen and zerowidth"),
        ("bell\x07 and \x00null", "bell and null"),
        ("\u202aleft\u202c \u200fright", "left right"),
        ("&am\u200bp;", "&"),
        ("\uf0b7 bul\uf0b7let", "bullet"),
    ],
)
def test_damage_is_repaired(dirty: str, repaired: str) -> None:
    assert one(dirty) == repaired


@pytest.mark.parametrize(
    "text",
    [
        "?a=1&copy=2&lt=3",  # a URL's parameters are no references
        "می\u200cخواهم",  # Persian prefix
        "क्\u200dष",  # half form
        "ന്\u200d",  # Malayalam chillu at the end of a word
        "\U0001f468\u200d\U0001f469\u200d\U0001f467",  # family
        "\U0001f3f3\ufe0f\u200d\U0001f308",  # rainbow flag
        "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",  # flag of England
        "<b>bold</b> 100% & done",
        "",
    ],
)
def test_what_matters_stays(text: str) -> None:
    assert one(text) == text


@pytest.mark.parametrize(
    "text", ["ge\u200dtrennt", "wo\u200crd", "\u200dx", "x\u200c", "\U000e0067y", "a\u200c\u200db"]
)
def test_joiners_and_tags_go_where_they_mean_nothing(text: str) -> None:
    assert one(text) == "".join(c for c in text if c not in "\u200c\u200d\U000e0067")


def test_of_several_joiners_one_stays() -> None:
    assert one("می\u200c\u200c\u200cخواهم") == "می\u200cخواهم"


def test_line_breaks_become_line_feeds_where_white_space_is_kept() -> None:
    assert plain("a\r\nb\rc\u2028d\x85e\tf\n", control="remove") == "a\nb\nc\nd\ne\tf\n"


def test_each_step_can_be_off() -> None:
    text = " e\u0301 &amp;  \u200b\x07schÃ¶n "
    assert one(text, NOTHING) == text
    assert plain(text, mojibake="fix") == text.replace("schÃ¶n", "schön")
    assert plain(text, unicode="NFC") == unicodedata.normalize("NFC", text)
    assert plain(text, entities="unescape") == text.replace("&amp;", "&")


def test_null_is_empty_and_rows_are_counted_by_step() -> None:
    column = pa.array([None, "a  b", "&amp; c", " x\u200b ", "clean"])
    texts, changed = clean(column, Clean())
    assert texts.to_pylist() == ["", "a b", "& c", "x", "clean"]
    assert texts.type == pa.large_string()
    assert changed == {"entities": 1, "unicode": 0, "mojibake": 0, "control": 1, "whitespace": 2}


def test_clean_column_is_handed_back_as_it_is() -> None:
    column = pa.array(["plain text", "noch einer, schön", "日本語"], pa.large_string())
    assert clean(column, Clean())[0] is column or clean(column, Clean())[0].buffers()[2] == column.buffers()[2]


@settings(max_examples=120, deadline=None)
@example(rows=["Â\r0"], options=Clean())
@given(
    st.lists(TRICKY, max_size=5),
    st.sampled_from([Clean(), EVERYTHING, Clean(whitespace="keep"), Clean(tags="remove", whitespace="lines")]),
)
def test_cleaning_twice_is_cleaning_once(rows: list[str], options: Clean) -> None:
    once, _ = clean(pa.array(rows, pa.large_string()), options)
    twice, changed = clean(once, options)
    assert twice.equals(once)
    assert not any(changed.values())


@settings(max_examples=80, deadline=None)
@given(st.lists(TRICKY, min_size=1, max_size=6), st.integers(0, 3))
def test_a_batch_is_cleaned_like_its_rows(rows: list[str], start: int) -> None:
    sliced = pa.array(rows, pa.string())[start:]
    texts, _ = clean(sliced, EVERYTHING)
    texts.validate(full=True)
    assert texts.to_pylist() == [one(row, EVERYTHING) for row in rows[start:]]


@settings(max_examples=80, deadline=None)
@given(TRICKY)
def test_default_output_is_nfc_trimmed_and_without_loose_space(text: str) -> None:
    result = one(text)
    assert unicodedata.is_normalized("NFC", result)
    assert result == " ".join(result.split())


def test_white_space_is_the_same_for_suspects_and_for_the_repair() -> None:
    spaces = np.flatnonzero(codepoints.classes() == codepoints.SPACE)
    assert [chr(point) for point in spaces] == [chr(point) for point in range(0x110000) if chr(point).isspace()]


@settings(max_examples=100, deadline=None)
@given(st.lists(TRICKY, min_size=1, max_size=4))
def test_rows_that_are_no_suspects_would_not_change(rows: list[str]) -> None:
    """Mojibake aside: there, what is looked for is what ftfy may change, not what it could change."""
    options = EVERYTHING.model_copy(update={"mojibake": "keep"})
    column = pa.array(rows, pa.large_string())
    flags = suspects.flags(column, options)
    for bit, step in clean_module._steps(options).items():
        repaired = step.repair(column, [None] * len(rows)).to_pylist()
        assert all(flag & bit or old == new for flag, old, new in zip(flags, rows, repaired, strict=True)), step.name


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(TRICKY, TRICKY), min_size=1, max_size=4))
def test_pairs_are_cleaned_once_for_all(rows: list[tuple[str, str]]) -> None:
    left, right = (pa.array(side, pa.large_string()) for side in zip(*rows, strict=True))
    once = clean_pairs(left, right, EVERYTHING)
    twice = clean_pairs(once[0], once[1], EVERYTHING)
    assert (twice[0].to_pylist(), twice[1].to_pylist()) == (once[0].to_pylist(), once[1].to_pylist())


HOSTILE = [
    "<", "&", " ", "7", "@", "\u0301", ">", "a@", "<a ", "<!--", "</", "<script>", '<a b="', 'id="x" ', "1.", "+1 ",
    "7 ", ":", "Ã", "Ã ", "â€", "\u00e3\u0081", "?", "var x =", "x.push([", "\n ", " \t", "%(", "{", "DE12", "_a",
    "&amp;", "\u200d", " \u00a0", "\ufffd", "\x92", "a@b.",
]  # fmt: skip


@pytest.mark.parametrize("piece", HOSTILE, ids=ascii)
def test_a_million_hostile_characters_are_cleaned(piece: str) -> None:
    """Work that is quadratic in the text would take until pytest's `faulthandler_timeout`."""
    texts, _ = clean(pa.array([piece * (1_000_000 // len(piece))]), EVERYTHING, pa.array(["pl"]))
    assert len(texts) == 1


def test_nested_escapes_and_joiners_are_resolved() -> None:
    texts, _ = clean(pa.array(["&amp;" * 20_000, "\u200d" * 100_000, " \u00a0" * 50_000]), EVERYTHING)
    assert texts.to_pylist() == ["&" * 20_000, "", ""]
