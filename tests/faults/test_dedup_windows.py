"""Distributed deduplication that dies between any two writes or deletions resumes with the same decisions.

The stages' units run here in a loop instead of Ray, so that the driver can die at every place where storage changes:
before a manifest (its data files written), before a deletion, between two deletions, after the last.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from catalogue_job import SPEC, curate
from corpus import catalogue_rows, write_jsonl
from pairmill.curate import groups, shardfiles
from pairmill.curate.distributed import layout
from pairmill.curate.distributed.job import Distributed
from pairmill.errors import StorageError
from pairmill.runs.engine import Resources
from pairmill.runs.storage import Storage, open_storage
from pairmill.runs.units import Units, do_once
from pairmill.spec.load import loads

#: Three ranges, two passes over the bands, chains of links that take several rounds.
LAYOUT = ("resources.partitions=2", "resources.spill=80KB", "resources.memory_per_task=120KB")


class Killed(BaseException):
    """Where a process ends here, no handler of errors runs."""


@contextmanager
def dying_at(number: int | None) -> Iterator[list[str]]:
    """Die in place of the write of a manifest or the deletion with this number; gives what was done until then."""
    done: list[str] = []
    real = Storage.put_if_absent, Storage.delete

    def counted(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: Storage, path: str, *rest: Any) -> Any:
            if len(done) == number:
                raise Killed
            done.append(f"{name} {path}")
            return method(self, path, *rest)

        return call

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Storage, "put_if_absent", counted("commit", real[0]))
        patch.setattr(Storage, "delete", counted("delete", real[1]))
        yield done


@dataclass
class Job:
    """Deduplication of annotated shards, as `curate.job` does it; `decide_at`: where this run's decisions go."""

    rows: dict[int, int]
    keys: dict[int, str]
    path: str

    def run(
        self, root: Path, method: str, *sets: str, decide_at: str = "decide", in_stage: Callable[[str], None] = str
    ) -> pa.Table:
        """Its decisions, in order."""
        spec = loads(SPEC.format(path=self.path), "test.yaml", [*LAYOUT, *sets]).spec
        storage = open_storage(str(root))
        shards = [{"index": index, "key": key} for index, key in self.keys.items()]
        base = {"storage": storage.uri, "spec": spec.model_dump(mode="json"), "attempt": "1", "exclude": None}

        def stage(name: str, work: Any, items: list[dict[str, Any]], resources: Resources) -> list[dict[str, Any]]:
            in_stage(name)
            return [work({**base, **item}) for item in items]

        cut = layout.plan(spec, list(self.rows.items()), 100_000)
        assert len(cut.ranges) > 2 and len(cut.passes) > 1
        key = groups.key(spec, shards)
        job = Distributed(storage, stage, cut, shards, key, decide_at, Resources(1, spec.resources.memory_per_task))
        job.find_groups(method, 0)
        parts = [
            shardfiles.read_shard(storage, Units(storage, done["prefix"]).get(done["key"]), index)
            for done in job.decide()
            for index in done["shards"]
        ]
        return pa.concat_tables(parts)


@pytest.fixture(scope="module")
def annotated(local_ray, tmp_path_factory) -> tuple[Path, Job, pa.Table]:
    """(a storage with annotated shards, the job, the decisions of the single task)."""
    rows, rng = [row for row in catalogue_rows(("de",)) if len(row[0]) > 40], random.Random(5)
    text, target, language = max(rows, key=lambda row: len(row[0]))
    words = text.split()
    rows += [(" ".join(words[at:] + words[:at]), target, language) for at in range(len(words))]
    rows += rng.sample(rows, 40)
    rng.shuffle(rows)
    folder = tmp_path_factory.mktemp("windows")
    for number in range(4):
        write_jsonl(folder / f"part-{number}.jsonl", rows[number::4])
    found = curate(folder / "*.jsonl", folder / "single", "resources.shard_size=6KB", "resources.dedup=single")
    decided = found.run.units("decide").get("decisions")
    keys = {int(index): key for index, key in (found.run.manifest() or {})["keys"].items()}
    storage = found.run.storage
    counts = {index: sum(chunk["rows"] for chunk in shardfiles.chunks(storage, key)) for index, key in keys.items()}
    expected = pa.concat_tables([shardfiles.read_shard(storage, decided, index) for index in keys])
    assert len(expected) > 60
    return folder / "single", Job(counts, keys, str(folder / "*.jsonl")), expected


@pytest.fixture
def fresh(annotated, tmp_path) -> Callable[[str], Path]:
    """New storages with the annotated shards."""

    def make(name: str) -> Path:
        shutil.copytree(annotated[0] / "stages/annotate", tmp_path / name / "stages/annotate")
        return tmp_path / name

    return make


def exchange_files(root: Path) -> list[str]:
    """Files of committed units that only other units read, as far as they are there."""
    manifests = [
        json.loads(path.read_text()) for place in ("stages/groups", "decide") for path in (root / place).rglob("*.json")
    ]
    named = [name for manifest in manifests for names in manifest.get("files", {}).values() for name in names]
    assert named
    return [name for name in named if (root / name).exists()]


@pytest.mark.parametrize(("method", "step"), [("stars", 19), ("single", 13)])
def test_a_driver_that_dies_anywhere_resumes_with_the_same_decisions(method, step, annotated, fresh):
    _, job, expected = annotated
    with dying_at(None) as steps:
        assert job.run(fresh("unbroken"), method).equals(expected)
    assert {"commit", "delete"} == {line.split()[0] for line in steps} and len(steps) > 60
    for number in range(0, len(steps), step):
        root = fresh(f"at-{number}")
        with dying_at(number) as before, pytest.raises(Killed):
            job.run(root, method)
        with dying_at(None) as after:
            assert job.run(root, method).equals(expected), steps[number]
        assert not exchange_files(root), steps[number]
        commits = [{line for line in part if line.startswith("commit")} for part in (before, after)]
        assert not commits[0] & commits[1], steps[number]


@pytest.mark.parametrize("method", ["stars", "single"])
def test_exchange_files_are_deleted_also_where_the_driver_died_between_deletions(method, annotated, fresh):
    _, job, expected = annotated
    root = fresh("deletions")
    for number in range(1000):
        with dying_at(number) as steps:
            try:
                assert job.run(root, method).equals(expected)
                break
            except Killed:
                continue
    assert steps
    assert not exchange_files(root)


class TestRunsThatShareGroups:
    def test_other_thresholds_find_the_groups_after_the_exchange_files_are_gone(self, annotated, fresh):
        _, job, _ = annotated
        root, alone = fresh("shared"), fresh("alone")
        sets = ("dedup.near.keep=longest",)
        job.run(root, "stars")
        stages: list[str] = []
        found = job.run(root, "stars", *sets, decide_at="other", in_stage=stages.append)
        assert found.equals(job.run(alone, "stars", *sets))
        assert stages == ["dedup: candidates", "dedup: walk", "dedup: decisions"]

    def test_the_other_method_for_components_finds_them_too(self, annotated, fresh):
        _, job, expected = annotated
        root = fresh("methods")
        job.run(root, "stars")
        assert job.run(root, "single", decide_at="other").equals(expected)

    def test_a_driver_that_dies_in_stars_can_go_on_with_a_single_task(self, annotated, fresh):
        _, job, expected = annotated
        with dying_at(None) as steps:
            job.run(fresh("unbroken"), "stars")
        places = [number for number, line in enumerate(steps) if "large-" in line or "labels-" in line]
        for number in places[::5]:
            root = fresh(f"switch-{number}")
            with dying_at(number), pytest.raises(Killed):
                job.run(root, "stars")
            assert job.run(root, "single").equals(expected)
            assert not exchange_files(root)

    def test_a_run_that_deletes_what_another_reads_does_not_fail_it(self, annotated, fresh):
        _, job, expected = annotated
        root = fresh("two")

        def overtake(name: str) -> None:
            if name == "dedup: links":
                job.run(root, "stars", decide_at="faster")

        assert job.run(root, "stars", decide_at="slower", in_stage=overtake).equals(expected)


def test_a_resumed_run_may_have_other_partitions(annotated, fresh):
    _, job, expected = annotated
    with dying_at(None) as steps:
        job.run(fresh("unbroken"), "single")
    places = [number for number, line in enumerate(steps) if "candidates-" in line or "walk-" in line]
    for turn, number in enumerate(places[1::3]):
        root = fresh(f"layout-{number}")
        with dying_at(number), pytest.raises(Killed):
            job.run(root, "single")
        assert job.run(root, "single", f"resources.partitions={(5, 1)[turn % 2]}").equals(expected), steps[number]


def test_a_unit_whose_files_another_driver_deleted_is_taken_from_it(tmp_path):
    item = {"storage": str(tmp_path), "attempt": "slow", "key": "unit"}

    def overtaken(units: Units) -> dict[str, Any]:
        units.commit("unit", {"rows": 7})
        return {"rows": len(units.storage.open_arrow("deleted"))}

    assert do_once(item, "stage", overtaken) == {"key": "unit", "rows": 7, "reused": True}

    def broken(units: Units) -> dict[str, Any]:
        return {"rows": len(units.storage.open_arrow("deleted"))}

    with pytest.raises(StorageError, match="deleted"):
        do_once({**item, "key": "other"}, "stage", broken)
