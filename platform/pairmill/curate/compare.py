"""Two finished curate runs: what differs in their specs, in their counts, and which rows went another way.

1. Specs, rules as they applied, inputs and versions: the paths whose values are not the same (`spec.changes`).
2. Counts in total, by source, by language pair and by reason: from the two summaries.
3. Rows: joined by their origin (`moves`); how many went from one fate to another, by source and by language pair, and
   samples of each kind of move with what both runs say of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from pairmill.curate.moved_rows import sampled
from pairmill.curate.moves import Moves, moves
from pairmill.curate.origins import KEPT
from pairmill.errors import SpecError
from pairmill.runs.browse import find
from pairmill.runs.record import Run, newest
from pairmill.runs.units import digest
from pairmill.spec.changes import changes

SAMPLES, KINDS = 5, 30
#: Parts of a spec that do not decide which rows are kept.
UNMEANT = ("name", "resources", "report", "expect")
Json = dict[str, Any]


def compare(one: Run, other: Run, samples: int = SAMPLES) -> Json:
    """What two finished curate runs have apart, A first, as plain JSON.

        kind, a, b   "curate"; {id, storage, started, rows_in, kept} of each run
        spec         [{path, a, b, decides}]: without a or b where that spec has no such path; decides: whether it
                     could change rows
        rules, inputs, versions   [{path, a, b}]
        total        {name, rows: [a, b], kept: [a, b], reasons: {reason: [a, b]}, lost, gained, other}
        sources      the same of each source; pairs: of each language pair, with anchor_lang and positive_lang
        rows         {by: origin|pair_id, joined, same, moved, alone: [{fate: rows} of A, of B], uneven: [a, b]}
        moves        [{from, to, rows, samples: [{a: row, b: row}]}]: the largest first, samples of the first KINDS

    lost, gained, other: rows that went from kept to rejected, back, or from one reason to another.
    Raises SpecError for runs that are not finished, or kept no pairs.
    """
    runs, summaries = (one, other), [run.finished_summary() for run in (one, other)]
    by_id = _lineage(one)[-1] == _lineage(other)[-1]
    found = moves(one, other, by_id, samples)
    ranked = _kinds(found)
    rows = sampled(runs, {kind: found.samples.get(kind, []) for kind, _ in ranked[:KINDS]})
    return {
        "kind": "curate",
        **{side: _about(run, summary) for side, run, summary in zip("ab", runs, summaries, strict=True)},
        **_settings(runs, summaries),
        **_counts(summaries, found),
        "rows": {
            "by": "pair_id" if by_id else "origin",
            "joined": found.same + found.moved.total(),
            "same": found.same,
            "moved": found.moved.total(),
            "alone": [{fate: n for (at, fate), n in found.alone.most_common() if at == side} for side in range(2)],
            "uneven": found.uneven,
        },
        "moves": [{"from": a, "to": b, "rows": n, "samples": rows.get((a, b), [])} for (a, b), n in ranked],
    }


def _about(run: Run, summary: Json) -> Json:
    total = summary["ledger"]["total"]
    about = {"id": run.id, "storage": run.storage.uri, "started": summary["run"].get("started")}
    return {**about, "rows_in": total["rows_in"], "kept": total["kept"]}


def _lineage(run: Run) -> list[str]:
    """Digests of the run and of those it selected from, back to the one that read files and numbered the rows."""
    record = run.record() or {}
    found = [digest([run.id, newest(record)])]
    parent = next((given for given in record.get("inputs", []) if given.get("format") == "run"), None)
    if parent is None:
        return found
    try:
        return [*found, *_lineage(find(run.storage.uri, parent["path"]))]
    except SpecError:  # it is gone, or lives elsewhere
        return [*found, parent["fingerprint"]]


def _settings(runs: tuple[Run, Run], summaries: list[Json]) -> Json:
    specs = [yaml.safe_load(summary.get("spec") or "{}") for summary in summaries]
    versions = [(run.record() or {}).get("versions", {}) for run in runs]
    rules, inputs = list(map(_rules, summaries)), list(map(_inputs, summaries))
    spec = changes(specs[0], specs[1])
    return {
        "spec": [{**line, "decides": line["path"].partition(".")[0] not in UNMEANT} for line in spec],
        "rules": list(changes(rules[0], rules[1])),
        "inputs": list(changes(inputs[0], inputs[1])),
        "versions": list(changes(versions[0], versions[1])),
    }


def _rules(summary: Json) -> Json:
    """The bounds of each rule that was on, those there are."""
    keys = ("enabled", "min", "max", "per_language", "per_pair")
    return {
        rule["name"]: {key: rule[key] for key in keys if rule.get(key) is not None and rule[key] is not True}
        for rule in summary.get("rules") or []
    }


def _inputs(summary: Json) -> Json:
    keys = ("path", "files", "bytes", "fingerprint")
    return {one["name"]: {key: one.get(key) for key in keys} for one in summary.get("inputs") or []}


def _kinds(found: Moves) -> list[tuple[tuple[str, str], int]]:
    """(from, to) with its rows: those into and out of kept first, each by rows."""
    kinds: Counter[tuple[str, str]] = Counter()
    for (_, _, before, after), rows in found.moved.items():
        kinds[before, after] += rows
    return sorted(kinds.items(), key=lambda item: (KEPT not in item[0], -item[1], item[0]))


def _counts(summaries: list[Json], found: Moves) -> Json:
    sources = [_by_source(summary["ledger"]["by_input"]) for summary in summaries]
    pairs = [_by_pair(summary["languages"]) for summary in summaries]
    total = [_figures(summary["ledger"]["total"]) for summary in summaries]
    by_source, by_pair = Counter[tuple[Any, str]](), Counter[tuple[Any, str]]()
    for (source, pair, before, after), rows in found.moved.items():
        way = "lost" if before == KEPT else "gained" if after == KEPT else "other"
        by_source[source, way] += rows
        by_pair[pair, way] += rows
    ways = {way: sum(n for (_, at), n in by_source.items() if at == way) for way in ("lost", "gained", "other")}
    return {
        "total": {"name": "all", **_line(*total), **ways},
        "sources": [
            {"name": name, **_line(*(side.get(name) for side in sources)), **_ways(by_source, name)}
            for name in {**sources[0], **sources[1]}
        ],
        "pairs": sorted(
            (
                {**_named(pair), **_line(*(side.get(pair) for side in pairs)), **_ways(by_pair, pair)}
                for pair in {**pairs[0], **pairs[1]}
            ),
            key=lambda line: (-max(line["rows"]), line["name"]),
        ),
    }


def _figures(counts: Mapping[str, Any]) -> Json:
    return {"rows": counts["rows_in"], "kept": counts["kept"], "reasons": counts["rejected"]}


def _by_source(by_input: Mapping[str, Any]) -> dict[str, Json]:
    return {name: _figures(counts) for name, counts in by_input.items()}


def _by_pair(languages: Iterable[Mapping[str, Any]]) -> dict[tuple[str | None, str | None], Json]:
    return {
        (row["anchor_lang"], row["positive_lang"]): {
            "rows": row["rows"],
            "kept": row["kept"],
            "reasons": row["rejected"],
        }
        for row in languages
    }


def _named(pair: tuple[str | None, str | None]) -> Json:
    name = "-".join(code or "unknown" for code in pair)
    return {"name": name, "anchor_lang": pair[0], "positive_lang": pair[1]}


def _line(one: Json | None, other: Json | None) -> Json:
    """Rows, kept and reasons of both; 0 where a run has none of them. Reasons by how far they are apart."""
    none: Json = {"rows": 0, "kept": 0, "reasons": {}}
    sides = (one or none, other or none)
    reasons = {name: [side["reasons"].get(name, 0) for side in sides] for side in sides for name in side["reasons"]}
    ranked = sorted(reasons.items(), key=lambda item: (-abs(item[1][1] - item[1][0]), item[0]))
    return {**{key: [side[key] for side in sides] for key in ("rows", "kept")}, "reasons": dict(ranked)}


def _ways(counted: Counter[tuple[Any, str]], of: Any) -> dict[str, int]:
    return {way: counted[of, way] for way in ("lost", "gained", "other")}
