from pathlib import Path

from joinkit import built, worlds
from pytest import MonkeyPatch
from recordkit import jsonl

from pairmill.pairs.builders import anchors
from pairmill.pairs.pages.page import Page

TEXT = "A text about this that is long enough to be taken for the main content of a page, and not for a menu."


def page(name: str, links: str = "", lang: str = "en", head: str = "") -> dict[str, str]:
    html = f"<html lang={lang}><title>Page {name}</title>{head}<body><main><p>{TEXT} {links}</p></main>"
    return {"url": f"http://a.example/{name}", "html": html}


def link(target: str, text: str) -> str:
    return f'<a href="{target}">{text}</a>'


def test_a_links_text_and_the_title_of_its_target_are_a_pair(tmp_path: Path) -> None:
    one = jsonl(tmp_path / "1.jsonl", page("one", link("/two", "about two") + link("three#part", "more on three")))
    jsonl(tmp_path / "2.jsonl", page("two", link("https://a.example/one", "back to one"), lang="de"), page("three"))
    made = built(format="jsonl", path=[one, str(tmp_path / "2.jsonl")], builder="anchors")
    assert made.texts == [("about two", "Page two"), ("more on three", "Page three"), ("back to one", "Page one")]
    assert [(row["anchor_lang"], row["positive_lang"]) for row in made.rows] == [
        ("en", "de"),
        ("en", "en"),
        ("de", "en"),
    ]
    assert [row["url"] for row in made.rows] == ["http://a.example/one"] * 2 + ["http://a.example/two"]
    assert made.no_pair == {"no_links_found": 1} and worlds(made) == 1


def test_the_target_may_be_known_by_its_canonical_address_and_stand_for_its_body(tmp_path: Path) -> None:
    path = jsonl(
        tmp_path / "1.jsonl",
        page("one", link("/canonical", "the second")),
        page("two?session=1", head='<link rel=canonical href="/canonical">'),
    )
    made = built(format="jsonl", path=path, builder={"name": "anchors", "target": "body"})
    assert made.texts == [("the second", TEXT)]


def test_pages_without_telling_links_and_damaged_ones_are_counted(tmp_path: Path) -> None:
    path = jsonl(
        tmp_path / "1.jsonl",
        page("one", link("/two", "click here") + link("/two", "2")),
        page("two", link("/elsewhere", "somewhere else")),
        {"url": "http://a.example/four", "html": "<div>" * 100_000},
        b"{",
        page("five", link("/two", "see the second") + link("/four", "unreadable")),
        {"url": "http://a.example/two", "html": "<title>A second page of that address</title>"},
    )
    made = built(format="jsonl", path=path, builder="anchors")
    assert made.texts == [("see the second", "Page two")]
    assert made.no_pair == {"no_links_found": 2, "no_target": 1}
    assert made.errors == {"wrong_record": 1, "malformed_json": 1}


def test_a_text_that_leads_to_many_pages_of_a_site_is_generic_in_any_language(tmp_path: Path) -> None:
    pages = [
        page(str(at), link(f"/{at + 1}", "Următoarea") + link("/0", "cuprinsul întregii cărți")) for at in range(6)
    ]
    made = built(format="jsonl", path=jsonl(tmp_path / "1.jsonl", *pages), builder="anchors")
    assert set(made.texts) == {("cuprinsul întregii cărți", "Page 0")}


def test_texts_that_are_remembered_stay_bounded_whatever_they_lead_to(monkeypatch: MonkeyPatch) -> None:
    monkeypatch.setattr(anchors, "MAX_TEXTS", 100)
    texts = anchors._Texts()
    for at in range(400):  # each text leads to two pages, so none is rarer than the others
        texts.add(Page(f'<body><a href="/a{at}">the text {at // 2}</a></body>', "http://e.org/"))
        assert len(texts.targets) <= 100
