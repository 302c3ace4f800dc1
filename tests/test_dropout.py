"""Dropout (N9): which elements, by how much the others are scaled, and that nothing leaks."""

from __future__ import annotations

import math

import numpy as np
import pytest

import minigrad as mg
from minigrad_layers import Dropout


def test_p_0_is_the_identity_bit_for_bit(rng: np.random.Generator) -> None:
    x = mg.tensor(rng.standard_normal((3, 4)))
    assert Dropout(0)(x) is x
    assert Dropout(0.5).eval()(x) is x


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_p_1_gives_zeros_and_no_warning(dtype: str) -> None:
    x = mg.tensor([1.0, -2.0, math.inf, math.nan], dtype=dtype, requires_grad=True)
    y = Dropout(1)(x)
    assert y.tolist() == [0, 0, 0, 0]
    y.sum().backward()
    assert x.grad.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_an_inf_that_is_dropped_does_not_leak(dtype: str) -> None:
    x = mg.full((200,), math.inf, dtype=dtype, requires_grad=True)
    y = Dropout(0.5)(x)
    host = y.numpy()
    assert set(host.tolist()) == {0.0, math.inf}
    y.backward(mg.full((200,), math.inf, dtype=dtype))
    assert np.array_equal(x.grad.numpy(), host)  # where it was dropped no gradient comes, not even inf times 0


@pytest.mark.parametrize("p", [0.001, 0.1, 0.3, 0.5, 0.999])
def test_the_mean_of_ten_million(p: float) -> None:
    n = 10_000_000 if p == 0.3 else 1_000_000
    y = Dropout(p)(mg.ones(n, dtype="float32")).numpy()
    keep = round((1 - p) * 2**32) / 2**32 if not 0.01 <= p <= 0.99 else 1 - round(65536 * p) / 65536
    assert set(np.unique(y).tolist()) == {0.0, float(np.float32(1 / keep))}
    sigma = math.sqrt((1 - keep) / keep / n)
    assert abs(y.mean(dtype="float64") - 1) <= 4 * sigma + 1e-7


def test_forward_and_backward_masks_are_identical(rng: np.random.Generator) -> None:
    layer = Dropout(0.3)
    x = mg.tensor(rng.standard_normal((40, 30)), dtype="float32", requires_grad=True)
    y = layer(x)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy() != 0, y.numpy() != 0)
    np.testing.assert_allclose(x.grad.numpy() * x.numpy(), y.numpy(), rtol=1e-6)


def test_masks_are_equal_on_every_backend_and_replayed_by_number() -> None:
    mg.random.seed(5)
    layer = Dropout(0.4)
    assert layer.generator.state == (5, 1, 0)
    x = np.ones((8, 9), "float32")
    first = layer(mg.tensor(x, device="numpy")).numpy()
    second = layer(mg.tensor(x, device="numpy")).numpy()
    assert (first != second).any()
    layer.generator.call = 0
    np.testing.assert_array_equal(layer(mg.tensor(x, device="fakecupy")).numpy(), first)
    words = np.random.Philox(key=5 + (1 << 64), counter=0).random_raw(18).view("<u2")[:72].reshape(8, 9)
    np.testing.assert_array_equal(first != 0, words >= round(65536 * 0.4))


def test_two_layers_have_two_streams() -> None:
    one, two = Dropout(0.5), Dropout(0.5)
    x = mg.ones(200)
    assert one(x).tolist() != two(x).tolist()


def test_evaluation_uses_no_call() -> None:
    layer = Dropout(0.5).eval()
    layer(mg.ones(3))
    assert layer.generator.call == 0


def test_higher_orders_pass_through() -> None:
    layer = Dropout(0.5)
    x = mg.tensor(np.arange(1.0, 9.0), requires_grad=True)
    y = layer(x)
    (g,) = mg.gradients((y * y * y).sum(), [x], create_graph=True)
    (h,) = mg.gradients(g.sum(), [x])
    np.testing.assert_allclose(h.numpy(), np.where(y.numpy() != 0, 6 * 8 * x.numpy(), 0))


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1,), (5, 1)])
def test_any_shape(shape: tuple[int, ...]) -> None:
    assert Dropout(0.5)(mg.ones(shape)).shape == shape


@pytest.mark.parametrize("p", [-0.1, 1.1, math.nan, "a", True, None])
def test_p_is_validated(p: object) -> None:
    with pytest.raises(mg.errors.ArgumentError, match="p="):
        Dropout(p)
