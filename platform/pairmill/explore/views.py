"""What the explorer's templates show: bounded, formatted, inert. Pure functions over plain values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from pairmill.curate.explain import Judged
from pairmill.explore import differences
from pairmill.explore.contents import Contents, Part
from pairmill.explore.filters import Filters
from pairmill.explore.original import Original
from pairmill.explore.rows import CHARACTERS
from pairmill.explore.story import Story
from pairmill.explore.trial import Moved
from pairmill.pairs.ledger import Counts
from pairmill.report import show
from pairmill.report.frame import STATES
from pairmill.report.heat import pair_name
from pairmill.report.sample_view import text

STORY_CHARACTERS = 20_000
PAIRS_SHOWN = 100
_TIMES = ("started", "finished", "updated")


def run_row(record: Mapping[str, Any]) -> dict[str, Any]:
    """A run in the list."""
    state = str(record.get("state") or "unknown")
    return {
        "id": str(record["id"]),
        "kind": str(record.get("kind", "curate")),
        "state": state,
        "state_kind": STATES.get(state, "warn"),
        "started": show.moment(record.get("started")),
        "took": show.duration(record.get("seconds") or 0),
        "kept": record.get("kept"),
        "inputs": ", ".join(str(given.get("name")) for given in record.get("inputs") or []),
        "readable": "manifest" in record,
    }


def fits(row: Mapping[str, Any], search: str, kind: str, state: str) -> bool:
    """Whether a run of the list is asked for."""
    told = f"{row['id']} {row['inputs']}".lower()
    return (
        all(word in told for word in search.lower().split())
        and kind in ("", row["kind"])
        and state in ("", row["state"])
    )


def run_facts(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The run's record in words."""
    known = ("id", "kind", "state", "started", "finished", "updated", "seconds", "version", "generation", "parents")
    told = []
    for name in known:
        if record.get(name) not in (None, [], ""):
            value = record[name]
            if name in _TIMES:
                told.append((name, show.moment(value)))
            else:
                told.append(("took", show.duration(value)) if name == "seconds" else (name, show.fact(value)))
    return told


def balance(contents: Contents) -> dict[str, Any]:
    """The ledger of a curate run: totals, reasons, sources and language pairs with their largest losses."""
    ledger = contents.summary.get("ledger") or {}
    total = Counts.from_json(ledger.get("total") or {})
    by_input = {name: Counts.from_json(data) for name, data in (ledger.get("by_input") or {}).items()}
    languages = sorted(contents.summary.get("languages") or [], key=lambda row: -row["rows"])
    return {
        "total": total,
        "reasons": total.rejected.most_common(),
        "errors": total.quarantine.most_common(),
        "sources": [_source(name, counts) for name, counts in by_input.items()],
        "pairs": [_pair(row) for row in languages[:PAIRS_SHOWN]],
        "more_pairs": max(0, len(languages) - PAIRS_SHOWN),
    }


def _source(name: str, counts: Counts) -> dict[str, Any]:
    rejected, unreadable = counts.rejected.total(), counts.quarantine.total()
    return {"name": name, "rows": counts.rows_in, "kept": counts.kept, "rejected": rejected, "unreadable": unreadable}


def _pair(row: Mapping[str, Any]) -> dict[str, Any]:
    codes = (row["anchor_lang"], row["positive_lang"])
    losses = Counter(row.get("rejected") or {}).most_common(3)
    return {
        "label": pair_name(row),
        "language": "-".join(codes) if all(codes) else "unknown",
        "rows": row["rows"],
        "kept": row["kept"],
        "losses": [(name, show.share(count, row["rows"])) for name, count in losses],
    }


def rows(found: Sequence[Mapping[str, Any]], part: str, scores: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Rows as the list shows them."""
    return [_row(row, str(row.get("part", part)), scores) for row in found]


def _row(row: Mapping[str, Any], part: str, scores: Sequence[str]) -> dict[str, Any]:
    failed = [str(name) for name in row.get("failed") or [] if name != row.get("reason")]
    if part == "quarantine":
        sides = [("Said", _side(row, "detail", None)), ("Record", _data(row))]
    else:
        sides = [(side.capitalize(), _side(row, side, row.get(f"{side}_lang"))) for side in ("anchor", "positive")]
    return {
        "part": part,
        "id": row.get("pair_id"),
        "reason": row.get("reason") or row.get("error"),
        "compared": show.compared(row.get("value"), row.get("threshold")),
        "failed": ", ".join(failed),
        "source": str(row.get("source") or "–"),
        "file": str(row.get("origin_file") or "–"),
        "place": place(row),
        "scores": [(name, show.value(row.get(name))) for name in scores],
        "duplicate_of": row.get("duplicate_of"),
        "duplicate_run": row.get("duplicate_run"),
        "sides": sides,
    }


def place(row: Mapping[str, Any]) -> str:
    """Where in its file a row stood, as far as that is known."""
    told = [(name, row.get(key)) for name, key in (("record", "origin_row"), ("byte", "offset"))]
    return ", ".join(f"{name} {show.digits(value)}" for name, value in told if value is not None)


def _side(row: Mapping[str, Any], name: str, language: str | None) -> dict[str, Any]:
    """A text that the query cut, with the length of the whole."""
    return _cut(text(row.get(name), language, CHARACTERS), row.get(f"{name}_length"))


def _data(row: Mapping[str, Any]) -> dict[str, Any]:
    data = (row.get("data") or b"").decode("utf-8", "backslashreplace")
    return _cut(text(data, None, CHARACTERS), row.get("data_length"))


def _cut(shown: dict[str, Any], length: Any) -> dict[str, Any]:
    return {**shown, "length": length or 0, "cut": (length or 0) > shown["shown"]}


def story(told: Story) -> dict[str, Any]:
    """A row's page."""
    row = told.row
    sides = [
        (side.capitalize(), text(row[side], row[f"{side}_lang"], STORY_CHARACTERS)) for side in ("anchor", "positive")
    ]
    negatives = [(f"Negative {n}", text(t, None, CHARACTERS)) for n, t in enumerate(row.get("negatives") or [], 1)]
    return {
        "part": told.part,
        "row": row,
        "place": place(row),
        "compared": show.compared(row.get("value"), row.get("threshold")),
        "failed": [name for name in row.get("failed") or [] if name != row.get("reason")],
        "sides": [*sides, *negatives[:20]],
        "no_texts": row["anchor"] is None and row["positive"] is None,
        "scores": [_judged(score) for score in told.scores],
        "others": _other_numbers(row, told.scores),
        "partners": [_partner(row, partner) for partner in told.partners],
        "leaks": [_leak(leak) for leak in told.leaks],
        "gone": told.gone,
    }


def original(found: Original, row: Mapping[str, Any]) -> dict[str, Any]:
    """Before and after cleaning, what differs marked."""
    sides = []
    for side, before in found.sides.items():
        after = row.get(side)
        shown = differences.marked(before, before if after is None else after)
        sides.append((side, *[_marked(*given) for given in zip(shown, (before, after or ""), strict=True)]))
    return {"sides": sides, "steps": found.steps, "problem": found.problem}


def _judged(score: Judged) -> dict[str, Any]:
    here = score.bounds
    finite = not (score.value is None or score.value != score.value)
    return {
        "column": score.column,
        "rule": here.name,
        "describe": here.rule.describe,
        "value": show.value(score.value) if finite else "does not apply",
        "bounds": show.bounds(here.min, here.max) if here.enabled else "–",
        "verdict": {"FAILED": "failed", "off": "not in force"}.get(score.verdict, score.verdict),
        "state": {"FAILED": "bad", "passed": "good"}.get(score.verdict, "warn"),
    }


def _other_numbers(row: Mapping[str, Any], scores: Sequence[Judged]) -> list[tuple[str, str]]:
    """Scores that no rule judges: the source's own, and those of mine runs."""
    judged = {score.column for score in scores} | {"pair_id", "origin_row", "value", "threshold", "duplicate_of"}
    return [
        (name, show.value(value))
        for name, value in row.items()
        if isinstance(value, (int, float)) and name not in judged
    ]


def _partner(row: Mapping[str, Any], partner: Any) -> dict[str, Any]:
    """Both rows side by side, what differs marked: [(side, this row's text, the other's)]."""
    other = partner.row
    sides = []
    for side in ("anchor", "positive"):
        mine, theirs = (str(each.get(side) or "") for each in (row, other))
        shown = differences.marked(mine, theirs)
        sides.append((side, *[_marked(*given) for given in zip(shown, (mine, theirs), strict=True)]))
    return {
        "role": partner.role,
        "id": other["pair_id"],
        "run": partner.run,
        "similarity": None if partner.similarity is None else show.share(partner.similarity, 1),
        "source": other.get("source"),
        "file": str(other.get("origin_file") or "–"),
        "place": place(other),
        "reason": other.get("reason"),
        "sides": sides,
    }


def _marked(html: Markup, whole: str) -> dict[str, Any]:
    shown = text(whole, None, differences.CHARACTERS)
    return {**shown, "html": html}


def _leak(leak: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **{name: str(leak.get(name) or "–") for name in ("set", "kind", "side", "evaluation_file", "evaluation_field")},
        "row": leak.get("evaluation_row"),
        "share": show.share(leak.get("share") or 0, 1),
        "evaluation": text(leak.get("evaluation_text"), None, CHARACTERS),
        "around": text(leak.get("around") or leak.get("matched"), None, CHARACTERS),
    }


def exact_points(contents: Contents, change: Moved) -> list[dict[str, Any]]:
    """The run's own curve for this bound, where it has one: exact, duplicates decided again."""
    for curve in contents.summary.get("sensitivity") or []:
        if curve.get("rule") == change.rule.name and curve.get("bound") == change.bound:
            points: list[dict[str, Any]] = curve.get("points") or []
            return points
    return []


def form(contents: Contents, part: Part | None, filters: Filters) -> dict[str, Any]:
    """The choices of the filter form."""
    numbers = balance(contents)
    if filters.part == "quarantine":
        reasons = [name for name, _ in numbers["errors"]]
    else:
        reasons = [name for name, _ in numbers["reasons"]] if filters.part == "rejected" else []
    return {
        "parts": [(name, own.rows) for name, own in contents.parts.items()],
        "sources": [source["name"] for source in numbers["sources"]],
        "languages": [pair["language"] for pair in numbers["pairs"]],
        "reasons": reasons,
        "columns": [] if part is None else part.scores,
    }
