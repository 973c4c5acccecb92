"""Inputs that are read: their volumes, shares and costs by a sample (`sample.py`)."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pairmill.cluster.plan import duplicates
from pairmill.cluster.plan.base import Context
from pairmill.cluster.plan.dedup import Alike
from pairmill.cluster.plan.sample import SMALL, Measured, Read, Sample, take
from pairmill.cluster.plan.sheet import Quantity, Sheet, quantity
from pairmill.cluster.plan.volumes import Input, Inputs, rate_of_input
from pairmill.errors import SpecError
from pairmill.pairs import sources
from pairmill.pairs.sources import parquet
from pairmill.spec.curate import CurateSpec

#: Without a shard that was read to its end: bytes of a file for a byte of text in it.
OVERHEAD = 1.3
ENOUGH = 5_000  # rows from which the sample's own CPU-seconds are taken
MEASURED = 20_000  # rows from which the sample's deduplication is measured


def inputs(spec: CurateSpec, context: Context, sheet: Sheet) -> Inputs:
    """Sample all inputs. Raises SourceError where one cannot be read, SpecError where it holds no rows."""
    found = {given.name: sources.find(given) for given in spec.inputs}
    if not context.sample:
        raise SpecError(
            "--sample 0: nothing would be known of the inputs' rows. Leave it out, or declare volumes: --given FILE."
        )
    sample = take(spec, found, context.sample)
    empty = [name for name, read in sample.reads.items() if not read.taken]
    if len(empty) == len(sample.reads):
        raise SpecError(f"inputs: the sample found no pairs in {', '.join(empty)}: there is nothing to plan.")
    sheet.section = "inputs"
    made = [_input(spec, given, found[given.name], sample, context) for given in spec.inputs if given.name not in empty]
    for name in empty:
        sheet.assume(f"Input {name}: no pairs in its sample; it is left out.")
    source = f"sample: {sample.rows:,} rows, this machine"
    start_up = quantity("start-up", sample.start_up, "CPU-s", f"{source}: the first rows", 1.3)
    alike, removed = _alike(made, sample, sheet)
    if spec.dedup.against:
        sheet.assume("Rows that repeat kept rows of the runs in dedup.against are not looked for: fewer will stay.")
    return Inputs(made, alike, removed, _factor(sample, context), start_up)


def _input(spec: CurateSpec, given: Any, files: list[sources.SourceFile], sample: Sample, context: Context) -> Input:
    read, measured = sample.reads[given.name], sample.inputs[given.name]
    source = f"sample of {measured.rows:,} rows"
    text, size = measured.text, sum(file.size for file in files)
    rows = _by_footers(given, files) or _rows(read, measured)
    _, annotate, select = rate_of_input(spec, given, context, text)
    passed = measured.passed / measured.rows * (1 - read.quarantined / max(read.rows + read.quarantined, 1))
    error = 1.96 * math.sqrt(max(passed * (1 - passed), 1 / measured.rows) / measured.rows)

    def bytes_of(name: str, value: float) -> Quantity:
        return quantity(name, value, "B/row", source, 1.1)

    return Input(
        name=given.name,
        rows=rows,
        text=quantity("text", text, "B/row", source, 1.05),
        read_bytes=quantity("bytes read", size, "B", "sizes of the files"),
        passed=Quantity("pass all rules", passed, "share", passed - error, passed + error, "", source),
        shards=read.shards,
        text_size=read.text_size,
        read=quantity("read", read.cpu / max(read.rows, 1), "CPU-s/row", source, 1.2),
        annotate=_measured("annotate", measured.annotate, measured.rows, annotate, source),
        select=_measured("select", measured.select, measured.rows, select, source),
        annotated_bytes=bytes_of("annotated", measured.annotated_bytes),
        kept_bytes=bytes_of("kept", measured.kept_bytes),
        rejected_bytes=bytes_of("rejected", measured.rejected_bytes),
        index_bytes=bytes_of("dedup_index", measured.index_bytes),
    )


def _measured(name: str, value: float, rows: int, stored: Quantity, source: str) -> Quantity:
    """What the sample took a row; of few rows the fixed costs are too much: the stored rate."""
    return quantity(name, value, "CPU-s/row", source, 1.2) if rows >= ENOUGH else stored


def _by_footers(given: Any, files: list[sources.SourceFile]) -> Quantity | None:
    """The rows of Parquet files, each of which is a pair."""
    if given.format != "parquet" or given.builder is not None:
        return None
    with ThreadPoolExecutor(16) as pool:
        rows = sum(pool.map(lambda file: parquet.count(given, file), files))
    return quantity(f"{given.name}: rows", rows, "rows", "footers")


def _rows(read: Read, measured: Measured) -> Quantity:
    """How many pairs an input has, by the share of its text that was read to its end."""
    name = f"{read.name}: rows"
    if read.whole_size >= read.text_size:
        return quantity(name, read.whole_rows, "rows", "all read")
    if read.whole_size:
        value = read.whole_rows * read.text_size / read.whole_size
        share = read.whole_size / read.text_size
        told = f"{read.whole_rows:,} rows in {100 * share:.1f} % of the files' bytes"
        return quantity(name, value, "rows", told, 1 + 0.15 * (1 - share))
    value = read.text_size / (OVERHEAD * max(measured.text, 1))
    return quantity(name, value, "rows", f"bytes of the files / ({OVERHEAD} x text of a row)", 1.5)


def _alike(made: list[Input], sample: Sample, sheet: Sheet) -> tuple[Alike, Quantity]:
    """Extrapolate the sample's duplicates, at one rate for all inputs."""
    total = sum(one.rows.value for one in made)
    rates = {one.name: min(sample.inputs[one.name].rows / max(one.rows.value, 1), 1.0) for one in made}
    rate = min(rates[one.name] for one in made if one.rows.value >= SMALL * total)
    shares = {name: min(rate / own, 1.0) for name, own in rates.items()}
    passed = sum(one.rows.value * one.passed.value for one in made)
    seen, all_seen, exact = (
        sample.seen(column, shares, only) for column, only in (("stays", True), ("group", False), ("exact", False))
    )
    sizes = duplicates.extrapolate(seen, rate, passed)
    groups, copies = (duplicates.extrapolate(found, rate, total) for found in (all_seen, exact))
    low, high = duplicates.interval(seen, rate, passed)[0]
    least, most = duplicates.interval(all_seen, rate, total)[1]
    source = f"{int(seen[1:].sum()):,} rows with copies in a sample of 1 row in {1 / rate:.1f}, extrapolated"
    removed = Quantity("removed as duplicates", sizes.removed_share, "share", low, high, "", source)
    grouped = Quantity("like another row", groups.grouped_share, "share", least, most, "", source)
    sheet.known(grouped)
    sheet.known(removed)
    sheet.assume("Copies are spread over the files as they are over the sample.")
    repeated = {ranges: copies.repeated_share(ranges) for ranges in range(1, 257)}
    return Alike(grouped, repeated, copies.removed_share), removed


def _factor(sample: Sample, context: Context) -> Quantity:
    """The CPU-seconds of the sample's groups, over those that the stored rate gives for as many rows."""
    rows = sample.rows
    stored = rows * context.rates.rate("groups", rows).value
    if rows < MEASURED or not sample.groups:
        return quantity("as calibrated", 1.0, "", "too small a sample to measure deduplication", 1.15)
    value = min(max(sample.groups / stored, 0.5), 2.0)
    told = f"groups of {rows:,} rows: {sample.groups:.2f} CPU-s, by the stored rate {stored:.2f}"
    return quantity("sample over stored rates", value, "", told, 1.15)
