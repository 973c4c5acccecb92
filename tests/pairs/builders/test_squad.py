"""SQuAD-style sets: questions are the records, whatever they are nested in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from recordkit import Outcome, built, from_jsonl, jsonl


def squad(path: Path, articles: Any) -> str:
    path.write_text(json.dumps({"version": "1.1", "data": articles}, ensure_ascii=False))
    return str(path)


def read(path: str, builder: Any = "squad", **settings: Any) -> Outcome:
    return built([(1 << 40, 512), (1, 7)], format="json", path=path, records="data", builder=builder, **settings)


def nested(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Flat rows as the file they came from: articles, paragraphs, questions."""
    articles: dict[str, dict[str, list[Any]]] = {}
    for row in rows:
        question = {
            "id": row["qid"],
            "question": row["question"],
            "answers": [{"text": row["answer"], "answer_start": row["context"].find(row["answer"])}],
        }
        articles.setdefault(row["title"], {}).setdefault(row["context"], []).append(question)
    return [
        {"title": title, "paragraphs": [{"context": context, "qas": qas} for context, qas in paragraphs.items()]}
        for title, paragraphs in articles.items()
    ]


def test_xquad_in_its_own_form_gives_each_question_and_its_paragraph(shared_data: Path, tmp_path: Path) -> None:
    table = pq.read_table(shared_data / "qa" / "xquad.parquet")
    for lang in ("en", "zh", "tr"):
        rows = [row for row in table.to_pylist() if row["lang"] == lang]
        path = squad(tmp_path / f"xquad.{lang}.json", nested(rows))
        made = read(path, langs={"anchor": lang, "positive": lang})
        assert made.records == made.parsed == len(rows) == 1190
        assert sorted(made.texts) == sorted((row["question"].strip(), row["context"].strip()) for row in rows)
        assert [row["origin_row"] for row in made.rows] == list(range(1190))
        sentences = read(path, {"name": "squad", "passage": "sentence", "title": False})
        asked = {(row["question"].strip(), row["answer"].strip()) for row in rows}
        assert sentences.parsed + sentences.no_pair["answer_not_in_context"] == 1190 and sentences.parsed > 1170
        answers = {question: [answer for other, answer in asked if other == question] for question, _ in asked}
        assert all(any(answer in passage for answer in answers[question]) for question, passage in sentences.texts)
        whole = sum(len(passage) for _, passage in made.texts)
        assert sum(len(passage) for _, passage in sentences.texts) < 0.5 * whole


def test_flat_rows_give_the_same_pairs_as_articles(shared_data: Path, tmp_path: Path) -> None:
    rows = pq.read_table(shared_data / "qa" / "xquad.parquet").slice(0, 200).to_pylist()
    flat = {
        "id": [row["qid"] for row in rows],
        "title": [row["title"] for row in rows],
        "context": [row["context"] for row in rows],
        "question": [row["question"] for row in rows],
        "answers": [{"text": [row["answer"]], "answer_start": [row["context"].find(row["answer"])]} for row in rows],
    }
    pq.write_table(pa.table(flat), tmp_path / "validation.parquet", row_group_size=50)
    for options in ("squad", {"name": "squad", "passage": "sentence"}, {"name": "squad", "title": True}):
        made = built(format="parquet", path=str(tmp_path / "validation.parquet"), builder=options)
        articles = read(squad(tmp_path / "a.json", nested(rows)), options)
        assert sorted(made.texts) == sorted(articles.texts) and made.records == articles.records == 200


def test_unanswerable_questions_and_damaged_parts_are_counted_one_by_one(tmp_path: Path) -> None:
    def ask(question: Any, **more: Any) -> dict[str, Any]:
        return {"id": "1", "question": question, "answers": [{"text": "b", "answer_start": 2}], **more}

    articles = [
        {
            "title": "One",
            "paragraphs": [
                {
                    "context": "a b c",
                    "qas": [ask("q0"), ask("q1", answers=[], is_impossible=True), ask(None), ask("q3", answers="x")],
                },
                {"context": "", "qas": [ask("q4")]},
                {"context": 5, "qas": [ask("q5")]},
            ],
        },
        {"title": "Two", "paragraphs": []},
        {"title": "Three", "paragraphs": "none"},
        {"title": "Four"},
        "no article",
        {"title": "Five", "paragraphs": [{"context": "a b", "qas": [ask("q11"), "no question"]}]},
        {"title": "Six", "paragraphs": [{"context": "a b", "qas": [ask("q12")]}]},
    ]
    made = read(squad(tmp_path / "a.json", articles))
    assert made.texts == [("q0", "a b c"), ("q12", "a b")]
    assert made.no_pair == {"unanswerable": 1, "no_question": 3, "no_context": 1}
    assert made.errors["wrong_record"] == 4 and len(made.quarantine) == 5
    assert made.rows[1]["origin_row"] == made.records - 1 == 11


def test_mrqa_s_lines_and_cmrc_s_paragraphs_are_expanded(tmp_path: Path) -> None:
    mrqa = [
        {"header": {"dataset": "X", "split": "dev"}},
        {
            "id": "",
            "context": "C one.",
            "qas": [
                {"qid": "1", "question": "q1", "answers": ["one"]},
                {"qid": "2", "question": "q2", "answers": ["C"]},
            ],
        },
    ]
    made = from_jsonl(
        tmp_path, "squad", *mrqa, b"", b"{", {"context": "D", "qas": [{"question": "q3", "answers": ["D"]}]}
    )
    assert made.texts == [("q1", "C one."), ("q2", "C one."), ("q3", "D")]
    assert [row["origin_row"] for row in made.rows] == [1, 2, 5] and made.quarantine[0].origin_row == 4
    assert made.no_pair == {"header": 1, "blank_line": 1} and made.records == 6
    (tmp_path / "cmrc.json").write_text(
        json.dumps(
            [
                {
                    "context_id": "1",
                    "context_text": "文。",
                    "title": "题",
                    "qas": [{"query_id": "1", "query_text": "问？", "answers": ["文"]}],
                }
            ]
        )
    )
    made = built(format="json", path=str(tmp_path / "cmrc.json"), builder={"name": "squad", "title": True})
    assert made.texts == [("问？", "题\n文。")]


@pytest.mark.parametrize(
    ("context", "answer", "expected"),
    [
        ("First one. The second (with Dr. X) here! Third?", "second", "The second (with Dr."),
        ("一つ目。二つ目です。三つ目", "二つ", "二つ目です。"),
        ("पहला वाक्य। दूसरा वाक्य। तीसरा", "दूसरा", "दूसरा वाक्य।"),
        ("It cost 3.50 in 1999. Then more.", "1999", "It cost 3.50 in 1999."),
        ("A spans. B spans. C.", "spans. B", "A spans. B spans."),
        ("Line one\nLine two", "two", "Line two"),
        ("no end", "end", "no end"),
    ],
)
def test_the_sentence_of_the_answer_is_cut_in_several_scripts(
    tmp_path: Path, context: str, answer: str, expected: str
) -> None:
    record = {
        "question": "q",
        "context": f"  {context}",
        "answers": {"text": [answer], "answer_start": [context.find(answer) + 2]},
    }
    assert from_jsonl(tmp_path, {"name": "squad", "passage": "sentence"}, record).texts == [("q", expected)]


def test_an_answer_that_is_nowhere_makes_no_sentence(tmp_path: Path) -> None:
    record = {"question": "q", "context": "a b", "answers": {"text": ["z"], "answer_start": [1]}}
    path = jsonl(tmp_path / "a.jsonl", record, {**record, "answers": {"text": ["a"], "answer_start": [900]}})
    made = built(format="jsonl", path=path, builder={"name": "squad", "passage": "sentence"})
    assert made.no_pair == {"answer_not_in_context": 1} and made.texts == [("q", "a b")]
