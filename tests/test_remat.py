"""remat: the same values, gradients of every order, masks and statistics; less memory; an error when state changed."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad_layers import BatchNorm1d, Dropout, Linear, ReLU, Sequential


def block(x: Any) -> Any:
    return mg.tanh(mg.sin(x) * x) + mg.exp(-x * x)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_gradients_of_every_order_are_those_of_the_function(order: int) -> None:
    def derivative(f: Any) -> Any:
        def total(x: Any) -> Any:
            return (f(f(x)) * x).sum()

        for _ in range(order - 1):
            total = (lambda inner: lambda x: (mg.grad(inner)(x) ** 2).sum())(total)
        return mg.grad(total)

    x = np.linspace(-1, 1, 5)
    np.testing.assert_allclose(derivative(mg.remat(block))(x).numpy(), derivative(block)(x).numpy(), rtol=1e-13)


def test_what_it_closes_over_gets_its_gradient() -> None:
    w, x = (mg.tensor(v, requires_grad=True) for v in ([2.0, 3.0], [0.5, 0.7]))
    h = w * w  # an intermediate value from outside
    mg.remat(lambda x: mg.sin(x * h) * w)(x).sum().backward()
    again = [mg.tensor(v, requires_grad=True) for v in ([2.0, 3.0], [0.5, 0.7])]
    (mg.sin(again[1] * (again[0] * again[0])) * again[0]).sum().backward()
    np.testing.assert_allclose(w.grad.numpy(), again[0].grad.numpy(), rtol=1e-15)
    np.testing.assert_allclose(x.grad.numpy(), again[1].grad.numpy(), rtol=1e-15)


def test_several_results_of_which_some_are_used() -> None:
    def two(x: Any) -> Any:
        return mg.sin(x), mg.cos(x)

    x = mg.tensor([0.3, 0.4], requires_grad=True)
    s, _ = mg.remat(two)(x)
    s.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.cos([0.3, 0.4]), rtol=1e-15)


def network() -> Any:
    mg.random.seed(0)
    return Sequential(Linear(4, 8), BatchNorm1d(8), ReLU(), Dropout(0.5), Linear(8, 2))


def test_dropout_and_running_statistics_behave_as_if_computed_once() -> None:
    x = mg.tensor(np.random.default_rng(0).standard_normal((16, 4)).astype("float32"))
    plain, again = network(), network()
    for _ in range(3):
        plain.zero_grad()
        again.zero_grad()
        a, b = (plain(x) ** 2).sum(), (mg.remat(again)(x) ** 2).sum()
        assert a.item() == b.item()
        a.backward()
        b.backward()
        for (name, p), q in zip(plain.named_parameters(), again.parameters(), strict=True):
            np.testing.assert_array_equal(p.grad.numpy(), q.grad.numpy(), err_msg=name)
    for name, value in plain.state_dict().items():
        np.testing.assert_array_equal(value, again.state_dict()[name], err_msg=name)
    assert plain[3].generator.state == again[3].generator.state


def test_a_parameter_that_changed_in_between_is_an_error_and_not_a_wrong_gradient() -> None:
    layer = Linear(3, 2)
    y = mg.remat(layer)(mg.ones((4, 3), dtype="float32")).sum()
    layer.weight.data = layer.weight.numpy() + 1
    with pytest.raises(mg.errors.GraphError, match="gave another result"):
        y.backward()


def test_it_keeps_inputs_only() -> None:
    x = mg.tensor(np.ones(100_000), requires_grad=True)

    def held(f: Any) -> int:
        tracemalloc.start()
        y = x
        for _ in range(5):
            y = f(y)
        size = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        return size

    def deep(x: Any) -> Any:
        for _ in range(10):
            x = mg.sin(x) * x
        return x

    assert held(mg.remat(deep)) <= held(deep) / 8


def test_it_must_return_tensors() -> None:
    with pytest.raises(TypeError, match="must return a Tensor"):
        mg.remat(lambda x: 3.0)(mg.ones(2))
