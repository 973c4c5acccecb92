import json
from typing import Any

import pytest

from pairmill.pairs.pages.page import Page
from pairmill.pairs.pages.questions import Question, marked_up


def ld(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return f'<script type="application/ld+json">{text}</script>'


def question(name: str, *accepted: Any, **more: Any) -> dict[str, Any]:
    answer = {"acceptedAnswer": accepted[0] if len(accepted) == 1 else list(accepted)} if accepted else {}
    return {"@type": "Question", "name": name, **answer, **more}


def answer(text: str, votes: Any = None) -> dict[str, Any]:
    return {"@type": "Answer", "text": text, **({} if votes is None else {"upvoteCount": votes})}


WHY = [Question("Why?", "Because.")]


@pytest.mark.parametrize(
    ("html", "found"),
    [
        (ld({"@type": "FAQPage", "mainEntity": [question("Why?", answer("<p>Because.</p>"))]}), WHY),
        (ld({"@graph": [{"@type": ["WebPage", "FAQPage"], "mainEntity": question("Why?", answer("Because."))}]}), WHY),
        (ld([{"@type": "Organization"}, question("Why?", "Because.")]), WHY),
        (ld({**question("Why?", answer("Because.")), "@type": "https://schema.org/Question"}), WHY),
        (ld({"@graph": [question("Why?", {"@id": "#a"}), {"@id": "#a", **answer("Because.")}]}), WHY),
        (ld(question("Why?", answer("Because."), suggestedAnswer=[answer("No.", 99)])), WHY),
        (ld(question("Why?", suggestedAnswer=[answer("No.", 1), answer("Because.", "7"), answer("Eh.", "many")])), WHY),
        (ld(question("Why?", answer(""), answer("Because."))), WHY),
        (ld(question("Quiz?", suggestedAnswer=[answer("Wrong.")], eduQuestionType="Multiple choice")), []),
        (ld(question("Why?")), []),
        (ld(question("", answer("Because."))), []),
        (ld(question("Why?", 7)), []),
        (ld('{"@type": "Question", "name": "Why?", "acceptedAnswer": {"text": "\nBecause."}};'), WHY),
        (ld("<!-- " + json.dumps(question("Why?", "Because.")) + " -->"), WHY),
        (ld("{not json") + ld(question("Why?", "Because.")), WHY),
        (ld("[" * 100_000), []),
        (ld(question("Why?", "Because.")) * 2, WHY),
        (ld(question("&lt;b&gt; or <i>strong</i>?", "A&amp;B<br>C")), [Question("<b> or strong?", "A&B\nC")]),
        (
            """<div itemscope itemtype="https://schema.org/FAQPage"><div itemprop="mainEntity" itemscope
            itemtype="https://schema.org/Question"><h3 itemprop="name">Why?</h3><div itemprop="acceptedAnswer" itemscope
            itemtype="https://schema.org/Answer"><span itemprop="author" itemscope><b itemprop="name">Ann</b></span>
            <div itemprop="text"><p>Because.</p></div></div></div></div>""",
            WHY,
        ),
        (
            """<div itemscope itemtype="http://schema.org/Question"><meta itemprop="name" content="Why?">
            <div itemprop="suggestedAnswer" itemscope><i itemprop="upvoteCount">1</i>
            <p itemprop="text">No.</p></div>
            <div itemprop="suggestedAnswer" itemscope><i itemprop="upvoteCount">5</i>
            <p itemprop="text">Because.</p></div>""",
            WHY,
        ),
        (
            """<div vocab="https://schema.org/" typeof="FAQPage"><div property="mainEntity" typeof="Question"><h3
            property="name">Why?</h3><div property="acceptedAnswer" typeof="Answer"><p property="text">Because.</p>""",
            WHY,
        ),
        ("<h2>Why?</h2><p>Because.</p>", []),
    ],
)  # fmt: skip
def test_questions_are_found_in_each_form_of_schema_org(html: str, found: list[Question]) -> None:
    assert marked_up(Page(f"<html><body>{html}")) == found
