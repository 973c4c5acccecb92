"""One training batch, forward and backward, however large: gradient caching over micro-batches and ranks.

    embeddings e = f(x); loss L(e) over the whole global batch; dL/dw = sum_i dL/de_i . de_i/dw

1. Every rank embeds its rows in micro-batches of at most so many tokens, without a graph where there are several.
2. The embeddings of all ranks are gathered. Each rank computes the part of the loss its rows account for, and from it
   gradients of all embeddings; these are summed over the ranks, each rank taking those of its own rows.
3. Each micro-batch is embedded again with a graph, by the same random numbers, and the gradients of its embeddings go
   on to the weights. Where one micro-batch holds all, its first graph is used and nothing is done twice.
4. The gradients of the weights are summed over the ranks.

So the gradient is that of one batch on one rank, masks and hard negatives included (Gao et al. 2021, arXiv 2101.06983).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from pairmill.train.objectives.base import Embedded, Meta, Objective

SIMILARITIES = 1 << 26  # numbers of one similarity matrix that are held at a time

Tokens = list[np.ndarray]
Embed = Callable[[Tokens], Tensor]


class Batch(NamedTuple):
    """A rank's rows of a global batch: token ids of b texts a side, of b * h hard negatives, and what is known of them.

    `meta` is of all rows of the global batch; `teacher` holds the token ids of the sides a teacher reads.
    """

    anchor: Tokens
    positive: Tokens | None
    negatives: Tokens | None
    meta: Meta
    teacher: dict[str, Tokens]


@dataclass
class World:
    """The ranks that train together; one rank needs no process group."""

    rank: int = 0
    size: int = 1
    sharded: bool = False  # parameters are, so that a pass of one rank needs one of all others
    device: torch.device | None = None  # of messages; None: the CPU

    def passes(self, wanted: int) -> int:
        """How many forward passes a rank with `wanted` micro-batches makes: with shards, as many as the others."""
        if not self.sharded:
            return wanted
        most = torch.tensor([wanted], device=self.device)
        torch.distributed.all_reduce(most, torch.distributed.ReduceOp.MAX)
        return int(most)

    def first(self, value: int) -> int:
        """The value that rank 0 has."""
        return int(self.sum(torch.tensor([int(value) if self.rank == 0 else 0], device=self.device)))

    def gather(self, values: Tensor) -> Tensor:
        """Tensors of equal shape from all ranks, one behind the other."""
        if self.size == 1:
            return values
        parts = [torch.empty_like(values) for _ in range(self.size)]
        torch.distributed.all_gather(parts, values.contiguous())
        return torch.cat(parts)

    def sum(self, values: Tensor) -> Tensor:
        """The sum over the ranks, in place."""
        if self.size > 1:
            torch.distributed.all_reduce(values)
        return values


@dataclass
class Randomness:
    """Random numbers of dropout, keyed by what they are for: the same key, the same numbers."""

    seed: int
    step: int
    rank: int

    def key(self, *parts: int | str) -> int:
        text = f"{self.seed}/{self.step}/{self.rank}/{'/'.join(map(str, parts))}"
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=7).digest(), "little")

    def start(self, *parts: int | str) -> None:
        torch.manual_seed(self.key(*parts))


@dataclass
class Cached:
    """How batches go through `encode`, the model that is trained, and `teach`, a frozen one."""

    encode: Embed
    objective: Objective
    world: World = field(default_factory=World)
    micro_batch: int = 16_384
    teach: Embed | None = None

    def backward(self, batch: Batch, randomness: Randomness, weight: float = 1.0) -> dict[str, float]:
        """Add the gradient of `weight` times the loss of the global batch to the parameters' own; returns statistics.

        With several ranks, `sum_gradients` must follow once all batches of a step are through.
        """
        texts = batch.anchor + (batch.positive or []) + (batch.negatives or [])
        pieces = list(micro_batches(texts, self.micro_batch))
        passes = self.world.passes(len(pieces))
        if passes == 1:
            randomness.start(0)
            vectors = self.encode([texts[i] for i in pieces[0]])
            found = vectors[np.argsort(pieces[0])]
            gradient, statistics = self._loss(found.detach(), batch, weight)
            found.backward(gradient)
            return statistics
        with torch.no_grad():
            found = embed(self._seeded(randomness), texts, pieces, passes)
        gradient, statistics = self._loss(found, batch, weight)
        for number in range(passes):
            rows = pieces[min(number, len(pieces) - 1)]
            randomness.start(number)
            vectors = self.encode([texts[i] for i in rows])
            vectors.backward(gradient[rows] if number < len(pieces) else torch.zeros_like(vectors))
        return statistics

    def _seeded(self, randomness: Randomness) -> Embed:
        """`encode` with the random numbers of the first, second, ... micro-batch."""
        numbers = count()

        def encode(texts: Tokens) -> Tensor:
            randomness.start(next(numbers))
            return self.encode(texts)

        return encode

    def _loss(self, local: Tensor, batch: Batch, weight: float) -> tuple[Tensor, dict[str, float]]:
        """The gradient of the loss with respect to this rank's embeddings, and statistics."""
        b, rank = len(batch.anchor), self.world.rank
        leaf = self._global(local, batch).requires_grad_()
        sides = leaf.split([part * self.world.size for part in _parts(batch)])
        given = Embedded(
            sides[0],
            sides[1] if batch.positive else None,
            sides[-1].unflatten(0, (b * self.world.size, -1)) if batch.negatives else None,
            *(self._taught(batch.teacher.get(side)) for side in ("anchor", "positive")),
        )
        known: list[Any] = [None if value is None else value.to(leaf.device) for value in batch.meta]
        meta = Meta(*known)
        total: dict[str, float] = {}
        for rows in _slices(rank * b, b, SIMILARITIES // max(1, len(leaf))):
            (self.objective(given, meta, rows) * weight).backward(retain_graph=True)
            for name, value in self.objective.statistics.items():
                total[name] = total.get(name, 0.0) + value * (rows.stop - rows.start) / b
        assert leaf.grad is not None, "an objective depends on the embeddings"
        mine = [part[rank * size : (rank + 1) * size] for part, size in self._by_side(leaf.grad, batch)]
        return torch.cat(mine), total

    def _global(self, local: Tensor, batch: Batch) -> Tensor:
        """All ranks' embeddings: all anchors, then all positives, then all negatives."""
        return torch.cat([self.world.gather(part) for part in local.split(_parts(batch))]).detach()

    def _by_side(self, gradient: Tensor, batch: Batch) -> Iterator[tuple[Tensor, int]]:
        summed = self.world.sum(gradient)
        sizes = _parts(batch)
        yield from zip(summed.split([size * self.world.size for size in sizes]), sizes, strict=True)

    def _taught(self, texts: Tokens | None) -> Tensor | None:
        """The teacher's embeddings of one side of the global batch."""
        if texts is None or self.teach is None:
            return None
        with torch.no_grad():
            return self.world.gather(embed(self.teach, texts, list(micro_batches(texts, self.micro_batch))))


def embed(encode: Embed, texts: Tokens, pieces: Sequence[np.ndarray], passes: int = 0) -> Tensor:
    """Embeddings (n, d) of texts, one forward pass for each piece; passes beyond these repeat the last, for nothing."""
    found: Tensor | None = None
    for rows in pieces:
        vectors = encode([texts[i] for i in rows])
        found = vectors.new_empty(len(texts), vectors.shape[1]) if found is None else found
        found[rows] = vectors
    for _ in range(passes - len(pieces)):
        encode([texts[i] for i in pieces[-1]])
    assert found is not None, "there are texts"
    return found


def micro_batches(texts: Sequence[np.ndarray], tokens: int) -> Iterator[np.ndarray]:
    """Row numbers of texts, by length, cut so that a piece has at most so many tokens (or one text)."""
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    order = np.argsort(lengths, kind="stable")
    ends, start = np.cumsum(lengths[order]), 0
    while start < len(order):
        before = ends[start - 1] if start else 0
        end = max(start + 1, int(np.searchsorted(ends, before + tokens, side="right")))
        yield order[start:end]
        start = end


def sum_gradients(parameters: Sequence[torch.nn.Parameter], world: World) -> None:
    """Sum the gradients of all ranks, a few large messages instead of one per parameter.

    A parameter that no rank has a gradient of stays without one, so that the optimiser leaves it alone as on one rank.
    """
    if world.size == 1 or not parameters:
        return
    there = [parameter.grad is not None for parameter in parameters]
    counts = world.sum(torch.tensor(there, dtype=torch.int32, device=parameters[0].device)).tolist()
    for group in _by_kind([parameter for parameter, ranks in zip(parameters, counts, strict=True) if ranks]):
        flat = world.sum(torch.cat([gradient.reshape(-1) for gradient in group]))
        for gradient, summed in zip(group, flat.split([g.numel() for g in group]), strict=True):
            gradient.copy_(summed.view_as(gradient))


def _by_kind(parameters: Sequence[torch.nn.Parameter]) -> Iterator[list[Tensor]]:
    """Gradients of one type, some 64 Mi numbers at a time; a rank without one of a parameter has zeros."""
    groups: dict[torch.dtype, list[Tensor]] = {}
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        group = groups.setdefault(parameter.dtype, [])
        group.append(parameter.grad)
        if sum(g.numel() for g in group) > 1 << 26:
            yield groups.pop(parameter.dtype)
    yield from groups.values()


def _parts(batch: Batch) -> list[int]:
    """How many texts each side of a rank has."""
    return [len(side) for side in (batch.anchor, batch.positive, batch.negatives) if side]


def _slices(start: int, count: int, largest: int) -> Iterator[slice]:
    """Cut `count` rows from `start` on into runs of at most `largest`."""
    step = max(1, min(largest, count))
    for at in range(start, start + count, step):
        yield slice(at, min(at + step, start + count))
