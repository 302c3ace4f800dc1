"""Faults that users of other engines met, where they concern numbers: zeros, ties, offsets, infinities. Each
test holds on this build, and fails with the fault put in, which the same test does.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from faults import found_by
from tables import OPS, with_rule

import minigrad as mg
import minigrad_layers
from minigrad.ops.reduce import Deviations


def leaf(*values: float, **options: Any) -> mg.Tensor:
    return mg.tensor(values, requires_grad=True, **options)


def grad(x: mg.Tensor) -> list[float]:
    assert x.grad is not None
    return x.grad.tolist()  # type: ignore[no-any-return]


# ---- F4: NaN for norm, std and the square root at 0

AT_ZERO: dict[str, tuple[str, list[float], Callable[[Any], Any], Callable[[Any], Any]]] = {
    "norm": ("linalg", [0.0, 0.0], lambda x: mg.linalg.norm(x), lambda x: mg.sqrt(mg.sum(x * x))),
    "std": ("", [2.0, 2.0], lambda x: mg.std(x), lambda x: mg.sqrt(mg.var(x))),
    "sqrt": ("safe", [0.0, 0.0], lambda x: mg.safe.sqrt(x * x).sum(), lambda x: mg.sqrt(x)),
}


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("name", AT_ZERO)
def test_f4_lengths_and_deviations_of_nothing(name: str, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    home, at, f, naive = AT_ZERO[name]

    def check() -> None:
        x = leaf(*at, dtype=dtype)
        y = f(x)
        assert y.item() == 0
        (g,) = mg.gradients(y, [x], create_graph=True)
        assert g.tolist() == [0, 0]
        (h,) = mg.gradients((g * g).sum(), [x], allow_unused=True)
        assert h is None or h.tolist() == [0, 0]

    check()
    monkeypatch.setattr(getattr(mg, home) if home else mg, name, naive)
    found_by(check)


# ---- F5: the variance of values far from 0


def one_pass(x: Any, axis: Any = None) -> Deviations:
    """E[x²] - E[x]²."""
    mean, square = mg.mean(x, axis, keepdims=True), mg.mean(x * x, axis, keepdims=True)
    return Deviations(x, mean, square - mean * mean, mean * 0.0)


def two_passes(x: Any, axis: Any = None) -> Deviations:
    """E[(x - E[x])²] with sums as NumPy makes them: without pairing along axis 0."""
    m = mg.tensor(np.mean(x.numpy(), axis=axis, keepdims=True), dtype=x.dtype)
    d = x - m
    var = mg.tensor(np.mean(np.square(d.numpy()), axis=axis, keepdims=True), dtype=x.dtype)
    return Deviations(d, m * 0.0, var, m)


@pytest.mark.parametrize("fault", [one_pass, two_passes])
def test_f5_variance_far_from_zero(
    fault: Callable[..., Deviations], rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = (1e6 + rng.standard_normal((65536, 16))).astype("float32")
    b = (2000 + rng.standard_normal((64, 512))).astype("float32")

    def check() -> None:
        exact = a.astype("float64").var(axis=0)
        assert np.abs(mg.var(mg.tensor(a), axis=0).numpy() / exact - 1).max() <= 1e-5

    def check_layer() -> None:
        y = minigrad_layers.LayerNorm(512)(mg.tensor(b)).numpy().astype("float64")
        assert np.abs(y.mean(1)).max() <= 1e-6
        assert np.abs(y.var(1) - 1).max() <= 2e-5

    check()
    check_layer()
    monkeypatch.setattr(import_module("minigrad.ops.reduce"), "deviations", fault)
    monkeypatch.setattr(mg, "deviations", fault)
    found_by(check)
    found_by(check_layer)


# ---- F9: a product with a 0 in it


@pytest.mark.parametrize("name", ["prod", "cumprod"])
def test_f9_a_product_with_zeros(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cases = {
        (0.0, 2.0, 3.0): ([6.0, 0.0, 0.0], [9.0, 0.0, 0.0]),  # by prod, by the sum of cumprod
        (2.0, 0.0, 3.0): ([0.0, 6.0, 0.0], [1.0, 8.0, 0.0]),
        (0.0, 0.0, 3.0): ([0.0, 0.0, 0.0], [1.0, 0.0, 0.0]),
        (0.0, 0.0, 0.0): ([0.0, 0.0, 0.0], [1.0, 0.0, 0.0]),
        (2.0, 3.0, 5.0): ([15.0, 10.0, 6.0], [19.0, 12.0, 6.0]),
    }

    def check() -> None:
        for values, expected in cases.items():
            x = leaf(*values)
            getattr(mg, name)(x).sum().backward()
            assert np.allclose(grad(x), expected[name == "cumprod"], rtol=1e-14, atol=0)

    check()
    running = mg.sum if name == "prod" else mg.cumsum
    monkeypatch.setattr(mg, name, lambda x: mg.exp(running(mg.log(x))))  # whose gradient is y / x
    found_by(check)


# ---- F10: ties

TIES: dict[str, tuple[Callable[..., Any], int, Any]] = {
    "max": (
        lambda g, x, y, axes, keepdims: mg.keep(mg.broadcast_to(g, x.shape), mg.equal(x, y)),
        1,
        lambda x: mg.max(x),
    ),
    "min": (
        lambda g, x, y, axes, keepdims: mg.keep(mg.broadcast_to(g, x.shape), mg.equal(x, y)),
        1,
        lambda x: mg.min(x),
    ),
    "maximum": (lambda g, a, b: mg.keep(g, a >= b), 2, lambda a, b: mg.maximum(a, b)),
    "minimum": (lambda g, a, b: mg.keep(g, a <= b), 2, lambda a, b: mg.minimum(a, b)),
}
"""A rule under which every tie gets the whole gradient (no subgradient), for how many inputs, and the function."""


@pytest.mark.parametrize("name", TIES)
def test_f10_ties_share_evenly(name: str) -> None:
    careless, inputs, f = TIES[name]

    def check() -> None:
        xs = [leaf(1.0, 1.0)] if inputs == 1 else [leaf(1.0), leaf(1.0)]
        f(*xs).sum().backward()
        assert [g for x in xs for g in grad(x)] == [0.5, 0.5]

    check()
    op = OPS[name]
    asks = op.pulls[0].asks
    if inputs == 1:  # this rule asks for x, y, axes, keepdims, in the order of its own parameters
        assert {str(v) for _, v in asks} >= {"axes", "keepdims"}
    with with_rule(op, 0, careless):
        found_by(check)


def test_f10_four_ways_to_write_relu() -> None:
    """As docs/conventions.md says: 0 by those that compare with a constant, half by the one that takes the larger."""
    ways = [mg.relu, lambda x: mg.clip(x, 0), lambda x: mg.where(x > 0, x, 0.0), lambda x: mg.maximum(x, 0.0)]

    def check() -> None:
        assert [mg.grad(f)(0.0).item() for f in ways] == [0, 0, 0, 0.5]

    check()
    with with_rule(OPS["clip"], 0, lambda g, x, low, high: mg.keep(g, x >= low)):
        found_by(check)


# ---- F18: eps = 0

WITH_EPS = {
    "BatchNorm1d": lambda eps: minigrad_layers.BatchNorm1d(3, eps=eps),
    "LayerNorm": lambda eps: minigrad_layers.LayerNorm(3, eps=eps),
    "GroupNorm": lambda eps: minigrad_layers.GroupNorm(1, 3, eps=eps),
}


@pytest.mark.parametrize("name", WITH_EPS)
def test_f18_no_layer_divides_by_zero(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def check() -> None:
        for eps in (0.0, -1e-5):
            try:
                layer = WITH_EPS[name](eps)
            except mg.errors.ArgumentError:
                continue
            assert np.isfinite(layer(mg.ones((4, 3))).numpy()).all()

    check()
    home = import_module(type(WITH_EPS[name](1e-5)).__init__.__module__)
    monkeypatch.setattr(home, "positive", lambda eps: eps)
    found_by(check)


# ---- F19: infinities under a mask


def test_f19_what_is_dropped_leaks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def check() -> None:
        for bad in (np.inf, -np.inf, np.nan):
            x = mg.full((64,), bad, requires_grad=True)
            layer = minigrad_layers.Dropout(0.5)
            y = layer(x)
            kept = y.numpy() != 0
            assert 0 < kept.sum() < 64
            y.backward(mg.full((64,), bad))
            assert ((x.grad.numpy() != 0) == kept).all()
            assert (mg.relu(mg.tensor([-np.inf, 1.0])).numpy() == [0, 1]).all()

    check()
    monkeypatch.setattr(mg, "keep", lambda x, mask: x * mg.astype(mask, x.dtype))
    found_by(check)


# ---- F33: a remainder whose derivative uses another quotient than its value


def test_f33_the_derivative_of_a_remainder_uses_the_quotient_of_its_value() -> None:
    a = np.array([1.0, 1.0, -1.0, 0.3, 6.0, 1e16, 5.0, -5.0])
    b = np.array([0.1, 0.2, 0.1, 0.1, 0.2, 3.0, -0.1, 0.7])

    def check() -> None:
        assert mg.grad(mg.remainder, 1)(1.0, 0.1).item() == -9
        assert mg.grad(lambda b: mg.divmod(1.0, b)[1])(0.1).item() == -9
        x, y = mg.tensor(a, requires_grad=True), mg.tensor(b, requires_grad=True)
        (x % y).sum().backward()
        assert x.grad.tolist() == [1.0] * len(a)
        assert y.grad.tolist() == (-mg.floor_divide(mg.tensor(a), mg.tensor(b))).tolist()

    check()
    with with_rule(OPS["remainder"], 1, lambda g, a, b: -(g * mg.floor(a / b))):
        found_by(check)


# ---- an inf on the way to a finite derivative


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_constant_channel_with_a_tiny_eps_has_a_finite_gradient(dtype: str) -> None:
    def check() -> None:
        for eps in (1e-26, 1e-30, 1e-37):
            layer = minigrad_layers.BatchNorm1d(2, eps=eps, dtype=dtype)
            x = mg.full((5, 2), 3.0, dtype=dtype, requires_grad=True)
            y = layer(x)
            y.backward(mg.tensor(np.arange(10.0).reshape(5, 2), dtype=dtype))
            assert y.tolist() == [[0.0, 0.0]] * 5
            assert np.isfinite(x.grad.numpy()).all()

    check()
    with with_rule(OPS["rsqrt"], 0, lambda g, y: -0.5 * g * (y * y * y)):
        found_by(check) if dtype == "float32" else check()


# ---- matrix functions, and what is computed of nothing


def test_a_trace_is_of_the_last_two_axes_whichever_way_it_is_asked_for() -> None:
    x = mg.tensor(np.arange(24.0).reshape(2, 3, 4))
    expected = np.trace(x.numpy(), axis1=-2, axis2=-1)
    assert np.array_equal(mg.linalg.trace(x).numpy(), expected)
    assert np.array_equal(x.trace().numpy(), expected)
    assert np.array_equal(x.trace(1, 0, 2).numpy(), np.trace(x.numpy(), 1, 0, 2))


@pytest.mark.parametrize("shape", [(5, 0, 0), (5, 0), (0, 3), (0,)], ids=str)
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_proportions_of_nothing_are_nothing(name: str, shape: tuple[int, ...]) -> None:
    x = mg.zeros(shape, dtype="float32", requires_grad=True)
    for axis in range(-len(shape), len(shape)):
        y = getattr(mg, name)(x, axis)
        assert (y.shape, y.dtype) == (shape, np.dtype("float32"))
        y.sum().backward()
        assert x.grad.shape == shape


@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_what_is_no_probability_has_no_cross_entropy(reduction: str) -> None:
    """The same on every backend, where looking at the values first would cost a copy to the host."""
    p = mg.tensor([0.5, 1.5, -0.5, 0.0, 1.0], requires_grad=True)
    with np.errstate(invalid="ignore"):
        loss = mg.losses.binary_cross_entropy(p, mg.tensor([1.0, 1.0, 0.0, 0.0, 1.0]), reduction=reduction)
    wrong = np.isnan(loss.numpy())
    assert np.atleast_1d(wrong).tolist() == ([False, True, True, False, False] if reduction == "none" else [True])
