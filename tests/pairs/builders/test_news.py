"""News: title -> body from what news-please, CC-News and Common Crawl's extractions write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from recordkit import built, from_jsonl, spec_of

#: A record of news-please, as CC-News holds them.
ARTICLE: dict[str, Any] = {
    "authors": ["A. Reporter"],
    "date_publish": "2023-01-02 03:04:05",
    "description": "In short.",
    "filename": "x.json",
    "image_url": None,
    "language": "de",
    "localpath": None,
    "source_domain": "zeitung.example",
    "title": " Die Überschrift ",
    "maintext": "Der erste Absatz.\nDer zweite.",
    "url": "https://zeitung.example/1",
}


def test_title_and_body_become_a_pair_in_the_declared_language(tmp_path: Path) -> None:
    (row,) = from_jsonl(tmp_path, "news", ARTICLE).rows
    assert (row["anchor"], row["positive"]) == ("Die Überschrift", "Der erste Absatz.\nDer zweite.")
    assert (row["anchor_lang"], row["positive_lang"], row["url"]) == ("de", "de", "https://zeitung.example/1")
    assert spec_of(format="jsonl", path="x", builder="news").form == "title-body"


def test_what_holds_no_pair_is_counted_and_what_is_damaged_quarantined(tmp_path: Path) -> None:
    made = from_jsonl(
        tmp_path,
        "news",
        ARTICLE,
        {**ARTICLE, "title": None},
        {**ARTICLE, "maintext": " "},
        b"",
        b'{"title": "cut',
        {**ARTICLE, "title": ["a", "b"]},
        {**ARTICLE, "maintext": {"p": 1}},
        {**ARTICLE, "language": 7},
        b"[1]",
        ARTICLE,
    )
    assert (made.records, made.parsed) == (10, 2)
    assert made.no_pair == {"no_title": 1, "no_body": 1, "blank_line": 1}
    assert made.errors == {"wrong_record": 3, "malformed_json": 1, "not_an_object": 1}
    assert "title: list instead of a string" in made.details
    assert [entry.origin_row for entry in made.quarantine] == [4, 5, 6, 7, 8]


def test_parquet_of_the_other_field_names_gives_the_same_pairs(tmp_path: Path) -> None:
    table = {"title": ["Eins", "Zwei"], "plain_text": ["Text eins", None], "requested_url": ["u1", "u2"], "n": [1, 2]}
    pq.write_table(pa.table(table), tmp_path / "news.parquet", row_group_size=1)
    made = built(format="parquet", path=str(tmp_path / "news.parquet"), builder="news", langs={"anchor": "nl"})
    assert made.texts == [("Eins", "Text eins")] and made.no_pair == {"no_body": 1}
    assert (made.rows[0]["anchor_lang"], made.rows[0]["positive_lang"], made.rows[0]["url"]) == ("nl", None, "u1")


def test_nested_fields_are_named_with_dots(tmp_path: Path) -> None:
    record = {"meta": {"head": "Titel", "lang": "xx-unknown-code"}, "body": "Text"}
    made = from_jsonl(tmp_path, {"name": "news", "title": "meta.head", "body": "body", "lang": "meta.lang"}, record)
    assert made.texts == [("Titel", "Text")]
    assert made.rows[0]["anchor_lang"] is None
