"""The database is locked, reads any storage, and a question can be given up."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pairmill.errors import StorageError
from pairmill.explore import rows
from pairmill.explore.contents import Contents, contents
from pairmill.explore.database import Database, GivenUp, Question
from pairmill.explore.filters import Filters
from pairmill.runs.storage import open_storage
from reading import table

SLOW = "SELECT count(*) AS n FROM range(1000000000) a, range(1000) b WHERE hash(a.range, b.range) = 1"


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_text('/etc/hostname')",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_parquet('{outside}')",
        "SELECT * FROM read_parquet('{inside}/../outside.parquet')",
        "SELECT * FROM glob('/*')",
        "SELECT * FROM 'http://127.0.0.1:9/x.parquet'",
        "COPY (SELECT 1) TO '{inside}/written.parquet'",
        "ATTACH '{inside}/x.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET allowed_directories = ['/']",
        "SET memory_limit = '100GB'",
        "SELECT * FROM secret_rows",
    ],
)
def test_the_database_reads_the_storage_and_nothing_else_and_writes_nothing(
    database: Database, store: Any, tmp_path: Path, statement: str
) -> None:
    secret_rows = table(contents(store.uri, store.usual).run, "kept")  # a Python variable is no table
    outside = Path(store.uri).parent / "outside.parquet"
    if not outside.exists():
        with open_storage(str(outside.parent)).parquet_writer("outside.parquet", secret_rows.schema) as writer:
            writer.write_table(secret_rows)
    question = database.question()
    before = sorted(Path(store.uri).rglob("*"))
    with pytest.raises((duckdb.Error, StorageError)):
        question.rows(statement.format(outside=outside, inside=store.uri))
    assert sorted(Path(store.uri).rglob("*")) == before
    question.close()


def test_a_question_that_is_given_up_ends_at_once_and_refuses_more(database: Database) -> None:
    question = database.question()
    threading.Timer(0.3, question.give_up, ["the reader went away"]).start()
    began = time.monotonic()
    with pytest.raises(GivenUp, match="went away"):
        question.rows(SLOW)
    assert time.monotonic() - began < 3
    with pytest.raises(GivenUp, match="went away"):
        question.rows("SELECT 1")


def test_a_query_that_takes_too_long_has_no_result_and_the_question_goes_on(asked: Question) -> None:
    assert asked.rows_within(0.3, SLOW) is None
    assert asked.rows_within(5, "SELECT 1 AS one") == [{"one": 1}]


@pytest.mark.parametrize("name", ["with [brackets] and *", 'it\'s "quoted" %20 ü'])
def test_a_storage_may_have_any_name(store: Any, tmp_path: Path, name: str) -> None:
    place = tmp_path / name
    place.symlink_to(store.uri)
    check(str(place), store.usual)


def test_an_object_store_is_read_as_a_disk_is(store: Any, s3_env: Any) -> None:
    bucket = f"{s3_env.bucket('explore')}/deep/er"
    remote = open_storage(bucket)
    for path in Path(store.uri, "runs").rglob("*"):
        if path.is_file() and "/g0/" not in str(path):
            remote.put(str(path.relative_to(store.uri)), path.read_bytes())
    check(bucket, store.usual)


def check(uri: str, name: str) -> None:
    """Rows, with a filter, of a storage."""
    database, found = Database(open_storage(uri)), contents(uri, name)
    question = database.question()
    filters = Filters(language="ja", q="を")
    page = rows.page(database, question, found, filters)
    wanted = [row["pair_id"] for row in table(found.run, "kept").to_pylist() if "を" in row["positive"]]
    assert [row["pair_id"] for row in page.rows] == wanted[: rows.PAGE] != []
    assert rows.Counts().count(database, question, found, filters) == len(wanted)
    with pytest.raises((duckdb.Error, StorageError)):
        question.rows("SELECT * FROM read_text('/etc/hostname')")
    database.close()


def test_a_file_that_is_gone_or_damaged_is_named(store: Any, usual: Contents, database: Database) -> None:
    path = Path(store.uri, usual.part("kept").paths[-1])
    data = path.read_bytes()
    try:
        for damaged in (data[:-100], b"no parquet at all"):
            path.write_bytes(damaged)
            with pytest.raises(StorageError, match=path.name):
                rows.Counts().count(database, database.question(), usual, Filters(q="x"))
        path.unlink()
        with pytest.raises(StorageError, match=path.name):
            rows.Counts().count(database, database.question(), usual, Filters(q="y"))
    finally:
        path.write_bytes(data)
