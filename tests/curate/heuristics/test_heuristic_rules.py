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
    wanted = [column for name, rule in RULES.items() if name in MODULES for column in rule.columns]
    assert list(score_all(side("a"), side("b"), RULES)) == wanted
    assert RULES.keys() - MODULES.keys() == {"language"}, "which is computed with the languages"


def test_only_the_named_rules_are_computed() -> None:
    assert list(score_all(side("a"), side("b"), ["html", "numbers"])) == ["html_anchor", "html_positive", "numbers"]


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
    [("1984", "1985", 1 / 3), ("20 30", "20 31", 3 / 5), ("in 1984", "damals", 1 / 2), ("13 13", "13", 3 / 4)],
)
def test_numerals_that_differ_are_counted(anchor: str, positive: str, share: float) -> None:
    assert between("numbers", anchor, positive) == pytest.approx(share)


@pytest.mark.parametrize(
    ("anchor", "positive", "share"),
    [
        ("%s of %d", "%d von %s", 1),
        ("%(count)d files", "%(count)d Dateien", 1),
        ("%(count)d files", "%(anzahl)d Dateien", 1 / 2),
        ("{0} {name}", "{name} {0}", 1),
        ("{name}", "{Name}", 1 / 2),
        ("{name}", "Name", 0),
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
        ("%2d of %-20s", "%s: %ld", 1),
        ("%02X", "%#x", 1),
        ("%lu seconds left", "%lu초 남음", 1),
        ("%ldKB of %ldKB", "%ld KB von %ld KB", 1),
        ("%(value)s is none", "%(value)sist keine", 1),
        ("100% discount", "%d Rabatt", 0),
        ("type a%0Apassword", "Passwort", 1),
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


@pytest.mark.parametrize("number", ["(64:17) ", "119.105 ", "13:14-15 ", "(Mk.16,18) "])
def test_numbers_of_chapter_and_verse_count_as_one_numeral(number: str) -> None:
    assert between("numbers", f"{number}Let the peoples praise you.", "Die Völker sollen dir danken.") >= 0.5


def test_references_that_are_tied_to_a_word_do_not_count() -> None:
    assert between("numbers", "which is spoken against (Is.8,14; 29,38; 1.Pt.2,17-18)", "dem widersprochen wird") == 1
    assert between("numbers", "It was in 1984, 1985; and 1986", "Das war") == 1 / 4


def test_a_product_name_does_not_outvote_the_language() -> None:
    assert of("script", "LibreOffice Impress에서 단축키 사용", "ko") > 0.4
    assert of("script", "选择「格式 - 排列」(LibreOffice Writer、LibreOffice Calc)", "zh") > 0.3
    assert of("script", "Choose the file type in LibreOffice 列", "zh") < 0.3


@pytest.mark.parametrize(
    ("anchor", "positive"),
    [
        ("Я не дуже зрозумів твої слова, друже.", "I"),
        ("She took part in the assembly.", "Ella participó en la asamblea. " + "No creo que puedas explicarlo. " * 4),
        ("敬畏耶和华是智慧的开端；凡遵行他命令的是聪明人。", "The fear of"),
    ],
)
def test_lengths_that_differ_more_than_translations_do_are_found(anchor: str, positive: str) -> None:
    assert between("length_difference", anchor, positive) > 2.4


@pytest.mark.parametrize(
    ("anchor", "positive"),
    [
        ("No", "Nein, danke"),
        ("Delete", "Supprimer l'élément"),
        ("人人生而自由", "All human beings are born free"),
        ("", ""),
    ],
)
def test_lengths_of_short_translations_may_differ(anchor: str, positive: str) -> None:
    assert between("length_difference", anchor, positive) < 2.2


HALF = "Haala kana booda Click Apply to save the changes you made without closing the dialog"


def test_text_left_untranslated_is_found_by_its_words_and_phrases() -> None:
    english = "Click Apply to save the changes you made without closing the dialog"
    assert between("shared_words", HALF, english) > 0.6
    assert between("shared_phrases", HALF, english) > 0.6
    assert between("shared_words", "Kopiere die Dateien in den Ordner.", "Copy the files into the folder.") == 0


@pytest.mark.parametrize(
    ("anchor", "positive"),
    [
        ("Tom und Mary fuhren nach Boston", "Tom and Mary went to Boston"),
        ("選擇 LibreOffice Writer、LibreOffice Calc", "Choose LibreOffice Writer, LibreOffice Calc"),
        ("il servizio com.sun.star.sheet.addin.Analysis", "the service com.sun.star.sheet.addin.Analysis"),
        ("a div_2 b a<csub n b", "so: a div_2 b a<csub n b"),
        ("keine, submit, reset, refresh", "none, submit, reset, refresh"),
    ],
)
def test_names_and_identifiers_are_no_phrases(anchor: str, positive: str) -> None:
    assert between("shared_phrases", anchor, positive) == 0


@pytest.mark.parametrize(
    ("anchor", "positive"),
    [
        ("%(full_result_count)s total", "всего %(full_result_count)s"),
        ("Diuxi-Tilantongo Mixtec", "Mixtec Diuxi-Tilantongo"),
        ('<a href="#upload">why not</a>', '<a href="#upload">eins</a>'),
        ("Siehe com.sun.star.sheet.addin.Analysis", "See com.sun.star.sheet.addin.Analysis"),
    ],
)
def test_placeholders_tags_names_and_identifiers_are_no_shared_words(anchor: str, positive: str) -> None:
    assert between("shared_words", anchor, positive) == 0


def test_shared_words_are_looked_for_in_the_same_row_only() -> None:
    anchor = Side(pa.array(["one two three four", "", "fünf"], pa.large_string()), pa.nulls(3, pa.string()))
    positive = Side(pa.array(["", "one two three four", "fünf"], pa.large_string()), pa.nulls(3, pa.string()))
    assert MODULES["shared_words"].score(anchor, positive).tolist() == pytest.approx([0, 0, 4 / 16])
    assert MODULES["shared_phrases"].score(anchor, positive).tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("rule", "text", "value"),
    [
        ("max_words", "a bc  d", 3),
        ("word_length", "antidisestablishmentarianism", 28 / 3),
        ("word_length", "ab cd efgh ij", 2.5),
        ("word_length", "漢字かな交じり文", 0),
        ("longest_word", "one three, 漢字漢字漢字漢字", 5),
        ("glued_words", "Read moreShare this.Next page", 2 / (26 / 5 + 2)),
        ("glued_words", "kB", 0),
        ("glued_words", "Côte-d’Azur and well-Known", 0),
        ("spaced_letters", "s p a c e d out", 6 / 7),
        ("spaced_letters", "I am a man", 0),
        ("mixed_alphabets", "Моsсоw rules", 1 / 2),
        ("mixed_alphabets", "USB-кабель", 0),
        ("punctuation", "ab...", 3 / 10),
        ("digits", "12 ab 34", 4 / 11),
        ("symbols", "€ ab +", 2 / 9),
        ("private_use", "a\ue000b\ue001", 2),
        ("lost_letters", "A kapit\ufffdny t?zeljenek", 2),
        ("lost_letters", "εσφραγισμενοι?εκ slovn?ik", 2),
        ("lost_letters", "the terms ?bind and ?arg?, “M?ller” or (“M?ller”), x(ab|c)?y", 0),
        ("lost_letters", "What? Why?! see page.php?id=1 or a/b?c", 0),
        ("separators", "Home | News | About", 1 / 6),
        ("separators", "Home > Shop > Shoes > Boots", 2 / 8),
        ("separators", "either | or", 0),
    ],
)
def test_sides_are_measured(rule: str, text: str, value: float) -> None:
    assert of(rule, text) == pytest.approx(value)


@pytest.mark.parametrize(
    "text",
    [
        'class="nav-link" target="_blank"> text',
        "pan> He told us",
        "/p> He told us",
        "three years later. <a hre",
        "one&nbsp;two",
        "one &nbsp two",
        "one &#160; two",
        "[b]bold[/b]",
        "see [[Berlin]]",
        'title="x">text',
        "text</sp",
    ],
)
def test_pieces_of_markup_are_counted(text: str) -> None:
    assert of("markup", text) >= 1


OPTIONS = [
    "method='replace'; TZ=\"Europe/Berlin\"",
    "<corrupt time val: %lx",
    "mysql> select; shell2> ls",
    "[[:space:]] or [[ expression ]]",
    "[[+]OFFSET[.][b]]",
    "echo 'a b' > file",
]


@pytest.mark.parametrize(
    "text",
    [
        "<b>whole</b> tag",
        "Tools > Options",
        "a < b and c > d",
        "AT&T",
        'B2:B6;">20"',
        "[1] see below",
        'x.value="1"',
        *OPTIONS,
    ],
)
def test_whole_tags_and_signs_are_no_pieces_of_markup(text: str) -> None:
    assert of("markup", text) == 0


@pytest.mark.parametrize(
    "text",
    [
        "var _gaq = _gaq || []; _gaq.push(['_trackPageview']);",
        "window.dataLayer = window.dataLayer || []; function gtag(){dataLayer.push(arguments);}",
        ".nav {color: red; margin: 0}",
        "p{color:red}",
        "a=1;b=2; c=f(x);",
    ],
)
def test_statements_of_programs_are_code(text: str) -> None:
    assert of("code", text) > 0.5


@pytest.mark.parametrize(
    "text",
    [
        "Let him go; he is free.",
        "Cumulative = 0 or False to calculate the function; 1 for the rest",
        "This works; that not.",
        "--post-file=FILE use the POST method; send contents of FILE",
        "-I like --binary-files=without-match; see below",
        "Exit status: 0 = correct; 1 = trouble",
        "error in %pB(%pA); no table will be made",
        "not allowed: U+{code_point:X} or {price:.2f}",
    ],
)
def test_prose_with_semicolons_is_no_code(text: str) -> None:
    assert of("code", text) == 0


@pytest.mark.parametrize(
    ("text", "share"), [("caf\\u00e9", 6 / 9), ("%C3%A9t%C3%A9", 12 / 13), ("100% of 50%", 0), ("C:\\news", 0)]
)
def test_escape_sequences_are_counted(text: str, share: float) -> None:
    assert of("escapes", text) == pytest.approx(share)


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
@pytest.mark.parametrize("text", ["schön", "naïveté", "Привет, мир", "γλώσσα"])
def test_text_decoded_in_the_wrong_encoding_looks_like_mojibake(text: str, encoding: str) -> None:
    assert of("mojibake", text.encode().decode(encoding, "ignore")) >= 1
    assert of("mojibake", text) == 0


def test_cyrillic_utf8_read_as_cp1251_looks_like_mojibake() -> None:
    assert of("mojibake", "Привет, мир".encode().decode("cp1251", "ignore")) >= 1


def test_cyrillic_bytes_read_as_latin_look_like_mojibake() -> None:
    assert of("mojibake", "Привет мир".encode("cp1251").decode("latin-1")) >= 1


@pytest.mark.parametrize("text", ["«LIBERTÉ»", "CAFÉ”", "Það er óðal", "СССР»", "Січень", "À la carte…", "Ê a ideia"])
def test_capitals_before_quotes_are_no_mojibake(text: str) -> None:
    assert of("mojibake", text) == 0


@pytest.mark.parametrize(
    ("rule", "anchor", "positive", "value"),
    [
        ("terminal_punctuation", "Who are you?", "あなたは誰ですか？", 0),
        ("terminal_punctuation", "Who are you?", "Ich bin's.", 1),
        ("terminal_punctuation", "He said “no.”", "Er sagte nein", 0.5),
        ("sentences", "One. Two! Three? Four.", "Eins.", 6 / 3),
        ("sentences", "One. Two.", "一。二。", 1),
        ("sentences", "v1.2 of x.y", "1.000 Euro", 1),
        ("sentences", "One. Two. Three.", "หนึ่ง สอง สาม", 1),
        ("sentences", "One. Two. Three.", "et unus et duo et tres", 1),
        ("cut_off", "Read on about ...", "Lesen Sie weiter über das Leben des Dichters.", 1),
        ("cut_off", "Read on about the life of the poet [...]", "Lesen Sie weiter über das Leben des Dichters.", 1),
        ("cut_off", "“Read on about the life of the poet.”…", "„Lesen Sie weiter über das Leben des Dichters.“", 1),
        ("cut_off", "Choose File - Save Remote...", "Wählen Sie Datei - Auf Server speichern", 0),
        ("cut_off", "Read on about the life of the poet…", "Lesen Sie weiter über das Leben ...", 0),
        ("cut_off", "Open ...", "Öffnen", 0),
        ("cut_off", "Text…", "Attribute des Textes", 0),
        ("cut_off", "Didn't my hand make all these things?", "N'est-ce pas ma main qui a fait ces choses?...", 0),
        ("cut_off", "Usage: %s [OPTION]... [FILE]...", "Použití: %s [PŘEPÍNAČ]... [SOUBOR]", 0),
        ("cut_off", 'Select a file with the button "..."', "Wählen Sie eine Datei mit der Taste", 0),
        ("brackets", "a (b) [c] {d}", "a", 6 / 8),
        ("brackets", "(1)", "（1）", 0),
        ("addresses", "see https://www.example.org/a/.", "voir http://example.org/a", 1),
        ("addresses", "mail a@b.org or c@d.org", "écrire à a@b.org", 2 / 3),
        ("addresses", "see www.example.org", "voir ici", 0),
        ("addresses", "none", "aucune", 1),
        ("addresses", "mail a@b.org", "écrire à c@d.org", 1 / 2),
        ("addresses", "mail a@b.org, c@d.org or www.e.org", "écrire à f@g.org", 1 / 4),
        ("addresses", "use file://.", "utilisez file://", 1),
        ("capitals", "ALL IN CAPITALS", "Nicht in großen Buchstaben", 1 - 2 / 23),
        ("capitals", "=SUM(A1;B2)", "a sum of two", 0),
    ],
)
def test_pairs_are_compared(rule: str, anchor: str, positive: str, value: float) -> None:
    assert between(rule, anchor, positive) == pytest.approx(value)
