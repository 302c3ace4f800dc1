"""Comparisons and logic, elementwise: booleans out, so never tracked. The operators & | ^ ~ are for booleans only."""

from __future__ import annotations

from typing import Any

from minigrad import notation
from minigrad.core import Operand, Tensor, method, primitive
from minigrad.core.domains import booleans, reals, unit
from minigrad.errors import DtypeError
from minigrad.notation import fn

__all__ = [
    "equal", "greater", "greater_equal", "isfinite", "isinf", "isnan", "less", "less_equal", "logical_and",
    "logical_not", "logical_or", "logical_xor", "not_equal",
]  # fmt: skip


@method("__eq__")
@primitive(show=notation.EQUAL, samples=(reals, reals), c="{a} == {b}")
def equal(xp: Any, a: Operand, b: Operand) -> Any:
    """a == b, elementwise."""
    return xp.equal(a, b)


@method("__ne__")
@primitive(show=notation.NOT_EQUAL, samples=(reals, reals), c="{a} != {b}")
def not_equal(xp: Any, a: Operand, b: Operand) -> Any:
    """a != b, elementwise."""
    return xp.not_equal(a, b)


@method("__lt__")
@primitive(show=notation.LESS, samples=(reals, reals), c="{a} < {b}")
def less(xp: Any, a: Operand, b: Operand) -> Any:
    """a < b, elementwise."""
    return xp.less(a, b)


@method("__le__")
@primitive(show=notation.LESS_EQUAL, samples=(reals, reals), c="{a} <= {b}")
def less_equal(xp: Any, a: Operand, b: Operand) -> Any:
    """a <= b, elementwise."""
    return xp.less_equal(a, b)


@method("__gt__")
@primitive(show=notation.GREATER, samples=(reals, reals), c="{a} > {b}")
def greater(xp: Any, a: Operand, b: Operand) -> Any:
    """a > b, elementwise."""
    return xp.greater(a, b)


@method("__ge__")
@primitive(show=notation.GREATER_EQUAL, samples=(reals, reals), c="{a} >= {b}")
def greater_equal(xp: Any, a: Operand, b: Operand) -> Any:
    """a >= b, elementwise."""
    return xp.greater_equal(a, b)


@primitive(show=fn("not"), samples=(booleans,), c="!{x}")
def logical_not(xp: Any, x: Operand) -> Any:
    """Not x, elementwise; a number counts as true unless it is 0."""
    return xp.logical_not(x)


@primitive(show=fn("and"), samples=(booleans, booleans), c="{a} && {b}")
def logical_and(xp: Any, a: Operand, b: Operand) -> Any:
    """a and b, elementwise; a number counts as true unless it is 0."""
    return xp.logical_and(a, b)


@primitive(show=fn("or"), samples=(booleans, booleans), c="{a} || {b}")
def logical_or(xp: Any, a: Operand, b: Operand) -> Any:
    """a or b, elementwise; a number counts as true unless it is 0."""
    return xp.logical_or(a, b)


@primitive(show=fn("xor"), samples=(booleans, booleans), c="!{a} != !{b}")
def logical_xor(xp: Any, a: Operand, b: Operand) -> Any:
    """Whether exactly one of a and b is true, elementwise; a number counts as true unless it is 0."""
    return xp.logical_xor(a, b)


@primitive(show=fn("isfinite"), samples=(unit,), c={"f": "isfinite({x})", "iub": "1"})
def isfinite(xp: Any, x: Operand) -> Any:
    """Whether x is neither infinite nor NaN, elementwise."""
    return xp.isfinite(x)


@primitive(show=fn("isinf"), samples=(unit,), c={"f": "isinf({x})", "iub": "0"})
def isinf(xp: Any, x: Operand) -> Any:
    """Whether x is inf or -inf, elementwise."""
    return xp.isinf(x)


@primitive(show=fn("isnan"), samples=(unit,), c={"f": "isnan({x})", "iub": "0"})
def isnan(xp: Any, x: Operand) -> Any:
    """Whether x is NaN, elementwise."""
    return xp.isnan(x)


def _only_booleans(sign: str, *operands: Any) -> None:
    """On integers NumPy's operators work bit by bit, which these do not: better an error than another number."""
    for x in operands:
        dtype = getattr(x, "dtype", None)
        if not isinstance(x, bool) and (dtype is None or dtype.kind != "b"):
            raise DtypeError(
                f"{sign}: an operand is {type(x).__name__ if dtype is None else dtype}; on tensors this operator is "
                "for booleans: compare first, (x > 0), or use minigrad.logical_and, _or, _xor, _not"
            )


@method("__and__", "__rand__")
def _and(self: Tensor, other: Operand) -> Tensor:
    _only_booleans("&", self, other)
    return logical_and(self, other)


@method("__or__", "__ror__")
def _or(self: Tensor, other: Operand) -> Tensor:
    _only_booleans("|", self, other)
    return logical_or(self, other)


@method("__xor__", "__rxor__")
def _xor(self: Tensor, other: Operand) -> Tensor:
    _only_booleans("^", self, other)
    return logical_xor(self, other)


@method("__invert__")
def _invert(self: Tensor) -> Tensor:
    _only_booleans("~", self)
    return logical_not(self)
