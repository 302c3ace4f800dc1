"""Numbers at the corners: where a formula meets 0, an infinity or a NaN, or all that counts is in the last digits."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg

INF, NAN = math.inf, math.nan


def differentiated(f: Callable[..., Any], at: tuple[Any, ...], *order: int) -> float:
    """d/dx_j … d/dx_i f at `at`, the inputs named by `order`, the first one differentiated first."""
    xs = [mg.tensor(v, requires_grad=True) for v in at]
    y = f(*xs)
    for k, i in enumerate(order):
        (y,) = mg.gradients(y, [xs[i]], create_graph=k + 1 < len(order))
    return float(y.item())


@pytest.mark.parametrize(
    ("at", "order", "expected"),
    [
        ((2.0, 0.0), (0, 1), 0.5),  # d/db b a^(b-1) = 1/a
        ((2.0, 0.0), (1, 0), 0.5),
        ((2.0, 0.0), (0, 0), 0.0),
        ((2.0, 0.0), (1, 1), math.log(2) ** 2),
        ((0.0, 1.0), (0, 0), 0.0),
        ((0.0, 2.0), (0, 0), 2.0),
        ((0.0, 3.0), (0, 0, 0), 6.0),
        ((-2.0, 3.0), (0, 0), -12.0),
        ((-2.0, -1.0), (0,), -0.25),
        ((INF, 0.0), (0,), 0.0),
        ((0.0, -1.0), (1,), -INF),
    ],
)
@np.errstate(divide="ignore")
def test_derivatives_of_powers(at: tuple[float, float], order: tuple[int, ...], expected: float) -> None:
    assert differentiated(mg.power, at, *order) == pytest.approx(expected, rel=1e-15)
    if 1 not in order:  # the exponent as a number, and as an array of integers
        assert differentiated(lambda a: a ** at[1], at[:1], *order) == pytest.approx(expected, rel=1e-15)
        exponent = mg.tensor(int(at[1]))
        assert differentiated(lambda a: mg.power(a, exponent), at[:1], *order) == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize(("order", "expected"), [((0, 0), 0.25), ((0, 1), -0.25), ((1, 1), 0.25)])
def test_second_derivatives_of_logaddexp_where_both_are_equal(order: tuple[int, ...], expected: float) -> None:
    assert differentiated(mg.logaddexp, (3.0, 3.0), *order) == expected


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_small_values_of_the_logistic_function(dtype: str) -> None:
    """By tanh they had no digit left: 0 in float16 from -9 on, in float32 from -18."""
    x = -np.linspace(0, -math.log(np.finfo(dtype).smallest_normal), 200).astype(dtype)
    expected = 1 / (1 + np.exp(-x.astype(np.float64)))
    slope = mg.grad(lambda v: mg.softplus(v).sum())(mg.tensor(x))
    for y in (mg.sigmoid(mg.tensor(x)), slope):
        assert y.dtype == dtype
        assert np.max(np.abs(y.numpy() - expected) / expected) <= 4 * np.finfo(dtype).eps
    ends = mg.sigmoid(mg.tensor([-INF, -1e4, 1e4, INF], dtype=dtype))
    np.testing.assert_array_equal(ends.numpy(), [0, 0, 1, 1])
