"""Indexing: slices are views with a scatter for an adjoint; index arrays gather, and add back where they repeat."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad import notation
from minigrad.backend import BACKENDS, backend_of
from minigrad.core import Operand, Tensor, method, primitive
from minigrad.core.domains import Rng, reals
from minigrad.core.tensor import BOXES

Spec = tuple[Any, ...]  # one entry per index: an int, None, Ellipsis, ("slice", start, stop, step), or ARRAY
Sample = tuple[tuple[Any, ...], dict[str, Any]]
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


def _case_basic(rng: Rng) -> Sample:
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
    out = x[_index(spec)]
    return out if type(out) is type(x) else xp.asarray(out)


def _case_unslice(rng: Rng) -> Sample:
    (x,), params = _case_basic(rng)
    return (reals(rng, _shape(x, params["spec"])),), {**params, "shape": x.shape}


@primitive(
    lambda g, spec: sliced(g, spec=spec),
    show=notation.fn("unslice"),
    samples=_case_unslice,
    kind="opaque",
    infer=lambda x, *, spec, shape: (shape, x.dtype),
)
def unslice(xp: Any, x: Operand, *, spec: Spec, shape: tuple[int, ...]) -> Any:
    """Zeros of `shape` with `x` at the place that `spec` names: the adjoint of basic indexing."""
    out = xp.zeros(shape, x.dtype)
    out[_index(spec)] = x
    return out


def _case_gather(rng: Rng) -> Sample:
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
    return xp.asarray(x[index])


def _case_scatter(rng: Rng) -> Sample:
    (x, *indices), params = _case_gather(rng)
    return (reals(rng, x[_index(params["spec"], tuple(indices))].shape), *indices), {**params, "shape": x.shape}


@primitive(
    lambda g, indices, spec: gather_(g, *indices, spec=spec),
    None,
    show=notation.fn("scatter_add"),
    samples=_case_scatter,
    kind="opaque",
    infer=lambda values, *indices, spec, shape: (shape, values.dtype),
    name="scatter_add",
)
def scatter_add_(xp: Any, values: Operand, *indices: Operand, spec: Spec, shape: tuple[int, ...]) -> Any:
    """Zeros of `shape` with `values` added where the indices point, repeated places summed: the adjoint of gather."""
    return backend_of(values).scatter_add(shape, values.dtype, _index(spec, indices), values)


@method("__getitem__")
def getitem(x: Tensor, index: Any) -> Tensor:
    """x[index] with NumPy's rules: integers, slices, None, Ellipsis, boolean masks, arrays or tensors of integers.

    Raises:
        IndexError: out of bounds, or more indices than axes.
        TypeError: an index that is none of those.
    """
    spec: list[Any] = []
    arrays: list[Any] = []
    for entry in index if isinstance(index, tuple) else (index,):
        if isinstance(entry, list):
            entry = np.asarray(entry)
        if type(entry) in BOXES or (type(entry) in BACKENDS and not isinstance(entry, np.generic)):
            if entry.dtype.kind not in "iub":
                raise TypeError(f"getitem: an index array must hold integers or booleans, this one is {entry.dtype}")
            spec.append(ARRAY)
            arrays.append(_beside(x, entry))
        elif isinstance(entry, slice):
            spec.append(("slice", *(None if v is None else int(v) for v in (entry.start, entry.stop, entry.step))))
        elif entry is None or entry is Ellipsis:
            spec.append(entry)
        elif isinstance(entry, (bool, np.bool_)):
            spec.append(ARRAY)
            arrays.append(_beside(x, np.asarray(entry)))
        elif isinstance(entry, (int, np.integer)):
            spec.append(int(entry))
        else:
            raise TypeError(
                f"getitem: {entry!r} is no index; use integers, slices, None, Ellipsis, or arrays of integers or "
                "booleans"
            )
    if arrays:
        return gather_(x, *arrays, spec=tuple(spec))
    return sliced(x, spec=tuple(spec))


def _beside(x: Tensor, index: Any) -> Any:
    """An index array on the device of `x`: host indices are checked and moved, others must be there already."""
    if isinstance(index, np.ndarray) and type(x._data) is not np.ndarray and type(x._data) in BACKENDS:
        return backend_of(x._data).asarray(index, None, x.device)
    return index
