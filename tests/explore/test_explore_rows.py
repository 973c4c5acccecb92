"""Filters, pages and counts against the same rows read by pyarrow."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import pytest
from starlette.datastructures import QueryParams

from pairmill.errors import SpecError
from pairmill.explore import rows
from pairmill.explore.contents import Contents, contents
from pairmill.explore.database import Database, Question
from pairmill.explore.filters import Filters
from pairmill.explore.pages import filters_of
from pairmill.pairs.kept import fits
from reading import table

Row = dict[str, Any]


def every(found: Contents, part: str) -> list[Row]:
    return table(found.run, part).to_pylist()


def pages(database: Database, asked: Question, found: Contents, filters: Filters) -> list[Row]:
    """All pages, one after the other."""
    after, walked = "", []
    while True:
        page = rows.page(database, asked, found, filters, after)
        walked += page.rows
        if page.after is None:
            return walked
        assert len(page.rows) == rows.PAGE
        after = page.after


def number(value: float | None, low: float, high: float) -> bool:
    return value is not None and not math.isnan(value) and low <= value <= high


CASES: dict[str, tuple[str, Callable[[Row], bool]]] = {
    "everything": ("part=kept", lambda row: True),
    "rejected": ("part=rejected", lambda row: True),
    "a source": ("source=catalogue", lambda row: row["source"] == "catalogue"),
    "no source": ("source=other", lambda row: False),
    "a language": ("language=de", lambda row: fits("de", row["anchor_lang"], row["positive_lang"])),
    "a pair": ("language=en-fr", lambda row: fits("en-fr", row["anchor_lang"], row["positive_lang"])),
    "a pair, turned round": ("language=ja-en", lambda row: row["positive_lang"] == "ja"),
    "a reason": ("part=rejected&reason=near_duplicate", lambda row: row["reason"] == "near_duplicate"),
    "a score": ("score=length_ratio&min=1.1&max=1.4", lambda row: number(row["length_ratio"], 1.1, 1.4)),
    "a score that is not always there": (
        "part=rejected&score=numbers&min=&max=1e30",
        lambda row: number(row["numbers"], -math.inf, 1e30),
    ),
    "two scores": (
        "score=length_ratio&min=1.2&max=&score=letters_anchor&min=&max=0.9",
        lambda row: number(row["length_ratio"], 1.2, 9e9) and number(row["letters_anchor"], -9e9, 0.9),
    ),
    "a text": ("q=DaTe", lambda row: "date" in row["anchor"].lower() or "date" in row["positive"].lower()),
    "a text as written": ("q=Date&case=1", lambda row: "Date" in row["anchor"] or "Date" in row["positive"]),
    "a text of one side": ("q=dat&side=positive", lambda row: "dat" in row["positive"].lower()),
    "a text of another script": ("q=を", lambda row: "を" in row["positive"]),
    "a file": ("file=usual", lambda row: "usual" in row["origin_file"]),
    "no file": ("file=%25", lambda row: False),
    "all at once": (
        "part=rejected&language=de&q=e&reason=near_duplicate&score=length_ratio&min=0&max=9",
        lambda row: (
            row["positive_lang"] == "de"
            and row["reason"] == "near_duplicate"
            and ("e" in row["anchor"].lower() or "e" in row["positive"].lower())
            and number(row["length_ratio"], 0, 9)
        ),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_pages_hold_each_fitting_row_once_in_order_and_the_count_is_theirs(
    database: Database, asked: Question, usual: Contents, name: str
) -> None:
    query, wanted = CASES[name]
    filters = filters_of(QueryParams(query))
    expected = [row["pair_id"] for row in every(usual, filters.part) if wanted(row)]
    assert [row["pair_id"] for row in pages(database, asked, usual, filters)] == expected
    assert rows.Counts().count(database, asked, usual, filters) == len(expected)
    assert expected or name.startswith("no ")


def test_the_rows_are_in_several_files(usual: Contents) -> None:
    assert len(usual.part("kept").paths) >= 3, "paging from file to file is tested"


def test_quarantined_records_are_listed_and_found_by_their_bytes(
    database: Database, asked: Question, usual: Contents
) -> None:
    found = pages(database, asked, usual, filters_of(QueryParams("part=quarantine")))
    assert [row["error"] for row in found] == [row["error"] for row in every(usual, "quarantine")]
    assert [row["offset"] for row in found] == [row["offset"] for row in every(usual, "quarantine")]
    broken = pages(database, asked, usual, filters_of(QueryParams("part=quarantine&q=src%22: %22broken")))
    assert [bytes(row["data"]) for row in broken] == [b'{"src": "broken']


def test_long_texts_are_cut_by_the_query_and_their_length_is_told(
    database: Database, asked: Question, store: Any
) -> None:
    hostile = contents(store.uri, store.hostile)
    found = pages(database, asked, hostile, filters_of(QueryParams("q=yyyyyyyyyyyyyy")))
    assert [(len(row["anchor"]), row["anchor_length"]) for row in found] == [(rows.CHARACTERS, 1_000_000)]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("score=pair_id%22%20OR%201=1--&min=0&max=1", "unknown. Allowed: "),
        ("score=length_ratio&min=nan&max=", "no number"),
        ("score=length_ratio&min=1;DROP&max=", "no number"),
        ("part=kept;", "Allowed: kept, rejected, quarantine"),
        ("side=anchor)--", "Allowed: anchor, positive"),
        ("part=kept&reason=near_duplicate", "kept rows have no reason"),
        ("part=quarantine&language=de", "quarantine rows have no anchor_lang"),
        (f"q={'x' * 501}", "Allowed: 500"),
        ("&".join(["score=length_ratio&min=0&max=1"] * 9), "Allowed: 8"),
    ],
)
def test_what_is_no_filter_is_refused_with_what_is_allowed(
    database: Database, asked: Question, usual: Contents, query: str, message: str
) -> None:
    with pytest.raises(SpecError, match=re.escape(message)):
        rows.page(database, asked, usual, filters_of(QueryParams(query)))


@pytest.mark.parametrize("field", ["source", "language", "file", "q"])
@pytest.mark.parametrize(
    "text", ["' OR '1'='1", '" OR true --', "'; DROP TABLE x; --", "?", "$1", "%", "_", "\\", "{}", "/*", "\x00"]
)
def test_sql_in_a_field_is_a_text_like_any_other(
    database: Database, asked: Question, usual: Contents, field: str, text: str
) -> None:
    found = pages(database, asked, usual, Filters.read({field: text}, {}))
    holds = [row for row in every(usual, "kept") if text in row["anchor"] or text in row["positive"]]
    assert len(found) == (len(holds) if field == "q" else 0)


@pytest.mark.parametrize("after", ["x", "99.0", "0", "-1.0", "0.-1", "0.1 OR 1=1"])
def test_a_place_that_is_none_is_refused(database: Database, asked: Question, usual: Contents, after: str) -> None:
    with pytest.raises(SpecError, match="no place in these rows"):
        rows.page(database, asked, usual, Filters(), after)


def test_an_unfinished_run_is_not_read(database: Database, asked: Question, store: Any) -> None:
    unfinished = contents(store.uri, "unfinished")
    assert not unfinished.finished and not unfinished.parts
    with pytest.raises(SpecError, match="not finished.*running"):
        rows.page(database, asked, unfinished, Filters())
