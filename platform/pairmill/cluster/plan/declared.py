"""Inputs that cannot be read from here: their volumes as `--given FILE` says, their costs by the stored rates."""

from __future__ import annotations

from typing import Any

from pairmill.cluster.plan.base import Context
from pairmill.cluster.plan.dedup import Alike
from pairmill.cluster.plan.given import Volume
from pairmill.cluster.plan.sheet import Quantity, Sheet, quantity
from pairmill.cluster.plan.volumes import Input, Inputs, rate_of_input
from pairmill.curate import thresholds
from pairmill.spec.curate import CurateSpec

#: Bytes on disk for a byte of text: zstd on pairs of 756 bytes (docs/scale.md: 305 of 817 bytes beside the signature).
PACKED = 0.4
KEPT_PACKED = 0.31
SCORE = 1.5  # bytes of a score on disk


def inputs(spec: CurateSpec, context: Context, sheet: Sheet) -> Inputs:
    """All inputs of a spec, every one of which is declared."""
    sheet.section = "inputs"
    given = context.given.inputs
    found = [_input(spec, one, given[one.name], context) for one in spec.inputs]
    weights = [one.rows.value * one.passed.value for one in found]
    volumes = [given[one.name] for one in spec.inputs]
    grouped = _mean("like another row", volumes, weights, "grouped_share")
    removed = _mean("removed as duplicates", volumes, weights, "duplicate_share")
    sheet.known(grouped)
    sheet.known(removed)
    start_up = context.rates.constant("start-up")
    factor = quantity("as calibrated", 1.0, "", "no sample", 1.0)
    return Inputs(found, Alike(grouped, {}, removed.value), removed, factor, start_up)


def _input(spec: CurateSpec, given: Any, volume: Volume, context: Context) -> Input:
    text = volume.text_bytes
    read, annotate, select = rate_of_input(spec, given, context, text)
    size = float(volume.file_bytes or volume.rows * text / 3)
    near = spec.dedup.near
    scores = SCORE * sum(len(rule.columns) for rule in thresholds.scored_rules(spec))
    index = 24 + (4 * near.slots if near else 0)
    by_volumes = "docs/scale.md, by volumes"
    rejected = PACKED * text if spec.output.rejected == "full" else 20.0
    all_text = volume.rows * text

    def bytes_of(name: str, value: float) -> Quantity:
        return quantity(name, value, "B/row", by_volumes, 1.25)

    return Input(
        name=given.name,
        rows=quantity(f"{given.name}: rows", volume.rows, "rows", volume.source, volume.spread),
        text=quantity("text", text, "B/row", volume.source, volume.spread),
        read_bytes=quantity("bytes read", size, "B", volume.source, volume.spread),
        passed=_share(volume),
        shards=max(1, round(all_text / spec.resources.shard_size)),
        text_size=all_text,
        read=read,
        annotate=annotate,
        select=select,
        annotated_bytes=bytes_of("annotated", PACKED * text + scores + index),
        kept_bytes=bytes_of("kept", KEPT_PACKED * text + scores),
        rejected_bytes=bytes_of("rejected", rejected + scores),
        index_bytes=bytes_of("dedup_index", index),
    )


def _share(volume: Volume) -> Quantity:
    """Within the spread, by what is lost."""
    lost = 1 - volume.kept_share
    low, high = max(1 - lost * volume.spread, 0.0), 1 - lost / volume.spread
    return Quantity("pass all rules", volume.kept_share, "share", low, high, "", volume.source)


def _mean(name: str, volumes: list[Volume], weights: list[float], key: str) -> Quantity:
    total = max(sum(weights), 1e-9)
    value = sum(getattr(volume, key) * weight for volume, weight in zip(volumes, weights, strict=True)) / total
    spread = max(volume.spread for volume in volumes)
    return Quantity(name, value, "share", value / spread, min(value * spread, 1.0), "", "--given, weighted by rows")
