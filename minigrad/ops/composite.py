"""Compositions that layers and losses share. Each folds into one box in drawings and has no rule of its own."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigrad.core import (
    Axis,
    Operand,
    Tensor,
    astype,
    composite,
    integer,
    normalize_axes,
    number,
    reshape_,
    shape_of,
    stop_gradient,
    sum_,
    with_ones,
)
from minigrad.errors import ArgumentError, BoundsError
from minigrad.ops.compare import equal, less, less_equal, logical_not, not_equal
from minigrad.ops.elementwise import abs, keep, maximum, minimum, sqrt, where
from minigrad.ops.functions import exp, log, power
from minigrad.ops.index import positions, take
from minigrad.ops.reduce import max_, min_, narrowed, nonempty, sum_of_squares, widened

__all__ = ["log_softmax", "logsumexp", "one_hot", "relu", "softmax"]


@composite
def relu(x: Operand) -> Tensor:
    """max(x, 0), elementwise; its derivative at 0 is 0, and NaN stays NaN.

    Example:
        >>> import minigrad as mg
        >>> mg.relu(mg.tensor([-1.0, 2.0]))
        tensor([0., 2.])
    """
    return keep(x, logical_not(less_equal(x, 0)))


def _shifted(x: Any, axes: tuple[int, ...]) -> tuple[Any, Any]:
    """x less its largest element over `axes`, so that exp does not overflow; and that element, as a constant.

    Where x is inf the difference counts as 0, so that in a row with inf those elements share everything.
    """
    limits = np.finfo(np.float32 if x.dtype is None else x.dtype)
    top = stop_gradient(max_(x, axes=axes, keepdims=True), why="the result does not depend on the shift")
    held = maximum(minimum(top, float(limits.max)), float(limits.min))
    return keep(x - held, not_equal(x, math.inf)), top


def _softmax_textbook(x: Operand, axis: Axis = -1) -> Tensor:
    axes, wide = nonempty(x, axis, "softmax"), widened(x)
    e = exp(wide)
    return narrowed(e / sum_(e, axes=axes, keepdims=True), x)


@composite(textbook=_softmax_textbook, fuse=True)
def softmax(x: Operand, axis: Axis = -1) -> Tensor:
    """exp(x) / sum(exp(x)) over `axis`, shifted so that nothing overflows.

    Elements that are inf share the whole evenly, with derivative 0; elements that are -inf get 0. Where all elements
    are -inf the result is NaN: nothing is known of their proportions. Without elements there is nothing to compute.

    Example:
        >>> import minigrad as mg
        >>> mg.softmax(mg.tensor([0.0, 0.0, float("-inf")]))
        tensor([0.5, 0.5, 0. ])
    """
    axes = normalize_axes(x, axis, "softmax")
    if 0 in x.shape:
        return exp(x)
    e = exp(_shifted(widened(x), axes)[0])
    return narrowed(e / sum_(e, axes=axes, keepdims=True), x)


def _log_softmax_textbook(x: Operand, axis: Axis = -1) -> Tensor:
    axes, wide = nonempty(x, axis, "log_softmax"), widened(x)
    return narrowed(wide - log(sum_(exp(wide), axes=axes, keepdims=True)), x)


@composite(textbook=_log_softmax_textbook, fuse=True)
def log_softmax(x: Operand, axis: Axis = -1) -> Tensor:
    """log(softmax(x)) over `axis`, computed as x - logsumexp(x) so that no probability underflows to log(0).

    NaN where all elements are -inf; beside an inf, finite elements get the lowest number of the dtype (of float32 for
    float16, which has -inf for it).

    Example:
        >>> import minigrad as mg
        >>> mg.log_softmax(mg.tensor([0.0, 1e4]))
        tensor([-10000.,      0.])
    """
    axes = normalize_axes(x, axis, "log_softmax")
    if 0 in x.shape:
        return exp(x)
    shifted, _ = _shifted(widened(x), axes)
    return narrowed(shifted - log(sum_(exp(shifted), axes=axes, keepdims=True)), x)


def _logsumexp_textbook(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    axes = nonempty(x, axis, "logsumexp")
    return narrowed(log(sum_(exp(widened(x)), axes=axes, keepdims=bool(keepdims))), x)


@composite(textbook=_logsumexp_textbook, fuse=True)
def logsumexp(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """log(sum(exp(x))) over `axis`, shifted so that nothing overflows.

    inf where an element is inf, with derivative 0. Where all elements are -inf the result is -inf, its derivative NaN.

    Example:
        >>> import minigrad as mg
        >>> mg.logsumexp(mg.tensor([1e4, 1e4]))
        tensor(10000.69314718)
    """
    axes = nonempty(x, axis, "logsumexp")
    wide = widened(x)
    shifted, top = _shifted(wide, axes)
    out = narrowed(log(sum_(exp(shifted), axes=axes, keepdims=True)) + top, x)
    return out if keepdims else reshape_(out, shape=tuple(n for i, n in enumerate(x.shape) if i not in axes))


@composite
def norm(x: Operand, axis: Axis = None, keepdims: bool = False, *, ord: float = 2) -> Tensor:
    """The length of vectors, whose elements lie along `axis` (None: all elements); its gradient at 0 is 0.

    Args:
        x: any shape; float16 is computed in float32, integers in float64.
        axis: several axes make one vector; over both axes of a matrix, `ord=2` is the Frobenius norm.
        keepdims: keep the reduced axes with size 1.
        ord: p for (sum |x|^p)^(1/p), inf and -inf for the largest and the smallest |x|, 0 for how many are not 0.

    Raises:
        AxisError: an axis that `x` does not have.

    Example:
        >>> import minigrad as mg
        >>> mg.linalg.norm(mg.tensor([3.0, 4.0])), mg.linalg.norm(mg.tensor([3.0, -4.0]), ord=1)
        (tensor(5.), tensor(7.))
        >>> x = mg.tensor([0.0, 0.0], requires_grad=True)
        >>> mg.linalg.norm(x).backward()
        >>> x.grad
        tensor([0., 0.])
    """
    axes, wide = normalize_axes(x, axis, "norm"), widened(x)
    if number(ord, "ord", "norm") == 2:
        squares: Any = sum_of_squares(wide, axes=axes)
        squares = reshape_(squares, shape=with_ones(x.shape, axes)) if keepdims else squares
        zero = squares <= 0
        return narrowed(where(zero, 0.0, sqrt(where(zero, 1.0, squares))), x)
    size = abs(wide)
    if ord == 0:
        y: Any = astype(sum_(not_equal(size, 0), axes=axes, keepdims=keepdims), size.dtype)
    elif ord == 1:
        y = sum_(size, axes=axes, keepdims=keepdims)
    elif math.isinf(ord):
        y = (max_ if ord > 0 else min_)(size, axes=axes, keepdims=keepdims)
    else:
        there = not_equal(size, 0)  # at 0 a power may have a pole, or its derivative one
        powers = where(there, power(where(there, size, 1.0), float(ord)), 0.0 if ord > 0 else math.inf)
        powers = sum_(powers, axes=axes, keepdims=keepdims)
        zero = powers <= 0
        y = where(zero, 0.0, power(where(zero, 1.0, powers), 1.0 / ord))
    return narrowed(y, x)


def one_hot(labels: Operand, classes: int, dtype: Any = "float32") -> Tensor:
    """Integer labels (…) as rows (…, classes) with a single 1.

    Raises:
        ArgumentError: labels that are no integers.
        BoundsError: a label outside 0 to classes - 1; on a device, at the next copy to the host.

    Example:
        >>> import minigrad as mg
        >>> mg.one_hot(mg.tensor([1, 0]), 2)
        tensor([[0., 1.],
                [1., 0.]], dtype=float32)
    """
    shape_of(labels, "one_hot", "labels")
    classes = integer(classes, "classes", "one_hot", least=0)
    if labels.dtype.kind not in "iu":
        raise ArgumentError(f"one_hot: labels have dtype {labels.dtype}; they must be integers")
    host = labels._data if isinstance(labels, Tensor) else labels
    if isinstance(host, np.ndarray) and host.size and not 0 <= int(host.min()) <= int(host.max()) < classes:
        raise BoundsError(
            f"one_hot: labels from {host.min()} to {host.max()} do not fit {classes} classes, 0 to {classes - 1}"
        )
    places = positions(labels, n=classes)
    if not isinstance(host, np.ndarray):  # indexing looks at them; a negative one would count back
        labels = take(places, where(less(labels, 0), classes, labels))
    return astype(equal(reshape_(labels, shape=(*labels.shape, 1)), places), dtype)
