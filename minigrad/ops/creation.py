"""Tensors from nothing but a shape."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.core import Tensor, tensor

Shape = int | tuple[int, ...]


def zeros(shape: Shape, *, dtype: Any = None, device: str | None = None, requires_grad: bool = False) -> Tensor:
    """Zeros of `shape`, float64 unless `dtype` says otherwise."""
    return tensor(np.zeros(shape, dtype or np.float64), device=device, requires_grad=requires_grad)


def ones(shape: Shape, *, dtype: Any = None, device: str | None = None, requires_grad: bool = False) -> Tensor:
    """Ones of `shape`, float64 unless `dtype` says otherwise."""
    return tensor(np.ones(shape, dtype or np.float64), device=device, requires_grad=requires_grad)


def full(
    shape: Shape, value: float, *, dtype: Any = None, device: str | None = None, requires_grad: bool = False
) -> Tensor:
    """`value` repeated in `shape`."""
    return tensor(np.full(shape, value, dtype), device=device, requires_grad=requires_grad)


def arange(
    start: float, stop: float | None = None, step: float = 1, *, dtype: Any = None, device: str | None = None
) -> Tensor:
    """Numbers from `start` up to `stop` (from 0 up to `start` when that is given alone) in steps of `step`."""
    first, last = (0, start) if stop is None else (start, stop)
    return tensor(np.arange(first, last, step, dtype=dtype), device=device)


def eye(n: int, m: int | None = None, *, dtype: Any = None, device: str | None = None) -> Tensor:
    """The identity matrix (n, m)."""
    return tensor(np.eye(n, m, dtype=dtype or np.float64), device=device)
