"""Arrays joined into one and cut into parts, along an axis."""

from __future__ import annotations

import builtins
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from minigrad import notation
from minigrad.core import Operand, Tensor, integer, integers, one_axis, primitive, reshape_, sequence, shape_of
from minigrad.core.construct import stacks
from minigrad.core.domains import Case, Rng, reals
from minigrad.errors import AxisError, ShapeError
from minigrad.notation import fn
from minigrad.ops.shape import expand_dims

__all__ = ["concat", "split", "stack", "unstack"]


def _case_concat(rng: Rng) -> Case:
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


def _case_part(rng: Rng) -> Case:
    shape, axis = (2, 4, 3), int(rng.integers(3))
    start = int(rng.integers(shape[axis]))
    return (reals(rng, shape),), {"axis": axis, "start": start, "stop": int(rng.integers(start, shape[axis] + 1))}


def _case_put(rng: Rng) -> Case:
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


@stacks
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


def _case_split(rng: Rng) -> Case:
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
