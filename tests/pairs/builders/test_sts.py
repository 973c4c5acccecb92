"""Sentence similarity: scores of any scale become 0..1."""

from __future__ import annotations

from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError
from recordkit import built, from_jsonl, spec_of


def test_the_sts_benchmark_in_eleven_languages_keeps_every_row_and_its_order(shared_data: Path, tmp_path: Path) -> None:
    table = pq.read_table(shared_data / "sts" / "stsb_multi.parquet")
    table = table.filter(pc.equal(table["split"], "dev"))
    pq.write_table(table, path := tmp_path / "dev.parquet", row_group_size=4000)
    made = built([(1 << 40, 512), (1 << 18, 2048)], format="parquet", path=str(path), builder="sts")
    blank = sum(
        not (a.strip() and b.strip()) for a, b in zip(*(table[f"sentence{n}"].to_pylist() for n in (1, 2)), strict=True)
    )
    assert (
        made.records == len(table) and made.parsed == len(table) - blank and made.no_pair.get("no_sentence", 0) == blank
    )
    assert [row["origin_row"] for row in made.rows[:5]] == [0, 1, 2, 3, 4]
    assert {row["anchor_lang"] for row in made.rows} == set(table["lang"].to_pylist())
    want = [score / 5 for score in table["score"].to_pylist()]
    assert all(row["score"] == pytest.approx(want[row["origin_row"]]) for row in made.rows[::500])


def test_numbers_may_be_text_and_the_scale_is_an_option(tmp_path: Path) -> None:
    sick = {"sentence_A": "a b", "sentence_B": "c d", "relatedness_score": "4.5", "entailment_label": "NEUTRAL"}
    (row,) = from_jsonl(tmp_path, {"name": "sts", "scale": [1, 5]}, sick).rows
    assert row["score"] == pytest.approx(0.875)
    assert spec_of(format="jsonl", path="x", builder="sts").form == "sts"


def test_missing_and_impossible_scores_are_counted(tmp_path: Path) -> None:
    pair = {"sentence1": "a", "sentence2": "b"}
    made = from_jsonl(
        tmp_path,
        "sts",
        {**pair, "score": 5},
        {**pair, "score": 0},
        pair,
        {**pair, "score": " "},
        {**pair, "score": 5.01},
        {**pair, "score": -1},
        {**pair, "score": "high"},
        {**pair, "score": True},
        {**pair, "score": [1]},
        {**pair, "score": "nan"},
        {"sentence1": "a", "score": 1},
        {"sentence1": 1, "sentence2": "b", "score": 1},
    )
    assert [row["score"] for row in made.rows] == [1, 0]
    assert made.no_pair == {"no_score": 2, "no_sentence": 1} and made.errors == {"wrong_record": 7}
    assert "score: 5.01 is outside the scale 0 to 5" in made.details


def test_a_scale_must_ascend() -> None:
    with pytest.raises(ValidationError, match="must ascend"):
        spec_of(format="jsonl", path="x", builder={"name": "sts", "scale": [5, 0]})
