"""The few lines the command line prints at the end."""

from __future__ import annotations

import report_summaries

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
