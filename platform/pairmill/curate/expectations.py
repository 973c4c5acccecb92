"""`expect:` against what a job found: shares, rows and the drift from an earlier run, each with whether it holds.

All of it comes from summaries (ledger and languages), so a run that is done is judged anew without being read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from pairmill.errors import SpecError
from pairmill.pairs.kept import fits
from pairmill.report.show import share
from pairmill.runs.browse import named
from pairmill.spec.expect import Drift, Expect, KeptRows, Share

SHOWN = 10
Json = dict[str, Any]


class Earlier(NamedTuple):
    """The run that a drift is measured from."""

    id: str
    summary: Json


def earlier(storage_uri: str, expect: Expect) -> Earlier | None:
    """The run that `expect.drift` names. Raises SpecError where it is unknown, not finished or no curate run."""
    if expect.drift is None:
        return None
    try:
        run = named(storage_uri, expect.drift.run)
    except SpecError as error:
        raise SpecError(f"expect.drift.run: {error}") from None
    summary = run.finished_summary("expect.drift.run")
    if "ledger" not in summary:
        raise SpecError(f"expect.drift.run: run {run.id} has no ledger of pairs. Name a curate run.")
    return Earlier(run.id, summary)


def check(expect: Expect, summary: Json, before: Earlier | None) -> list[Json]:
    """[{what, found, allowed, holds}], one for each thing that is expected of a finished run's summary."""
    total = summary["ledger"]["total"]
    found = list(_kept_shares(expect, summary["ledger"]))
    found += _rows(expect.rows, summary["languages"])
    lost = _reasons(total)
    found += [_bounded(f"share of {name}", lost.get(name, 0.0), wanted) for name, wanted in expect.reasons.items()]
    if expect.drift is not None and before is not None:
        found += _drift(expect.drift, summary, before)
    return found


def _kept_shares(expect: Expect, ledger: Json) -> Iterator[Json]:
    wanted = expect.kept_share
    if (wanted.min, wanted.max) != (0, 1):
        yield _bounded("kept_share", _kept(ledger["total"]), wanted)
    for name, bounds in wanted.per_source.items():
        yield _bounded(f"kept_share of {name}", _kept(ledger["by_input"].get(name, {})), bounds)


def _bounded(what: str, found: float, wanted: Share) -> Json:
    holds = wanted.min <= found <= wanted.max
    return {"what": what, "found": round(found, 4), "allowed": f"{wanted.min} to {wanted.max}", "holds": holds}


def _rows(wanted: KeptRows, languages: list[Json]) -> Iterator[Json]:
    for pair, least in wanted.per_pair.items():
        found = sum(row["kept"] for row in languages if fits(pair, row["anchor_lang"], row["positive_lang"]))
        yield {"what": f"rows of {pair}", "found": found, "allowed": f"{least:,} or more", "holds": found >= least}


def _kept(counts: Mapping[str, Any]) -> float:
    """Rows kept as a share of the rows in; 0 where none came in."""
    return counts.get("kept", 0) / max(counts.get("rows_in", 0), 1)


def _reasons(total: Json) -> dict[str, float]:
    """Each reason's share of the rows in; what could not be read as `quarantine`."""
    lost = {**total["rejected"], "quarantine": sum(total["quarantine"].values())}
    return {name: rows / max(total["rows_in"], 1) for name, rows in lost.items()}


def _languages(summary: Json) -> dict[str, float]:
    """Each language pair's share of the kept rows."""
    kept = max(summary["ledger"]["total"]["kept"], 1)
    return {
        f"{row['anchor_lang'] or 'unknown'}-{row['positive_lang'] or 'unknown'}": row["kept"] / kept
        for row in summary["languages"]
    }


def _drift(wanted: Drift, summary: Json, before: Earlier) -> Iterator[Json]:
    parts: tuple[tuple[str, float, Callable[[Json], dict[str, float]]], ...] = (
        ("kept_share", wanted.kept_share, lambda one: {"": _kept(one["ledger"]["total"])}),
        ("reasons", wanted.reasons, lambda one: _reasons(one["ledger"]["total"])),
        ("languages", wanted.languages, _languages),
    )
    for name, allowed, of in parts:
        yield from _differences(f"drift of {name} from {before.id}", allowed, of(before.summary), of(summary))


def _differences(what: str, allowed: float, one: dict[str, float], other: dict[str, float]) -> Iterator[Json]:
    """The largest difference, and with it all others that are larger than allowed (SHOWN at most)."""
    apart = {name: abs(other.get(name, 0.0) - one.get(name, 0.0)) for name in {**one, **other}}
    ranked = sorted(apart.items(), key=lambda item: (-item[1], item[0]))
    for number, (name, difference) in enumerate(ranked[:SHOWN]):
        holds = difference <= allowed + 1e-12
        if number == 0 or not holds:
            told = f"{what}: {name + ' ' if name else ''}{share(one.get(name, 0), 1)} → {share(other.get(name, 0), 1)}"
            yield {"what": told, "found": round(difference, 4), "allowed": f"at most {allowed:g}", "holds": holds}
