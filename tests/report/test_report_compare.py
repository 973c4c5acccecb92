"""The comparison of two runs as page and text: hostile rows are inert, right-to-left texts are marked as such."""

from __future__ import annotations

import re

import compare_summaries
import pytest

from markup import Page
from pairmill.report import compare_page, compare_text


@pytest.mark.parametrize("made", [compare_summaries.usual, compare_summaries.hostile])
def test_no_row_makes_an_element_or_an_attribute_of_the_page(made):
    page = compare_page.render(made(), "pairmill runs compare <script>alert(1)</script>")
    tags = Page(page).tags
    assert {tag for tag, _ in tags} & {"script", "img", "svg", "iframe", "object", "embed", "form"} == set()
    assert not any(name.startswith("on") for _, attributes in tags for name in attributes)
    links = [attributes["href"] for tag, attributes in tags if tag in ("a", "link")]
    assert all(link == "data:," or str(link).startswith("#") for link in links)
    assert len(page.encode()) <= compare_page.LARGEST


@pytest.mark.parametrize("write", [compare_text.text, lambda found: compare_page.render(found, "")])
def test_what_acts_on_its_surroundings_is_written_out(write):
    told = write(compare_summaries.hostile())
    assert re.findall("[\x00\x07\x08\x1b\u202e\u2066\ud800]", told) == []
    assert "[U+202E]" in told and "[U+D800]" in told
    told.encode()


def test_texts_of_both_directions_carry_their_language_and_find_their_own():
    page = compare_page.render(compare_summaries.usual(), "")
    texts = [attributes for tag, attributes in Page(page).tags if "text" in (attributes.get("class") or "").split()]
    assert {text["lang"] for text in texts} == {"en", *compare_summaries.LOCALES}
    assert {text["dir"] for text in texts} == {"auto"}


def test_a_text_that_differs_between_the_runs_is_shown_as_both_have_it():
    page = compare_page.render(compare_summaries.usual(), "")
    assert page.count("Positive in B") == 1 and "Anchor in B" not in page


def test_a_comparison_without_rows_in_common_or_moves_is_readable():
    found = compare_summaries.usual()
    found |= {"moves": [], "rows": {**found["rows"], "joined": 0, "moved": 0}, "spec": [], "rules": [], "pairs": []}
    assert "no row in common" in compare_text.text(found)
    page = compare_page.render(found, "")
    assert "No row that both have went another way" in page and "are the same" in page
