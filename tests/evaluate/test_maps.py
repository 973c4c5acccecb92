"""Maps between vectors: as SciPy and scikit-learn fit them, and as their formulas say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pairmill.evaluate import maps
from pairmill.spec.maps import Map

RANDOM = np.random.default_rng(0)


def spec(method: str, **more: Any) -> Map:
    return Map.model_validate({"method": method, "language": "de", "run": "bitext-1", **more})


def vectors(rows: int, width: int = 12) -> np.ndarray:
    """Unit vectors with a mean, as embeddings have one."""
    made = RANDOM.normal(size=(rows, width)) + 0.3
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("center", [False, True])
def test_procrustes_is_scipys(center: bool) -> None:
    scipy_linalg = pytest.importorskip("scipy.linalg")
    x, y = vectors(200), vectors(200)
    found = maps.fit(spec("procrustes", center=center), x, y).arrays
    one, other = (side - side.mean(0) if center else side for side in (x.astype(float), y.astype(float)))
    expected, _ = scipy_linalg.orthogonal_procrustes(one, other)
    np.testing.assert_allclose(found["weights"], expected, atol=1e-10)
    np.testing.assert_allclose(found["weights"] @ found["weights"].T, np.eye(12), atol=1e-10)
    image = one @ expected + (y.mean(0) if center else 0)
    np.testing.assert_allclose(maps.apply(found, x), image, atol=1e-5)


def test_procrustes_finds_a_rotation_and_a_move_again() -> None:
    x = vectors(100)
    turn, _ = np.linalg.qr(RANDOM.normal(size=(12, 12)))
    y = (x @ turn + 0.7).astype(np.float32)
    np.testing.assert_allclose(maps.apply(maps.fit(spec("procrustes"), x, y).arrays, x), y, atol=1e-5)


@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize("penalty", [0.01, 3.0])
def test_ridge_is_scikit_learns(center: bool, penalty: float) -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    x, y, other = vectors(60), vectors(60), vectors(20)
    fitted = maps.fit(spec("ridge", center=center, penalty=penalty), x, y)
    expected = linear.Ridge(alpha=penalty, fit_intercept=center).fit(x.astype(float), y.astype(float))
    np.testing.assert_allclose(fitted.arrays["weights"], expected.coef_.T, atol=1e-8)
    np.testing.assert_allclose(maps.apply(fitted.arrays, other), expected.predict(other), atol=1e-5)


def test_ridge_towards_the_identity_solves_its_own_equations_and_leaves_vectors_alone_without_evidence() -> None:
    x, y = vectors(60), vectors(60)
    found = maps.fit(spec("ridge", towards="identity", penalty=0.5, center=False), x, y).arrays["weights"]
    one, other = x.astype(float), y.astype(float)
    np.testing.assert_allclose(one.T @ (one @ found - other) + 0.5 * (found - np.eye(12)), 0, atol=1e-10)
    firm = maps.fit(spec("ridge", towards="identity", penalty=1e9), x, y).arrays["weights"]
    np.testing.assert_allclose(firm, np.eye(12), atol=1e-6)


@pytest.mark.parametrize("center", [False, True])
def test_the_penalty_is_the_one_with_the_smallest_leave_one_out_error_counted_row_by_row(center: bool) -> None:
    chosen = set()
    for noise in (0.02, 0.3, 3.0):
        x = vectors(40)
        y = x @ RANDOM.normal(size=(12, 12)) + noise * RANDOM.normal(size=(40, 12))
        one, other = (side - side.mean(0) if center else side for side in (x, y))
        errors = []
        for penalty in maps.PENALTIES:
            total = 0.0
            for row in range(40):
                rest = np.arange(40) != row
                fitted = maps.fit(spec("ridge", center=center, penalty=float(penalty)), x[rest], y[rest]).arrays
                image = (x[row] - fitted["from"]) @ fitted["weights"] + fitted["to"]
                total += float(((image - y[row]) ** 2).sum())
            errors.append(total)
        found = maps.best_penalty(one.astype(float), other, center)
        assert found == maps.PENALTIES[int(np.argmin(errors))]
        chosen.add(found)
    assert len(chosen) > 1, "more noise wants a larger penalty"


def test_an_mlp_learns_what_no_linear_map_does_and_stops_where_a_tenth_says() -> None:
    x = vectors(3000)
    y = np.abs(x @ RANDOM.normal(size=(12, 12))).astype(np.float32)
    train, test = slice(0, 2000), slice(2000, 3000)

    def cosine(fitted: maps.Fitted) -> float:
        image = maps.apply(fitted.arrays, x[test])
        lengths = np.linalg.norm(image, axis=1) * np.linalg.norm(y[test], axis=1)
        return float(((image * y[test]).sum(1) / lengths).mean())

    ridge, mlp = (maps.fit(spec(method), x[train], y[train]) for method in ("ridge", "mlp"))
    assert cosine(mlp) > cosine(ridge) + 0.01
    assert cosine(mlp) == pytest.approx(mlp.facts["held_out_cosine"], abs=0.01)
    again = maps.fit(spec("mlp"), x[train], y[train]).arrays
    assert all((again[name] == array).all() for name, array in mlp.arrays.items())
    noise = maps.fit(spec("mlp", hidden=64), x[:200], vectors(200))
    assert noise.facts["epochs"] < 100, "pairs that have nothing to do with each other are not learnt by heart"
