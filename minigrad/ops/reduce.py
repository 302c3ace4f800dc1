"""Reductions: what folds axes away. Sums accumulate widely; statistics are two-pass with a correcting term."""

from __future__ import annotations

import builtins
import math
from typing import Any, NamedTuple

import numpy as np

from minigrad import notation
from minigrad.backend import backend_of
from minigrad.core import (
    Axis,
    Operand,
    Tensor,
    astype,
    composite,
    method,
    normalize_axes,
    number,
    primitive,
    reshape_,
    spread,
    stop_gradient,
    sum_,
    with_ones,
)
from minigrad.core.domains import Case, Rng, booleans, distinct, reals, some_axes, some_shape
from minigrad.errors import ArgumentError, ShapeError
from minigrad.ops.compare import equal, isnan, logical_or, not_equal
from minigrad.ops.elementwise import abs, keep, sqrt, square, where

__all__ = ["all", "any", "count_nonzero", "deviations", "max", "mean", "min", "std", "var"]


def _count(x: Any, axes: tuple[int, ...]) -> int:
    return math.prod(x.shape[i] for i in axes)


def widened(x: Any) -> Any:
    """`x` in the dtype in which its statistics are computed: float32 for float16, float64 for integers and booleans."""
    if x.dtype is None or x.dtype.char in "fd":  # a symbol may have no dtype
        return x
    return astype(x, "float32" if x.dtype.char == "e" else "float64")


def narrowed(y: Tensor, x: Any) -> Tensor:
    """What was computed from `widened(x)` in the dtype in which users get it: float16 again for float16."""
    return astype(y, x.dtype) if x.dtype is not None and x.dtype.char == "e" else y


def _case(domain: Any) -> Any:
    def case(rng: Rng) -> Case:
        shape = tuple(builtins.max(n, 1) for n in some_shape(rng))
        return (domain(rng, shape),), {"axes": some_axes(rng, len(shape)), "keepdims": bool(rng.integers(2))}

    return case


@primitive(
    lambda g, x, axes: spread(2 * g, x.shape, axes) * x,
    show=notation.reduction("sum_of_squares"),
    samples=lambda rng: ((reals(rng, s := some_shape(rng)),), {"axes": some_axes(rng, len(s))}),
    kind="reduce",
    reduce=("+", 0, "{x} * {x}"),
)
def sum_of_squares(xp: Any, x: Operand, *, axes: tuple[int, ...]) -> Any:
    """The sum of x² over `axes`, in one pass: the squares are never stored."""
    return backend_of(x).sum_of_squares(x, axes)


def _mean_textbook(x: Operand, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    return sum_(x, axes=axes, keepdims=keepdims) / builtins.max(_count(x, axes), 1)


@composite(textbook=_mean_textbook)
def mean_(x: Operand, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    return sum_(x, axes=axes, keepdims=keepdims) * (1.0 / builtins.max(_count(x, axes), 1))


@method("mean")
def mean(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The arithmetic mean over `axis` (None: of all elements); integers give float64.

    Raises:
        AxisError: an axis that `x` does not have.
        ShapeError: no elements.

    Example:
        >>> import minigrad as mg
        >>> mg.mean(mg.tensor([[1.0, 2.0], [3.0, 4.0]]), axis=1)
        tensor([1.5, 3.5])
    """
    axes = normalize_axes(x, axis, "mean")
    if _count(x, axes) == 0:
        raise ShapeError(
            f"mean: shape {tuple(x.shape)} has no elements along axis {axis}; the mean of nothing is not defined"
        )
    return narrowed(mean_(widened(x), axes, keepdims), x)


class Deviations(NamedTuple):
    """What every normalization is made of; axes that were reduced are kept with size 1."""

    d: Tensor  # x - shift
    r: Tensor  # the mean of d: 0 but for the rounding of the shift
    var: Tensor  # the mean of (d - r)²
    shift: Tensor  # the mean of x as closely as its dtype allows; not tracked


@composite
def deviations(x: Operand, axis: Axis = None) -> Deviations:
    """The deviations of `x` from its mean over `axis`, and their mean and variance, to the last digit.

    The mean of values far from 0 is rounded: for float32 values around a million it is off by up to 0.03. So x is
    shifted by that rounded mean, a constant, and what is left is measured: r = mean(d), var = mean(d²) - r² (shifted
    data with a correcting term: Chan, Golub, LeVeque, "Algorithms for computing the sample variance", The American
    Statistician 37(3), 1983). d - r and var do not depend on the shift, so no gradient flows through it; it is the
    first element where that lies within rounding of the mean, so that a constant input has deviations of exactly 0.

    Returns:
        Deviations (d, r, var, shift): d of the shape of `x`, the others with 1 for each axis that was reduced; float32
        when `x` is float16, float64 when it holds integers.

    Example:
        >>> import minigrad as mg
        >>> mg.deviations(mg.tensor([1.0, 2.0, 3.0])).var
        tensor([0.66666667])
    """
    axes = normalize_axes(x, axis, "deviations")
    x = widened(x)
    n = builtins.max(_count(x, axes), 1)
    shift = stop_gradient(_near_mean(x, axes), why="d - r and var do not depend on the shift, so its gradient is 0")
    d = x - shift
    r = mean_(d, axes, True)
    squares = reshape_(sum_of_squares(d, axes=axes), shape=with_ones(x.shape, axes))
    return Deviations(d, r, squares * (1.0 / n) - r * r, shift)


def _without(shape: tuple[int, ...], axes: tuple[int, ...], keepdims: bool) -> tuple[int, ...]:
    return with_ones(shape, axes) if keepdims else tuple(n for i, n in enumerate(shape) if i not in axes)


def _near_mean_opened(x: Operand, *, axes: tuple[int, ...], keepdims: bool) -> Any:
    """`near_mean` of other primitives."""
    m = sum_(x, axes=axes, keepdims=True) * (1.0 / builtins.max(_count(x, axes), 1))
    if 0 not in x.shape:
        first = x[tuple(slice(0, 1) if i in axes else slice(None) for i in range(len(x.shape)))]
        m = where(abs(m - first) <= 4 * float(np.finfo(x.dtype).eps) * abs(m), first, m)
    return m if keepdims else reshape_(m, shape=_without(x.shape, axes, keepdims))


@primitive(
    show=notation.reduction("near_mean"),
    samples=_case(reals),
    kind="opaque",
    infer=lambda x, *, axes, keepdims: (_without(x.shape, axes, keepdims), x.dtype),
    opens=_near_mean_opened,
    name="near_mean",
)
def near_mean_(xp: Any, x: Operand, *, axes: tuple[int, ...], keepdims: bool) -> Any:
    """The mean over `axes` in the dtype of x, or the first element where that lies within rounding of the mean."""
    n = builtins.max(math.prod(x.shape[i] for i in axes), 1)
    m = backend_of(x).sum(x, axes, True) * (1.0 / n)
    first = x[tuple(slice(0, 1) if i in axes else slice(None) for i in range(x.ndim))]
    if first.shape != m.shape:  # no elements
        return m
    m = xp.where(xp.abs(m - first) <= 4 * float(xp.finfo(x.dtype).eps) * xp.abs(m), first, m)
    return m if keepdims else xp.reshape(m, _without(x.shape, axes, keepdims))


def _near_mean(x: Any, axes: tuple[int, ...]) -> Any:
    return near_mean_(x, axes=axes, keepdims=True)


def _var_textbook(x: Operand, axes: tuple[int, ...], correction: float, keepdims: bool) -> Tensor:
    squares = square(x - mean_(x, axes, True))
    return sum_(squares, axes=axes, keepdims=keepdims) / (_count(x, axes) - correction)


@composite(textbook=_var_textbook)
def var_(x: Operand, axes: tuple[int, ...], correction: float, keepdims: bool) -> Tensor:
    n = _count(x, axes)
    v = deviations(x, axes).var
    if correction:
        v = v * (n / (n - correction))
    return v if keepdims else reshape_(v, shape=tuple(m for i, m in enumerate(x.shape) if i not in axes))


def _degrees(x: Any, axes: tuple[int, ...], correction: float, op: str) -> None:
    n = _count(x, axes)
    if n - number(correction, "correction", op) <= 0:
        raise ArgumentError(
            f"{op}: {n} elements along the reduced axes of shape {tuple(x.shape)} with correction={correction} leave "
            f"{n - correction} "
            "degrees of freedom; at least something above 0 is needed"
        )


@method("var")
def var(x: Operand, axis: Axis = None, correction: float = 0, keepdims: bool = False) -> Tensor:
    """The variance over `axis`, divided by n - correction; two-pass with a correcting term, never negative beyond
    rounding.

    Raises:
        AxisError: an axis that `x` does not have.
        ArgumentError: n - correction is not above 0.

    Example:
        >>> import minigrad as mg
        >>> mg.var(mg.tensor([1.0, 2.0, 3.0, 4.0]))
        tensor(1.25)
    """
    axes = normalize_axes(x, axis, "var")
    _degrees(x, axes, correction, "var")
    return narrowed(var_(widened(x), axes, correction, keepdims), x)


def _std_textbook(x: Operand, axis: Axis = None, correction: float = 0, keepdims: bool = False) -> Tensor:
    axes = normalize_axes(x, axis, "std")
    _degrees(x, axes, correction, "std")
    return narrowed(sqrt(var_(widened(x), axes, correction, keepdims)), x)


@method("std")
@composite(textbook=_std_textbook)
def std(x: Operand, axis: Axis = None, correction: float = 0, keepdims: bool = False) -> Tensor:
    """The standard deviation over `axis`: the square root of `var`; the gradient of a constant input is 0.

    Example:
        >>> import minigrad as mg
        >>> x = mg.tensor([2.0, 2.0], requires_grad=True)
        >>> mg.std(x).backward()
        >>> x.grad
        tensor([0., 0.])
    """
    axes = normalize_axes(x, axis, "std")
    _degrees(x, axes, correction, "std")
    v = var_(widened(x), axes, correction, keepdims)  # not narrowed: of float16 it may overflow where the root does not
    flat = v <= 0
    return narrowed(where(flat, 0.0, sqrt(where(flat, 1.0, v))), x)


def _share_ties(g: Any, x: Any, y: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    """The cotangent of an extremum: to where it is attained, in equal parts; of NaN, to where that is."""
    where_is = logical_or(equal(x, spread(y, x.shape, axes)), isnan(x))
    ties = sum_(astype(where_is, g.dtype), axes=axes, keepdims=keepdims)
    return keep(spread(g / ties, x.shape, axes), where_is)


@primitive(
    _share_ties,
    show=notation.reduction("max", r"\max", axis="axes"),
    samples=_case(distinct),
    kind="reduce",
    reduce=("max", -math.inf),
    name="max",
)
def max_(xp: Any, x: Operand, *, axes: tuple[int, ...], keepdims: bool = False) -> Any:
    """The largest element over `axes`."""
    return backend_of(x).extremum(x, axes, keepdims, largest=True)


@primitive(
    _share_ties,
    show=notation.reduction("min", r"\min", axis="axes"),
    samples=_case(distinct),
    kind="reduce",
    reduce=("min", math.inf),
    name="min",
)
def min_(xp: Any, x: Operand, *, axes: tuple[int, ...], keepdims: bool = False) -> Any:
    """The smallest element over `axes`."""
    return backend_of(x).extremum(x, axes, keepdims, largest=False)


def nonempty(x: Any, axis: Axis, op: str) -> tuple[int, ...]:
    """`axis` as positions along which there is something; ShapeError, naming `op`, where there is not."""
    axes = normalize_axes(x, axis, op)
    if _count(x, axes) == 0:
        raise ShapeError(f"{op}: shape {tuple(x.shape)} has no elements along axis {axis}, so there is no {op}")
    return axes


@method("max")
def max(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The largest element over `axis`, NaN if there is one; elements that tie share the gradient evenly.

    Example:
        >>> import minigrad as mg
        >>> x = mg.tensor([1.0, 3.0, 3.0], requires_grad=True)
        >>> mg.max(x).backward()
        >>> x.grad
        tensor([0. , 0.5, 0.5])
    """
    return max_(x, axes=nonempty(x, axis, "max"), keepdims=bool(keepdims))


@method("min")
def min(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The smallest element over `axis`, NaN if there is one; elements that tie share the gradient evenly."""
    return min_(x, axes=nonempty(x, axis, "min"), keepdims=bool(keepdims))


@primitive(
    show=notation.reduction("any"),
    samples=_case(booleans),
    kind="reduce",
    reduce=("||", 0, "{x} != 0"),
    name="any",
)
def any_(xp: Any, x: Operand, *, axes: tuple[int, ...], keepdims: bool = False) -> Any:
    """Whether any element over `axes` is true."""
    return xp.asarray(x.any(axis=axes, keepdims=keepdims))


@method("any")
def any(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Whether any element over `axis` is true."""
    return any_(x, axes=normalize_axes(x, axis, "any"), keepdims=bool(keepdims))


@primitive(
    show=notation.reduction("all"),
    samples=_case(booleans),
    kind="reduce",
    reduce=("&&", 1, "{x} != 0"),
    name="all",
)
def all_(xp: Any, x: Operand, *, axes: tuple[int, ...], keepdims: bool = False) -> Any:
    """Whether all elements over `axes` are true."""
    return xp.asarray(x.all(axis=axes, keepdims=keepdims))


@method("all")
def all(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Whether all elements over `axis` are true."""
    return all_(x, axes=normalize_axes(x, axis, "all"), keepdims=bool(keepdims))


def count_nonzero(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """How many elements over `axis` are not 0, as integers; NaN is not 0.

    Example:
        >>> import minigrad as mg
        >>> mg.count_nonzero(mg.tensor([[1.0, 0.0], [2.0, 3.0]]), axis=1)
        tensor([1, 2])
    """
    axes = normalize_axes(x, axis, "count_nonzero")
    return sum_(not_equal(x, 0), axes=axes, keepdims=bool(keepdims))
