"""What rearranges elements without computing: permutations, added and dropped axes, broadcasting."""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad import notation
from minigrad.core import (
    Operand,
    Tensor,
    broadcast_to_,
    integers,
    method,
    normalize_axes,
    one_axis,
    primitive,
    reshape,
    reshape_,
    shape_of,
    tensor,
)  # fmt: skip
from minigrad.core.domains import Case, Rng, reals, some_shape
from minigrad.errors import AxisError, ShapeError

__all__ = [
    "broadcast_arrays", "expand_dims", "matrix_transpose", "moveaxis", "permute_dims", "squeeze", "swapaxes",
]  # fmt: skip


def _case_permute(rng: Rng) -> Case:
    shape = some_shape(rng)
    return (reals(rng, shape),), {"axes": tuple(int(i) for i in rng.permutation(len(shape)))}


@primitive(
    lambda g, axes: permute_dims_(g, axes=tuple(sorted(range(len(axes)), key=axes.__getitem__))),
    show=notation.TRANSPOSE,
    samples=_case_permute,
    kind="view",
    infer=lambda x, *, axes: (tuple(x.shape[i] for i in axes), x.dtype),
)
def permute_dims_(xp: Any, x: Operand, *, axes: tuple[int, ...]) -> Any:
    """The axes in another order."""
    return xp.transpose(x, axes)


def permute_dims(x: Operand, axes: Sequence[int]) -> Tensor:
    """The axes of `x` in the order `axes`, without a copy.

    Raises:
        AxisError: `axes` is not a permutation of all axes.

    Example:
        >>> import minigrad as mg
        >>> mg.permute_dims(mg.zeros((2, 3, 4)), (2, 0, 1)).shape
        (4, 2, 3)
    """
    given, ndim = integers(axes, "axes", "permute_dims"), len(shape_of(x, "permute_dims"))
    order = tuple(normalize_axes(x, a, "permute_dims", "axes")[0] for a in given)
    if sorted(order) != list(range(ndim)):
        raise AxisError(f"permute_dims: axes {given} must name each of the {ndim} axes of shape {tuple(x.shape)} once")
    return permute_dims_(x, axes=order)


@method("transpose")
def _transpose(self: Tensor, *axes: Any) -> Tensor:
    if not axes or axes == (None,):
        return permute_dims_(self, axes=tuple(range(len(self.shape)))[::-1])
    return permute_dims(self, axes[0] if len(axes) == 1 else axes)


def matrix_transpose(x: Operand) -> Tensor:
    """The last two axes exchanged.

    Raises:
        ShapeError: fewer than two axes.
    """
    n = len(shape_of(x, "matrix_transpose"))
    if n < 2:
        raise ShapeError(f"matrix_transpose: shape {tuple(x.shape)} has {n} axes; a matrix has at least two")
    return permute_dims_(x, axes=(*range(n - 2), n - 1, n - 2))


def _T(self: Tensor) -> Tensor:
    """The axes in reverse order."""
    return permute_dims_(self, axes=tuple(range(len(self.shape)))[::-1])


Tensor.T = property(_T)  # type: ignore[method-assign, assignment]  # declared in Tensor, bound here
Tensor.mT = property(matrix_transpose)  # type: ignore[method-assign, assignment]


@method("reshape")
def _reshape(self: Tensor, *shape: Any) -> Tensor:
    return reshape(self, shape[0] if len(shape) == 1 else shape)


@method("flatten", "ravel")
def _flatten(self: Tensor) -> Tensor:
    return reshape_(self, shape=(math.prod(self.shape),))


def expand_dims(x: Operand, axis: int | Sequence[int]) -> Tensor:
    """`x` with axes of size 1 put in at the positions `axis` of the result.

    Example:
        >>> import minigrad as mg
        >>> mg.expand_dims(mg.zeros((2, 3)), 1).shape
        (2, 1, 3)
    """
    added = integers(axis, "axis", "expand_dims")
    ndim = len(shape_of(x, "expand_dims")) + len(added)
    if builtins.any(not -ndim <= a < ndim for a in added) or len({a % ndim for a in added}) != len(added):
        raise AxisError(f"expand_dims: axis {axis} must name different axes from {-ndim} to {ndim - 1} of the result")
    at, sizes = {a % ndim for a in added}, iter(x.shape)
    return reshape_(x, shape=tuple(1 if i in at else next(sizes) for i in range(ndim)))


@method("squeeze")
def squeeze(x: Operand, axis: int | Sequence[int] | None = None) -> Tensor:
    """`x` without its axes of size 1, or without those named by `axis`.

    Raises:
        ShapeError: a named axis has another size than 1.
    """
    shape = shape_of(x, "squeeze")
    axes = tuple(i for i, n in enumerate(shape) if n == 1) if axis is None else normalize_axes(x, axis, "squeeze")
    wrong = [i for i in axes if x.shape[i] != 1]
    if wrong:
        raise ShapeError(
            f"squeeze: axis {wrong[0]} of shape {tuple(x.shape)} has size {x.shape[wrong[0]]}, only axes of size 1 "
            "can go"
        )
    return reshape_(x, shape=tuple(n for i, n in enumerate(x.shape) if i not in axes))


def moveaxis(x: Operand, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """`x` with the axes `source` at the places `destination`; the others keep their order.

    Raises:
        AxisError: an axis that `x` does not have, one named twice, or different numbers of them.

    Example:
        >>> import minigrad as mg
        >>> mg.moveaxis(mg.zeros((2, 3, 4)), 0, -1).shape
        (3, 4, 2)
    """
    sources, places = integers(source, "source", "moveaxis"), integers(destination, "destination", "moveaxis")
    if len(sources) != len(places):
        raise AxisError(f"moveaxis: source {source} and destination {destination} must name equally many axes")
    normalize_axes(x, sources, "moveaxis", "source"), normalize_axes(x, places, "moveaxis", "destination")
    ndim = len(x.shape)
    order = [i for i in range(ndim) if i not in {s % ndim for s in sources}]
    for place, moved in sorted((p % ndim, s % ndim) for p, s in zip(places, sources, strict=True)):
        order.insert(place, moved)
    return permute_dims_(x, axes=tuple(order))


@method("swapaxes")
def swapaxes(x: Operand, axis1: int, axis2: int) -> Tensor:
    """`x` with two axes exchanged, without a copy.

    Example:
        >>> import minigrad as mg
        >>> mg.swapaxes(mg.zeros((2, 3, 4)), 0, -1).shape
        (4, 3, 2)
    """
    i, j = one_axis(x, axis1, "swapaxes", "axis1"), one_axis(x, axis2, "swapaxes", "axis2")
    order = list(range(len(x.shape)))
    order[i], order[j] = j, i
    return permute_dims_(x, axes=tuple(order))


def broadcast_arrays(*arrays: Operand) -> tuple[Tensor, ...]:
    """The arrays repeated to the one shape that they broadcast to, without copies.

    Raises:
        ShapeError: shapes that do not broadcast.

    Example:
        >>> import minigrad as mg
        >>> [a.shape for a in mg.broadcast_arrays(mg.zeros((3, 1)), mg.zeros(2))]
        [(3, 2), (3, 2)]
    """
    shapes = [shape_of(a, "broadcast_arrays", f"arrays[{k}]") for k, a in enumerate(arrays)]
    try:
        shape = np.broadcast_shapes(*shapes)
    except ValueError:
        raise ShapeError(
            f"broadcast_arrays: shapes {shapes} do not broadcast: compared from the last axis on, sizes must be equal "
            "or 1"
        ) from None
    if builtins.any(isinstance(a, Tensor) for a in arrays):
        arrays = tuple(a if isinstance(a, Tensor) else tensor(a) for a in arrays)
    return tuple(a if tuple(a.shape) == shape else broadcast_to_(a, shape=shape) for a in arrays)
