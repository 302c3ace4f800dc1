"""What rearranges elements without computing: permutations, added and dropped axes, joins."""

from __future__ import annotations

import builtins
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from minigrad import notation

# isort: off
from minigrad.core import (
    Operand, Tensor, broadcast_to_, integer, integers, method, normalize_axes, one_axis, primitive,
    reshape, reshape_, sequence, shape_of, tensor,
)  # fmt: skip

# isort: on
from minigrad.core.domains import Rng, reals, some_shape
from minigrad.errors import AxisError, ShapeError
from minigrad.notation import fn

__all__ = [
    "broadcast_arrays", "concat", "expand_dims", "matrix_transpose", "moveaxis", "permute_dims", "split", "squeeze",
    "stack", "swapaxes", "unstack",
]  # fmt: skip

Sample = tuple[tuple[Any, ...], dict[str, Any]]


def _case_permute(rng: Rng) -> Sample:
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


def _case_concat(rng: Rng) -> Sample:
    shape, axis = [int(rng.integers(1, 4)) for _ in range(rng.integers(1, 4))], 0
    axis = int(rng.integers(len(shape)))
    parts = []
    for _ in range(rng.integers(1, 4)):
        shape[axis] = int(rng.integers(0, 4))
        parts.append(reals(rng, tuple(shape)))
    return tuple(parts), {"axis": axis, "sizes": tuple(p.shape[axis] for p in parts)}


@primitive(
    lambda g, i, axis, sizes: take_part(g, axis=axis, start=builtins.sum(sizes[:i]), stop=builtins.sum(sizes[: i + 1])),
    show=fn("concat", params=("axis",)),
    samples=_case_concat,
    kind="opaque",
    infer=lambda *xs, axis, sizes: (
        tuple(builtins.sum(sizes) if k == axis else n for k, n in enumerate(xs[0].shape)),
        _promoted(xs),
    ),
    name="concat",
)
def concat_(xp: Any, *xs: Operand, axis: int, sizes: tuple[int, ...]) -> Any:
    """Arrays joined along an axis that is there."""
    return xp.concatenate(xs, axis=axis)


def _promoted(xs: Sequence[Any]) -> Any:
    return None if builtins.any(x.dtype is None for x in xs) else np.result_type(*(x.dtype for x in xs))


def _case_part(rng: Rng) -> Sample:
    shape, axis = (2, 4, 3), int(rng.integers(3))
    start = int(rng.integers(shape[axis]))
    return (reals(rng, shape),), {"axis": axis, "start": start, "stop": int(rng.integers(start, shape[axis] + 1))}


def _case_put(rng: Rng) -> Sample:
    (x,), params = _case_part(rng)
    size, axis = x.shape[params["axis"]], params["axis"]
    part = tuple(params["stop"] - params["start"] if k == axis else n for k, n in enumerate(x.shape))
    return (reals(rng, part),), {**params, "size": size + int(rng.integers(2))}


def _part(params: Mapping[str, Any]) -> Any:
    """The index of a part, to write it down."""
    return *(slice(None),) * params["axis"], slice(params["start"], params["stop"])


@primitive(
    lambda g, like, axis, start, stop: put_part(g, axis=axis, start=start, stop=stop, size=like.shape[axis]),
    show=notation.Indexed(_part),
    samples=_case_part,
    kind="view",
    infer=lambda x, *, axis, start, stop: (
        tuple(stop - start if k == axis else n for k, n in enumerate(x.shape)),
        x.dtype,
    ),
)
def take_part(xp: Any, x: Operand, *, axis: int, start: int, stop: int) -> Any:
    """The elements from `start` up to `stop` along one axis."""
    return x[(slice(None),) * axis + (slice(start, stop),)]


@primitive(
    lambda g, axis, start, stop: take_part(g, axis=axis, start=start, stop=stop),
    show=notation.Indexed(_part, "put_at"),
    samples=_case_put,
    kind="opaque",
    infer=lambda x, *, axis, start, stop, size: (
        tuple(size if k == axis else n for k, n in enumerate(x.shape)),
        x.dtype,
    ),
)
def put_part(xp: Any, x: Operand, *, axis: int, start: int, stop: int, size: int) -> Any:
    """Zeros of `size` along one axis, with `x` from `start` up to `stop`: the adjoint of `take_part`."""
    out = xp.zeros(tuple(size if k == axis else n for k, n in enumerate(x.shape)), x.dtype)
    out[(slice(None),) * axis + (slice(start, stop),)] = x
    return out


def concat(arrays: Sequence[Operand], axis: int = 0) -> Tensor:
    """The arrays joined along `axis`, which they all have; the other sizes must be equal.

    Raises:
        ShapeError: no arrays, or sizes that differ.

    Example:
        >>> import minigrad as mg
        >>> mg.concat([mg.zeros((2, 3)), mg.zeros((1, 3))]).shape
        (3, 3)
    """
    arrays = sequence(arrays, "arrays", "concat")
    if not arrays:
        raise ShapeError("concat: no arrays given; at least one is needed")
    shapes = [shape_of(a, "concat", f"arrays[{k}]") for k, a in enumerate(arrays)]
    at = one_axis(arrays[0], axis, "concat")
    rest = {(*s[:at], *s[at + 1 :]) for s in shapes if len(s) == len(shapes[0])}
    if len(rest) != 1 or len({len(s) for s in shapes}) != 1:
        raise ShapeError(f"concat: shapes {shapes} must be equal but for axis {axis}")
    return concat_(*arrays, axis=at, sizes=tuple(s[at] for s in shapes))


def stack(arrays: Sequence[Operand], axis: int = 0) -> Tensor:
    """The arrays, all of one shape, joined along a new axis.

    Example:
        >>> import minigrad as mg
        >>> mg.stack([mg.zeros(3), mg.zeros(3)], axis=1).shape
        (3, 2)
    """
    arrays = sequence(arrays, "arrays", "stack")
    shapes = [shape_of(a, "stack", f"arrays[{k}]") for k, a in enumerate(arrays)]
    if len({*shapes}) != 1:
        raise ShapeError(f"stack: shapes {shapes} must be equal, and at least one array given")
    ndim = len(shapes[0]) + 1
    if not -ndim <= integer(axis, "axis", "stack") < ndim:
        raise AxisError(f"stack: axis {axis} is out of range for the result; it has axes {-ndim} to {ndim - 1}")
    return concat([expand_dims(a, axis) for a in arrays], axis)


def _case_split(rng: Rng) -> Sample:
    sizes = tuple(int(n) for n in rng.integers(0, 3, int(rng.integers(1, 4))))
    return (reals(rng, (2, builtins.sum(sizes), 2)),), {"axis": 1, "sizes": sizes}


@primitive(
    lambda g, axis, sizes: concat_(*g, axis=axis, sizes=sizes),
    show=fn("split", params=("sizes", "axis")),
    samples=_case_split,
    kind="opaque",
    outputs=2,  # several: as many as there are sizes
    infer=lambda x, *, axis, sizes: tuple(((*x.shape[:axis], n, *x.shape[axis + 1 :]), x.dtype) for n in sizes),
    name="split",
)
def split_(xp: Any, x: Operand, *, axis: int, sizes: tuple[int, ...]) -> Any:
    """The pieces of `sizes` along one axis: the adjoint of `concat`."""
    lead, ends = (slice(None),) * axis, [builtins.sum(sizes[:k]) for k in range(len(sizes) + 1)]
    return tuple(x[(*lead, slice(a, b))] for a, b in itertools.pairwise(ends))


def split(x: Operand, sections: int | Sequence[int], axis: int = 0) -> tuple[Tensor, ...]:
    """`x` cut along `axis`: into a number of equal pieces, or before each of the positions in a sequence.

    Args:
        x: any shape.
        sections: how many pieces, which must divide the size of the axis; or increasing positions, where
            (2, 5) gives x[:2], x[2:5], x[5:].
        axis: where to cut.

    Raises:
        AxisError: an axis that `x` does not have.
        ShapeError: a number that does not divide the size, or positions that do not increase or leave the axis.

    Example:
        >>> import minigrad as mg
        >>> mg.split(mg.tensor([1.0, 2.0, 3.0]), (1,))
        (tensor([1.]), tensor([2., 3.]))
    """
    at = one_axis(x, axis, "split")
    n, given = x.shape[at], integers(sections, "sections", "split")
    if not isinstance(sections, Iterable) or getattr(sections, "ndim", 1) == 0:
        (count,) = given
        if count < 1 or n % count:
            raise ShapeError(
                f"split: sections={count} does not divide axis {axis} of shape {tuple(x.shape)}, {n} elements; give "
                "the positions of the cuts instead"
            )
        sizes = (n // count,) * count
    else:
        cuts = [0, *(k + n if k < 0 else k for k in given), n]
        if cuts != sorted(cuts):
            raise ShapeError(
                f"split: sections={given} must increase within axis {axis} of shape {tuple(x.shape)}, from 0 to {n}"
            )
        sizes = tuple(b - a for a, b in itertools.pairwise(cuts))
    return split_(x, axis=at, sizes=sizes)  # type: ignore[return-value]  # a primitive with several outputs


def unstack(x: Operand, axis: int = 0) -> tuple[Tensor, ...]:
    """The slices of `x` along `axis`, which goes away: the inverse of `stack`.

    One node in the graph for all of them, so that a loop over many costs no more than a pass over `x`.

    Example:
        >>> import minigrad as mg
        >>> mg.unstack(mg.tensor([[1.0, 2.0], [3.0, 4.0]]), axis=1)
        (tensor([1., 3.]), tensor([2., 4.]))
    """
    at = one_axis(x, axis, "unstack")
    if not x.shape[at]:
        return ()
    shape = (*x.shape[:at], *x.shape[at + 1 :])
    return tuple(reshape_(part, shape=shape) for part in split(x, x.shape[at], at))


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
