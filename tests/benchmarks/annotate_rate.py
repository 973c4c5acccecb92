"""Rates of cleaning, language identification and the heuristic rules, in CPU-seconds of one core.

    python tests/benchmarks/annotate_rate.py DATA [--rows 40000] [--batch 512]

DATA is a directory with `bitext/bible.parquet` and `bitext/libreoffice_help.parquet` (columns src, tgt, src_lang,
tgt_lang) and `web/documents.parquet` (columns title, text, lang_declared). Short pairs are reported in rows, pages in
MB of text.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pairmill.curate import clean, language, thresholds
from pairmill.curate.heuristics import MODULES, Side
from pairmill.curate.language.decide import canonical_column
from pairmill.spec.curate import Clean, Filters, LanguageIdentification
from pairmill.spec.rules import RULES

NAMES = ("anchor", "positive", "anchor_lang", "positive_lang")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--rows", type=int, default=40_000)
    parser.add_argument("--batch", type=int, default=512)
    options = parser.parse_args()
    short = pa.concat_tables(
        _read(options.data / "bitext" / name, ("src", "tgt", "src_lang", "tgt_lang"), options.rows // 2)
        for name in ("bible.parquet", "libreoffice_help.parquet")
    )
    pages = _read(
        options.data / "web/documents.parquet", ("title", "text", "lang_declared", "lang_declared"), options.rows // 8
    )
    annotate(short.slice(0, 2_000), options.batch)  # tables and models
    for name, table in (("short pairs", short), ("pages", pages)):
        report(name, table, annotate(table, options.batch))


def _read(path: Path, columns: tuple[str, ...], rows: int) -> pa.Table:
    table = pq.read_table(path, columns=sorted(set(columns)))
    table = table.take(np.sort(np.random.default_rng(0).permutation(len(table))[:rows]))
    types = (pa.large_string(), pa.large_string(), pa.string(), pa.string())
    arrays = [table[name].cast(kind).combine_chunks() for name, kind in zip(columns, types, strict=True)]
    return pa.table([pc.fill_null(array, "") for array in arrays], names=list(NAMES))


def annotate(table: pa.Table, rows: int) -> dict[str, float]:
    """CPU-seconds by step."""
    seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def timed(step: str) -> Iterator[None]:
        start = time.process_time()
        yield
        seconds[step] += time.process_time() - start

    rules = [rule for rule in thresholds.active_rules(Filters(), 0.5) if rule.name != "language"]
    for batch in table.to_batches(max_chunksize=rows):
        sides = []
        for side in ("anchor", "positive"):
            with timed("clean"):
                texts, _ = clean.clean(batch[side], Clean())
            declared = canonical_column(batch[f"{side}_lang"])
            with timed("language"):
                language.judge(texts, declared, "require", LanguageIdentification())
            sides.append(Side(texts, declared))
            with timed("decode"):
                assert len(sides[-1].classes) == len(sides[-1].scripts)
        scores = {}
        for name, module in MODULES.items():
            with timed(name):
                per_pair = RULES[name].per == "pair"
                values = [module.score(*sides)] if per_pair else [module.score(side) for side in sides]
                scores |= dict(zip(RULES[name].columns, values, strict=True))
        with timed("thresholds"):
            thresholds.apply(
                rules, pa.table({**scores, "anchor_lang": sides[0].langs, "positive_lang": sides[1].langs})
            )
    return seconds


def report(name: str, table: pa.Table, seconds: dict[str, float]) -> None:
    size = sum(pc.sum(pc.binary_length(table[side])).as_py() for side in ("anchor", "positive")) / 1e6
    ours = sum(value for step, value in seconds.items() if step not in ("language", "thresholds"))
    print(f"{name}: {len(table):,} rows, {size:.1f} MB")
    print(f"  clean and heuristics: {len(table) / ours:,.0f} rows/s, {size / ours:.1f} MB/s")
    for step, value in seconds.items():
        print(f"  {step:14} {value:7.2f} s  {len(table) / value:12,.0f} rows/s  {size / value:9.1f} MB/s")


if __name__ == "__main__":
    main()
