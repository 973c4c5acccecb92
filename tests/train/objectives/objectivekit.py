"""Batches for tests of objectives, and comparison of two losses in value and gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from pydantic import TypeAdapter
from torch import Tensor, nn

from pairmill.spec.objectives import Matryoshka, Terms
from pairmill.train.objectives import Embedded, Meta, Objective, build

N, H, D = 7, 2, 6


def objective(*terms: dict[str, Any] | str, matryoshka: dict[str, Any] | None = None) -> Objective:
    """An objective as a spec writes it, in float64."""
    checked = TypeAdapter(Terms).validate_python(list(terms))
    return build(checked, Matryoshka(**matryoshka) if matryoshka else None).double()


def embedded(seed: int = 0, n: int = N, h: int = H, d: int = D) -> Embedded:
    """Random float64 embeddings, partners near each other; the student's ask for gradients."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    anchor = draw(n, d)
    student = [anchor, anchor + draw(n, d), anchor[:, None] + 1.5 * draw(n, h, d)]
    return Embedded(*(x.requires_grad_() for x in student), draw(n, d), draw(n, d))


def meta(n: int = N, h: int = H, **changes: Tensor) -> Meta:
    """All texts different, scores and labels that vary."""
    ids = torch.arange(n * (2 + h))
    plain = Meta(
        anchor_ids=ids[:n],
        positive_ids=ids[n : 2 * n],
        negative_ids=ids[2 * n :].reshape(n, h),
        score=(torch.arange(n) * 3 % 8) / 8.0,
        label=torch.arange(n) % 3,
        scores=torch.cos(torch.arange(n * (1 + h), dtype=torch.float64)).reshape(n, 1 + h) * 3,
    )
    return plain._replace(**changes)


def gradients(loss: Tensor, *inputs: Tensor | None) -> list[Tensor]:
    """Gradients of a loss in its inputs, zeros where it does not depend on one."""
    given = [x for x in inputs if x is not None and x.requires_grad]
    return list(torch.autograd.grad(loss, given, allow_unused=True, materialize_grads=True, retain_graph=True))


def assert_equal(ours: Tensor, theirs: Tensor, inputs: Iterable[Tensor | None], tolerance: float = 1e-10) -> None:
    """Equal values and gradients, and a gradient that is not zero."""
    torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance, check_dtype=False)
    found = gradients(ours, *inputs)
    assert any(bool(gradient.abs().max() > 1e-6) for gradient in found)
    for mine, other in zip(found, gradients(theirs, *inputs), strict=True):
        torch.testing.assert_close(mine, other, rtol=tolerance, atol=tolerance)


def cos(first: Tensor, second: Tensor) -> Tensor:
    """Cosine of two vectors, written out."""
    return (first * second).sum() / (first * first).sum().sqrt() / (second * second).sum().sqrt()


def mean(values: Iterable[Tensor]) -> Tensor:
    listed = list(values)
    return torch.stack(listed).sum() / len(listed)


class GivenEmbeddings(nn.Module):
    """Stands for a SentenceTransformer: the "features" of a column are its embeddings."""

    def __init__(self, tokenizer: object = None) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self.max_seq_length = 8

    def forward(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"sentence_embedding": features["given"]}

    def get_embedding_dimension(self) -> int:
        return D


def features(*columns: Tensor) -> list[dict[str, Tensor]]:
    return [{"given": column} for column in columns]


Formula = Callable[[Embedded, Meta], Tensor]
