import pytest

from pairmill.pairs.pages.page import Page

HEAD = '<meta property="og:site_name" content="Die Zeitung">'


@pytest.mark.parametrize(
    ("html", "title"),
    [
        ("<title>A  plain\n title</title>", "A plain title"),
        (f"{HEAD}<title>Neue Brücke - Die Zeitung</title>", "Neue Brücke"),
        (f"{HEAD}<title>Die Zeitung | Neue Brücke - Teil 2</title>", "Neue Brücke - Teil 2"),
        (f"{HEAD}<title>Neue Brücke – Köln</title>", "Neue Brücke – Köln"),
        (f"{HEAD}<title>Die Zeitung</title>", "Die Zeitung"),
        ('<meta name="Application-Name" content="Wiki"><title>Brücke | Wiki</title>', "Brücke"),
        ("<title>Brücke - zeitung.example</title>", "Brücke"),
        ("<title>Brücke — Wiki, das freie Nachschlagewerk</title><h1>Brücke</h1>", "Brücke"),
        ('<title>Brücke | Irgendwo</title><meta property="og:title" content="Brücke">', "Brücke"),
        ("<title>Irgendwo | Brücke</title><h1>Brücke</h1>", "Irgendwo | Brücke"),
        ("<title>Brücke | Irgendwo</title><h1>Irgendwo</h1>", "Brücke | Irgendwo"),
        ('<title>Irgendwo - Brücke</title><h1><a href="/">Irgendwo</a></h1>', "Irgendwo - Brücke"),
        ("<title>E-Mail und Self-Service</title>", "E-Mail und Self-Service"),
        ("<title>-</title><h1>x</h1>", "-"),
        ('<meta property="og:title" content="Only there"><h1>x</h1>', "Only there"),
        ("<h1><img alt=logo></h1><h1>First <em>heading</em></h1>", "First heading"),
        ("<title> </title><p>text", ""),
        ("<title>" + "- " * 2_000 + "</title>", "- " * 1_999 + "-"),
    ],
)
def test_a_title_loses_the_name_of_its_site_only_on_evidence(html: str, title: str) -> None:
    assert Page(html, "http://www.zeitung.example/a").title == title


@pytest.mark.parametrize(
    ("html", "lang"),
    [
        ('<html lang="pt-BR"><meta http-equiv="content-language" content="en">', "pt-BR"),
        ('<html xml:lang="de_AT">', "de"),
        ('<html lang="no such language"><meta http-equiv="Content-Language" content="fr, en">', "fr"),
        ('<meta property="og:locale" content="zh_TW">', "zh-Hant"),
        ('<html lang="und">', None),
        ("<p>", None),
    ],
)
def test_the_first_declaration_that_is_a_language_counts(html: str, lang: str | None) -> None:
    assert Page(html).lang == lang


@pytest.mark.parametrize(
    ("address", "html", "url"),
    [
        ("http://a.example/b?utm=1", '<link rel="canonical" href="/b">', "http://a.example/b"),
        ("http://www.a.example/b", '<link rel=canonical href="https://a.example/c">', "https://a.example/c"),
        ("http://a.example/b", '<link rel=canonical href="https://other.example/b">', "http://a.example/b"),
        (None, '<link rel=canonical href="https://other.example/b">', "https://other.example/b"),
        ("http://a.example/b", '<link rel=canonical href="http://[">', "http://a.example/b"),
        ("http://a.example/b", '<link rel=canonical href="">', "http://a.example/b"),
        (None, '<link rel=canonical href="/b">', None),
    ],
)
def test_the_canonical_address_counts_on_the_same_host(address: str | None, html: str, url: str | None) -> None:
    assert Page(html, address).url == url
