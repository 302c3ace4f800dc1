"""The claim of the project, tested: normalization layers are right to the third order, in training and in evaluation.

The reference is HIPS autograd, which has no normalization either: the formula written out once, in float64, and
differentiated by somebody else's chain rule. One scale is 0, and no cotangent is free of mean: the cases in which
hand-derived backward passes are silently wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import minigrad as mg
from minigrad_layers import BatchNorm1d, BatchNorm2d, GroupNorm, LayerNorm

autograd = pytest.importorskip("autograd", reason="HIPS autograd comes with the extra `dev`")
anp: Any = pytest.importorskip("autograd.numpy")

EPS = 1e-5
Arrays = tuple[Any, ...]


class Norm(NamedTuple):
    """A layer, the shape of its input, and its reference: (x, weight, bias, running statistics or None) -> y."""

    make: Callable[[], mg.Module]
    shape: tuple[int, ...]
    formula: Callable[..., Any]


def plain(x: Any, axes: tuple[int, ...], statistics: Arrays | None) -> Any:
    if statistics is not None:
        return (x - statistics[0]) / anp.sqrt(statistics[1] + EPS)
    d = x - anp.mean(x, axis=axes, keepdims=True)
    return d / anp.sqrt(anp.mean(d * d, axis=axes, keepdims=True) + EPS)


def by_channel(axes: tuple[int, ...], tail: tuple[int, ...]) -> Callable[..., Any]:
    def formula(x: Any, weight: Any, bias: Any, statistics: Arrays | None) -> Any:
        weight, bias = (anp.reshape(p, (-1, *tail)) for p in (weight, bias))
        known = None if statistics is None else tuple(anp.reshape(s, (-1, *tail)) for s in statistics)
        return plain(x, axes, known) * weight + bias

    return formula


def layer_norm(x: Any, weight: Any, bias: Any, statistics: Arrays | None) -> Any:
    axes = tuple(range(x.ndim - weight.ndim, x.ndim))
    return plain(x, axes, None) * weight + bias


def group_norm(x: Any, weight: Any, bias: Any, statistics: Arrays | None) -> Any:
    y = anp.reshape(plain(anp.reshape(x, (x.shape[0], 2, -1)), (2,), None), x.shape)
    return y * anp.reshape(weight, (-1, 1)) + anp.reshape(bias, (-1, 1))


NORMS = {
    "batch 5x2": Norm(lambda: BatchNorm1d(2, dtype="float64"), (5, 2), by_channel((0,), ())),
    "batch 3x4x3": Norm(lambda: BatchNorm1d(4, dtype="float64"), (3, 4, 3), by_channel((0, 2), (1,))),
    "batch 2x3x3x2": Norm(lambda: BatchNorm2d(3, dtype="float64"), (2, 3, 3, 2), by_channel((0, 2, 3), (1, 1))),
    "layer 4x6": Norm(lambda: LayerNorm(6, dtype="float64"), (4, 6), layer_norm),
    "layer 3x(2x4)": Norm(lambda: LayerNorm((2, 4), dtype="float64"), (3, 2, 4), layer_norm),
    "group 3x4x3": Norm(lambda: GroupNorm(2, 4, dtype="float64"), (3, 4, 3), group_norm),
}


def reference(norm: Norm, xs: Arrays, cs: list[Any], statistics: Arrays | None) -> list[Arrays]:
    """Gradients of orders 1, 2, 3 with respect to x, weight and bias, by autograd."""

    def value(x: Any, weight: Any, bias: Any) -> Any:
        return anp.sum(norm.formula(x, weight, bias, statistics) * cs[0])

    found = []
    for order in range(1, 4):
        gradient = autograd.grad(value, (0, 1, 2))
        found.append(gradient(*xs))

        def value(*a: Any, gradient: Any = gradient, c: Any = cs[order]) -> Any:
            return sum(anp.sum(g * ci) for g, ci in zip(gradient(*a), c, strict=True))

    return found


def ours(layer: mg.Module, xs: Arrays, cs: list[Any]) -> list[Arrays]:
    """The same by minigrad, through the layer."""
    x = mg.tensor(xs[0], requires_grad=True)
    layer.weight.data, layer.bias.data = xs[1:]
    variables = [x, layer.weight, layer.bias]
    value = (layer(x) * mg.tensor(cs[0])).sum()
    found = []
    for order in range(1, 4):
        gradient = (None,) * 3  # with fixed statistics the third derivatives are 0: nothing is left to differentiate
        if value.requires_grad:
            gradient = mg.gradients(value, variables, create_graph=True, allow_unused=True)
        gradient = tuple(mg.zeros(v.shape) if g is None else g for g, v in zip(gradient, variables, strict=True))
        found.append(tuple(g.numpy() for g in gradient))
        value = sum((g * mg.tensor(c)).sum() for g, c in zip(gradient, cs[order], strict=True))
    return found


@pytest.mark.filterwarnings("ignore:Output seems independent of input")  # the third derivatives in evaluation are 0
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("name", NORMS)
def test_gradients_of_order_1_2_3_agree_with_autograd(name: str, training: bool, rng: np.random.Generator) -> None:
    norm = NORMS[name]
    layer = norm.make()
    x = rng.standard_normal(norm.shape) * 2 + 1
    weight, bias = rng.standard_normal(layer.weight.shape), rng.standard_normal(layer.weight.shape)
    weight.flat[0] = 0.0
    xs = (x, weight, bias)
    cs = [rng.standard_normal(norm.shape) + 0.5]
    cs += [tuple(rng.standard_normal(a.shape) + 0.5 for a in xs) for _ in range(3)]
    statistics = None
    if not training:
        layer.eval()
        if hasattr(layer, "running_mean"):
            statistics = rng.standard_normal(weight.shape), rng.uniform(0.5, 2, weight.shape)
            layer.running_mean.assign(mg.tensor(statistics[0]))
            layer.running_var.assign(mg.tensor(statistics[1]))
    for order, (mine, theirs) in enumerate(
        zip(ours(layer, xs, cs), reference(norm, xs, cs, statistics), strict=True), start=1
    ):
        for a, b, of in zip(mine, theirs, ("x", "weight", "bias"), strict=True):
            assert a.shape == b.shape
            err = np.abs(a - b).max() / max(1.0, np.abs(b).max())
            assert err <= 1e-9, f"order {order} with respect to {of}: off by {err:.2e}"


@pytest.mark.parametrize("name", NORMS)
def test_float32_gradients_are_close_to_those_in_float64(name: str, rng: np.random.Generator) -> None:
    norm = NORMS[name]
    x, c = rng.standard_normal(norm.shape) + 3, rng.standard_normal(norm.shape) + 0.5
    found = []
    for dtype in ("float64", "float32"):
        layer = norm.make().astype(dtype)
        v = mg.tensor(x, dtype=dtype, requires_grad=True)
        (layer(v) * mg.tensor(c, dtype=dtype)).sum().backward()
        found.append(v.grad.numpy())
        assert v.grad.dtype == dtype == layer.weight.grad.dtype
    assert np.abs(found[0] - found[1]).max() <= 1e-4 * np.abs(found[0]).max()
