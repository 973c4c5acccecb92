"""A curate run's report as Markdown."""

from __future__ import annotations

import re

import pytest
import report_summaries

from pairmill.report.curate_markdown import render


@pytest.fixture(scope="module")
def told() -> str:
    return render(report_summaries.realistic())


def test_it_begins_with_the_run_in_words_and_what_looks_wrong(told: str) -> None:
    assert told.startswith(
        "# quickstart\n\nCurate run `quickstart-3f9a1c07be42`, done.\n\n562,937 records from 4 inputs"
    )
    assert "\n## What looks wrong\n\n- 31 rows hold texts of the evaluation set quiz.\n" in told


def test_every_loss_of_the_ledger_stands_in_it(told: str) -> None:
    total = report_summaries.realistic()["ledger"]["total"]
    for losses in (total["no_pair"], total["rejected"], total["quarantine"]):
        for name, count in losses.items():
            assert f"| {name.replace('_', chr(92) + '_')} | −{count:,} |" in told, name


def test_it_says_what_would_be_kept_at_other_thresholds(told: str) -> None:
    points = report_summaries.realistic()["sensitivity"][1]["points"]
    now = [point["threshold"] for point in points].index(0.3)
    section = told[told.index("## What would be kept") :]
    row = next(line for line in section.splitlines() if line.startswith("| letters"))
    cells = [f"≥ {points[at]['threshold']:.4g}: {points[at]['kept']:,}" for at in (now, now - 1, 0, -1)]
    assert [cell.split(" (")[0].strip() for cell in row.split("|")[2:6]] == cells


def test_each_table_has_as_many_cells_in_every_row(told: str) -> None:
    for block in re.findall(r"(?:^\|.*\n)+", told, re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1, block


def test_hostile_strings_make_no_markup_and_no_line_of_their_own() -> None:
    text = render(report_summaries.hostile())
    text.encode()
    running = re.sub(r"^```+.*?^```+$", "", text, flags=re.MULTILINE | re.DOTALL)
    assert not re.search(r"(?<![\\`])<(script|img|a |iframe|link|svg)", re.sub(r"(?<!\\)(`+).*?\1", "", running))
    assert "\u202e" not in text and "\x1b" not in text


def test_a_run_without_anything_has_a_text() -> None:
    assert render(report_summaries.empty()).startswith("# Run\n")
    assert render({}).startswith("# Run\n")
