"""A threshold tried in the explorer against select itself at that threshold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import catalogue_job
from corpus import catalogue_rows, write_jsonl
from pairmill.curate import thresholds
from pairmill.curate.explain import held
from pairmill.errors import SpecError
from pairmill.explore import trial
from pairmill.explore.contents import Contents, contents
from pairmill.explore.database import Database
from pairmill.runs.storage import open_storage
from reading import table

NO_DUPLICATES = ("dedup.exact=null", "dedup.near=null")
EXCEPTIONS = ("filters.per_language.de.letters=0.5", "filters.per_pair.en-ja.length_ratio=9")
TRIED = [("length_ratio", "max", 1.3), ("length_ratio", "max", 1.6), ("letters", "min", 0.9), ("min_chars", "min", 12)]


@pytest.fixture(scope="module")
def folder(local_ray: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trial")
    rows = [row for language in ("de", "fr", "ja") for row in catalogue_rows((language,))[:300]]
    write_jsonl(folder / "rows.jsonl", rows)
    return folder


def curated(folder: Path, *sets: str) -> Contents:
    run = catalogue_job.curate(folder / "rows.jsonl", folder / "store", *NO_DUPLICATES, *EXCEPTIONS, *sets).run
    return contents(run.storage.uri, run.id)


@pytest.fixture(scope="module")
def found(folder: Path) -> Contents:
    return curated(folder)


@pytest.fixture(scope="module")
def opened(found: Contents) -> Database:
    return Database(open_storage(found.run.storage.uri))


def tried(opened: Database, found: Contents, rule: str, bound: str, value: float) -> trial.Trial:
    return trial.attempt(opened, opened.question(), found, trial.moved(found, rule, bound, value))


@pytest.mark.parametrize(("rule", "bound", "value"), TRIED[:2])
def test_without_duplicates_the_count_is_that_of_a_run_with_the_threshold(
    folder: Path, found: Contents, opened: Database, rule: str, bound: str, value: float
) -> None:
    again = curated(folder, f"filters.rules.{rule}.{bound}={value}")
    assert tried(opened, found, rule, bound, value).then == again.part("kept").rows != found.part("kept").rows


@pytest.mark.parametrize(("rule", "bound", "value"), TRIED)
def test_lost_and_gained_are_what_the_rules_say_of_the_same_rows(
    found: Contents, opened: Database, rule: str, bound: str, value: float
) -> None:
    active = held(found.summary)
    changed = {**active, rule: replace(active[rule], **{bound: value})}
    columns = ["anchor_lang", "positive_lang", *[c for own in active.values() for c in own.rule.columns]]
    kept, rejected = (table(found.run, part, columns) for part in ("kept", "rejected"))
    passing = [thresholds.apply(list(changed.values()), rows).first < 0 for rows in (kept, rejected)]
    result = tried(opened, found, rule, bound, value)
    assert (result.lost, result.gained) == (int(np.sum(~passing[0])), int(np.sum(passing[1])))
    assert result.lost + result.gained > 0


def test_at_the_present_threshold_nothing_changes(found: Contents, opened: Database) -> None:
    for rule, bound in trial.choices(found):
        result = trial.attempt(opened, opened.question(), found, trial.moved(found, rule.name, bound, None))
        assert (result.lost, result.gained) == (0, 0), rule.name


def test_the_rows_at_the_border_are_the_nearest_on_each_side(found: Contents, opened: Database) -> None:
    result = tried(opened, found, "length_ratio", "max", 1.5)
    rejected = table(found.run, "rejected")
    alone = [row for row in rejected.to_pylist() if row["failed"] == ["length_ratio"]]
    pool = [
        row for row in [*table(found.run, "kept").to_pylist(), *alone] if row["length_ratio"] == row["length_ratio"]
    ]
    inside = sorted((-row["length_ratio"], row["pair_id"]) for row in pool if row["length_ratio"] <= 1.5)
    outside = sorted((row["length_ratio"], row["pair_id"]) for row in pool if row["length_ratio"] > 1.5)
    assert [row["pair_id"] for row in result.inside] == [pair_id for _, pair_id in inside[: trial.BORDER]]
    assert [row["pair_id"] for row in result.outside] == [pair_id for _, pair_id in outside[: trial.BORDER]]
    assert all(row["anchor"] and row["positive"] for row in [*result.inside, *result.outside])


@pytest.mark.parametrize(("rule", "bound"), [("no_rule", "min"), ("length_ratio", "min"), ("length_ratio; --", "max")])
def test_what_cannot_be_moved_is_refused_with_the_rules_that_can(found: Contents, rule: str, bound: str) -> None:
    with pytest.raises(SpecError, match="Rules: .*length_ratio"):
        trial.moved(found, rule, bound, 1)
