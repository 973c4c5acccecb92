"""What looks wrong with a run, in words."""

from __future__ import annotations

from typing import Any

import report_summaries

from pairmill.report.view import counts_of
from pairmill.report.words import findings


def found(**parts: Any) -> list[tuple[str, str]]:
    summary = {**report_summaries.empty(), **parts}
    return [tuple(finding) for finding in findings(summary, *counts_of(summary))]


def book(**by_input: tuple[int, dict[str, int], dict[str, int]]) -> dict[str, Any]:
    """A ledger of (records, rejected, quarantine) by input."""
    counts = {name: report_summaries.counts(rows, {}, lost, bad) for name, (rows, lost, bad) in by_input.items()}
    return report_summaries.ledger(counts)


def pair(rows: int, **rejected: int) -> dict[str, Any]:
    kept = rows - sum(rejected.values())
    return {"anchor_lang": "de", "positive_lang": "en", "rows": rows, "kept": kept, "rejected": rejected}


def test_a_sound_run_has_nothing_to_say() -> None:
    ledger = book(a=(1000, {"identical": 100, "near_duplicate": 90}, {"truncated": 5}), b=(1000, {"identical": 90}, {}))
    declared = [{"declared": "de", "identified": "de", "rows": 900}, {"declared": "de", "identified": "nl", "rows": 90}]
    inputs = [{"name": "a", "licence": "MIT"}]
    assert found(ledger=ledger, languages=[pair(1000, script=500)], declared_identified=declared, inputs=inputs) == []


def test_a_language_pair_that_lost_most_rows_to_one_reason_is_named_unless_it_is_tiny() -> None:
    told = [("The language pair de → en lost 51.0% of its 1,000 rows to script.", "languages")]
    assert found(languages=[pair(1000, script=510, letters=100)]) == told
    assert found(languages=[pair(99, script=99)]) == []
    assert found(languages=[pair(1000, script=400, letters=400)]) == []


def test_a_declared_language_that_is_another_one_is_named() -> None:
    declared = [
        {"declared": "de", "identified": "de", "rows": 700},
        {"declared": "de", "identified": "nl", "rows": 200},
        {"declared": "de", "identified": "lb", "rows": 100},
        {"declared": "nb", "identified": "no", "rows": 900},
        {"declared": "fr", "identified": "und", "rows": 900},
    ]
    told = "30.0% of 1,000 sides declared de were identified as another language, most often nl."
    assert found(declared_identified=declared) == [(told, "identified")]


def test_languages_that_the_engine_never_answers_are_one_finding() -> None:
    declared = [{"declared": said, "identified": "id", "rows": 400} for said in ("mi", "ee", "wo", "zu")]
    declared += [
        {"declared": "gl", "identified": "pt", "rows": 500},
        {"declared": "ast", "identified": "gl", "rows": 90},
    ]
    never = "No side was identified as ee, mi, wo and 1 more, of 1,600 sides declared so"
    never += ": the engine may not know the language."
    told = "100% of 500 sides declared gl were identified as another language, most often pt."
    assert found(declared_identified=declared) == [(never, "identified"), (told, "identified")]


def test_an_input_that_gives_most_duplicates_with_few_rows_is_named_and_a_large_one_is_not() -> None:
    small = book(a=(1000, {"near_duplicate": 300, "exact_duplicate": 100}, {}), b=(9000, {"near_duplicate": 50}, {}))
    told = "The input a gave 88.9% of the duplicates, and 10.0% of the rows."
    assert found(ledger=small) == [(told, "duplicates")]
    large = book(a=(9000, {"near_duplicate": 400}, {}), b=(1000, {"near_duplicate": 50}, {}))
    assert found(ledger=large) == []


def test_leaks_unreadable_records_empty_inputs_and_missing_licences_are_told() -> None:
    ledger = book(a=(1000, {}, {"truncated": 30}), b=(0, {}, {}), c=(10, {"script": 10}, {}))
    inputs = [{"name": name, "licence": None if name == "b" else "MIT"} for name in "abc"]
    sets = [{"name": "quiz", "rows": 1}, {"name": "clean", "rows": 0}]
    assert found(ledger=ledger, inputs=inputs, contamination={"sets": sets}) == [
        ("1 row holds texts of the evaluation set quiz.", "contamination"),
        ("The input b holds no record.", "inputs"),
        ("Nothing of the input c was kept.", "reasons"),
        ("30 records of the input a (3.0%) could not be read.", "quarantine"),
        ("1 input names no licence: b.", "inputs"),
    ]


def test_a_text_that_stands_in_many_rows_is_quoted() -> None:
    groups = [{"size": 400, "kept_text": "All rights reserved\nAlle Rechte"}, {"size": 90, "kept_text": "x"}]
    told = found(ledger=book(a=(10_000, {}, {})), duplicates={"largest": groups})
    assert told == [("400 rows are the same or nearly: “All rights reserved / Alle Rechte”.", "duplicates")]


def test_of_many_alike_the_first_four_are_told_and_the_others_counted() -> None:
    told = found(languages=[pair(1000 - n, script=900) for n in range(9)])
    assert len(told) == 5 and told[-1] == ("And 5 more like these.", "languages")
