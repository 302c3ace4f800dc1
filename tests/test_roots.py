"""Roots of symmetric matrices where eigenvalues are equal, whose eigenvectors have no derivative."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minigrad as mg

_turn = np.linalg.qr(np.random.default_rng(5).standard_normal((3, 3)))[0]
TIES = {
    "all": 2.0 * np.eye(3),
    "two": _turn @ np.diag([1.0, 1.0, 3.0]) @ _turn.T,
    "one": np.array([[[4.0]], [[0.25]]]),
}


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("ties", TIES)
def test_roots_are_differentiated_at_equal_eigenvalues(ties: str, order: int) -> None:
    x = mg.tensor(TIES[ties])
    mg.check.gradients(mg.linalg.sqrtm, x, order=order, rtol=1e-5, atol=1e-6)
    mg.check.gradients(lambda x: mg.linalg.inv(mg.linalg.sqrtm(x)), x, order=order, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int64"])
def test_a_root_squared_is_the_matrix(dtype: str, backend: str) -> None:
    x = mg.tensor([[[4.0, 2.0], [2.0, 3.0]], [[1.0, 1.0], [1.0, 1.0]]], dtype=dtype, device=backend)
    y = mg.linalg.sqrtm(x)
    assert y.dtype == ("float64" if dtype == "int64" else dtype)
    error = np.abs((y.astype("float64") @ y.astype("float64")).numpy() - x.numpy()).max()
    assert error <= {"float16": 1e-2, "float32": 1e-6}.get(dtype, 1e-14)


def test_a_negative_eigenvalue_has_no_root() -> None:
    y = mg.linalg.sqrtm(mg.tensor([[[1.0, 0.0], [0.0, -1.0]], [[1.0, 0.0], [0.0, 4.0]]])).numpy()
    assert np.isnan(y[0]).any()
    np.testing.assert_allclose(y[1], np.diag([1.0, 2.0]))
    assert mg.linalg.sqrtm(mg.zeros((0, 0))).shape == (0, 0)


def test_the_equation_of_lyapunov_is_solved_for_any_right_side(rng: np.random.Generator) -> None:
    a, y = rng.standard_normal((2, 3, 3)), rng.standard_normal((2, 3, 3))
    a = a @ np.swapaxes(a, -1, -2) + np.eye(3)
    found = mg.linalg.solve_lyapunov(mg.tensor(a), mg.tensor(a @ y + y @ a))
    np.testing.assert_allclose(found.numpy(), y, rtol=0, atol=1e-12)


MISTAKES: dict[str, Any] = {
    "a vector": (mg.ones((2, 2)), mg.ones(2)),
    "no square": (mg.ones((2, 3)), mg.ones((2, 3))),
    "other sizes": (mg.ones((2, 2)), mg.ones((3, 3))),
    "columns": (mg.ones((2, 2)), mg.ones((2, 3))),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_answered(mistake: str) -> None:
    with pytest.raises(mg.errors.ShapeError, match="solve_lyapunov"):
        mg.linalg.solve_lyapunov(*MISTAKES[mistake])
    with pytest.raises(mg.errors.ShapeError, match="sqrtm"):
        mg.linalg.sqrtm(mg.ones((2, 3)))
