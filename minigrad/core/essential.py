"""The primitives that the engine itself needs: to sum a cotangent back, to cast it, to seed a sweep."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.backend import backend_of, get_backend
from minigrad.core.arguments import dtype_of, integer, integers, shape_of, unknown
from minigrad.core.declare import primitive
from minigrad.core.domains import Case, Rng, reals, some_axes, some_shape
from minigrad.core.methods import Axis, Operand
from minigrad.core.modes import MODES
from minigrad.core.tensor import Tensor, method
from minigrad.errors import AxisError, ShapeError
from minigrad.notation import as_is, fn, reduction

__all__ = ["astype", "broadcast_to", "reshape", "stop_gradient", "sum", "to"]


def normalize_axes(x: Any, axis: Axis, op: str, name: str = "axis") -> tuple[int, ...]:
    """`axis` as increasing, non-negative positions; AxisError names the operation, the axis and the shape."""
    shape = shape_of(x, op)
    ndim = len(shape)
    if axis is None:
        return tuple(range(ndim))
    axes = (axis,) if type(axis) is int else integers(axis, name, op)
    for a in axes:
        if not -ndim <= a < ndim:
            have = f"it has axes {-ndim} to {ndim - 1}" if ndim else "it has no axes"
            where = "" if name == "axis" else f" in {name}"
            raise AxisError(f"{op}: axis {a}{where} is out of range for shape {shape}; {have}")
    out = tuple(sorted(a % ndim for a in axes)) if ndim else ()
    if len(set(out)) != len(out):
        raise AxisError(f"{op}: {name} {axis!r} names an axis twice for shape {shape}")
    return out


def one_axis(x: Any, axis: int, op: str, name: str = "axis") -> int:
    """`axis` as one non-negative position of `x`; errors as those of `normalize_axes`."""
    return normalize_axes(x, integer(axis, name, op), op, name)[0]


def with_ones(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[int, ...]:
    """`shape` with 1 at `axes`: what keepdims would have left."""
    return tuple(1 if i in axes else n for i, n in enumerate(shape))


def _case_sum(rng: Rng) -> Case:
    shape = some_shape(rng)
    return (reals(rng, shape),), {"axes": some_axes(rng, len(shape)), "keepdims": bool(rng.integers(2))}


@primitive(
    lambda g, like, axes: spread(g, like.shape, axes),
    show=reduction("∑", r"\sum"),
    samples=_case_sum,
    kind="reduce",
    reduce=("+", 0),
)
def sum_(xp: Any, x: Operand, *, axes: tuple[int, ...], keepdims: bool = False) -> Any:
    """The sum over `axes`, accumulated more widely than the input's dtype (see `Backend.sum`)."""
    return backend_of(x).sum(x, axes, keepdims)


def spread(g: Any, shape: tuple[int, ...], axes: tuple[int, ...]) -> Any:
    """Repeat `g`, the cotangent of a reduction, along the reduced `axes` of `shape`, which it has or has not kept."""
    if len(g.shape) != len(shape):
        g = reshape_(g, shape=with_ones(shape, axes))
    return broadcast_to_(g, shape=shape)


@method("sum")
def sum(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Sum of the elements over `axis` (None: all of them), which keeps the dtype of floats.

    Accumulates in at least float32, and float32 in float64 across runs, so that long axes keep their accuracy.

    Raises:
        AxisError: an axis that `x` does not have.

    Example:
        >>> import minigrad as mg
        >>> mg.sum(mg.tensor([[1.0, 2.0], [3.0, 4.0]]), axis=0)
        tensor([4., 6.])
    """
    return sum_(x, axes=normalize_axes(x, axis, "sum"), keepdims=bool(keepdims))


def _case_reshape(rng: Rng) -> Case:
    shape = some_shape(rng)
    return (reals(rng, shape),), {"shape": tuple(int(n) for n in rng.permutation([*shape, 1]))}


@primitive(
    lambda g, like: reshape_(g, shape=like.shape),
    show=as_is,
    samples=_case_reshape,
    kind="view",
    infer=lambda x, *, shape: (shape, x.dtype),
)
def reshape_(xp: Any, x: Operand, *, shape: tuple[int, ...]) -> Any:
    """The same elements in C order under another shape."""
    return xp.reshape(x, shape)


def reshape(x: Operand, shape: Any) -> Tensor:
    """The same elements in C order under another shape; one size may be -1, which is worked out.

    Raises:
        ShapeError: the sizes do not multiply to the number of elements.

    Example:
        >>> import minigrad as mg
        >>> mg.reshape(mg.tensor([1.0, 2.0, 3.0, 4.0]), (2, -1)).shape
        (2, 2)
    """
    old, new = shape_of(x, "reshape"), integers(shape, "shape", "reshape")
    asked = new
    size = math.prod(old)
    known = math.prod(n for n in new if n != -1)
    if new.count(-1) == 1 and known and size % known == 0:
        new = tuple(size // known if n == -1 else n for n in new)
    if math.prod(new) != size or min(new, default=0) < 0:
        raise ShapeError(
            f"reshape: shape {old} has {size} elements, which do not fit {asked}; the sizes must multiply to {size}, "
            "and one of them may be -1"
        )
    return reshape_(x, shape=new) if new != old or not isinstance(x, Tensor) else x


def _case_broadcast(rng: Rng) -> Case:
    shape = some_shape(rng, most=3)
    ones = with_ones(shape, some_axes(rng, len(shape)))
    return (reals(rng, ones[int(rng.integers(len(ones) + 1)) if set(ones) <= {1} else 0 :]),), {"shape": shape}


@primitive(
    lambda g: g,
    show=fn("broadcast"),
    samples=_case_broadcast,
    kind="view",
    infer=lambda x, *, shape: (shape, x.dtype),
)
def broadcast_to_(xp: Any, x: Operand, *, shape: tuple[int, ...]) -> Any:
    """`x` repeated to `shape` without a copy; the engine sums the cotangent back."""
    return xp.broadcast_to(x, shape)


def broadcast_to(x: Operand, shape: int | Sequence[int]) -> Tensor:
    """`x` repeated along new leading axes and along its axes of size 1, as NumPy's broadcasting does; no copy.

    Raises:
        ShapeError: `x` does not broadcast to `shape`.

    Example:
        >>> import minigrad as mg
        >>> mg.broadcast_to(mg.tensor([1.0, 2.0]), (3, 2)).shape
        (3, 2)
    """
    old, shape = shape_of(x, "broadcast_to"), integers(shape, "shape", "broadcast_to", least=0)
    if len(old) > len(shape) or any(n not in (1, m) for n, m in zip(old[::-1], shape[::-1], strict=False)):
        raise ShapeError(
            f"broadcast_to: shape {old} does not broadcast to {shape}; counted from the last axis, sizes must be "
            "equal or 1"
        )
    return broadcast_to_(x, shape=shape)


def _case_cast(rng: Rng) -> Case:
    return (reals(rng, some_shape(rng)),), {"dtype": np.dtype("f8")}


@primitive(lambda g, like: cast(g, dtype=like.dtype), show=as_is, samples=_case_cast, c="({T}){x}")
def cast(xp: Any, x: Operand, *, dtype: Any) -> Any:
    """`x` in another floating dtype; the engine casts the cotangent back."""
    return x.astype(dtype)


@primitive(samples=_case_cast, c="({T}){x}")
def truncated(xp: Any, x: Operand, *, dtype: Any) -> Any:
    """`x` as integers or booleans, which have no gradient."""
    return x.astype(dtype)


@method("astype")
def astype(x: Operand, dtype: Any) -> Tensor:
    """`x` with another element type. Floats stay differentiable (the gradient comes back in the dtype of `x`);
    integers and booleans are not tracked.

    Example:
        >>> import minigrad as mg
        >>> mg.astype(mg.tensor([1.5, -1.5]), "int64")
        tensor([ 1, -1])
    """
    dtype = dtype_of(dtype, "astype")
    if not hasattr(x, "dtype"):
        shape_of(x, "astype")  # raises for what is no array
    if x.dtype == dtype:
        return x  # type: ignore[no-any-return]
    return cast(x, dtype=dtype) if dtype.kind == "f" else truncated(x, dtype=dtype)


def _case_full_like(rng: Rng) -> Case:
    return (reals(rng, some_shape(rng)),), {"value": 1.0, "shape": some_shape(rng), "dtype": np.dtype("f8")}


@primitive(
    name="full", samples=_case_full_like, c="({T}){value}", infer=lambda x, *, value, shape, dtype: (shape, dtype)
)
def full_like(xp: Any, x: Operand, *, value: float, shape: tuple[int, ...], dtype: Any) -> Any:
    """An array of one repeated value, of `shape` and `dtype`, on the device of `x`."""
    return xp.full(shape, value, dtype)


def _case_transfer(rng: Rng) -> Case:
    here = MODES.get().device or "numpy"
    return (reals(rng, some_shape(rng)),), {"device": here, "source": here}


@primitive(
    lambda g, device, source: transfer(g, device=source, source=device),
    show=as_is,
    samples=_case_transfer,
    kind="opaque",
    infer=lambda x, *, device, source: (x.shape, x.dtype),
)
def transfer(xp: Any, x: Operand, *, device: str, source: str) -> Any:
    """`x` on another device; its cotangent travels back."""
    host = backend_of(x).to_host(x) if backend_of(x).array_type is not np.ndarray else x
    return get_backend(device).asarray(host, x.dtype, device)


@method("to")
def to(x: Tensor, device: str) -> Tensor:
    """`x` on `device` ("numpy", "cupy", "cupy:1"); differentiable. Returns `x` itself when it is there already."""
    target = get_backend(device).parse_device(device)
    if not isinstance(x, Tensor):
        raise unknown(x, "to", "x")
    return x if target == x.device else transfer(x, device=target, source=x.device)


@primitive(None, show=as_is, samples=(reals,), kind="map", c="{x}", name="stop_gradient")
def stopped(xp: Any, x: Operand, *, why: str = "") -> Any:
    """`x` as a constant."""
    return x


def stop_gradient(x: Operand, *, why: str) -> Tensor:
    """`x` as a constant: nothing is differentiated through it. `why` is shown in drawings and accepted by the checks.

    Example:
        >>> import minigrad as mg
        >>> x = mg.tensor(2.0, requires_grad=True)
        >>> (x * mg.stop_gradient(x, why="a weight")).backward()
        >>> x.grad
        tensor(2.)
    """
    return stopped(x, why=why)
