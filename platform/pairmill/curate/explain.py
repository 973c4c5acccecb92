"""A row's whole story: where it came from, what was measured, what was decided and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pairmill.curate import against
from pairmill.curate.annotate import SIDES
from pairmill.curate.decontamination import stages as decontamination
from pairmill.curate.shardfiles import SHARD_BITS, rows_at
from pairmill.curate.thresholds import ActiveRule
from pairmill.errors import SpecError
from pairmill.runs.record import Run
from pairmill.spec.rule import Rule
from pairmill.spec.rules import RULES


def explain_id(run: Run, pair_id: int) -> str:
    """The story of the row with this id. Raises SpecError where the run has no such row."""
    for part, table in _tables(run, shard=pair_id >> SHARD_BITS):
        row = table.filter(pc.equal(table["pair_id"], pair_id))
        if len(row):
            return _story(run, part, row.to_pylist()[0])
    raise SpecError(f"run {run.id} has no row {pair_id}. pair_ids stand in the report's samples and in the kept files.")


def explain_text(run: Run, text: str, limit: int) -> str:
    """The stories of up to `limit` rows that hold `text` on either side; rows that are just that come first."""
    whole: list[str] = []
    holding: list[str] = []
    for part, table in _tables(run):
        for stories, relation in ((whole, pc.equal), (holding, pc.match_substring)):
            hits = table.filter(pc.or_(*[pc.fill_null(relation(table[side], text), False) for side in SIDES]))
            stories += [_story(run, part, row) for row in hits.slice(0, limit - len(stories)).to_pylist()]
        if len(whole) >= limit:
            break
    found = list(dict.fromkeys([*whole, *holding]))[:limit]
    return "\n\n".join(found) or f"no kept or rejected row of run {run.id} holds {text!r} (texts are as cleaned)"


def _tables(run: Run, shard: int | None = None) -> Iterator[tuple[str, pa.Table]]:
    manifest = run.finished_manifest()
    for part in ("kept", "rejected"):
        for entry in manifest["files"].get(part, []):
            if shard is None or entry["shard"] in (None, shard):
                with run.storage.open_parquet(entry["path"]) as file:
                    for group in range(file.num_row_groups):
                        yield part, file.read_row_group(group)


def _story(run: Run, part: str, row: dict[str, Any]) -> str:
    lines = [
        f"row {row['pair_id']}: {part}" + (f", {row['reason']}" if part == "rejected" else ""),
        f"  origin    {row['origin_file']}, record {row['origin_row']} (source {row['source']}, form {row['form']})",
        f"  anchor    [{row['anchor_lang']}] {row['anchor']!r}",
        f"  positive  [{row['positive_lang']}] {row['positive']!r}",
    ]
    if part == "rejected" and row["duplicate_of"] is not None:
        lines += _partner(run, row)
    if part == "rejected" and row["reason"] == decontamination.REASON:
        lines += _leaks(run, row["pair_id"])
    lines += ["  scores", *_scores(run, row)]
    return "\n".join(lines)


@dataclass(frozen=True)
class Judged:
    """A score of a row, and the bounds that the run held it to in a row of these languages."""

    column: str
    value: float | None
    bounds: ActiveRule

    @property
    def verdict(self) -> str:
        return "off" if not self.bounds.enabled else "FAILED" if _outside(self.value, self.bounds) else "passed"


def held(summary: Mapping[str, Any]) -> dict[str, ActiveRule]:
    """The rules that a run held its rows to, by name."""
    rules = [{"enabled": True, **rule} for rule in summary.get("rules") or []]  # early runs only had rules in force
    return {rule["name"]: ActiveRule.from_json(RULES.get(rule["name"], _of_score(rule)), rule) for rule in rules}


def judged(summary: Mapping[str, Any], row: Mapping[str, Any]) -> Iterator[Judged]:
    """Every score of a row."""
    active = held(summary)
    for name, rule in {**RULES, **{name: own.rule for name, own in active.items()}}.items():
        for column in rule.columns:
            if column in row:
                own = active.get(name, ActiveRule(rule, None, None, enabled=False))
                yield Judged(column, row[column], own.at(column, row["anchor_lang"], row["positive_lang"]))


def _scores(run: Run, row: dict[str, Any]) -> Iterator[str]:
    for score in judged(run.summary(), row):
        yield f"    {score.column:28} {_number(score.value):10} {_range(score.bounds):18} {score.verdict}"


def _of_score(rule: dict[str, Any]) -> Rule:
    """The rule on a score column, as a run's summary describes it."""
    return Rule(rule["name"], "pair", rule["min"], rule["max"], {}, rule["describe"], rule["source"])


def _partner(run: Run, row: dict[str, Any]) -> list[str]:
    number, earlier = row["duplicate_of"], row["duplicate_run"]
    keys = {int(shard): key for shard, key in (run.manifest() or {}).get("keys", {}).items()}
    if earlier or not keys:
        partner = against.kept_row(run.storage.uri, earlier or run.id, number)
    else:
        partner = rows_at(run.storage, keys, [number], ["anchor", "positive", "origin_file", "origin_row"])[number]
    of_run = f" of run {earlier}" if earlier else ""
    similarity = "" if row["value"] is None else f" (similarity {row['value']:.3f})"
    if partner is None:
        return [f"  duplicate of row {number}{of_run}{similarity}; that run is gone"]
    return [
        f"  duplicate of row {number}{of_run}{similarity}, which is kept:",
        f"            {partner['origin_file']}, record {partner['origin_row']}",
        f"            {partner['anchor']!r}",
        f"            {partner['positive']!r}",
    ]


def _leaks(run: Run, pair_id: int) -> Iterator[str]:
    """The evaluation texts that a row holds, with what of the row is theirs."""
    for hit in decontamination.of_row(run, pair_id):
        place = f"{hit['evaluation_file']}, record {hit['evaluation_row']}, field {hit['evaluation_field']}"
        yield f"  leak of {hit['set']} ({hit['kind']}, {hit['share']:.0%} of the text, in the {hit['side']})"
        yield f"            {place}"
        yield f"    text    {hit['evaluation_text']!r}"
        yield f"    matched {hit['matched']!r}"


def _number(value: float | None) -> str:
    return "-" if value is None or value != value else f"{value:.4g}"


def _outside(value: float | None, rule: ActiveRule) -> bool:
    low, high = (np.float32(bound) for bound in rule.bounds)
    return value is not None and bool(value < low or value > high)


def _range(rule: ActiveRule) -> str:
    bounds = ((">=", rule.min), ("<=", rule.max)) if rule.enabled else ()
    return " and ".join(f"{sign} {bound:g}" for sign, bound in bounds if bound is not None)
