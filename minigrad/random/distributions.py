"""Distributions: words of a stream made into numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigrad.backend import get_backend
from minigrad.core import MODES, Operand, ShapeLike, Tensor, composite, dtype_of, integer, number, reshape_
from minigrad.core import integers as sizes
from minigrad.errors import ArgumentError, DtypeError
from minigrad.ops.compare import greater_equal, less
from minigrad.ops.elementwise import minimum, sqrt
from minigrad.ops.functions import cos, log, sin
from minigrad.ops.joining import concat, take_part
from minigrad.random.streams import Generator, default
from minigrad.random.words import bounded, random_bits, sorting_order, unit_float32, unit_float64


def _bits(
    shape: ShapeLike, bits: int, generator: Generator | None, device: str | None, like: Tensor | None = None
) -> Tensor:
    if generator is not None and not isinstance(generator, Generator):
        raise ArgumentError(
            f"generator: {generator!r} must be a minigrad.random.Generator, or None for the default one"
        )
    if like is None:
        at = device or MODES.get().device or "numpy"
        key, counter = (generator or default).place(get_backend(at).parse_device(at))
    else:
        key, counter = (generator or default).place(like)
    return random_bits(key, counter, shape=_shape(shape), bits=bits)


def _shape(shape: ShapeLike) -> tuple[int, ...]:
    return sizes(shape, "shape", "random", least=0)


def _unit(
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    generator: Generator | None,
    device: str | None,
    like: Tensor | None,
) -> Tensor:
    if dtype == np.float64:
        return unit_float64(_bits(shape, 64, generator, device, like))
    return unit_float32(_bits(shape, 32, generator, device, like))


def _operands(op: str, **given: Any) -> None:
    """Numbers or arrays; an error before a call of the stream is used up."""
    for name, value in given.items():
        if not hasattr(value, "shape"):
            number(value, name, op)


def _float(dtype: Any) -> np.dtype[Any]:
    out = dtype_of(dtype, "random")
    if out.kind != "f":
        raise DtypeError(f"dtype: {out} holds no random reals; use a floating dtype, or random.integers")
    return out


@composite
def uniform(
    shape: ShapeLike = (),
    low: Operand = 0.0,
    high: Operand = 1.0,
    *,
    dtype: Any = "float32",
    like: Tensor | None = None,
    device: str | None = None,
    generator: Generator | None = None,
) -> Tensor:
    """Evenly distributed numbers in [low, high).

    On [0, 1) they are the multiples (u32 >> 8) 2**-24 for float32 (rounded once more for float16) and (u64 >> 11)
    2**-53 for float64, of the call's 32- or 64-bit words. What rounding would bring up to `high`, if that is a number,
    becomes the largest number below it. They live on `device`, or where `like` does.

    Example:
        >>> import minigrad as mg
        >>> mg.random.uniform((2, 3), generator=mg.random.Generator(0)).shape
        (2, 3)
    """
    kind = _float(dtype)
    _operands("uniform", low=low, high=high)
    u = _unit(_shape(shape), kind, generator, device, like)
    numbers = isinstance(low, (int, float)) and isinstance(high, (int, float))
    if numbers and (low, high) == (0, 1) and u.dtype == kind:
        return u
    u = (u * (high - low) + low).astype(kind)
    return minimum(u, _below(high, kind)) if numbers and low < high else u


def _below(x: float, kind: np.dtype[Any]) -> float:
    """The largest number of a dtype that is less than x."""
    near = kind.type(x)
    return float(near) if near < x else float(np.nextafter(near, kind.type(-math.inf)))


@composite
def normal(
    shape: ShapeLike = (),
    mean: Operand = 0.0,
    std: Operand = 1.0,
    *,
    dtype: Any = "float32",
    like: Tensor | None = None,
    device: str | None = None,
    generator: Generator | None = None,
) -> Tensor:
    """Normally distributed numbers, by Box and Muller's transform: elements 2k and 2k + 1 are r cos t and r sin t.

    With uniform numbers u and w from words 2k and 2k + 1: r = sqrt(-2 ln(1 - u)), t = 2 pi w. In float32 none is
    further than 5.77 standard deviations from the mean. They live on `device`, or where `like` does. Source: Box,
    Muller, "A note on the generation of random normal deviates", The Annals of Mathematical Statistics 29(2), 1958.

    Example:
        >>> import minigrad as mg
        >>> abs(mg.random.normal(10000, generator=mg.random.Generator(0)).mean().item()) < 0.03
        True
    """
    kind, whole = _float(dtype), _shape(shape)
    _operands("normal", mean=mean, std=std)
    n = math.prod(whole)
    pairs = -(-n // 2)
    u = _unit((pairs, 2), kind, generator, device, like)
    r = sqrt(-2.0 * log(1.0 - take_part(u, axis=1, start=0, stop=1)))
    t = take_part(u, axis=1, start=1, stop=2) * (2.0 * math.pi)
    z = reshape_(concat([r * cos(t), r * sin(t)], axis=1), shape=(2 * pairs,))
    z = reshape_(z if n == 2 * pairs else take_part(z, axis=0, start=0, stop=n), shape=whole)
    if not (isinstance(mean, (int, float)) and isinstance(std, (int, float)) and (mean, std) == (0, 1)):
        z = z * std + mean
    return z if z.dtype == kind else z.astype(kind)


@composite
def mask(
    shape: ShapeLike,
    p: float,
    *,
    like: Tensor | None = None,
    device: str | None = None,
    generator: Generator | None = None,
) -> tuple[Tensor, float]:
    """A boolean mask that is False with probability `p`, and the factor 1 / (1 - p) that makes up for it.

    An element is kept where its 16-bit word is at least t = round(65536 p); where p or 1 - p is under 0.01, its 32-bit
    word at least round(2**32 p). The factor is the exact reciprocal of the probability that this gives, and 0 when all
    are dropped. This is what dropout is made of. It lives on `device`, or where `like` does.

    Raises:
        ArgumentError: p outside 0 to 1.

    Example:
        >>> import minigrad as mg
        >>> mg.random.mask((2, 2), 1.0)[0].any(), mg.random.mask((2, 2), 0.25)[1]
        (tensor(False), 1.3333333333333333)
    """
    bits = 16 if 0.01 <= probability(p, "p") <= 0.99 else 32
    words = 1 << bits
    t = round(words * p)
    drawn = _bits(_shape(shape), bits, generator, device, like)
    if t == words:  # no word is so large, and not every library compares with a number that its dtype cannot hold
        return less(drawn, 0), 0.0
    return greater_equal(drawn, t), words / (words - t)


@composite
def bernoulli(
    shape: ShapeLike = (), p: float = 0.5, *, device: str | None = None, generator: Generator | None = None
) -> Tensor:
    """True with probability `p`, else False; `p` is rounded as in `mask`.

    Example:
        >>> import minigrad as mg
        >>> mg.random.bernoulli(3, 1.0)
        tensor([ True,  True,  True])
    """
    return mask(shape, 1 - probability(p, "p"), device=device, generator=generator)[0]


@composite
def integers(
    low: int,
    high: int | None = None,
    shape: ShapeLike = (),
    *,
    device: str | None = None,
    generator: Generator | None = None,
) -> Tensor:
    """int64 integers from `low` up to, not including, `high` (from 0 up to `low` when that is given alone).

    low + floor(u64 (high - low) / 2**64) of the call's 64-bit words.

    Raises:
        ArgumentError: high <= low, or more than 2**32 - 1 different ones.

    Example:
        >>> import minigrad as mg
        >>> mg.random.integers(5, 6, (2,))
        tensor([5, 5])
    """
    start, stop = (0, low) if high is None else (low, high)
    first, last = integer(start, "low", "integers"), integer(stop, "low" if high is None else "high", "integers")
    if not 0 < last - first < 1 << 32:
        raise ArgumentError(f"integers: from {first} up to {last} there must be 1 to 2**32 - 1 of them; is high > low?")
    return bounded(_bits(_shape(shape), 64, generator, device), low=first, span=last - first)


@composite
def permutation(n: int | Tensor, *, device: str | None = None, generator: Generator | None = None) -> Tensor:
    """The integers 0 to n - 1 in random order; given a tensor, its elements along the first axis in random order.

    The order is that of the call's 64-bit words.

    Example:
        >>> import minigrad as mg
        >>> mg.random.permutation(4).sum()
        tensor(6)
    """
    if isinstance(n, Tensor):
        return n[permutation(len(n), device=n.device, generator=generator)]
    return sorting_order(_bits((integer(n, "n", "permutation", least=0),), 64, generator, device))


def probability(p: float, name: str) -> float:
    """`p` itself; ArgumentError, naming the argument, if it is no number from 0 to 1."""
    if isinstance(p, bool) or not isinstance(p, (int, float, np.floating, np.integer)) or not 0 <= p <= 1:
        raise ArgumentError(f"{name}: {p!r} must be a probability, a number from 0 to 1")
    return float(p)
