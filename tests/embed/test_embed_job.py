"""Embed jobs through real Ray: every text has its vector once, whatever dies; what would mix vectors is refused."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest
from embedkit import damaged

import tiny_models
from catalogue_job import curate
from corpus import catalogue_rows, write_jsonl
from pairmill.embed import texts as text_sets
from pairmill.embed import unit
from pairmill.embed.engine import make
from pairmill.embed.job import Embed
from pairmill.embed.vectors import Vectors
from pairmill.errors import PairmillError, SpecError, StorageError
from pairmill.jobs import run_job
from pairmill.report import embed_page
from pairmill.report.text import summarise
from pairmill.runs.lease import Lease
from pairmill.runs.record import Run, read_events
from pairmill.runs.storage import open_storage
from pairmill.spec.embed import EmbeddingModel
from pairmill.spec.load import loads
from reading import committed, table
from services import ROOT, clean_environment
from unitkit import units_here

pytestmark = pytest.mark.usefixtures("local_ray")
SPEC = """
kind: embed
name: tiny
model: {{path: "{folder}/model", max_length: 32, prompts: {{query: "ab ", passage: "cd "}}}}
data:
{data}
resources: {{cpus: 2, shard_size: 2KB}}
"""
RUN = '  - {{name: web, run: "{run}", prompts: {{anchor: query, positive: passage}}}}'
FILES = '  - {name: lines, input: {format: text, path: ["%s/b.txt.gz", "%s/a.txt"]}, prompt: query}'


class Place:
    """A storage with a curate run, a model, and how to embed."""

    def __init__(self, folder: Path):
        self.folder, self.store = folder, folder / "store"
        tiny_models.save(folder / "model")
        write_jsonl(folder / "pairs.jsonl", catalogue_rows(("de", "ja")))
        with units_here():
            self.curated = curate(folder / "pairs.jsonl", self.store).run

    def loaded(self, *sets: str, data: str = RUN) -> Any:
        spec = SPEC.format(folder=self.folder, data=data.format(run=self.curated.id) if data == RUN else data)
        return loads(spec, "test.yaml", sets)

    def embed(self, *sets: str, data: str = RUN) -> Any:
        with units_here():
            return self.through_ray(*sets, data=data)

    def through_ray(self, *sets: str, data: str = RUN) -> Any:
        return run_job(self.loaded(*sets, data=data), str(self.store), None, False, "test", lambda line: None)

    def vectors(self, outcome: Any) -> Vectors:
        return Vectors.open(str(self.store), outcome.run.id)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("embed"))


@pytest.fixture(scope="module")
def done(place: Place) -> Any:
    return place.through_ray()


def test_every_kept_text_has_one_vector_that_of_the_engine_in_the_order_of_the_rows(place: Place, done: Any) -> None:
    found, kept = place.vectors(done), table(place.curated, "kept", ["pair_id", "anchor", "positive"])
    assert len(kept) > 500
    model = EmbeddingModel(path=str(place.folder / "model"), max_length=32, prompts={"q": "ab ", "p": "cd "})
    engine = make(model)
    for side, prompt in (("anchor", "q"), ("positive", "p")):
        ids, vectors = found.array("web", side)
        assert ids.tolist() == kept["pair_id"].to_pylist()
        np.testing.assert_allclose(vectors, engine.encode(kept[side].to_pylist(), prompt), rtol=0, atol=1e-6)
    assert found.dims == 32 and found.model.checksum == engine.checksum and found.model.precision == "fp32"
    assert found.sets == {"web": {"sides": {"anchor": "ab ", "positive": "cd "}, "run": place.curated.id}}


def test_files_have_vectors_of_fixed_size_and_the_manifest_counts_them(place: Place, done: Any) -> None:
    found = place.vectors(done)
    for file in found.listed:
        path = Path(done.run.storage.where(file["path"]))
        assert path.parent == Path(done.run.storage.where(done.run.path(f"vectors/web/{file['side']}")))
        column = pq.read_schema(path).field("vector").type
        assert column.list_size == 32 and str(column.value_type) == "float"
        assert pq.read_metadata(path).num_rows == file["rows"]
    assert sum(file["rows"] for file in found.listed) == 2 * len(table(place.curated, "kept", ["pair_id"]))


def test_a_done_job_is_done_and_resources_make_no_other_run(place: Place, done: Any) -> None:
    again = place.embed("resources.shard_size=1MB", "resources.threads=2")
    assert again.already_done and again.run.id == done.run.id
    other = place.embed("dims=8", "store=float16")
    assert other.run.id != done.run.id
    exact, half = (place.vectors(outcome).array("web", "anchor")[1] for outcome in (done, other))
    cut = exact[:, :8] / np.linalg.norm(exact[:, :8], axis=1, keepdims=True)
    np.testing.assert_allclose(half, cut, rtol=0, atol=1e-3)
    assert (
        half.dtype == np.float32 and pq.read_schema(_file(place, other)).field("vector").type.value_type == "halffloat"
    )


def _file(place: Place, outcome: Any, number: int = 0) -> Path:
    return Path(outcome.run.storage.where(place.vectors(outcome).listed[number]["path"]))


def test_texts_of_files_are_known_by_file_and_record_and_empty_ones_are_counted(place: Place, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"first\n\nthird\r\nno \xff utf8\nfifth\n" + b"more of it\n" * 400)
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(b"alpha\n   \ngamma"))
    outcome = place.embed(data=FILES % (tmp_path, tmp_path))
    ids, vectors = place.vectors(outcome).array("lines", "text")
    second = 1 << 32
    assert ids.tolist() == [0, 2, 4, *range(5, 405), second, second | 2]
    engine = make(EmbeddingModel(path=str(place.folder / "model"), max_length=32))
    expected = engine.encode(["ab first", "ab third", "ab fifth", "ab gamma"])
    np.testing.assert_allclose(vectors[[0, 1, 2, -1]], expected, rtol=0, atol=1e-6)
    (row,) = outcome.summary["counts"]
    assert row["units"] > 2 and row["lost"] == {"empty": 2, "unreadable": 1} and row["vectors"] == len(ids)


@pytest.mark.parametrize("form", ["jsonl", "parquet", "csv"])
def test_texts_of_other_formats_are_read_by_their_column(form: str, place: Place, tmp_path: Path) -> None:
    rows = pa.table({"id": [7, 8, 9], "body": ["abc", "", "def, ghi"]})
    file = tmp_path / f"texts.{form}"
    if form == "jsonl":
        file.write_text("".join(json.dumps(row) + "\n" for row in rows.to_pylist()))
    else:
        (pq.write_table if form == "parquet" else pc.write_csv)(rows, file)
    given = loads(
        SPEC.format(
            folder=place.folder,
            data=f'  - {{name: t, input: {{format: {form}, path: "{file}", column: body}}}}',
        ),
        "test.yaml",
    ).spec.data[0]
    found = text_sets.find(str(place.store), 0, given, 1 << 20)
    lost: Counter[str] = Counter()
    read = [pair for part in found.parts for pair in text_sets.read(part, "text", lost)]
    assert [(ids.tolist(), texts) for ids, texts in read] == [([0, 2], ["abc", "def, ghi"])] and lost["empty"] == 1


def test_languages_and_sides_choose_rows_of_a_run(place: Place) -> None:
    data = f"  - {{name: ja, run: {place.curated.id}, sides: [positive], languages: [ja]}}"
    outcome = place.embed(data=data)
    kept = table(place.curated, "kept", ["pair_id", "positive_lang"]).to_pydict()
    wanted = [i for i, code in zip(kept["pair_id"], kept["positive_lang"], strict=True) if code == "ja"]
    found = place.vectors(outcome)
    assert found.array("ja", "positive")[0].tolist() == wanted and 0 < len(wanted) < len(kept["pair_id"])
    with pytest.raises(SpecError, match="has no side 'anchor'. It has: positive"):
        found.count("ja", "anchor")
    with pytest.raises(SpecError, match=r"has no set 'jaa'. Did you mean 'ja'\?"):
        found.files("jaa", "positive")


@pytest.mark.long
def test_a_killed_job_resumes_and_no_vector_is_lost_or_doubled(place: Place, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("".join(f"line {'abc' * (number % 9)} {number}\n" for number in range(8_000)))
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(b"one more\n"))
    spec, sets = tmp_path / "embed.yaml", ["--set", "resources.shard_size=5KB"]
    spec.write_text(SPEC.format(folder=place.folder, data=FILES % (tmp_path, tmp_path)))
    store = tmp_path / "store"
    command = [sys.executable, "-m", "pairmill", "run", str(spec), "--storage", str(store), *sets]
    environment = clean_environment(PYTHONPATH=str(ROOT / "platform"))
    process = subprocess.Popen(command, env=environment, start_new_session=True, stderr=subprocess.DEVNULL)
    wait(lambda: len(manifests(store)) > 2 or process.poll() is not None)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    settle(store)
    before = manifests(store)
    with units_here():
        outcome = run_job(loads(spec.read_text(), "x", sets[1:]), str(store), None, False, "", lambda line: None)
    ids, vectors = Vectors.open(str(store), outcome.run.id).array("lines", "text")
    assert ids.tolist() == [*range(8_000), 1 << 32] and np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    units = committed(outcome.run)["embed"]
    assert 2 < len(before) < outcome.summary["counts"][0]["units"], "it was killed in the middle"
    assert len(set(units)) == len(units), "no attempt did a unit that another had committed"
    resumed = (e for e in read_events(outcome.run) if e["attempt"] == outcome.run.attempt)
    again = {e["unit"] for e in resumed if e["event"] == "unit committed"}
    assert again and not again & {path.stem for path in before}


def manifests(store: Path) -> set[Path]:
    return set(store.glob("runs/*/g0/embed/*.json"))


def wait(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 300
    while not ready() and time.monotonic() < deadline:
        time.sleep(0.02)


def settle(store: Path) -> None:
    """Until the workers of a dead driver have ended, and so commit nothing more."""
    count = -1
    while count != (count := len(manifests(store))):
        time.sleep(1.5)


def test_a_model_that_changed_under_its_name_is_refused_by_name(tmp_path: Path, place: Place) -> None:
    folder = tiny_models.save(tmp_path / "model")
    job = Embed(place.loaded(f"model.path={folder}"), open_storage(str(place.store)), "", lambda line: None)
    damaged(folder)  # between the job's start and its units
    with pytest.raises(PairmillError, match=rf"model {folder}: its files changed since this job began \(checksum"):
        attempt(job)


def attempt(job: Embed) -> Any:
    run = Run(job.storage, job.id)
    lease = Lease(job.storage, run.path("lease"), run.attempt)
    assert lease.acquire() is None
    try:
        with units_here():
            return job.attempt(run, lease, None, False)
    finally:
        lease.release()


def test_a_model_made_anew_is_another_run_also_for_processes_that_hold_the_old_one(
    tmp_path: Path, place: Place
) -> None:
    model = f"model.path={tiny_models.save(tmp_path / 'model')}"
    before = place.embed(model)
    damaged(tmp_path / "model", 5.0)
    after = place.embed(model)
    assert after.run.id != before.run.id
    old, new = (place.vectors(outcome).array("web", "anchor")[1] for outcome in (before, after))
    assert not np.allclose(old, new, atol=1e-3)


def test_numbers_that_float16_does_not_hold_are_refused(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unit, "LARGEST_HALF", 1e-3)
    with pytest.raises(PairmillError, match=r"web, anchor: vectors hold numbers beyond .* Use store: float32"):
        place.embed("store=float16", "normalize=false")


def test_a_vector_with_nan_fails_the_job_which_names_the_row_and_its_file(tmp_path: Path, place: Place) -> None:
    folder = damaged(tiny_models.save(tmp_path / "model"))
    with pytest.raises(PairmillError, match=r"web, (anchor|positive), pair_id \d+ \(runs/.*parquet\): text \d+, '.*j"):
        place.embed(f"model.path={folder}")


def test_what_the_model_does_not_have_is_refused_before_anything_starts(place: Place) -> None:
    with pytest.raises(SpecError, match="dims: 64, but the model's vectors have 32"):
        place.embed("dims=64")
    with pytest.raises(SpecError, match="prompt 'answer': the model has no prompt of this name"):
        place.embed("data[0].prompts.anchor=answer")
    with pytest.raises(SpecError, match="kept no row of language 'sw'"):
        place.embed("data[0].languages=[sw]")


def test_readers_refuse_runs_of_other_kinds_and_files_of_another_dimension(place: Place, done: Any) -> None:
    with pytest.raises(SpecError, match="is a curate run and has no vectors"):
        Vectors.open(str(place.store), place.curated.id)
    other = place.embed("dims=16")
    small, large = _file(place, other), _file(place, done)
    small.write_bytes(large.read_bytes())
    with pytest.raises(StorageError, match=r"it has vectors of 32 numbers, and run tiny-\w+ says 16"):
        place.vectors(other).array("web", "anchor")
    last = _file(place, other, -1)
    rows = pq.read_table(last)
    pq.write_table(pa.concat_tables([rows, rows]), last)
    with pytest.raises(StorageError, match=rf"it has {2 * len(rows):,} rows, and run tiny-\w+ says {len(rows):,}"):
        place.vectors(other).array("web", "positive")


def test_page_and_command_line_tell_the_counts(place: Place, done: Any) -> None:
    rows = f"{len(table(place.curated, 'kept', ['pair_id'])):,}"
    told, page = summarise(done.summary), embed_page.render(done.summary)
    assert f"web, anchor    {rows}" in told and "32 numbers" in told
    assert rows in page and "cd " in page and done.summary["model"]["checksum"] in page
