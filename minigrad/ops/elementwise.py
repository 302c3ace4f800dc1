"""Elementwise primitives: arithmetic, roots, signs, choices.

All broadcast as NumPy does; the engine sums cotangents back over repeated axes. At a kink the derivative is the one in
the table of docs/conventions.md (relu'(0) = |x|'(0) = sign' = clip' on the edge = 0, ties share evenly).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad import notation
from minigrad.backend import backend_of
from minigrad.core import Operand, Tensor, full_like, method, number, primitive, shape_of
from minigrad.core.domains import Rng, apart, between, booleans, distinct, nonzero, reals, some_shape
from minigrad.core.domains import positive as positives
from minigrad.errors import DtypeError
from minigrad.notation import fn, written_as
from minigrad.ops.compare import equal, isfinite, isnan, logical_not, logical_or

__all__ = [
    "abs", "add", "cbrt", "clip", "divide", "hypot", "keep", "maximum", "minimum", "multiply", "nan_to_num",
    "negative", "positive", "reciprocal", "rsqrt", "sign", "sqrt", "square", "subtract", "where",
]  # fmt: skip


def reflected(op: Any, *names: str) -> None:
    """Bind `op` with its operands exchanged, for the operators' reflected forms."""
    method(*names)(lambda self, other: op(other, self))


def zeros(like: Any) -> Any:
    """Zeros of the shape and dtype of `like`, on its device."""
    return full_like(like, value=0, shape=like.shape, dtype=like.dtype)


# ---- arithmetic


@method("__add__")
@primitive(lambda g: g, lambda g: g, show=notation.SUM_OF, samples=(reals, reals), c="{a} + {b}")
def add(xp: Any, a: Operand, b: Operand) -> Any:
    """a + b, elementwise."""
    return xp.add(a, b)


@method("__sub__")
@primitive(lambda g: g, lambda g: -g, show=notation.DIFFERENCE, samples=(reals, reals), c="{a} - {b}")
def subtract(xp: Any, a: Operand, b: Operand) -> Any:
    """a - b, elementwise."""
    return xp.subtract(a, b)


@method("__mul__")
@primitive(lambda g, b: g * b, lambda g, a: g * a, show=notation.PRODUCT, samples=(reals, reals), c="{a} * {b}")
def multiply(xp: Any, a: Operand, b: Operand) -> Any:
    """a b, elementwise."""
    return xp.multiply(a, b)


@method("__truediv__")
@primitive(
    lambda g, b: g / b, lambda g, y, b: -(g * y / b), show=notation.QUOTIENT, samples=(reals, nonzero), c="{a} / {b}"
)
def divide(xp: Any, a: Operand, b: Operand) -> Any:
    """a / b, elementwise; d/db = -y / b."""
    return xp.divide(a, b)


@method("__neg__")
@primitive(lambda g: -g, show=notation.NEGATE, samples=(reals,), c="-{x}")
def negative(xp: Any, x: Operand) -> Any:
    """-x, elementwise."""
    return xp.negative(x)


for _op, _name in ((add, "add"), (subtract, "sub"), (multiply, "mul"), (divide, "truediv")):
    reflected(_op, f"__r{_name}__")


@method("__pos__")
def positive(x: Operand) -> Tensor:
    """x itself: the operator +x.

    Example:
        >>> import minigrad as mg
        >>> +mg.tensor([1.0, -2.0])
        tensor([ 1., -2.])
    """
    shape_of(x, "positive")
    if x.dtype is not None and x.dtype.kind == "b":
        raise DtypeError("positive: x holds booleans, which have no sign; convert them with astype first")
    return x  # type: ignore[no-any-return]


def reciprocal(x: Operand) -> Tensor:
    """1 / x, elementwise; integers give floats.

    Example:
        >>> import minigrad as mg
        >>> mg.reciprocal(mg.tensor([2, 4]))
        tensor([0.5 , 0.25])
    """
    shape_of(x, "reciprocal") if not isinstance(x, (int, float)) else None
    return divide(1.0, x)


# ---- squares, roots, signs


@primitive(lambda g, x: g * 2 * x, show=notation.Power(2), samples=(reals,), c="{x} * {x}")
def square(xp: Any, x: Operand) -> Any:
    """x², elementwise."""
    return xp.square(x)


@primitive(lambda g, y: g / (2 * y), show=notation.SQRT, samples=(positives,), c="sqrt({x})")
def sqrt(xp: Any, x: Operand) -> Any:
    """The square root, elementwise; its derivative at 0 is inf (`minigrad.safe.sqrt` has 0 there)."""
    return xp.sqrt(x)


@primitive(lambda g, y: -0.5 * g * y * y * y, show=fn("rsqrt"), samples=(positives,), c="1 / sqrt({x})")
def rsqrt(xp: Any, x: Operand) -> Any:
    """1 / sqrt(x), elementwise; d/dx = -y³ / 2."""
    return 1 / xp.sqrt(x)


@primitive(lambda g, y: g / (3 * y * y), show=fn("cbrt"), samples=(nonzero,), c="cbrt({x})")
def cbrt(xp: Any, x: Operand) -> Any:
    """The cube root, elementwise, of negative numbers too; its derivative at 0 is inf."""
    return xp.cbrt(x)


@written_as(lambda y: y)
def _length(y: Any) -> Any:
    """y, and 1 where y is 0, so that the gradient of a length of 0 is 0 (`where` would take five times as long)."""
    return y + equal(y, 0)


@primitive(
    lambda g, y, a: g * (a / _length(y)),
    lambda g, y, b: g * (b / _length(y)),
    show=fn("hypot"),
    samples=(nonzero, nonzero),
    c="hypot({a}, {b})",
)
def hypot(xp: Any, a: Operand, b: Operand) -> Any:
    """sqrt(a² + b²), elementwise, without overflow on the way; the derivatives at (0, 0) are 0."""
    return backend_of(a if hasattr(a, "dtype") else b).hypot(a, b)


@method("__abs__")
@primitive(
    lambda g, x: g * sign(x),
    show=notation.ABS,
    samples=(distinct,),
    c={"f": "fabs({x})", "i": "{x} < 0 ? -{x} : {x}", "ub": "{x}"},
)
def abs(xp: Any, x: Operand) -> Any:
    """|x|, elementwise; the derivative at 0 is 0."""
    return xp.abs(x)


@primitive(
    lambda g: zeros(g),
    show=fn("sign"),
    samples=(distinct,),
    c={"f": "{x} != {x} ? {x} : ({x} > 0) - ({x} < 0)", "i": "({x} > 0) - ({x} < 0)", "u": "{x} > 0"},
)
def sign(xp: Any, x: Operand) -> Any:
    """-1, 0 or 1, elementwise; the derivative is 0 everywhere."""
    return xp.sign(x)


# ---- choices


def _some_zeros(rng: Rng, shape: tuple[int, ...]) -> Any:
    return reals(rng, shape) * booleans(rng, shape)


@primitive(lambda g, mask: keep(g, mask), None, show=fn("keep"), samples=(_some_zeros, booleans), c="{mask} ? {x} : 0")
def keep(xp: Any, x: Operand, mask: Operand) -> Any:
    """x where the boolean `mask` holds, exactly 0 elsewhere, even under an inf or NaN. Its own adjoint."""
    if not hasattr(mask, "dtype") or mask.dtype.kind != "b":
        mask = xp.asarray(mask) != 0  # backends multiply bits by the mask, which must be 0 or 1
    return backend_of(x).keep(x, mask) if hasattr(x, "dtype") else xp.where(xp.asarray(mask), x, 0)


def _not(condition: Any) -> Any:
    """Where `condition` does not hold; of a number a bool, which no backend has to be found for."""
    return not condition if isinstance(condition, (bool, int, float)) else logical_not(condition)


@primitive(
    None,
    lambda g, condition: keep(g, condition),
    lambda g, condition: keep(g, _not(condition)),
    show=notation.WHERE,
    samples=(booleans, reals, reals),
    c="{condition} ? {a} : {b}",
)
def where(xp: Any, condition: Operand, a: Operand, b: Operand) -> Any:
    """a where `condition` holds, b elsewhere.

    Only the cotangent is masked, not the computation of the branch that is not taken: if that branch divides by zero,
    its inf can still meet a 0 further up and become NaN. Mask its *input* too (the double where), or use
    `minigrad.safe`.
    """
    return xp.where(condition if hasattr(condition, "dtype") else xp.asarray(condition), a, b)  # CuPy takes no number


@primitive(
    lambda g, a, b: keep(g, logical_or(a > b, isnan(a))) + keep(0.5 * g, a == b),
    lambda g, a, b: keep(g, logical_or(b > a, isnan(b))) + keep(0.5 * g, a == b),
    show=fn("max", r"\max"),
    samples=(apart, between),
    c="{a} > {b} || {a} != {a} ? {a} : {b}",
)
def maximum(xp: Any, a: Operand, b: Operand) -> Any:
    """The larger of a and b, elementwise, or NaN; where they are equal, each gets half of the gradient."""
    return xp.maximum(a, b)


@primitive(
    lambda g, a, b: keep(g, logical_or(a < b, isnan(a))) + keep(0.5 * g, a == b),
    lambda g, a, b: keep(g, logical_or(b < a, isnan(b))) + keep(0.5 * g, a == b),
    show=fn("min", r"\min"),
    samples=(apart, between),
    c="{a} < {b} || {a} != {a} ? {a} : {b}",
)
def minimum(xp: Any, a: Operand, b: Operand) -> Any:
    """The smaller of a and b, elementwise, or NaN; where they are equal, each gets half of the gradient."""
    return xp.minimum(a, b)


@primitive(
    lambda g, x, low, high: keep(keep(g, x > low), x < high),
    lambda g, x, low, high: keep(keep(g, x < low), low <= high),
    lambda g, x, low, high: keep(g, logical_or(x > high, low > high)),
    show=fn("clip"),
    samples=(apart, lambda rng, shape: between(rng, shape) - 1.04, lambda rng, shape: between(rng, shape) + 1.04),
    c="{x} != {x} || {low} != {low} || {high} != {high} ? {x} + {low} + {high} "
    ": {x} < {low} ? ({low} > {high} ? {high} : {low}) : {x} > {high} ? {high} : {x}",
    name="clip",
)
def clip_(xp: Any, x: Operand, low: Operand, high: Operand) -> Any:
    """x held between low and high; high where they are crossed."""
    return xp.clip(x, low, high)


@method("clip")
def clip(x: Operand, min: Operand = None, max: Operand = None) -> Tensor:
    """x held between `min` and `max` (numbers or arrays, None for no bound); the derivative is 0 on the edge and
    beyond.

    Example:
        >>> import minigrad as mg
        >>> mg.clip(mg.tensor([-2.0, 0.5, 3.0]), 0, 1)
        tensor([0. , 0.5, 1. ])
    """
    shape_of(x, "clip")
    bounds = (v for v in (min, max) if hasattr(v, "dtype") or isinstance(v, (int, float)))
    dtype = np.result_type(x.dtype, *(getattr(v, "dtype", v) for v in bounds))
    low, high = (False, True) if dtype.kind == "b" else (-np.inf, np.inf)
    if dtype.kind in "iu":
        low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    return clip_(x, low if min is None else min, high if max is None else max)


@primitive(
    lambda g, x: keep(g, isfinite(x)),
    show=fn("nan_to_num"),
    samples=lambda rng: ((reals(rng, some_shape(rng)),), {"nan": 0.0, "posinf": 1.0, "neginf": -1.0}),
    c={"f": "isfinite({x}) ? {x} : {x} != {x} ? {nan} : {x} > 0 ? {posinf} : {neginf}", "iub": "{x}"},
    name="nan_to_num",
)
def nan_to_num_(xp: Any, x: Operand, *, nan: float, posinf: float, neginf: float) -> Any:
    """x with NaN and the infinities replaced; the derivative is 0 where something was replaced."""
    return xp.asarray(xp.nan_to_num(x, nan=nan, posinf=posinf, neginf=neginf))


def nan_to_num(x: Operand, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Tensor:
    """x with NaN and the infinities replaced; the derivative is 0 where something was replaced.

    Args:
        x: any shape; integers are returned as they are.
        nan: what NaN becomes.
        posinf, neginf: what inf and -inf become; by default the largest and the smallest finite number of the dtype.

    Example:
        >>> import minigrad as mg
        >>> mg.nan_to_num(mg.tensor([1.0, float("nan"), float("inf")]), posinf=9.0)
        tensor([1., 0., 9.])
    """
    shape_of(x, "nan_to_num")
    if x.dtype.kind != "f":
        return x  # type: ignore[no-any-return]
    for name, value in (("nan", nan), ("posinf", posinf), ("neginf", neginf)):
        if value is not None:
            number(value, name, "nan_to_num")
    limits = np.finfo(x.dtype)
    high, low = (float(limits.max) if posinf is None else posinf), (float(limits.min) if neginf is None else neginf)
    return nan_to_num_(x, nan=float(nan), posinf=float(high), neginf=float(low))
