"""The backend of NumPy: exact sums at the speed of BLAS, masks through integer views, windows as strided views.

Nothing here writes into an array that it was given.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from math import prod
from typing import Any

import numpy as np

from minigrad.backend.base import Array, Backend, Ints, Transfers, out_of_bounds, window_layout, words_needed
from minigrad.backend.errorfunction import tabled
from minigrad.backend.philox import joined
from minigrad.backend.sums import FEW, accurate_squares, accurate_sum, over_few
from minigrad.errors import DtypeError, ShapeError

_reduce: Any = np.add.reduce
_ndarray, _asarray = np.ndarray, np.asarray
_SMALL = 1024  # up to here NumPy's own sum is quicker, and in float32 off by less than 1e-6
_WORDS = {bits: np.dtype(f"<u{bits // 8}") for bits in (16, 32, 64)}
_SQUARES = {"f": 1e-30, "d": 1e-290}  # sums of squares under these may have lost digits to underflow
_LONG = 512  # from here on products are worth cutting
_KEEP_AS = {"e": np.int16, "f": np.int32, "d": np.int64}


class NumpyBackend(Backend):
    """NumPy arrays in the host's memory; the device is called "numpy"."""

    name = "numpy"
    xp = np
    array_type = np.ndarray
    cache_bytes = 1 << 21
    scalar_types = tuple(dict.fromkeys(np.dtype(c).type for c in "?bBhHiIlLqQefdgFDG"))

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
            raise ShapeError(f"data cannot be made an array (are rows of one length?): {problem}") from problem
        if a.dtype.kind not in "biufc":
            raise DtypeError(
                f"data of type {type(data).__name__} has dtype {a.dtype}, and only numbers can be held; give each "
                "category a number, or leave such columns out"
            )
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
        if kind in "fd" and a.size > _SMALL:
            y = accurate_sum(a, axes, keepdims)
        elif kind == "e":
            y = self.sum(a.astype(np.float32), axes, keepdims)
            dtype = dtype or np.float16
        else:
            y = _reduce(a, axes, None, None, keepdims)
        if dtype is not None:
            y = y.astype(dtype, copy=False)
        return y if type(y) is _ndarray else _asarray(y)

    def extremum(self, a: Array, axes: Ints, keepdims: bool, largest: bool) -> Array:
        if a.size > _SMALL and 0 < prod(a.shape[i] for i in axes) <= FEW and axes != (a.ndim - 1,):
            y = over_few(np.maximum if largest else np.minimum, a, axes)
            return np.expand_dims(y, axes) if keepdims else y
        return super().extremum(a, axes, keepdims, largest)

    def sum_of_squares(self, a: Array, axes: Ints) -> Array:
        if a.dtype.char in "fd" and a.size > _SMALL:
            return accurate_squares(a, axes)
        return super().sum_of_squares(a, axes)

    def position(self, a: Array, axis: int | None, keepdims: bool, largest: bool) -> Array:
        if a.size > _SMALL and not a.flags.writeable and a.flags.c_contiguous:
            # argmax copies an array that cannot be written, which takes twice as long as itself
            return super().position(_writable(a), axis, keepdims, largest)
        return super().position(a, axis, keepdims, largest)

    def prod(self, a: Array, axes: Ints, keepdims: bool) -> Array:
        n = prod(a.shape[i] for i in axes)
        if n < _LONG or n % 8 or not a.flags.c_contiguous or axes != tuple(range(a.ndim - len(axes), a.ndim)):
            return super().prod(a, axes, keepdims)
        y = a.reshape(-1, n)
        while n >= _LONG and n % 8 == 0:  # eight at a time: along the last axis NumPy waits for every product
            n //= 8
            y = np.multiply.reduce(y.reshape(-1, 8, n), 1)
        y = np.multiply.reduce(y, 1)
        return y.reshape([1 if i in axes else k for i, k in enumerate(a.shape) if keepdims or i not in axes])

    def hypot(self, a: Array, b: Array) -> Array:
        kind = np.result_type(a, b).char
        if kind in _SQUARES and max(np.size(a), np.size(b)) > _SMALL:
            with np.errstate(over="ignore", under="ignore"):  # what left the range goes the long way
                y = np.multiply(a, a, dtype=kind) + np.multiply(b, b, dtype=kind)
            if y.size and _SQUARES[kind] < y.min() and y.max() < np.inf:  # NaN, and a length of 0, too
                return np.sqrt(y, out=y)  # a tenth of the time of NumPy's
        return np.hypot(a, b)

    def _erf(self, x: Array) -> Array:
        return tabled(x) if x.dtype == np.float64 else super()._erf(x)

    def keep(self, x: Array, mask: Array) -> Array:
        integers = _KEEP_AS.get(x.dtype.char)
        if integers is None:
            return np.where(mask, x, x.dtype.type(0))
        y = np.multiply(x.view(integers), mask).view(x.dtype)
        return y if type(y) is _ndarray else _asarray(y)

    def scatter_add(self, shape: Ints, dtype: Any, index: Any, values: Array) -> Array:
        dtype = np.dtype(dtype)
        wide = np.dtype(np.float32) if dtype.char == "e" else dtype
        out = np.zeros(shape, wide)
        parts = index if type(index) is tuple else (index,)
        arrays = [np.asarray(p) for p in parts if isinstance(p, (np.ndarray, np.generic, list))]
        if not arrays or (len(arrays) == 1 and arrays[0].dtype == bool):
            out[index] = values  # slices and masks name no place twice
        elif len(arrays) == len(parts) and all(a.dtype.kind in "iu" for a in arrays):
            _add_rows(out, arrays, np.asarray(values, wide))
        elif len(arrays) == 1 and arrays[0].dtype.kind in "iu" and _along_one_axis(parts):
            at, steps = next(k for k, p in enumerate(parts) if not isinstance(p, slice)), arrays[0].ndim
            out = np.zeros((shape[at], *shape[:at], *shape[at + 1 :]), wide)
            given = np.broadcast_to(values, (*shape[:at], *arrays[0].shape, *shape[at + 1 :]))
            _add_rows(out, arrays, np.moveaxis(np.asarray(given, wide), range(at, at + steps), range(steps)), at)
            out = np.ascontiguousarray(np.moveaxis(out, 0, at))
        else:
            np.add.at(out, index, values)
        return out.astype(dtype, copy=False)

    def check_index(self, index: Any, shape: Ints, op: str = "getitem") -> Any:
        return index  # NumPy checks every index when it is used, and its IndexError says which

    def windows(self, x: Array, axes: Ints, sizes: Ints, strides: Ints, dilations: Ints) -> Array:
        shape, steps = window_layout(x.shape, x.strides, axes, sizes, strides, dilations)
        if x.flags.c_contiguous:  # a fifth of the time of as_strided
            view = np.ndarray(shape, x.dtype, x, 0, steps)
            view.setflags(write=False)
            return view
        return np.lib.stride_tricks.as_strided(x, shape, steps, writeable=False)

    def random_bits(self, key: Any, counter: Any, shape: Ints, bits: int = 32) -> Array:
        n, words = words_needed(shape, bits)
        raw = _philox.words(key, counter, words)
        if sys.byteorder == "big":
            raw = raw.astype("<u8")
        y = raw.view(_WORDS[bits])
        y = (y if y.size == n else y[:n]).reshape(shape)
        return y if sys.byteorder == "little" else y.astype(f"=u{bits // 8}")


def _writable(a: Array) -> Array:
    """The memory of a frozen array, which must outlive the result, as if it could be written. Nobody does."""
    return np.ndarray(a.shape, a.dtype, (ctypes.c_char * a.nbytes).from_address(a.ctypes.data))


def _along_one_axis(parts: tuple[Any, ...]) -> bool:
    """Whether all parts of an index but one are the whole axis."""
    return sum(not isinstance(p, slice) for p in parts) == 1 and all(
        p == slice(None) for p in parts if isinstance(p, slice)
    )


def _add_rows(out: Array, indices: list[Array], values: Array, first: int = 0) -> None:
    """Add rows of `values` into `out` at integer places along its first axes.

    As one flat index, for which `add.at` has a fast path that it has not for rows (6 times slower); wide rows one by
    one. `first` is what the first of the axes is called in an error.
    """
    place: Any = 0
    for axis, index in enumerate(indices):
        size = out.shape[axis]
        if index.size and not (-size <= int(index.min()) and int(index.max()) < size):
            wrong = index[(index < -size) | (index >= size)].flat[0]
            raise out_of_bounds("scatter_add", int(wrong), first + axis, size)
        index = index.astype(np.int64, copy=False)
        place = place * size + np.where(index < 0, index + size, index)
    width = 1
    for n in out.shape[len(indices) :]:
        width *= n
    rows = np.broadcast_to(values, (*place.shape, *out.shape[len(indices) :]))
    if width >= 256:
        flat = out.reshape(-1, width)
        for at, row in zip(place.reshape(-1).tolist(), rows.reshape(-1, width), strict=True):
            flat[at] += row
        return
    if width != 1:
        place = place[..., None] * width + np.arange(width)
    np.add.at(out.reshape(-1), place.reshape(-1), rows.reshape(-1))


class _Philox(threading.local):
    """One generator a thread, set to a place before each use: a fifth of the time of making one."""

    generator: Any = None
    state: Any = None

    def words(self, key: Any, counter: Any, n: int) -> Array:
        if self.generator is None:  # not sooner: numpy.random costs 12 ms to import
            self.generator = np.random.Philox(key=0, counter=0)
            self.state = self.generator.state
        place = self.state["state"]
        k: Any
        c: Any
        try:
            k, c = np.array(key, np.uint64), np.array(counter, np.uint64)
        except (OverflowError, TypeError, ValueError):
            k = c = np.zeros(0)
        if k.shape != (2,) or c.shape != (4,):
            joined(key, 2, "key"), joined(counter, 4, "counter")  # says which of them is wrong, and how
        place["key"], place["counter"] = k, c
        self.generator.state = self.state  # with an empty buffer: the next word opens a block
        return self.generator.random_raw(n)


_philox = _Philox()


def load() -> NumpyBackend:
    """What the table calls; NumPy is always there."""
    return NumpyBackend()
