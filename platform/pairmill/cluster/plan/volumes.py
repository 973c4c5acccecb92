"""What a plan knows of one input of a curate job, and what its rows cost by the stored rates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pairmill.cluster.plan.base import Context
from pairmill.cluster.plan.dedup import Alike
from pairmill.cluster.plan.sheet import Quantity
from pairmill.curate import thresholds
from pairmill.spec.curate import CurateSpec
from pairmill.spec.rule import family

#: Formats whose rate of reading is stored; others are taken as jsonl.
READ = ("parquet", "jsonl", "csv", "moses", "tmx", "gettext", "html", "warc")


@dataclass(frozen=True)
class Input:
    """What one input holds and takes. CPU-seconds are a row's, bytes of disk too."""

    name: str
    rows: Quantity
    text: Quantity
    read_bytes: Quantity
    passed: Quantity  # share
    shards: int
    text_size: float
    read: Quantity
    annotate: Quantity
    select: Quantity
    annotated_bytes: Quantity
    kept_bytes: Quantity
    rejected_bytes: Quantity
    index_bytes: Quantity


@dataclass(frozen=True)
class Inputs:
    """All inputs of a job, and what is known of them together."""

    inputs: list[Input]
    alike: Alike
    removed: Quantity  # share of the rows that pass all rules, by deduplication
    factor: Quantity  # of deduplication's CPU: the sample's over that of the stored rates
    start_up: Quantity  # CPU-seconds of a worker


def rate_of_input(spec: CurateSpec, given: Any, context: Context, text: float) -> tuple[Quantity, Quantity, Quantity]:
    """CPU-seconds of reading, annotate and select for a row of an input, by the stored rates."""
    rates = context.rates
    kind = given.format if given.format in READ else "jsonl"
    read = rates.rate(f"read {kind}", text)
    parts = [rates.rate("annotate", text)]
    if spec.dedup.near:
        parts.append(rates.rate("annotate: signature", text))
    if (given.language or "require") != "trust":
        parts.append(rates.rate("annotate: language", text))
    web = "web" in family(spec.filters.preset)
    if thresholds.scored_rules(spec):
        parts.append(rates.rate("annotate: rules web" if web else "annotate: rules", text))
    select = [rates.rate("select", text)]
    if thresholds.scored_rules(spec):
        select.append(rates.rate("select: rules", text))
    return read, _sum(parts), _sum(select)


def _sum(parts: list[Quantity]) -> Quantity:
    names = " + ".join(f"{part.name.removeprefix('annotate: ')} {1e6 * part.value:.1f}" for part in parts)
    low, high = sum(part.low for part in parts), sum(part.high for part in parts)
    return Quantity("", sum(part.value for part in parts), "CPU-s/row", low, high, "", f"{names} µs; {parts[0].source}")
