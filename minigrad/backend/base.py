"""What a backend is: the few things on which array libraries differ, as the methods of one object per library.

Everything that libraries agree on is reached through `xp`, the library's own namespace, whose names are NumPy's. A
backend never records a gradient and never sees a Tensor: it takes and gives the library's own arrays ("raw" arrays).

Windows are described by four tuples of one length: `axes` (not negative, no axis twice), `sizes`, `strides` and
`dilations`; `window_counts` is the one place where their arithmetic is done.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np

from minigrad.backend.errorfunction import rational
from minigrad.errors import ArgumentError, BoundsError, DeviceError, ShapeError

Array: TypeAlias = Any
"""A raw array of any backend. Typed loosely, for no type in the standard library covers NumPy's and CuPy's."""

Ints: TypeAlias = tuple[int, ...]


class Transfers:
    """How often data crossed between host and device, and how often the host waited; we count, and never reset."""

    __slots__ = ("to_device", "to_host", "waits")

    def __init__(self) -> None:
        self.to_host = self.to_device = self.waits = 0

    def __repr__(self) -> str:
        return f"Transfers(to_host={self.to_host}, to_device={self.to_device}, waits={self.waits})"


class Backend(ABC):
    """One array library, as minigrad needs it.

    A third party subclasses this, and names an instance (or a function without arguments that gives one) in the
    entry-point group `minigrad.backends`.

    >>> from minigrad.backend import get_backend
    >>> get_backend("numpy").device_of(get_backend("numpy").asarray([1.0, 2.0]))
    'numpy'
    """

    name: str
    """As in `device="cupy:0"`, without the number."""
    xp: ModuleType | Any
    """The namespace that is handed to the forward of every primitive."""
    array_type: type[Any]
    """The type that the table looks up; exactly this type, not a subclass."""
    scalar_types: tuple[type, ...] = ()
    """Types that the library's own operations may give in place of a 0-d array."""
    cache_bytes: int = 0
    """Where a cache pays, the size of the pieces in which to make many passes over an array; 0 for no pieces."""
    transfers: Transfers

    def __repr__(self) -> str:
        return f"<minigrad backend {self.name!r}>"

    def parse_device(self, device: str) -> str:
        """The full name of a device of this backend; a backend with one device has no numbers.

        Raises DeviceError for a device that is not there.

        >>> from minigrad.backend import get_backend
        >>> get_backend("numpy").parse_device("numpy")
        'numpy'
        """
        if device != self.name:
            raise DeviceError(f"device={device!r}: {self.name!r} is one device and takes no number; use {self.name!r}")
        return self.name

    def current(self, device: str) -> AbstractContextManager[Any]:
        """Make `device` (as `parse_device` writes it) the one on which the library makes new arrays, for a `with`.

        A library without a current device of its own has nothing to do.
        """
        return nullcontext()

    @abstractmethod
    def device_of(self, a: Array) -> str:
        """The device on which `a` lives, as `parse_device` writes it."""

    @abstractmethod
    def asarray(self, data: object, dtype: object = None, device: str | None = None) -> Array:
        """A fresh array with the values of `data`: numbers, nested lists, a host array, an own array. Always a copy."""

    @abstractmethod
    def copy(self, a: Array) -> Array:
        """A fresh writable copy of `a`, on the same device."""

    @abstractmethod
    def freeze(self, a: Array) -> Array:
        """`a` itself, which from now on refuses writes where the library can do that."""

    @abstractmethod
    def to_host(self, a: Array) -> Array:
        """A fresh writable `numpy.ndarray` with the values of `a`; waits for the device and tells of index errors."""

    @abstractmethod
    def sum(self, a: Array, axes: Ints, keepdims: bool = False, dtype: object = None) -> Array:
        """The sum over `axes` (not negative), always an array, with more exact accumulation than the library's own.

        float16 accumulates in float32, float32 in float32 over short runs and in float64 over their sums; floats keep
        their dtype unless `dtype` names a wider one for the result, integers give what the library gives.
        """

    def full_as(self, a: Array, shape: Ints, value: float, dtype: object) -> Array:
        """`value` repeated in `shape`, whose axes lie in memory in the order in which the first ones of `a` do.

        What is filled from `a` is then filled along the memory of both.
        """
        order = sorted(range(len(shape)), key=lambda i: -abs(a.strides[i]))
        out = self.xp.full(tuple(shape[i] for i in order), value, dtype=dtype)
        return out.transpose(sorted(range(len(shape)), key=order.__getitem__))

    def extremum(self, a: Array, axes: Ints, keepdims: bool, largest: bool) -> Array:
        """The largest (or smallest) element over `axes` (not negative), always an array."""
        return self.xp.asarray((a.max if largest else a.min)(axis=axes, keepdims=keepdims))

    def sum_of_squares(self, a: Array, axes: Ints) -> Array:
        """The sum of a² over `axes` (not negative), as exact as `sum`."""
        return self.sum(self.xp.square(a), axes)

    def position(self, a: Array, axis: int | None, keepdims: bool, largest: bool) -> Array:
        """Where the largest (or smallest) element is along `axis` (None: in the flattened array), always an array."""
        return self.xp.asarray((a.argmax if largest else a.argmin)(axis=axis, keepdims=keepdims))

    def prod(self, a: Array, axes: Ints, keepdims: bool) -> Array:
        """The product over `axes` (not negative), always an array."""
        return self.xp.asarray(a.prod(axis=axes, keepdims=keepdims))

    def hypot(self, a: Array, b: Array) -> Array:
        """sqrt(a² + b²), elementwise, without overflow on the way; one of both may be a number."""
        return self.xp.hypot(a, b)

    def erf(self, x: Array) -> Array:
        """The error function, in the dtype of `x`: float16 is computed in float32; integers give float64."""
        dtype = x.dtype if x.dtype.kind == "f" else np.dtype(np.float64)
        wide = x.astype(np.float32 if dtype.char == "e" else dtype, copy=False)
        flat = self.xp.reshape(wide, -1)
        piece = self.cache_bytes // (8 * wide.dtype.itemsize)  # some eight arrays are in use at a time
        if not 0 < piece < wide.size:
            y = self._erf(flat)
        else:
            y = self.xp.empty(wide.size, wide.dtype)
            for start in range(0, wide.size, piece):
                y[start : start + piece] = self._erf(flat[start : start + piece])
        return self.xp.reshape(y, wide.shape).astype(dtype, copy=False)

    def _erf(self, x: Array) -> Array:
        """The error function of a flat float32 or float64 array that fits into the cache."""
        return rational(self.xp, x)

    @abstractmethod
    def keep(self, x: Array, mask: Array) -> Array:
        """`x` where the boolean `mask` holds, exactly +0 elsewhere (an infinity or NaN under the mask too)."""

    @abstractmethod
    def scatter_add(self, shape: Ints, dtype: object, index: Any, values: Array) -> Array:
        """The adjoint of `x[index]`: zeros of `shape` with `values` added at `index`, repeated places summed."""

    @abstractmethod
    def check_index(self, index: Any, shape: Ints, op: str = "getitem") -> Any:
        """An index that is safe to use on an array of `shape`.

        Indices on the host are checked at once (BoundsError, which is an IndexError). Those on a device come back
        clamped, and an error is raised, naming `op`, at the next copy to the host.
        """

    @abstractmethod
    def windows(self, x: Array, axes: Ints, sizes: Ints, strides: Ints, dilations: Ints) -> Array:
        """All windows of `x`, a view not to be written: `axes` count the windows, new last axes run inside them."""

    def fold(self, g: Array, shape: Ints, axes: Ints, sizes: Ints, strides: Ints, dilations: Ints) -> Array:
        """The adjoint of `windows`: an array of `shape` in which every window of `g` was added to where it was read.

        One strided addition for each place in a window, so a 3x3 kernel costs nine large additions. float16 adds up in
        float32. Quickest when `g` is a view of memory in which the places in a window come before the windows.
        """
        xp = self.xp
        counts = window_counts(shape, axes, sizes, strides, dilations)
        if tuple(g.shape) != (*(counts.get(i, n) for i, n in enumerate(shape)), *sizes):
            raise ShapeError(
                f"fold: g has shape {tuple(g.shape)}, no windows of {shape} with {sizes=}, {strides=}, {dilations=}"
            )
        half = g.dtype.char == "e"
        out = self.full_as(g, shape, 0, xp.float32 if half else g.dtype)
        apart = all(s > d * (k - 1) for k, s, d in zip(sizes, strides, dilations, strict=True))
        step = max(shape[0], 1) if shape else 1
        if self.cache_bytes and axes and 0 not in axes and g.strides[-1] < g.strides[axes[-1]]:
            # every pass would fetch all of g, and use one place of many
            step = max(1, step * self.cache_bytes // max(g.size * g.dtype.itemsize, 1))
        for start in range(0, shape[0] if shape else 1, step):
            piece, into = (g[start : start + step], out[start : start + step]) if step < out.size else (g, out)
            for offset in _offsets(sizes):
                at = [slice(None)] * len(shape)
                for axis, o, s, d in zip(axes, offset, strides, dilations, strict=True):
                    at[axis] = slice(o * d, o * d + s * (counts[axis] - 1) + 1, s)
                part = piece[(..., *offset)]
                if apart:  # no place is written twice, so nothing need be read
                    into[tuple(at)] = part
                else:
                    into[tuple(at)] += part
        return out.astype(g.dtype) if half else out

    @abstractmethod
    def random_bits(self, key: Any, counter: Any, shape: Ints, bits: int = 32) -> Array:
        """Random words: element i is word i of `numpy.random.Philox(key=, counter=).random_raw`, read little-endian.

        `key` = (seed, stream) and `counter` = four words, lowest first; `bits` is 16, 32 or 64.
        """

    def synchronize(self) -> None:
        """Wait until the device has done all that was asked of it, and tell of its index errors."""


def window_counts(shape: Ints, axes: Ints, sizes: Ints, strides: Ints, dilations: Ints) -> dict[int, int]:
    """How many windows there are along each of `axes`: (n - d (k - 1) - 1) // s + 1.

    Raises ShapeError where a window is longer than its axis, ArgumentError for a size, stride or dilation under 1.

    >>> window_counts((1, 8), (1,), (3,), (2,), (1,))
    {1: 3}
    """
    counts = {}
    for axis, k, s, d in zip(axes, sizes, strides, dilations, strict=True):
        if min(k, s, d) < 1:
            raise ArgumentError(f"windows: size {k}, stride {s} and dilation {d} of axis {axis} must all be at least 1")
        reach = d * (k - 1) + 1
        if shape[axis] < reach:
            raise ShapeError(
                f"windows: axis {axis} has {shape[axis]} elements, but a window of size {k} with dilation {d} reaches "
                f"over {reach}; pad the input or take a smaller window"
            )
        counts[axis] = (shape[axis] - reach) // s + 1
    return counts


def window_layout(
    shape: Ints, steps: Ints, axes: Ints, sizes: Ints, strides: Ints, dilations: Ints
) -> tuple[Ints, Ints]:
    """Shape and byte strides of the view of all windows of an array with `shape` and byte strides `steps`.

    >>> window_layout((1, 8), (64, 8), (1,), (3,), (2,), (1,))
    ((1, 3, 3), (64, 16, 8))
    """
    counts = window_counts(shape, axes, sizes, strides, dilations)
    outer, outer_steps = list(shape), list(steps)
    inner_steps = [steps[axis] * d for axis, d in zip(axes, dilations, strict=True)]
    for axis, s in zip(axes, strides, strict=True):
        outer[axis], outer_steps[axis] = counts[axis], steps[axis] * s
    return (*outer, *sizes), (*outer_steps, *inner_steps)


def words_needed(shape: Ints, bits: int) -> tuple[int, int]:
    """(elements, 64-bit words that hold them); ArgumentError for a number of bits other than 16, 32 or 64.

    >>> words_needed((3, 3), 16)
    (9, 3)
    """
    if bits not in (16, 32, 64):
        raise ArgumentError(f"random_bits: bits={bits!r} must be 16, 32 or 64")
    n = 1
    for length in shape:
        n *= length
    return n, -(-n * bits // 64)


def out_of_bounds(op: str, index: int, axis: int, size: int) -> BoundsError:
    """The error for one bad index, worded once for all backends."""
    valid = f"valid are {-size} to {size - 1}" if size else "the axis is empty"
    return BoundsError(f"{op}: index {index} is out of bounds for axis {axis} with size {size}; {valid}")


def _offsets(sizes: Ints) -> list[Ints]:
    """Every place inside a window, in C order."""
    places: list[Ints] = [()]
    for k in sizes:
        places = [(*p, i) for p in places for i in range(k)]
    return places
