"""What CuPy and its stand-in share: everything that can be said in CuPy's own functions.

Two things differ and are left to the two files: how an array gets to the device and back, and the kernels. No method
here copies to the host, save `to_host`; so a training step copies nothing unless asked.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.backend.base import (
    Array,
    Backend,
    Ints,
    Transfers,
    out_of_bounds,
    window_layout,
    words_needed,
)
from minigrad.backend.numpy import NumpyBackend
from minigrad.backend.philox import joined
from minigrad.errors import BoundsError, DeviceError

_FAULT_WORDS = 5  # found, op, index, axis, size

ATOMIC = frozenset("iIlLqQefd")
"""The dtypes that `add.at` of CuPy takes, by their characters."""


class CupyLike(Backend):
    """A backend whose `xp` has CuPy's names, and CuPy's refusals."""

    deterministic: bool = False
    """Whether gradients of indexing add up in a fixed order (sorted segments, slower) instead of by atomics."""

    def __init__(self, xp: Any, transfers: Transfers | None = None) -> None:
        self.xp = xp
        self.array_type = xp.ndarray
        self.transfers = Transfers() if transfers is None else transfers
        self._host = NumpyBackend()
        self._ops: list[str] = []
        self._faults: dict[str, Array] = {}

    def copy(self, a: Array) -> Array:
        return a.copy()

    def asarray(self, data: object, dtype: Any = None, device: str | None = None) -> Array:
        device = self.parse_device(self.name if device is None else device)
        if isinstance(data, self.array_type):
            return self._place(data, dtype, device)
        host = self._host.asarray(data, dtype)
        self.transfers.to_device += 1
        return self._place(host, None, device)

    def to_host(self, a: Array) -> Array:
        y = self._fetch(a)
        self._tell_faults()
        return y

    def synchronize(self) -> None:
        self._wait()
        self._tell_faults()

    def sum(self, a: Array, axes: Ints, keepdims: bool = False, dtype: Any = None) -> Array:
        # CuPy adds long columns in float32 one after the other within a thread. With another dtype it converts while
        # it reads, without a copy, and a sum waits for memory, not for the adder: float64 costs little even where its
        # units are few. float16 has too few digits for float64 to matter.
        kind = a.dtype.char
        if kind == "f":
            y = self.xp.sum(a, axis=axes, dtype=np.float64, keepdims=keepdims)
        elif kind == "e":
            y = self.xp.sum(a, axis=axes, dtype=np.float32, keepdims=keepdims)
        else:
            y = self.xp.sum(a, axis=axes, keepdims=keepdims)
        return y.astype(dtype if dtype is not None else a.dtype if kind in "ef" else y.dtype, copy=False)

    def keep(self, x: Array, mask: Array) -> Array:
        return self.xp.where(mask, x, x.dtype.type(0))  # one kernel that selects, so nothing leaks from under the mask

    def windows(self, x: Array, axes: Ints, sizes: Ints, strides: Ints, dilations: Ints) -> Array:
        shape, steps = window_layout(x.shape, x.strides, axes, sizes, strides, dilations)
        return self.xp.lib.stride_tricks.as_strided(x, shape, steps)

    def random_bits(self, key: Any, counter: Any, shape: Ints, bits: int = 32) -> Array:
        n, words = words_needed(shape, bits)
        blocks = -(-words // 4)
        if isinstance(key, self.array_type) or isinstance(counter, self.array_type):
            key, counter = (self.xp.ascontiguousarray(a, dtype=np.uint64) for a in (key, counter))
        else:
            joined(key, 2, "key"), joined(counter, 4, "counter")  # says what is wrong, if anything is
            key, counter = (tuple(int(word) for word in a) for a in (key, counter))
        return self._philox(key, counter, blocks).view(f"u{bits // 8}")[:n].reshape(shape)

    def check_index(self, index: Any, shape: Ints, op: str = "getitem") -> Any:
        def check(part: Any, axis: int) -> Any:
            size = shape[axis]
            if isinstance(part, self.array_type):
                if part.size and not size:
                    raise BoundsError(f"{op}: axis {axis} is empty, and an index of shape {part.shape} reads from it")
                return self._clamp(part, size, axis, op) if part.size else part
            check_host_index(part, size, axis, op)
            return part

        return map_index(index, shape, op, check, self.asarray)

    def scatter_add(self, shape: Ints, dtype: Any, index: Any, values: Array) -> Array:
        xp, dtype = self.xp, np.dtype(dtype)
        index = self.check_index(index, shape, "scatter_add")
        wide = np.dtype(np.float32) if dtype.char == "e" else dtype
        out = xp.zeros(shape, wide)
        parts = index if isinstance(index, tuple) else (index,)
        arrays = [p for p in parts if isinstance(p, self.array_type)]
        if not arrays or (len(arrays) == 1 and is_mask(arrays[0])):
            out[index] = values  # slices and masks name no place twice
        elif self.deterministic and wide.kind == "f":
            self._add_sorted(out, index, parts, values)
        else:
            self._scatter(out, index, values.astype(wide, copy=False))
        return out.astype(dtype, copy=False)

    def _add_sorted(self, out: Array, index: Any, parts: tuple[Any, ...], values: Array) -> None:
        """Add rows in the order of a stable sort by place."""
        xp, shape = self.xp, out.shape
        lead = len(parts) if all(isinstance(p, self.array_type) and not is_mask(p) for p in parts) else len(shape)
        rows = int(np.prod(shape[:lead], dtype=np.int64))
        width = int(np.prod(shape[lead:], dtype=np.int64))
        place = xp.arange(rows, dtype=np.int64).reshape(shape[:lead])[index]
        values = xp.broadcast_to(values, (*place.shape, *shape[lead:])).astype(out.dtype, copy=False)
        place = place.reshape(-1)
        order = xp.argsort(place, kind="stable")
        self._segment_sum(xp.ascontiguousarray(values), order, place[order], width, out)

    def _scatter(self, out: Array, index: Any, values: Array) -> None:
        """Add `values` into `out` at `index` by atomics, in any order; CUDA has them for some dtypes only."""
        add = self.xp.add.at
        if out.dtype.kind == "c":
            add(out.real, index, values.real)
            add(out.imag, index, values.imag)
        elif out.dtype.char in ATOMIC:
            add(out, index, values)
        else:  # integers wrap alike at any width
            wide = self.xp.zeros(out.shape, np.int64)
            add(wide, index, values.astype(np.int64))
            out[...] = wide.astype(out.dtype)

    def _clamp(self, index: Array, size: int, axis: int, op: str) -> Array:
        """`index` with every place inside the axis; the first that was not is remembered on the device."""
        if op not in self._ops:
            self._ops.append(op)
        device = self.device_of(index)
        if device not in self._faults:
            self._faults[device] = self.xp.zeros(_FAULT_WORDS, np.int64)
        shape = index.shape  # with no axes it would come out of this with one
        index = self.xp.ascontiguousarray(index.astype(np.int64, copy=False))
        return self._check(index, size, self._ops.index(op), axis, self._faults[device]).reshape(shape)

    def _tell_faults(self) -> None:
        """Raise for an index that was out of bounds on a device since the last time; with none given, read nothing."""
        faults, self._faults = self._faults, {}
        for fault in faults.values():
            found, op, index, axis, size = self._fetch(fault).tolist()
            if found:
                raise out_of_bounds(self._ops[op], index, axis, size)

    @abstractmethod
    def _place(self, data: Array, dtype: Any, device: str) -> Array:
        """A fresh array on `device` from a host array or one of our own."""

    @abstractmethod
    def _fetch(self, a: Array) -> Array:
        """A fresh host array; counted."""

    @abstractmethod
    def _wait(self) -> None:
        """Wait for the device."""

    @abstractmethod
    def _philox(self, key: Any, counter: Any, blocks: int) -> Array:
        """4 * blocks words; key and counter are tuples of ints, or arrays on the device."""

    @abstractmethod
    def _check(self, index: Array, size: int, op: int, axis: int, fault: Array) -> Array:
        """The kernel `check_index`."""

    @abstractmethod
    def _segment_sum(self, values: Array, order: Array, place: Array, width: int, out: Array) -> None:
        """The kernel `segment_sum`."""


def check_host_index(part: Any, size: int, axis: int, op: str) -> None:
    """Raise BoundsError for an int, or an array of ints on the host, that reaches outside an axis of `size`.

    >>> check_host_index(-3, 3, 0, "getitem")
    """
    index = np.asarray(part)
    if index.size and not (-size <= int(index.min()) and int(index.max()) < size):
        raise out_of_bounds(op, int(index[(index < -size) | (index >= size)].flat[0]), axis, size)


def map_index(
    index: Any, shape: Ints, op: str, check: Callable[[Any, int], Any], to_device: Callable[[Any], Array]
) -> Any:
    """`index` with `check(part, axis)` in place of each integer and integer array; host arrays go to the device.

    Raises BoundsError for too many parts, and for a mask of another shape than the axes it covers.

    >>> map_index((..., 1), (4, 5), "getitem", lambda part, axis: (part, axis), lambda a: a)
    (Ellipsis, (1, 1))
    """
    parts = index if isinstance(index, tuple) else (index,)
    parts = tuple(np.asarray(p) if isinstance(p, (list, tuple)) else p for p in parts)
    covers = [_covers(p) for p in parts]
    spare = len(shape) - sum(covers)
    if spare < 0:
        raise BoundsError(f"{op}: {sum(covers)} axes are indexed, and shape {shape} has {len(shape)}")
    axis, out = 0, []
    for part, n in zip(parts, covers, strict=True):
        new = part
        if part is Ellipsis:
            axis += spare
        elif n and not isinstance(part, slice):
            boolean = is_mask(part)
            if boolean and tuple(part.shape) != tuple(shape[axis : axis + n]):
                raise BoundsError(f"{op}: a mask of shape {part.shape} covers axes of sizes {shape[axis : axis + n]}")
            new = part if boolean else check(part, axis)
        out.append(to_device(new) if isinstance(new, np.ndarray) else new)
        axis += n
    return tuple(out) if isinstance(index, tuple) else out[0]


def is_mask(part: Any) -> bool:
    """Whether one part of an index is an array of booleans."""
    return getattr(getattr(part, "dtype", None), "kind", "") == "b"


def _covers(part: Any) -> int:
    """How many axes one part of an index takes up."""
    if part is None or part is Ellipsis or isinstance(part, (bool, np.bool_)):
        return 0
    return int(part.ndim) if is_mask(part) else 1


def only_device(name: str, device: str, count: int) -> int:
    """The number in "cupy:1"; DeviceError for one that is not there.

    >>> only_device("cupy", "cupy:1", 2)
    1
    """
    kind, _, number = device.partition(":")
    at = int(number) if number.isdecimal() else 0 if not number else -1
    if kind != name or not 0 <= at < count:
        raise DeviceError(f"device={device!r}: there are {name}:0 to {name}:{count - 1}")
    return at
