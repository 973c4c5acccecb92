"""What each document rule says of texts that it is meant for, and of ones it must leave alone."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from pairmill.curate.heuristics import Side
from pairmill.curate.heuristics.documents import MODULES, languages
from pairmill.spec.document_rules import TABLE

PROSE = (
    "The harbour was quiet when the first boats came in. Nets hung over the rails, and the smell of salt lay on "
    "everything.\nBy noon the market had opened, and people from the villages around walked between the stalls. "
    "They bought fish, bread and onions, and talked about the weather.\nNobody spoke of the storm that was to come."
)
CHINESE = (
    "港口很安静，第一批渔船刚刚回来。渔网挂在船边，到处都是海盐的味道。\n中午时分市场开门了，附近村庄的人们在摊位之间"
    "走来走去，买鱼、面包和洋葱，谈论着天气。\n没有人提起即将到来的暴风雨。"
)
MENU = "Home\nProducts\nServices\nContact\nAbout us\nNews\nLogin\nSearch\nHelp\nHome\nProducts\nServices"
LOREM = "Lorem ipsum dolor sit amet, consectetur adipiscing elit."


def score(name: str, text: str, lang: str | None = "en") -> float:
    side = Side(pa.array([text], pa.large_string()), pa.array([lang], pa.string()))
    return float(MODULES[name].score(side)[0])


def fails(text: str, lang: str, bounds: str = "web") -> set[str]:
    found = set()
    for rule in TABLE:
        if bounds == "paper":
            low, high = rule.min, rule.max
        elif "web" in rule.presets:
            low, high = rule.presets["web"]
        else:
            continue
        value = score(rule.name, text, lang)
        if (low is not None and value < low) or (high is not None and value > high):
            found.add(rule.name)
    return found


@pytest.mark.parametrize(("text", "lang"), [(PROSE, "en"), (CHINESE, "zh")])
def test_prose_passes_every_rule_with_the_papers_bounds_in_any_script(text: str, lang: str) -> None:
    assert fails(text, lang, "paper") <= {"gopher_words"}  # both are short
    assert fails(text, lang) == set()


def test_a_menu_fails_for_its_lines() -> None:
    assert {"gopher_words", "fineweb_line_ends", "fineweb_newlines"} <= fails(MENU, "en")


def test_a_chinese_text_has_as_many_words_as_its_english_translation() -> None:
    assert score("gopher_words", PROSE) == 59
    assert score("gopher_words", CHINESE, "zh") == pytest.approx(59, rel=0.15)


def test_the_same_word_count_stands_for_more_english_words_in_finnish() -> None:
    text = "sana " * 50
    assert score("gopher_words", text, "fi") == pytest.approx(50 * languages.WORDS["fi"][1])
    assert score("gopher_words", text, "xx") == 50


def test_word_length_is_relative_to_the_language_and_silent_without_spaces() -> None:
    long = "Donaudampfschifffahrtsgesellschaft Kapitän"
    assert score("gopher_word_length", long, "de") < score("gopher_word_length", long, "en")
    assert math.isnan(score("gopher_word_length", CHINESE, "zh"))


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("gopher_symbols", "a b c d # e f g h i", 0.1 + 1 / 90),
        ("gopher_alphabetic", "one 2 3 -- five", 0.4),
        ("gopher_bullets", "• one\n- two\nthree -\n-4 four", 0.5),
        ("gopher_ellipses", "read more...\nand on…\nend.", 2 / 3),
        ("gopher_duplicate_lines", "one\ntwo\none\none", 0.5),
        ("gopher_duplicate_line_chars", "one\ntwo2\none\none", 6 / 13),
        ("gopher_duplicate_paragraphs", "a b\n\nc\n\na b", 1 / 3),
        ("gopher_duplicate_paragraph_chars", "a b\n\nc\n\na b", 2 / 5),
        ("gopher_top_2gram", "new york is new york", 14 / 16),
        ("gopher_duplicate_5grams", "a b c d e x a b c d e", 5 / 11),
        ("c4_sentences", 'It is 3.5 m. "Really?" he said... Yes!', 3),
        ("c4_policy", "Read our Privacy Policy.\nText here.", 0.5),
        ("c4_curly", "if (x) { y }", 2),
        ("c4_lorem_ipsum", LOREM, 1),
        ("c4_lines", "one two three four five.\nshort.", 20 / 26),
        ("fineweb_line_ends", "Done.\nHe said “go.”\nmenu\nwait...", 0.5),
        ("fineweb_short_lines", "short\n" + "long " * 20, 0.5),
        ("fineweb_newlines", "a b\nc d", 0.25),
    ],
)
def test_scores_are_what_the_definition_says(name: str, text: str, value: float) -> None:
    assert score(name, text, None) == pytest.approx(value, rel=1e-5)


def test_rules_on_lines_and_paragraphs_do_not_apply_to_one_line() -> None:
    silent = {name for name in MODULES if math.isnan(score(name, "All of this stands on one line. Yes."))}
    assert silent == {
        "gopher_bullets",
        "gopher_ellipses",
        "gopher_duplicate_lines",
        "gopher_duplicate_line_chars",
        "gopher_duplicate_paragraphs",
        "gopher_duplicate_paragraph_chars",
        "c4_lines",
        "c4_policy",
        "fineweb_line_ends",
        "fineweb_short_lines",
        "fineweb_newlines",
    }


def test_stop_words_are_those_of_the_language_and_silent_without_a_list() -> None:
    assert score("gopher_stop_words", PROSE, "en-GB") > 10
    assert score("gopher_stop_words", PROSE, "ru") == 0
    assert score("gopher_stop_words", CHINESE, "zh-Hant") >= 2
    assert score("gopher_stop_words", "ที่บ้านของฉันและโรงเรียน", "th") >= 3
    assert math.isnan(score("gopher_stop_words", PROSE, "om"))
    assert math.isnan(score("gopher_stop_words", PROSE, None))


def test_rules_on_full_stops_do_not_apply_to_thai() -> None:
    thai = "ท่าเรือเงียบสงบ เรือกลับมาแล้ว\nตลาดเปิดตอนเที่ยง\nไม่มีใครพูดถึงพายุ"
    assert all(math.isnan(score(name, thai, "th")) for name in ("c4_sentences", "c4_lines", "fineweb_line_ends"))


def test_every_rule_of_the_table_is_computed_and_the_other_way_round() -> None:
    assert [rule.name for rule in TABLE] == list(MODULES)
    assert all(rule.per == "positive" for rule in TABLE)


def test_language_parameters_are_those_of_the_parallel_text(shared_data: Path) -> None:
    """A word's length and worth in some languages, measured anew on the UDHR alone, lie near the table's."""
    table = pq.read_table(shared_data / "bitext/udhr.parquet", columns=["src_lang", "src", "tgt"])
    for code in ("de", "fi", "ru", "tr", "vi", "sw"):
        rows = table.filter(pc.equal(table["src_lang"], code))
        own, english = (
            Side(rows[name].combine_chunks().cast(pa.large_string()), pa.nulls(len(rows), pa.string())).document
            for name in ("src", "tgt")
        )
        assert english.words.sum() / own.words.sum() == pytest.approx(languages.WORDS[code][1], rel=0.2), code


def test_real_pages_in_the_wrong_language_have_no_stop_words(shared_data: Path) -> None:
    """GNOME's help declared as Hebrew is in English throughout; its German pages are German."""
    table = pq.read_table(shared_data / "web/documents.parquet", columns=["source", "lang_declared", "text"])
    table = table.filter(pc.equal(table["source"], "gnome-help"))
    shares = {}
    for code in ("he", "de"):
        rows = table.filter(pc.equal(table["lang_declared"], code))
        side = Side(rows["text"].combine_chunks().cast(pa.large_string()), rows["lang_declared"].combine_chunks())
        enough = MODULES["gopher_words"].score(side) >= 20
        shares[code] = float(np.mean(MODULES["gopher_stop_words"].score(side)[enough] < 2))
    assert shares["he"] > 0.99
    assert shares["de"] < 0.03
