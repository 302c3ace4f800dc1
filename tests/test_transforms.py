"""The transforms take and give structures: auxiliary results, dicts, tuples, modules; and functions may be constant."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad_layers import Linear


def test_an_auxiliary_result_is_passed_through() -> None:
    f = lambda x: ((x * x).sum(), {"seen": x.shape})
    (value, aux), slope = mg.value_and_grad(f, has_aux=True)(mg.tensor([1.0, 2.0]))
    assert (value.item(), aux, slope.tolist()) == (5.0, {"seen": (2,)}, [2.0, 4.0])
    slope, aux = mg.grad(f, has_aux=True)(mg.tensor([3.0]))
    assert (slope.tolist(), aux) == ([6.0], {"seen": (1,)})


@pytest.mark.parametrize("result", [lambda x: x, lambda x: (x,), lambda x: (x, x, x), lambda x: [x, 1]])
def test_with_an_auxiliary_result_a_pair_must_come(result: Any) -> None:
    with pytest.raises(TypeError, match=r"has_aux=True: .* a pair \(value, aux\)"):
        mg.grad(result, has_aux=True)(1.0)


def test_a_gradient_has_the_structure_of_its_argument() -> None:
    f = lambda p: p["a"] * p["b"][0] + p["b"][1] ** 2
    found = mg.grad(f)({"a": 2.0, "b": [3.0, 4.0]})
    assert {"a": found["a"].item(), "b": [b.item() for b in found["b"]]} == {"a": 3.0, "b": [2.0, 8.0]}
    _, dy = mg.jvp(f, [{"a": 2.0, "b": [3.0, 4.0]}], [{"a": 1.0, "b": (0.0, 1.0)}])
    assert dy.item() == 11.0


def test_a_direction_for_the_parameters_of_a_module() -> None:
    layer, x = Linear(2, 1), mg.tensor([[3.0, 5.0]], dtype="float32")
    along = {name: mg.ones(p.shape, dtype=p.dtype) for name, p in layer.named_parameters()}
    _, dy = mg.jvp(lambda model: model(x), [layer], [along])
    assert dy.tolist() == [[9.0]]


def test_a_constant_function_has_gradients_of_zeros() -> None:
    """Nothing in it is tracked, so there is no graph to sweep."""
    constant = lambda x: mg.tensor([1.0, 2.0]).sum()
    assert mg.grad(constant)(mg.tensor([1.0, 2.0])).tolist() == [0.0, 0.0]
    y, dy = mg.jvp(constant, [1.0], [1.0])
    assert (y.item(), dy.item()) == (3.0, 0.0)
    assert mg.hessian(constant)(mg.tensor([1.0])).tolist() == [[0.0]]


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda: mg.jvp(mg.sin, [1.0], []), TypeError, "tangents: 0 given for 1 primals"),
        (lambda: mg.jacobian(lambda x: x)(mg.zeros((0, 2))), mg.errors.GraphError, r"\(0, 2\), which has no elements"),
        (lambda: mg.hessian(lambda a, b: a * b, (0, 1)), TypeError, "hessian: argnums must be one position"),
    ],
)  # fmt: skip
def test_what_they_refuse(call: Any, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        call()


def test_remat_where_there_is_nothing_to_recompute() -> None:
    """Outside recording and for untracked arguments it is the function itself; what is no array stays what it is."""
    f = mg.remat(lambda x, power: x**power)
    x = mg.tensor([2.0, 3.0], requires_grad=True)
    with mg.no_grad():
        assert not f(x, 2).requires_grad
    assert not f(x.detach(), 2).requires_grad
    f(x, 3).sum().backward()
    assert x.grad is not None
    assert np.array_equal(x.grad.numpy(), [12.0, 27.0])
