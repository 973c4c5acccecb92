"""What builders are given by formats of plain records; and JSON documents."""

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pairmill.errors import SourceError
from pairmill.pairs.sources import json as json_source
from sourcekit import read_all, records_of

NEWS = {"name": "news", "title": "t", "body": "b.text"}
ROWS = [{"t": f"title {i}", "b": {"text": "x" * (i % 9), "tags": ["p", None]}, "u": i} for i in range(700)]


def test_parquet_gives_only_what_the_builder_reads(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "a.parquet", row_group_size=100)
    for shard_size in (1, 1 << 40):
        raw = records_of(shard_size=shard_size, format="parquet", path=f"{tmp_path}/a.parquet", builder=NEWS)
        assert raw.items == {i: {"t": row["t"], "b": row["b"]} for i, row in enumerate(ROWS)}


def test_parquet_rows_that_are_not_utf8_are_quarantined(tmp_path: Path) -> None:
    raw = pa.array([b"a", b"\xff", b"c"], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"t": raw}), tmp_path / "a.parquet")
    found = records_of(format="parquet", path=f"{tmp_path}/a.parquet", builder=NEWS)
    assert found.errors == [("invalid_utf8", 1)]
    assert found.items == {0: {"t": "a"}, 2: {"t": "c"}}


def test_class_numbers_of_parquet_become_their_names(tmp_path: Path) -> None:
    features = {"l": {"names": ["no", "yes"], "_type": "ClassLabel"}}
    table = pa.table({"l": pa.array([1, 0, -1])})
    noted = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(noted, tmp_path / "a.parquet")
    raw = records_of(format="parquet", path=f"{tmp_path}/a.parquet", builder={"name": "news", "title": "l"})
    assert [record["l"] for record in raw.items.values()] == ["yes", "no", None]


@pytest.mark.parametrize("options", [{}, {"newlines_in_fields": False}])
def test_csv_gives_columns_by_name(tmp_path: Path, options: dict[str, Any]) -> None:
    lines = ["t,u", *(f"title {i},{i}" for i in range(500)), "", "one", '"x"y,1']
    (tmp_path / "a.csv").write_text("\n".join(lines) + "\n")
    for shard_size in (100, 1 << 40):
        raw = records_of(shard_size=shard_size, format="csv", path=f"{tmp_path}/a.csv", builder=NEWS, **options)
        assert raw.items == {i: {"t": f"title {i}", "u": str(i)} for i in range(500)}
        assert raw.no_pair == {"blank_line": 1}
        assert raw.errors == [("wrong_field_count", 501), ("malformed_csv", 502)]


@pytest.mark.parametrize("format", ["csv", "jsonl", "json", "parquet"])
def test_files_with_none_of_the_builders_fields_are_an_error(tmp_path: Path, format: str) -> None:
    path = tmp_path / f"a.{format}"
    if format == "parquet":
        pq.write_table(pa.table({"x": ["1"]}), path)
    else:
        path.write_text({"csv": "x\n1\n", "jsonl": '{"x": 1}\n', "json": '[{"x": 1}]'}[format])
    with pytest.raises(SourceError, match="no .* 't'.*Found: x.*under `builder`"):
        records_of(format=format, path=str(path), builder=NEWS)


@pytest.mark.parametrize("nested", ["", "data", "a.b"])
def test_json_gives_the_objects_of_a_list(tmp_path: Path, nested: str) -> None:
    document: Any = [*ROWS, 7, None, {"t": "last"}]
    for key in reversed(nested.split(".") if nested else []):
        document = {"version": 1, key: document}
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(json.dumps(document).encode("utf-8-sig")))
    raw = records_of(format="json", path=f"{tmp_path}/a.json.gz", records=nested, builder=NEWS)
    assert raw.items == {**dict(enumerate(ROWS)), 702: {"t": "last"}}
    assert raw.errors == [("not_an_object", 700), ("not_an_object", 701)]


def test_json_makes_pairs_without_a_builder(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('[{"q": "a", "m": {"t": "b"}}, {"q": 5}]')
    outcome = read_all(format="json", path=f"{tmp_path}/a.json", columns={"anchor": "q", "positive": "m.t"})
    assert outcome.texts == [("a", "b")]
    assert outcome.errors == {"wrong_type": 1}


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b'[{"t": 1}', "malformed_json"), (b"[" * 1_000_000, "malformed_json"), (b'["\xff"]', "invalid_utf8"),
        (b"", "empty_file"), (b'{"a":' * 500_000, "malformed_json"), (b"\0" * 100, "malformed_json"),
    ],
)  # fmt: skip
def test_a_json_document_that_cannot_be_read_is_one_entry(tmp_path: Path, data: bytes, error: str) -> None:
    (tmp_path / "a.json").write_bytes(data)
    assert records_of(format="json", path=f"{tmp_path}/a.json", builder=NEWS).errors == [(error, 0)]


def test_a_truncated_json_document_is_one_entry(tmp_path: Path) -> None:
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(json.dumps(ROWS).encode())[:-50])
    assert records_of(format="json", path=f"{tmp_path}/a.json.gz", builder=NEWS).errors == [("truncated", 0)]


def test_json_without_the_list_named_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"version": 1, "data": []}')
    with pytest.raises(SourceError, match=r"no list at `records: rows`. Lists found: data.*records: data"):
        records_of(format="json", path=f"{tmp_path}/a.json", records="rows")
    with pytest.raises(SourceError, match=r"has a dict and no list at its top. Lists found: data"):
        records_of(format="json", path=f"{tmp_path}/a.json")


def test_a_json_document_beyond_the_limit_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_source, "MAX_DOCUMENT", 1000)
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(json.dumps(ROWS).encode()))
    with pytest.raises(SourceError, match="JSON lines .* use format: jsonl"):
        records_of(format="json", path=f"{tmp_path}/a.json.gz", builder=NEWS)
