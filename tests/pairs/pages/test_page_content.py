import pytest

from pairmill.pairs.pages import content
from pairmill.pairs.pages.content import Block
from pairmill.pairs.pages.page import Page

TEXT = "Paragraphs of some length, with enough words that no rule takes them for a menu or for the end of a page."
PAGE = f"""<html><body><nav><ul><li><a href="/">Home</a><li><a href="/b">Blog</a></ul></nav>
<main><h1>Bridges<a class="headerlink" href="#b">¶</a></h1><p>{TEXT}</p>
<h2>C&amp;C #</h2><p>One &lt;b&gt;<br>two</p><pre>a   b
c</pre><table><tr><td>1<td>2</table><h3>C#</h3><p>{TEXT}<h2> </h2><script>var x = "<h2>no</h2>"</script></main>
<footer>© 2024 Imprint</footer></body></html>"""


def test_headings_have_levels_and_menus_are_no_content() -> None:
    assert Page(PAGE).blocks == [
        Block(1, "Bridges"),
        Block(0, TEXT),
        Block(2, "C&C"),
        Block(0, "One <b>\ntwo\na b\nc\n1 2"),
        Block(3, "C#"),
        Block(0, TEXT),
    ]


def test_trafilatura_finds_the_same_sections() -> None:
    assert [block.text for block in Page(PAGE, extractor="trafilatura").blocks if block.text == TEXT] == [TEXT, TEXT]
    assert "Imprint" not in content.join(Page(PAGE, extractor="trafilatura").blocks)


@pytest.mark.parametrize("extractor", ["resiliparse", "trafilatura"])
def test_extraction_does_not_depend_on_the_pages_before(extractor: str) -> None:
    first = Page(PAGE, extractor=extractor).blocks
    for _ in range(5):
        assert Page(PAGE, extractor=extractor).blocks == first


@pytest.mark.parametrize("html", ["", "x", "<h1>", "<title>t</title>", "<body></body>", "<frameset>"])
def test_pages_without_content_have_few_blocks(html: str) -> None:
    assert len(Page(html).blocks) <= 1
