"""The primitives of randomness. None has a rule, so that nothing random is ever tracked."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.backend import backend_of
from minigrad.core import Operand, primitive
from minigrad.core.domains import Case, Rng


def _case_bits(rng: Rng) -> Case:
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


@primitive(samples=_case_words(32), c={"raw": "({x} >> 8) * 0x1p-24f"})
def unit_float32(xp: Any, x: Operand) -> Any:
    """32-bit words as multiples of 2**-24 in [0, 1)."""
    return xp.right_shift(x, np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)


@primitive(samples=_case_words(64), c={"raw": "({x} >> 11) * 0x1p-53"})
def unit_float64(xp: Any, x: Operand) -> Any:
    """64-bit words as multiples of 2**-53 in [0, 1)."""
    return xp.right_shift(x, np.uint64(11)).astype(np.float64) * 2.0**-53


@primitive(
    samples=_case_words(64, low=-2, span=5),
    c={"raw": "(int64_t)((({x} >> 32) * {span} + ((({x} & 0xffffffff) * {span}) >> 32)) >> 32) + {low}"},
)
def bounded(xp: Any, x: Operand, *, low: int, span: int) -> Any:
    """64-bit words as integers from low to low + span - 1: low + floor(x span / 2**64)."""
    half, n = np.uint64(32), np.uint64(span)
    high = xp.right_shift(x, half) * n
    carry = xp.right_shift(xp.bitwise_and(x, np.uint64(0xFFFFFFFF)) * n, half)
    return xp.right_shift(high + carry, half).astype(np.int64) + low


@primitive(samples=_case_words(64), kind="opaque", infer=lambda x: (x.shape, np.dtype(np.int64)))
def sorting_order(xp: Any, x: Operand) -> Any:
    """The positions of the elements along the last axis in increasing order."""
    return xp.argsort(x).astype(np.int64)
