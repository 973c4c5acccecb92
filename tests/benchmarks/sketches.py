"""What a report's statistics cost and how good they are.

    python tests/benchmarks/sketches.py SHARED_DATA [--languages 40] [--seeds 100]

1. Quantiles and distinct texts on a million rows: the largest error in rank over five shapes of scores and as many
   samples as seeds; and the largest error of the count.
2. A curate job on the bitext (the first languages of each corpus), in this process: CPU-seconds by unit function, of
   select also without statistics (`Statistics.add` does nothing; it comes first, so it reads from a cold cache).
3. Three curves against running the job again at three other thresholds each: rows that differ (none may).
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pairmill.curate import select
from pairmill.curate.job import run_curate
from pairmill.curate.sketches.distinct import Distinct
from pairmill.curate.sketches.sample import QUANTILES, quantiles, taken
from pairmill.curate.statistics import Statistics
from pairmill.runs import engine
from pairmill.spec.load import loads

MILLION = 1_000_000
RERUN = ("length_ratio", "numbers", "letters")
INPUT = "  - {{name: {name}, format: parquet, path: {path}, columns: {{anchor: src, positive: tgt, "
INPUT += "anchor_lang: src_lang, positive_lang: tgt_lang}}, language: trust}}\n"


def rank_errors(seeds: int) -> tuple[float, float]:
    """(largest error in rank of a quantile, largest relative error of a count)."""
    rng = np.random.default_rng(0)
    shapes = [
        rng.normal(0, 1, MILLION),
        np.floor(rng.lognormal(4, 1.2, MILLION)),
        np.where(rng.random(MILLION) < 0.9, 0, rng.beta(2, 9, MILLION)),
        rng.integers(0, 4, MILLION).astype(float),
        1.06 + rng.normal(0, 1e-4, MILLION),
    ]
    ordered = [np.sort(shape) for shape in shapes]
    worst = count = 0.0
    for seed in range(seeds):
        ranks = np.random.default_rng(seed).integers(0, 1 << 63, MILLION)
        chosen = taken(ranks, np.zeros(MILLION, np.int64), MILLION)
        for values, whole in zip(shapes, ordered, strict=True):
            for share, value in zip(QUANTILES, quantiles(values[chosen]).values(), strict=True):
                slack = abs(value) * 1e-5
                low, high = np.searchsorted(whole, [value - slack, value + slack]) / MILLION
                worst = max(worst, low - share, share - high)
        counted = Distinct()
        counted.add(ranks.astype(np.uint64) * np.uint64(2) + np.uint64(seed % 2))
        count = max(count, abs(counted.estimate() / MILLION - 1))
    return worst, count


def corpora(shared: Path, folder: Path, languages: int) -> str:
    """Inputs of a spec: the bitext, some languages of each corpus."""
    told = ""
    for path in sorted((shared / "bitext").glob("*.parquet")):
        table = pq.read_table(path, columns=["src", "tgt", "src_lang", "tgt_lang"])
        chosen = sorted(pc.unique(table["src_lang"]).to_pylist())[:languages]
        own = table.filter(pc.is_in(table["src_lang"], pc.cast(chosen, "string")))
        pq.write_table(own, folder / path.name)
        told += INPUT.format(name=path.stem.replace("_", "-"), path=folder / path.name)
    return told


class Clock:
    """Does the units of jobs in this process, and adds up their CPU-seconds by the name of the unit function."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.rows: Counter[str] = Counter()

    def run_units(
        self, work: engine.WorkFunction, items: Sequence[dict[str, Any]], resources: engine.Resources
    ) -> Iterator[dict[str, Any]]:
        for item in items:
            if work is select.select_shard:
                with without_statistics():
                    self._do(work, {**item, "prefix": f"{item['prefix']}-bare"}, "select_shard without statistics")
            yield self._do(work, item, work.__name__)

    def _do(self, work: engine.WorkFunction, item: dict[str, Any], name: str) -> dict[str, Any]:
        started = time.process_time()
        done = work(json.loads(json.dumps(item)))
        self.seconds[name] += time.process_time() - started
        self.rows[name] += done["rows"]
        return done


@contextmanager
def without_statistics() -> Iterator[None]:
    """Select as it would be without what it does for reports."""
    add = Statistics.add
    Statistics.add = lambda self, table, kept: None  # type: ignore[method-assign]
    try:
        yield
    finally:
        Statistics.add = add  # type: ignore[method-assign]


def curate(inputs: str, storage: str, *sets: str) -> dict[str, Any]:
    """The summary of a finished run."""
    loaded = loads(f"kind: curate\nname: sketches\ninputs:\n{inputs}", "sketches.yaml", sets)
    return run_curate(loaded, storage, None, False, "benchmark", lambda line: None).summary


def differences(summary: dict[str, Any], inputs: str, storage: str) -> Iterator[str]:
    """Three points of each curve of RERUN against running the job again."""
    for line in summary["sensitivity"]:
        if line["rule"] in RERUN:
            others = [point for point in line["points"] if point["threshold"] != line["at"]]
            for point in (others[0], others[len(others) // 2], others[-1]):
                setting = f"filters.rules.{line['rule']}={{{line['bound']}: {point['threshold']!r}}}"
                kept = curate(inputs, storage, setting, "report.sensitivity=false")["ledger"]["total"]["kept"]
                yield f"{setting}: curve {point['kept']:,}, run {kept:,}, difference {point['kept'] - kept}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared", type=Path)
    parser.add_argument("--languages", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=100)
    args = parser.parse_args()
    worst, count = rank_errors(args.seeds)
    print(f"a million rows, {args.seeds} seeds: rank error {worst:.4f} at most, distinct count {count:.4f}")
    clock = Clock()
    engine.run_units = clock.run_units
    with tempfile.TemporaryDirectory() as name:
        inputs, storage = corpora(args.shared, Path(name), args.languages), f"{name}/store"
        summary = curate(inputs, storage)
        for stage, seconds in clock.seconds.items():
            rows = clock.rows[stage]
            print(f"{stage:32} {seconds:8.2f} CPU-s {rows:10,} rows {1e6 * seconds / max(rows, 1):8.2f} us a row")
        found = summary["duplicates"]
        print(f"{len(summary['sensitivity'])} curves, exact: {all(line['exact'] for line in summary['sensitivity'])}; ")
        print(f"groups: exact {found['exact']}, near {found['near']}, largest {found['largest'][0]['size']}")
        for line in differences(summary, inputs, storage):
            print(line)


if __name__ == "__main__":
    main()
