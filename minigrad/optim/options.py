"""Options of an optimiser: each is declared once, as an attribute of its class, with its default and its range."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigrad.core import flag
from minigrad.errors import ArgumentError

__all__ = ["Option", "option"]


class Option:
    """An option; what it holds depends on its default: a number, True or False, or a tuple of numbers.

    Read or set on an optimiser, it is that of all groups: `optimizer.lr = 0.01`.
    """

    def __init__(self, default: Any, least: float = 0.0, below: float = math.inf) -> None:
        self.default, self.least, self.below = default, least, below
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, optimizer: Any, kind: type) -> Any:
        if optimizer is None:
            return self
        first, *others = (group[self.name] for group in optimizer.param_groups)
        if any(other != first for other in others):
            raise ArgumentError(
                f"{self.name}: the groups have {[first, *others]}; read optimizer.param_groups[i][{self.name!r}]"
            )
        return first

    def __set__(self, optimizer: Any, value: Any) -> None:
        value = self.checked(value)
        for group in optimizer.param_groups:
            optimizer.check(**optimizer.options_of({**group, self.name: value}))
        for group in optimizer.param_groups:
            group[self.name] = value

    def checked(self, value: Any) -> Any:
        """`value` as Python's own number, boolean or tuple; ArgumentError, naming the option, if it is out of range."""
        if isinstance(self.default, bool):
            return flag(value, self.name, "")
        if not isinstance(self.default, tuple):
            return self._number(value, self.name)
        size = len(self.default)
        parts = tuple(value) if isinstance(value, (tuple, list, np.ndarray)) else ()
        if len(parts) != size:
            raise ArgumentError(f"{self.name}: {value!r} must be {size} numbers, such as {self.default}")
        return tuple(self._number(part, f"{self.name}[{k}]") for k, part in enumerate(parts))

    def _number(self, value: Any, name: str) -> Any:
        real = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, (bool, np.bool_))
        if real and self.least <= value < self.below and not math.isinf(value):
            return value.item() if isinstance(value, np.generic) else value
        least = "" if self.least == -math.inf else f" of at least {self.least:g}"
        below = "" if self.below == math.inf else f" and below {self.below:g}"
        raise ArgumentError(f"{name}: {value!r} must be a finite number{least}{below}")


def option(default: Any, least: float = 0.0, below: float = math.inf) -> Any:
    """Declare an option whose numbers are least <= number < below; `lr: float = 1e-3` is short for `option(1e-3)`.

    Args:
        default: a number, True or False, or a tuple of numbers, each in the range.
        least, below: the range.

    Example:
        >>> import minigrad as mg
        >>> class Constant(mg.optim.Optimizer):
        ...     lr: float = 0.5
        ...     share: float = mg.optim.option(1.0, below=2.0)
        ...
        ...     @staticmethod
        ...     def rule(p, g, *, share, lr):
        ...         return (p - g * lr * share,)
        >>> Constant([mg.Parameter(mg.ones(2))], share=1.5)
        Constant(2 parameters in 1 tensors, lr=0.5, share=1.5)
    """
    return Option(default, least, below)
