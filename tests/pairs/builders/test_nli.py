"""Inference sets: premise -> entailment, contradictions of the same premise as negatives."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError
from recordkit import built, from_jsonl, jsonl, spec_of


def snli(premise: str, hypothesis: str, label: Any, **more: Any) -> dict[str, Any]:
    """A line of SNLI's JSONL."""
    return {
        "annotator_labels": [label],
        "captionID": "1.jpg#0",
        "gold_label": label,
        "pairID": "1.jpg#0r1n",
        "sentence1": premise,
        "sentence1_parse": "( )",
        "sentence2": hypothesis,
        **more,
    }


def some(shared_data: Path, tmp_path: Path, name: str) -> tuple[str, list[dict[str, Any]]]:
    """Rows of a real set as a file: all of SNLI's, XNLI's test set in six languages by turns."""
    table = pq.read_table(shared_data / "nli" / f"{name}.parquet")
    if name == "xnli":
        wanted = pc.and_(
            pc.is_in(table["lang"], pa.array(["en", "de", "zh", "ko", "ur", "sw"])), pc.equal(table["split"], "test")
        )
        table = table.filter(wanted).sort_by("align_id").slice(0, 9000)
    pq.write_table(table, tmp_path / "set.parquet", row_group_size=1000)
    return str(tmp_path / "set.parquet"), table.to_pylist()


@pytest.mark.parametrize("name", ["snli", "xnli"])
def test_real_sets_give_each_entailment_with_a_contradiction_of_its_premise(
    shared_data: Path, tmp_path: Path, name: str
) -> None:
    path, rows = some(shared_data, tmp_path, name)
    made = built([(1 << 40, 512), (1 << 17, 4096)], format="parquet", path=path, builder="nli")
    labels = Counter(row["label"] for row in rows)
    missing = made.no_pair["no_premise"] + made.no_pair["no_hypothesis"]
    assert made.records == len(rows) and made.parsed == labels["entailment"] - missing and missing < 5
    assert (made.no_pair["neutral"], made.no_pair["contradiction"]) == (labels["neutral"], labels["contradiction"])
    against = defaultdict(set)
    for row in rows:
        if row["label"] == "contradiction":
            against[row["lang"], row["premise"].strip()].add(row["hypothesis"].strip())
    for row in made.rows:
        known = against[row["anchor_lang"], row["anchor"]]
        assert row["positive_lang"] == row["anchor_lang"] and len(row["negatives"] or []) == min(len(known), 1)
        assert set(row["negatives"] or []) <= known
    assert sum(bool(row["negatives"]) for row in made.rows) > 0.9 * len(made.rows)


def test_a_premise_s_rows_may_stand_anywhere_in_the_file(tmp_path: Path) -> None:
    rows = [
        snli(f"p{n}", f"{kind} {n}", kind) for n in range(300) for kind in ("entailment", "neutral", "contradiction")
    ]
    random.Random(3).shuffle(rows)
    made = from_jsonl(tmp_path, "nli", *rows)
    assert {(row["anchor"], row["positive"], *row["negatives"]) for row in made.rows} == {
        (f"p{n}", f"entailment {n}", f"contradiction {n}") for n in range(300)
    }


def test_several_entailments_of_a_premise_share_its_contradictions_in_turn(tmp_path: Path) -> None:
    rows = [snli("p", f"e{n}", "entailment") for n in range(3)] + [
        snli("p", f"c{n}", "contradiction") for n in (0, 1, 1)
    ]
    assert [row["negatives"] for row in from_jsonl(tmp_path, "nli", *rows).rows] == [["c0"], ["c1"], ["c0"]]
    two = from_jsonl(tmp_path, {"name": "nli", "negatives": 5}, *rows)
    assert [row["negatives"] for row in two.rows] == [["c0", "c1"], ["c1", "c0"], ["c0", "c1"]]
    assert [row["negatives"] for row in from_jsonl(tmp_path, {"name": "nli", "negatives": 0}, *rows).rows] == [None] * 3


def test_labels_are_read_as_each_release_spells_them(tmp_path: Path) -> None:
    labels: list[Any] = [
        "entailment",
        "contradiction",
        "neutral",
        "contradictory",
        0,
        1,
        2,
        -1,
        "0",
        "e",
        "-",
        "",
        None,
        " Entailment ",
    ]
    rows = [{"premise": f"p{n}", "hypothesis": "h", "label": label} for n, label in enumerate(labels)]
    made = from_jsonl(
        tmp_path, "nli", *rows, {"premise": "p", "hypo": "h", "label": 7}, {"premise": "p", "hypo": "h", "label": [0]}
    )
    assert [row["anchor"] for row in made.rows] == ["p0", "p4", "p8", "p9", "p13"]
    assert made.no_pair == {"contradiction": 3, "neutral": 2, "no_label": 4} and made.errors == {"wrong_record": 2}
    reversed_ = {"name": "nli", "labels": ["contradiction", "entailment", "neutral"]}
    assert [row["anchor"] for row in from_jsonl(tmp_path, reversed_, *rows[4:7]).rows] == ["p5"]
    with pytest.raises(ValidationError, match="entailment, neutral and contradiction"):
        spec_of(format="jsonl", path="x", builder={"name": "nli", "labels": ["yes", "no", "maybe"]})


def test_tables_of_xnli_and_of_its_translated_training_set(tmp_path: Path) -> None:
    head = "language\tgold_label\tsentence1_binary_parse\tsentence1\tsentence2\tpromptID\tpairID\n"
    rows = 'de\tentailment\t\tEr "sagt.\tEr spricht.\t1\t1\nde\tcontradiction\t\tEr "sagt.\tEr schweigt.\t1\t2\ncut\n'
    (tmp_path / "xnli.dev.tsv").write_text(head + rows)
    made = built(format="csv", path=str(tmp_path / "xnli.dev.tsv"), delimiter="\t", quote=None, builder="nli")
    assert [(row["anchor"], row["positive"], row["negatives"], row["anchor_lang"]) for row in made.rows] == [
        ('Er "sagt.', "Er spricht.", ["Er schweigt."], "de")
    ]
    assert made.errors == {"wrong_field_count": 1}


def test_a_record_of_all_languages_gives_a_pair_in_each(tmp_path: Path) -> None:
    def item(label: int, what: str) -> dict[str, Any]:
        hypothesis = {"language": ["de", "en", "fr"], "translation": [f"{what} de", f"{what} en", ""]}
        return {"premise": {"de": "p de", "en": "p en", "fr": "p fr"}, "hypothesis": hypothesis, "label": label}

    made = from_jsonl(
        tmp_path,
        "nli",
        item(0, "e"),
        item(2, "c"),
        {**item(0, "x"), "hypothesis": {"language": ["de"], "translation": []}},
    )
    assert [(row["anchor"], row["positive"], row["negatives"], row["positive_lang"]) for row in made.rows] == [
        ("p de", "e de", ["c de"], "de"),
        ("p en", "e en", ["c en"], "en"),
    ]
    assert made.errors == {"wrong_record": 1}
    crossed = from_jsonl(tmp_path, {"name": "nli", "cross_lingual": True}, item(0, "e"), item(2, "c"))
    assert {(row["anchor_lang"], row["positive_lang"]) for row in crossed.rows} == {("de", "en"), ("en", "de")}
    assert all(row["negatives"] == [f"c {row['positive_lang']}"] for row in crossed.rows)


def test_cross_lingual_pairs_of_xnli_are_translations_of_the_same_item(shared_data: Path, tmp_path: Path) -> None:
    path, rows = some(shared_data, tmp_path, "xnli")
    options = {"name": "nli", "cross_lingual": True}
    made = built([(1 << 40, 512), (1 << 17, 4096)], format="parquet", path=path, builder=options)
    hypotheses = {(row["align_id"], row["lang"]): row["hypothesis"].strip() for row in rows}
    against = {(row["lang"], row["hypothesis"].strip()) for row in rows if row["label"] == "contradiction"}
    for row in made.rows:
        own = rows[row["origin_row"]]
        assert (own["premise"].strip(), own["lang"], own["label"]) == (row["anchor"], row["anchor_lang"], "entailment")
        assert row["positive_lang"] != row["anchor_lang"]
        assert row["positive"] == hypotheses[own["align_id"], row["positive_lang"]]
        assert all((row["positive_lang"], text) in against for text in row["negatives"] or [])
    assert made.no_pair["no_translation"] < 10 and made.parsed > 2900
    assert sum(bool(row["negatives"]) for row in made.rows) > 0.9 * len(made.rows)
    spread = Counter(row["positive_lang"] for row in made.rows if row["anchor_lang"] == "en")
    assert len(spread) == 5 and max(spread.values()) < 2 * min(spread.values())


def test_a_premise_with_countless_contradictions_is_bounded(tmp_path: Path) -> None:
    rows = [snli("same", f"c{n}", "contradiction") for n in range(20_000)] + [
        snli("same", f"e{n}", "entailment") for n in range(200)
    ]
    path = jsonl(tmp_path / "a.jsonl", *rows)
    made = built([(1 << 40, 512)], format="jsonl", path=path, builder={"name": "nli", "negatives": 3})
    assert made.parsed == 200 and {len(row["negatives"]) for row in made.rows} == {3}
    assert len({tuple(row["negatives"]) for row in made.rows}) == 100
