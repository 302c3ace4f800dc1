"""Rearrangements that are compositions: reversed, rolled, tiled and repeated arrays, triangles and diagonals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.core import (
    Axis,
    Operand,
    Tensor,
    broadcast_to_,
    composite,
    integer,
    integers,
    method,
    normalize_axes,
    one_axis,
    primitive,
    reshape_,
    shape_of,
    sum_,
)
from minigrad.core.domains import reals
from minigrad.errors import ArgumentError, ShapeError
from minigrad.ops.compare import logical_not
from minigrad.ops.elementwise import keep
from minigrad.ops.index import sliced, take
from minigrad.ops.joining import concat, take_part
from minigrad.ops.shape import moveaxis

__all__ = ["diagonal", "flip", "repeat", "roll", "tile", "tril", "triu"]


def flip(x: Operand, axis: Axis = None) -> Tensor:
    """`x` in reverse order along `axis` (None: all axes), without a copy.

    Example:
        >>> import minigrad as mg
        >>> mg.flip(mg.tensor([1.0, 2.0, 3.0]))
        tensor([3., 2., 1.])
    """
    axes = normalize_axes(x, axis, "flip")
    return sliced(x, spec=tuple(("slice", None, None, -1 if i in axes else None) for i in range(len(x.shape))))


@composite
def roll(x: Operand, shift: int | Sequence[int], axis: int | Sequence[int] | None = None) -> Tensor:
    """`x` moved along `axis` by `shift` places; what leaves at one end comes in at the other.

    Args:
        x: any shape.
        shift: how far, towards higher positions; one for each axis when there are several.
        axis: along which; None rolls the flattened array and keeps the shape.

    Raises:
        ArgumentError: numbers of shifts and axes that differ.

    Example:
        >>> import minigrad as mg
        >>> mg.roll(mg.tensor([1.0, 2.0, 3.0]), 1)
        tensor([3., 1., 2.])
    """
    shape, shifts = shape_of(x, "roll"), integers(shift, "shift", "roll")
    if axis is None:
        return reshape_(roll(reshape_(x, shape=(math.prod(shape),)), sum(shifts), 0), shape=shape)
    axes = integers(axis, "axis", "roll")
    shifts = shifts * len(axes) if len(shifts) == 1 else shifts
    if len(shifts) != len(axes):
        raise ArgumentError(f"roll: shift {shift} must be one number, or one for each axis of {axis}")
    for a, k in zip(axes, shifts, strict=True):
        at = one_axis(x, a, "roll")
        n = shape[at]
        k = n - k % n if n else 0
        if 0 < k < n:
            x = concat([take_part(x, axis=at, start=k, stop=n), take_part(x, axis=at, start=0, stop=k)], at)
    return x  # type: ignore[no-any-return]


@composite
def tile(x: Operand, repeats: int | Sequence[int]) -> Tensor:
    """`x` laid side by side, `repeats` times along each of the last axes; missing axes are put in front.

    Raises:
        ArgumentError: a negative number.

    Example:
        >>> import minigrad as mg
        >>> mg.tile(mg.tensor([1.0, 2.0]), (2, 2))
        tensor([[1., 2., 1., 2.],
                [1., 2., 1., 2.]])
    """
    times = integers(repeats, "repeats", "tile", least=0)
    ndim = max(len(times), len(shape_of(x, "tile")))
    times, shape = (1,) * (ndim - len(times)) + times, (1,) * (ndim - len(x.shape)) + tuple(x.shape)
    apart = tuple(k for n in shape for k in (1, n))
    whole = tuple(k for r, n in zip(times, shape, strict=True) for k in (r, n))
    wide = broadcast_to_(reshape_(x, shape=apart), shape=whole)
    return reshape_(wide, shape=tuple(r * n for r, n in zip(times, shape, strict=True)))


@method("repeat")
@composite
def repeat(x: Operand, repeats: int | Sequence[int], axis: int | None = None) -> Tensor:
    """Each element of `x` repeated along `axis` (None: of the flattened array).

    Args:
        x: any shape.
        repeats: how often, or a number for each element along `axis`; numbers on the host.
        axis: where the copies go.

    Raises:
        ArgumentError: a negative number, or not as many numbers as elements.

    Example:
        >>> import minigrad as mg
        >>> mg.repeat(mg.tensor([1.0, 2.0]), (1, 2))
        tensor([1., 2., 2.])
    """
    if axis is None:
        x, axis = reshape_(x, shape=(math.prod(shape_of(x, "repeat")),)), 0
    at = one_axis(x, axis, "repeat")
    n, times = x.shape[at], integers(repeats, "repeats", "repeat", least=0)
    if len(times) not in (1, n):
        raise ArgumentError(
            f"repeat: repeats {repeats} must be one number, or one for each of the {n} elements along axis {axis} of "
            f"shape {tuple(x.shape)}"
        )
    if len(times) != 1:
        return take(x, np.repeat(np.arange(n), times), at)
    head, tail, (r,) = tuple(x.shape[: at + 1]), tuple(x.shape[at + 1 :]), times
    wide = broadcast_to_(reshape_(x, shape=(*head, 1, *tail)), shape=(*head, r, *tail))
    return reshape_(wide, shape=(*head[:-1], n * r, *tail))


# ---- triangles and diagonals


@primitive(
    samples=lambda rng: ((reals(rng, (2, 3, 4)),), {"k": int(rng.integers(-3, 4))}),
    kind="opaque",
    infer=lambda x, *, k: (x.shape, np.dtype(bool)),
)
def lower_mask(xp: Any, x: Operand, *, k: int) -> Any:
    """True on diagonal k of each matrix of x and below it, False above."""
    return xp.broadcast_to(xp.tri(x.shape[-2], x.shape[-1], k, dtype=bool), x.shape)


def _matrices(x: Any, op: str) -> None:
    if len(shape_of(x, op)) < 2:
        raise ShapeError(f"{op}: shape {tuple(x.shape)} has {len(x.shape)} axes; a matrix has at least two")


@composite
def tril(x: Operand, k: int = 0) -> Tensor:
    """The lower triangle of each matrix (…, n, m): diagonal `k` (0 the main one, 1 above it) and below, else 0.

    Raises:
        ShapeError: fewer than two axes.

    Example:
        >>> import minigrad as mg
        >>> mg.tril(mg.ones((2, 3)))
        tensor([[1., 0., 0.],
                [1., 1., 0.]])
    """
    _matrices(x, "tril")
    return keep(x, lower_mask(x, k=integer(k, "k", "tril")))


@composite
def triu(x: Operand, k: int = 0) -> Tensor:
    """The upper triangle of each matrix (…, n, m): diagonal `k` (0 the main one, 1 above it) and above, else 0.

    Raises:
        ShapeError: fewer than two axes.

    Example:
        >>> import minigrad as mg
        >>> mg.triu(mg.ones((2, 3)), 1)
        tensor([[0., 1., 1.],
                [0., 0., 1.]])
    """
    _matrices(x, "triu")
    return keep(x, logical_not(lower_mask(x, k=integer(k, "k", "triu") - 1)))


@method("diagonal")
@composite
def diagonal(x: Operand, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The elements x[i, i + offset] of the matrices along `axis1` and `axis2`, as a new last axis.

    Raises:
        AxisError: an axis that `x` does not have, or twice the same.

    Example:
        >>> import minigrad as mg
        >>> mg.diagonal(mg.tensor([[1.0, 2.0], [3.0, 4.0]]), 1)
        tensor([2.])
    """
    offset = integer(offset, "offset", "diagonal")
    both = one_axis(x, axis1, "diagonal", "axis1"), one_axis(x, axis2, "diagonal", "axis2")
    normalize_axes(x, both, "diagonal", "axis1, axis2")
    x = moveaxis(x, (axis1, axis2), (-2, -1))
    *lead, n, m = x.shape
    start = offset if offset >= 0 else -offset * m
    count = max(min(n, m - offset) if offset >= 0 else min(n + offset, m), 0)
    flat = reshape_(x, shape=(*lead, n * m))
    if not count:
        return take_part(flat, axis=len(lead), start=0, stop=0)
    return sliced(flat, spec=(..., ("slice", start, start + (count - 1) * (m + 1) + 1, m + 1)))


@method("trace")
def _trace(self: Tensor, offset: int = 0, axis1: int = -2, axis2: int = -1) -> Tensor:
    d = diagonal(self, offset, axis1, axis2)
    return sum_(d, axes=(len(d.shape) - 1,))
