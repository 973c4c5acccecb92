"""Curate on a run: rows are selected again by the scores of other runs; what was promised of a run still holds."""

from __future__ import annotations

import gzip
import hashlib
import json
import unicodedata
from collections import Counter, defaultdict
from dataclasses import asdict

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import catalogue_job
from corpus import catalogue_rows, write_jsonl
from pairmill.curate import derived_stages
from pairmill.curate.derived import Derived
from pairmill.curate.derived_rules import DUPLICATE_OF
from pairmill.curate.explain import explain_id
from pairmill.errors import SpecError
from pairmill.jobs import run_job
from pairmill.pairs.kept import kept_files, read_kept
from pairmill.pairs.schema import PAIR, cast
from pairmill.pairs.scores import NONE, Column
from pairmill.report.text import summarise
from pairmill.runs.browse import describe, records
from pairmill.runs.browse import table as runs_table
from pairmill.runs.export import export
from pairmill.runs.storage import open_storage
from pairmill.runs.units import Units
from pairmill.spec.load import load, loads
from reading import committed, content, table
from scorekit import publish
from services import ROOT

COLUMNS = [
    Column("margin", "float32", "high", "letters that the sides share, over those of all"),
    Column("consistency_rank", "int64", "low", "place among the rows with the same number of words"),
    Column("semantic_duplicate_of", "int64", None, "the row with the same anchor that stays"),
]
SHARDS = "resources.shard_size=60KB"


def derive(store, *sets, run=None, fresh=False):
    """Select from a run: `sets` are `path=value` settings of the spec."""
    text = f"kind: curate\nname: derived\ninputs: [{{run: {run or 'parent-'}}}]\n"
    return run_job(loads(text, "derived.yaml", sets), str(store), None, fresh, "pairmill run derived.yaml", print)


def scored(run) -> dict[int, dict[str, float]]:
    """Scores of a run's kept rows, from their texts alone; every tenth row has none, some margins are unknown."""
    rows = sorted(table(run, "kept").to_pylist(), key=lambda row: row["pair_id"])
    places: Counter[int] = Counter()
    first: dict[str, int] = {}
    found = {}
    for row in rows:
        if len(row["positive"]) % 10 == 3:
            continue
        here, there = (set(unicodedata.normalize("NFKD", row[side].lower())) for side in ("anchor", "positive"))
        places[len(row["anchor"].split())] += 1
        found[row["pair_id"]] = {
            "margin": float("nan") if len(row["positive"]) % 17 == 2 else len(here & there) / len(here | there),
            "consistency_rank": places[len(row["anchor"].split())],
            "semantic_duplicate_of": first.setdefault(row["anchor"], row["pair_id"]),
        }
    return found


def mined(outcome_or_run, store, name, columns=COLUMNS) -> str:
    """A run with the scores of the rows that a run kept."""
    run = getattr(outcome_or_run, "run", outcome_or_run)
    rows = scored(run)
    ids = np.array(sorted(rows), np.int64)
    values = {c.name: np.array([rows[i][c.name] for i in ids.tolist()], c.type) for c in columns}
    values = {
        key: np.where(all_ == ids, NONE, all_) if key == "semantic_duplicate_of" else all_
        for key, all_ in values.items()
    }
    kept = kept_files(str(store), run.id)
    return publish(kept.storage, name, (kept.id, kept.generation), columns, ids, values, per_file=700)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    for number in range(3):
        write_jsonl(folder / f"part-{number}.jsonl", catalogue_rows()[number::3])
    return folder


@pytest.fixture(scope="module")
def store(local_ray, tmp_path_factory):
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def parent(corpus, store):
    return catalogue_job.curate(corpus / "*.jsonl", store, SHARDS, "name=parent", "inputs[0].licence=BSD-3-Clause")


@pytest.fixture(scope="module")
def scores(parent, store):
    return mined(parent, store, "scores-all")


@pytest.fixture(scope="module")
def twice(parent, store):
    return mined(parent, store, "scores-twice")


RULES = ("inputs[0].scores=[scores-all]", "filters.rules={margin: {min: 0.2}, consistency_rank: 60}")


@pytest.fixture(scope="module")
def derived(scores, store):
    return derive(store, *RULES)


def lost(row, values, margin=0.2, rank=60, missing="reject"):
    """Why a row goes, written out; None: it stays."""
    there = values.get(row["pair_id"])
    unknown = there is None or np.isnan(there["margin"])
    if unknown and missing == "reject":
        return "no_score"
    if not unknown and there["margin"] < margin:
        return "margin"
    return "consistency_rank" if there is not None and there["consistency_rank"] > rank else None


class TestSelection:
    @pytest.mark.parametrize("missing", ["reject", "keep"])
    def test_each_row_goes_for_the_reason_that_its_scores_say(self, parent, scores, derived, store, missing):
        found = derived if missing == "reject" else derive(store, *RULES, "inputs[0].missing=keep")
        values = scored(parent.run)
        expected = {row["pair_id"]: lost(row, values, missing=missing) for row in table(parent.run, "kept").to_pylist()}
        rejected = {row["pair_id"]: row["reason"] for row in table(found.run, "rejected").to_pylist()}
        kept = table(found.run, "kept")["pair_id"].to_pylist()
        assert rejected == {name: reason for name, reason in expected.items() if reason}
        assert sorted(kept) == sorted(name for name, reason in expected.items() if reason is None)
        assert {"margin", "consistency_rank"} <= set(rejected.values())
        assert ("no_score" in rejected.values()) == (missing == "reject")

    def test_curves_say_what_other_bounds_would_keep(self, parent, scores, derived):
        values, rows = scored(parent.run), table(parent.run, "kept").to_pylist()
        lines = {line["rule"]: line for line in derived.summary["sensitivity"]}
        for rule, setting in (("margin", "margin"), ("consistency_rank", "rank")):
            assert lines[rule]["exact"] and len(lines[rule]["points"]) > 5
            for point in lines[rule]["points"]:
                stays = [lost(row, values, **{setting: point["threshold"]}) is None for row in rows]
                assert point["kept"] == sum(stays), (rule, point["threshold"])

    def test_the_ledger_balances_and_counts_what_the_run_kept(self, parent, derived):
        total, kept = derived.summary["ledger"]["total"], len(table(parent.run, "kept"))
        assert total["records_in"] == total["parsed"] == total["rows_in"] == kept
        assert total["kept"] == len(table(derived.run, "kept")) > 100
        assert sum(total["rejected"].values()) == len(table(derived.run, "rejected")) == kept - total["kept"]
        assert derived.summary["ledger"]["by_input"] == {"catalogue": total}
        assert json.loads(derived.run.storage.get(derived.run.path("ledger.json"))) == derived.summary["ledger"]

    def test_rows_keep_id_origin_texts_and_scores_and_gain_the_new_ones(self, parent, derived):
        before = {row["pair_id"]: row for row in table(parent.run, "kept").to_pylist()}
        values = scored(parent.run)
        for row in table(derived.run, "kept").to_pylist():
            new = {name: row.pop(name) for name in ("margin", "consistency_rank", "semantic_duplicate_of")}
            assert repr(row) == repr(before[row["pair_id"]])
            there = values[row["pair_id"]]
            assert new["margin"] == np.float32(there["margin"]) and new["consistency_rank"] == there["consistency_rank"]

    def test_a_rejected_row_names_value_and_bound_and_all_that_failed(self, parent, derived):
        values = scored(parent.run)
        for row in table(derived.run, "rejected").to_pylist():
            assert row["failed"][0] == row["reason"] and row["stage"] == "filters"
            if row["reason"] == "margin":
                assert row["value"] == np.float32(values[row["pair_id"]]["margin"]) and row["threshold"] == np.float32(
                    0.2
                )
                assert ("consistency_rank" in row["failed"]) == (values[row["pair_id"]]["consistency_rank"] > 60)

    def test_bounds_may_differ_by_language(self, parent, scores, store):
        found = derive(store, RULES[0], "filters.rules={margin: 0}", "filters.per_pair={en-ja: {margin: 0.05}}")
        values = scored(parent.run)
        for row in table(parent.run, "kept").to_pylist():
            row["expected"] = lost(row, values, 0.05 if row["positive_lang"] == "ja" else 0, rank=1 << 40)
            values.setdefault(row["pair_id"], {})["expected"] = row["expected"]
        assert {row["pair_id"]: row["reason"] for row in table(found.run, "rejected").to_pylist()} == {
            name: facts["expected"] for name, facts in values.items() if facts["expected"]
        }
        assert any(
            row["positive_lang"] == "ja" and row["reason"] == "margin"
            for row in table(found.run, "rejected").to_pylist()
        )

    def test_filter_rules_on_a_run_keep_what_they_keep_on_its_files(self, corpus, store, tmp_path):
        rules = "filters.rules={length_ratio: 1.3, letters: 0.7}"
        off = "dedup={exact: off, near: off}"
        loose = catalogue_job.curate(corpus / "*.jsonl", tmp_path, off)
        assert content(derive(tmp_path, rules, run=loose.run.id).run) == content(
            catalogue_job.curate(corpus / "*.jsonl", tmp_path, off, rules).run
        )

    def test_the_layout_of_the_run_does_not_matter(self, corpus, derived, tmp_path):
        other = catalogue_job.curate(corpus / "*.jsonl", tmp_path, "name=parent", "resources.shard_size=10MB")
        rank = Column("consistency_rank", "int64", "low", "")
        assert len(other.run.manifest()["files"]["kept"]) < len(derived.run.manifest()["files"]["kept"])
        mined(other, tmp_path, "scores-all", [COLUMNS[0], rank])
        assert content(derive(tmp_path, RULES[0], "filters.rules.margin=0.2").run) == content(
            derive(derived.run.storage.uri, RULES[0], "filters.rules.margin=0.2").run
        )


class TestSemanticDuplicates:
    def test_a_group_keeps_a_row_that_passes_even_where_its_first_does_not(self, parent, scores, store):
        found = derive(store, *RULES, "semantic_duplicates=drop")
        kept = {row["pair_id"]: row for row in table(found.run, "kept").to_pylist()}
        values, groups = scored(parent.run), defaultdict(list)
        for row in table(parent.run, "kept").to_pylist():
            if lost(row, values) is None:
                groups[row["anchor"]].append(row["pair_id"])
        assert sorted(kept) == sorted(min(group) for group in groups.values())
        gone = [row for row in table(found.run, "rejected").to_pylist() if row["reason"] == "semantic_duplicate"]
        assert len(gone) == sum(len(group) - 1 for group in groups.values()) > 50
        assert all(kept[row["duplicate_of"]]["anchor"] == row["anchor"] for row in gone)
        assert all(row["stage"] == "dedup" and row["failed"] == ["semantic_duplicate"] for row in gone)
        heads = {values[row["pair_id"]]["semantic_duplicate_of"] for row in gone}
        assert any(head not in kept for head in heads), "a rule took the first row of some group"
        story = explain_id(found.run, gone[0]["pair_id"])
        assert f"duplicate of row {gone[0]['duplicate_of']}, which is kept" in story
        sample = found.summary["samples"]["semantic_duplicate"][0]
        assert sample["duplicate_text"].startswith(sample["anchor"][:2000])

    @given(st.dictionaries(st.integers(8, 40), st.integers(0, 7), max_size=20), st.sets(st.integers(0, 40)))
    def test_the_walk_is_the_loop_that_describes_it(self, repeats, passing):
        ids = np.array(list(repeats), np.int64)
        removed, kept = derived_stages.walk(
            ids, np.array([repeats[i] for i in ids.tolist()], np.int64), np.array(sorted(passing), np.int64)
        )
        expected = {}
        for head in set(repeats.values()):
            group = [head, *sorted(row for row, other in repeats.items() if other == head)]
            first, *others = [row for row in group if row in passing] or [None]
            expected |= dict.fromkeys(others, first)
        assert dict(zip(removed.tolist(), kept.tolist(), strict=True)) == expected
        assert removed.tolist() == sorted(expected)


class TestAsARun:
    def test_a_derived_run_is_selected_from_again_by_old_and_new_scores(self, parent, derived, store):
        mined(derived, store, "scores-again", [COLUMNS[1]])
        again = derive(
            store,
            "inputs[0].scores=[scores-again]",
            "filters.rules={margin: 0.3, consistency_rank: 20}",
            run=derived.run.id,
        )
        values, before = scored(derived.run), scored(parent.run)
        expected = [
            row["pair_id"]
            for row in table(derived.run, "kept").to_pylist()
            if row["pair_id"] in values
            and before[row["pair_id"]]["margin"] >= 0.3
            and values[row["pair_id"]]["consistency_rank"] <= 20
        ]
        assert sorted(table(again.run, "kept")["pair_id"].to_pylist()) == sorted(expected) != []
        assert again.run.record()["parents"] == [derived.run.id, "scores-again"]
        sources = {rule["name"]: rule["source"] for rule in again.summary["rules"]}
        assert sources["margin"] == f"run {derived.run.id}" and sources["consistency_rank"] == "run scores-again"

    def test_its_index_stands_for_its_rows_in_later_deduplication(self, corpus, derived, store):
        later = catalogue_job.curate(corpus / "part-0.jsonl", store, f"dedup.against=[{derived.run.id}]")
        kept = {row["pair_id"]: row for row in table(derived.run, "kept").to_pylist()}
        named = [row for row in table(later.run, "rejected").to_pylist() if row["duplicate_run"]]
        texts = {(row["anchor"], row["positive"]) for row in kept.values()}
        assert not texts & set(zip(*table(later.run, "kept", ["anchor", "positive"]).to_pydict().values(), strict=True))
        assert len(named) > 50 and all(row["duplicate_run"] == derived.run.id for row in named)
        exact = [row for row in named if row["reason"] == "exact_duplicate"]
        assert all(kept[row["duplicate_of"]]["positive"] == row["positive"] for row in exact)
        assert f"of run {derived.run.id}" in explain_id(later.run, named[0]["pair_id"])

    def test_what_reads_curate_runs_reads_it(self, parent, derived, store, tmp_path):
        run = kept_files(str(store), derived.run.id)
        run.check("data.x", ["catalogue"], ["en-ja"])
        assert run.licences == {"catalogue": "BSD-3-Clause"}
        rows = sum(
            len(part) for file in run.files for part in read_kept(run.storage, file.path, ["anchor"], None, ["ja"])
        )
        assert rows == sum(row["positive_lang"] == "ja" for row in table(derived.run, "kept").to_pylist()) > 10
        export(str(store), derived.run.id, "jsonl", str(tmp_path / "out"))
        lines = gzip.decompress((tmp_path / "out/pairs.jsonl.gz").read_bytes()).count(b"\n")
        assert lines == derived.summary["ledger"]["total"]["kept"]

    def test_it_is_shown_listed_and_explained(self, parent, derived, store):
        assert derived.run.id in runs_table(records(str(store)))
        assert f"catalogue: run {parent.run.id}" in describe(derived.run) and "margin" in describe(derived.run)
        assert "no_score" in summarise(derived.summary)
        page = derived.run.storage.get(derived.run.path("report.html")).decode()
        assert "letters that the sides share" in page and "run scores-all" in page
        row = next(row for row in table(derived.run, "rejected").to_pylist() if row["reason"] == "margin")
        story = explain_id(derived.run, row["pair_id"])
        line = next(line for line in story.splitlines() if line.split()[:1] == ["margin"])
        assert ">= 0.2" in line and "FAILED" in line and "length_ratio" in story

    def test_the_same_job_is_the_same_run_and_a_moved_bound_another(self, derived, store):
        assert derive(store, *RULES, "resources.memory_per_task=500MB").already_done
        assert derive(store, RULES[0], "filters.rules={margin: 0.9}").run.id != derived.run.id

    def test_an_interrupted_job_resumes_without_losing_or_doubling_a_row(self, parent, scores, store, monkeypatch):
        sets = [RULES[0], "filters.rules={margin: 0.21}"]

        def interrupt(self):
            raise KeyboardInterrupt

        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr(Derived, "check_lease", interrupt)
            derive(store, *sets)
        resumed = derive(store, *sets)
        units = committed(resumed.run)["select"]
        assert len(units) == len(set(units)) <= len(resumed.run.manifest()["files"]["kept"])
        values, rows = scored(parent.run), table(parent.run, "kept").to_pylist()
        expected = [row["pair_id"] for row in rows if lost(row, values, 0.21, rank=1 << 40) is None]
        found = table(resumed.run, "kept")["pair_id"].to_pylist()
        assert sorted(found) == sorted(expected) and resumed.summary["ledger"]["total"]["kept"] == len(expected)


def refused(store, *sets, **given) -> str:
    with pytest.raises(SpecError) as caught:
        derive(store, *sets, **given)
    return str(caught.value)


@pytest.mark.usefixtures("scores")
class TestRefusals:
    def test_scores_of_another_run(self, corpus, store, parent):
        other = catalogue_job.curate(corpus / "part-1.jsonl", store)
        mined(other, store, "scores-other")
        message = refused(store, "inputs[0].scores=[scores-other]", run=parent.run.id)
        assert "scores-other" in message and other.run.id in message and f"not those of {parent.run.id}" in message

    def test_scores_of_an_earlier_generation(self, corpus, tmp_path):
        first = catalogue_job.curate(corpus / "part-2.jsonl", tmp_path, "name=parent")
        mined(first, tmp_path, "scores-old")
        catalogue_job.curate(corpus / "part-2.jsonl", tmp_path, "name=parent", fresh=True)
        assert "Run the mine job again" in refused(tmp_path, "inputs[0].scores=[scores-old]", "filters.rules.margin=1")

    @pytest.mark.parametrize(
        ("sets", "told"),
        [
            (["filters.rules.margn=1"], "Did you mean 'margin'?"),
            (["filters.per_language={de: {marginn: 1}}"], "filters.per_language.de.marginn: is neither"),
            (["filters.rules.margin=on"], "no typical bound"),
            (["filters.rules.semantic_duplicate_of=3"], "names rows or groups"),
            (["filters.rules.body_script=0.5"], "kept no scores of rule body_script"),
            (["filters.preset=web"], "kept no scores of rule"),
            (["inputs[0].scores=[scores-all, scores-twice]"], "both have the column margin"),
            (["inputs[0].scores=[parent-]"], "without scores"),
            (["inputs[0].scores=[]", "semantic_duplicates=drop"], "mine run with `groups`"),
            (["inputs[0].scores=[]", "filters.rules.margin=1"], "Scores: none"),
        ],
    )
    def test_rules_that_the_rows_cannot_be_judged_by(self, twice, store, sets, told):
        assert told in refused(store, RULES[0], *sets)

    @pytest.mark.parametrize(
        ("sets", "told"),
        [
            (["clean={unicode: NFC}"], "clean: rows of a run are only selected"),
            (["dedup={near: off}"], "dedup: rows of a run are only selected"),
            (["inputs=[{run: a}, {run: b}]"], "inputs[1]: a job that reads a run reads this run alone"),
            (["inputs=[{name: x, format: jsonl, path: x}, {run: b}]"], "inputs[0]: a job that reads a run"),
            (["inputs[0].score=[a]"], "Did you mean 'scores'?"),
            (["resources.shard_size=1MB"], "unknown key"),
        ],
    )
    def test_what_a_job_on_a_run_does_not_do(self, tmp_path, sets, told):
        assert told in refused(tmp_path, *sets)

    def test_a_run_that_is_not_there_or_not_finished(self, store):
        assert "is no run here" in refused(store, run="nosuch-1")


def test_the_example_runs_on_a_run_and_its_scores(parent, scores, store):
    sets = [f"inputs[0].run={parent.run.id}", "inputs[0].scores=[scores-all]", "filters.rules={margin: 0.2}"]
    made = run_job(load(str(ROOT / "jobs/examples/select.yaml"), sets), str(store), None, False, "", print)
    assert made.exit_code == 0 and made.summary["ledger"]["total"]["kept"] == len(table(made.run, "kept")) > 100


#: Version and digest of what the stages make of GOLDEN_ROWS. Where the digest changes and is right: raise the version.
GOLDEN = (2, "284885d76a059e9c")
GOLDEN_ROWS = [  # pair_id, anchor, margin, semantic_duplicate_of
    (5, "Save your work before you close the window.", 1.2, NONE),
    (6, "Store your work before closing the window.", 1.1, 5),
    (7, "Keep your work before you shut the window.", 1.3, 5),
    (9, "The file has three lines.", 0.9, NONE),
    (1 << 32, "There are three lines in the file.", 1.4, 9),
    (1 + (1 << 32), "Peace be upon you", None, NONE),
]


def test_the_stages_output_changes_only_with_their_version(tmp_path):
    storage = open_storage(str(tmp_path))
    rows = pa.table(
        {
            "pair_id": [row[0] for row in GOLDEN_ROWS],
            "anchor": [row[1] for row in GOLDEN_ROWS],
            "positive": ["Speichern Sie Ihre Arbeit."] * len(GOLDEN_ROWS),
            "source": ["golden"] * len(GOLDEN_ROWS),
            "origin_file": ["golden.jsonl"] * len(GOLDEN_ROWS),
            "origin_row": list(range(len(GOLDEN_ROWS))),
        }
    )
    with storage.parquet_writer("kept.parquet", PAIR) as writer:
        writer.write_table(cast(rows, PAIR))
    scored_rows = [row for row in GOLDEN_ROWS if row[2] is not None]
    values = {
        "margin": np.float32([row[2] for row in scored_rows]),
        DUPLICATE_OF: np.int64([row[3] for row in scored_rows]),
    }
    columns = [COLUMNS[0], COLUMNS[2]]
    publish(storage, "scores", ("golden", 0), columns, np.int64([row[0] for row in scored_rows]), values)
    text = "kind: curate\nname: golden\ninputs: [{run: golden}]\nfilters: {rules: {margin: 1}}\n"
    item = {
        "storage": storage.uri,
        "spec": loads(text, "golden.yaml").spec.model_dump(mode="json"),
        "attempt": "golden",
        "run": "golden",
        "parent": {"storage": storage.uri},
        "tables": [[storage.uri, "scores", 0]],
        "columns": [asdict(column) for column in columns],
        "sources": {column.name: "run scores" for column in columns},
    }
    file = {"path": "kept.parquet", "index": None}
    derived_stages.find_duplicates({**item, "key": "duplicates", "prefix": "duplicates", "files": [file]})
    decided = (Units(storage, "duplicates").get("duplicates") or {})["file"]
    derived_stages.select_file({**item, "key": "0", "prefix": "select", "file": file, "decided": decided})
    files = (Units(storage, "select").get("0") or {})["files"]
    made = [storage.open_parquet(files[part]).read().to_pylist() for part in ("kept", "rejected")]
    assert [row["pair_id"] for row in made[0]] == [5, 1 << 32]
    found = hashlib.sha256(repr(made).encode()).hexdigest()[:16]
    assert (derived_stages.VERSION, found) == GOLDEN, "changed without VERSION, or GOLDEN is to be renewed"
