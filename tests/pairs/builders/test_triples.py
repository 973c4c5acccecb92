"""Triples of texts: MS MARCO's tables, hard negatives of four libraries."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from recordkit import built, from_jsonl


def test_a_table_without_header_as_ms_marco_has_it(tmp_path: Path) -> None:
    (tmp_path / "triples.tsv").write_text('what is "x"\tX is y.\tZ is w.\nbroken line\n\nq2\tp2\t\n\t\tn\n')
    made = built(
        format="csv",
        path=str(tmp_path / "triples.tsv"),
        builder="triples",
        delimiter="\t",
        quote=None,
        header=["query", "positive", "negative"],
    )
    assert [(row["anchor"], row["positive"], row["negatives"]) for row in made.rows] == [
        ('what is "x"', "X is y.", ["Z is w."]),
        ("q2", "p2", None),
    ]
    assert made.no_pair == {"blank_line": 1, "no_query": 1} and made.errors == {"wrong_field_count": 1}


DPR = {
    "dataset": "nq",
    "question": "who?",
    "answers": ["him"],
    "negative_ctxs": [],
    "positive_ctxs": [
        {"title": "Him", "text": "It was him.", "score": 1000, "title_score": 1, "passage_id": "7"},
        {"title": "", "text": "He."},
    ],
    "hard_negative_ctxs": [
        {"title": "Her", "text": "Not her.", "passage_id": "8"},
        {"title": "Him", "text": "It was him."},
    ],
}


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"query": "q", "pos": ["p1", "p2"], "neg": ["n1", "p1", "n2", "n1"]}, ("q", "p1", ["n1", "n2"])),
        (DPR, ("who?", "Him\nIt was him.", ["Her\nNot her."])),
        (
            {
                "query_id": "1",
                "query": "q",
                "positive_passages": [{"docid": "1", "title": "T", "text": "p"}],
                "negative_passages": [{"docid": "2", "text": "n"}],
            },
            ("q", "T\np", ["n"]),
        ),
        (
            {"anchor": "a", "positive": "p", "negative_1": "n1", "negative_2": "n2", "negative_4": "lost"},
            ("a", "p", ["n1", "n2"]),
        ),
        ({"anchor": "a", "positive": "p"}, ("a", "p", None)),
    ],
)
def test_each_library_s_form_gives_query_passage_and_negatives(tmp_path: Path, record: dict, expected: tuple) -> None:
    (row,) = from_jsonl(tmp_path, "triples", record).rows
    assert (row["anchor"], row["positive"], row["negatives"]) == expected


def test_positives_negatives_and_titles_are_bounded_by_options(tmp_path: Path) -> None:
    record = {"query": "q", "pos": [{"title": "T", "text": "p1"}, "p2", "p3"], "neg": [f"n{n}" for n in range(20)]}
    made = from_jsonl(tmp_path, {"name": "triples", "positives": 2, "negatives": 3, "title": False}, record)
    assert [(row["positive"], row["negatives"]) for row in made.rows] == [
        ("p1", ["n0", "n1", "n2"]),
        ("p2", ["n0", "n1", "n2"]),
    ]
    assert {row["origin_row"] for row in made.rows} == {0}


def test_dpr_s_json_file_and_numbered_columns_of_parquet_are_read(tmp_path: Path) -> None:
    (tmp_path / "nq.json").write_text(json.dumps([DPR, DPR]))
    assert built(format="json", path=str(tmp_path / "nq.json"), builder="triples").parsed == 2
    table = {"query": ["q"], "positive": ["p"], "negative_1": ["n1"], "negative_2": ["n2"]}
    pq.write_table(pa.table(table), tmp_path / "a.parquet")
    assert built(format="parquet", path=str(tmp_path / "a.parquet"), builder="triples").rows[0]["negatives"] == [
        "n1",
        "n2",
    ]


def test_missing_sides_and_wrong_types_are_counted(tmp_path: Path) -> None:
    made = from_jsonl(
        tmp_path,
        "triples",
        {"query": "q", "pos": []},
        {"pos": ["p"]},
        {"query": "q", "pos": [""]},
        {"query": 1, "pos": ["p"]},
        {"query": "q", "pos": [1]},
        {"query": "q", "pos": ["p"], "neg": [[1]]},
        {"query": "q", "pos": {"title": "t", "text": 2}},
    )
    assert made.no_pair == {"no_positive": 2, "no_query": 1} and made.errors == {"wrong_record": 4}


def test_a_record_s_own_instruction_stands_before_its_query_as_the_template_says(tmp_path: Path) -> None:
    records = [
        {
            "task": "Find {text} that helps",
            "user_query": "how?",
            "positive_document": "so",
            "hard_negative_document": "no",
        },
        {"user_query": "how?", "positive_document": "so"},
    ]
    options = {
        "name": "triples",
        "query": ["user_query"],
        "positive": ["positive_document"],
        "negative": ["hard_negative_document"],
        "instruction": ["task"],
    }
    made = from_jsonl(tmp_path, options, *records)
    assert [(row["anchor"], row["negatives"]) for row in made.rows] == [
        ("Instruct: Find {text} that helps\nQuery: how?", ["no"])
    ]
    assert made.no_pair == {"no_instruction": 1}
    (row,) = from_jsonl(tmp_path, {**options, "instruction_template": "{task}: {text}"}, records[0]).rows
    assert row["anchor"] == "Find {text} that helps: how?"
