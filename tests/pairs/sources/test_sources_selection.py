import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from pairmill.errors import SourceError
from sourcekit import read_all, spec_of

ROWS = [
    {"anchor": f"a{n}", "positive": f"p{n}", "split": "train" if n % 3 else "test", "n": n, "meta": {"id": f"x-{n:02}"}}
    for n in range(30)
]


def write(folder: Path, format: str) -> dict[str, Any]:
    path = folder / f"rows.{format}"
    if format == "parquet":
        pq.write_table(pa.Table.from_pylist(ROWS), path)
    elif format == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    elif format == "json":
        path.write_text(json.dumps(ROWS))
    else:
        lines = [f"{row['anchor']},{row['positive']},{row['split']},{row['n']},x-{row['n']:02}" for row in ROWS]
        path.write_text("\n".join(["anchor,positive,split,n,meta.id", *lines]) + "\n")
    return {"format": format, "path": str(path)}


@pytest.mark.parametrize("format", ["parquet", "jsonl", "json", "csv"])
def test_records_left_out_are_counted_and_the_others_keep_their_places(tmp_path: Path, format: str) -> None:
    where = {"split": "train", "meta.id": {"min": "x-04", "below": "x-20"}}
    outcome = read_all(**write(tmp_path, format), where=where)
    meant = [row for row in ROWS if row["split"] == "train" and 4 <= row["n"] < 20]
    assert outcome.texts == [(row["anchor"], row["positive"]) for row in meant]
    assert [row["origin_row"] for row in outcome.rows] == [row["n"] for row in meant]
    assert (outcome.records, outcome.no_pair) == (30, {"not_selected": 30 - len(meant)})


@pytest.mark.parametrize("format", ["parquet", "jsonl"])
def test_builders_see_the_selected_records_alone(tmp_path: Path, format: str) -> None:
    builder = {"name": "triples", "query": "anchor", "positive": "positive"}
    outcome = read_all(**write(tmp_path, format), builder=builder, where={"n": [3, 4]})
    assert outcome.texts == [("a3", "p3"), ("a4", "p4")]
    assert outcome.no_pair["not_selected"] == 28


def test_a_split_of_nli_takes_its_contradictions_from_its_own_part(shared_data: Path) -> None:
    parts = {}
    for name, bounds in {"train": {"below": "xnli-dev-2100"}, "held": {"min": "xnli-dev-2100"}}.items():
        parts[name] = read_all(
            format="parquet",
            path=str(shared_data / "nli/xnli.parquet"),
            builder={"name": "nli", "cross_lingual": True},
            where={"split": "dev", "lang": ["en", "sw", "ur"], "align_id": bounds},
        )
    assert [len(part.rows) for part in parts.values()] == [3 * 700, 3 * 130]
    texts = [
        {text for row in part.rows for text in (row["anchor"], row["positive"], *row["negatives"])}
        for part in parts.values()
    ]
    assert len(texts[0] & texts[1]) < 10  # premises that XNLI itself has twice
    assert all(len(row["negatives"]) == 1 and row["anchor_lang"] != row["positive_lang"] for row in parts["train"].rows)


@pytest.mark.parametrize("format", ["parquet", "csv", "jsonl"])
def test_a_column_that_no_record_has_is_an_error_that_names_the_nearest(tmp_path: Path, format: str) -> None:
    with pytest.raises(SourceError, match="'splitt'.*Nearest: split"):
        read_all(**write(tmp_path, format), where={"splitt": "train"})


@pytest.mark.parametrize("bounds", [{}, {"min": "b", "below": "a"}, {"mn": "a"}])
def test_a_range_must_hold_something(bounds: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        spec_of(format="parquet", path="x.parquet", where={"id": bounds})
