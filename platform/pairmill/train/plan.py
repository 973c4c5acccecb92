"""The batch plan: what a step trains on is a pure function of seed, step and the groups' sizes.

1. Shares. A group's share of the steps is p_i = n_i^alpha / sum_j n_j^alpha for n_i rows (GTE, arXiv 2308.03281), or
   its entry's declared weight, divided among the entry's groups by n_i^alpha. Steps are apportioned exactly (largest
   remainder), each stage of a schedule by itself.
2. Order. The k-th of a group's c steps falls at a random point of the k-th of c equal parts of the stage, so that
   groups mix evenly: between two steps of a group pass at most two parts.
3. Rows. A group's steps read its rows one after the other, epoch after epoch; the last batch of an epoch runs on into
   the next. Epoch 0 has the order of the file, which is shuffled. A later epoch permutes blocks of 4,096 rows and
   then the rows of every 16 consecutive blocks, so that a batch touches few row batches of the file.

Ranks take parts of a global batch, which does not depend on their number. Starting at any step costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pairmill.errors import PairmillError

BLOCK_ROWS = 4096
WINDOW_BLOCKS = 16


@dataclass(frozen=True)
class Group:
    """Rows that share batches: of one entry, or of one language pair of it."""

    name: str
    entry: str
    rows: int
    batch: int | None = None  # rows per step, where not the plan's
    weight: float | None = None  # of its entry; given for all groups or for none


@dataclass(frozen=True)
class Stage:
    """Weights by entry, for the steps before `until` (None: to the end)."""

    until: int | None
    weights: Mapping[str, float]


@dataclass(frozen=True)
class Step:
    """One global batch. `rows` (batch,) int64 are row numbers in the group; `epoch` is that of the first."""

    number: int
    group: Group
    epoch: int
    rows: np.ndarray

    def part(self, rank: int, world: int) -> slice:
        """The part of the batch that one of `world` ranks takes."""
        count = len(self.rows)
        return slice(rank * count // world, (rank + 1) * count // world)


class Plan:
    """All steps of a training. `batch` is the global batch size; give `steps` or `epochs` of all rows.

    Raises PairmillError where a group has fewer rows than a batch, or the schedule gives no group a step.
    """

    def __init__(
        self,
        groups: Sequence[Group],
        batch: int,
        steps: int | None = None,
        epochs: float | None = None,
        alpha: float = 1.0,
        schedule: Sequence[Stage] = (),
        seed: int = 0,
    ):
        self.groups, self.batch, self.seed = tuple(groups), batch, seed
        self._check()
        self.steps = _steps(self.groups, batch, epochs) if steps is None else steps
        self._order = np.empty(self.steps, np.int32)
        for number, (start, stop, stage) in enumerate(_stages(schedule, self.steps)):
            counts = apportion(_weights(self.groups, alpha, stage), stop - start)
            self._order[start:stop] = _mixed(counts, np.random.default_rng((seed, 0, number)))
        self._earlier = _earlier(self._order)
        self._rows = lru_cache(maxsize=2 * len(self.groups) + 2)(self._window)
        self._blocks = lru_cache(maxsize=2 * len(self.groups) + 2)(self._block_order)

    def __len__(self) -> int:
        return self.steps

    def step(self, number: int) -> Step:
        """The global batch of a step, 0 <= number < len(plan)."""
        if not 0 <= number < self.steps:
            raise IndexError(f"step {number} of a plan of {self.steps} steps")
        index = int(self._order[number])
        group = self.groups[index]
        size = group.batch or self.batch
        start = int(self._earlier[number]) * size
        return Step(number, group, start // group.rows, self._read(index, start, size))

    def shares(self) -> dict[str, int]:
        """Steps by group name."""
        counts = np.bincount(self._order, minlength=len(self.groups))
        return {group.name: int(count) for group, count in zip(self.groups, counts, strict=True)}

    def _check(self) -> None:
        if not self.groups:
            raise PairmillError("data: no entry has rows to train on: see the counts of dropped rows by reason.")
        for group in self.groups:
            size = group.batch or self.batch
            if group.rows < size:
                raise PairmillError(
                    f"data: group {group.name} has {group.rows:,} rows, fewer than a batch of {size:,}. Give its entry "
                    f"a batch_size of at most {group.rows:,}, more rows, or batch_by: entry; or leave it out."
                )

    def _read(self, index: int, start: int, count: int) -> np.ndarray:
        """`count` rows of a group from position `start` of its endless sequence of epochs."""
        total, parts = self.groups[index].rows, []
        while count:
            epoch, at = divmod(start, total)
            if epoch == 0:
                taken = np.arange(at, min(at + count, total), dtype=np.int64)
            else:
                window, offset = divmod(at, BLOCK_ROWS * WINDOW_BLOCKS)
                taken = self._rows(index, epoch, window)[offset : offset + count]
            parts.append(taken)
            start, count = start + len(taken), count - len(taken)
        return np.concatenate(parts)

    def _block_order(self, index: int, epoch: int) -> np.ndarray:
        """Numbers of the group's blocks; one that is not full stays last, so that windows begin at multiples."""
        full, rest = divmod(self.groups[index].rows, BLOCK_ROWS)
        order = np.random.default_rng((self.seed, 1, index, epoch)).permutation(full)
        return np.append(order, full) if rest else order

    def _window(self, index: int, epoch: int, window: int) -> np.ndarray:
        """The rows of a window of an epoch, permuted."""
        chosen = self._blocks(index, epoch)[window * WINDOW_BLOCKS : (window + 1) * WINDOW_BLOCKS]
        rows = (chosen[:, None] * BLOCK_ROWS + np.arange(BLOCK_ROWS)).ravel()
        rows = rows[rows < self.groups[index].rows]
        return np.random.default_rng((self.seed, 2, index, epoch, window)).permutation(rows)


def apportion(weights: np.ndarray, count: int) -> np.ndarray:
    """`count` seats in proportion to weights (n,), by largest remainder; equal remainders: the first."""
    exact = weights / weights.sum() * count
    seats = np.floor(exact + 1e-9).astype(np.int64)
    rest = np.argsort(-np.round(exact - seats, 9), kind="stable")[: count - int(seats.sum())]
    seats[rest] += 1
    return seats


def _steps(groups: Sequence[Group], batch: int, epochs: float | None) -> int:
    """The steps that `epochs` passes over all rows take."""
    if epochs is None:
        raise ValueError("a plan needs either steps or epochs")
    return max(1, round(epochs * sum(group.rows / (group.batch or batch) for group in groups)))


def _stages(schedule: Sequence[Stage], steps: int) -> list[tuple[int, int, Stage | None]]:
    """(first step, behind the last, weights) of the stages; behind a schedule's end, its last weights hold."""
    stages: list[tuple[int, int, Stage | None]] = []
    start = 0
    for number, stage in enumerate(schedule):
        last = number == len(schedule) - 1
        stop = steps if last or stage.until is None else min(stage.until, steps)
        if stop > start:
            stages.append((start, stop, stage))
        start = max(start, stop)
    return stages if schedule else [(0, steps, None)]


def _weights(groups: Sequence[Group], alpha: float, stage: Stage | None) -> np.ndarray:
    """Relative shares (groups,)."""
    sizes = np.array([group.rows for group in groups], float) ** alpha
    declared = [stage.weights.get(group.entry, 0.0) if stage else group.weight for group in groups]
    if any(weight is None for weight in declared):
        return sizes
    entries = np.unique([group.entry for group in groups], return_inverse=True)[1]
    shares = sizes / np.bincount(entries, sizes)[entries] * np.array(declared, float)
    if not shares.sum():
        raise PairmillError("mixing.schedule: the entries with weights have no rows to train on. Weigh others.")
    return shares


def _mixed(counts: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Group numbers in stratified random order: each number i counts[i] times."""
    numbers = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    times = (_earlier(numbers) + random.random(len(numbers))) / counts[numbers]
    return numbers[np.argsort(times, kind="stable")]


def _earlier(numbers: np.ndarray) -> np.ndarray:
    """For each element how often its value occurs before it."""
    order = np.argsort(numbers, kind="stable")
    starts = np.append(0, np.cumsum(np.bincount(numbers)))[numbers[order]] if len(numbers) else order
    found = np.empty(len(numbers), np.int64)
    found[order] = np.arange(len(numbers)) - starts
    return found
