"""Removing runs, and shared results that no run needs: what others need stays, on a disk and on S3."""

from __future__ import annotations

import os
import re
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import services
from catalogue_job import SPEC, curate
from corpus import catalogue_rows, write_jsonl
from pairmill.errors import PairmillError, SpecError
from pairmill.jobs import run_job
from pairmill.runs import collection, retention, uses
from pairmill.runs.browse import records
from pairmill.runs.collection import collect
from pairmill.runs.lease import Lease
from pairmill.runs.record import Run
from pairmill.runs.storage import Storage
from pairmill.spec.load import loads
from reading import committed, content, digest, only_run
from unitkit import units_here

NOW = timedelta(0)
SHARDS = "resources.shard_size=60KB"
LENIENT = "filters.rules={length_ratio: {max: 9}}"

pytestmark = pytest.mark.usefixtures("local_ray")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three files of real rows, `a-0.jsonl`, `a-1.jsonl` and `b.jsonl`."""
    folder, rows = tmp_path_factory.mktemp("corpus"), catalogue_rows(("de", "fr"))
    for number, name in enumerate(("a-0", "a-1", "b")):
        write_jsonl(folder / f"{name}.jsonl", rows[number::3][:400])
    return folder


def run(path: Path, store: Path | str, *sets: str) -> Any:
    with units_here():
        return curate(path, store, SHARDS, *sets).run


def annotated(store: Path) -> set[str]:
    return {path.name for path in (store / "stages" / "annotate").glob("*")}


def keys(run: Run) -> set[str]:
    return set((run.manifest() or {})["keys"].values())


class TestOnADisk:
    @pytest.fixture
    def store(self, tmp_path: Path) -> Path:
        return tmp_path / "store"

    def test_what_only_removed_runs_used_goes_and_the_rest_stays(self, corpus: Path, store: Path) -> None:
        both, one = run(corpus / "a-*.jsonl", store), run(corpus / "b.jsonl", store)
        other = run(corpus / "a-*.jsonl", store, LENIENT)
        shared, alone, before = keys(both), keys(one), digest(other)
        assert shared == keys(other) and not shared & alone
        retention.remove(str(store), [both.id, one.id])
        told = collect(str(store), NOW)
        assert annotated(store) == shared and told.results["annotate"][0] == len(alone)
        assert digest(other) == before and [r["id"] for r in records(str(store))] == [other.id]
        again = run(corpus / "a-*.jsonl", store, "filters.rules={length_ratio: {max: 8}}")
        assert "annotate" not in committed(again), "the shared annotations were done again"

    def test_nothing_goes_within_the_window(self, corpus: Path, store: Path) -> None:
        gone = run(corpus / "a-0.jsonl", store)
        retention.remove(str(store), [gone.id])
        assert collect(str(store), timedelta(hours=1)).results == {}
        told = collect(str(store), NOW, dry_run=True)
        assert told.results["annotate"][0] == len(annotated(store)) > 0
        assert collect(str(store), NOW).results == told.results and not annotated(store)

    def test_a_run_that_another_needs_is_not_removed_alone(self, corpus: Path, store: Path) -> None:
        parent = run(corpus / "a-0.jsonl", store)
        child = run(corpus / "a-1.jsonl", store, f"dedup.against=[{parent.id[:-3]}]")
        with pytest.raises(SpecError, match=f"run {child.id} needs {parent.id}"):
            retention.remove(str(store), [parent.id])
        gone = retention.remove(str(store), [parent.id, child.id])
        assert [one.run for one in gone] == [parent.id, child.id] and gone[0].bytes > 1000
        assert not list((store / "runs").glob("*"))

    def test_the_steps_of_a_pipeline_are_not_removed_alone(self, corpus: Path, store: Path) -> None:
        step = "\n".join(f"      {line}" for line in SPEC.format(path=corpus / "b.jsonl").strip().splitlines())
        with units_here():
            pipeline = run_job(
                loads(f"kind: pipeline\nname: steps\nsteps:\n  - name: one\n    spec:\n{step}\n", "p.yaml"),
                *(str(store), None, False, "", lambda line: None),
            )
        of_step = (pipeline.run.record() or {})["parents"][0]
        with pytest.raises(SpecError, match=f"run {pipeline.run.id} needs {of_step}"):
            retention.remove(str(store), [of_step])
        assert [one.run for one in retention.remove(str(store), [pipeline.run.id])] == [pipeline.run.id]
        assert [record["id"] for record in records(str(store))] == [of_step]

    def test_a_run_that_someone_works_on_is_not_removed(self, corpus: Path, store: Path) -> None:
        busy = run(corpus / "a-0.jsonl", store)
        lease = Lease(busy.storage, busy.path("lease"), "another")
        assert lease.acquire() is None
        try:
            with pytest.raises(PairmillError, match="is being worked on"):
                retention.remove(str(store), [busy.id])
        finally:
            lease.release()
        assert len(content(busy)) > 100

    def test_a_result_that_a_run_marks_while_it_is_collected_is_spared(
        self, corpus: Path, store: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The mark comes between the listing and the announcement."""
        gone, stays = run(corpus / "a-0.jsonl", store), run(corpus / "a-1.jsonl", store)
        key = min(keys(gone))
        retention.remove(str(store), [gone.id])
        before, announce = {path for path in files(store / "stages") if key in path}, collection._announce

        def mark_first(storage: Storage, announced: Any) -> None:
            storage.put(f"{uses.PREFIX}/annotate/{key}/{stays.id}", b"")
            announce(storage, announced)

        monkeypatch.setattr(collection, "_announce", mark_first)
        told = collect(str(store), NOW)
        assert told.spared == 1 and before <= files(store / "stages")

    def test_a_process_waits_for_the_end_of_a_collection_that_takes_what_it_wants(self, store: Path) -> None:
        storage, path = Storage(str(store)), f"stages/annotate/{'a' * 32}/done.json"
        storage.put(path, b"1")
        storage.put_json(uses.COLLECTING, {"id": "1", "results": [f"annotate/{'a' * 32}"]})

        def end() -> None:
            storage.delete(path)
            storage.delete(uses.COLLECTING)

        uses.begin("some-run")
        try:
            ending = threading.Timer(0.5, end)
            ending.start()
            assert storage.get(path) is None
        finally:
            uses.begin("")
            ending.join()

    def test_two_collections_do_not_go_on_at_a_time(self, corpus: Path, store: Path) -> None:
        gone = run(corpus / "a-0.jsonl", store)
        retention.remove(str(store), [gone.id])
        gone.storage.put_json(uses.COLLECTING, {"id": "1", "results": []})
        with pytest.raises(PairmillError, match="another collection"):
            collect(str(store), NOW)
        assert annotated(store)

    def test_files_of_killed_attempts_go_and_those_of_manifests_stay(self, corpus: Path, store: Path) -> None:
        done = run(corpus / "*.jsonl", store)
        before = files(store)
        (key, *_) = keys(done)
        left = [
            f"stages/annotate/{key}/chunk-000001-0123456789ab.parquet",
            f"{done.path('kept')}/000009-0123456789ab-01234567.parquet",
        ]
        for path in left:
            done.storage.put(path, b"half a file")
        held = Lease(done.storage, done.path("lease"), "another")
        held.acquire()
        assert collect(str(store), NOW).leftovers == [0, 0], "an attempt that goes on may be writing them"
        held.release()
        assert collect(str(store), timedelta(hours=1)).leftovers == [0, 0]
        assert collect(str(store), NOW).leftovers == [2, 22]
        assert before <= files(store) and not files(store) & set(left)

    def test_results_older_than_the_marks_stay_while_a_run_may_need_them(self, corpus: Path, store: Path) -> None:
        done, before = run(corpus / "a-0.jsonl", store), annotated(store)
        for path in files(store / "uses"):
            (store / "uses" / path).unlink()
        told = collect(str(store), NOW)
        assert told.unmarking == [done.id] and told.unmarked >= 1 and annotated(store) == before
        retention.remove(str(store), [done.id])
        assert collect(str(store), NOW).results["annotate"][0] == len(before)

    @pytest.mark.long
    def test_collecting_all_the_time_changes_no_row_of_a_run(self, tmp_path: Path, store: Path) -> None:
        """A driver of its own takes up the results of a removed run, while this process collects without a window."""
        rows = write_jsonl(tmp_path / "rows.jsonl", catalogue_rows())
        expected = digest(run(rows, tmp_path / "quiet", LENIENT))
        gone = run(rows, store)
        shared = keys(gone)
        retention.remove(str(store), [gone.id])
        spec = tmp_path / "spec.yaml"
        spec.write_text(SPEC.format(path=rows))
        sets = services.options_set((SHARDS, LENIENT, "resources.cpus=1"))
        driver = services.start_pairmill("run", str(spec), "--storage", str(store), *sets, log=tmp_path / "log")
        rounds = 0
        while driver.poll() is None:
            if records(str(store)):  # a run that has begun: what it finds from here on may not go
                collect(str(store), NOW)
                rounds += 1
            time.sleep(0.05)
        assert driver.returncode == 0, (tmp_path / "log").read_text()
        done = only_run(str(store))
        assert rounds > 3 and digest(done) == expected and keys(done) == shared
        assert shared <= annotated(store)

    def test_the_command_line_asks_says_and_removes(self, corpus: Path, store: Path) -> None:
        gone = run(corpus / "a-0.jsonl", store)
        place = ["--storage", str(store)]
        refused = services.run_pairmill("runs", "rm", gone.id, *place)
        assert refused.code == 2 and "--yes" in refused.stderr and len(content(gone)) > 100
        dry = services.run_pairmill("runs", "rm", gone.id, "--dry-run", *place)
        assert dry.code == 0 and f"would be removed: {gone.id} (done" in dry.stdout and gone.record() is not None
        assert services.run_pairmill("runs", "rm", gone.id[:-4], "--yes", *place).code == 0
        assert records(str(store)) == []
        assert services.run_pairmill("runs", "collect", "--older-than", "5m", *place).code == 2
        told = services.run_pairmill("runs", "collect", "--older-than", "1h", "--dry-run", *place)
        assert told.code == 0 and "would be removed: 0 files" in told.stdout


def test_on_s3_a_removed_run_leaves_nothing_and_the_other_reads_as_before(corpus: Path, s3_env: services.S3) -> None:
    store = s3_env.bucket("retention") + "/pairmill"
    gone, stays = run(corpus / "a-0.jsonl", store), run(corpus / "b.jsonl", store)
    before, lone, shared = digest(stays), keys(gone), keys(stays)
    retention.remove(store, [gone.id])
    told = collect(store, NOW)
    assert told.results["annotate"][0] == len(lone)
    left = [path for path, *_ in stays.storage.files("")]
    assert not any(path.startswith(f"runs/{gone.id}") or key in path for path in left for key in lone)
    assert all(any(key in path for path in left) for key in shared) and digest(stays) == before


def test_the_results_of_every_stage_can_be_marked() -> None:
    source = "\n".join(path.read_text("utf-8") for path in (services.ROOT / "platform/pairmill").rglob("*.py"))
    prefixes = set(re.findall(r'"(stages/[a-z/]+)"', source))
    assert len(prefixes) > 12
    for prefix in prefixes:
        path = f"{prefix}/{'0f' * 16}"
        assert uses.result_of(f"{path}.json") == uses.result_of(f"{path}/x-1.parquet") == path.removeprefix("stages/")


def files(folder: Path) -> set[str]:
    return {os.path.relpath(path, folder) for path in folder.rglob("*") if path.is_file()}
