"""A stand-in for CuPy that needs no GPU: NumPy arrays in a wrapper that refuses what CuPy refuses.

`pytest --backend=fakecupy`, or `device="fakecupy"`, runs any code on it, a stranger's layer included. It has only names
that CuPy 14 has, never converts to NumPy unasked, never mixes with NumPy arrays, gives 0-d arrays where NumPy gives
scalars, wraps device indices that are out of bounds (as CuPy does, silently), and counts in `transfers` every copy and
every wait for the device. One thing it does beyond CuPy: writing into a frozen array raises. It measures no speed.
"""

from __future__ import annotations

import operator
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minigrad.backend import cupynames, philox
from minigrad.backend.base import Array, Transfers
from minigrad.backend.cupylike import ATOMIC, CupyLike, is_mask, map_index
from minigrad.errors import FrozenError

__all__ = ["TRANSFERS", "FakeArray", "load", "namespace"]

TRANSFERS = Transfers()
"""What the stand-in's backend counts in as well; `waits` are hidden ones: bool(), float(), a boolean index, nonzero."""

_WAITING = {"allclose", "argwhere", "array_equal", "flatnonzero", "nonzero", "unique"}
_ENTRANCES = {"array", "asanyarray", "asarray", "ascontiguousarray", "asfortranarray"}
_IMPLICIT = (
    "Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct a NumPy array explicitly."
)


class _Device:
    """The one device, which `with` makes the current one."""

    id = 0

    def __init__(self, _id: int = 0) -> None: ...

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


class FakeArray:
    """What `cupy.ndarray` is to CuPy. Made by `namespace.array` and the functions of `namespace`."""

    __slots__ = ("_a",)
    __array_priority__ = 100
    __hash__ = None  # type: ignore[assignment]  # as CuPy's, and as any class with an elementwise ==

    def __init__(self, a: Any) -> None:
        self._a = np.asarray(a)

    def __array__(self, *_args: Any, **_kwargs: Any) -> Any:
        raise TypeError(_IMPLICIT)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method == "__call__":
            ours = getattr(namespace, ufunc.__name__, None)
            return NotImplemented if ours is None else ours(*inputs, **kwargs)
        return _call(getattr(ufunc, method), inputs, kwargs)

    def __array_function__(self, func: Any, _types: Any, args: Any, kwargs: Any) -> Any:
        where = namespace.linalg if func.__module__ == "numpy.linalg" else namespace
        return getattr(where, func.__name__)(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name not in cupynames.ARRAY or not hasattr(np.ndarray, name) or name in ("data", "ctypes", "base"):
            raise AttributeError(f"'cupy.ndarray' object has no attribute {name!r}")
        value = getattr(self._a, name)
        if callable(value):
            return _function(value, name)
        return _Flags(value) if name == "flags" else _wrap(value)

    def get(self, *_args: Any, **_kwargs: Any) -> Any:
        TRANSFERS.to_host += 1
        return self._a.copy()

    def __getitem__(self, key: Any) -> Any:
        return FakeArray(self._a[_index(key, self._a.shape)])

    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(value, np.ndarray):
            raise ValueError("non-scalar numpy.ndarray cannot be used for fill")
        _writable(self)
        self._a[_index(key, self._a.shape)] = _bare(value)

    def __len__(self) -> int:
        return len(self._a)

    def __iter__(self) -> Iterator[Any]:
        return (FakeArray(row) for row in self._a)

    def __repr__(self) -> str:
        TRANSFERS.waits += 1
        return repr(self._a)

    def __bool__(self) -> bool:
        return bool(self._a_after_wait())

    def __int__(self) -> int:
        return int(self._a_after_wait())

    def __float__(self) -> float:
        return float(self._a_after_wait())

    def __complex__(self) -> complex:
        return complex(self._a_after_wait())

    def item(self, *args: Any) -> Any:
        return self._a_after_wait().item(*args)

    def tolist(self) -> Any:
        return self._a_after_wait().tolist()

    @property
    def device(self) -> _Device:
        return _Device()

    def _a_after_wait(self) -> Any:
        TRANSFERS.waits += 1
        TRANSFERS.to_host += 1
        return self._a


class _Flags:
    """CuPy's flags: three, and none of them says whether an array can be written."""

    def __init__(self, flags: Any) -> None:
        self.c_contiguous: bool = flags.c_contiguous
        self.f_contiguous: bool = flags.f_contiguous
        self.owndata: bool = flags.owndata


def _bare(x: Any) -> Any:
    """Without wrappers, inside tuples and lists too; a host array among them is refused as CuPy refuses it."""
    if type(x) is FakeArray:
        return x._a
    if isinstance(x, np.ndarray):
        raise TypeError(f"Unsupported type {type(x)}")
    if isinstance(x, (tuple, list)) and not hasattr(x, "_fields"):
        return type(x)(_bare(i) for i in x)
    return x


def _wrap(x: Any) -> Any:
    """Arrays and scalars in wrappers, inside tuples and lists too; named tuples become plain, as in CuPy."""
    if isinstance(x, (np.ndarray, np.generic)):
        return FakeArray(x)
    if isinstance(x, (tuple, list)) and any(isinstance(i, (np.ndarray, np.generic)) for i in x):
        return (list if isinstance(x, list) else tuple)(map(_wrap, x))
    return x


def _call(f: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    out = kwargs.get("out")
    for target in out if isinstance(out, tuple) else (out,):
        _writable(target)
    y = f(*_bare(tuple(args)), **{k: _bare(v) for k, v in kwargs.items()})
    if out is not None:
        return out[0] if isinstance(out, tuple) and len(out) == 1 else out
    return _wrap(y)


def _writable(x: Any) -> None:
    if type(x) is FakeArray and not x._a.flags.writeable:
        raise FrozenError(
            f"an array of shape {x._a.shape} is held by a graph and cannot be written; CuPy would let this "
            "pass, and gradients would be silently wrong: write into x.copy()"
        )


def _index(key: Any, shape: tuple[int, ...]) -> Any:
    """The index for NumPy: arrays unwrapped, a mask counted as a wait, places on the device modulo the size."""

    def wrapped(part: Any, axis: int) -> Any:
        if not isinstance(part, FakeArray):
            return part % max(shape[axis], 1) if isinstance(part, np.ndarray) else part
        if part._a.dtype.kind not in "iu":
            raise IndexError(
                f"arrays used as indices must be of integer or boolean type. (actual: {part._a.dtype.type})"
            )
        return FakeArray(part._a % max(shape[axis], 1))

    def counted(part: Any) -> Any:
        TRANSFERS.to_device += 1
        return part

    mapped = map_index(key, shape, "getitem", wrapped, counted)
    parts = mapped if isinstance(mapped, tuple) else (mapped,)
    if any(map(is_mask, parts)):
        TRANSFERS.waits += 1
    return tuple(map(_bare_index, parts)) if isinstance(mapped, tuple) else _bare_index(mapped)


def _bare_index(part: Any) -> Any:
    return part._a if type(part) is FakeArray else part


def _function(f: Callable[..., Any], name: str) -> Callable[..., Any]:
    """A function or method of NumPy's that takes and gives wrapped arrays."""
    refused = frozenset(cupynames.REFUSED_KEYWORDS.get(name, "").split())
    short = name.rpartition(".")[2]

    def call(*args: Any, **kwargs: Any) -> Any:
        for k in refused.intersection(kwargs):
            raise TypeError(f"{short}() got an unexpected keyword argument {k!r}")
        if short in _WAITING:
            TRANSFERS.waits += 1
        if short in _ENTRANCES and args and not _holds_ours(args[0]):
            TRANSFERS.to_device += 1
            return FakeArray(np.array(*args, **kwargs) if short == "array" else np.array(f(*args, **kwargs)))
        if short == "where" and len(args) == 3 and not isinstance(args[0], FakeArray):
            raise AttributeError(f"{type(args[0]).__name__!r} object has no attribute 'astype'")
        return _call(f, args, kwargs)

    call.__name__ = short
    return call


def _holds_ours(x: Any) -> bool:
    return isinstance(x, FakeArray) or (isinstance(x, (list, tuple)) and any(map(_holds_ours, x)))


class _Ufunc:
    """A function that works element by element, with the methods that CuPy's have."""

    def __init__(self, ufunc: Any) -> None:
        self._ufunc = ufunc
        self.__name__ = ufunc.__name__
        self.nin: int = ufunc.nin
        self.nout: int = ufunc.nout

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        for a in args:
            if isinstance(a, (list, tuple, np.ndarray)):
                raise TypeError(f"Unsupported type {type(a)}")
        for target in args[self.nin :]:
            _writable(target)
        return _call(self._ufunc, args, kwargs)

    def __getattr__(self, name: str) -> Any:
        if name not in ("accumulate", "at", "outer", "reduce", "reduceat"):
            raise AttributeError(f"'cupy._core._kernel.ufunc' object has no attribute {name!r}")
        return self._at if name == "at" else _function(getattr(self._ufunc, name), name)

    def _at(self, a: FakeArray, indices: Any, b: Any) -> None:
        """By atomics, which CUDA has for some dtypes only; masks and slices need none."""
        parts = indices if isinstance(indices, tuple) else (indices,)
        repeats = any(isinstance(p, FakeArray) and not is_mask(p) for p in parts)
        if repeats and self.__name__ == "add" and a._a.dtype.char not in ATOMIC:
            raise TypeError(f"cupy.add.at only supports some data types, and not {a._a.dtype}")
        _writable(a)
        self._ufunc.at(a._a, _index(indices, a._a.shape), _bare(b))


class _Namespace(types.ModuleType):
    """NumPy, seen through the names that CuPy has."""

    def __init__(self, name: str, source: Any, names: frozenset[str], extra: dict[str, Any]) -> None:
        super().__init__(name)
        self._source, self._names = source, names
        self.__dict__.update(extra)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name not in self._names or not hasattr(self._source, name):
            also = " (CuPy has it, its stand-in has not)" if name in self._names else ""
            raise AttributeError(f"module '{self.__name__}' has no attribute {name!r}{also}")
        value = getattr(self._source, name)
        if isinstance(value, np.ufunc) and name != "matmul":
            value = _Ufunc(value)
        elif callable(value) and not isinstance(value, type):
            value = _function(value, name if self._source is np else f"linalg.{name}")
        setattr(self, name, value)
        return value

    def __dir__(self) -> list[str]:
        return sorted(n for n in self._names if hasattr(self._source, n))


def _as_strided(x: FakeArray, shape: Any = None, strides: Any = None) -> FakeArray:
    return FakeArray(np.lib.stride_tricks.as_strided(x._a, shape, strides))


def _asnumpy(x: Any, **_kwargs: Any) -> Any:
    return x.get() if isinstance(x, FakeArray) else np.array(x)


_lib = types.SimpleNamespace(stride_tricks=types.SimpleNamespace(as_strided=_as_strided))
namespace: Any = _Namespace(
    "fakecupy",
    np,
    cupynames.MODULE,
    {
        "ndarray": FakeArray,
        "asnumpy": _asnumpy,
        "get_array_module": lambda *arrays: namespace if any(isinstance(a, FakeArray) for a in arrays) else np,
        "linalg": _Namespace("fakecupy.linalg", np.linalg, cupynames.LINALG, {}),
        "lib": _lib,
    },
)
"""What stands for the module `cupy`: the `xp` of this backend."""


_BINARY = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and_", "or_", "xor", "lshift", "rshift")


def _bind_operators() -> None:
    def forward(op: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        return lambda a, b: _operate(op, a, b)

    def backward(op: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        return lambda a, b: _operate(op, b, a)

    def in_place(op: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        def operate(a: FakeArray, b: Any) -> FakeArray:
            _writable(a)
            op(a._a, _bare(b))
            return a

        return operate

    for name in _BINARY:
        plain = name.rstrip("_")
        setattr(FakeArray, f"__{plain}__", forward(getattr(operator, name)))
        setattr(FakeArray, f"__r{plain}__", backward(getattr(operator, name)))
        if plain != "matmul":  # CuPy has no __imatmul__
            setattr(FakeArray, f"__i{plain}__", in_place(getattr(operator, f"i{plain}")))
    for name in ("lt", "le", "gt", "ge", "eq", "ne"):
        setattr(FakeArray, f"__{name}__", forward(getattr(operator, name)))
    for name in ("neg", "pos", "abs", "invert"):
        unary = getattr(operator, name)
        setattr(FakeArray, f"__{name}__", lambda a, f=unary: FakeArray(f(a._a)))


def _operate(op: Callable[[Any, Any], Any], a: Any, b: Any) -> Any:
    known = (FakeArray, np.generic, int, float, complex, bool)
    for side in (a, b):
        if isinstance(side, np.ndarray):
            raise TypeError(f"Unsupported type {type(side)}")
        if not isinstance(side, known):
            return NotImplemented
    return _wrap(op(_bare(a), _bare(b)))


_bind_operators()


class FakeCupyBackend(CupyLike):
    """The stand-in as a backend; it is one device, "fakecupy"."""

    name = "fakecupy"

    def __init__(self) -> None:
        super().__init__(namespace, TRANSFERS)

    def device_of(self, a: Array) -> str:
        return "fakecupy"

    def freeze(self, a: Array) -> Array:
        a._a.setflags(False)
        return a

    def _place(self, data: Array, dtype: Any, device: str) -> Array:
        return FakeArray(np.array(_bare(data) if isinstance(data, FakeArray) else data, dtype=dtype))

    def _fetch(self, a: Array) -> Array:
        return np.array(a.get())

    def _wait(self) -> None:
        TRANSFERS.waits += 1

    def _philox(self, key: Any, counter: Any, blocks: int) -> Array:
        k, c = ([int(word) for word in _bare_index(a)] for a in (key, counter))
        return FakeArray(philox.words(np, philox.joined(k, 2, "key"), philox.joined(c, 4, "counter"), 4 * blocks))

    def _check(self, index: Array, size: int, op: int, axis: int, fault: Array) -> Array:
        a = index._a
        bad = (a < -size) | (a >= size)
        if bad.any() and not fault._a[0]:
            fault._a[:] = 1, op, a[bad].flat[0], axis, size
        return FakeArray(np.where(bad, 0, np.where(a < 0, a + size, a)))

    def _segment_sum(self, values: Array, order: Array, place: Array, width: int, out: Array) -> None:
        rows = values._a.reshape(-1, width)[order._a].astype(np.float64)
        total = np.zeros((out.size // max(width, 1), width))
        np.add.at(total, place._a, rows)
        touched = np.unique(place._a)
        out._a.reshape(-1, width)[touched] = total[touched]


def load() -> FakeCupyBackend:
    """What the table calls; the stand-in is always there."""
    return FakeCupyBackend()
