"""Initial values: tensors for a layer's parameters, drawn from `minigrad.random`.

A weight of shape (out, in, *receptive field) has fan_in = in times the field's size and fan_out = out times it. Results
are float32 unless `dtype` says otherwise, and are no parameters yet: `Parameter(init.he_normal((64, 32)))`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from minigrad import random
from minigrad.answers import module_getattr
from minigrad.core import Tensor, integers, number
from minigrad.errors import ArgumentError, ShapeError
from minigrad.notation.dims import Dims
from minigrad.ops import creation

__all__ = [
    "constant", "fans", "he_normal", "he_uniform", "kaiming_normal", "kaiming_uniform", "normal", "ones", "uniform",
    "xavier_normal", "xavier_uniform", "zeros",
]  # fmt: skip

if not TYPE_CHECKING:
    __getattr__ = module_getattr(__name__)


def fans(shape: Dims) -> tuple[int, int]:
    """(fan_in, fan_out) of a weight of `shape`: how many inputs meet in one output, and outputs in one input.

    Raises:
        ShapeError: fewer than two axes.

    Example:
        >>> import minigrad as mg
        >>> mg.init.fans((16, 3, 5, 5))
        (75, 400)
    """
    sizes = integers(shape, "shape", "fans", least=0)
    if len(sizes) < 2:
        raise ShapeError(f"fans: shape {sizes} must have at least two axes, (out, in, *receptive field)")
    field = math.prod(sizes[2:])
    return sizes[1] * field, sizes[0] * field


def _he(shape: Dims, a: float, mode: str) -> float:
    """gain / sqrt(fan) with the gain of a leaky ReLU of negative slope `a`."""
    if mode not in ("fan_in", "fan_out"):
        raise ArgumentError(
            f"mode: {mode!r} must be 'fan_in' (keeps the forward's variance) or 'fan_out' (the backward's)"
        )
    return math.sqrt(2.0 / (1.0 + number(a, "a", "init") ** 2)) / math.sqrt(max(fans(shape)[mode == "fan_out"], 1))


def he_uniform(shape: Dims, *, a: float = 0.0, mode: str = "fan_in", **options: Any) -> Tensor:
    """Even on [-b, b], b = sqrt(6 / ((1 + a²) fan)): keeps the variance through layers of ReLU.

    Args:
        shape: (out, in, *receptive field).
        a: negative slope of the leaky ReLU that follows; sqrt(5) gives PyTorch's default for Linear and Conv2d.
        mode: "fan_in" or "fan_out".
        options: `dtype`, `device` and `generator`, as everywhere in `minigrad.random`.

    Source: He, Zhang, Ren, Sun, "Delving deep into rectifiers", ICCV 2015.

    Example:
        >>> import minigrad as mg
        >>> bool((abs(mg.init.he_uniform((4, 6))) <= 1).all())
        True
    """
    bound = math.sqrt(3.0) * _he(shape, a, mode)
    return random.uniform(shape, -bound, bound, **options)


def he_normal(shape: Dims, *, a: float = 0.0, mode: str = "fan_in", **options: Any) -> Tensor:
    """Normal with standard deviation sqrt(2 / ((1 + a²) fan)); see `he_uniform`."""
    return random.normal(shape, 0.0, _he(shape, a, mode), **options)


def xavier_uniform(shape: Dims, *, gain: float = 1.0, **options: Any) -> Tensor:
    """Even on [-b, b], b = gain sqrt(6 / (fan_in + fan_out)).

    Source: Glorot, Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010.

    Example:
        >>> import minigrad as mg
        >>> bool((abs(mg.init.xavier_uniform((2, 4))) <= 1).all())
        True
    """
    bound = number(gain, "gain", "xavier_uniform") * math.sqrt(6.0 / max(sum(fans(shape)), 1))
    return random.uniform(shape, -bound, bound, **options)


def xavier_normal(shape: Dims, *, gain: float = 1.0, **options: Any) -> Tensor:
    """Normal with standard deviation gain sqrt(2 / (fan_in + fan_out)); see `xavier_uniform`."""
    spread = number(gain, "gain", "xavier_normal") * math.sqrt(2.0 / max(sum(fans(shape)), 1))
    return random.normal(shape, 0.0, spread, **options)


def uniform(shape: Dims, low: float = 0.0, high: float = 1.0, **options: Any) -> Tensor:
    """Even on [low, high)."""
    return random.uniform(shape, low, high, **options)


def normal(shape: Dims, mean: float = 0.0, std: float = 1.0, **options: Any) -> Tensor:
    """Normal with this mean and standard deviation."""
    return random.normal(shape, mean, std, **options)


def constant(shape: Dims, value: float, *, dtype: Any = None, device: str | None = None) -> Tensor:
    """`value` everywhere."""
    return creation.full(shape, value, dtype=dtype or "float32", device=device)


def zeros(shape: Dims, *, dtype: Any = None, device: str | None = None) -> Tensor:
    """0 everywhere."""
    return constant(shape, 0.0, dtype=dtype, device=device)


def ones(shape: Dims, *, dtype: Any = None, device: str | None = None) -> Tensor:
    """1 everywhere."""
    return constant(shape, 1.0, dtype=dtype, device=device)


kaiming_uniform, kaiming_normal = he_uniform, he_normal  # PyTorch's names
