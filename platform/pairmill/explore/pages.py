"""The pages: from a URL's fields to the variables of a template."""

from __future__ import annotations

from typing import Any

from starlette.datastructures import QueryParams

from pairmill.errors import SpecError
from pairmill.explore import contents as found_runs
from pairmill.explore import rows as row_pages
from pairmill.explore import trial, views
from pairmill.explore.contents import Contents
from pairmill.explore.database import Database, Question
from pairmill.explore.download import FORMS
from pairmill.explore.filters import Filters, number
from pairmill.explore.original import original, planned
from pairmill.explore.story import story
from pairmill.report.words import figures, sentences
from pairmill.runs.storage import Storage

RUNS = 200


def filters_of(query: QueryParams) -> Filters:
    return Filters.read(query, {name: query.getlist(name) for name in ("score", "min", "max")})


def runs(storage: Storage, query: QueryParams) -> dict[str, Any]:
    """The list of runs, newest first: searched, by kind, by state."""
    asked = {name: query.get(name, "").strip()[:200] for name in ("q", "kind", "state")}
    every = [views.run_row(record) for record in found_runs.records(storage)]
    fitting = [row for row in every if views.fits(row, asked["q"], asked["kind"], asked["state"])]
    return {
        "storage": storage.uri,
        "asked": asked,
        "kinds": sorted({row["kind"] for row in every}),
        "states": sorted({row["state"] for row in every}),
        "runs": fitting[:RUNS],
        "fitting": len(fitting),
        "every": len(every),
    }


def run(contents: Contents) -> dict[str, Any]:
    """A run's own page: its record, its numbers, and where its rows are."""
    numbers = views.balance(contents)
    movable = {rule.name for rule, _ in trial.choices(contents)}
    has_ledger = bool(contents.summary.get("ledger"))
    return {
        **_run(contents),
        "facts": views.run_facts(contents.record),
        "error": contents.record.get("error"),
        "numbers": numbers if has_ledger else None,
        "sentences": sentences(numbers["total"], len(numbers["sources"])) if has_ledger else [],
        "figures": figures(numbers["total"]) if has_ledger else [],
        "movable": movable,
        "parts": [(part.name, part.rows) for part in contents.parts.values()],
        "spec": str(contents.summary.get("spec") or "")[:100_000],
    }


def rows(
    database: Database, asked: Question, counts: row_pages.Counts, contents: Contents, query: QueryParams
) -> dict[str, Any]:
    """A page of rows and how many there are; together they look at each row once."""
    filters, after = filters_of(query), query.get("after", "")
    page = row_pages.page(database, asked, contents, filters, after)
    count = counts.count(database, asked, contents, filters, None if after else page)
    part = contents.part(filters.part)
    fields = filters.query()
    return {
        **_run(contents),
        "filters": filters,
        "form": views.form(contents, part, filters),
        "rows": views.rows(page.rows, filters.part, [score.column for score in filters.scores]),
        "count": count,
        "every": part.rows,
        "seconds": row_pages.COUNT_SECONDS,
        "fields": fields,
        "next": {**fields, "after": page.after} if page.after else None,
        "first": fields if after else None,
        "forms": list(FORMS),
    }


def row(database: Database, asked: Question, contents: Contents, query: QueryParams, originals: bool) -> dict[str, Any]:
    """A row's story. `originals`: records may be read again from their files."""
    given = query.get("id", "").strip()
    if not given.isdecimal() or len(given) > 18:
        raise SpecError(f"id: {given[:40]!r} is no row's id. Ids are whole numbers; they stand beside rows.")
    told = story(database, asked, contents, int(given))
    view = {**_run(contents), **views.story(told), "offered": False, "original": None}
    if originals and query.get("original"):
        view["original"] = views.original(original(asked, contents, int(given)), told.row)
    elif originals:
        view["offered"] = planned(contents)
    return view


def threshold(database: Database, asked: Question, contents: Contents, query: QueryParams) -> dict[str, Any]:
    """The rules whose bounds can be moved; with one of them, what would be kept."""
    contents.part("kept")
    choices = [(f"{rule.name} {bound}", getattr(rule, bound)) for rule, bound in trial.choices(contents)]
    name, _, bound = query.get("rule", "").partition(" ")
    view = {**_run(contents), "choices": choices, "chosen": "", "value": None, "trial": None, "change": None}
    if not name:
        return view
    change = trial.moved(contents, name, bound, number("value", query.get("value", "")))
    result = trial.attempt(database, asked, contents, change)
    columns = change.rule.rule.columns
    return {
        **view,
        "chosen": f"{name} {change.bound}",
        "value": f"{change.value:g}",
        "change": change,
        "trial": result,
        "inside": views.rows(result.inside, "kept", columns),
        "outside": views.rows(result.outside, "kept", columns),
        "points": views.exact_points(contents, change),
        "exceptions": len(change.rule.per_language) + len(change.rule.per_pair),
    }


def _run(contents: Contents) -> dict[str, Any]:
    """What every page of a run shows of it."""
    record = contents.record
    return {
        "run": views.run_row({**record, "id": contents.run.id}),
        "finished": contents.finished,
        "computing": contents.finished and record.get("state") != "done",
        "rows_of": list(contents.parts),
    }
