"""Maps from a model's vectors of one language to those of another: orthogonal Procrustes, ridge, a small MLP.

X (n, d) are the vectors of n foreign texts, Y (n, d) those of their translations, both less their means (`center`):

- procrustes: the orthogonal W that minimises |X W - Y|: U V' for X'Y = U S V' (Schönemann 1966; of word vectors
  Xing et al. 2015)
- ridge: the W that minimises |X W - Y|^2 + penalty |W|^2: (X'X + penalty I)^-1 X'Y. Where no penalty is given, the one
  whose leave-one-out error is smallest: row i's residual over 1 - h_i - 1/n, with h_i = x_i (X'X + penalty I)^-1 x_i'.
  `towards: identity` penalises |W - I|^2: with few pairs a vector stays where it is, not at the mean
- mlp: W2 gelu(W1 x + b1) + b2 that minimises 1 - cos to y, by AdamW; of its epochs the one whose mean on a tenth of the
  pairs, which it does not learn from, is best
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pairmill.spec.maps import Map

VERSION = 1
PENALTIES = 10.0 ** np.arange(-4, 5)
_BATCH, _RATE, _EPOCHS, _PATIENCE = 256, 1e-3, 200, 10
_HELD_OUT = 10  # one pair in ten


class Fitted(NamedTuple):
    """A map, by the arrays that it is made of, and what its fitting tells."""

    arrays: dict[str, np.ndarray]
    facts: dict[str, float]


def fit(spec: Map, foreign: np.ndarray, english: np.ndarray) -> Fitted:
    """The map that the spec asks for, from vectors X (n, d) and Y (n, d)."""
    if spec.method == "mlp":
        return mlp(foreign, english, spec.hidden, spec.seed)
    x, y = foreign.astype(np.float64), english.astype(np.float64)
    means = (x.mean(0), y.mean(0)) if spec.center else (np.zeros(x.shape[1]), np.zeros(y.shape[1]))
    x, y = x - means[0], y - means[1]
    facts: dict[str, float] = {}
    if spec.method == "procrustes":
        weights = procrustes(x, y)
    else:
        own = np.eye(x.shape[1]) if spec.towards == "identity" else np.zeros((x.shape[1], y.shape[1]))
        penalty = spec.penalty or best_penalty(x, y - x @ own, centred=spec.center)
        weights, facts = own + ridge(x, y - x @ own, penalty), {"penalty": penalty}
    return Fitted({"from": means[0], "weights": weights, "to": means[1]}, facts)


def apply(arrays: dict[str, np.ndarray], vectors: np.ndarray) -> np.ndarray:
    """The images (n, d) float32 of vectors (n, d)."""
    if "weights" in arrays:
        return ((vectors - arrays["from"]) @ arrays["weights"] + arrays["to"]).astype(np.float32)
    import torch
    import torch.nn.functional as F

    w1, b1, w2, b2 = (torch.from_numpy(arrays[name]) for name in ("0.weight", "0.bias", "2.weight", "2.bias"))
    found: np.ndarray = F.linear(F.gelu(F.linear(torch.from_numpy(vectors), w1, b1)), w2, b2).numpy()
    return found


def procrustes(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """W (d, d), orthogonal."""
    left, _, right = np.linalg.svd(x.T @ y)
    found: np.ndarray = left @ right
    return found


def ridge(x: np.ndarray, y: np.ndarray, penalty: float) -> np.ndarray:
    """W (d, d)."""
    found: np.ndarray = np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ y)
    return found


def best_penalty(x: np.ndarray, y: np.ndarray, centred: bool = True) -> float:
    """The penalty of PENALTIES with the smallest leave-one-out error."""
    values, vectors = np.linalg.eigh(x.T @ x)
    turned, target = x @ vectors, vectors.T @ (x.T @ y)
    errors = []
    for penalty in PENALTIES:
        scale = 1 / (np.maximum(values, 0) + penalty)
        leverage = (turned**2) @ scale + (1 / len(x) if centred else 0)
        residual = (y - turned @ (scale[:, None] * target)) / np.maximum(1 - leverage, 1e-9)[:, None]
        errors.append(float((residual**2).sum()))
    return float(PENALTIES[int(np.argmin(errors))])


def mlp(x: np.ndarray, y: np.ndarray, hidden: int, seed: int) -> Fitted:
    """One hidden layer; the same weights for the same pairs, seed and number of threads."""
    import torch
    import torch.nn.functional as F

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = torch.nn.Sequential(
            torch.nn.Linear(x.shape[1], hidden), torch.nn.GELU(), torch.nn.Linear(hidden, y.shape[1])
        )
        order = torch.randperm(len(x))
        given, wanted = torch.from_numpy(x)[order], torch.from_numpy(y)[order]
        held = max(1, len(x) // _HELD_OUT)
        optimizer = torch.optim.AdamW(model.parameters(), lr=_RATE)
        best, state, epoch, since = -2.0, {}, 0, 0
        while epoch < _EPOCHS and since < _PATIENCE:
            for rows in (torch.randperm(len(x) - held) + held).split(_BATCH):
                optimizer.zero_grad()
                (1 - F.cosine_similarity(model(given[rows]), wanted[rows])).mean().backward()
                optimizer.step()
            epoch, since = epoch + 1, since + 1
            with torch.no_grad():
                found = float(F.cosine_similarity(model(given[:held]), wanted[:held]).mean())
            if found > best:
                best, since = found, 0
                state = {name: weight.detach().clone().numpy() for name, weight in model.state_dict().items()}
    return Fitted(state, {"epochs": epoch - since, "held_out_cosine": best})
