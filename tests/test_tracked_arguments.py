"""One rule for every public function and argument: what is tracked is differentiated, stacked or refused.

Each argument of each public function is given tracked tensors in turn, as it is and inside lists. Then the result is
tracked, or an error says what to do. What is neither is listed here, with the reason.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from arguments import CALLS

import minigrad as mg

UNTRACKED = {
    **dict.fromkeys(
        "equal not_equal less less_equal greater greater_equal logical_and logical_or logical_not logical_xor isnan "
        "isinf isfinite argmax argmin argsort searchsorted count_nonzero nonzero unique any all sign floor ceil trunc "
        "round floor_divide one_hot".split(),
        "steps: the result is constant between them",
    ),
    **dict.fromkeys(("zeros_like", "ones_like", "full_like.x", "stop_gradient", "random"), "values are not read"),
    **dict.fromkeys(("linalg.matrix_rank",), "an integer"),
}
"""Functions (and `function.argument`) that give constants by their meaning."""
FLAGS = frozenset(
    "keepdims count_include_pad endpoint descending largest lower upper transposed unit_diagonal condition mask".split()
)
"""Arguments of which the truth is asked, as an `if` asks it: a step, without a slope."""
LABELS = frozenset(["name", "requires_grad"])


def _variants(given: Any) -> Iterator[tuple[str, Any]]:
    """`given` as tracked tensors: as it is, and one level down in lists."""

    def tracked(value: Any) -> Any:
        return mg.tensor(np.asarray(value, float), requires_grad=True)

    if given is None or isinstance(given, (bool, str)):
        yield "tensor", tracked(1.0)
    elif isinstance(given, (int, float)):
        yield "tensor", tracked(given)
        yield "list", [tracked(given)]
    elif isinstance(given, tuple):
        yield "inside", tuple(map(tracked, given))
    else:
        yield "tensor", tracked(given)
        if np.ndim(given):
            yield "list", [tracked(row) for row in given]


def _results(value: Any) -> list[mg.Tensor]:
    if isinstance(value, mg.Tensor):
        return [value]
    return [t for part in value for t in _results(part)] if isinstance(value, (tuple, list)) else []


def _cases() -> Iterator[tuple[str, str, str]]:
    for name, call in CALLS.items():
        for argument, given in call.given.items():
            for kind, _ in _variants(given):
                yield name, argument, kind


def _untracked(name: str, argument: str) -> bool:
    return not {name, f"{name}.{argument}", name.partition(".")[0]}.isdisjoint(UNTRACKED)


@pytest.mark.parametrize(("name", "argument", "kind"), list(_cases()))
def test_nothing_tracked_is_dropped(name: str, argument: str, kind: str) -> None:
    call = CALLS[name]
    value = dict(_variants(call.given[argument]))[kind]
    if argument in FLAGS | LABELS or _untracked(name, argument):
        return
    try:
        made = call(**{argument: value})
    except (TypeError, IndexError, ValueError):  # a bias of no axes
        return
    results = [t for t in _results(made) if t.dtype.kind == "f"]
    assert not results or any(t.requires_grad for t in results), f"{name}: {argument} was given what is tracked"


V, P = mg.tensor(2.0), mg.tensor([1.0, 2.0])
REFUSED = "refused"
SILENT: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "a list": (lambda v: (mg.tensor([v, 2 * v]) ** 2).sum(), 20.0),
    "a nested list": (lambda v: (mg.tensor([[v, 1], [3.0, v * v]]) ** 2).sum(), 36.0),
    "a tensor again": (lambda v: mg.tensor(v) * v, 4.0),
    "full": (lambda v: (mg.full((2, 3), v) ** 2).sum(), 24.0),
    "full_like": (lambda v: (mg.full_like(P, v) ** 2).sum(), 8.0),
    "an option": (lambda v: mg.nan_to_num(P, nan=v).sum(), REFUSED),
    "a target": (lambda v: mg.losses.mse(P, [v, v]), 1.0),
    "numpy.asarray": (lambda v: mg.tensor(np.asarray(v)) * v, REFUSED),
    "numpy.array of a list": (lambda v: mg.tensor(np.array([v, v])).sum() * v, REFUSED),
    "math": (lambda v: math.sin(v) * v, REFUSED),
    "float": (lambda v: float(v) * v, REFUSED),
    "int": (lambda v: int(v) * v, REFUSED),
    "through a closure": (lambda v: mg.grad(lambda w: w * float(v))(1.0), REFUSED),
    "item": (lambda v: v.item() * v, 2.0),
    "numpy": (lambda v: mg.tensor(v.numpy()) * v, 2.0),
    "bool": (lambda v: v * v if v else v, 4.0),
    "format": (lambda v: v * float(f"{v:.1f}"), 2.0),
    "what is not differentiated": (lambda v: v * float(mg.tensor(3.0, requires_grad=True) * 2), 6.0),
}


@pytest.mark.parametrize("name", SILENT)
def test_what_is_differentiated_does_not_get_lost(name: str) -> None:
    if mg.tensor(0.0).device != "numpy" and "numpy" in name:
        pytest.skip("a tensor on a device never becomes a NumPy array by itself")
    f, want = SILENT[name]
    if want is REFUSED:
        with pytest.raises(TypeError, match=r"\.item\(\)|\.numpy\(\)|number"):
            mg.grad(f)(V)
    else:
        assert mg.grad(f)(V).item() == want


def test_the_gradient_of_what_does_not_depend_on_the_input_is_0() -> None:
    constant, x = mg.tensor(5.0), mg.tensor([1.0, 2.0])
    for f in (lambda x: constant * 2, lambda x: mg.stop_gradient(x, why="a test").sum(), lambda x: x.detach().sum()):
        assert mg.grad(f)(x).tolist() == [0.0, 0.0]
        assert mg.grad(mg.grad(lambda t, f=f: f(t) * 1.0, 0), 0)(mg.tensor(1.0)).tolist() == 0.0
        assert mg.jvp(f, [x], [x])[1].tolist() == 0.0
        assert mg.jacobian(f)(x).tolist() == [0.0, 0.0]
        assert mg.hessian(f)(x).tolist() == [[0.0, 0.0], [0.0, 0.0]]
        assert mg.hvp(f, [x], [x]).tolist() == [0.0, 0.0]
        assert mg.vjp(f, x)[1](mg.tensor(1.0))[0].tolist() == [0.0, 0.0]
    a, b = mg.grad(lambda a, b: (a * a).sum(), (0, 1))(x, x)
    assert (a.tolist(), b.tolist()) == ([2.0, 4.0], [0.0, 0.0])


def test_a_module_s_parameters_are_held_too() -> None:
    from minigrad_layers import Linear

    layer = Linear(1, 1)
    with pytest.raises(TypeError, match="item"):
        mg.grad(lambda m: m.weight.sum() * float(m.bias))(layer)
    assert float(layer.bias) == layer.bias.item()


def test_lists_of_tensors_are_stacks() -> None:
    a, b = mg.tensor([1.0, 2.0], requires_grad=True), mg.tensor([3.0, 4.0])
    made = mg.tensor([a, b], dtype="float32", name="both")
    assert (made.dtype, made.shape, made.name, made.requires_grad) == (np.dtype("f4"), (2, 2), "both", True)
    assert mg.tensor([b, b]).tolist() == [[3.0, 4.0], [3.0, 4.0]]
    own = mg.tensor([a, b], requires_grad=True)
    assert own.is_leaf
    half = mg.tensor([mg.tensor(1.0, dtype="float16", requires_grad=True), 2.0])
    assert half.dtype == "float16"
    with pytest.raises(mg.errors.ShapeError, match="equal"):
        mg.tensor([a, a[0]])


def test_the_hint_of_an_unknown_array_leads_to_what_is_differentiated() -> None:
    with pytest.raises(mg.errors.UnknownArrayError, match=r"minigrad\.tensor"):
        mg.grad(lambda v: mg.exp([v, v]).sum())(V)
    assert mg.grad(lambda v: mg.exp(mg.tensor([v, v])).sum())(0.0).item() == 2.0
