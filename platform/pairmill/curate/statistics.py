"""What a report says about all rows of a run: how scores, lengths and confidences are spread, how many texts differ.

The stage select offers each shard's rows to a `Statistics`, which commits one small file; the driver merges the files.
Histograms and extents are exact, quantiles those of a sample, distinct texts estimated: see `sketches`. The file is the
sample as Parquet, a column of float32 for each of `columns`, with everything else as JSON in its schema's metadata.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pairmill.curate import thresholds
from pairmill.curate.samples import ranks
from pairmill.curate.sketches import distinct, sample
from pairmill.curate.sketches.distinct import Distinct
from pairmill.curate.sketches.histogram import Histogram
from pairmill.pairs.hashing import hash128
from pairmill.runs.storage import Storage

SIDES = ("anchor", "positive")
LENGTHS = {"anchor": "characters", "positive": "characters", "ratio": "positive / anchor characters"}
_METADATA = b"pairmill.statistics"


class Statistics:
    """The statistics of a shard, or of a run of `rows` rows. `columns`: the names of its score columns."""

    def __init__(self, columns: Sequence[str], rows: int):
        self.columns, self._rows = list(columns), rows
        self._histograms: dict[str, Histogram] = {}
        self._distinct = {side: Distinct() for side in SIDES}
        self._sample: dict[str, list[np.ndarray]] = {}

    def add(self, table: pa.Table, kept: np.ndarray) -> None:
        """Count rows: a table with the score columns, sides, origins and, where known, the sides' confidences."""
        lengths = {side: np.asarray(pc.utf8_length(table[side]), np.float64) for side in SIDES}
        chosen = sample.taken(ranks(table), _mixed(lengths), self._rows)
        for name, values in self._numbers(table, lengths):
            self._histograms.setdefault(name, Histogram()).add(values, kept)
            self._sample.setdefault(name, []).append(values[chosen].astype(np.float32))
        for side in SIDES:
            texts = table[side].filter(pa.array(kept)).combine_chunks()
            self._distinct[side].add(hash128(texts)[:, 0])

    def _numbers(self, table: pa.Table, lengths: dict[str, np.ndarray]) -> list[tuple[str, np.ndarray]]:
        """Everything whose distribution is kept, by name: a score's column, `lengths.<side>`, `confidence.<side>`."""
        anchor, positive = lengths["anchor"], lengths["positive"]
        ratio = np.divide(positive, anchor, out=np.full(len(anchor), np.nan), where=anchor > 0)
        found = [(name, thresholds.numbers(table[name])) for name in self.columns]
        found += [(f"lengths.{name}", values) for name, values in {**lengths, "ratio": ratio}.items()]
        own = [side for side in SIDES if f"{side}_confidence" in table.column_names]
        return found + [(f"confidence.{side}", thresholds.numbers(table[f"{side}_confidence"])) for side in own]

    def write(self, storage: Storage, path: str) -> None:
        """Write the statistics' file."""
        facts = {
            "histograms": {name: histogram.to_json() for name, histogram in self._histograms.items()},
            "distinct": {side: counted.to_json() for side, counted in self._distinct.items()},
        }
        columns = {name: pa.array(self.sampled(name)) for name in self._histograms}
        schema = pa.schema([(name, pa.float32()) for name in columns], {_METADATA: json.dumps(facts)})
        with storage.parquet_writer(path, schema) as writer:
            writer.write_table(pa.table(columns, schema=schema))

    def merge(self, storage: Storage, path: str) -> None:
        """Add what another one wrote."""
        with storage.reading(path), storage.open_parquet(path) as file:
            facts = json.loads(file.schema_arrow.metadata[_METADATA])
            table = file.read()
        for name, other in facts["histograms"].items():
            self._histograms.setdefault(name, Histogram()).merge(other)
            self._sample.setdefault(name, []).append(table[name].to_numpy())
        for side, registers in facts["distinct"].items():
            self._distinct[side].merge(registers)

    def sampled(self, name: str) -> np.ndarray:
        """The sample's values (n,) float32 of a score, length or confidence; NaN where there is none."""
        parts = self._sample.get(name, [])
        return np.concatenate(parts) if parts else np.empty(0, np.float32)

    def summary(self, scores: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """The summary's `scores`, `lengths`, `confidence`, `distinct`. `scores`: what to say of each score column."""
        if not self._histograms:
            return {}
        told = [{"name": name, **about, **self._spread(name)} for name, about in scores.items()]
        lengths = {name: {"unit": unit, **self._spread(f"lengths.{name}")} for name, unit in LENGTHS.items()}
        counted = {side: self._distinct[side].estimate() for side in SIDES}
        found = {"scores": told, "lengths": lengths, "distinct": {**counted, "error": round(distinct.ERROR, 4)}}
        sides = [side for side in SIDES if f"confidence.{side}" in self._histograms]
        if sides:
            own = {side: {"unit": "confidence", **self._spread(f"confidence.{side}")} for side in sides}
            found["confidence"] = own
        return found

    def _spread(self, name: str) -> dict[str, Any]:
        values = self.sampled(name)
        integers = bool(np.all(np.isnan(values) | (np.floor(values) == values)))
        return {**self._histograms.get(name, Histogram()).seen(integers), "quantiles": sample.quantiles(values)}


def _mixed(lengths: dict[str, np.ndarray]) -> np.ndarray:
    return lengths["anchor"].astype(np.int64) << 32 | lengths["positive"].astype(np.int64)
