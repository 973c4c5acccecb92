"""Promises of the heuristic rules, one block per rule."""

from __future__ import annotations

import pyarrow as pa
import pytest

from pairmill.curate.heuristics import MODULES, Side, score_all
from pairmill.curate.heuristics.scripts import NUMBER, mask
from pairmill.spec.rules import RULES


def side(text: str, language: str | None = None) -> Side:
    return Side(pa.array([text], pa.large_string()), pa.array([language], pa.string()))


def of(rule: str, text: str, language: str | None = None) -> float:
    return float(MODULES[rule].score(side(text, language))[0])


def between(rule: str, anchor: str, positive: str) -> float:
    forth = float(MODULES[rule].score(side(anchor), side(positive))[0])
    assert forth == float(MODULES[rule].score(side(positive), side(anchor))[0]), "rules on the pair are symmetric"
    return forth


def test_every_rule_of_the_table_is_computed_in_its_order() -> None:
    wanted = [column for name, rule in RULES.items() if name != "language" for column in rule.columns]
    assert list(score_all(side("a"), side("b"))) == wanted


@pytest.mark.parametrize("rule", ["empty", "min_chars"])
def test_white_space_does_not_count_as_text(rule: str) -> None:
    assert of(rule, "") == of(rule, " \u00a0\u3000\t\n") == 0
    assert of(rule, " 你 好 ") == 2


def test_max_chars_counts_code_points() -> None:
    assert of("max_chars", "né 😀") == 4


@pytest.mark.parametrize(
    ("anchor", "positive"), [("Hello, World!", "hello world"), ("...", "..."), ("ΣΟΦΟΣ", "σοφοσ"), ("नमस्ते", "नमस्ते।")]
)
def test_copies_are_identical_but_for_case_and_punctuation(anchor: str, positive: str) -> None:
    assert between("identical", anchor, positive) == 1


@pytest.mark.parametrize(
    ("anchor", "positive"), [("Hello", "Hallo"), ("...", "!!!"), ("", "."), ("a 1", "a 2"), ("कि", "की"), ("ab", "abc")]
)
def test_different_texts_are_not_identical(anchor: str, positive: str) -> None:
    assert between("identical", anchor, positive) == 0


def test_length_ratio_compares_scripts_fairly() -> None:
    english, chinese = (
        "All human beings are born free and equal in dignity and rights.",
        "人人生而自由,在尊严和权利上一律平等。",
    )
    assert between("length_ratio", english, chinese) < 1.3
    assert between("length_ratio", "", "") == 1
    assert between("length_ratio", "a" * 50, "") == 6
    assert between("length_ratio", "No", "Nein, danke") < 2, "short pairs are not punished"


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("https://example.org/a?b=1", 1),
        ("www.example.org", 1),
        ("info188@news.example.net", 1),
        ("no address: a@b or 3://4", 0),
        ("see http://a.bc/", 12 / 15),
        ("请看http://a.bc/谢谢", 12 / 16),
        ("", 0),
    ],
)
def test_url_share_is_the_share_inside_addresses(text: str, share: float) -> None:
    assert of("url_share", text) == pytest.approx(share)


@pytest.mark.parametrize(("text", "share"), [("abc", 1), ("12 ab", 0.5), ("-- 12 --", 0), ("नमस्ते", 1), ("", 1)])
def test_letters_count_marks_and_leave_out_white_space(text: str, share: float) -> None:
    assert of("letters", text) == pytest.approx(share)


@pytest.mark.parametrize(
    ("text", "language", "share"),
    [
        ("Привет", "ru", 1),
        ("Привет", "en", 0),
        ("Привет OK", "ru", 6 / 8),
        ("Zdravo", "sr", 1),
        ("Zdravo", "sr-Cyrl", 0),
        ("漢字かなカナ", "ja", 1),
        ("한국어", "ko", 1),
        ("漢字", "zh-Hant", 1),
        ("Привет", None, 1),
        ("Привет", "xx", 1),
        ("123 !?", "en", 1),
        ("", "en", 1),
        ("ꦲꦏ꧀ꦱꦫ", "bax", 1),
    ],
)
def test_script_is_the_share_of_letters_the_language_is_written_in(
    text: str, language: str | None, share: float
) -> None:
    assert of("script", text, language) == pytest.approx(share)


def test_unlisted_scripts_agree_with_everything() -> None:
    assert max(NUMBER.values()) < 64, "scripts are bits of 64"
    assert mask(frozenset({"Bamu"})) == (1 << 64) - 1


@pytest.mark.parametrize(
    ("anchor", "positive"),
    [
        ("1,000 men", "1.000 Mann"),
        ("1000", "1 000"),
        ("1,234,567", "1'234'567"),
        ("3.5 m", "3,5 m"),
        ("3:16", "3,16"),
        ("٢٠٢٤", "2024"),
        ("05.03.", "5/3"),
        ("three of them", "3"),
        ("no", "none"),
        ("", ""),
        ("20 and 30", "30, 20"),
    ],
)
def test_numerals_agree_however_they_are_written(anchor: str, positive: str) -> None:
    assert between("numbers", anchor, positive) == 1


@pytest.mark.parametrize(
    ("anchor", "positive", "share"),
    [("1984", "1985", 0), ("20 30", "20 31", 0.5), ("in 1984", "damals", 0), ("13 13", "13", 2 / 3)],
)
def test_numerals_that_differ_are_counted(anchor: str, positive: str, share: float) -> None:
    assert between("numbers", anchor, positive) == pytest.approx(share)


@pytest.mark.parametrize(
    ("anchor", "positive", "share"),
    [
        ("%s of %d", "%d von %s", 1),
        ("%(count)d files", "%(count)d Dateien", 1),
        ("%(count)d files", "%(anzahl)d Dateien", 0),
        ("{0} {name}", "{name} {0}", 1),
        ("{name}", "{Name}", 0),
        ("%1$s %2$s", "%s %s", 1),
        ("${x} {{ y }}", "${x} {{ y }}", 1),
        ("${x}", "x", 0),
        ("<0>a</0>", "<0>b</0>", 1),
        ("<0>a</0>", "b", 0),
        ("100% done", "100 % fertig", 1),
        ("50% de todo", "half of all", 1),
        ("100%%", "hundred", 1),
        ("%s %s", "%s", 2 / 3),
        ("plain", "text", 1),
        ("{} {}", "{} {}", 1),
    ],
)
def test_placeholders_agree_as_multisets(anchor: str, positive: str, share: float) -> None:
    assert between("placeholders", anchor, positive) == pytest.approx(share)


@pytest.mark.parametrize(
    ("text", "least"),
    [("ha ha ha ha ha ha", 0.8), ("-" * 40, 0.97), ("buy now " * 10, 0.88), ("вода " * 9, 0.85), ("哈哈哈哈哈", 0.7)],
)
def test_repetition_finds_what_repeats_what_stands_before_it(text: str, least: float) -> None:
    assert least <= of("repetition", text) < 1


@pytest.mark.parametrize(
    "text", ["", "a", "He said that that book is all he has.", "Mississippi", "bye bye", "你好你好"]
)
def test_natural_doubling_is_no_repetition(text: str) -> None:
    assert of("repetition", text) == 0


def test_repetition_stops_at_the_borders_of_rows() -> None:
    rows = Side(pa.array(["aa", "aa", "", "a a", "a"], pa.large_string()), pa.nulls(5, pa.string()))
    assert MODULES["repetition"].score(rows).tolist() == [0] * 5


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("<b>hi</b>", 7 / 9),
        ("a < b > c", 0),
        ("<0>x</0>", 0),
        ("<!-- c -->", 1),
        ('x<br class="y"/>', 15 / 16),
        ("", 0),
    ],
)
def test_html_is_the_share_inside_tags(text: str, share: float) -> None:
    assert of("html", text) == pytest.approx(share)
