"""Transforms of functions: over containers and modules, of several results, with what comes beside; and their errors.

The oracle is central differences of the same function as a map from one vector to another.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest

import minigrad as mg
from minigrad import errors as e
from minigrad_layers import BatchNorm1d, Linear, Sequential

Array = np.ndarray[Any, Any]


class Pair(NamedTuple):
    first: Any
    second: Any


class Cubic(mg.Module):
    """A module that is not linear in its parameters."""

    def __init__(self) -> None:
        self.a = mg.Parameter(mg.tensor([0.5, -1.5]))
        self.inner = [Linear(2, 1).astype("float64")]

    def forward(self, x: Any) -> Any:
        return self.inner[0](x * self.a * self.a)


def parts(value: Any) -> Iterator[mg.Tensor]:
    """The tensors of a structure, in order; a module's parameters in theirs."""
    if isinstance(value, mg.Module):
        yield from value.parameters()
    elif isinstance(value, (tuple, list, dict)):
        for v in value.values() if isinstance(value, dict) else value:
            yield from parts(v)
    elif value is not None:
        yield mg.tensor(value)


def flat(value: Any) -> Array:
    """All numbers of a structure in one vector."""
    return np.concatenate([np.zeros(0), *(t.numpy().ravel() for t in parts(value))])


def filled(value: Any, numbers: Iterator[float], names: bool = False) -> Any:
    """The structure with other numbers; modules take them in place, or (`names`) become dicts by name."""
    if isinstance(value, mg.Module):
        named = dict(value.named_parameters())
        new = {k: np.array([next(numbers) for _ in range(p.size)]).reshape(p.shape) for k, p in named.items()}
        if names:
            return {k: mg.tensor(v) for k, v in new.items()}
        for k, p in named.items():
            p.data = new[k]
        return value
    if value is None:
        return None
    if isinstance(value, Pair):
        return Pair(*(filled(v, numbers, names) for v in value))
    if isinstance(value, (tuple, list)):
        return type(value)(filled(v, numbers, names) for v in value)
    if isinstance(value, dict):
        return type(value)((k, filled(v, numbers, names)) for k, v in value.items())
    shape = mg.tensor(value).shape
    return mg.tensor(np.array([next(numbers) for _ in range(int(np.prod(shape)))]).reshape(shape))


def differences(f: Callable[[Array], Array], x: Array, h: float = 1e-5) -> Array:
    columns = [(f(x + h * u) - f(x - h * u)) / (2 * h) for u in np.eye(len(x))]
    return np.stack(columns, -1) if columns else np.zeros((len(f(x)), 0))


V = mg.tensor([0.5, -1.25, 2.0], device="numpy").numpy()
CASES: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "a number": (lambda x: x * x * x, (1.5,)),
    "an array": (lambda x: mg.sin(x) * x[0], (V,)),
    "two": (lambda x, y: x * y + mg.exp(y), (V, 0.3)),
    "a tuple": (lambda t: t[0] * t[1] * t[1], ((V, 2.0),)),
    "a named tuple": (lambda t: t.first * mg.sin(t.second), (Pair(V, 2.0),)),
    "nested": (lambda d, t: d["b"][1]["c"] * d["a"] * t[0], ({"a": V, "b": [None, {"c": 0.7}]}, (1.1, None))),
    "an ordered dict": (lambda d: d["z"] * mg.cos(d["a"]), (OrderedDict(z=V, a=0.4),)),
    "nothing in it": (lambda d, x: x * x, ({"a": None, "b": []}, V)),
    "unused": (lambda x, y: mg.exp(x), (V, V)),
    "no elements": (lambda x, y: mg.concat([x, y * y]), (np.zeros(0), V)),
    "no elements come out": (lambda x: (x * x)[:0], (V,)),
    "a matrix": (lambda x: x @ x, (np.outer(V, V) + 1.0,)),
    "a constant": (lambda x: mg.ones(2) * 3.0, (V,)),
    "results in a dict": (lambda x: {"s": mg.sin(x), "n": None, "p": (x * x).sum()}, (V,)),
    "results in a tuple": (lambda x, y: (x * y, [mg.exp(y), x[:1]]), (V, 0.3)),
    "a result that is no variable's": (lambda x: (x * x, mg.ones(2)), (V,)),
    "an argument comes out": (lambda x, y: {"x": x, "y": y * x}, (V, V)),
    "one result twice": (lambda x: [x * x] * 2, (V,)),
    "named results": (lambda x: Pair(x * x, mg.sin(x)), (V,)),
    "nothing comes out": (lambda x: {"a": None}, (V,)),
}  # fmt: skip
MODULES: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "a module": (lambda m: m(mg.tensor([[1.0, 2.0], [0.5, 3.0]])), (Cubic(),)),
    "a module and an array": (lambda m, x: mg.sin(m(x)), (Cubic(), np.array([[1.0, 2.0]]))),
    "modules in a dict": (lambda d: d["n"](d["m"](mg.ones((2, 2))) * mg.ones((1, 2))), ({"m": Cubic(), "n": Cubic()},)),
}
ALL = {**CASES, **MODULES}


def on_device(name: str) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """A row with its modules on the device under test."""
    f, primals = ALL[name]
    device = mg.tensor(0.0).device
    for m in (m for p in primals for m in (p.values() if isinstance(p, dict) else [p]) if isinstance(m, mg.Module)):
        m.to(device)
    return f, primals


def as_map(f: Callable[..., Any], primals: tuple[Any, ...]) -> Callable[[Array], Array]:
    def run(x: Array) -> Array:
        before = flat(primals)
        out = flat(f(*filled(primals, iter(x.tolist()))))
        filled(primals, iter(before.tolist()))  # modules are written in place
        return out

    return run


@pytest.mark.parametrize("name", ALL)
def test_first_derivatives_are_those_of_central_differences(name: str, rng: np.random.Generator) -> None:
    f, primals = on_device(name)
    x, run = flat(primals), as_map(f, primals)
    y, expected = run(x), differences(run, x)
    c, t = rng.standard_normal(len(y)), rng.standard_normal(len(x))

    out, pull = mg.vjp(f, *primals)
    np.testing.assert_array_equal(flat(out), y)
    for _ in range(2):  # a pullback may be called again
        np.testing.assert_allclose(flat(pull(filled(out, iter(c.tolist())))), c @ expected, rtol=1e-8, atol=1e-8)

    out, dy = mg.jvp(f, primals, filled(primals, iter(t.tolist()), names=True))
    np.testing.assert_allclose(flat(dy), expected @ t, rtol=1e-8, atol=1e-8)
    assert [p.shape for p in parts(dy)] == [p.shape for p in parts(out)]

    j = mg.jacobian(f, range(len(primals)))(*primals)
    rows = [flat_columns(row, p) for row, p in zip(by_result(j, out), parts(out), strict=True)]
    np.testing.assert_allclose(np.concatenate([np.zeros((0, len(x))), *rows]), expected, rtol=1e-8, atol=1e-8)


def by_result(j: Any, out: Any) -> list[Any]:
    """The parts of a jacobian, one for each tensor of the result."""
    if isinstance(out, mg.Tensor):
        return [j]
    if out is None:
        return []
    pairs = zip(j.values(), out.values(), strict=True) if isinstance(out, dict) else zip(j, out, strict=True)
    return [row for a, b in pairs for row in by_result(a, b)]


def flat_columns(row: Any, result: mg.Tensor) -> Array:
    """A part of a jacobian as a matrix: a row for each element of the result."""
    columns = [t.numpy().reshape(result.size, math.prod(t.shape[result.ndim :])) for t in parts(row)]
    return np.concatenate([np.zeros((result.size, 0)), *columns], axis=1)


def scalar(f: Callable[..., Any]) -> Callable[..., Any]:
    """A function with one number for a result: the sum of squares of everything."""

    def total(*args: Any) -> Any:
        out = mg.tensor(0.0)
        for t in _tensors(f(*args)):
            out = out + (t * t).sum()
        return out

    return total


def _tensors(value: Any) -> Iterator[mg.Tensor]:
    if isinstance(value, mg.Tensor):
        yield value
    elif value is not None:
        for v in value.values() if isinstance(value, dict) else value:
            yield from _tensors(v)


@pytest.mark.parametrize("name", ALL)
def test_second_derivatives_are_those_of_central_differences(name: str, rng: np.random.Generator) -> None:
    f, primals = on_device(name)
    f = scalar(f)
    x, several = flat(primals), tuple(range(len(primals)))

    def slope(v: Array) -> Array:
        before = flat(primals)
        out = flat(mg.grad(f, several)(*filled(primals, iter(v.tolist()))))
        filled(primals, iter(before.tolist()))
        return out

    np.testing.assert_allclose(slope(x), differences(as_map(f, primals), x)[0], rtol=1e-6, atol=1e-6)
    expected, t = differences(slope, x), rng.standard_normal(len(x))
    found = mg.hvp(f, primals, filled(primals, iter(t.tolist()), names=True))
    np.testing.assert_allclose(flat(found), expected @ t, rtol=1e-6, atol=1e-6)

    h = mg.hessian(lambda args: f(*args))(primals)
    rows = [flat_columns(row, p) for row, p in zip(rows_of(h, primals), parts(primals), strict=True)]
    np.testing.assert_allclose(np.concatenate([np.zeros((0, len(x))), *rows]), expected, rtol=1e-6, atol=1e-6)


def rows_of(h: Any, primal: Any) -> list[Any]:
    """The parts of a hessian, one for each tensor of the argument."""
    if isinstance(primal, mg.Module):
        return list(h.values())
    if isinstance(primal, (tuple, list, dict)):
        inside = primal.values() if isinstance(primal, dict) else primal
        return [r for a, b in zip(h.values() if isinstance(h, dict) else h, inside, strict=True) for r in rows_of(a, b)]
    return [] if primal is None else [h]


def test_results_keep_the_structure_of_the_arguments() -> None:
    g = mg.grad(lambda d: d["b"][0] * d["a"].first)(OrderedDict(b=[2.0, None], a=Pair(3.0, (1.0,))))
    assert isinstance(g, OrderedDict)
    assert isinstance(g["a"], Pair)
    assert [*g] == ["b", "a"]
    assert (g["b"][0].item(), g["b"][1], g["a"].first.item(), g["a"].second[0].item()) == (3.0, None, 2.0, 0.0)
    assert [*mg.grad(lambda m: m(mg.ones((1, 2))).sum())(Cubic().to(mg.tensor(0.0).device))] == [
        "a", "inner.0.weight", "inner.0.bias",
    ]  # fmt: skip


# ---- what comes beside the value


def test_aux_is_a_plain_value() -> None:
    (value, aux), g = mg.value_and_grad(lambda x: (x * x, {"y": x * 3.0, "n": [None, "text", 7]}), has_aux=True)(2.0)
    assert (value.item(), g.item(), aux["y"].item(), aux["n"]) == (4.0, 4.0, 6.0, [None, "text", 7])
    assert not aux["y"].requires_grad
    g, aux = mg.grad(lambda m: ((h := m(mg.ones((3, 2)))).sum(), h), has_aux=True)(Cubic().to(mg.tensor(0.0).device))
    assert not aux.requires_grad


@pytest.mark.parametrize("order", [1, 2])
def test_aux_of_an_inner_transform_is_differentiated_by_the_outer_one(order: int) -> None:
    def beside(x: Any) -> Any:
        gradient, aux = mg.grad(lambda y: (y * y * y, y**4 * x), has_aux=True)(x)
        return aux + gradient  # x^5 + 3 x^2

    f: Any = beside
    for _ in range(order):
        f = mg.grad(f)
    assert abs(f(1.5).item() - {1: 5 * 1.5**4 + 6 * 1.5, 2: 20 * 1.5**3 + 6}[order]) <= 1e-12


def test_aux_keeps_what_it_owes_to_tensors_from_outside_though_the_value_owes_them_nothing() -> None:
    w = mg.tensor(5.0, requires_grad=True)
    g, aux = mg.grad(lambda x: ((h := x * x), h * w), has_aux=True)(2.0)
    assert (g.item(), g.requires_grad, aux.requires_grad) == (4.0, False, True)
    aux.backward()  # through h, whose graph the gradient must not have freed
    assert w.grad is not None
    assert w.grad.item() == 4.0
    with mg.no_grad():
        assert not mg.grad(lambda x: (x * x, x * w), has_aux=True)(2.0)[1].requires_grad


# ---- each position is variables of its own


@pytest.mark.parametrize("tracked", [False, True])
def test_a_tensor_that_is_given_twice_is_two_variables(tracked: bool) -> None:
    x = mg.tensor(3.0, requires_grad=tracked)
    a, b = mg.grad(lambda a, b: a * a * b, (0, 1))(x, x)
    assert (a.item(), b.item()) == (18.0, 9.0)
    assert mg.grad(lambda a, b: a * b, 1)(x, x).item() == 3.0
    (a, b), _ = mg.grad(lambda t, c: t[0] * t[0] * t[1] * c, (0, 1))((x, x), x)
    assert (a.item(), b.item()) == (54.0, 27.0)


def _sum(*modules: Any, **named: Any) -> Any:
    total = mg.tensor(0.0)
    for m in (*modules, *named.values()):
        for p in parts(m):
            total = total + p.sum()
    return total


def test_a_module_that_is_given_twice_is_refused() -> None:
    m = Cubic()
    shares = Cubic()
    shares.a = m.a
    for call in (
        lambda: mg.grad(_sum, (0, 1))(m, m),
        lambda: mg.grad(_sum)(m, m),
        lambda: mg.grad(_sum)([m, m]),
        lambda: mg.grad(_sum)(m, other=[{"m": m}]),
        lambda: mg.grad(_sum, (0, 1))(m, shares),
        lambda: mg.grad(_sum, (0, 1))(m, m.a),
        lambda: mg.grad(_sum)(m, m.inner[0].weight),
        lambda: mg.vjp(_sum, m, m),
        lambda: mg.hvp(_sum, [m, m], [{}, {}]),
    ):
        with pytest.raises(e.ArgumentError, match="gradient would count the uses of both; give it once"):
            call()
    mg.grad(_sum, 1)(m.to(mg.tensor(0.0).device), 3.0)
    tied = Sequential(m.inner[0], m.inner[0])  # shared inside of one module is one variable
    assert len(mg.grad(lambda s: s[0].weight.sum())(tied.to(mg.tensor(0.0).device))) == 2


# ---- what is wrong is said before anything happens


class Counting(mg.Module):
    """A batch norm whose runs can be counted."""

    def __init__(self) -> None:
        self.norm = BatchNorm1d(2)

    def forward(self, x: Any) -> Any:
        return self.norm(x).sum()


def test_wrong_arguments_are_refused_before_the_function_runs() -> None:
    m, x = Counting().to(mg.tensor(0.0).device), mg.ones((3, 2), dtype="float32")
    for call in (
        lambda: mg.jvp(m, [x], [x, x]), lambda: mg.jvp(m, [x], [x[:1]]), lambda: mg.jvp(m, [x], x),
        lambda: mg.jvp(lambda t: m(t[0]), [[x]], [x]), lambda: mg.jvp(lambda t: m(t[0]), [[x, None]], [[x, x]]),
        lambda: mg.hvp(m, [x], [x[:1]]), lambda: mg.hvp(lambda d: m(d["a"]), [{"a": x}], [{"b": x}]),
        lambda: mg.grad(m, 1)(x), lambda: mg.grad(m, (0, 0))(x), lambda: mg.grad(m, True)(x),
        lambda: mg.grad(m, 0.0)(x), lambda: mg.jacobian(m, "a")(x), lambda: mg.hessian(m, (0,)),
        lambda: mg.grad(m)([1, 2]), lambda: mg.vjp(lambda a, b: m(a), x, mg.tensor([1, 2])),
    ):  # fmt: skip
        with pytest.raises((TypeError, e.ShapeError)) as caught:
            call()
        assert isinstance(caught.value, (e.MinigradError, TypeError))
    assert m.norm.num_batches_tracked is not None
    assert m.norm.num_batches_tracked.item() == 0


@pytest.mark.parametrize("transform", ["grad", "value_and_grad", "jacobian", "hessian"])
def test_what_is_no_function_is_refused_at_once(transform: str) -> None:
    with pytest.raises(e.ArgumentTypeError, match=rf"{transform}: f is a Tensor; give the function itself"):
        getattr(mg, transform)(mg.ones(()))


def test_argnums_of_numpy() -> None:
    assert mg.grad(lambda a, b: a * b, np.int64(1))(2.0, 3.0).item() == 2.0
    assert [g.item() for g in mg.grad(lambda a, b: a * b, np.array([1, 0]))(2.0, 3.0)] == [2.0, 3.0]


@pytest.mark.parametrize("create_graph", [False, True])
def test_gradients_frees_nothing_before_it_raises(create_graph: bool) -> None:
    x, unused = (mg.tensor([1.0, 2.0], requires_grad=True) for _ in range(2))
    y = (x * x).sum()
    with pytest.raises(e.GraphError, match=r"xs\[1\]: y does not depend on it"):
        mg.gradients(y, [x, unused], create_graph=create_graph, retain_graph=False)
    for bad in ({"cotangent": mg.ones(3)}, {"cotangent": mg.ones((2, 1))}):
        with pytest.raises(e.ShapeError):
            mg.gradients(y, [x], **bad)  # type: ignore[arg-type]
    with pytest.raises(e.GraphError, match=r"xs\[1\] is not tracked"):
        mg.gradients(y, [x, mg.ones(2)])
    (dx,) = mg.gradients(y, [x])
    assert dx is not None
    assert dx.tolist() == [2.0, 4.0]


def test_gradients_takes_any_iterable() -> None:
    m = Cubic().to(mg.tensor(0.0).device)
    found = mg.gradients(m(mg.ones((1, 2))).sum(), m.parameters())  # type: ignore[arg-type]  # a generator
    assert [g.shape for g in found if g is not None] == [(2,), (1, 2), (1,)]
