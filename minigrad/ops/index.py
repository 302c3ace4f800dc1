"""Indexing: slices are views with a scatter for an adjoint; index arrays gather, and add back where they repeat."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from minigrad import notation
from minigrad.backend import BACKENDS, backend_of
from minigrad.core import (
    Operand,
    Tensor,
    broadcast_to,
    full_like,
    method,
    number,
    one_axis,
    primitive,
    reshape_,
    shape_of,
)
from minigrad.core.domains import Case, Rng, reals
from minigrad.core.tensor import BOXES
from minigrad.errors import ArgumentTypeError, BoundsError, DtypeError, ShapeError

__all__ = ["scatter_add", "take", "take_along_axis"]

Spec = tuple[Any, ...]  # one entry per index: an int, None, Ellipsis, ("slice", start, stop, step), or ARRAY
ARRAY = "array"  # stands in a Spec for the next index array


def _index(spec: Spec, arrays: tuple[Any, ...] = ()) -> Any:
    """The Python index that `spec` stands for."""
    following = iter(arrays)
    return tuple(
        next(following)
        if s is ARRAY or s == ARRAY
        else slice(*s[1:])
        if isinstance(s, tuple)
        else s  # a Spec may come back from JSON
        for s in spec
    )


def _bounds(problem: IndexError, op: str = "getitem") -> BoundsError:
    """The library's own words for an index that it checked itself, under the name that the user wrote."""
    words = str(problem)  # CuPy's begin with a capital
    return problem if isinstance(problem, BoundsError) else BoundsError(f"{op}: {words[:1].lower()}{words[1:]}")


def _shape(x: Any, spec: Spec) -> tuple[int, ...]:
    return tuple(np.broadcast_to(np.empty(()), x.shape)[_index(spec)].shape)


_SPECS: tuple[tuple[tuple[int, ...], Spec], ...] = (
    ((4, 3), (1,)),
    ((4, 3), (("slice", None, None, -1), None)),
    ((4, 3, 2), (..., 0)),
    ((5,), (("slice", 1, 4, 2),)),
    ((2, 3), ()),
    ((3, 0), (("slice", 0, 2, None),)),
)


def _case_basic(rng: Rng) -> Case:
    shape, spec = _SPECS[int(rng.integers(len(_SPECS)))]
    return (reals(rng, shape),), {"spec": spec}


@primitive(
    lambda g, like, spec: unslice(g, spec=spec, shape=like.shape),
    show=notation.Indexed("spec"),
    samples=_case_basic,
    kind="view",
    infer=lambda x, *, spec: (_shape(x, spec), x.dtype),
)
def sliced(xp: Any, x: Operand, *, spec: Spec) -> Any:
    """Basic indexing: integers, slices, None and Ellipsis; a view."""
    try:
        out = x[_index(spec)]
    except IndexError as problem:
        raise _bounds(problem) from problem
    return out if type(out) is type(x) else xp.asarray(out)


def _case_unslice(rng: Rng) -> Case:
    (x,), params = _case_basic(rng)
    return (reals(rng, _shape(x, params["spec"])),), {**params, "shape": x.shape}


@primitive(
    lambda g, spec: sliced(g, spec=spec),
    show=notation.Indexed("spec", "put_at"),
    samples=_case_unslice,
    kind="opaque",
    infer=lambda x, *, spec, shape: (shape, x.dtype),
)
def unslice(xp: Any, x: Operand, *, spec: Spec, shape: tuple[int, ...]) -> Any:
    """Zeros of `shape` with `x` at the place that `spec` names: the adjoint of basic indexing."""
    out = xp.zeros(shape, x.dtype)
    out[_index(spec)] = x
    return out


def _case_gather(rng: Rng) -> Case:
    choice = int(rng.integers(4))
    if choice == 0:
        return (reals(rng, (4, 3)), np.array([0, 2, 2, -1, 0])), {"spec": (ARRAY,)}
    if choice == 1:
        return (reals(rng, (4, 3, 2)), np.array([[0], [2]]), np.array([1, 1])), {"spec": (ARRAY, ARRAY)}
    if choice == 2:
        return (reals(rng, (3, 4)), rng.random((3, 4)) < 0.5), {"spec": (ARRAY,)}
    return (reals(rng, (2, 5)), np.array([4, 4, 0])), {"spec": (("slice", None, None, None), ARRAY)}


def _gathered(x: Any, *indices: Any, spec: Spec) -> Any:
    if any(getattr(i, "dtype", None) == np.bool_ for i in indices):
        raise TypeError(
            "getitem: the shape of a boolean-mask selection depends on the values, so it cannot be known beforehand; "
            "use where(mask, x, 0)"
        )
    stand_ins = tuple(np.zeros(i.shape, np.intp) for i in indices)
    return np.broadcast_to(np.empty(()), x.shape)[_index(spec, stand_ins)].shape, x.dtype


@primitive(
    lambda g, like, indices, spec: scatter_add_(g, *indices, spec=spec, shape=like.shape),
    None,
    show=notation.Indexed("spec"),
    samples=_case_gather,
    kind="opaque",
    infer=_gathered,
    name="gather",
)
def gather_(xp: Any, x: Operand, *indices: Operand, spec: Spec) -> Any:
    """Indexing with arrays of integers or booleans among the entries; a copy. Repeated indices repeat elements."""
    index = backend_of(x).check_index(_index(spec, indices), x.shape, "getitem")
    try:
        return xp.asarray(x[index])
    except IndexError as problem:
        raise _bounds(problem) from problem


def _case_scatter(rng: Rng) -> Case:
    (x, *indices), params = _case_gather(rng)
    return (reals(rng, x[_index(params["spec"], tuple(indices))].shape), *indices), {**params, "shape": x.shape}


@primitive(
    lambda g, indices, spec: gather_(g, *indices, spec=spec),
    None,
    show=notation.Indexed("spec", "add_at"),
    samples=_case_scatter,
    kind="opaque",
    infer=lambda values, *indices, spec, shape: (shape, values.dtype),
    name="scatter_add",
)
def scatter_add_(xp: Any, values: Operand, *indices: Operand, spec: Spec, shape: tuple[int, ...]) -> Any:
    """Zeros of `shape` with `values` added where the indices point, repeated places summed: the adjoint of gather."""
    return backend_of(values).scatter_add(shape, values.dtype, _index(spec, indices), values)


def _parsed(x: Operand, index: Any, op: str) -> tuple[Spec, list[Any]]:
    """A Python index as a Spec and the index arrays in it, on the device of `x`."""
    spec: list[Any] = []
    arrays: list[Any] = []
    for entry in index if isinstance(index, tuple) else (index,):
        if isinstance(entry, (list, tuple, bool, np.bool_)):
            entry = np.asarray(entry)
            entry = entry if entry.size else entry.astype(np.intp)  # an empty list has no dtype of its own
        if type(entry) in BOXES or (type(entry) in BACKENDS and not isinstance(entry, np.generic)):
            if entry.dtype.kind not in "iub":
                raise DtypeError(f"{op}: an index array must hold integers or booleans, this one is {entry.dtype}")
            spec.append(ARRAY)
            arrays.append(_beside(x, entry))
        elif isinstance(entry, slice):
            bounds = (entry.start, entry.stop, entry.step)
            spec.append(("slice", *(None if v is None else operator.index(v) for v in bounds)))
        elif entry is None or entry is Ellipsis:
            spec.append(entry)
        elif isinstance(entry, (int, np.integer)):
            spec.append(int(entry))
        else:
            raise ArgumentTypeError(
                f"{op}: {entry!r} is no index; use integers, slices, None, Ellipsis, or arrays of integers or booleans"
            )
    return tuple(spec), arrays


def _beside(x: Any, index: Any) -> Any:
    """An index array on the device of `x`: host indices are checked and moved, others must be there already."""
    raw = x._data if type(x) in BOXES else x
    if isinstance(index, np.ndarray) and type(raw) is not np.ndarray and type(raw) in BACKENDS:
        return backend_of(raw).asarray(index, None, backend_of(raw).device_of(raw))
    return index


@method("__getitem__")
def getitem(x: Tensor, index: Any) -> Tensor:
    """x[index] with NumPy's rules: integers, slices, None, Ellipsis, boolean masks, arrays or tensors of integers.

    Raises:
        IndexError: out of bounds, or more indices than axes.
        TypeError: an index that is none of those.
    """
    spec, arrays = _parsed(x, index, "getitem")
    return gather_(x, *arrays, spec=spec) if arrays else sliced(x, spec=spec)


def scatter_add(x: Operand, index: Any, values: Operand) -> Tensor:
    """A copy of `x` with `values` added at x[index]; where the index names a place twice, both are added.

    Args:
        x: any shape.
        index: as in x[index]: integers, slices, None, Ellipsis, masks, arrays or tensors of integers.
        values: what to add, of a shape that broadcasts to that of x[index].

    Raises:
        IndexError: out of bounds, or more indices than axes.
        ShapeError: values that do not broadcast to x[index].

    Example:
        >>> import minigrad as mg
        >>> mg.scatter_add(mg.zeros(3), mg.tensor([0, 2, 2]), mg.tensor([1.0, 2.0, 3.0]))
        tensor([1., 0., 5.])
    """
    shape_of(x, "scatter_add")
    spec, arrays = _parsed(x, index, "scatter_add")
    try:
        if not arrays:
            there = _shape(x, spec)
        elif any(i.dtype.kind == "b" for i in arrays):
            there = tuple(gather_(x, *arrays, spec=spec).shape)  # how many places a mask names depends on its values
        else:
            there = tuple(_gathered(x, *arrays, spec=spec)[0])
    except IndexError as problem:
        raise _bounds(problem, "scatter_add") from problem
    if not hasattr(values, "shape"):
        number(values, "values", "scatter_add")
        values = full_like(x, value=values, shape=(), dtype=x.dtype)
    if tuple(values.shape) != there:
        values = broadcast_to(values, there)
    if arrays:
        return x + scatter_add_(values, *arrays, spec=spec, shape=tuple(x.shape))  # type: ignore[no-any-return]
    return x + unslice(values, spec=spec, shape=tuple(x.shape))  # type: ignore[no-any-return]


ALL = ("slice", None, None, None)


@method("take")
def take(x: Operand, indices: Operand, axis: int | None = None) -> Tensor:
    """The elements at `indices` along `axis` (None: of the flattened array); repeated indices repeat them.

    Args:
        x: any shape.
        indices: an integer, or integers of any shape, which takes the place of the axis; negative ones count from the
            end.
        axis: along which.

    Raises:
        BoundsError: an index outside the axis.
        DtypeError: indices that are no integers.

    Example:
        >>> import minigrad as mg
        >>> mg.take(mg.tensor([[1.0, 2.0, 3.0]]), [2, 0], axis=1)
        tensor([[3., 1.]])
    """
    if axis is None:
        x, axis = reshape_(x, shape=(math.prod(shape_of(x, "take")),)), 0
    at = one_axis(x, axis, "take")
    if isinstance(indices, (int, np.integer)) and not isinstance(indices, bool):
        return sliced(x, spec=(*(ALL,) * at, int(indices)))
    return gather_(x, _integers(x, indices, "take"), spec=(*(ALL,) * at, ARRAY))


def _integers(x: Any, indices: Any, op: str) -> Any:
    """Indices given as a list, an array or a tensor, on the device of `x`."""
    if not hasattr(indices, "shape"):
        indices = np.asarray(indices, np.int64 if isinstance(indices, (list, tuple)) and not indices else None)
    if indices.dtype.kind not in "iu":
        raise DtypeError(f"{op}: indices have dtype {indices.dtype}; they must be integers")
    return _beside(x, indices)


@primitive(
    samples=lambda rng: ((reals(rng, (2, 3)),), {"n": int(rng.integers(0, 5))}),
    c="{i}",
    infer=lambda x, *, n: ((n,), np.dtype(np.int64)),
)
def positions(xp: Any, x: Operand, *, n: int) -> Any:
    """0, 1, … n - 1 on the device of x."""
    return xp.arange(n, dtype=np.int64)


def take_along_axis(x: Operand, indices: Operand, axis: int = -1) -> Tensor:
    """For each line of `x` along `axis`, the elements at the `indices` of that line: what argsort's result is for.

    Args:
        x: any shape.
        indices: integers with as many axes as `x`; other axes than `axis` broadcast against those of `x`.
        axis: along which.

    Raises:
        ShapeError: another number of axes, or sizes that do not broadcast.
        BoundsError: an index outside the axis.

    Example:
        >>> import minigrad as mg
        >>> mg.take_along_axis(mg.tensor([[3.0, 1.0], [2.0, 4.0]]), mg.tensor([[1], [0]]), axis=1)
        tensor([[1.],
                [2.]])
    """
    at = one_axis(x, axis, "take_along_axis")
    indices = _integers(x, indices, "take_along_axis")
    shape, ndim = tuple(x.shape), len(x.shape)
    wrong = len(indices.shape) != ndim or any(
        n != m and 1 not in (n, m) for i, (n, m) in enumerate(zip(shape, indices.shape, strict=True)) if i != at
    )
    if wrong:
        raise ShapeError(
            f"take_along_axis: indices {tuple(indices.shape)} must have the axes of x {shape}, with sizes equal or 1 "
            f"but for axis {axis}"
        )
    grid = [
        indices if i == at else reshape_(positions(indices, n=n), shape=(1,) * i + (n,) + (1,) * (ndim - 1 - i))
        for i, n in enumerate(shape)
    ]
    return gather_(x, *grid, spec=(ARRAY,) * ndim)
