import pytest

from pairmill.pairs.pages.links import Link, generic, links
from pairmill.pairs.pages.page import Page
from pairmill.pairs.pages.urls import key, resolve


@pytest.mark.parametrize(
    ("base", "href", "found"),
    [
        ("http://a.example/b/c.html", "d.html#part", "a.example/b/d.html"),
        ("https://A.example:443/b/", "../e?x=1&utm_source=y", "a.example/e?x=1&utm_source=y"),
        ("http://a.example:8080/", "/x", "a.example:8080/x"),
        ("http://a.example", "", ""),
        ("http://a.example/", "#top", ""),
        ("http://a.example/", "mailto:me@a.example", ""),
        ("http://a.example/", "javascript:void(0)", ""),
        ("http://a.example/", "//b.example", "b.example/"),
        ("http://a.example/", "http://[::1", ""),
        ("http://a.example/", "http://b.example:port/", ""),
        ("http://a.example/", "/Brücke bauen", "a.example/Br%C3%BCcke%20bauen"),
        ("http://a.example/", "/Br%C3%BCcke%20bauen", "a.example/Br%C3%BCcke%20bauen"),
        ("s3://bucket/site/a.html", "../b.html", "bucket/b.html"),
        ("s3://bucket/site/a.html", "http://a.example/b", "a.example/b"),
        ("site/de/a.html", "../en/a.html", "site/en/a.html"),
        ("file:///srv/a.html", "b.html", "/srv/b.html"),
    ],
)
def test_addresses_of_one_page_have_one_key(base: str, href: str, found: str) -> None:
    assert key(resolve(base, href)) == found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "2024",
        "→",
        "here",
        "Click here!",
        "» Weiterlesen …",
        "www.a.example/b",
        "http://a.example",
        "更多",
    ],
)
def test_texts_that_name_no_target_are_generic(text: str) -> None:
    assert generic(text)


@pytest.mark.parametrize("text", ["Go", "Article 3", "C and C++", "here comes the sun", "大阪", "Node.js tutorial"])
def test_other_texts_are_not(text: str) -> None:
    assert not generic(text)


def test_links_that_tell_of_another_page_are_found_once() -> None:
    html = """<base href="/base/"><nav><a href=n>Navigation text</a></nav><main>
    <a href="one">The first
      page</a> <a href="one#x">The first page</a> <a href=one>Other text</a> <a href="/self">This very page</a>
    <a href=two>Chapter</a> <a href=three>Chapter</a> <a href=four rel="next">Next chapter</a> <a name=x>Not a link</a>
    <a href=five><img src=x></a> <a href="http://b.example/">B.example</a></main>
    <footer><a href=f>Imprint of us</a></footer>"""
    page = Page(html, "http://a.example/self")
    assert links(page) == [Link("The first page", "a.example/base/one"), Link("Other text", "a.example/base/one")]
