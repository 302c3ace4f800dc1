"""Functions that are finite at the edge of their domain, in value and in every derivative.

Each replaces the input where the function has a pole *before* computing (the "double where"): masking the result alone
would leave 0 times inf = NaN in the backward pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from minigrad.answers import module_getattr
from minigrad.core import Operand, Tensor, composite
from minigrad.ops import compare
from minigrad.ops import elementwise as e
from minigrad.ops import functions as f
from minigrad.ops.composite import norm

__all__ = ["divide", "log", "norm", "sqrt"]

if not TYPE_CHECKING:
    __getattr__ = module_getattr(__name__)


@composite
def sqrt(x: Operand) -> Tensor:
    """The square root where x > 0, else 0 with derivative 0.

    Example:
        >>> import minigrad as mg
        >>> x = mg.tensor([0.0, 4.0], requires_grad=True)
        >>> mg.safe.sqrt(x).sum().backward()
        >>> x.grad
        tensor([0.  , 0.25])
    """
    good = x > 0
    return e.keep(e.sqrt(e.where(good, x, 1.0)), good)


@composite
def log(x: Operand, *, at_zero: float = 0.0) -> Tensor:
    """The natural logarithm where x > 0, else `at_zero` with derivative 0.

    Example:
        >>> import minigrad as mg
        >>> mg.safe.log(mg.tensor([0.0, 1.0]))
        tensor([0., 0.])
    """
    good = x > 0
    return e.where(good, f.log(e.where(good, x, 1.0)), at_zero)


@composite
def divide(a: Operand, b: Operand) -> Tensor:
    """a / b where b is not 0, else 0 with derivative 0.

    Example:
        >>> import minigrad as mg
        >>> mg.safe.divide(mg.tensor([1.0, 1.0]), mg.tensor([0.0, 2.0]))
        tensor([0. , 0.5])
    """
    good = compare.not_equal(b, 0)
    return e.keep(e.divide(a, e.where(good, b, 1.0)), good)
