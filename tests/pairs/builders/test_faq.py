import json
from pathlib import Path

import pytest
from recordkit import from_jsonl

from pairmill.pairs.builders.faq import is_question

TEXT = "Bring it to the shop with the receipt, and you get your money back within fourteen days."
LD = {"@type": "FAQPage", "mainEntity": [
    {"@type": "Question", "name": "How do I return it?", "acceptedAnswer": {"text": f"<p>{TEXT}</p>"}},
    {"@type": "Question", "name": "Is it safe?", "acceptedAnswer": {"@type": "Answer", "text": "Yes."}},
]}  # fmt: skip
PAGE = f"""<html lang=en><title>Help</title><link rel=canonical href="/help"><script type="application/ld+json">
{json.dumps(LD)}</script><body><main><h1>Help</h1><h2>How do I return it?</h2><p>{TEXT}</p>
<h2>What does it cost?</h2><p>Nothing, {TEXT}</p><h2>Contact</h2><p>{TEXT}</p></main>"""


def test_marked_up_questions_come_before_question_headings_and_each_once(tmp_path: Path) -> None:
    made = from_jsonl(tmp_path, "faq", {"html": PAGE, "url": "http://shop.example/help?x"})
    assert made.texts == [
        ("How do I return it?", TEXT),
        ("Is it safe?", "Yes."),
        ("What does it cost?", f"Nothing, {TEXT}"),
    ]
    assert {(row["anchor_lang"], row["url"]) for row in made.rows} == {("en", "http://shop.example/help")}


def test_headings_can_be_left_out_and_short_answers_too(tmp_path: Path) -> None:
    made = from_jsonl(tmp_path, {"name": "faq", "headings": False, "min_chars": 10}, {"html": PAGE})
    assert made.texts == [("How do I return it?", TEXT)]


def test_pages_without_questions_and_damaged_ones_are_counted(tmp_path: Path) -> None:
    made = from_jsonl(
        tmp_path,
        {"name": "faq", "min_chars": 10},
        {"html": PAGE},
        {"html": f"<main><h1>Help</h1><p>{TEXT}</main>"},
        {"html": "<main><h2>Why?</h2><h2>How?</h2></main>"},
        {"html": "<main><h2>Why?</h2><p>So.</main>"},
        {"html": "\0" * 100},
        b'["no object"]',
    )
    assert made.no_pair == {"no_question": 2, "short_answer": 1}
    assert made.errors == {"wrong_record": 1, "not_an_object": 1}


@pytest.mark.parametrize(
    ("text", "lang"),
    [
        ("Why?", None), ("¿Por qué?", "es"), ("なぜですか？", "ja"), ("لماذا؟", "ar"), ("ለምን፧", "am"), ("Ինչո՞ւ", "hy"),
        ("Γιατί;", "el"), ("Γιατί\N{GREEK QUESTION MARK}", None), ("„Wirklich?“", "de"), ("(Really?)", "en"),
        ("Was?!", "de"),
    ],
)  # fmt: skip
def test_question_marks_of_all_scripts_end_a_question(text: str, lang: str | None) -> None:
    assert is_question(text, lang)


@pytest.mark.parametrize(
    ("text", "lang"), [("Why? Because", "en"), ("Notes;", "en"), ("", None), ("Ի՞նչ եւ ուր", "hy")]
)
def test_other_headings_are_none(text: str, lang: str | None) -> None:
    assert not is_question(text, lang)
