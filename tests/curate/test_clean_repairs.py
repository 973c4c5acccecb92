"""Promises of the single repairs: what each gives back, and what it must not touch."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairmill.curate.clean import clean, clean_pairs
from pairmill.curate.repairs import accelerators, legacy, mojibake, placeholders, tags, whitespace
from pairmill.spec.clean import Clean

NOTHING = Clean(entities="keep", mojibake="keep", unicode="keep", control="keep", whitespace="keep")


@pytest.mark.parametrize(
    ("dirty", "repaired"),
    [
        ("<b>bold</b> and <SPAN CLASS='x'>not</SPAN>", "bold and not"),
        ("<p style='a'>One.<br/></p><p>Two.</p>", "\nOne.\n\n\nTwo.\n"),
        ("a <!-- note --> b <script type='x'>var a;</script>c<style>p {}</style>", "a  b c"),
        ("see <item type='literal'>True</item> and <seg>unit</seg>", "see True and unit"),
        ("<?xml version='1.0'?>text<!DOCTYPE html>", "\ntext\n"),
        ('class="nav-link" target="_blank"> Text', "Text"),
        ('link" class="x">Text', "Text"),
        ('one id="a" title="b">two', "one two"),
        ("pan> Text", " Text"),
        ("/div>Text", "Text"),
        ("/> Text", "Text"),
        ("Text <a hre", "Text "),
        ('Text <img src="x.png" al', "Text "),
        ("Text </p", "Text "),
        ("Text </p more", "Text  more"),
        ("Text <br", "Text "),
        ("Done. var _gaq = _gaq || []; _gaq.push(['_trackPageview']);", "Done. "),
        ("Done. (function(d, s) { d.x = 1; })(document, 'script');", "Done. "),
        ("Done. window.dataLayer = window.dataLayer || []; gtag('js', new Date());", "Done. "),
    ],
)
def test_left_over_markup_is_removed(dirty: str, repaired: str) -> None:
    assert tags.remove(dirty) == repaired


@pytest.mark.parametrize(
    "text",
    [
        "if a < b and c > d", "x <y and y> z", "<0>numbered</0>",
        "mail <email> or <phone>", "List<String> of Map<K, V>",
        "<https://example.org/a>", "<me@example.org>", "the <file> and <title> of <name>", "press <Del> or <Enter>",
        "a -> b => c", "1 <2", "i <3 you", "A > B", "it is <? or ?>", "unclosed <!-- comment", "name> prompt",
        'He said "yes" > "no"', "let x = 5 be given; then we go on", "var is a keyword; function too",
        "a window. Then; the function (crypt) is used;", "on> is no tag's end", "",
    ],
)  # fmt: skip
def test_text_that_is_no_markup_stays(text: str) -> None:
    assert tags.remove(text) == text


def test_unmatched_leaves_markup_that_both_sides_hold() -> None:
    anchor = pa.array(["Use <b>this</b> tag", "Use <b>this</b> tag", "&lt;i&gt;x&lt;/i&gt;"])
    positive = pa.array(["<b>Dieses</b> Tag", "Dieses Tag", "<i>y</i>"])
    left, right, changed = clean_pairs(anchor, positive, Clean(tags="unmatched"))
    assert left.to_pylist() == ["Use <b>this</b> tag", "Use this tag", "<i>x</i>"]
    assert right.to_pylist() == ["<b>Dieses</b> Tag", "Dieses Tag", "<i>y</i>"]
    assert changed["tags"] == 1
    left, right, changed = clean_pairs(anchor, positive, Clean(tags="remove"))
    assert left.to_pylist() == ["Use this tag", "Use this tag", "x"]
    assert changed["tags"] == 5


ORIGINALS = [
    "Det är dags för dig att sluta titta på tv, så fort du får höra på världen.",
    "Выберите Файл - Мастер - Повестка дня - Общие сведения.",
    "Γεμίζει το κενό διάστημα στα αριστερά της απόστασης στηλοθέτη.",
    "वह धीरे-धीरे ठीक हो जाएगा।",
    "شני הוריי לא משחקים גולף.",
    "テキストをデータベースの列に書き込むときに使用される行終了コードを選択します。",
    "Chúng tôi không phải là những người duy nhất tin rằng cậu ta không có tội.",
    "“Smart quotes — and a dash… it’s €5",
]


@pytest.mark.parametrize("original", ORIGINALS)
@pytest.mark.parametrize("times", [1, 2])
def test_utf8_read_as_latin1_comes_back(original: str, times: int) -> None:
    damaged = original
    for _ in range(times):
        damaged = damaged.encode().decode("latin-1")
    assert mojibake.fix(damaged) == original


@pytest.mark.parametrize(
    ("lang", "original"), [("ru", ORIGINALS[1]), ("el", ORIGINALS[2]), ("he", ORIGINALS[4]), ("ja", ORIGINALS[5])]
)
@pytest.mark.parametrize("read_as", ["latin-1", "cp1252"])
def test_utf8_is_not_taken_for_an_old_encoding(lang: str, original: str, read_as: str) -> None:
    damaged = original.encode().decode(read_as, "ignore")
    assert mojibake.fix(damaged, lang) == mojibake.fix(damaged)


@pytest.mark.parametrize("original", ORIGINALS)
def test_bytes_that_were_dropped_show_as_lost_characters(original: str) -> None:
    raw = original.encode()
    damaged = raw.decode("cp1252", "ignore")
    fixed = mojibake.fix(damaged)
    if damaged.encode("cp1252") == raw:
        assert fixed == original
    else:
        assert fixed == damaged or mojibake.LOST in fixed
        assert len(fixed) <= len(damaged)


@pytest.mark.parametrize(
    ("damaged", "repaired"),
    [
        ("Nur ein StÃ¼ck ist kaputt, das andere Stück nicht.", "Nur ein Stück ist kaputt, das andere Stück nicht."),
        ("Привет, â\x80\x94 сказал он", "Привет, — сказал он"),
        ("d\x92accord", "d’accord"),
        ("he said â€œyesâ€ and left", "he said “yes” and left"),  # byte 9D dropped
        ("도움이 됩니\x8b¤. 자세한", "도움이 됩니\ufffd¤. 자세한"),
    ],
)  # fmt: skip
def test_a_garbled_part_is_repaired_and_the_rest_stays(damaged: str, repaired: str) -> None:
    assert mojibake.fix(damaged) == repaired


@pytest.mark.parametrize(
    ("lang", "encoding", "original"),
    [
        ("tr", "cp1254", "Kim ondan iki yıl kıdemliydi."),
        ("pl", "cp1250", "Jeśli chcesz zakończyć aktualnie uruchomione makro, naciśnij klawisz."),
        ("pl", "iso8859-2", "To tylko mały krokodylek."),
        ("cs", "cp1250", "Nyní pak když k nám přišel Timoteus od vás"),
        ("uk", "cp1251", "У Тома немає дітей."),
        ("ru", "koi8-r", "Я знаю, что это неизбежно произойдёт."),
        ("ru", "cp866", "Я знаю, что это неизбежно произойдет."),
        ("bg", "cp1251", "Това е много интересно"),
        ("el", "cp1253", "Αυτό δεν ενόχλησε καθόλου τον Τομ."),
        ("he", "cp1255", "ושוב, למה אמרת כתובת?"),
        ("ar", "cp1256", "ترك سامي الجامعة منذ ستّ سنوات."),
        ("th", "cp874", "ฉันไม่รู้ว่าเขาอยู่ที่ไหน"),
        ("ko", "cp949", "나는 그가 어디에 있는지 모른다."),
        ("ja", "euc-jp", "私は彼がどこにいるのか知りません。"),
        ("ja", "cp932", "私は彼がどこにいるのか知りません。"),
        ("zh", "gb18030", "我不知道他在哪里。"),
        ("zh-Hant", "big5", "我不知道他在哪裡。"),
        ("lt", "cp1257", "Aš nežinau, kur jis yra."),
    ],
)
def test_old_encodings_read_as_latin1_come_back_where_the_language_is_known(
    lang: str, encoding: str, original: str
) -> None:
    damaged = original.encode(encoding).decode("latin-1")
    column = pa.array([damaged, damaged])
    texts, changed = clean(column, Clean(), pa.array([lang, None]))
    assert texts[0].as_py() == original
    assert texts[1].as_py() != original
    assert changed["mojibake"] >= 1


@pytest.mark.parametrize(
    ("lang", "text"),
    [("tr", "Þórður á Íslandi sagði það"), ("pl", "Café Müller i résumé"), ("ru", "Он сказал: «déjà vu»"),
     ("cs", "Größe und Ýþ"), ("el", "Το café είναι κλειστό"), ("ro", "São Paulo și Ñandú"), ("hu", "àèìòù")],
)  # fmt: skip
def test_foreign_words_are_no_old_encoding(lang: str, text: str) -> None:
    assert legacy.fix(text, lang) == text


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ("_File", "_Datei", ("File", "Datei")),
        ("E&xit", "&Beenden", ("Exit", "Beenden")),
        ("~Tools", "E~xtras", ("Tools", "Extras")),
        ("_File", "文件(_F)", ("File", "文件")),
        ("&Open...", "開く(&O)...", ("Open...", "開く...")),
        ("_File", "파일(F)", ("File", "파일")),
    ],
)
def test_accelerators_that_both_sides_mark_are_removed(left: str, right: str, expected: tuple[str, str]) -> None:
    assert accelerators.remove(left, right) == expected
    assert accelerators.remove(*expected) == expected


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("_File", "Datei"), ("snake_case name", "snake_case Name"), ("call __init__", "__init__ rufen"),
        ("R & D", "F & E"),
        ("AT&T shares", "AT&T-Aktien"), ("_a and _b", "_c"), ("about ~5 km", "etwa ~5 km"), ("Plan (B)", "Plan (B)"),
    ],
)  # fmt: skip
def test_what_is_no_accelerator_stays(left: str, right: str) -> None:
    assert accelerators.remove(left, right) == (left, right)


def test_accelerators_are_counted_for_pairs() -> None:
    options = Clean(accelerators="remove")
    left, right, changed = clean_pairs(pa.array(["_Open", "a_b"]), pa.array(["Ö_ffnen", "c d"]), options)
    assert (left.to_pylist(), right.to_pylist()) == (["Open", "a_b"], ["Öffnen", "c d"])
    assert changed["accelerators"] == 2


def test_placeholders_are_removed_and_percent_signs_stay() -> None:
    options = Clean(placeholders="remove")
    texts, changed = clean(pa.array(["%s of %(n)d {name} ${x} <0>y</0>", "100% sure, 5%d off, 20%% more"]), options)
    assert texts.to_pylist() == ["of y", "100% sure, 5%d off, 20%% more"]
    assert changed["placeholders"] == 1
    assert placeholders.remove("{a} b") == " b"


def test_quotes_and_dashes_become_ascii_and_others_stay() -> None:
    column = pa.array(["„So“ »und« ‚so‘ it’s 「here」", "a–b — c − d ー"])
    texts, changed = clean(column, Clean(quotes="straight", dashes="hyphen"))
    assert texts.to_pylist() == ['"So" "und" \'so\' it\'s 「here」', "a-b - c - d ー"]
    assert (changed["quotes"], changed["dashes"]) == (1, 1)


def test_lines_keep_line_breaks_and_nothing_else() -> None:
    column = pa.array([" a  b \r\n\r\n\t c\u2028d\vе\x85f \n", "one\ntwo", "x \n y"])
    texts, changed = clean(column, Clean(whitespace="lines", control="keep", mojibake="keep"))
    assert texts.to_pylist() == ["a b\nc\nd\nе\nf", "one\ntwo", "x\ny"]
    assert changed["whitespace"] == 2


@settings(max_examples=150, deadline=None)
@given(st.lists(st.text(st.sampled_from(" \n\t\r\x0b\x1f\x85\u2028\u00a0\u3000aé字"), max_size=12), max_size=5))
def test_lines_are_collapsed_as_python_splits_them(rows: list[str]) -> None:
    column = pa.array(rows, pa.large_string())
    lines = [[" ".join(line.split()) for line in row.splitlines()] for row in rows]
    assert whitespace.collapse(column, lines=True).to_pylist() == ["\n".join(filter(None, row)) for row in lines]


@pytest.mark.parametrize("name", ["tatoeba", "udhr"])
def test_real_text_in_hundreds_of_languages_is_not_repaired_wrongly(shared_data: Path, name: str) -> None:
    """UDHR has real damage in two languages only: C1 controls for apostrophes in kea and kng."""
    table = pq.read_table(
        shared_data / {"tatoeba": "eval/tatoeba/tatoeba.parquet", "udhr": "bitext/udhr.parquet"}[name]
    )
    lang = "lang" if name == "tatoeba" else "src_lang"
    options = NOTHING.model_copy(update={"mojibake": "fix", "tags": "remove"})
    column = table["src"].cast(pa.large_string()).combine_chunks()
    texts, _ = clean(column, options, table[lang].cast(pa.string()).combine_chunks())
    differs = pc.not_equal(column, texts)
    assert set(table[lang].combine_chunks().filter(differs).to_pylist()) <= {"kea", "kng"}
    restored = pc.replace_substring_regex(texts.filter(differs), "’", "\x92").to_pylist()
    assert restored == column.filter(differs).to_pylist()
