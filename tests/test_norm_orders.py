"""The claim of the project, tested: normalization layers are right to the third order, in training and in evaluation.

G12 for layers. The reference is HIPS autograd, which has no normalization either: the formula once, in float64, and
differentiated by somebody else's chain rule. One scale is 0, and no cotangent is free of mean: the cases in which
hand-derived backward passes are silently wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from opinions import anp, farthest, opinions

import minigrad as mg
from minigrad_layers import BatchNorm1d, BatchNorm2d, GroupNorm, LayerNorm

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
    layer.weight.data, layer.bias.data = weight, bias
    statistics = None
    if not training:
        layer.eval()
        if hasattr(layer, "running_mean"):
            statistics = rng.standard_normal(weight.shape), rng.uniform(0.5, 2, weight.shape)
            layer.running_mean.assign(mg.tensor(statistics[0]))
            layer.running_var.assign(mg.tensor(statistics[1]))
    variables = [mg.tensor(x, requires_grad=True), layer.weight, layer.bias]
    pairs = opinions(
        lambda x, *_: layer(x), lambda *xs: norm.formula(*xs, statistics), xs, rng, order=3, variables=variables
    )
    for order, pair in enumerate(pairs, start=1):
        assert farthest([pair]) <= 1e-10, f"order {order}"


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
