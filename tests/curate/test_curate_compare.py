"""Curate runs compared: every row that went another way is found by its origin, whatever shards and duplicates."""

from __future__ import annotations

import json
import random
import re
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import catalogue_job
from corpus import catalogue_rows, json_line
from pairmill.cli import app, guarded
from pairmill.curate import moves as joining
from pairmill.curate.compare import compare
from pairmill.curate.moves import join, moves
from pairmill.curate.origins import ROW
from pairmill.errors import SpecError
from pairmill.jobs import run_job
from pairmill.report import compare_page, compare_text
from pairmill.runs import comparison
from pairmill.runs.record import Run
from pairmill.spec.changes import changes
from pairmill.spec.load import loads
from reading import table

CHANGED = ("filters.rules.length_ratio.max=1.4", "filters.rules.numbers=off", "dedup.near.threshold=0.97")


def write(path, rows):
    path.write_bytes(b"".join(json_line(row) for row in rows))


@pytest.fixture(scope="module")
def runs(tmp_path_factory, local_ray):
    """Two runs on the same real rows, with copies and near copies, under other rules and in other shards."""
    folder = tmp_path_factory.mktemp("compared")
    rows = catalogue_rows(("de", "ja"))
    rng = random.Random(3)
    long = [row for row in rows if len(row[0]) > 60]
    copies = [(row[0].replace(".", " ,", 1) + " ok", row[1], row[2]) for row in rng.sample(long, 60)]
    write(folder / "one.jsonl", rows[::2] + copies)
    write(folder / "two.jsonl", rows[1::2] + rng.sample(long, 60))
    one = catalogue_job.curate(folder / "*.jsonl", folder / "store", "resources.shard_size=30KB")
    other = catalogue_job.curate(folder / "*.jsonl", folder / "store", "resources.shard_size=70KB", *CHANGED)
    return one.run, other.run


@pytest.fixture(scope="module")
def derived(runs):
    """A selection from the first run's kept rows."""
    text = f"kind: curate\nname: derived\ninputs: [{{run: {runs[0].id}}}]\nfilters: {{rules: {{length_ratio: 1.4}}}}\n"
    return run_job(
        loads(text, "derived.yaml"), runs[0].storage.uri, None, False, "pairmill run derived.yaml", print
    ).run


def fates(run: Run) -> dict[tuple, str]:
    """What became of each row by its origin, read without the code under test; every record here is one row."""
    found = {}
    for part in ("kept", "rejected"):
        for row in table(run, part).to_pylist():
            found[row["source"], row["origin_file"], row["origin_row"]] = row.get("reason") or "kept"
    return found


def test_every_move_of_a_row_is_counted_as_reading_both_runs_row_by_row_counts_it(runs):
    before, after = map(fates, runs)
    assert before.keys() == after.keys()
    expected = Counter((before[key], after[key]) for key in before if before[key] != after[key])
    found = compare(*runs)
    assert {(move["from"], move["to"]): move["rows"] for move in found["moves"]} == expected
    assert len(expected) >= 4 and any(a == "kept" for a, _ in expected) and any(b == "kept" for _, b in expected)
    assert found["rows"]["same"] == sum(before[key] == after[key] for key in before)
    assert found["rows"]["uneven"] == [0, 0] and found["rows"]["alone"] == [{}, {}]
    total = found["total"]
    assert total["kept"][1] - total["kept"][0] == total["gained"] - total["lost"]


def test_counts_by_language_and_source_add_up_to_the_whole(runs):
    found = compare(*runs)
    for lines in (found["sources"], found["pairs"]):
        for key in ("lost", "gained", "other"):
            assert sum(line[key] for line in lines) == found["total"][key]
        for key in ("rows", "kept"):
            assert [sum(line[key][side] for line in lines) for side in range(2)] == found["total"][key]
        for line in lines:
            assert line["kept"][1] - line["kept"][0] == line["gained"] - line["lost"]
    assert {line["name"] for line in found["pairs"]} == {"en-de", "en-ja"}


def test_samples_are_rows_of_their_kind_and_the_same_whatever_the_shards(runs):
    found = compare(*runs, samples=4)
    before, after = map(fates, runs)
    for move in found["moves"]:
        assert len(move["samples"]) == min(4, move["rows"])
        for sample in move["samples"]:
            origins = {(row["source"], row["origin_file"], row["origin_row"]) for row in sample.values()}
            (origin,) = origins
            assert (before[origin], after[origin]) == (move["from"], move["to"])
            assert sample["a"]["anchor"] == sample["b"]["anchor"]
    back = compare(*reversed(runs), samples=4)
    assert origins_of(back, swap=True) == origins_of(found)


def origins_of(found, swap=False):
    kinds = defaultdict(set)
    for move in found["moves"]:
        kind = (move["to"], move["from"]) if swap else (move["from"], move["to"])
        kinds[kind] = {(row["a"]["origin_file"], row["a"]["origin_row"]) for row in move["samples"]}
    return kinds


def test_how_many_parts_rows_are_joined_in_changes_nothing(runs, monkeypatch):
    whole = moves(*runs, False, 5)
    monkeypatch.setattr(joining, "PART", 100)
    assert moves(*runs, False, 5) == whole


def test_a_run_and_what_was_selected_from_it_are_joined_by_pair_id(runs, derived):
    found = compare(runs[0], derived)
    kept = {row["pair_id"] for row in table(runs[0], "kept").to_pylist()}
    still = {row["pair_id"] for row in table(derived, "kept").to_pylist()}
    assert found["rows"]["by"] == "pair_id"
    assert {(move["from"], move["to"]): move["rows"] for move in found["moves"]} == {
        ("kept", "length_ratio"): len(kept - still)
    }
    assert found["rows"]["alone"][1] == {} and sum(found["rows"]["alone"][0].values()) == runs_rejected(runs[0])


def runs_rejected(run: Run) -> int:
    return sum(run.summary()["ledger"]["total"]["rejected"].values())


def test_a_run_is_the_same_as_itself(runs):
    found = compare(runs[0], runs[0])
    assert found["moves"] == found["spec"] == found["rules"] == found["inputs"] == found["versions"] == []
    assert "same" in compare_text.text(found)


def test_what_changed_is_told_by_path_and_what_decides_no_rows_is_marked(runs):
    found = compare(*runs)
    paths = {line["path"]: line for line in found["spec"]}
    assert paths["dedup.near.threshold"]["b"] == 0.97 and paths["dedup.near.threshold"]["decides"]
    assert not paths["resources.shard_size"]["decides"]
    rules = {line["path"]: line for line in found["rules"]}
    assert rules["length_ratio.max"]["b"] == 1.4 and "b" not in rules["numbers"]


origins = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 4), st.integers(0, 3)), max_size=30)


def as_rows(given_rows) -> np.ndarray:
    rows = np.zeros(len(given_rows), ROW)
    for number, (place, row, fate) in enumerate(given_rows):
        rows[number] = (place, row, number, fate, 0)
    return rows


@given(origins, origins, st.randoms())
def test_rows_are_joined_by_origin_in_order_and_uneven_origins_are_told(one, other, rng):
    a, b = as_rows(one), as_rows(other)
    groups = defaultdict(lambda: ([], []))
    for side, rows in enumerate((a, b)):
        for row in rows.tolist():
            groups[row[:2]][side].append(row[2])
    even = {(x, y) for x_all, y_all in groups.values() if len(x_all) == len(y_all) for x, y in zip(x_all, y_all)}  # noqa: B905
    alone = [sum(len(sides[at]) for sides in groups.values() if not sides[1 - at]) for at in range(2)]
    for rows in (a, b):
        rng.shuffle(order := list(range(len(rows))))
        rows[:] = rows[order]
    left, right, only, uneven = join(a, b)
    assert set(zip(left["id"].tolist(), right["id"].tolist(), strict=True)) == even
    assert [len(rows) for rows in only] == alone
    assert uneven.tolist() == [len(a) - len(left) - alone[0], len(b) - len(right) - alone[1]]


@given(st.permutations(["x", "y", "z"]))
def test_lists_of_named_things_are_compared_by_name(names):
    one = {"inputs": [{"name": name, "path": name} for name in ("x", "y", "z")], "n": 1}
    other = {"inputs": [{"name": name, "path": name * (1 + (name == "y"))} for name in names], "n": 1, "new": [1]}
    assert list(changes(one, other)) == [{"path": "inputs[y].path", "a": "y", "b": "yy"}, {"path": "new", "b": [1]}]


def test_the_page_stays_below_five_megabytes(runs):
    found = compare(*runs)
    for move in found["moves"]:
        for sample in move["samples"]:
            for row in sample.values():
                row |= {"anchor": "words " * 20_000, "positive": "<&>" * 40_000}
        move["samples"] *= 20
    assert len(compare_page.render(found, "").encode()) <= compare_page.LARGEST


def test_the_command_prints_text_or_json_and_writes_the_page(runs, tmp_path, capsys):
    one, other = (run.id for run in runs)
    page = tmp_path / "compared.html"
    given_args = ["runs", "compare", one, other, "--storage", runs[0].storage.uri]
    assert guarded(lambda: app([*given_args, "--html", str(page)])) == 0
    told = capsys.readouterr().out
    assert "dedup.near.threshold" in told and "kept → length_ratio" in told
    assert re.findall('(?:src|href)="(?!#|data:)', page.read_text("utf-8")) == []
    assert guarded(lambda: app([*given_args, "--json"])) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(compare(*runs)))


def test_runs_of_unlike_kinds_and_unfinished_ones_are_refused(runs, tmp_path):
    storage = runs[0].storage
    evaluation, unfinished = Run(storage, "evaluation-000000000000"), Run(storage, "test-000000000000")
    evaluation.write_record({"id": evaluation.id, "kind": "evaluate", "state": "done"})
    unfinished.write_record({"id": unfinished.id, "kind": "curate", "state": "stopped"})
    with pytest.raises(SpecError, match="of kind curate, run evaluation-0* of kind evaluate"):
        comparison.compare(runs[0], evaluation)
    with pytest.raises(SpecError, match="test-0* is not finished \\(its state: stopped\\)"):
        comparison.compare(runs[0], unfinished)
