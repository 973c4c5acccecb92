"""Wikipedia: section -> passage and title -> first paragraph, from wikitext, plain text and structured articles."""

from __future__ import annotations

import bz2
import json
import time
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recordkit import built, from_jsonl

from pairmill.pairs.builders import wikipedia, wikitext
from pairmill.spec.inputs import Langs

PROSE = """Der Mond (lateinisch ''luna'') umkreist die [[Erde]] in 27 Tagen &ndash; sagt
man.<ref name="a">Ein Buch, S. 5</ref>"""
ARTICLE = f"""{{{{Infobox Himmelskörper
| name = Mond | bild = [[Datei:Mond.jpg|{{{{nowrap|300px}}}}]]
}}}}
<!-- ein Kommentar mit [[Link]] -->
[[Datei:FullMoon.JPG|mini|Der [[Vollmond]] im [[Jahr]] 2010]]
'''Der Mond''' ist der einzige [[Trabant (Astronomie)|natürliche Satellit]] der Erde{{{{Ref|x}}}}. Er ist groß und hell.
Noch eine Zeile desselben Absatzes.

Ein zweiter Absatz, der nicht mehr zum ersten gehört, aber doch zur Einleitung.
== Entstehung ==
{PROSE}
{{| class="wikitable"
|-
| Zelle [[Link]] || {{{{Vorlage|a
|}}}}
|}}
=== Theorien ===
Es gibt [https://example.org/theorien mehrere Theorien], von denen {{{{lang|en|keine}}}} ganz überzeugt ( ; ).
== Siehe auch ==
* [[Liste der Monde]], eine sehr lange Liste von allen Monden
* [[Mondfinsternis]], die Verfinsterung des Mondes durch den Schatten
== Einzelnachweise ==
<references />
[[Kategorie:Mond| ]]
[[en:Moon]] [[fr:Lune]]
"""


def page(title: str, text: str = ARTICLE, ns: str = "0", redirect: str = "", model: str = "wikitext") -> str:
    target = f'<redirect title="{escape(redirect)}" />' if redirect else ""
    return f"""<page><title>{escape(title)}</title><ns>{ns}</ns><id>7</id>{target}<revision><id>9</id>
    <contributor><username>U</username><id>3</id></contributor><model>{model}</model><format>text/x-wiki</format>
    <text bytes="{len(text)}" xml:space="preserve">{escape(text)}</text><sha1>x</sha1></revision></page>\n"""


def dump(path: Path, *pages: str) -> str:
    """A `pages-articles` dump as MediaWiki exports it, compressed with bz2."""
    schema = "http://www.mediawiki.org/xml/export-0.11/"
    names = '<siteinfo><namespaces><namespace key="0" case="first-letter" /></namespaces></siteinfo>'
    head = f'<mediawiki xmlns="{schema}" version="0.11" xml:lang="de">{names}\n'
    path.write_bytes(bz2.compress((head + "".join(pages) + "</mediawiki>\n").encode()))
    return str(path)


def test_a_dump_gives_the_lead_and_each_section_of_prose(tmp_path: Path) -> None:
    path = dump(
        tmp_path / "dewiki-20240101-pages-articles.xml.bz2",
        page("Mond"),
        page("Luna", redirect="Mond"),
        page("Diskussion:Mond", ns="1"),
        page("Mond.css", "a { b: c }", model="css"),
        page(
            "Mond (Begriffsklärung)",
            "'''Mond''' steht für:\n* [[Mond]], den Trabanten\n* [[Mond (Film)]], einen Film von 1998",
        ),
        page("Leer", ""),
        page("Am & b"),
    )
    made = built(format="xml", path=path, element="page", builder="wikipedia")
    assert made.texts[:3] == [
        (
            "Mond",
            "Der Mond ist der einzige natürliche Satellit der Erde. Er ist groß und hell. "
            "Noch eine Zeile desselben Absatzes.",
        ),
        ("Mond › Entstehung", "Der Mond (lateinisch luna) umkreist die Erde in 27 Tagen – sagt man."),
        ("Mond › Entstehung › Theorien", "Es gibt mehrere Theorien, von denen ganz überzeugt."),
    ]
    assert [row["anchor"] for row in made.rows[3:]] == [
        "Am & b",
        "Am & b › Entstehung",
        "Am & b › Entstehung › Theorien",
    ]
    assert made.no_pair == {"redirect": 1, "other_namespace": 1, "no_wikitext": 1, "no_prose": 1, "no_text": 1}
    assert {(row["anchor_lang"], row["positive_lang"]) for row in made.rows} == {("de", "de")}


def test_options_choose_the_pairs_the_anchor_and_the_lead(tmp_path: Path) -> None:
    path = dump(tmp_path / "a.xml.bz2", page("Mond"))

    def read(**options: Any) -> list[tuple[str, str]]:
        return built(format="xml", path=path, element="page", builder={"name": "wikipedia", **options}).texts

    assert [anchor for anchor, _ in read(pairs="sections", anchor="section")] == ["Entstehung", "Theorien"]
    ((anchor, lead),) = read(pairs="article", lead="text")
    assert anchor == "Mond" and lead.count("\n") == 1 and lead.endswith("doch zur Einleitung.")
    assert read(min_chars=500) == []


def test_damaged_pages_are_counted_and_the_others_read(tmp_path: Path) -> None:
    path = tmp_path / "enwiki-latest.xml"
    broken = page("Broken").replace("<ns>0</ns>", "<ns>0</nsss>")
    double = page("Two").replace("<title>Two</title>", "<title>Two</title><title>Three</title>")
    path.write_text(
        "<mediawiki>"
        + page("One")
        + broken
        + double
        + page("Long", "x " * (1 << 20) + "y")
        + page("End")
        + "</mediawiki>"
    )
    made = built(format="xml", path=str(path), element="page", builder={"name": "wikipedia", "pairs": "article"})
    assert [row["anchor"] for row in made.rows] == ["One", "End"] and {row["anchor_lang"] for row in made.rows} == {
        "en"
    }
    assert made.no_pair == {"too_long": 1} and made.records == 5 and len(made.quarantine) == 2


def test_plain_text_of_the_hub_and_of_the_search_index(tmp_path: Path) -> None:
    folder = tmp_path / "20231101.sr"
    folder.mkdir()
    body = ["Prvi pasus ovog članka je dovoljno dug da bude par.\n\nDrugi pasus.", "Kratko.", ""]
    pq.write_table(
        pa.table({"id": ["1", "2", "3"], "url": ["u1", "u2", "u3"], "title": ["A", "B", "C"], "text": body}),
        folder / "train.parquet",
    )
    made = built(format="parquet", path=str(folder / "*.parquet"), builder="wikipedia")
    assert made.texts == [("A", "Prvi pasus ovog članka je dovoljno dug da bude par.")]
    assert (made.rows[0]["anchor_lang"], made.rows[0]["url"]) == ("sr", "u1")
    assert made.no_pair == {"no_prose": 1, "no_text": 1}
    document = {
        "title": "Moon",
        "opening_text": "The Moon is the only natural satellite of the Earth, and bright.",
        "text": "The Moon ... all of it",
        "namespace": 0,
        "language": "en",
        "redirect": [{"title": "Luna"}],
        "auxiliary_text": [],
    }
    made = from_jsonl(
        tmp_path,
        "wikipedia",
        {"index": {"_type": "page", "_id": "7"}},
        document,
        {"index": {"_id": "8"}},
        {**document, "namespace": 10},
    )
    assert made.texts == [("Moon", document["opening_text"])] and made.no_pair == {
        "index_line": 2,
        "other_namespace": 1,
    }
    assert made.rows[0]["positive_lang"] == "en"


def test_structured_articles_give_their_sections(tmp_path: Path) -> None:
    def paragraph(text: str) -> dict[str, Any]:
        return {"type": "paragraph", "value": text, "links": []}

    lead, first, inner = (
        f"{word} is a paragraph that is long enough for a pair, surely." for word in ("This", "That", "It")
    )
    items = {"type": "list", "has_parts": [{"type": "list_item", "value": "an entry of a list " * 20}]}
    sections = [
        {"type": "section", "name": "Abstract", "has_parts": [paragraph(lead)]},
        {
            "type": "section",
            "name": "History",
            "has_parts": [paragraph(first), {"type": "section", "name": "Early", "has_parts": [paragraph(inner)]}],
        },
        {
            "type": "section",
            "name": "See also",
            "has_parts": [paragraph("See these articles, which are about the same subject:"), items],
        },
    ]
    record = {
        "name": "Josephine",
        "identifier": 1,
        "abstract": lead,
        "in_language": {"identifier": "en"},
        "url": "u",
        "sections": sections,
    }
    expected = [("Josephine", lead), ("Josephine › History", first), ("Josephine › History › Early", inner)]
    deep: dict[str, Any] = {"name": "x", "sections": []}
    for _ in range(60):
        deep = {"name": "x", "sections": [deep]}
    made = from_jsonl(
        tmp_path,
        "wikipedia",
        record,
        {**record, "sections": json.dumps(sections)},
        {**record, "sections": "[cut"},
        {**record, "sections": [1]},
        {"title": "T", "sections": [{"title": "S", "text": first}]},
        {"title": "T", "sections": [deep]},
    )
    assert made.texts == [*expected, *expected, ("T › S", first)] and made.errors == {"wrong_record": 3}


@pytest.mark.parametrize(
    ("uri", "code"),
    [
        ("s3://b/dewiki-20240101-pages-articles1.xml.bz2", "de"),
        ("simplewiki-latest-pages-articles.xml.bz2", "en"),
        ("/x/zh_min_nanwiki-2.xml", "nan"),
        ("/d/20231101.zh-yue/train-0.parquet", "yue"),
        ("x/nowiki-1.xml", "nb"),
        ("commonswiki-1.xml", None),
        ("/d/news.xml", None),
    ],
)
def test_a_dump_s_name_says_its_language(uri: str, code: str | None) -> None:
    assert wikipedia.langs(uri, Langs()) == Langs(anchor=code, positive=code)
    assert wikipedia.langs(uri, Langs(anchor="fr")).anchor == "fr"


@pytest.mark.parametrize(
    ("source", "plain"),
    [
        ("a {{b|{{c}} d}} e", "a e"),
        ("a {{b c", "a b c"),
        ("a }} b", "a b"),
        ("[[a|b|c]] [[d]]s [[:Category:X]]", "c ds Category:X"),
        ("[[File:x.ogg]]text", "text"),
        ("x<ref>y [[z]]</ref>w<ref name=q/>v", "xwv"),
        ("a<br/>b<small>c</small>", "a bc"),
        ("5 < 6 and 7 > 3", "5 < 6 and 7 > 3"),
        ("[http://a.b c d] [http://e.f]", "c d"),
        ("''a'' '''b''' c'd", "a b c'd"),
        ("__NOTOC__\n-{zh-hans:计算机; zh-hant:電腦}-科学", "计算机科学"),
        ("a\n[[Kategori:B|c]]\n[[Star Wars: Episode IV]] d", "a [[B]]"),
    ],
)
def test_markup_becomes_text(source: str, plain: str) -> None:
    (lead,) = wikitext.sections(source)
    want = plain if plain != "a [[B]]" else "a Star Wars: Episode IV d"
    assert " ".join(" ".join(lead.paragraphs).split()) == want


HOSTILE = {
    name: unit * (300_000 // len(unit))
    for name, unit in {
        "templates": "{{",
        "links": "[[",
        "piped": "[[a|",
        "tables": "{|\n",
        "tags": "<b>",
        "references": "<ref>",
        "cut tags": "<ref",
        "headings": "\n==",
        "equals": "= ",
        "mixed": "{{a|[[b|<c>",
        "comments": "<!--",
        "entities": "&#",
        "urls": "[http://a ",
        "prefixes": "[[a:b]] ",
        "variants": "-{a|",
        "words": "\n__",
        "brackets": " (",
        "blanks": " \n ",
        "quotes": "''",
    }.items()
} | {
    "nested": "[[" * 50_000 + "a|" + "]]" * 50_000,
    "closed": "{{" * 50_000 + "}}" * 50_000,
    "prefixes on a line": "[[a:b]] \t" * 30_000 + "x",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_wikitext_takes_time_in_proportion(name: str) -> None:
    text = HOSTILE[name]
    start = time.process_time()
    wikitext.sections(text)
    assert time.process_time() - start < 4  # a quadratic scan of 300 kB takes minutes


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                "{{",
                "}}",
                "[[",
                "]]",
                "{|",
                "|}",
                "|",
                "<ref>",
                "</ref>",
                "<!--",
                "-->",
                "\n",
                "==",
                "a",
                " ",
                "*",
                "<br>",
                "&amp;",
                "''",
                "-{",
                "}-",
                "File:a.png",
                ":",
                "__X__",
            ]
        ),
        max_size=60,
    )
)
def test_any_markup_gives_paragraphs_without_blank_ones(parts: list[str]) -> None:
    for section in wikitext.sections("".join(parts)):
        assert all(paragraph.strip() == paragraph and paragraph for paragraph in section.paragraphs)
        assert 0 <= section.listed <= sum(map(len, section.paragraphs))
