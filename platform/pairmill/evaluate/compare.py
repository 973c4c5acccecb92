"""Two evaluate runs on the same rows: is one model better, or luck?

For each task, subset and dimension that both runs have, with the same data (its revision) and the same rows:

1. The difference of the main score, B - A, and its 95 % interval by the paired bootstrap: both models on the same draws
   (Efron 1979; Koehn 2004).
2. p, two-sided. Of a mean over rows by the permutation test: in each of `draws` permutations each row's two values
   change places by a coin (Fisher 1935; Smucker et al. 2007). Of correlations and average precision, which are no
   means, by the bootstrap: how often the draws' differences, moved to 0, are as large as the one found.
3. A task's mean over its subsets likewise; subsets of as many rows are drawn and permuted alike, as translations are.
4. Over all lines of a comparison p is corrected by Holm (1979); below 0.05 the difference is `significant`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from pairmill.errors import SpecError
from pairmill.evaluate import bootstrap
from pairmill.evaluate.tasks import label
from pairmill.evaluate.work import values_of
from pairmill.report import show
from pairmill.runs.record import Run

MEAN = "mean"
LEVEL = 0.05
Json = dict[str, Any]


class Pair(NamedTuple):
    """The values of the same rows in both runs."""

    one: dict[str, np.ndarray]
    other: dict[str, np.ndarray]


class _Effect(NamedTuple):
    """Scores of both, the differences of the bootstrap's draws, and of the permutations (None where no mean)."""

    one: float
    other: float
    drawn: np.ndarray
    permuted: np.ndarray | None


def compare(one: Run, other: Run, draws: int = 10_000) -> Json:
    """`lines`: [{task, subset, dims, metric, rows, a, b, difference, interval, p, p_holm, significant}]; `left_out`:
    what only one of them has, or not on the same data.

    Raises SpecError for runs that are no finished evaluations, or have nothing in common.
    """
    first, second = _tables(one), _tables(other)
    shared, left_out = _shared(first, second)
    if not shared:
        raise SpecError(
            f"runs {one.id} and {other.id} have no task in common that both evaluated on the same data. "
            f"{'; '.join(left_out[:5])}."
        )
    lines: list[Json] = []
    for (task, dims), keys in _by_task(shared).items():
        effects = {}
        for subset in keys:
            metric, pair = shared[task, subset, dims]
            effect = _effect(pair, metric, draws)
            if effect is None:
                left_out.append(f"{task} {subset} {dims}: its rows do not tell {metric}")
                continue
            effects[subset] = (effect, len(pair.one["id"]), metric)
        lines += [_line(task, subset, dims, *found) for subset, found in effects.items()]
        if len(effects) > 1:
            lines.append(_mean_line(task, dims, list(effects.values())))
    return {"a": one.id, "b": other.id, "draws": draws, "lines": _corrected(lines), "left_out": left_out}


def _tables(run: Run) -> dict[tuple[str, str, str], Json]:
    """The run's row files by task, subset (with its split where mteb has several) and dimension."""
    record = run.record() or {}
    if record.get("kind") != "evaluate":
        raise SpecError(f"run {run.id} is a {record.get('kind', 'curate')} run. Compare two runs of kind evaluate.")
    return {
        (one["task"], label(one["subset"], one["split"]), one["dims"]): {**one, "storage": run.storage}
        for one in run.finished_manifest()["files"]["rows"]
    }


def _shared(
    first: dict[tuple[str, str, str], Json], second: dict[tuple[str, str, str], Json]
) -> tuple[dict[tuple[str, str, str], tuple[str, Pair]], list[str]]:
    shared, left_out = {}, []
    for key in [*first, *(key for key in second if key not in first)]:
        name = " ".join(key)
        if key not in first or key not in second:
            left_out.append(f"{name}: only {'A' if key in first else 'B'} has it")
        elif any(first[key][about] != second[key][about] for about in ("revision", "main_score")):
            left_out.append(f"{name}: evaluated on other data, or by another score")
        else:
            pair = Pair(*(values_of(table["storage"], table["path"]) for table in (first[key], second[key])))
            if not np.array_equal(pair.one["id"], pair.other["id"]):
                left_out.append(f"{name}: the rows are not the same")
            else:
                shared[key] = (first[key]["main_score"], pair)
    return shared, left_out


def _by_task(shared: dict[tuple[str, str, str], Any]) -> dict[tuple[str, str], list[str]]:
    found: dict[tuple[str, str], list[str]] = {}
    for task, subset, dims in shared:
        found.setdefault((task, dims), []).append(subset)
    return found


def _effect(pair: Pair, metric: str, draws: int) -> _Effect | None:
    """None where the rows do not tell the score, or a side has none (NaN: one label alone, all cosines the same)."""
    measures = [bootstrap.measure_of(metric, side) for side in pair]
    if measures[0] is None or measures[1] is None:
        return None
    one, other = bootstrap.value(measures[0], pair.one), bootstrap.value(measures[1], pair.other)
    if not np.isfinite(other - one):
        return None
    drawn = bootstrap.drawn(measures[1], pair.other, draws) - bootstrap.drawn(measures[0], pair.one, draws)
    permuted = None
    if metric in pair.one:
        permuted = np.concatenate(list(_permutations(pair.other[metric] - pair.one[metric], draws)))
    return _Effect(one, other, drawn, permuted)


def _permutations(differences: np.ndarray, draws: int) -> Iterator[np.ndarray]:
    """Mean differences where rows change sides by a coin: the same coins for as many rows."""
    random = np.random.default_rng([1, len(differences)])
    size = max(1, 2_000_000 // max(len(differences), 1))
    for start in range(0, draws, size):
        coins = random.integers(0, 2, (min(size, draws - start), len(differences)), np.int8)
        yield (2 * coins.astype(np.float32) - 1) @ differences / len(differences)


def p_value(difference: float, drawn: np.ndarray, permuted: np.ndarray | None) -> float:
    """Two-sided, never 0: the difference found is one of its own permutations. Draws without a score do not count."""
    null = np.abs(drawn[np.isfinite(drawn)] - difference) if permuted is None else np.abs(permuted)
    return float((1 + np.count_nonzero(null >= abs(difference) - 1e-12)) / (1 + len(null)))


def _line(task: str, subset: str, dims: str, effect: _Effect, rows: int, metric: str) -> Json:
    difference = effect.other - effect.one
    figures = {"a": effect.one, "b": effect.other, "difference": difference}
    p = p_value(difference, effect.drawn, effect.permuted)
    about = {"task": task, "subset": subset, "dims": dims, "metric": metric, "rows": rows}
    return {**about, **figures, "interval": bootstrap.interval(effect.drawn), "p": p}


def _mean_line(task: str, dims: str, found: list[tuple[_Effect, int, str]]) -> Json:
    effects = [effect for effect, _, _ in found]
    permuted = [effect.permuted for effect in effects if effect.permuted is not None]
    mean = _Effect(
        float(np.mean([effect.one for effect in effects])),
        float(np.mean([effect.other for effect in effects])),
        np.mean([effect.drawn for effect in effects], 0),
        np.mean(permuted, 0) if len(permuted) == len(effects) else None,
    )
    return _line(task, MEAN, dims, mean, sum(rows for _, rows, _ in found), found[0][2])


def holm(found: list[float]) -> list[float]:
    """p-values corrected for their number (Holm 1979)."""
    corrected, worst = [0.0] * len(found), 0.0
    for rank, number in enumerate(sorted(range(len(found)), key=found.__getitem__)):
        worst = max(worst, min(1.0, found[number] * (len(found) - rank)))
        corrected[number] = worst
    return corrected


def _corrected(lines: list[Json]) -> list[Json]:
    corrected = holm([line["p"] for line in lines])
    return [{**line, "p_holm": p, "significant": p < LEVEL} for line, p in zip(lines, corrected, strict=True)]


def table(found: Json) -> str:
    """A comparison as text; scores x 100."""
    rows: list[tuple[str, ...]] = [
        ("TASK", "SUBSET", "DIMS", "SCORE", "ROWS", "A", "B", "B - A", "95 %", "P", "P (HOLM)", "")
    ]
    for line in found["lines"]:
        low, high = line["interval"] or (math.nan, math.nan)
        scores = [f"{100 * line[name]:.2f}" for name in ("a", "b")]
        change = [f"{100 * line['difference']:+.2f}", f"{100 * low:+.2f} to {100 * high:+.2f}"]
        chances = [f"{line['p']:.4f}", f"{line['p_holm']:.4f}", "significant" if line["significant"] else ""]
        names = [show.one_line(str(line[name]), 60) for name in ("task", "subset", "dims", "metric")]
        rows.append((*names, f"{line['rows']:,}", *scores, *change, *chances))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    about = [f"A {found['a']}", f"B {found['b']}", ""]
    rest = [f"left out: {show.one_line(one, 300)}" for one in found["left_out"]]
    return "\n".join([*about, *lines, *([""] if rest else []), *rest])
