"""The page of an evaluate run: whatever subsets are called and texts hold, it shows them and does nothing else."""

from __future__ import annotations

from typing import Any

from report_summaries import HOSTILE

from pairmill.report import evaluate_page, evaluate_view
from pairmill.report.text import summarise


def scores(value: float | None) -> dict[str, Any]:
    interval = None if value is None else [value - 0.02, value + 0.02]
    return {"cosine_spearman": {"value": value, "interval": interval}}


def summary(*names: str) -> dict[str, Any]:
    subsets = {name: {"rows": 100, "scores": scores(0.1 * number)} for number, name in enumerate(names)}
    slice_ = {"name": names[0], "rows": 7, "value": None, "interval": None}
    dims = {"mean": scores(0.8), "subsets": subsets, "slices": {"length": [slice_], "script": [slice_]}}
    languages = {name: [] for name in names}
    task = {"name": "sts", "task": "sts", "type": "STS", "main_score": "cosine_spearman", "languages": languages}
    task["left_out"] = {"empty": 3}
    hit = {"kind": "exact", "side": "anchor", "pair_id": 1, "run": "r", "evaluation": names[0], "text": names[-1]}
    found = {"task": "sts", "texts": 200, "too_short": 1, "found": 1, "kinds": {"exact": 1}, "samples": [hit]}
    return {
        "run": {"id": "e-1", "kind": "evaluate", "state": "done", "seconds": 1.5, "storage": "store"},
        "model": {"place": names[0], "width": 384, "precision": "fp32"},
        "tasks": [{**task, "dims": {"full": dims, "64": dims}}],
        "encoding": {"texts": 10, "reused": 2, "seconds": 1.0},
        "leaks": {"runs": [names[0]], "rows": 5, "not_looked_in": [names[-1]], "tasks": [found]},
    }


def test_hostile_names_and_texts_do_nothing_to_the_page() -> None:
    page, text = evaluate_page.render(summary(*HOSTILE)), summarise(summary(*HOSTILE))
    assert "<script" not in page and "<img" not in page and "<svg" not in page and "<iframe" not in page
    page.encode("utf-8"), text.encode("utf-8")
    assert "\x1b" not in text and "\u202e" not in page


def test_the_heat_map_tints_higher_scores_more_and_leaves_out_what_was_not_evaluated() -> None:
    given = summary("de", "en", "fr")
    given["tasks"].append(
        {**given["tasks"][0], "name": "other", "dims": {"full": {"mean": {}, "subsets": {}, "slices": {}}}}
    )
    heat = evaluate_view.heat(given)
    tints = [row["cells"][0]["tint"] for row in heat["rows"]]
    assert tints == sorted(tints) and tints[0] == 0 < tints[-1]
    assert all(row["cells"][1]["has"] is None for row in heat["rows"])


def test_scores_are_written_times_a_hundred_with_their_interval() -> None:
    text = summarise(summary("de"))
    assert "sts       cosine_spearman 80.0 (78.0 to 82.0), 1 subset, 100 rows" in text
    assert "sts (64)  cosine_spearman 80.0" in text
    assert "sts 1 of 200" in text
    assert evaluate_view.score(-0.123) == "−12.3" and evaluate_view.score(None) == "–"


def test_a_tasks_scores_without_leaks_are_its_own_and_lost_records_are_told() -> None:
    given = summary("de")
    (task,) = given["tasks"]
    leaked = {"rows": 100, "scores": scores(0.5), "without_leaks": {"rows": 99, "value": 0.4}}
    dims = {"full": {"mean": scores(0.5), "subsets": {"fr": leaked}, "slices": {}}}
    given["tasks"].append({**task, "name": "sts-b", "task": "sts-b", "left_out": {}, "dims": dims})
    (row,) = evaluate_view.leaks(given)["rows"]
    assert row["name"] == "sts" and row["without"] == ""
    assert evaluate_view.left_out(given) == "sts: 3 (empty)"
    assert "sts: 3 (empty)" in evaluate_page.render(given)
