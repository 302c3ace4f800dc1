"""Rounding, and division with a remainder: flat between steps, so the derivatives are 0 there, and at the steps too."""

from __future__ import annotations

from typing import Any

from minigrad.core import Operand, Tensor, astype, integer, method, primitive, shape_of
from minigrad.core.domains import Rng, distinct
from minigrad.notation import fn
from minigrad.ops.elementwise import reflected, zeros

__all__ = ["ceil", "divmod", "floor", "floor_divide", "remainder", "round", "trunc"]


@primitive(lambda g: zeros(g), show=fn("floor"), samples=(distinct,), c={"f": "floor({x})", "iub": "{x}"})
def floor(xp: Any, x: Operand) -> Any:
    """The largest integer that is not above x, in the dtype of x; the derivative is 0 everywhere."""
    return xp.floor(x)


@primitive(lambda g: zeros(g), show=fn("ceil"), samples=(distinct,), c={"f": "ceil({x})", "iub": "{x}"})
def ceil(xp: Any, x: Operand) -> Any:
    """The smallest integer that is not below x, in the dtype of x; the derivative is 0 everywhere."""
    return xp.ceil(x)


@primitive(lambda g: zeros(g), show=fn("trunc"), samples=(distinct,), c={"f": "trunc({x})", "iub": "{x}"})
def trunc(xp: Any, x: Operand) -> Any:
    """x without its fraction, in the dtype of x; the derivative is 0 everywhere."""
    return xp.trunc(x)


@primitive(
    lambda g: zeros(g),
    show=fn("round"),
    samples=(lambda rng, shape: distinct(rng, shape) + 0.5,),
    c={"f": "rint({x})", "iu": "{x}"},
    name="round",
)
def round_(xp: Any, x: Operand) -> Any:
    """The nearest integer, the even one of two."""
    return xp.round(x)


@method("round")
def round(x: Operand, decimals: int = 0) -> Tensor:
    """x rounded to `decimals` places, halves to even; the derivative is 0 everywhere.

    Args:
        x: any shape; integers stay as they are for decimals >= 0.
        decimals: places after the point; negative ones round to tens, hundreds.

    Example:
        >>> import minigrad as mg
        >>> mg.round(mg.tensor([0.5, 1.5, 2.345]), 1)
        tensor([0.5, 1.5, 2.3])
    """
    decimals, _ = integer(decimals, "decimals", "round"), shape_of(x, "round")
    if decimals == 0 or (decimals > 0 and x.dtype.kind in "iub"):
        return round_(x)
    if decimals < 0:
        rounded = round_(x / 10.0**-decimals) * 10.0**-decimals
        return astype(rounded, x.dtype) if x.dtype.kind in "iu" else rounded
    return round_(x * 10.0**decimals) / 10.0**decimals


def _between_steps(rng: Rng, shape: tuple[int, ...]) -> Any:
    return rng.integers(-5, 5, shape) + rng.uniform(0.4, 0.6, shape)


def _step(rng: Rng, shape: tuple[int, ...]) -> Any:
    return rng.choice([-2.0, -1.0, 1.0, 2.0], shape) * rng.uniform(0.99, 1.01, shape)


# In C: what is left of a division, whether it has to get the sign of b, the quotient before it is made whole.
_REST = "fmod({a}, {b})"
_ACROSS = f"({_REST} != 0 && ({{b}} < 0) != ({_REST} < 0))"
_QUOTIENT = f"(({{a}} - {_REST}) / {{b}} - {_ACROSS})"


@method("__floordiv__")
@primitive(
    lambda g: zeros(g),
    lambda g: zeros(g),
    show=fn("floor_divide"),
    samples=(_between_steps, _step),
    c={
        "f": f"{{b}} == 0 ? {{a}} / {{b}} : {_QUOTIENT} == 0 ? copysign(({{T}})0, {{a}} / {{b}}) "
        f": floor({_QUOTIENT}) + ({_QUOTIENT} - floor({_QUOTIENT}) > 0.5)",
        "i": "{b} == 0 ? 0 : {b} == -1 ? -{a} : {a} / {b} - ({a} % {b} != 0 && ({a} < 0) != ({b} < 0))",
        "u": "{b} == 0 ? 0 : {a} / {b}",
    },
)
def floor_divide(xp: Any, a: Operand, b: Operand) -> Any:
    """floor(a / b), elementwise: the operator //; its derivatives are 0 everywhere."""
    return xp.floor_divide(a, b)


@method("__mod__")
@primitive(
    lambda g: g,
    lambda g, a, b: -(g * floor_divide(a, b)),
    show=fn("remainder"),
    samples=(_between_steps, _step),
    c={
        "f": f"{{b}} == 0 ? {_REST} : {_REST} == 0 ? copysign(({{T}})0, {{b}}) : {_ACROSS} ? {_REST} + {{b}} : {_REST}",
        "i": "{b} == 0 || {b} == -1 ? 0 : {a} % {b} + ({a} % {b} != 0 && ({a} < 0) != ({b} < 0) ? {b} : 0)",
        "u": "{b} == 0 ? 0 : {a} % {b}",
    },
)
def remainder(xp: Any, a: Operand, b: Operand) -> Any:
    """a - floor_divide(a, b) b, elementwise: the operator %; it has the sign of b."""
    return xp.remainder(a, b)


@method("__divmod__")
def divmod(a: Operand, b: Operand) -> tuple[Tensor, Tensor]:
    """(a // b, a % b), elementwise.

    Example:
        >>> import minigrad as mg
        >>> mg.divmod(mg.tensor([7.0, -7.0]), 2.0)
        (tensor([ 3., -4.]), tensor([1., 1.]))
    """
    return floor_divide(a, b), remainder(a, b)


reflected(floor_divide, "__rfloordiv__")
reflected(remainder, "__rmod__")
reflected(divmod, "__rdivmod__")
