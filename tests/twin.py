"""A third party's array library with two devices, and the backend that lets minigrad use it: the worked example.

A distribution offers it by `[project.entry-points."minigrad.backends"]`, `twin = "twin:TwinBackend"`; the tests write
just that (test_devices.py). The library is NumPy in a wrapper that knows where its values are. Like any library for
devices it never becomes a NumPy array unasked, and refuses arrays of two devices in one call.
"""

from __future__ import annotations

import operator
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from minigrad.backend import Backend, Transfers, get_backend
from minigrad.errors import DeviceError

# ---- the library

CURRENT = ContextVar("twin_current", default=0)  # where new arrays are made


class Array(np.lib.mixins.NDArrayOperatorsMixin):
    """Values, and the device that they are on."""

    __hash__ = None  # type: ignore[assignment]  # == is elementwise

    def __init__(self, values: Any, place: int = 0) -> None:
        self.values, self.place = np.asarray(values), place

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return _call(getattr(ufunc, method), inputs, kwargs)

    def __array_function__(self, func: Any, _types: Any, args: Any, kwargs: Any) -> Any:
        return _call(func, args, kwargs)

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("a twin array does not become a NumPy array unasked")

    def __getitem__(self, index: Any) -> Any:
        return _call(operator.getitem, (self, index), {})

    def __setitem__(self, index: Any, value: Any) -> None:
        _call(operator.setitem, (self, index, value), {})

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.values, name)
        if callable(value):
            return lambda *args, **kwargs: _call(getattr(np.ndarray, name), (self, *args), kwargs)
        return Array(value, self.place) if isinstance(value, np.ndarray) else value


def _bare(x: Any, places: set[int]) -> Any:
    if isinstance(x, Array):
        places.add(x.place)
        return x.values
    return type(x)(_bare(i, places) for i in x) if type(x) in (list, tuple) else x


def _call(f: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    places: set[int] = set()
    y = f(*_bare(tuple(args), places), **{k: _bare(v, places) for k, v in kwargs.items()})
    if len(places) > 1:
        raise ValueError("arrays on different devices")
    place = min(places, default=CURRENT.get())
    return tuple(Array(a, place) for a in y) if isinstance(y, (tuple, list)) else _wrap(y, place)


def _wrap(y: Any, place: int) -> Any:
    return Array(y, place) if isinstance(y, (np.ndarray, np.generic)) else y


class Namespace(types.ModuleType):
    """NumPy's functions on these arrays; types, dtypes and constants as they are."""

    def __init__(self, source: Any) -> None:
        super().__init__("twin")
        self._source = source

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._source, name)
        if isinstance(value, types.ModuleType):
            return Namespace(value)
        return value if isinstance(value, type) or not callable(value) else lambda *a, **k: _call(value, a, k)


# ---- the backend


class TwinBackend(Backend):
    """What differs from library to library; here NumPy's own backend does the work on the bare values."""

    name = "twin"
    xp = Namespace(np)
    array_type = Array

    def __init__(self) -> None:
        self.transfers = Transfers()
        self._numpy = get_backend("numpy")

    def parse_device(self, device: str) -> str:
        if device not in ("twin", "twin:0", "twin:1"):
            raise DeviceError(f"device={device!r}: there are twin:0 and twin:1")
        return "twin:0" if device == "twin" else device

    @contextmanager
    def current(self, device: str) -> Iterator[None]:
        token = CURRENT.set(int(device[-1]))
        try:
            yield
        finally:
            CURRENT.reset(token)

    def device_of(self, a: Any) -> str:
        return f"twin:{a.place}"

    def asarray(self, data: object, dtype: object = None, device: str | None = None) -> Any:
        place = int(self.parse_device(device or "twin")[-1])
        if isinstance(data, Array):
            return Array(self._numpy.asarray(data.values, dtype), data.place if device is None else place)
        self.transfers.to_device += 1
        return Array(self._numpy.asarray(data, dtype), place)

    def copy(self, a: Any) -> Any:
        return Array(self._numpy.copy(a.values), a.place)

    def freeze(self, a: Any) -> Any:
        self._numpy.freeze(a.values)
        return a

    def to_host(self, a: Any) -> Any:
        self.transfers.to_host += 1
        return self._numpy.to_host(a.values)

    def sum(self, a: Any, axes: tuple[int, ...], keepdims: bool = False, dtype: object = None) -> Any:
        return Array(self._numpy.sum(a.values, axes, keepdims, dtype), a.place)

    def keep(self, x: Any, mask: Any) -> Any:
        return _call(self._numpy.keep, (x, mask), {})

    def scatter_add(self, shape: tuple[int, ...], dtype: object, index: Any, values: Any) -> Any:
        return _call(self._numpy.scatter_add, (shape, dtype, index, values), {})

    def check_index(self, index: Any, shape: tuple[int, ...], op: str = "getitem") -> Any:
        return index  # this library checks every index when it is used

    def windows(self, x: Any, *described: Any) -> Any:
        return Array(self._numpy.windows(x.values, *described), x.place)

    def random_bits(self, key: Any, counter: Any, shape: tuple[int, ...], bits: int = 32) -> Any:
        return _call(self._numpy.random_bits, (key, counter, shape, bits), {})
