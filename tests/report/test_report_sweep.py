"""The page of a sweep: it shows the trials as they were, and whatever they are called does nothing."""

from __future__ import annotations

import re

import sweep_summaries

from pairmill.report import sweep_page, sweep_plots, sweep_view
from pairmill.report.text import summarise


def test_hostile_names_values_and_messages_do_nothing_to_the_page() -> None:
    page, text = sweep_page.render(sweep_summaries.hostile()), summarise(sweep_summaries.hostile())
    assert "<script" not in page and "<img" not in page and "<iframe" not in page
    page.encode("utf-8"), text.encode("utf-8")
    assert "\x1b" not in text and "\u202e" not in page


def test_the_best_objective_so_far_never_gets_worse_in_either_direction() -> None:
    for mode, turns in (("max", 1), ("min", -1)):
        given = sweep_summaries.search()
        given["objective"]["mode"] = mode
        course = sweep_plots.course(given)
        assert course is not None
        heights = [-turns * float(y) for y in re.findall(r"[\d.]+ ([\d.]+)", str(course.lines[0].path))]
        assert heights == sorted(heights) and len(heights) == len(sweep_view.scored(given)) == 14


def test_the_table_has_the_best_first_then_those_that_were_stopped_and_those_that_failed() -> None:
    given = sweep_summaries.search()
    rows = sweep_view.rows(given)
    assert rows[0]["name"] == str(given["best"]) and [row["best"] for row in rows].count(True) == 1
    assert [row["state"] for row in rows] == ["done"] * 14 + ["stopped"] * 8 + ["failed"] * 2
    found = [float(row["objective"]) for row in rows[:14]]
    assert found == sorted(found, reverse=True)
    assert all("the loss is nan" in row["message"] for row in rows[-2:])


def test_parallel_lines_end_at_their_objective_and_the_best_is_the_last_and_highest() -> None:
    parallel = sweep_plots.parallel(sweep_summaries.search())
    assert parallel is not None
    assert [name for _, name, _, _ in parallel.axes][:2] == ["optimizer.lr", "objective.temperature"]  # by importance
    done = [path for path, kind in parallel.lines if kind != "early"]
    ends = [float(str(path).rsplit(" ", 1)[1]) for path in done]
    assert len(ends) == 14 and ends == sorted(ends, reverse=True) and ends[-1] == 0.0
    assert parallel.lines[-1][1] == "best"
    points = [len(re.findall("[ML]", str(path))) for path, _ in parallel.lines]
    assert set(points) == {5, 6}  # the last value is drawn only beside another


def test_a_slice_places_listed_values_in_their_order_and_ranges_by_their_logarithm() -> None:
    scale = sweep_plots.Scale((None, {"rank": 8}, "x"))
    assert [scale.at(value) for value in scale.values] == [0, 50, 100]
    log = sweep_plots.Scale((0.01, 0.1, 1.0), log=True)
    assert [log.at(value) for value in log.values] == [0, 50, 100]
    told = {one.path: one.told for one in sweep_plots.slices(sweep_summaries.search())}
    assert told["batch_size"].startswith("16: mean 0.") and "; 64: mean 0." in told["batch_size"]


def test_trials_that_were_stopped_are_drawn_at_what_was_held_out_then_where_that_is_the_objective() -> None:
    given = sweep_summaries.search()
    parallel, one = sweep_plots.parallel(given), sweep_plots.slices(given)[0]
    assert parallel is not None and [kind for _, kind in parallel.lines].count("early") == 8
    assert str(one.early).count("h0") == 8 and str(one.dots).count("h0") == 13
    given["objective"] = {"metric": "tasks.stsb.main_score", "held_out": None, "step": "after", "mode": "max"}
    parallel = sweep_plots.parallel(given)
    assert parallel is not None and "early" not in {kind for _, kind in parallel.lines}


def test_where_all_but_one_were_stopped_all_are_drawn_and_the_one_is_the_best() -> None:
    given = sweep_summaries.search()
    given["trials"] = [t for t in given["trials"] if t["state"] == "pruned" or t["number"] == given["best"]]
    parallel = sweep_plots.parallel(given)
    assert parallel is not None and [kind for _, kind in parallel.lines] == ["early"] * 8 + ["best"]
    assert "Pale: stopped early" in sweep_page.render(given)


def test_claims_are_told_with_their_verdicts_on_page_and_in_text() -> None:
    given = sweep_summaries.claims()
    page, text = sweep_page.render(given), summarise(given)
    for verdict in ("held", "not held", "open"):
        assert re.search(rf'<span class="state \w+">{verdict}</span>', page)
    assert "Of 3 claims 1 held, 1 not held, 1 open." in text
    assert "held     pearson beats mse: +0.0200 (+0.0100 to +0.0300), 3 seeds" in text
    assert "by more than 0.1" in page and "or at most 0.01 behind" in page and "Best so far" not in page


def test_each_seed_of_a_trial_leads_to_its_run_and_a_run_without_seeds_is_called_by_its_name() -> None:
    given = sweep_summaries.claims()
    runs = [{"seed": seed, "run": f"tiny-{seed}", "figures": {"objective": 0.7 + seed / 100}} for seed in (1, 2)]
    given["trials"][0]["runs"] = [*runs, {"seed": 3, "run": "tiny-3"}]  # the last one failed
    page, search = sweep_page.render(given), sweep_page.render(sweep_summaries.search())
    for seed, value in ((1, "0.71"), (2, "0.72"), (3, "–")):
        assert f'<a href="../tiny-{seed}/report.html">seed {seed}</a> {value}' in page
    alone = sweep_summaries.trial(0, {}, "done", 0.8)["runs"][0]["run"]
    assert f'<a href="../{alone}/report.html"><bdi>{alone}</bdi></a>' in search


def test_a_sweep_without_a_trial_has_a_page_too() -> None:
    page = sweep_page.render({"run": {"id": "x", "kind": "sweep", "state": "failed", "error": "no room"}})
    assert "No trial has ended." in page and "no room" in page
