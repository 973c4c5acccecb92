"""Scores of parts of a task's rows: by the length of their texts, and by their script.

Rows of all subsets are taken together. A slice of fewer than FEWEST rows has no score of its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pairmill.evaluate import bootstrap

#: Longest texts of the slices, in characters.
LENGTHS = (25, 50, 100, 200, 400, 800, 1600, 3200)
FEWEST = 20


def of_rows(tables: list[dict[str, np.ndarray]], metric: str, draws: int) -> dict[str, list[dict[str, Any]]]:
    """`length` and `script`: [{name, rows, value, interval}], in the order of length and of size."""
    tables = [table for table in tables if len(table.get("length", ()))]
    if not tables or not any(table["length"].any() for table in tables):
        return {}
    values = {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
    bins = np.searchsorted(LENGTHS, values["length"])
    scripts, counts = np.unique(values["script"].astype(str), return_counts=True)
    by_length = [(_range(number), bins == number) for number in np.unique(bins)]
    ranked = scripts[np.argsort(-counts, kind="stable")]
    by_script = [(str(name), values["script"] == name) for name in ranked]
    return {
        "length": [_slice(name, values, rows, metric, draws) for name, rows in by_length],
        "script": [_slice(name, values, rows, metric, draws) for name, rows in by_script],
    }


def _range(number: int) -> str:
    low = LENGTHS[number - 1] + 1 if number else 0
    return f"{low:,} to {LENGTHS[number]:,}" if number < len(LENGTHS) else f"{low:,} and more"


def _slice(name: str, values: dict[str, np.ndarray], rows: np.ndarray, metric: str, draws: int) -> dict[str, Any]:
    count = int(rows.sum())
    told: dict[str, Any] = {"name": name, "rows": count, "value": None, "interval": None}
    some = {column: found[rows] for column, found in values.items()}
    measure = bootstrap.measure_of(metric, some)
    if measure is None or count < FEWEST:
        return told
    found = bootstrap.value(measure, some)
    if not np.isfinite(found):
        return told
    return {**told, "value": found, "interval": bootstrap.interval(bootstrap.drawn(measure, some, draws))}
