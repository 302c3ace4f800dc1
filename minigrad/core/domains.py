"""Where to test a primitive: `domain(rng, shape)` gives float64 values at which its rules hold and are well
conditioned.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:  # numpy.random takes 13 ms to import
    from numpy.random import Generator

__all__ = [
    "apart",
    "below",
    "between",
    "booleans",
    "distinct",
    "nonzero",
    "positive",
    "reals",
    "some_axes",
    "some_shape",
    "spread",
    "unit",
]

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
Rng: TypeAlias = "Generator"
Domain: TypeAlias = "Callable[[Rng, tuple[int, ...]], Array]"
Case: TypeAlias = tuple[tuple[Any, ...], dict[str, Any]]  # operands and parameters of one call


def reals(rng: Rng, shape: tuple[int, ...]) -> Array:
    """Anything in [-2, 2]."""
    return rng.uniform(-2, 2, shape)


def positive(rng: Rng, shape: tuple[int, ...]) -> Array:
    """[0.5, 3]: away from the pole of log and the kink of sqrt."""
    return rng.uniform(0.5, 3, shape)


def unit(rng: Rng, shape: tuple[int, ...]) -> Array:
    """[-0.9, 0.9]."""
    return rng.uniform(-0.9, 0.9, shape)


def nonzero(rng: Rng, shape: tuple[int, ...]) -> Array:
    """0.5 to 2.5 away from zero on either side."""
    values: Array = rng.uniform(0.5, 2.5, shape) * rng.choice([-1.0, 1.0], shape)
    return values


def distinct(rng: Rng, shape: tuple[int, ...]) -> Array:
    """No two values within 0.04 of each other (or of zero) up to some 100 elements: no ties, no kinks."""
    n = int(np.prod(shape))
    return (
        (rng.permutation(n) - n // 2 + 0.5) * (4 / max(n, 100)) + rng.uniform(-0.005, 0.005, n) * (100 / max(n, 100))
    ).reshape(shape)


def apart(rng: Rng, shape: tuple[int, ...]) -> Array:
    """Anything in [-2, 2] that is not within 0.01 of a value of `between`: one operand of a comparison."""
    return (rng.integers(-50, 50, shape) + 0.5) * 0.04 + rng.uniform(-0.005, 0.005, shape)


def between(rng: Rng, shape: tuple[int, ...]) -> Array:
    """Anything in [-1, 1] that is not within 0.01 of a value of `apart`: the other operand of a comparison."""
    return rng.integers(-25, 26, shape) * 0.04 + rng.uniform(-0.005, 0.005, shape)


def booleans(rng: Rng, shape: tuple[int, ...]) -> Array:
    """True or False, evenly."""
    mask: Array = rng.integers(2, size=shape).astype(bool)
    return mask


def spread(rng: Rng, shape: tuple[int, ...]) -> Array:
    """Evenly spread over [-2, 2] in random order: no ties, none within 0.8 / n of 0, nothing that depends on luck."""
    n = int(np.prod(shape))
    return ((rng.permutation(n) + 0.3) * (4 / max(n, 1)) - 2).reshape(shape)


def below(n: int) -> Domain:
    """A domain: the integers 0 to n - 1, evenly; positions in a table, labels of classes."""

    def draw(rng: Rng, shape: tuple[int, ...]) -> Array:
        return rng.integers(n, size=shape)

    draw.__name__ = f"below({n})"
    return draw


def some_shape(rng: Rng, least: int = 0, most: int = 4, side: int = 4) -> tuple[int, ...]:
    """A shape of `least` to `most` axes with sides from 0 to `side` (0 is rare)."""
    sides = rng.choice(side + 1, rng.integers(least, most + 1), p=[0.04, *[0.96 / side] * side])
    return tuple(map(int, sides))


def some_axes(rng: Rng, ndim: int) -> tuple[int, ...]:
    """Some of the axes, possibly none or all, in increasing order."""
    return tuple(i for i in range(ndim) if rng.random() < 0.5)
