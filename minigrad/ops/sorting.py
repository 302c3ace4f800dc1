"""Order: sorted arrays, the positions that sort them, the positions of extrema. Positions are never tracked; values are
gathered by them.

Elements that are equal keep their order, so the gradient of a tie goes to the places in the order of their positions.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from minigrad.backend import backend_of
from minigrad.core import Operand, Tensor, composite, integer, method, one_axis, primitive, reshape_, shape_of
from minigrad.core.domains import Case, Rng, distinct, reals
from minigrad.errors import ArgumentError, ShapeError
from minigrad.notation import fn
from minigrad.ops.index import take_along_axis
from minigrad.ops.joining import take_part
from minigrad.ops.reduce import nonempty

__all__ = ["argmax", "argmin", "argsort", "searchsorted", "sort", "topk"]


@primitive(
    show=fn("argsort", params=("axis",)),
    samples=lambda rng: (
        (distinct(rng, (3, 4)),),
        {"axis": int(rng.integers(2)), "descending": bool(rng.integers(2))},
    ),
    kind="opaque",
    infer=lambda x, *, axis, descending: (x.shape, np.dtype(np.int64)),
    name="argsort",
)
def argsort_(xp: Any, x: Operand, *, axis: int, descending: bool = False) -> Any:
    """The positions that sort each line along `axis`; equal elements in the order of their positions."""
    if not descending:
        return xp.argsort(x, axis=axis, kind="stable").astype(np.int64, copy=False)
    back = (slice(None),) * axis + (slice(None, None, -1),)  # the last of equals first, and then all in reverse
    order = xp.argsort(x[back], axis=axis, kind="stable")
    return (x.shape[axis] - 1 - order[back]).astype(np.int64, copy=False)


@method("argsort")
def argsort(x: Operand, axis: int | None = -1, *, descending: bool = False) -> Tensor:
    """The positions that sort `x` along `axis` (None: the flattened array), as integers.

    Equal elements keep their order, descending too. NaN counts as larger than any number.

    Raises:
        AxisError: an axis that `x` does not have.

    Example:
        >>> import minigrad as mg
        >>> mg.argsort(mg.tensor([3.0, 1.0, 2.0]))
        tensor([1, 2, 0])
    """
    if axis is None:
        x, axis = reshape_(x, shape=(math.prod(shape_of(x, "argsort")),)), 0
    at = one_axis(x, axis, "argsort")
    return argsort_(x, axis=at, descending=bool(descending))


@composite
def sort(x: Operand, axis: int | None = -1, *, descending: bool = False) -> Tensor:
    """`x` sorted along `axis` (None: the flattened array); its gradient goes back to where each element came from.

    Example:
        >>> import minigrad as mg
        >>> x = mg.tensor([3.0, 1.0, 2.0], requires_grad=True)
        >>> (mg.sort(x) * mg.tensor([1.0, 10.0, 100.0])).sum().backward()
        >>> x.grad
        tensor([100.,   1.,  10.])
    """
    if axis is None:
        x, axis = reshape_(x, shape=(math.prod(shape_of(x, "sort")),)), 0
    at = one_axis(x, axis, "sort")
    return take_along_axis(x, argsort(x, at, descending=descending), at)


class TopK(NamedTuple):
    """The k largest (or smallest) elements along an axis, in order, and their positions."""

    values: Tensor
    indices: Tensor


@composite
def topk(x: Operand, k: int, axis: int = -1, *, largest: bool = True) -> TopK:
    """The `k` largest elements along `axis`, the largest first, with their positions; or the smallest.

    Args:
        x: at least one axis.
        k: how many, from 0 to the size of the axis.
        axis: along which.
        largest: False for the smallest, the smallest first.

    Raises:
        ArgumentError: more elements than there are.

    Example:
        >>> import minigrad as mg
        >>> mg.topk(mg.tensor([1.0, 3.0, 2.0]), 2)
        TopK(values=tensor([3., 2.]), indices=tensor([1, 2]))
    """
    at, k = one_axis(x, axis, "topk"), integer(k, "k", "topk")
    if not 0 <= k <= x.shape[at]:
        raise ArgumentError(f"topk: k={k} must be from 0 to {x.shape[at]}, the size of axis {axis} of {tuple(x.shape)}")
    order = take_part(argsort_(x, axis=at, descending=bool(largest)), axis=at, start=0, stop=k)
    return TopK(take_along_axis(x, order, at), order)


@primitive(
    show=fn("searchsorted"),
    samples=lambda rng: (
        (np.sort(reals(rng, (5,))), reals(rng, (2, 3))),
        {"side": ("left", "right")[int(rng.integers(2))]},
    ),
    kind="opaque",
    infer=lambda x, values, *, side: (getattr(values, "shape", ()), np.dtype(np.int64)),
    name="searchsorted",
)
def searchsorted_(xp: Any, x: Operand, values: Operand, *, side: str) -> Any:
    """Where each of `values` would be put into the sorted x."""
    if not hasattr(values, "shape"):  # a number: 2.5 lies between the integers 2 and 3
        values = xp.asarray(values, dtype=np.result_type(x.dtype, values) if isinstance(values, float) else None)
    return xp.asarray(xp.searchsorted(x, values, side=side)).astype(np.int64, copy=False)


@method("searchsorted")
def searchsorted(x: Operand, values: Operand, side: str = "left") -> Tensor:
    """The position in the ascending `x` (n,) at which each of `values` would have to be put to keep the order.

    Args:
        x: one axis, ascending; that is not checked.
        values: any shape; the result has that shape, integers from 0 to n.
        side: "left" puts a value before its equals, "right" behind them.

    Raises:
        ShapeError: `x` has another number of axes than one.
        ArgumentError: another `side`.

    Example:
        >>> import minigrad as mg
        >>> mg.searchsorted(mg.tensor([1.0, 2.0, 3.0]), mg.tensor([0.5, 2.0]))
        tensor([0, 1])
    """
    if len(shape_of(x, "searchsorted")) != 1:
        raise ShapeError(f"searchsorted: x has shape {tuple(x.shape)}; the sorted array must have one axis")
    if side not in ("left", "right"):
        raise ArgumentError(f'side: {side!r} must be "left" or "right"')
    return searchsorted_(x, values, side=side)


def _case_position(rng: Rng) -> Case:
    axis = (None, 0, 1)[int(rng.integers(3))]
    return (distinct(rng, (2, 3)),), {"axis": axis, "keepdims": bool(rng.integers(2))}


def _infer_position(x: Any, *, axis: int | None, keepdims: bool) -> Any:
    axes = range(len(x.shape)) if axis is None else (axis,)
    return tuple(1 if i in axes else n for i, n in enumerate(x.shape) if keepdims or i not in axes), "int64"


@primitive(
    show=fn("argmax", params=("axis",)), samples=_case_position, kind="opaque", infer=_infer_position, name="argmax"
)
def argmax_(xp: Any, x: Operand, *, axis: int | None, keepdims: bool) -> Any:
    """The position of the largest element."""
    return backend_of(x).position(x, axis, keepdims, largest=True)


@primitive(
    show=fn("argmin", params=("axis",)), samples=_case_position, kind="opaque", infer=_infer_position, name="argmin"
)
def argmin_(xp: Any, x: Operand, *, axis: int | None, keepdims: bool) -> Any:
    """The position of the smallest element."""
    return backend_of(x).position(x, axis, keepdims, largest=False)


@method("argmax")
def argmax(x: Operand, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The position of the largest element along `axis` (None: in the flattened array); the first one where they tie.

    Raises:
        ShapeError: no elements along `axis`.

    Example:
        >>> import minigrad as mg
        >>> mg.argmax(mg.tensor([[1.0, 3.0, 3.0], [2.0, 0.0, 1.0]]), axis=1)
        tensor([1, 0])
    """
    at = axis if axis is None else one_axis(x, axis, "argmax")
    nonempty(x, at, "argmax")
    return argmax_(x, axis=at, keepdims=bool(keepdims))


@method("argmin")
def argmin(x: Operand, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The position of the smallest element along `axis` (None: in the flattened array); the first one where they tie.

    Raises:
        ShapeError: no elements along `axis`.

    Example:
        >>> import minigrad as mg
        >>> mg.argmin(mg.tensor([3.0, 1.0, 2.0]))
        tensor(1)
    """
    at = axis if axis is None else one_axis(x, axis, "argmin")
    nonempty(x, at, "argmin")
    return argmin_(x, axis=at, keepdims=bool(keepdims))
