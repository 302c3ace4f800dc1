"""Tensors from nothing but a shape."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigrad.core import Tensor, dtype_of, integer, integers, number, tensor
from minigrad.errors import ArgumentError

Shape = int | tuple[int, ...]


def _filled(op: str, shape: Shape, value: Any, dtype: Any, device: str | None, requires_grad: bool) -> Tensor:
    sizes = integers(shape, "shape", op, least=0)
    if not isinstance(value, (bool, np.bool_)):
        number(value.item() if isinstance(value, (np.ndarray, Tensor)) and not value.ndim else value, "value", op)
    return tensor(
        np.full(sizes, value, None if dtype is None else dtype_of(dtype, op)),
        device=device,
        requires_grad=requires_grad,
    )


def zeros(shape: Shape, *, dtype: Any = None, device: str | None = None, requires_grad: bool = False) -> Tensor:
    """Zeros of `shape`, float64 unless `dtype` says otherwise."""
    return _filled("zeros", shape, 0, dtype or np.float64, device, requires_grad)


def ones(shape: Shape, *, dtype: Any = None, device: str | None = None, requires_grad: bool = False) -> Tensor:
    """Ones of `shape`, float64 unless `dtype` says otherwise."""
    return _filled("ones", shape, 1, dtype or np.float64, device, requires_grad)


def full(
    shape: Shape, value: float, *, dtype: Any = None, device: str | None = None, requires_grad: bool = False
) -> Tensor:
    """`value` repeated in `shape`."""
    return _filled("full", shape, value, dtype, device, requires_grad)


def arange(
    start: float, stop: float | None = None, step: float = 1, *, dtype: Any = None, device: str | None = None
) -> Tensor:
    """Numbers from `start` up to `stop` (from 0 up to `start` when that is given alone) in steps of `step`."""
    first, last = (0, start) if stop is None else (start, stop)
    kind = None if dtype is None else dtype_of(dtype, "arange")
    for name, value in {"start": first, "stop": last, "step": step}.items():
        if not math.isfinite(number(value, name, "arange")):
            raise ArgumentError(f"arange: {name}={value!r} must be finite")
    if step == 0:
        raise ArgumentError("arange: step=0 never arrives; give a step above or below 0")
    return tensor(np.arange(first, last, step, dtype=kind), device=device)


def eye(n: int, m: int | None = None, *, dtype: Any = None, device: str | None = None) -> Tensor:
    """The identity matrix (n, m)."""
    rows = integer(n, "n", "eye", least=0)
    columns = rows if m is None else integer(m, "m", "eye", least=0)
    return tensor(np.eye(rows, columns, dtype=dtype_of(dtype or np.float64, "eye")), device=device)
