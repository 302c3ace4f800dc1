"""The backend of NumPy: accurate sums that are as fast as BLAS, masks through integer views, windows as strided views.

Nothing here writes into an array that it was given.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from minigrad.backend.base import Array, Backend, Ints, Transfers, window_counts, words_needed
from minigrad.errors import DeviceError, DtypeError, ShapeError

_reduce = np.add.reduce
_ndarray = np.ndarray
_SMALL = 512
_KEEP_AS = {"e": np.int16, "f": np.int32, "d": np.int64}
_MASK64 = (1 << 64) - 1


class NumpyBackend(Backend):
    """NumPy arrays in the host's memory; the device is called "numpy"."""

    name = "numpy"
    xp = np
    array_type = np.ndarray
    scalar_types = tuple({np.dtype(c).type for c in "?bBhHiIlLqQefdFD"})

    def __init__(self) -> None:
        self.transfers = Transfers()

    def device_of(self, a: Array) -> str:
        return "numpy"

    def asarray(self, data: object, dtype: Any = None, device: str | None = None) -> Array:
        if device is not None and device != "numpy":
            self.parse_device(device)
        try:
            a = np.array(data, dtype=dtype)
        except ValueError as problem:
            raise ShapeError(f"data cannot be made an array: {problem}") from problem
        if a.dtype.hasobject or a.dtype.kind not in "biufc":
            raise DtypeError(f"data of type {type(data).__name__} gives dtype {a.dtype}, and only numbers can be held")
        return a

    def copy(self, a: Array) -> Array:
        return np.array(a)

    def freeze(self, a: Array) -> Array:
        a.setflags(False)
        return a

    def to_host(self, a: Array) -> Array:
        return np.array(a)

    def sum(self, a: Array, axes: Ints, keepdims: bool = False, dtype: Any = None) -> Array:
        kind = a.dtype.char
        if kind == "f" and a.size > _SMALL:
            y = _wide(a, axes, keepdims)
        elif kind == "e":
            y = _reduce(a, axes, np.float32 if a.size <= _SMALL else np.float64, None, keepdims)
            dtype = dtype or np.float16
        else:
            y = _reduce(a, axes, None, None, keepdims)
        if dtype is not None:
            y = y.astype(dtype, copy=False)
        return y if type(y) is _ndarray else np.asarray(y)

    def keep(self, x: Array, mask: Array) -> Array:
        integers = _KEEP_AS.get(x.dtype.char)
        if integers is None:
            return np.asarray(np.multiply(x, mask) if x.dtype.kind in "biu" else np.where(mask, x, x.dtype.type(0)))
        y = np.multiply(x.view(integers), mask).view(x.dtype)
        return y if type(y) is _ndarray else np.asarray(y)

    def scatter_add(self, shape: Ints, dtype: Any, index: Any, values: Array) -> Array:
        out = np.zeros(shape, dtype)
        np.add.at(out, index, values)
        return out

    def check_index(self, index: Any, shape: Ints, op: str = "getitem") -> Any:
        return index  # NumPy checks every index when it is used

    def windows(self, x: Array, axes: Ints, sizes: Ints, strides: Ints, dilations: Ints) -> Array:
        counts = window_counts(x.shape, axes, sizes, strides, dilations)
        shape, steps = list(x.shape), list(x.strides)
        inner = [steps[axis] * d for axis, d in zip(axes, dilations, strict=True)]
        for axis, s in zip(axes, strides, strict=True):
            shape[axis], steps[axis] = counts[axis], steps[axis] * s
        return np.lib.stride_tricks.as_strided(x, (*shape, *sizes), (*steps, *inner), writeable=False)

    def random_bits(self, key: Any, counter: Any, shape: Ints, bits: int = 32) -> Array:
        n, words = words_needed(shape, bits)
        k, c = (_joined(key), _joined(counter))
        raw = np.random.Philox(key=k, counter=c).random_raw(words)
        if sys.byteorder == "big":
            raw = raw.astype("<u8")
        return raw.view(f"<u{bits // 8}")[:n].reshape(shape).astype(f"u{bits // 8}", copy=False)


def _joined(words: Any) -> int:
    """The one large integer whose 64-bit words, lowest first, are `words`."""
    total = 0
    for i, word in enumerate(words):
        total |= (int(word) & _MASK64) << 64 * i
    return total


def _wide(a: Array, axes: Ints, keepdims: bool) -> Array:
    return np.asarray(_reduce(a, axes, np.float64, None, keepdims)).astype(np.float32)


def load() -> NumpyBackend:
    """What the table calls; NumPy is always there."""
    return NumpyBackend()
