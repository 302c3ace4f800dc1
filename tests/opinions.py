"""The same derivatives twice: by minigrad and by HIPS autograd, an engine in pure Python that shares no code with ours.

f takes arrays and returns an array, or a tuple of them; the first gradient is that of <c₀, f(xs)>, each further one is
that of the gradient before it, times its own cotangents. `opinions` draws those, never free of mean.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import minigrad as mg

autograd: Any = pytest.importorskip("autograd", reason="HIPS autograd comes with the extra `dev`")
anp: Any = pytest.importorskip("autograd.numpy")
Arrays = tuple[Any, ...]
Function = Callable[..., Any]


def several(y: Any) -> Arrays:
    return (y,) if hasattr(y, "shape") else tuple(y)


def opinions(
    ours: Function,
    theirs: Function,
    xs: Sequence[Any],
    rng: np.random.Generator,
    order: int,
    variables: Sequence[mg.Tensor] | None = None,
) -> list[tuple[Arrays, Arrays]]:
    """The gradients of each order with respect to all of xs, by minigrad through `ours` and by autograd of `theirs`.

    `variables` are tensors with the values of xs, where they are not to be made here: the parameters of a layer.
    """
    if variables is None:
        variables = [mg.tensor(x, requires_grad=True) for x in xs]
    shapes = [np.shape(y) for y in several(theirs(*xs))], *[[np.shape(x) for x in xs]] * order
    cs = [tuple(rng.standard_normal(s) + 0.5 for s in level) for level in shapes]
    return list(zip(_by_minigrad(ours, variables, cs), _by_autograd(theirs, xs, cs), strict=True))


def _by_minigrad(f: Function, variables: Sequence[mg.Tensor], cs: list[Arrays]) -> list[Arrays]:
    parts, found = several(f(*variables)), []
    for weights in cs[:-1]:
        value = sum((p * mg.tensor(c)).sum() for p, c in zip(parts, weights, strict=True))
        parts = _gradients(value, variables)
        found.append(tuple(p.numpy() for p in parts))
    return found


def _gradients(value: Any, variables: Sequence[mg.Tensor]) -> Arrays:
    gradients: Arrays = (None,) * len(variables)  # of a constant nothing is left to differentiate
    if value.requires_grad:
        gradients = mg.gradients(value, variables, create_graph=True, allow_unused=True)
    return tuple(mg.zeros(v.shape) if g is None else g for g, v in zip(gradients, variables, strict=True))


def _by_autograd(f: Function, xs: Sequence[Any], cs: list[Arrays]) -> list[Arrays]:
    found = []
    for weights in cs[:-1]:

        def value(*a: Any, f: Any = f, weights: Any = weights) -> Any:
            return sum(anp.sum(y * c) for y, c in zip(several(f(*a)), weights, strict=True))

        f = autograd.grad(value, tuple(range(len(xs))))
        found.append(f(*xs))
    return found


def farthest(pairs: Sequence[tuple[Arrays, Arrays]]) -> float:
    """The largest difference, relative to the largest element of the array that it is in, or to 1."""
    both = [(a, b) for mine, theirs in pairs for a, b in zip(mine, theirs, strict=True)]
    assert all(a.shape == np.shape(b) for a, b in both)
    errors = [np.abs(a - b).max(initial=0) / max(1.0, np.abs(b).max(initial=0)) for a, b in both]
    return float(np.max(errors))  # NaN, if there is one
