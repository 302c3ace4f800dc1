"""Transforms of functions where nothing is recorded: the derivative is the function's, whatever is in force."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad_layers import Linear

X: mg.Tensor
V: mg.Tensor


@pytest.fixture(autouse=True)
def _where_tensors_live(_house: None) -> None:
    global X, V
    X, V = mg.tensor([0.3, -1.2, 2.0]), mg.tensor([1.0, 0.5, -2.0])


def f(x: Any) -> Any:
    return (mg.sin(x) * x * x).sum()


def g(x: Any) -> Any:
    return {"cube": x * x * x, "none": None, "sum": (mg.exp(x),)}


TRANSFORMS: dict[str, Callable[[Any], Any]] = {
    "grad": mg.grad(f),
    "value_and_grad": mg.value_and_grad(f),
    "jacobian": mg.jacobian(g),
    "hessian": mg.hessian(f),
    "vjp": lambda x: mg.vjp(g, x)[1]({"cube": V, "none": None, "sum": (V,)}),
    "jvp": lambda x: mg.jvp(g, [x], [V]),
    "hvp": lambda x: mg.hvp(f, [x], [V]),
    "grad of grad": mg.grad(lambda x: mg.grad(f)(x).sum()),
    "grad of jvp": mg.grad(lambda x: mg.jvp(f, [x], [V])[1]),
    "jvp of grad": lambda x: mg.jvp(mg.grad(f), [x], [V]),
    "jvp of jvp": lambda x: mg.jvp(lambda t: mg.jvp(f, [t], [V])[1], [x], [V]),
    "jacobian of vjp": mg.jacobian(lambda x: mg.vjp(mg.sin, x)[1](V)[0]),
    "hvp of jvp": lambda x: mg.hvp(lambda t: mg.jvp(f, [t], [V])[1], [x], [V]),
    "remat": mg.grad(mg.remat(f)),
    "jvp of remat": lambda x: mg.jvp(mg.remat(f), [x], [V]),
}


def _flat(value: Any) -> list[Any]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (tuple, list)):
        return [leaf for part in value for leaf in _flat(part)]
    return [] if value is None else [value.numpy()]


@pytest.mark.parametrize("name", TRANSFORMS)
def test_no_grad_around_a_transform_changes_nothing_in_it(name: str) -> None:
    transform = TRANSFORMS[name]
    want = _flat(transform(X))
    assert any(np.any(w != 0) for w in want)
    with mg.no_grad():
        got = transform(X)
        tracked = transform(X.detach() * mg.tensor(1.0, requires_grad=True))
    found: list[Any] = []

    def work() -> None:
        with mg.no_grad():
            found.append(transform(X))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    for result in (got, tracked, *found):
        for a, b in zip(_flat(result), want, strict=True):
            np.testing.assert_array_equal(a, b)
    assert not any(t.requires_grad for t in _tensors(got))


def _tensors(value: Any) -> list[mg.Tensor]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (tuple, list)):
        return [leaf for part in value for leaf in _tensors(part)]
    return [] if value is None else [value]


def test_jvp_under_no_grad_gives_the_slope() -> None:
    with mg.no_grad():
        y, dy = mg.jvp(lambda x: x * x, [3.0], [1.0])
    assert (y.item(), dy.item()) == (9.0, 6.0)


def test_a_pull_is_called_under_no_grad() -> None:
    w = mg.tensor(2.0, requires_grad=True)
    _, pull = mg.vjp(lambda x: w * x * x, 3.0)
    with mg.no_grad():
        (dx,) = pull(mg.tensor(1.0))
    assert dx.item() == 12.0


def test_a_metric_may_call_jvp() -> None:
    seen = []

    def slope(prediction: mg.Tensor, target: mg.Tensor) -> mg.Tensor:
        out = mg.jvp(lambda p: (p * p).mean(), [prediction], [mg.ones_like(prediction)])[1]
        seen.append(abs(out.item()))
        return out

    x = np.random.default_rng(0).standard_normal((8, 3)).astype("float32")
    model = Linear(3, 1)
    mg.fit(
        model, (x, x[:, :1]), (x, x[:, :1]), loss=mg.losses.mse, metrics=[slope], verbose=0,
        optimizer=mg.optim.SGD(model.parameters(), lr=0.1),
    )  # fmt: skip
    assert min(seen) > 0
