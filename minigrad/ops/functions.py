"""Elementwise functions: powers, exponentials and logarithms, trigonometric and hyperbolic functions and inverses.

Each rule keeps what is cheapest to differentiate from, the output where that suffices.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigrad import notation
from minigrad.core import Operand, method, primitive
from minigrad.core.domains import nonzero, positive, reals, unit
from minigrad.notation import fn, written_as
from minigrad.ops.compare import equal, isinf, logical_and
from minigrad.ops.elementwise import hypot, reflected, sqrt, where

__all__ = [
    "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cos", "cosh", "exp", "exp2", "expm1", "log",
    "log1p", "log2", "log10", "logaddexp", "power", "sigmoid", "sin", "sinh", "tan", "tanh",
]  # fmt: skip

# ---- powers


@written_as(lambda a, b: power(a, b - 1))
def _lowered(a: Any, b: Any) -> Any:
    """a^(b-1), and 1 for 0^-1 where b is 0, so that the derivative b a^(b-1) is 0 there."""
    if isinstance(b, (int, float)):
        return power(a, b - 1 if b != 0 else 0.0)
    return power(where(logical_and(equal(a, 0), equal(b, 0)), 1.0, a), b - 1.0)  # b may be unsigned


@written_as(lambda a, b: log(a))
def _log_base(a: Any, b: Any) -> Any:
    """ln a, and 0 where a is 0 and b is not negative: d/db a^b = y ln a is 0 there, where ln has a pole."""
    if isinstance(a, (int, float)):  # a number stays one: `log` would make it a tensor, which no rule may return
        return math.log(a) if a > 0 else where(b >= 0, 0.0, -math.inf) if a == 0 else math.nan
    return log(where(logical_and(equal(a, 0), b >= 0), 1.0, a))


@method("__pow__")
@primitive(
    lambda g, a, b: g * b * _lowered(a, b),
    lambda g, y, a, b: g * y * _log_base(a, b),
    show=notation.POWER,
    samples=(positive, reals),
    c={"f": "pow({a}, {b})"},
)
def power(xp: Any, a: Operand, b: Operand) -> Any:
    """a to the power b, elementwise; both may be differentiated. At a = 0 the derivatives are b 0^(b-1) and 0.

    The second is -inf there for b < 0, and NaN for a < 0, where a^b is no function of real b.
    """
    return xp.power(a, b)


reflected(power, "__rpow__")


# ---- exponentials and logarithms


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


@primitive(lambda g, y: g * y * math.log(2), show=fn("exp2"), samples=(reals,), c="exp2({x})")
def exp2(xp: Any, x: Operand) -> Any:
    """2 to the power x, elementwise."""
    return xp.exp2(x)


@primitive(lambda g, x: g / (x * math.log(2)), show=fn("log2", r"\log_2"), samples=(positive,), c="log2({x})")
def log2(xp: Any, x: Operand) -> Any:
    """The logarithm to base 2, elementwise."""
    return xp.log2(x)


@primitive(lambda g, x: g / (x * math.log(10)), show=fn("log10", r"\log_{10}"), samples=(positive,), c="log10({x})")
def log10(xp: Any, x: Operand) -> Any:
    """The logarithm to base 10, elementwise."""
    return xp.log10(x)


@written_as(lambda a, b, y: a - b)
def _apart(a: Any, b: Any, y: Any) -> Any:
    """a - b, and 0 where both are the same infinity, which then share the gradient evenly."""
    same = logical_and(equal(a, b), isinf(y))
    return where(same, 0.0, a) - where(same, 0.0, b)


@primitive(
    lambda g, y, a, b: g * sigmoid(_apart(a, b, y)),
    lambda g, y, a, b: g * sigmoid(_apart(b, a, y)),
    show=fn("logaddexp"),
    samples=(reals, reals),
    c="{a} == {b} ? {a} + log(({T})2) : fmax({a}, {b}) + log1p(exp(-fabs({a} - {b})))",
)
def logaddexp(xp: Any, a: Operand, b: Operand) -> Any:
    """log(e^a + e^b), elementwise, without overflow; two equal infinities get half of the gradient each."""
    return xp.logaddexp(a, b)


# ---- trigonometric functions, in radians, and their inverses


@primitive(lambda g, x: g * cos(x), show=fn("sin", r"\sin"), samples=(reals,), c="sin({x})")
def sin(xp: Any, x: Operand) -> Any:
    """The sine of x in radians, elementwise."""
    return xp.sin(x)


@primitive(lambda g, x: -(g * sin(x)), show=fn("cos", r"\cos"), samples=(reals,), c="cos({x})")
def cos(xp: Any, x: Operand) -> Any:
    """The cosine of x in radians, elementwise."""
    return xp.cos(x)


@primitive(lambda g, y: g * (1 + y * y), show=fn("tan", r"\tan"), samples=(unit,), c="tan({x})")
def tan(xp: Any, x: Operand) -> Any:
    """The tangent of x in radians, elementwise."""
    return xp.tan(x)


@primitive(lambda g, x: g / sqrt((1 - x) * (1 + x)), show=fn("asin", r"\arcsin"), samples=(unit,), c="asin({x})")
def asin(xp: Any, x: Operand) -> Any:
    """The angle from -π/2 to π/2 whose sine is x, elementwise; its derivative at ±1 is inf."""
    return xp.arcsin(x)


@primitive(lambda g, x: -(g / sqrt((1 - x) * (1 + x))), show=fn("acos", r"\arccos"), samples=(unit,), c="acos({x})")
def acos(xp: Any, x: Operand) -> Any:
    """The angle from 0 to π whose cosine is x, elementwise; its derivative at ±1 is -inf."""
    return xp.arccos(x)


@primitive(lambda g, x: g / (1 + x * x), show=fn("atan", r"\arctan"), samples=(reals,), c="atan({x})")
def atan(xp: Any, x: Operand) -> Any:
    """The angle from -π/2 to π/2 whose tangent is x, elementwise."""
    return xp.arctan(x)


@written_as(lambda a, b: hypot(a, b))
def _radius(a: Any, b: Any) -> Any:
    """The distance of (b, a) from the origin, and 1 there, so that the derivatives of the angle are 0 there."""
    r: Any = hypot(a, b)
    return r + equal(r, 0)


@primitive(
    lambda g, a, b: g * (b / _radius(a, b)) / _radius(a, b),
    lambda g, a, b: -(g * (a / _radius(a, b)) / _radius(a, b)),
    show=fn("atan2"),
    samples=(nonzero, nonzero),
    c="atan2({a}, {b})",
)
def atan2(xp: Any, a: Operand, b: Operand) -> Any:
    """The angle of the point with ordinate a and abscissa b, from -π to π; the derivatives at the origin are 0."""
    return xp.arctan2(a, b)


# ---- hyperbolic functions and their inverses


@primitive(lambda g, x: g * cosh(x), show=fn("sinh", r"\sinh"), samples=(reals,), c="sinh({x})")
def sinh(xp: Any, x: Operand) -> Any:
    """The hyperbolic sine, elementwise."""
    return xp.sinh(x)


@primitive(lambda g, x: g * sinh(x), show=fn("cosh", r"\cosh"), samples=(reals,), c="cosh({x})")
def cosh(xp: Any, x: Operand) -> Any:
    """The hyperbolic cosine, elementwise."""
    return xp.cosh(x)


@primitive(lambda g, y: g * (1 - y * y), show=fn("tanh", r"\tanh"), samples=(reals,), c="tanh({x})")
def tanh(xp: Any, x: Operand) -> Any:
    """The hyperbolic tangent, elementwise."""
    return xp.tanh(x)


@primitive(lambda g, x: g / hypot(x, 1.0), show=fn("asinh"), samples=(reals,), c="asinh({x})")
def asinh(xp: Any, x: Operand) -> Any:
    """The number whose hyperbolic sine is x, elementwise."""
    return xp.arcsinh(x)


@primitive(
    lambda g, x: g / (sqrt(x - 1) * sqrt(x + 1)),
    show=fn("acosh"),
    samples=(lambda rng, shape: positive(rng, shape) + 1,),
    c="acosh({x})",
)
def acosh(xp: Any, x: Operand) -> Any:
    """The number from 0 on whose hyperbolic cosine is x >= 1, elementwise; its derivative at 1 is inf."""
    return xp.arccosh(x)


@primitive(lambda g, x: g / ((1 - x) * (1 + x)), show=fn("atanh"), samples=(unit,), c="atanh({x})")
def atanh(xp: Any, x: Operand) -> Any:
    """The number whose hyperbolic tangent is x, elementwise; inf at ±1."""
    return xp.arctanh(x)


@primitive(lambda g, y: g * (y * (1 - y)), show=fn("sigmoid", r"\sigma"), samples=(reals,), c="1 / (1 + exp(-{x}))")
def sigmoid(xp: Any, x: Operand) -> Any:
    """The logistic function 1 / (1 + e^-x), elementwise, exact to the last digits where it is small, too.

    Where e^-x is inf the result is 0, as it should be; float16 is computed in float32, where it is not yet inf.
    """
    y = x * -1.0  # not -x: some integers have no sign
    half = getattr(y, "dtype", None) == np.float16
    with np.errstate(over="ignore"):
        y = xp.exp(y.astype(np.float32) if half else y)
    y += 1
    y = xp.reciprocal(y)
    return y.astype(np.float16) if half else y
