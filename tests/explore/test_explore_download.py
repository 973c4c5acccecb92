"""Downloads hold the rows that the page counts, and no formula."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pyarrow.parquet as pq
import pytest

import explorekit
from pairmill.explore.contents import Contents, contents
from reading import table

csv.field_size_limit(1 << 21)
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def fetched(address: str, run: str, form: str, query: str) -> explorekit.Answer:
    answer = explorekit.get(f"{address}runs/{run}/download.{form}?{query}")
    assert answer.status == 200
    assert answer.headers["content-disposition"].startswith(f'attachment; filename="{run}-')
    return answer


@pytest.mark.parametrize("query", ["part=kept", "part=rejected&language=fr", "part=kept&q=no such text at all"])
def test_every_form_holds_the_fitting_rows_with_all_their_columns(address: str, usual: Contents, query: str) -> None:
    query, run = query.replace(" ", "+"), usual.run
    part = "rejected" if "rejected" in query else "kept"
    rows = table(run, part).to_pylist()
    wanted = [row for row in rows if ("language" not in query or row["positive_lang"] == "fr") and "q=" not in query]
    parquet = pq.read_table(io.BytesIO(fetched(address, run.id, "parquet", query).body))
    assert parquet.column_names == list(usual.part(part).columns)
    assert repr(parquet.to_pylist()) == repr(wanted)
    lines = [json.loads(line) for line in fetched(address, run.id, "jsonl", query).text.splitlines()]
    assert [(row["pair_id"], row["anchor"], row["positive"]) for row in lines] == [
        (row["pair_id"], row["anchor"], row["positive"]) for row in wanted
    ]
    told = list(csv.DictReader(io.StringIO(fetched(address, run.id, "csv", query).text)))
    assert [int(row["pair_id"]) for row in told] == [row["pair_id"] for row in wanted]
    for row, whole in zip(told, wanted, strict=True):
        assert row["anchor"] in (whole["anchor"], f"'{whole['anchor']}")
        assert (row["anchor"] != whole["anchor"]) == whole["anchor"].startswith(FORMULA)


def test_no_cell_of_a_csv_is_a_formula(address: str, store: Any) -> None:
    answer = fetched(address, store.hostile, "csv", "part=kept")
    told = list(csv.DictReader(io.StringIO(answer.text.replace("\0", ""))))
    texts = [text for row in told for name, text in row.items() if name in ("anchor", "positive", "origin_file")]
    assert any(text.startswith(("'=HYPERLINK", "'@SUM")) for text in texts)
    assert not any(text.startswith(FORMULA) for text in texts)
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_quarantined_records_can_be_downloaded(address: str, store: Any) -> None:
    found = contents(store.uri, store.usual)
    lines = fetched(address, store.usual, "jsonl", "part=quarantine").text.splitlines()
    assert [json.loads(line)["error"] for line in lines] == table(found.run, "quarantine")["error"].to_pylist()


@pytest.mark.parametrize(("path", "status"), [("download.xlsx", 404), ("download.csv?score=x&min=1", 404)])
def test_a_wrong_download_says_what_is_allowed(address: str, store: Any, path: str, status: int) -> None:
    answer = explorekit.get(f"{address}runs/{store.usual}/{path}")
    assert answer.status == status and "Allowed" in answer.text
