"""Two runs of one kind, compared: curate runs by their settings, counts and rows, evaluate runs row by row."""

from __future__ import annotations

from typing import Any

from pairmill.errors import SpecError
from pairmill.runs.record import Run

KINDS = ("curate", "evaluate")


def compare(one: Run, other: Run, draws: int = 10_000, samples: int = 5) -> dict[str, Any]:
    """The comparison as plain JSON: `kind`, and what `curate.compare` or `evaluate.compare` says.

    Raises SpecError for runs that are not of one kind, of a kind that is not compared, or not finished.
    """
    kinds = [(run.record() or {}).get("kind", "curate") for run in (one, other)]
    if kinds[0] != kinds[1]:
        raise SpecError(
            f"run {one.id} is of kind {kinds[0]}, run {other.id} of kind {kinds[1]}: they have nothing to compare. "
            f"Name two runs of one kind: {' or '.join(KINDS)}."
        )
    if kinds[0] not in KINDS:
        hint = " Name the runs of its steps." if kinds[0] == "pipeline" else ""
        raise SpecError(f"runs of kind {kinds[0]} are not compared. Kinds that are: {', '.join(KINDS)}.{hint}")
    if kinds[0] == "curate":
        from pairmill.curate import compare as curate

        return curate.compare(one, other, samples)
    from pairmill.evaluate import compare as evaluate

    return {"kind": "evaluate", **evaluate.compare(one, other, draws)}


def text(found: dict[str, Any]) -> str:
    """A comparison for the terminal."""
    if found["kind"] == "curate":
        from pairmill.report import compare_text

        return compare_text.text(found)
    from pairmill.evaluate import compare as evaluate

    return evaluate.table(found)


def page(found: dict[str, Any], command: str) -> str:
    """A comparison as one self-contained HTML page. Raises SpecError for evaluate runs."""
    if found["kind"] != "curate":
        raise SpecError("--html: only curate runs are compared on a page. Take the text, or --json.")
    from pairmill.report import compare_page

    return compare_page.render(found, command)
