"""Damaged inputs and failing places: a clear error or a counted entry, never a silent loss or a traceback."""

from __future__ import annotations

import gzip
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import services
from corpus import catalogue_rows, json_line, write_jsonl, write_parquet
from pairmill.curate.job import run_curate
from pairmill.errors import PairmillError
from pairmill.spec.load import load, loads
from reading import committed, content, only_run, table

SPEC = """
kind: curate
name: damaged
inputs:
  - name: catalogue
    format: {format}
    path: "{path}"
    columns: {{anchor: src, positive: tgt, anchor_lang: src_lang, positive_lang: tgt_lang}}
    language: trust
filters: {{preset: none}}
dedup: {{exact: off, near: off}}
"""


def curate(tmp_path: Path, path: Path, format: str = "jsonl", *sets: str):
    loaded = loads(SPEC.format(path=path, format=format), "test.yaml", sets)
    return run_curate(loaded, str(tmp_path / "store"), None, False, "pairmill run test.yaml", lambda line: None)


@pytest.mark.usefixtures("local_ray")
class TestDamagedInputs:
    def test_a_truncated_gzip_keeps_its_readable_prefix_and_says_where_it_ends(self, tmp_path):
        rows = catalogue_rows()
        whole = gzip.compress(b"".join(map(json_line, rows)), mtime=0)
        (tmp_path / "cut.jsonl.gz").write_bytes(whole[: len(whole) // 2])
        outcome = curate(tmp_path, tmp_path / "cut.jsonl.gz")
        (entry,) = table(outcome.run, "quarantine").to_pylist()
        assert entry["error"] == "truncated" and entry["offset"] > 1000
        kept = table(outcome.run, "kept")
        assert 0 < len(kept) < len(rows)
        assert kept["anchor"].to_pylist()[0] == " ".join(rows[0][0].split())
        assert outcome.summary["ledger"]["total"]["records_in"] == len(kept) + 1

    def test_a_truncated_parquet_is_one_quarantine_entry_beside_a_healthy_file(self, tmp_path):
        rows = catalogue_rows()[:500]
        data = write_parquet(tmp_path / "a.parquet", rows).read_bytes()
        write_parquet(tmp_path / "b.parquet", rows)
        (tmp_path / "a.parquet").write_bytes(data[:-40])
        outcome = curate(tmp_path, tmp_path / "*.parquet", "parquet")
        (entry,) = table(outcome.run, "quarantine").to_pylist()
        assert entry["origin_file"].endswith("a.parquet")
        assert outcome.summary["ledger"]["total"]["kept"] == len(rows)

    def test_a_cut_utf8_sequence_and_an_empty_file_are_counted(self, tmp_path):
        (tmp_path / "a.jsonl").write_bytes(json_line(("a", "ü", "de"))[:-6] + b"\n" + json_line(("b", "c", "de")))
        (tmp_path / "b.jsonl").write_bytes(json_line(("d", "ü", "de")).replace("ü".encode(), b"\xc3"))
        (tmp_path / "c.jsonl").write_bytes(b"")
        outcome = curate(tmp_path, tmp_path / "*.jsonl")
        assert outcome.summary["ledger"]["total"]["quarantine"] == {
            "empty_file": 1,
            "invalid_utf8": 1,
            "malformed_json": 1,
        }
        assert outcome.summary["ledger"]["total"]["kept"] == 1

    def test_moses_files_of_unequal_length_fail_with_both_names(self, tmp_path):
        (tmp_path / "c.en").write_text("one\ntwo\nthree\n")
        (tmp_path / "c.de").write_text("eins\nzwei\n")
        spec = SPEC.replace(
            "    columns: {{anchor: src, positive: tgt, anchor_lang: src_lang, positive_lang: tgt_lang}}\n", ""
        )
        loaded = loads(spec.format(path=tmp_path / "c.{en,de}", format="moses"), "test.yaml")
        with pytest.raises(PairmillError, match=r"c\.en.*") as caught:
            run_curate(loaded, str(tmp_path / "store"), None, False, "", lambda line: None)
        assert "c.de" in str(caught.value)
        assert only_run(str(tmp_path / "store")).record()["state"] == "failed"

    def test_a_task_that_no_node_can_run_is_refused_with_the_arithmetic(self, tmp_path):
        path = write_jsonl(tmp_path / "a.jsonl", catalogue_rows()[:5])
        with pytest.raises(PairmillError, match=r"64 CPUs.*nodes offer 2 CPUs"):
            curate(tmp_path, path, "jsonl", "resources.cpus_per_task=64")

    def test_a_compressed_file_resumes_behind_its_last_chunk(self, tmp_path, monkeypatch):
        from pairmill.curate import annotate
        from pairmill.pairs import sources
        from pairmill.runs.storage import open_storage
        from pairmill.runs.units import Units

        monkeypatch.setattr(annotate, "CHUNK_RECORDS", 1000)
        path = write_jsonl(tmp_path / "a.jsonl.gz", catalogue_rows())
        spec = loads(SPEC.format(path=path, format="jsonl"), "x").spec
        (file,) = sources.find(spec.inputs[0])
        (piece,) = sources.split(spec.inputs[0], file, 1 << 30)
        from dataclasses import asdict

        shard = {"index": 0, "input": "catalogue", "pieces": [asdict(piece)], "text_size": 1}
        item = {"storage": str(tmp_path / "chunks"), "spec": spec.model_dump(mode="json"), "shard": shard, "key": "k"}
        units = Units(open_storage(item["storage"]), annotate.PREFIX)
        commit, committed_chunks = units.commit, []

        class Killed(BaseException):
            pass

        def commit_or_die(self, key, manifest):
            if len(committed_chunks) == 2:
                raise Killed
            committed_chunks.append(key)
            return commit(key, manifest)

        with monkeypatch.context() as patched, pytest.raises(Killed):
            patched.setattr(Units, "commit", commit_or_die)
            annotate.annotate_shard({**item, "attempt": "first"})
        annotate.annotate_shard({**item, "attempt": "second"})
        chunks = units.get("k/done")["chunks"]
        assert [chunk["record"]["attempt"] for chunk in chunks[:3]] == ["first", "first", "second"]
        rows = [r for c in chunks for r in units.storage.open_parquet(c["file"]).read()["origin_row"].to_pylist()]
        assert rows == list(range(len(catalogue_rows())))


@pytest.mark.long
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small tmpfs needs root")
@pytest.mark.usefixtures("local_ray")
def test_a_full_disk_is_named_and_the_run_resumes_when_there_is_space(tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", catalogue_rows() * 5)
    with services.small_disk(tmp_path / "store", "300k") as disk:
        with pytest.raises(PairmillError, match=r"(?s)disk is full.*resumes"):
            curate(tmp_path, path, "jsonl", "dedup.exact=off")
        subprocess.run(["mount", "-o", "remount,size=200m", str(disk)], check=True)
        assert curate(tmp_path, path, "jsonl", "dedup.exact=off").run.record()["kept"] > 1000


@pytest.mark.usefixtures("local_ray")
def test_a_driver_terminated_and_then_killed_resumes_with_the_same_rows_and_no_unit_done_twice(tmp_path):
    for number in range(6):
        write_jsonl(tmp_path / f"part-{number}.jsonl", catalogue_rows()[number::6])
    spec = tmp_path / "job.yaml"
    text = SPEC.format(path=tmp_path / "part-*.jsonl", format="jsonl").replace("dedup: {exact: off, near: off}", "")
    spec.write_text(
        text.replace("filters: {preset: none}", "filters: {preset: bitext}") + "resources: {shard_size: 40KB}\n"
    )
    storage, log = tmp_path / "broken", tmp_path / "log"
    done = storage / "stages" / "annotate"

    def start_and_wait(until: Callable[[], bool]) -> subprocess.Popen:
        process = services.start_pairmill("run", str(spec), "--storage", str(storage), log=log)
        deadline = time.monotonic() + 120
        while not until() and time.monotonic() < deadline:
            time.sleep(0.02)
        return process

    process = start_and_wait(lambda: "annotate" in log.read_text())
    process.terminate()
    assert process.wait(timeout=60) == 130, log.read_text()
    assert "the same command resumes" in log.read_text()
    assert only_run(str(storage)).record()["state"] == "stopped"

    first = len(list(done.glob("*/done.json")))
    services.end(start_and_wait(lambda: len(list(done.glob("*/done.json"))) > first), by_force=True)
    before = {path: path.read_bytes() for path in done.glob("*/done.json")}
    assert len(before) > first, log.read_text()

    run, unbroken = (
        run_curate(load(str(spec)), str(place), None, False, "", lambda line: None).run
        for place in (storage, tmp_path / "unbroken")
    )
    assert content(run) == content(unbroken)
    assert {path: path.read_bytes() for path in before} == before
    assert len(committed(run)["annotate"]) <= len(list(done.glob("*/done.json"))) - len(before) + 1


@pytest.mark.long
def test_two_identical_commands_at_once_have_one_result(tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", catalogue_rows())
    spec = tmp_path / "job.yaml"
    spec.write_text(SPEC.format(path=path, format="jsonl"))
    logs = [tmp_path / "log-0", tmp_path / "log-1"]
    processes = [
        services.start_pairmill("run", str(spec), "--storage", str(tmp_path / "store"), log=log) for log in logs
    ]
    codes = [process.wait(timeout=300) for process in processes]
    assert codes == [0, 0], [log.read_text() for log in logs]
    assert any("another driver" in log.read_text() or "done already" in log.read_text() for log in logs)
    run = only_run(str(tmp_path / "store"))
    assert all(len(units) == len(set(units)) for units in committed(run).values())
