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


@pytest.mark.parametrize(("a", "b", "expected"), [(7.0, 3.0, -2.0), (-7.0, 3.0, 3.0), (2.0, INF, 0.0)])
def test_the_divisor_of_a_remainder(a: float, b: float, expected: float) -> None:
    """d/db (a - floor(a / b) b) is -floor(a / b), an integer for a divisor without bounds too."""
    assert differentiated(mg.remainder, (a, b), 1) == expected


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


@pytest.mark.parametrize("order", [-2, -1, 0, 0.5, 1, 1.2, 2, 3, INF, -INF])
def test_norms_of_vectors_with_zeros(order: float) -> None:
    """A zero has no say in the derivatives, first or second; they were 0 times inf for orders under 1."""
    for v in ([0.0, 3.0, -4.0], [0.0, 0.0, 0.0]):
        x = mg.tensor(v, requires_grad=True)
        y = mg.linalg.norm(x, ord=order)
        with np.errstate(divide="ignore"):
            assert y.item() == pytest.approx(np.linalg.norm(v, order), rel=1e-15)
        if not y.requires_grad:  # how many are not 0
            continue
        (g,) = mg.gradients(y, [x], create_graph=True)
        assert g is not None
        (h,) = mg.gradients(g[1:].sum(), [x])
        assert h is not None
        ties = order == -INF and any(v)
        assert g.numpy()[0] == 0 or ties
        assert np.isfinite(g.numpy()).all()
        assert np.isfinite(h.numpy()).all()


def test_cosine_of_half_precision() -> None:
    x = mg.tensor([[300.0, 400.0], [0.0, 0.0], [1e-3, 0.0]], dtype="float16", requires_grad=True)
    y = mg.losses.cosine(x, [[3.0, 4.0], [1.0, 1.0], [0.0, 1.0]], reduction="none")
    assert y.dtype == "float16"
    np.testing.assert_allclose(y.numpy(), [0, 1, 1], atol=1e-3)


def test_cross_entropy_of_more_half_precision_labels_than_float16_counts() -> None:
    x = mg.zeros((70000, 2), dtype="float16")
    labels = np.zeros(70000, np.int64)
    for weight in (None, [1.0, 1.0]):
        loss = mg.losses.cross_entropy(x, labels, weight=weight)
        assert loss.dtype == "float16"
        assert loss.item() == pytest.approx(math.log(2), rel=1e-3)


def test_the_mean_loss_of_no_labels_is_refused() -> None:
    x, labels = mg.zeros((0, 3)), np.zeros(0, np.int64)
    with pytest.raises(mg.errors.ShapeError, match="no labels"):
        mg.losses.cross_entropy(x, labels)
    assert mg.losses.cross_entropy(x, labels, reduction="sum").item() == 0


@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_gelu_of_half_precision_on_the_left(approximate: str) -> None:
    x = -np.linspace(0, 4, 100).astype("float16")
    y = mg.gelu(mg.tensor(x), approximate)
    expected = mg.gelu(mg.tensor(x, dtype="float64"), approximate).numpy()
    assert y.dtype == "float16"
    assert np.max(np.abs(y.numpy() - expected) / np.maximum(np.abs(expected), 1e-4)) <= 1e-2  # it was 1


def test_sums_and_products_of_half_precision_do_not_overflow_on_the_way() -> None:
    a, b = (mg.tensor([300.0, v], dtype="float16") for v in (300.0, -300.0))
    for y in (mg.vecdot(a, b), mg.einsum("i,i->", a, b), mg.tensordot(a, b, 1), a @ b):
        assert y.dtype == "float16"
        assert y.item() == 0
    image = mg.full((1, 1, 3, 3), 2e4, dtype="float16")
    for inside in (False, True):
        y = mg.avg_pool2d(image, 3, 1, 1, count_include_pad=inside)
        assert y.dtype == "float16"
        assert y.numpy()[0, 0, 1, 1] == 2e4


@pytest.mark.parametrize(("dtype", "low", "high"), [("float16", 0, 1), ("float16", 1, 2), ("float32", 1, 2)])
def test_uniform_numbers_stay_below_the_bound(dtype: str, low: float, high: float) -> None:
    """Rounded up, one in 2**12 of float16, and one in 2**25 from 1 to 2 of float32, was the bound itself."""
    for call in range(4):
        u = mg.random.uniform(1 << 22, low, high, dtype=dtype, generator=mg.random.Generator(1, call=call))
        assert low <= u.min().item()
        assert u.max().item() < high
