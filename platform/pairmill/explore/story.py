"""A row's whole story: origin, cleaning, scores against their bounds, decision, and its duplicates side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pairmill.curate import against
from pairmill.curate.decontamination import stages as decontamination
from pairmill.curate.explain import Judged, judged
from pairmill.errors import SpecError
from pairmill.explore.contents import Contents
from pairmill.explore.database import Database, Question
from pairmill.explore.rows import row as find_row

PARTNERS = 20


@dataclass(frozen=True)
class Partner:
    """The other row of a duplicate: `role` says which of the two stayed, `run` names an earlier run that it is of."""

    role: str
    row: dict[str, Any]
    similarity: float | None
    run: str | None = None


@dataclass(frozen=True)
class Story:
    """A row with all its columns. `gone` says what can no longer be shown."""

    part: str
    row: dict[str, Any]
    scores: list[Judged]
    partners: list[Partner]
    leaks: list[dict[str, Any]]
    gone: str = ""


def story(database: Database, asked: Question, contents: Contents, pair_id: int) -> Story:
    """The story of the row with this id. Raises SpecError where the run has no such row."""
    contents.part("kept")
    found = find_row(database, asked, contents, pair_id)
    if found is None:
        raise SpecError(f"run {contents.run.id} has no row {pair_id}. Ids stand beside rows, and in the kept files.")
    part, row = found
    partners: list[Partner] = []
    gone = ""
    if row.get("duplicate_of") is not None:
        partner = _stayed(database, asked, contents, row)
        partners, gone = ([partner], "") if partner else ([], f"Row {row['duplicate_of']}, which stayed, is gone.")
    elif part == "kept":
        partners = _went(database, asked, contents, pair_id)
    leaks = decontamination.of_row(contents.run, pair_id) if row.get("reason") == decontamination.REASON else []
    return Story(part, row, list(judged(contents.summary, row)), partners, leaks, gone)


def _stayed(database: Database, asked: Question, contents: Contents, row: dict[str, Any]) -> Partner | None:
    """The row that was kept in the place of a duplicate."""
    number, earlier = row["duplicate_of"], row["duplicate_run"]
    if earlier:
        found = against.kept_row(contents.run.storage.uri, earlier, number)
    else:
        found = (find_row(database, asked, contents, number) or (None, None))[1]
    return Partner("stayed in its place", found, row["value"], earlier) if found else None


def _went(database: Database, asked: Question, contents: Contents, pair_id: int) -> list[Partner]:
    """Duplicates that were rejected for a kept row."""
    part = contents.parts.get("rejected")
    if part is None or not part.paths or "duplicate_of" not in part.columns:
        return []
    places = [database.place(path) for path in part.paths]
    sql = (
        "SELECT * FROM read_parquet(?) WHERE duplicate_of = ? AND duplicate_run IS NULL "
        f"ORDER BY pair_id LIMIT {PARTNERS}"
    )
    return [Partner("rejected for it", row, row["value"]) for row in asked.rows(sql, [places, pair_id])]
