"""Elementwise primitives: arithmetic, powers, exponentials, trigonometry, choices, comparisons.

All broadcast as NumPy does; the engine sums cotangents back over repeated axes. At a kink the derivative is the one in
the table of docs/conventions.md (relu'(0) = |x|'(0) = sign' = clip' on the edge = 0, ties share evenly).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad import notation
from minigrad.backend import backend_of
from minigrad.core import Operand, Tensor, full_like, method, primitive
from minigrad.core.domains import apart, between, booleans, distinct, nonzero, positive, reals, unit
from minigrad.notation import fn


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


# ---- powers and roots


def _lowered(b: Any) -> Any:
    """b - 1, and 1 where b is 0, so that the derivative b a^(b-1) is 0 there also at a = 0."""
    if isinstance(b, (int, float)):
        return b - 1 if b != 0 else 1.0
    return b - 1 if isinstance(b, notation.Expr) else where(b == 0, 1.0, b - 1)


def _base(a: Any) -> Any:
    """a, and 1 where a is 0: d/db a^b = y ln a is 0 at a = 0, where ln has a pole."""
    if isinstance(a, (int, float)):
        return a or 1.0
    return a if isinstance(a, notation.Expr) else where(a == 0, 1.0, a)


@method("__pow__")
@primitive(
    lambda g, a, b: g * b * power(a, _lowered(b)),
    lambda g, y, a: g * y * log(_base(a)),
    show=notation.POWER,
    samples=(positive, reals),
    c="pow({a}, {b})",
)
def power(xp: Any, a: Operand, b: Operand) -> Any:
    """a to the power b, elementwise; both may be differentiated. At a = 0 the derivatives are b 0^(b-1) and 0."""
    return xp.power(a, b)


reflected(power, "__rpow__")


@primitive(lambda g, x: g * 2 * x, show=notation.Power(2), samples=(reals,), c="{x} * {x}")
def square(xp: Any, x: Operand) -> Any:
    """x², elementwise."""
    return xp.square(x)


@primitive(lambda g, y: g / (2 * y), show=notation.SQRT, samples=(positive,), c="sqrt({x})")
def sqrt(xp: Any, x: Operand) -> Any:
    """The square root, elementwise; its derivative at 0 is inf (`minigrad.safe.sqrt` has 0 there)."""
    return xp.sqrt(x)


@primitive(lambda g, y: -0.5 * g * (y * y * y), show=fn("rsqrt"), samples=(positive,), c="1 / sqrt({x})")
def rsqrt(xp: Any, x: Operand) -> Any:
    """1 / sqrt(x), elementwise; d/dx = -y³ / 2."""
    return xp.reciprocal(xp.sqrt(x))


@method("__abs__")
@primitive(lambda g, x: g * sign(x), show=notation.ABS, samples=(distinct,), c="fabs({x})")
def abs(xp: Any, x: Operand) -> Any:
    """|x|, elementwise; the derivative at 0 is 0."""
    return xp.abs(x)


@primitive(lambda g: zeros(g), show=fn("sign"), samples=(distinct,), c="({x} > 0) - ({x} < 0)")
def sign(xp: Any, x: Operand) -> Any:
    """-1, 0 or 1, elementwise; the derivative is 0 everywhere."""
    return xp.sign(x)


# ---- exponentials, trigonometry


@primitive(lambda g, y: g * y, show=fn("exp", r"\exp"), samples=(reals,), c="exp({x})")
def exp(xp: Any, x: Operand) -> Any:
    """e to the power x, elementwise."""
    return xp.exp(x)


@primitive(lambda g, y: g * (y + 1), show=fn("expm1"), samples=(reals,), c="expm1({x})")
def expm1(xp: Any, x: Operand) -> Any:
    """e to the power x, less 1, exact near 0."""
    return xp.expm1(x)


@primitive(lambda g, x: g / x, show=fn("log", r"\ln"), samples=(positive,), c="log({x})")
def log(xp: Any, x: Operand) -> Any:
    """The natural logarithm, elementwise."""
    return xp.log(x)


@primitive(lambda g, x: g / (1 + x), show=fn("log1p"), samples=(positive,), c="log1p({x})")
def log1p(xp: Any, x: Operand) -> Any:
    """log(1 + x), exact near 0."""
    return xp.log1p(x)


@primitive(lambda g, x: g * cos(x), show=fn("sin", r"\sin"), samples=(reals,), c="sin({x})")
def sin(xp: Any, x: Operand) -> Any:
    """The sine of x in radians, elementwise."""
    return xp.sin(x)


@primitive(lambda g, x: -(g * sin(x)), show=fn("cos", r"\cos"), samples=(reals,), c="cos({x})")
def cos(xp: Any, x: Operand) -> Any:
    """The cosine of x in radians, elementwise."""
    return xp.cos(x)


@primitive(lambda g, y: g * (1 - y * y), show=fn("tanh", r"\tanh"), samples=(reals,), c="tanh({x})")
def tanh(xp: Any, x: Operand) -> Any:
    """The hyperbolic tangent, elementwise."""
    return xp.tanh(x)


@primitive(
    lambda g, y: g * (y * (1 - y)), show=fn("sigmoid", r"\sigma"), samples=(reals,), c="0.5 * (1 + tanh(0.5 * {x}))"
)
def sigmoid(xp: Any, x: Operand) -> Any:
    """The logistic function 1 / (1 + e^-x), elementwise, by tanh so that nothing overflows."""
    return 0.5 * (1 + xp.tanh(0.5 * x))


# ---- choices


@primitive(lambda g, mask: keep(g, mask), None, show=fn("keep"), samples=(reals, booleans), c="{mask} ? {x} : 0")
def keep(xp: Any, x: Operand, mask: Operand) -> Any:
    """x where the boolean `mask` holds, exactly 0 elsewhere, even under an inf or NaN. Its own adjoint."""
    if type(mask) is not bool and (not hasattr(mask, "dtype") or mask.dtype.kind != "b"):
        mask = mask != 0  # backends multiply bits by the mask, which must be 0 or 1
    return backend_of(x).keep(x, mask)


@primitive(
    None,
    lambda g, condition: keep(g, condition),
    lambda g, condition: keep(g, logical_not(condition)),
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
    return xp.where(condition, a, b)


@primitive(
    lambda g, a, b: keep(g, a > b) + keep(0.5 * g, a == b),
    lambda g, a, b: keep(g, b > a) + keep(0.5 * g, a == b),
    show=fn("max", r"\max"),
    samples=(apart, between),
    c="{a} > {b} || {a} != {a} ? {a} : {b}",
)
def maximum(xp: Any, a: Operand, b: Operand) -> Any:
    """The larger of a and b, elementwise; where they are equal, each gets half of the gradient."""
    return xp.maximum(a, b)


@primitive(
    lambda g, a, b: keep(g, a < b) + keep(0.5 * g, a == b),
    lambda g, a, b: keep(g, b < a) + keep(0.5 * g, a == b),
    show=fn("min", r"\min"),
    samples=(apart, between),
    c="{a} < {b} || {a} != {a} ? {a} : {b}",
)
def minimum(xp: Any, a: Operand, b: Operand) -> Any:
    """The smaller of a and b, elementwise; where they are equal, each gets half of the gradient."""
    return xp.minimum(a, b)


@primitive(
    lambda g, x, low, high: keep(keep(g, x > low), x < high),
    lambda g, x, low: keep(g, x < low),
    lambda g, x, high: keep(g, x > high),
    show=fn("clip"),
    samples=(apart, lambda rng, shape: between(rng, shape) - 1.04, lambda rng, shape: between(rng, shape) + 1.04),
    c="{x} < {low} ? {low} : {x} > {high} ? {high} : {x}",
    name="clip",
)
def clip_(xp: Any, x: Operand, low: Operand, high: Operand) -> Any:
    """x held between low and high."""
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
    limits = np.iinfo(x.dtype) if x.dtype.kind in "iu" else None
    low = (limits.min if limits else -np.inf) if min is None else min
    high = (limits.max if limits else np.inf) if max is None else max
    return clip_(x, low, high)


# ---- comparisons and logic: never tracked


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


@method("__invert__")
@primitive(show=fn("not"), samples=(booleans,), c="!{x}")
def logical_not(xp: Any, x: Operand) -> Any:
    """Not x, elementwise."""
    return xp.logical_not(x)


@method("__and__")
@primitive(show=fn("and"), samples=(booleans, booleans), c="{a} && {b}")
def logical_and(xp: Any, a: Operand, b: Operand) -> Any:
    """a and b, elementwise."""
    return xp.logical_and(a, b)


@method("__or__")
@primitive(show=fn("or"), samples=(booleans, booleans), c="{a} || {b}")
def logical_or(xp: Any, a: Operand, b: Operand) -> Any:
    """a or b, elementwise."""
    return xp.logical_or(a, b)


@primitive(show=fn("isfinite"), samples=(unit,), c="isfinite({x})")
def isfinite(xp: Any, x: Operand) -> Any:
    """Whether x is neither infinite nor NaN, elementwise."""
    return xp.isfinite(x)
