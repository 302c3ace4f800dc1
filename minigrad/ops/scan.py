"""Cumulative sums and products along an axis."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigrad.core import Operand, Tensor, astype, composite, method, one_axis, primitive, reshape, shape_of
from minigrad.core.domains import Rng, reals, some_shape
from minigrad.notation import fn
from minigrad.ops.shape import concat, take_part

Sample = tuple[tuple[Any, ...], dict[str, Any]]


def _case_cumsum(rng: Rng) -> Sample:
    shape = some_shape(rng, least=1)
    return (reals(rng, shape),), {"axis": int(rng.integers(len(shape))), "reverse": bool(rng.integers(2))}


_WIDER = {"e": np.dtype(np.float32), "f": np.dtype(np.float64)}


@primitive(
    lambda g, axis, reverse: cumsum_(g, axis=axis, reverse=not reverse),
    show=fn("cumsum", params=("axis", "reverse")),
    samples=_case_cumsum,
    kind="opaque",
    infer=lambda x, *, axis, reverse: (
        x.shape,
        x.dtype if x.dtype is None or x.dtype.kind == "f" else np.cumsum(np.ones(1, x.dtype)).dtype,
    ),
    name="cumsum",
)
def cumsum_(xp: Any, x: Operand, *, axis: int, reverse: bool = False) -> Any:
    """The sums of the elements up to each place along `axis`, or from each place on: the adjoint of the former."""
    back = (slice(None),) * axis + (slice(None, None, -1),)
    wide = _WIDER.get(x.dtype.char)  # each sum is as exact as the one over the whole axis
    y = xp.cumsum(x[back] if reverse else x, axis=axis, dtype=wide)
    return (y[back] if reverse else y).astype(y.dtype if wide is None else x.dtype, copy=False)


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


@method("cumprod")
@composite
def cumprod(x: Operand, axis: int | None = None) -> Tensor:
    """The running product along `axis` (None: of the flattened array): y[k] = x[0] · … · x[k].

    Multiplied up by doubling (y[k] ← y[k] y[k-m] for m = 1, 2, 4, …), without a division, so the gradients are exact
    with any number of zeros.

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
    n, m = x.shape[at], 1
    if x.dtype.kind in "iub":
        x = astype(x, np.prod(np.ones(1, x.dtype)).dtype)
    while m < n:
        both = take_part(x, axis=at, start=m, stop=n) * take_part(x, axis=at, start=0, stop=n - m)
        x = concat([take_part(x, axis=at, start=0, stop=m), both], at)
        m *= 2
    return x  # type: ignore[no-any-return]
