"""The curate job end to end, on a real local Ray: nothing is lost or done twice, the layout does not matter."""

from __future__ import annotations

import random

import pytest

import catalogue_job
from corpus import catalogue_rows, json_line, write_jsonl
from pairmill.curate.explain import explain_id, explain_text
from pairmill.curate.job import Outcome
from pairmill.errors import SourceError
from pairmill.runs.browse import describe, find, records
from pairmill.runs.browse import table as runs_table
from pairmill.runs.record import read_events
from reading import committed, content, table


def curate(tmp_path, path, *sets: str, fresh: bool = False, store: str = "store") -> Outcome:
    return catalogue_job.curate(path, tmp_path / store, *sets, fresh=fresh)


@pytest.fixture
def corpus(tmp_path):
    """Three files with real rows, planted copies and damaged lines."""
    rows = catalogue_rows()
    rng = random.Random(7)
    folder = tmp_path / "corpus"
    folder.mkdir()
    for number in range(3):
        part = rows[number::3]
        lines = [json_line(row) for row in part]
        long = [row for row in part if len(row[0]) > 60]
        for source, target, language in rng.sample(long, 20):
            lines.append(json_line((source, target, language)))
            lines.append(json_line((source.replace(".", " ,", 1) + " ok", target, language)))
        lines += [b'{"src": "cut', b"\xff\xfe broken\n", b"[1, 2]\n", b"\n"][:: 1 if number else 2]
        (folder / f"part-{number}.jsonl").write_bytes(
            b"".join(line if line.endswith(b"\n") else line + b"\n" for line in lines)
        )
    return folder


@pytest.mark.usefixtures("local_ray")
class TestCurate:
    def test_both_balances_hold_when_counted_from_outside(self, tmp_path, corpus):
        outcome = curate(tmp_path, corpus / "*.jsonl")
        total = outcome.summary["ledger"]["total"]
        lines = sum(path.read_bytes().count(b"\n") for path in corpus.iterdir())
        kept, rejected, quarantine = (table(outcome.run, part) for part in ("kept", "rejected", "quarantine"))
        assert total["records_in"] == lines
        assert total["records_in"] == total["parsed"] + sum(total["no_pair"].values()) + len(quarantine)
        assert total["rows_in"] == len(kept) + len(rejected) + len(quarantine)
        assert total["kept"] == len(kept) > 500
        assert total["rejected"]["exact_duplicate"] >= 60
        assert total["rejected"]["near_duplicate"] >= 30
        assert len(table(outcome.run, "dedup_index")) == len(kept)
        ids = [*kept["pair_id"].to_pylist(), *rejected["pair_id"].to_pylist()]
        assert len(set(ids)) == len(ids)

    def test_every_rejected_row_says_why_and_every_duplicate_names_a_kept_row(self, tmp_path, corpus):
        run = curate(tmp_path, corpus / "*.jsonl").run
        kept_ids = set(table(run, "kept")["pair_id"].to_pylist())
        for row in table(run, "rejected").to_pylist():
            assert row["reason"] and row["reason"] == row["failed"][0]
            assert row["stage"] == ("dedup" if row["reason"].endswith("duplicate") else "filters")
            assert row["value"] is not None
            if row["stage"] == "dedup":
                assert row["duplicate_of"] in kept_ids
            else:
                assert row["threshold"] is not None and row["duplicate_of"] is None

    def test_the_layout_does_not_change_what_is_kept(self, tmp_path, corpus):
        expected = content(curate(tmp_path, corpus / "*.jsonl").run)
        reversed_paths = [str(path) for path in sorted(corpus.iterdir(), reverse=True)]
        for number, sets in enumerate((["resources.shard_size=20KB"], [f"inputs[0].path={reversed_paths}"])):
            assert content(curate(tmp_path, corpus / "*.jsonl", *sets, store=f"store-{number}").run) == expected

    def test_a_run_that_is_done_is_not_done_again(self, tmp_path, corpus):
        first = curate(tmp_path, corpus / "*.jsonl")
        events = len(read_events(first.run))
        second = curate(tmp_path, corpus / "*.jsonl", "resources.memory_per_task=500MB", "report.samples_per_reason=3")
        assert second.already_done and second.run.id == first.run.id
        assert len(read_events(first.run)) == events

    def test_fresh_computes_anew_and_leaves_what_others_read(self, tmp_path, corpus):
        first = curate(tmp_path, corpus / "*.jsonl")
        before, manifest = content(first.run), first.run.manifest()
        second = curate(tmp_path, corpus / "*.jsonl", fresh=True)
        assert second.run.id == first.run.id and not second.already_done
        assert content(second.run) == before
        assert second.run.manifest() != manifest
        for entry in manifest["files"]["kept"]:
            with first.run.storage.open_parquet(entry["path"]) as file:
                assert file.metadata.num_rows == entry["rows"]

    def test_moving_a_threshold_shares_annotations_and_groups(self, tmp_path, corpus):
        first = curate(tmp_path, corpus / "*.jsonl")
        second = curate(tmp_path, corpus / "*.jsonl", "filters.rules.length_ratio.max=1.5", "filters.rules.numbers=off")
        assert second.run.id != first.run.id
        assert set(committed(second.run)) == {"decide", "select", "sensitivity: rows", "sensitivity: groups"}
        assert second.summary["ledger"]["total"]["rejected"]["length_ratio"] > first.summary["ledger"]["total"][
            "rejected"
        ].get("length_ratio", 0)

    def test_a_new_file_is_all_that_is_annotated(self, tmp_path, corpus):
        curate(tmp_path, corpus / "*.jsonl", "resources.shard_size=20KB")
        write_jsonl(corpus / "part-9.jsonl", catalogue_rows(("es",))[:200])
        second = curate(tmp_path, corpus / "*.jsonl", "resources.shard_size=20KB")
        plan = second.run.units("plan").get("shards")["shards"]
        new = {shard["index"] for shard in plan if "part-9" in shard["pieces"][-1]["uris"][0]}
        assert set(committed(second.run)["annotate"]) == new

    def test_a_changed_file_is_another_run(self, tmp_path, corpus):
        first = curate(tmp_path, corpus / "*.jsonl")
        with (corpus / "part-0.jsonl").open("ab") as file:
            file.write(json_line(("A row that was not there", "Eine neue Zeile", "de")))
        assert curate(tmp_path, corpus / "*.jsonl").run.id != first.run.id

    def test_explain_tells_a_rows_story_by_id_and_by_text(self, tmp_path, corpus):
        run = curate(tmp_path, corpus / "*.jsonl").run
        rejected = next(r for r in table(run, "rejected").to_pylist() if r["reason"] == "near_duplicate")
        story = explain_id(run, rejected["pair_id"])
        assert "near_duplicate" in story and f"duplicate of row {rejected['duplicate_of']}" in story
        assert f"record {rejected['origin_row']}" in story and "length_ratio" in story
        assert repr(rejected["anchor"]) in explain_text(run, rejected["anchor"], 5)
        assert "no kept or rejected row" in explain_text(run, "no such text anywhere", 5)

    def test_runs_are_listed_and_described(self, tmp_path, corpus):
        run = curate(tmp_path, corpus / "*.jsonl").run
        found = records(str(tmp_path / "store"))
        assert [record["id"] for record in found] == [run.id] and found[0]["state"] == "done"
        assert run.id in runs_table(found)
        text = describe(find(str(tmp_path / "store"), run.id[:8]))
        assert "exact_duplicate" in text and "malformed_json" in text and "kept" in text

    def test_a_glob_that_matches_nothing_fails_before_ray_and_leaves_no_run(self, tmp_path):
        with pytest.raises(SourceError, match=r"nothing-\*"):
            curate(tmp_path, tmp_path / "nothing-*.jsonl")
        assert records(str(tmp_path / "store")) == []

    def test_a_missed_expectation_is_exit_code_3(self, tmp_path, corpus):
        assert curate(tmp_path, corpus / "*.jsonl").exit_code == 0
        again = curate(tmp_path, corpus / "*.jsonl", "expect.kept_share.min=0.999")
        assert again.already_done and again.exit_code == 3

    def test_what_the_environment_held_is_in_no_record(self, tmp_path, corpus, monkeypatch):
        monkeypatch.setenv("PAIRMILL_TEST_LICENCE", "very-secret")
        run = curate(tmp_path, corpus / "*.jsonl", "inputs[0].licence=${env:PAIRMILL_TEST_LICENCE}").run
        records = [
            path
            for path in (tmp_path / "store/runs").rglob("*")
            if path.suffix in (".json", ".yaml", ".html", ".jsonl")
        ]
        assert len(records) > 8
        assert not [path for path in records if b"very-secret" in path.read_bytes()]
        monkeypatch.delenv("PAIRMILL_TEST_LICENCE")
        assert "kept" in explain_id(run, table(run, "kept")["pair_id"][0].as_py())

    def test_a_killed_fresh_computation_leaves_what_readers_see(self, tmp_path, corpus, monkeypatch):
        first = curate(tmp_path, corpus / "*.jsonl")
        seen = {
            name: first.run.storage.get(first.run.path(name))
            for name in ("run.json", "ledger.json", "report.html", "spec.yaml")
        }
        monkeypatch.setattr("pairmill.curate.result.publish", lambda *arguments: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            curate(tmp_path, corpus / "*.jsonl", "report.samples_per_reason=1", fresh=True)
        assert {name: first.run.storage.get(first.run.path(name)) for name in seen} == seen

    def test_rejected_texts_are_kept_as_the_spec_says(self, tmp_path, corpus):
        counts = {}
        for policy in ("full", "refs", "sample"):
            sets = [f"output.rejected={policy}", "report.samples_per_reason=2"]
            rejected = table(curate(tmp_path, corpus / "*.jsonl", *sets, store=policy).run, "rejected")
            counts[policy] = (len(rejected), len(rejected) - rejected["anchor"].null_count)
        rows = counts["full"][0]
        assert counts["full"] == (rows, rows) and counts["refs"] == (rows, 0)
        assert counts["sample"][0] == rows and 0 < counts["sample"][1] < rows
