"""A page of rows, and how many there are.

A page goes by place, not by number: `after` names the file and the row in it where the page before ended, so a late
page costs no more than the first. A page ends as soon as it is full. Rows come in the order of the run's files.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import Any

from pairmill.errors import SpecError
from pairmill.explore.contents import Contents, Part
from pairmill.explore.database import Database, Question, quoted
from pairmill.explore.filters import Filters, check

PAGE = 50
CHARACTERS = 2_000
COUNT_SECONDS = 20.0
_PLACE = re.compile(r"(\d{1,9})\.(\d{1,18})")
_CUT = ("anchor", "positive", "detail")
_WHOLE = (
    "pair_id", "anchor_lang", "positive_lang", "source", "origin_file", "origin_row", "reason", "failed", "value",
    "threshold", "duplicate_of", "duplicate_run", "error", "offset",
)  # fmt: skip


@dataclass(frozen=True)
class Page:
    """Rows with their texts cut at CHARACTERS (`<side>_length`: of the whole text); `after`: where the next begins."""

    rows: list[dict[str, Any]]
    after: str | None


def page(database: Database, asked: Question, contents: Contents, filters: Filters, after: str = "") -> Page:
    """The rows behind the place `after` (empty: the first). Raises SpecError where filters or place do not fit."""
    part = check(filters, contents)
    condition, parameters = _behind(database, part, filters, after)
    if not part.paths:
        return Page([], None)
    columns = shown(part, [score.column for score in filters.scores])
    sql = f"SELECT {columns}, filename, file_row_number FROM {SOURCE} WHERE {condition} LIMIT {PAGE + 1}"
    found = asked.rows(sql, parameters)
    if len(found) <= PAGE:
        return Page(found, None)
    last = found[PAGE - 1]
    at = part.paths.index(database.path(last["filename"]))
    return Page(found[:PAGE], f"{at}.{last['file_row_number']}")


def _behind(database: Database, part: Part, filters: Filters, after: str) -> tuple[str, list[Any]]:
    """SQL for the fitting rows behind a place, and its parameters: those of SOURCE first."""
    file, row = _place(after, part)
    condition, parameters = filters.condition(part)
    places = [database.place(path) for path in part.paths[file:]]
    if not after:
        return condition, [places, *parameters]
    return f"(filename <> ? OR file_row_number > ?) AND {condition}", [places, places[0], row, *parameters]


#: What rows are read from; its parameter is the list of files.
SOURCE = "read_parquet(?, filename = true, file_row_number = true)"


def shown(part: Part, scores: list[str]) -> str:
    """The columns of a page's rows."""
    cut = [name for name in _CUT if name in part.columns]
    columns = [f"left({name}, {CHARACTERS}) AS {name}, length({name}) AS {name}_length" for name in cut]
    columns += [quoted(name) for name in _WHOLE if name in part.columns]
    if "data" in part.columns:
        columns.append(f'data[1:{CHARACTERS}] AS "data", octet_length(data) AS data_length')
    return ", ".join([*columns, *map(quoted, dict.fromkeys(scores))])


class Counts:
    """How many rows fit, of the latest filters that were asked for: a generation never changes."""

    def __init__(self, size: int = 1000):
        self._known: OrderedDict[Any, int] = OrderedDict()
        self._size, self._lock = size, Lock()

    def count(
        self, database: Database, asked: Question, contents: Contents, filters: Filters, first: Page | None = None
    ) -> int | None:
        """None where counting takes longer than COUNT_SECONDS. Rows of the `first` page are not looked for again."""
        part = check(filters, contents)
        if not filters.any or not part.paths:
            return part.rows
        key = (contents.key, filters)
        with self._lock:
            if key in self._known:
                return self._known[key]
        if first is not None and first.after is None:
            return self._know(key, len(first.rows))
        condition, parameters = _behind(database, part, filters, first.after or "" if first else "")
        sql = f"SELECT count(*) AS rows FROM {SOURCE} WHERE {condition}"
        found = asked.rows_within(COUNT_SECONDS, sql, parameters)
        if found is None:
            return None
        return self._know(key, int(found[0]["rows"]) + (len(first.rows) if first else 0))

    def _know(self, key: Any, rows: int) -> int:
        with self._lock:
            self._known[key] = rows
            if len(self._known) > self._size:
                self._known.popitem(last=False)
        return rows


def row(database: Database, asked: Question, contents: Contents, pair_id: int) -> tuple[str, dict[str, Any]] | None:
    """A row with all its columns, and the part it is in."""
    for name in ("kept", "rejected"):
        part = contents.parts.get(name)
        places = [database.place(path) for path in part.paths_of(pair_id)] if part else []
        if places:
            found = asked.rows("SELECT * FROM read_parquet(?) WHERE pair_id = ? LIMIT 1", [places, pair_id])
            if found:
                return name, found[0]
    return None


def _place(after: str, part: Part) -> tuple[int, int]:
    if not after:
        return 0, -1
    match = _PLACE.fullmatch(after)
    if match is None or int(match[1]) >= len(part.paths):
        raise SpecError(f"after: {after[:40]!r} is no place in these rows. Leave it out for the first page.")
    return int(match[1]), int(match[2])
