"""Arguments that are no arrays: integers, shapes, dtypes. Each is checked here, in one place and one wording.

Whatever has `__index__` counts as an integer, so NumPy's integers do and floats do not; neither do booleans, which are
nearly always an argument in the wrong place.
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from minigrad.answers import raise_wrong_call
from minigrad.errors import ArgumentError, ArgumentTypeError, DtypeError, MinigradError, UnknownArrayError

__all__ = ["dtype_of", "flag", "integer", "integers", "number", "sequence", "shape_of"]


def shape_of(x: Any, op: str, name: str = "x") -> tuple[int, ...]:
    """The shape of an array argument of `op`; UnknownArrayError for what has none, a list for instance."""
    shape = getattr(x, "shape", None)
    if type(shape) is tuple:
        return shape
    if shape is None and not hasattr(x, "shape"):
        raise unknown(x, op, name)
    return tuple(shape)  # type: ignore[arg-type]  # a symbol of unknown shape has None, which says so itself


def integer(value: Any, name: str, op: str, least: int | None = None) -> int:
    """`value` as an int of at least `least`.

    Raises:
        ArgumentTypeError: no integer: a float, a boolean, a string.
        ArgumentError: below `least`.
    """
    if type(value) is not int:
        value = _index(value, value, name, op, "an integer")
    if least is not None and value < least:
        raise ArgumentError(f"{_at(op)}{name}={value} must be at least {least}")
    return value  # type: ignore[no-any-return]


def integers(value: Any, name: str, op: str, least: int | None = None) -> tuple[int, ...]:
    """One integer or several, as a tuple of ints of at least `least`.

    Raises:
        ArgumentTypeError: neither an integer nor a sequence of them.
        ArgumentError: one below `least`.
    """
    what = "an integer or a sequence of integers"
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes, dict)) and getattr(value, "ndim", 1) != 0:
        out = tuple(v if type(v) is int else _index(v, value, name, op, what) for v in value)
    else:
        out = (value if type(value) is int else _index(value, value, name, op, what),)
    if least is not None and min(out, default=least) < least:
        raise ArgumentError(f"{_at(op)}{name}={short(value)} must be at least {least}")
    return out


def _index(value: Any, whole: Any, name: str, op: str, what: str) -> int:
    if not isinstance(value, (bool, np.bool_)) and getattr(value, "dtype", None) != np.bool_:
        try:
            return operator.index(value)
        except TypeError:
            pass
    raise ArgumentTypeError(
        f"{_at(op)}{name}={short(whole)} must be {what}, not {type(value).__name__}{_constant(value)}"
    )


def _constant(value: Any) -> str:
    """What to do with a tensor where a number is wanted, which is no variable of the derivative."""
    return "; .item() gives the number in it, as a constant" if hasattr(value, "requires_grad") else ""


def number(value: Any, name: str, op: str) -> Any:
    """`value`, a real number of Python's or NumPy's; ArgumentTypeError for anything else, booleans too."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise ArgumentTypeError(
            f"{_at(op)}{name}={short(value)} must be a number, not {type(value).__name__}{_constant(value)}"
        )
    return value


def flag(value: Any, name: str, op: str) -> bool:
    """`value`, True or False; ArgumentTypeError for anything else, "no" and 0 too."""
    if not isinstance(value, (bool, np.bool_)):
        raise ArgumentTypeError(f"{_at(op)}{name}={short(value)} must be True or False, not {type(value).__name__}")
    return bool(value)


def sequence(value: Any, name: str, op: str) -> tuple[Any, ...]:
    """Several arrays, as a tuple; ArgumentTypeError for what cannot be gone through."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise ArgumentTypeError(f"{_at(op)}{name}={short(value)} must be a sequence of arrays")
    return tuple(value)


def blame(error: Exception, op: str, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Raise what teaches in place of `error`, an AttributeError or TypeError of the call `func(*args, **kwargs)`.

    For arguments that do not fit its signature; for one that is no array, where it was asked for an attribute or is
    annotated as an Operand. What a composition gives as its own inputs should not be named as an input of the primitive
    that stumbled over it.
    """
    if isinstance(error, TypeError):
        raise_wrong_call(error, op, func, args, kwargs)
    if isinstance(error, MinigradError) and not isinstance(error, UnknownArrayError):
        return
    numbers = () if isinstance(error, AttributeError) else (bool, int, float, np.generic)
    try:
        bound = inspect.signature(func).bind(*args, **kwargs).arguments
    except TypeError:
        return
    for name, value in bound.items():
        if isinstance(error, AttributeError) and value is error.obj and not hasattr(value, "shape"):
            raise unknown(value, op, name) from None
    for name, kind in func.__annotations__.items():
        value = bound.get(name, 0.0)
        wanted = kind == "Operand" or (kind == "Operand | None" and value is not None)
        if name in bound and wanted and not (hasattr(value, "shape") or isinstance(value, numbers)):
            raise unknown(value, op, name) from None


def unknown(value: Any, op: str, name: str) -> UnknownArrayError:
    """The error for an argument that is no array."""
    return UnknownArrayError(
        f"{op}: argument {name!r} is "
        + ("None" if value is None else f"a {type(value).__name__} ({short(value)})")
        + "; it takes tensors and arrays: make it one with minigrad.tensor"
    )


def dtype_of(value: Any, op: str, name: str = "dtype") -> np.dtype[Any]:
    """`value` as the dtype of a tensor.

    Raises:
        DtypeError: no dtype, or one that tensors do not hold.
    """
    try:
        if hasattr(value, "requires_grad"):  # NumPy would take the dtype that it has
            raise TypeError
        dtype: np.dtype[Any] = np.dtype(value)
    except TypeError:
        raise DtypeError(
            f'{_at(op)}{name}={short(value)} names no element type; write "float32", "int64", "bool" or a numpy.dtype'
        ) from None
    if dtype.kind not in "fiub":
        raise DtypeError(f"{_at(op)}{name} {dtype} is not supported; tensors hold floats, integers and booleans")
    return dtype


def _at(op: str) -> str:
    return f"{op}: " if op else ""


def short(value: Any) -> str:
    """`repr(value)` in at most 60 characters, for a message."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
