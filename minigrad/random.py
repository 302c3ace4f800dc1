"""Random numbers that are the same on every backend: counter-based, so that a call depends on three integers alone.

A stream is (seed, stream, call): word i of a call is word i of Philox4x64-10 with key (seed, stream) and counter
(0, call, 0, 0), read little-endian. So nothing but those integers need be saved to go on where a run stopped, and any
call is replayed by its number. `seed` sets the seed of what follows; every random layer takes a stream of its own when
it is constructed (`new_stream`). Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.

Words are equal bit for bit on every backend; what goes through log and cos is equal to rounding. Results are never
tracked, but `low`, `high`, `mean` and `std` may be: the result is differentiable with respect to them.
"""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np

from minigrad.backend import backend_of, get_backend
from minigrad.core import MODES, Operand, Tensor, box, primitive, reshape_
from minigrad.core.domains import Rng
from minigrad.errors import ArgumentError, DtypeError
from minigrad.ops.compare import greater_equal
from minigrad.ops.elementwise import sqrt
from minigrad.ops.functions import cos, log, sin
from minigrad.ops.shape import concat, take_part

__all__ = [
    "Generator", "bernoulli", "get_state", "integers", "mask", "new_stream", "normal", "permutation", "seed", "set_state", "uniform",
]  # fmt: skip

Shape = int | tuple[int, ...]
Sample = tuple[tuple[Any, ...], dict[str, Any]]
_LIMIT = 1 << 64
_lock = threading.Lock()  # a call number is never given twice


# ---- the primitives: none has a rule, so nothing random is ever tracked


def _case_bits(rng: Rng) -> Sample:
    key, counter = rng.integers(0, 1 << 63, 2, np.uint64), rng.integers(0, 1 << 63, 4, np.uint64)
    return (key, counter), {"shape": (3, int(rng.integers(1, 6))), "bits": int(rng.choice([16, 32, 64]))}


@primitive(
    samples=_case_bits,
    kind="opaque",
    infer=lambda key, counter, *, shape, bits: (shape, np.dtype(f"u{bits // 8}")),
)
def random_bits(xp: Any, key: Operand, counter: Operand, *, shape: tuple[int, ...], bits: int) -> Any:
    """Words of 16, 32 or 64 bits: word i of Philox4x64-10 with `key` (seed, stream) and `counter` (0, call, 0, 0)."""
    return backend_of(key).random_bits(key, counter, shape, bits)


def _case_words(bits: int, **params: Any) -> Any:
    return lambda rng: ((rng.integers(0, 1 << bits, (2, 3), f"u{bits // 8}"),), params)


@primitive(samples=_case_words(32), c="({x} >> 8) * 0x1p-24f")
def unit_float32(xp: Any, x: Operand) -> Any:
    """32-bit words as multiples of 2**-24 in [0, 1)."""
    return xp.right_shift(x, np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)


@primitive(samples=_case_words(64), c="({x} >> 11) * 0x1p-53")
def unit_float64(xp: Any, x: Operand) -> Any:
    """64-bit words as multiples of 2**-53 in [0, 1)."""
    return xp.right_shift(x, np.uint64(11)).astype(np.float64) * 2.0**-53


@primitive(
    samples=_case_words(64, low=-2, span=5),
    c="(int64_t)((({x} >> 32) * {span} + ((({x} & 0xffffffff) * {span}) >> 32)) >> 32) + {low}",
)
def bounded(xp: Any, x: Operand, *, low: int, span: int) -> Any:
    """64-bit words as integers from low to low + span - 1: low + floor(x span / 2**64); off from even by span / 2**64."""
    half, n = np.uint64(32), np.uint64(span)
    high = xp.right_shift(x, half) * n
    carry = xp.right_shift(xp.bitwise_and(x, np.uint64(0xFFFFFFFF)) * n, half)
    return xp.right_shift(high + carry, half).astype(np.int64) + low


@primitive(samples=_case_words(64), kind="opaque", infer=lambda x: (x.shape, np.dtype(np.int64)))
def sorting_order(xp: Any, x: Operand) -> Any:
    """The positions of the elements along the last axis in increasing order."""
    return xp.argsort(x).astype(np.int64)


# ---- streams


def _word(value: int, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not 0 <= value < _LIMIT:
        raise ArgumentError(f"{name}: {value!r} must be an integer from 0 to 2**64 - 1")
    return int(value)


class Generator:
    """One stream of random numbers: two integers that name it and the number of its next call.

    Args:
        seed: 0 to 2**64 - 1, as is `stream`; two different pairs never give overlapping numbers.
        stream: which of the streams of this seed.
        call: where to begin; a call is replayed by setting `generator.call` to its number.

    Example:
        >>> import minigrad as mg
        >>> generator = mg.random.Generator(7)
        >>> first = mg.random.uniform(3, generator=generator)
        >>> generator.call = 0
        >>> bool((mg.random.uniform(3, generator=generator) == first).all())
        True
    """

    __slots__ = ("_keys", "call", "seed", "stream")

    def __init__(self, seed: int, stream: int = 0, *, call: int = 0) -> None:
        self.seed, self.stream, self.call = _word(seed, "seed"), _word(stream, "stream"), _word(call, "call")
        self._keys: dict[str, Tensor] = {}

    @property
    def state(self) -> tuple[int, int, int]:
        """(seed, stream, call): all that there is to know. Settable."""
        return self.seed, self.stream, self.call

    @state.setter
    def state(self, value: Any) -> None:
        try:
            seed, stream, call = value
        except (TypeError, ValueError):
            raise ArgumentError(f"state: {value!r} must be three integers: seed, stream, call") from None
        self.seed, self.stream, self.call = _word(seed, "seed"), _word(stream, "stream"), _word(call, "call")
        self._keys = {}

    def place(self, device: str) -> tuple[Tensor, Tensor]:
        """Key and counter of the next call, as arrays on `device`; the call is then used up."""
        with _lock:
            call, self.call = self.call, self.call + 1
        backend = get_backend(device)
        key = self._keys.get(device)
        if key is None:
            words = np.array([self.seed, self.stream], np.uint64)
            key = self._keys[device] = box(backend.asarray(words, None, device), None)
        return key, box(backend.asarray(np.array([0, call, 0, 0], np.uint64), None, device), None)

    def __deepcopy__(self, memo: dict[int, Any]) -> Generator:
        return Generator(*self.state[:2], call=self.call)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Generator) and self.state == other.state

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"Generator(seed={self.seed}, stream={self.stream}, call={self.call})"


_default = Generator(0)
_streams = 1  # number of the next stream; 0 is the default generator's


def seed(n: int) -> None:
    """Start anew: the default generator becomes stream 0 of seed `n`, and the streams of new layers count from 1.

    Layers that are there keep their streams. The seed is 0 before anybody sets it.

    Raises:
        ArgumentError: not an integer from 0 to 2**64 - 1.

    Example:
        >>> import minigrad as mg
        >>> mg.random.seed(3)
        >>> a = mg.random.normal(2)
        >>> mg.random.seed(3)
        >>> bool((a == mg.random.normal(2)).all())
        True
    """
    global _streams
    n = _word(n, "n")
    with _lock:
        _streams = 1
    _default.state = (n, 0, 0)


def new_stream() -> Generator:
    """A generator of the current seed whose stream nobody has yet; random layers call this when they are constructed.

    Example:
        >>> import minigrad as mg
        >>> mg.random.seed(0)
        >>> mg.random.new_stream(), mg.random.new_stream()
        (Generator(seed=0, stream=1, call=0), Generator(seed=0, stream=2, call=0))
    """
    global _streams
    with _lock:
        number, _streams = _streams, _streams + 1
    return Generator(_default.seed, number)


def get_state() -> dict[str, int]:
    """Seed and call of the default generator and the number of the next stream: plain integers, for `set_state`."""
    return {"seed": _default.seed, "call": _default.call, "streams": _streams}


def set_state(state: dict[str, int]) -> None:
    """Go on from where `get_state` was called.

    Raises:
        ArgumentError: it lacks one of the three integers.
    """
    global _streams
    if not isinstance(state, dict) or set(state) != {"seed", "call", "streams"}:
        raise ArgumentError(f"state: {state!r} must have exactly the integers 'seed', 'call' and 'streams'")
    values = {k: _word(v, k) for k, v in state.items()}
    _default.state = (values["seed"], 0, values["call"])
    with _lock:
        _streams = values["streams"]


# ---- distributions


def _bits(shape: Shape, bits: int, generator: Generator | None, device: str | None) -> Tensor:
    if generator is not None and not isinstance(generator, Generator):
        raise ArgumentError(
            f"generator: {generator!r} must be a minigrad.random.Generator, or None for the default one"
        )
    at = device or MODES.get().device or "numpy"
    key, counter = (generator or _default).place(get_backend(at).parse_device(at))
    return random_bits(key, counter, shape=shape, bits=bits)


def _shape(shape: Shape) -> tuple[int, ...]:
    sizes = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
    if any(not isinstance(n, (int, np.integer)) or n < 0 for n in sizes):
        raise ArgumentError(f"shape: {shape!r} must be a size or a tuple of sizes, integers of at least 0")
    return tuple(int(n) for n in sizes)


def _unit(shape: tuple[int, ...], dtype: np.dtype[Any], generator: Generator | None, device: str | None) -> Tensor:
    if dtype == np.float64:
        return unit_float64(_bits(shape, 64, generator, device))
    return unit_float32(_bits(shape, 32, generator, device))


def _float(dtype: Any) -> np.dtype[Any]:
    out = np.dtype(dtype)
    if out.kind != "f":
        raise DtypeError(f"dtype: {out} holds no random reals; use a floating dtype, or random.integers")
    return out


def uniform(
    shape: Shape = (),
    low: Operand = 0.0,
    high: Operand = 1.0,
    *,
    dtype: Any = "float32",
    device: str | None = None,
    generator: Generator | None = None,
) -> Tensor:
    """Evenly distributed numbers in [low, high).

    On [0, 1) they are the multiples (u32 >> 8) 2**-24 for float32 (rounded once more for float16) and (u64 >> 11) 2**-53
    for float64, of the call's 32- or 64-bit words.

    Example:
        >>> import minigrad as mg
        >>> mg.random.uniform((2, 3), generator=mg.random.Generator(0)).shape
        (2, 3)
    """
    kind = _float(dtype)
    u = _unit(_shape(shape), kind, generator, device)
    if not (isinstance(low, (int, float)) and isinstance(high, (int, float)) and (low, high) == (0, 1)):
        u = u * (high - low) + low
    return u if u.dtype == kind else u.astype(kind)


def normal(
    shape: Shape = (),
    mean: Operand = 0.0,
    std: Operand = 1.0,
    *,
    dtype: Any = "float32",
    device: str | None = None,
    generator: Generator | None = None,
) -> Tensor:
    """Normally distributed numbers, by Box and Muller's transform: elements 2k and 2k + 1 are r cos t and r sin t.

    With uniform numbers u and w from words 2k and 2k + 1: r = sqrt(-2 ln(1 - u)), t = 2 pi w. In float32 none is further
    than 5.77 standard deviations from the mean. Source: Box, Muller, "A note on the generation of random normal deviates",
    The Annals of Mathematical Statistics 29(2), 1958.

    Example:
        >>> import minigrad as mg
        >>> abs(mg.random.normal(10000, generator=mg.random.Generator(0)).mean().item()) < 0.03
        True
    """
    kind, sizes = _float(dtype), _shape(shape)
    n = math.prod(sizes)
    pairs = -(-n // 2)
    u = _unit((pairs, 2), kind, generator, device)
    r = sqrt(-2.0 * log(1.0 - take_part(u, axis=1, start=0, stop=1)))
    t = take_part(u, axis=1, start=1, stop=2) * (2.0 * math.pi)
    z = reshape_(concat([r * cos(t), r * sin(t)], axis=1), shape=(2 * pairs,))
    z = reshape_(z if n == 2 * pairs else take_part(z, axis=0, start=0, stop=n), shape=sizes)
    if not (isinstance(mean, (int, float)) and isinstance(std, (int, float)) and (mean, std) == (0, 1)):
        z = z * std + mean
    return z if z.dtype == kind else z.astype(kind)


def mask(
    shape: Shape, p: float, *, device: str | None = None, generator: Generator | None = None
) -> tuple[Tensor, float]:
    """A boolean mask that is False with probability `p`, and the factor 1 / (1 - p) that keeps a masked mean where it was.

    An element is kept where its 16-bit word is at least t = round(65536 p); where p or 1 - p is under 0.01, its 32-bit word
    at least round(2**32 p). The factor is the exact reciprocal of the probability that this gives, and 0 when all are
    dropped. This is what dropout is made of.

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
    drawn = _bits(_shape(shape), bits, generator, device)
    return greater_equal(drawn, t), words / (words - t) if t < words else 0.0


def bernoulli(
    shape: Shape = (), p: float = 0.5, *, device: str | None = None, generator: Generator | None = None
) -> Tensor:
    """True with probability `p`, else False; `p` is rounded as in `mask`.

    Example:
        >>> import minigrad as mg
        >>> mg.random.bernoulli(3, 1.0)
        tensor([ True,  True,  True])
    """
    return mask(shape, 1 - probability(p, "p"), device=device, generator=generator)[0]


def integers(
    low: int,
    high: int | None = None,
    shape: Shape = (),
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
    first, last = (0, int(low)) if high is None else (int(low), int(high))
    if not 0 < last - first < 1 << 32:
        raise ArgumentError(f"integers: from {first} up to {last} there must be 1 to 2**32 - 1 of them; is high > low?")
    return bounded(_bits(_shape(shape), 64, generator, device), low=first, span=last - first)


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
    if not isinstance(n, (int, np.integer)) or n < 0:
        raise ArgumentError(f"permutation: n={n!r} must be an integer of at least 0, or a tensor")
    return sorting_order(_bits((int(n),), 64, generator, device))


def probability(p: float, name: str) -> float:
    """`p` itself; ArgumentError, naming the argument, if it is no number from 0 to 1."""
    if isinstance(p, bool) or not isinstance(p, (int, float, np.floating, np.integer)) or not 0 <= p <= 1:
        raise ArgumentError(f"{name}: {p!r} must be a probability, a number from 0 to 1")
    return float(p)
