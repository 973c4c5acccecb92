"""The few lines the command line prints at the end."""

from __future__ import annotations

import pytest
import report_summaries
import train_summaries

from pairmill.report.text import summarise


def small() -> report_summaries.Json:
    summary = report_summaries.empty()
    rejected = {"identical": 40, "length_ratio": 30, "script": 20, "letters": 3, "html": 2, "numbers": 1}
    counts = report_summaries.counts(2000, {"untranslated": 100}, rejected, {"truncated": 1})
    summary["ledger"] = report_summaries.ledger({"a": counts})
    summary["run"] = {"id": "try-0123456789ab", "state": "done", "seconds": 12.34, "storage": "s3://b/runs-here/"}
    return summary


def test_summary_tells_rows_reasons_quarantine_and_report() -> None:
    assert summarise(small()) == (
        "try-0123456789ab  done in 12.3 s\n"
        "  rows in     1,900  from 2,000 records, 100 without a pair\n"
        "  kept        1,803  94.9%\n"
        "  rejected       96  identical 40 · length_ratio 30 · script 20 · letters 3 · 2 more 3\n"
        "  quarantine      1  truncated 1\n"
        "  report      s3://b/runs-here/runs/try-0123456789ab/report.html"
    )


def test_an_expectation_that_does_not_hold_is_told_and_one_that_holds_is_not() -> None:
    summary = small()
    summary["expectations"] = [
        {"what": "kept_share", "found": 0.21, "allowed": "0.3 to 1", "holds": False},
        {"what": "other_share", "found": 0.5, "allowed": "0.3 to 1", "holds": True},
    ]
    assert "  expected    kept_share: found 0.21, allowed 0.3 to 1. Does not hold.\n" in summarise(summary)
    assert "other_share" not in summarise(summary)


def test_hostile_names_cannot_drive_the_terminal() -> None:
    text = summarise(report_summaries.hostile())
    assert "\x1b" not in text
    assert "\u202e" not in text
    text.encode()


def test_a_run_without_anything_has_a_summary() -> None:
    assert "rows in     0" in summarise(report_summaries.empty())


def test_a_train_run_tells_speed_loss_held_out_accuracy_and_the_models_place() -> None:
    summary = train_summaries.usual()
    summary["curve"] = [{"step": step, "loss": loss} for step, loss in ((1, 3.0), (2, 2.0), (3, 1.0))]
    assert summarise(summary) == (
        "teach-de-9ca36a26291e  done in 13 min 24 s\n"
        "  steps       2,000, 172.7 rows/s, 8,290 tokens/s\n"
        "  loss        3 → 1, first and last tenth\n"
        "  held out    europarl/de-en  de to en 8.6% → 64.5% (61.5–67.4), en to de 8.1% → 63.3% (60.3–66.2), "
        "1,000 rows\n"
        "              sts             Spearman 0.867 → 0.859, 1,500 rows\n"
        "  model       /data/store/runs/teach-de-9ca36a26291e/g0/model\n"
        "  report      /data/store/runs/teach-de-9ca36a26291e/report.html"
    )


def test_a_pretrain_run_tells_loss_and_accuracy_beside_a_unigram_model() -> None:
    told = "pages  loss 10.41 → 6.52 (unigram 7.06), accuracy 11.8% (unigram 5.2%)"
    assert told + "\n" in summarise(train_summaries.pretrained())


def test_a_pretrain_run_that_only_guesses_is_told_so() -> None:
    summary = train_summaries.pretrained()
    summary["evaluations"][-1]["groups"]["pages"]["loss"] = 7.06
    assert "(unigram 5.2%). No better than guessing: lower lr, or train longer\n" in summarise(summary)


def test_twelve_groups_are_named_and_the_others_counted() -> None:
    summary = train_summaries.usual()
    groups = {f"group-{number}": train_summaries.retrieval(1, 2, 5) for number in range(15)}
    summary["evaluations"] = [{"step": 0, "groups": groups}]
    text = summarise(summary)
    assert "group-11 " in text and "group-12" not in text
    assert "and 3 more groups" in text


def test_a_pipeline_tells_each_step_and_what_its_training_gained() -> None:
    lines = summarise(train_summaries.pipeline()).splitlines()
    assert lines[1] == "  curate      curate reused: rows in 560,000, kept 240,120"
    assert lines[2].startswith("  teach       train done in 13 min 24 s: steps 2,000, rows a second 172.7, loss ")
    assert "8.6% → 64.5% (61.5–67.4)" in lines[3]


@pytest.mark.parametrize("summary", [train_summaries.hostile(), train_summaries.hostile_pipeline()])
def test_hostile_names_of_a_training_cannot_drive_the_terminal(summary: report_summaries.Json) -> None:
    text = summarise(summary)
    assert "\x1b" not in text and "\u202e" not in text
    text.encode()


@pytest.mark.parametrize("kind", ["train", "pretrain", "pipeline"])
def test_an_early_end_of_any_kind_has_a_text(kind: str) -> None:
    assert summarise({"run": {"id": "a-1", "kind": kind, "state": "failed"}}).startswith("a-1  failed\n")
