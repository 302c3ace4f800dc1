"""Tensors from nothing but a shape, and constants in the shape of another array."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigrad.core import (
    MODES,
    Operand,
    ShapeLike,
    Tensor,
    astype,
    broadcast_to,
    dtype_of,
    integer,
    integers,
    number,
    shape_of,
    tensor,
)
from minigrad.core import full_like as constant
from minigrad.errors import ArgumentError
from minigrad.ops.index import positions

__all__ = ["arange", "eye", "full", "full_like", "linspace", "ones", "ones_like", "zeros", "zeros_like"]


def _filled(op: str, shape: ShapeLike, value: Any, dtype: Any, device: str | None, requires_grad: bool) -> Tensor:
    sizes = integers(shape, "shape", op, least=0)
    if _tracked(value) and not requires_grad:
        return broadcast_to(tensor(value, dtype=dtype, device=device), sizes)
    value = _scalar(value, op)
    return _made(np.full(sizes, value, None if dtype is None else dtype_of(dtype, op)), device, requires_grad)


def _made(array: Any, device: str | None, requires_grad: bool = False) -> Tensor:
    made = tensor(array, device=device, requires_grad=requires_grad)
    recording = MODES.get().program  # made of nothing but what is said in the code: a constant of any size
    return made if recording is None else recording.made(made)


def _tracked(value: Any) -> bool:
    return isinstance(value, Tensor) and value.requires_grad and not value.ndim


def _scalar(value: Any, op: str) -> Any:
    """`value`, or the number in it where it is an array of no axes; ArgumentTypeError for what is none."""
    if isinstance(value, (np.ndarray, Tensor)) and not value.ndim:
        value = value.item()
    return value if isinstance(value, (bool, np.bool_)) else number(value, "value", op)


def zeros(shape: ShapeLike, *, dtype: Any = None, device: str | None = None, requires_grad: bool = False) -> Tensor:
    """Zeros of `shape`, float64 unless `dtype` says otherwise."""
    return _filled("zeros", shape, 0, dtype or np.float64, device, requires_grad)


def ones(shape: ShapeLike, *, dtype: Any = None, device: str | None = None, requires_grad: bool = False) -> Tensor:
    """Ones of `shape`, float64 unless `dtype` says otherwise."""
    return _filled("ones", shape, 1, dtype or np.float64, device, requires_grad)


def full(
    shape: ShapeLike, value: float, *, dtype: Any = None, device: str | None = None, requires_grad: bool = False
) -> Tensor:
    """`value` repeated in `shape`."""
    return _filled("full", shape, value, dtype, device, requires_grad)


def full_like(x: Operand, value: float, *, dtype: Any = None) -> Tensor:
    """`value` repeated in the shape of `x`, on its device, and in its dtype unless `dtype` says otherwise.

    Nothing flows back: no gradient of `x`, for its elements are not read.

    Raises:
        UnknownArrayError: an `x` that is no array.
        ArgumentTypeError: a `value` that is no number.

    Example:
        >>> import minigrad as mg
        >>> mg.full_like(mg.tensor([1.0, 2.0]), 7)
        tensor([7., 7.])
    """
    return _like("full_like", x, value, dtype)


def zeros_like(x: Operand, *, dtype: Any = None) -> Tensor:
    """Zeros in the shape of `x`, on its device, and in its dtype unless `dtype` says otherwise."""
    return _like("zeros_like", x, 0, dtype)


def ones_like(x: Operand, *, dtype: Any = None) -> Tensor:
    """Ones in the shape of `x`, on its device, and in its dtype unless `dtype` says otherwise."""
    return _like("ones_like", x, 1, dtype)


def _like(op: str, x: Any, value: Any, dtype: Any) -> Tensor:
    shape = shape_of(x, op)
    if _tracked(value):
        return broadcast_to(astype(value, x.dtype if dtype is None else dtype), shape)
    value = _scalar(value, op)
    return constant(x, value=value, shape=shape, dtype=x.dtype if dtype is None else dtype_of(dtype, op))


def linspace(
    start: float,
    stop: float,
    num: int = 50,
    *,
    endpoint: bool = True,
    dtype: Any = None,
    device: str | None = None,
) -> Tensor:
    """`num` numbers at equal distances from `start` to `stop`, which is the last one where `endpoint` is true.

    Float64 unless `dtype` says otherwise.

    Raises:
        ArgumentTypeError: a bound that is no number, a `num` that is no integer.
        ArgumentError: a bound that is not finite, a negative `num`.

    Example:
        >>> import minigrad as mg
        >>> mg.linspace(0, 1, 5)
        tensor([0.  , 0.25, 0.5 , 0.75, 1.  ])
    """
    count = integer(num, "num", "linspace", least=0)
    kind = np.dtype(np.float64) if dtype is None else dtype_of(dtype, "linspace")
    _finite("linspace", start=start, stop=stop)
    return _made(np.linspace(start, stop, count, endpoint=endpoint, dtype=kind), device)


def _finite(op: str, **bounds: Any) -> None:
    for name, value in bounds.items():
        if not math.isfinite(number(value, name, op)):
            raise ArgumentError(f"{op}: {name}={value!r} must be finite")


def arange(
    start: float,
    stop: float | None = None,
    step: float = 1,
    *,
    dtype: Any = None,
    device: str | None = None,
    like: Operand | None = None,
) -> Tensor:
    """Numbers from `start` up to `stop` (from 0 up to `start` when that is given alone) in steps of `step`.

    With `like` they lie on the device of that array, and a recorded program makes them anew where it runs in place of
    holding them: what a layer needs that counts along its input.

    Example:
        >>> import minigrad as mg
        >>> mg.arange(3), mg.arange(1, 7, 2, like=mg.zeros(5))
        (tensor([0, 1, 2]), tensor([1, 3, 5]))
    """
    first, last = (0, start) if stop is None else (start, stop)
    kind = None if dtype is None else dtype_of(dtype, "arange")
    _finite("arange", start=first, stop=last, step=step)
    if step == 0:
        raise ArgumentError("arange: step=0 never arrives; give a step above or below 0")
    if like is None:
        return _made(np.arange(first, last, step, dtype=kind), device)
    if device is not None:
        raise ArgumentError(f"arange: device={device!r} and like= both say where; give one of them")
    counted: Any = positions(like, n=max(0, math.ceil((last - first) / step)))
    counted = counted if step == 1 else counted * step
    counted = counted if first == 0 else counted + first
    return counted if kind is None else astype(counted, kind)


def eye(n: int, m: int | None = None, *, dtype: Any = None, device: str | None = None) -> Tensor:
    """The identity matrix (n, m)."""
    rows = integer(n, "n", "eye", least=0)
    columns = rows if m is None else integer(m, "m", "eye", least=0)
    return _made(np.eye(rows, columns, dtype=dtype_of(dtype or np.float64, "eye")), device)
