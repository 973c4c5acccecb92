"""Papers: title -> abstract in each of S2ORC's three forms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from recordkit import from_jsonl

TEXT = "A Title of a Paper\nAda Lovelace\nAbstract\nWe show  this.\nAnd that.\nIntroduction\nMuch later ..."


def spans(*texts: str, as_text: bool = False) -> str:
    places = [(TEXT.index(text), TEXT.index(text) + len(text)) for text in texts]
    return json.dumps([{"start": str(a) if as_text else a, "end": str(b) if as_text else b} for a, b in places])


def since_2022(**annotations: Any) -> dict[str, Any]:
    return {"corpusid": 1, "content": {"source": {}, "text": TEXT, "annotations": annotations}}


def test_metadata_of_2020_gives_the_abstract_with_its_breaks(tmp_path: Path) -> None:
    record = {
        "paper_id": "1",
        "title": "Trial of a drug",
        "abstract": "BACKGROUND: Why. ::: RESULTS: What.",
        "year": 2001,
    }
    assert from_jsonl(tmp_path, "papers", record).texts == [("Trial of a drug", "BACKGROUND: Why.\nRESULTS: What.")]


def test_paragraphs_of_a_parse_are_joined(tmp_path: Path) -> None:
    parts = [{"section": "Abstract", "text": "One.", "cite_spans": []}, {"section": "Abstract", "text": "Two."}]
    made = from_jsonl(
        tmp_path, "papers", {"title": "T", "abstract": parts}, {"metadata": {"title": "M", "abstract": ["A"]}}
    )
    assert made.texts == [("T", "One.\nTwo."), ("M", "A")]


def test_spans_of_the_newest_release_are_cut_from_the_text_once(tmp_path: Path) -> None:
    made = from_jsonl(
        tmp_path,
        "papers",
        since_2022(title=spans("A Title of a Paper"), abstract=spans("We show  this.\nAnd that.")),
        since_2022(
            title=spans("A Title of a Paper", "Ada Lovelace"),
            abstract=spans("We show  this.", "show", "And that.", "And that.", as_text=True),
        ),
    )
    assert made.texts == [("A Title of a Paper", "We show  this.\nAnd that.")] * 2


def test_papers_without_an_abstract_and_damaged_ones_are_counted(tmp_path: Path) -> None:
    made = from_jsonl(
        tmp_path,
        "papers",
        {"title": "T", "abstract": None},
        {"title": "T", "abstract": []},
        {"abstract": "A"},
        since_2022(title=spans("A Title of a Paper"), abstract=None),
        {"content": {"text": None, "annotations": {}}},
        {"title": "T", "abstract": 5},
        {"title": "T", "abstract": [["nested"]]},
        since_2022(title="[{", abstract="[]"),
        since_2022(title='[{"start": 1}]'),
        since_2022(title="[[1, 2]]"),
        {"title": "T", "abstract": "A"},
    )
    assert made.no_pair == {"no_abstract": 3, "no_title": 2}
    assert made.errors == {"wrong_record": 5} and made.parsed == 1
