"""Products, and running sums and products along an axis.

Products are differentiated without a division, so that gradients are exact with any number of zeros.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigrad.backend import backend_of
from minigrad.core import (
    Axis,
    Operand,
    Tensor,
    full_like,
    method,
    normalize_axes,
    one_axis,
    primitive,
    reshape,
    reshape_,
    shape_of,
    spread,
)
from minigrad.core.domains import Case, Rng, reals, some_axes, some_shape
from minigrad.notation import fn, reduction
from minigrad.ops.joining import concat, put_part, take_part
from minigrad.ops.shape import permute_dims_

__all__ = ["cumprod", "cumsum", "prod"]


def _case_cumsum(rng: Rng) -> Case:
    shape = some_shape(rng, least=1)
    return (reals(rng, shape),), {"axis": int(rng.integers(len(shape))), "reverse": bool(rng.integers(2))}


_WIDER = {"e": np.dtype(np.float32), "f": np.dtype(np.float64)}


def _running(accumulate: Any, x: Any, axis: int, reverse: bool) -> Any:
    """`accumulate` along `axis`, from its end where `reverse`; each result as exact as the one over the whole axis."""
    back = (slice(None),) * axis + (slice(None, None, -1),)
    wide = _WIDER.get(x.dtype.char)
    y = accumulate(x[back] if reverse else x, axis=axis, dtype=wide)
    return (y[back] if reverse else y).astype(y.dtype if wide is None else x.dtype, copy=False)


def _running_aval(accumulate: Any, x: Any) -> tuple[Any, Any]:
    """The shape and dtype of `_running`: floats keep theirs, integers take NumPy's."""
    kept = x.dtype is None or x.dtype.kind == "f"
    return x.shape, x.dtype if kept else accumulate(np.ones(1, x.dtype)).dtype


@primitive(
    lambda g, axis, reverse: cumsum_(g, axis=axis, reverse=not reverse),
    show=fn("cumsum", params=("axis", "reverse")),
    samples=_case_cumsum,
    kind="opaque",
    infer=lambda x, *, axis, reverse: _running_aval(np.cumsum, x),
    name="cumsum",
)
def cumsum_(xp: Any, x: Operand, *, axis: int, reverse: bool = False) -> Any:
    """The sums of the elements up to each place along `axis`, or from each place on: the adjoint of the former."""
    return _running(xp.cumsum, x, axis, reverse)


def _along(x: Any, axis: int | None, op: str) -> tuple[Any, int]:
    """`x` and the axis, not negative; None stands for the only axis of the flattened array."""
    if axis is None:
        return reshape(x, (math.prod(shape_of(x, op)),)), 0
    return x, one_axis(x, axis, op)


@method("cumsum")
def cumsum(x: Operand, axis: int | None = None) -> Tensor:
    """The running sum along `axis` (None: of the flattened array): y[k] = x[0] + … + x[k].

    Floats keep their dtype and accumulate in a wider one; small integers and booleans give int64, as in NumPy.

    Raises:
        AxisError: an axis that `x` does not have.

    Example:
        >>> import minigrad as mg
        >>> mg.cumsum(mg.tensor([1.0, 2.0, 3.0]))
        tensor([1., 3., 6.])
    """
    x, at = _along(x, axis, "cumsum")
    return cumsum_(x, axis=at)


# ---- products


def _shifted(x: Any, axis: int, up: bool) -> Any:
    """x moved by one place along `axis`, up or down; a 0 comes in."""
    n = x.shape[axis]
    first, last = min(1, n), max(n - 1, 0)
    part = take_part(x, axis=axis, start=0 if up else first, stop=last if up else n)
    return put_part(part, axis=axis, start=first if up else 0, stop=n if up else last, size=n)


def _case_recurrence(rng: Rng) -> Case:
    shape = some_shape(rng, least=1)
    a, b = reals(rng, shape), reals(rng, shape)
    return (a, b), {"axis": int(rng.integers(len(shape))), "reverse": bool(rng.integers(2))}


@primitive(
    lambda g, y, a, axis, reverse: (
        recurrence(_shifted(a, axis, reverse), g, axis=axis, reverse=not reverse) * _shifted(y, axis, not reverse)
    ),
    lambda g, a, axis, reverse: recurrence(_shifted(a, axis, reverse), g, axis=axis, reverse=not reverse),
    show=fn("recurrence", params=("axis", "reverse")),
    samples=_case_recurrence,
    kind="opaque",
    infer=lambda a, b, *, axis, reverse: (b.shape, b.dtype),
)
def recurrence(xp: Any, a: Operand, b: Operand, *, axis: int, reverse: bool = False) -> Any:
    """y[k] = b[k] + a[k] y[k-1] along `axis`, or b[k] + a[k] y[k+1]; a, b and y have one shape.

    By doubling: y[k] holds the terms of m places, `factor` the product of the a over these.
    """
    y, factor, m = xp.array(b), xp.array(a), 1
    rest = (slice(None),) * axis
    while m < b.shape[axis]:
        here, there = (*rest, slice(m, None)), (*rest, slice(None, -m))
        if reverse:
            here, there = there, here
        y[here] += factor[here] * y[there]
        factor[here] = factor[here] * factor[there]
        m *= 2
    return y


def _before(y: Any, axis: int, reverse: bool) -> Any:
    """A running product without the last of its factors: 1, y[0], y[1], …"""
    n = y.shape[axis]
    first = min(1, n)
    part = take_part(y, axis=axis, start=first if reverse else 0, stop=n if reverse else max(n - 1, 0))
    one = full_like(y, value=1, shape=(*y.shape[:axis], first, *y.shape[axis + 1 :]), dtype=y.dtype)
    return concat([part, one] if reverse else [one, part], axis)


@primitive(
    lambda g, y, x, axis, reverse: (
        recurrence(_shifted(x, axis, reverse), g, axis=axis, reverse=not reverse) * _before(y, axis, reverse)
    ),
    show=fn("cumprod", params=("axis", "reverse")),
    samples=_case_cumsum,
    kind="opaque",
    infer=lambda x, *, axis, reverse: _running_aval(np.cumprod, x),
    name="cumprod",
)
def cumprod_(xp: Any, x: Operand, *, axis: int, reverse: bool = False) -> Any:
    """The products of the elements up to each place along `axis`, or from each place on."""
    return _running(xp.cumprod, x, axis, reverse)


@method("cumprod")
def cumprod(x: Operand, axis: int | None = None) -> Tensor:
    """The running product along `axis` (None: of the flattened array): y[k] = x[0] · … · x[k].

    Floats keep their dtype and accumulate in a wider one; small integers and booleans give int64, as in NumPy. Nothing
    is divided by an element, so the gradients are exact with any number of zeros.

    Raises:
        AxisError: an axis that `x` does not have.

    Example:
        >>> import minigrad as mg
        >>> x = mg.tensor([2.0, 0.0, 3.0], requires_grad=True)
        >>> mg.cumprod(x).sum().backward()
        >>> x.grad
        tensor([1., 8., 0.])
    """
    x, at = _along(x, axis, "cumprod")
    return cumprod_(x, axis=at)


def _case_prod(rng: Rng) -> Case:
    shape = some_shape(rng)
    return (reals(rng, shape),), {"axes": some_axes(rng, len(shape)), "keepdims": bool(rng.integers(2))}


def _others(x: Any, axes: tuple[int, ...]) -> Any:
    """At each place the product of all other elements over `axes`: of those before it and those behind it."""
    order = (*(i for i in range(len(x.shape)) if i not in axes), *axes)
    moved = tuple(x.shape[i] for i in order)
    at = len(order) - len(axes)
    rows = reshape_(permute_dims_(x, axes=order), shape=(*moved[:at], math.prod(moved[at:])))
    before, behind = (_before(cumprod_(rows, axis=at, reverse=r), at, r) for r in (False, True))
    back = tuple(sorted(range(len(order)), key=order.__getitem__))
    return permute_dims_(reshape_(before * behind, shape=moved), axes=back)


@primitive(
    lambda g, x, axes: spread(g, x.shape, axes) * _others(x, axes),
    show=reduction("∏", r"\prod"),
    samples=_case_prod,
    kind="reduce",
    reduce=("*", 1),
    name="prod",
)
def prod_(xp: Any, x: Operand, *, axes: tuple[int, ...], keepdims: bool = False) -> Any:
    """The product over `axes`; its derivative is the product of all other elements, made without a division."""
    return backend_of(x).prod(x, axes, keepdims)


@method("prod")
def prod(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The product over `axis` (None: of all elements); small integers and booleans give wide ones, as in NumPy.

    Nothing is divided by an element, so the gradients are exact with any number of zeros.

    Raises:
        AxisError: an axis that `x` does not have.

    Example:
        >>> import minigrad as mg
        >>> x = mg.tensor([0.0, 2.0, 3.0], requires_grad=True)
        >>> mg.prod(x).backward()
        >>> x.grad
        tensor([6., 0., 0.])
    """
    return prod_(x, axes=normalize_axes(x, axis, "prod"), keepdims=bool(keepdims))
