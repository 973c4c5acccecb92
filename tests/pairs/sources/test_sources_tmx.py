import gettext
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import django
import pytest

from sourcekit import Outcome, read_all


def tmx(units: str, header: str = 'srclang="en"', encoding: str = "UTF-8") -> str:
    return (
        f'<?xml version="1.0" encoding="{encoding}"?>\n<!DOCTYPE tmx SYSTEM "tmx14.dtd">\n<tmx version="1.4">'
        f"<header {header}/><body>\n{units}\n</body></tmx>\n"
    )


def unit(*variants: tuple[str, str], **attributes: str) -> str:
    inside = "".join(f'<tuv xml:lang="{lang}"><seg>{text}</seg></tuv>' for lang, text in variants)
    return f"<tu{''.join(f' {name}={value!r}' for name, value in attributes.items())}>{inside}</tu>\n"


def read(tmp_path: Path, text: str | bytes, **options: Any) -> Outcome:
    path = tmp_path / "a.tmx"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_all(format="tmx", path=str(path), **options)


def langs(outcome: Outcome) -> list[tuple[str, str]]:
    return [(row["anchor_lang"], row["positive_lang"]) for row in outcome.rows]


def test_units_are_pairs_in_the_languages_asked_for(tmp_path: Path) -> None:
    three = unit(("en-US", "one"), ("de-DE", "eins"), ("fr", "un"))
    outcome = read(tmp_path, tmx(three), langs={"anchor": "fr", "positive": "de"})
    assert (outcome.texts, langs(outcome)) == ([("un", "eins")], [("fr", "de")])
    assert read(tmp_path, tmx(three), langs={"positive": "de"}).texts == [("one", "eins")]


def test_languages_not_given_come_from_the_header_and_the_unit(tmp_path: Path) -> None:
    units = unit(("de-DE", "eins"), ("en-GB", "one")) + unit(("en", "two"), ("de", "zwei"), srclang="de")
    outcome = read(tmp_path, tmx(units))
    assert outcome.texts == [("one", "eins"), ("zwei", "two")]
    assert langs(outcome) == [("en", "de"), ("de", "en")]
    assert read(tmp_path, tmx(units, 'srclang="*all*"')).texts == [("eins", "one"), ("zwei", "two")]


def test_the_best_of_several_variants_is_taken(tmp_path: Path) -> None:
    units = unit(("zh-CN", "简"), ("zh-TW", "繁"), ("en-GB", "gb"), ("en", "plain"))
    assert read(tmp_path, tmx(units), langs={"anchor": "en", "positive": "zh-Hant"}).texts == [("plain", "繁")]
    assert read(tmp_path, tmx(units), langs={"anchor": "en", "positive": "zh"}).texts == [("plain", "简")]
    outcome = read(tmp_path, tmx(unit(("en", "colour"), ("en-US", "color"))), langs={"anchor": "en", "positive": "en"})
    assert outcome.texts == [("colour", "color")]


def test_units_without_the_two_are_counted_by_reason(tmp_path: Path) -> None:
    units = [
        unit(("en", "a"), ("de", "b")), unit(("en", "a")), unit(), unit(("fr", "a"), ("de", "b")),
        unit(("en", "a"), ("fr", "b"), ("de", "c")), unit(("en", "a"), ("en-US", "b")),
    ]  # fmt: skip
    outcome = read(tmp_path, tmx("".join(units)))
    assert outcome.no_pair == {
        "one_variant": 1, "no_variant": 1, "no_anchor": 1, "several_languages": 1, "no_positive": 1
    }  # fmt: skip
    assert outcome.texts == [("a", "b")]


def test_inline_codes_are_dropped_and_highlights_kept(tmp_path: Path) -> None:
    seg = (
        'Click <bpt i="1">&lt;a title="<sub>a <ph/>title</sub>"&gt;</bpt>the <hi type="x">red <it pos="begin">[u]</it>'
        '</hi>button<ept i="1">&lt;/a&gt;</ept>, <ph x="2">%s</ph><ut>{}</ut>now &amp; then'
    )
    outcome = read(tmp_path, tmx(unit(("en", seg), ("de", "jetzt"))))
    assert outcome.texts == [("Click the red button, now & then", "jetzt")]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig"])
def test_utf16_is_read(tmp_path: Path, encoding: str) -> None:
    text = tmx(
        unit(("en", "häß"), ("el", "Ω")) * 3 + "<tu><tuv></tu>" + unit(("en", "🎈"), ("el", "b")), encoding="UTF-16"
    )
    outcome = read(tmp_path, text.encode(encoding))
    assert outcome.texts == [("häß", "Ω")] * 3 + [("🎈", "b")]
    assert outcome.errors == {"malformed_xml": 1}


def test_a_unit_that_does_not_end_costs_itself_alone(tmp_path: Path) -> None:
    good = unit(("en", "a"), ("de", "b"))
    text = tmx(good + "<tu><tuv xml:lang='en'><seg>lost</seg></tuv>" + good + '<tu><tuv lang="en"><seg>&#2;' + good)
    outcome = read(tmp_path, text)
    assert outcome.texts == [("a", "b")] * 3
    assert [entry.origin_row for entry in outcome.quarantine] == [1, 3]
    assert outcome.records == text.count("<tu>")


def test_another_kind_of_xml_is_one_entry(tmp_path: Path) -> None:
    assert read(tmp_path, "<xliff><file/></xliff>").errors == {"not_tmx": 1}
    assert read(tmp_path, tmx("")).records == 0


def test_real_translations_come_back_as_they_were(tmp_path: Path) -> None:
    folder = Path(django.__file__).parent / "conf" / "locale"
    with (folder / "ru" / "LC_MESSAGES" / "django.mo").open("rb") as file:
        catalogue = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
    pairs = [
        (source, target)
        for source, target in catalogue.items()
        if isinstance(source, str) and source and "\x04" not in source
    ]
    assert len(pairs) > 200
    text = tmx("".join(unit(("en", escape(source)), ("ru_RU", escape(target))) for source, target in pairs))
    outcome = read(tmp_path, text.encode("utf-16"), batch_rows=50)
    assert outcome.texts == [(a.replace("\r\n", "\n"), b.replace("\r\n", "\n")) for a, b in pairs]
    assert set(langs(outcome)) == {("en", "ru")}
