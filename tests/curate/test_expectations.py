"""Expectations: what a job finds is held against them, in the ledger, on the page and by the exit code."""

from __future__ import annotations

import json

import pytest

import catalogue_job
from corpus import catalogue_rows, write_jsonl
from pairmill.curate.expectations import Earlier, check
from pairmill.errors import SpecError
from pairmill.jobs import run_job
from pairmill.spec.expect import Drift, Expect
from pairmill.spec.load import loads


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("expected")
    write_jsonl(folder / "pairs.jsonl", catalogue_rows(("de", "ar"))[::3])
    return folder


@pytest.fixture(scope="module")
def first(store, local_ray):
    return curate(store)


def curate(store, *sets: str):
    return catalogue_job.curate(store / "pairs.jsonl", store / "runs", *sets)


def shown(outcome) -> tuple[dict, str]:
    """The ledger and the page, as they lie in the storage."""
    run = outcome.run
    return run.storage.get_json(run.path("ledger.json")), run.storage.get(run.path("report.html")).decode()


def one(expect: dict, outcome, **changed) -> dict:
    """The only thing that `expect` asks of a run's summary."""
    (found,) = check(Expect.model_validate(expect), {**outcome.summary, **changed}, None)
    return found


def test_a_run_done_already_is_held_against_what_is_expected_now_and_its_ledger_and_page_say_so(store, first):
    ledger, page = shown(first)
    assert first.exit_code == 0 and "expectations" not in ledger
    broken = curate(store, "expect.kept_share.per_source.catalogue.min=0.999", "expect.rows.per_pair.de-en=10")
    assert broken.already_done and broken.run.id == first.run.id and broken.exit_code == 3
    ledger, page = shown(broken)
    assert [(item["what"], item["holds"]) for item in ledger["expectations"]] == [
        ("kept_share of catalogue", False),
        ("rows of de-en", True),
    ]
    assert "kept_share of catalogue" in page and ledger["total"] == first.summary["ledger"]["total"]
    assert curate(store).exit_code == 0
    assert "expectations" not in shown(first)[0] and "kept_share of catalogue" not in shown(first)[1]


def test_each_bound_holds_on_its_edge_and_breaks_beyond_it(first):
    total = first.summary["ledger"]["total"]
    rows, kept = total["rows_in"], total["kept"]
    german = sum(row["kept"] for row in first.summary["languages"] if "de" in row.values())
    reason, lost = max(total["rejected"].items(), key=lambda item: item[1])
    edges = [
        (lambda share: {"kept_share": {"per_source": {"catalogue": {"min": share}}}}, kept / rows, 1e-6),
        (lambda share: {"kept_share": {"per_source": {"catalogue": {"max": share}}}}, kept / rows, -1e-6),
        (lambda least: {"rows": {"per_pair": {"en-de": least}}}, german, 1),
        (lambda least: {"rows": {"per_pair": {"de-en": least}}}, german, 1),
        (lambda share: {"reasons": {reason: {"max": share}}}, lost / rows, -1e-6),
    ]
    for expect, edge, beyond in edges:
        assert one(expect(edge), first)["holds"], expect(edge)
        assert not one(expect(edge + beyond), first)["holds"], expect(edge)
    assert german > 50 and lost > 5


def test_a_language_with_no_kept_row_and_a_source_with_no_row_break_what_asks_for_some(first):
    assert one({"rows": {"per_pair": {"fi-en": 1}}}, first) == {
        "what": "rows of fi-en",
        "found": 0,
        "allowed": "1 or more",
        "holds": False,
    }
    empty = {"ledger": {"by_input": {}, "total": {"rows_in": 0, "kept": 0, "rejected": {}, "quarantine": {}}}}
    assert not one({"kept_share": {"per_source": {"catalogue": {"min": 0.1}}}}, first, **empty)["holds"]


def test_quarantine_is_a_reason_of_its_own(first):
    total = {**first.summary["ledger"]["total"], "quarantine": {"malformed_json": 3, "truncated": 1}, "rows_in": 100}
    found = one({"reasons": {"quarantine": {"max": 0.03}}}, first, ledger={"total": total, "by_input": {}})
    assert (found["found"], found["holds"]) == (0.04, False)


def test_drift_is_measured_from_the_named_run_and_names_what_moved(store, first):
    drift = [f"expect.drift={{run: {first.run.id}}}", "filters.rules.length_ratio.max=1.2"]
    drifted = curate(store, *drift)
    assert drifted.exit_code == 3
    broken = [item for item in drifted.summary["expectations"] if not item["holds"]]
    assert any(f"drift of reasons from {first.run.id}: length_ratio" in item["what"] for item in broken)
    share = [outcome.summary["ledger"]["total"] for outcome in (first, drifted)]
    apart = abs(share[0]["kept"] / share[0]["rows_in"] - share[1]["kept"] / share[1]["rows_in"])
    assert broken[0]["found"] == pytest.approx(apart, abs=1e-4)
    assert shown(drifted)[0]["expectations"] == drifted.summary["expectations"]
    allowed = [f"expect.drift={{run: {first.run.id}, kept_share: 1, reasons: 1, languages: 1}}", drift[1]]
    assert curate(store, *allowed).exit_code == 0


def test_no_drift_from_a_run_that_is_the_same(first):
    found = check(Expect(drift=Drift(run="x", kept_share=0, reasons=0, languages=0)), first.summary, earlier(first))
    assert [item["holds"] for item in found] == [True, True, True]
    assert [item["found"] for item in found] == [0, 0, 0]


def test_a_language_that_is_gone_is_a_drift_of_languages(first):
    german = [row for row in first.summary["languages"] if row["positive_lang"] == "de"]
    found = check(Expect(drift=Drift(run="x")), {**first.summary, "languages": german}, earlier(first))
    (gone,) = [item for item in found if not item["holds"]]
    assert "en-ar" in gone["what"] and "→ 0%" in gone["what"]


def earlier(outcome) -> Earlier:
    return Earlier(outcome.run.id, outcome.summary)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (
            "expect.kept_share.per_source.catalog.min=0.5",
            "'catalog' is no source of this job. Did you mean 'catalogue",
        ),
        (
            "expect.reasons.near_duplicates.max=0.5",
            "'near_duplicates' is no reason of this job. Did you mean 'near_",
        ),
        ("expect.reasons.near_duplicate.min=2", r"2 is not in \[0, 1\]"),
        ("expect.rows.per_pair.german-en=5", "'german-en' is not a pair of languages"),
        ("expect.drift={kept_share: 0.1}", r"drift.run: is missing\. A finished curate run"),
        ("expect.drift={run: nothing-like-it}", r"expect\.drift\.run: .*'nothing-like-it' is no run here"),
    ],
)
def test_what_could_never_be_found_broken_is_refused_before_anything_starts(store, first, setting, message):
    with pytest.raises(SpecError, match=message):
        curate(store, setting)


def test_a_job_on_a_run_is_held_against_expectations_too(store, first):
    text = f"kind: curate\nname: derived\ninputs: [{{run: {first.run.id}}}]\nexpect: {{kept_share: {{max: 0.5}}}}\n"
    derived = run_job(loads(text, "d.yaml"), str(store / "runs"), None, False, "pairmill run d.yaml", print)
    assert derived.exit_code == 3
    assert json.loads(derived.run.storage.get(derived.run.path("ledger.json")))["expectations"][0]["found"] == 1
    with pytest.raises(SpecError, match=r"expect\.kept_share\.per_source\.web: 'web' is no source"):
        settings = ["expect.kept_share.per_source.web.min=0.5"]
        run_job(loads(text, "d.yaml", settings), str(store / "runs"), None, False, "pairmill run d.yaml", print)
