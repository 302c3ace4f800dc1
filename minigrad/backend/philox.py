"""Philox4x64-10 exactly as NumPy has it, on plain uint64 arrays of any library: the reference for every backend.

A counter-based generator: word i depends on nothing but key, counter and i, so a stream is three integers and any call
can be replayed by its number. Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3" (2011).
The NumPy backend uses NumPy's own C code and the CuPy backend the kernel in `kernels.py`; both are tested against this.
"""

from __future__ import annotations

from typing import Any

from minigrad.errors import ArgumentError

MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
WEYL = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
MASK64 = (1 << 64) - 1


def joined(words: Any, count: int, name: str) -> int:
    """One large integer from `count` 64-bit words, lowest first.

    Raises ArgumentError for another number of words, and for a word outside 0 ... 2**64 - 1.

    >>> joined((1, 2), 2, "key") == 1 + (2 << 64)
    True
    """
    values = [int(word) for word in words]
    if len(values) != count or min(values) < 0 or max(values) > MASK64:
        raise ArgumentError(f"random_bits: {name}={tuple(values)} must be {count} integers from 0 to 2**64 - 1")
    return sum(word << 64 * i for i, word in enumerate(values))


def words(xp: Any, key: int, counter: int, n: int) -> Any:
    """The first `n` words (uint64) of `numpy.random.Philox(key=key, counter=counter).random_raw(n)`.

    `xp` needs uint64 arithmetic that wraps. NumPy adds 1 to the counter before each block of 4 words.

    >>> import numpy as np
    >>> bool((words(np, 5, 7, 9) == np.random.Philox(key=5, counter=7).random_raw(9)).all())
    True
    """
    u64 = xp.uint64
    blocks = -(-n // 4)
    start = counter + 1
    c0 = xp.arange(blocks, dtype=u64) + u64(start & MASK64)
    c = [c0]
    carry = (c0 < u64(start & MASK64)).astype(u64)
    for i in (1, 2, 3):
        word = xp.full(blocks, start >> 64 * i & MASK64, dtype=u64) + carry
        carry = carry * (word == u64(0)).astype(u64)
        c.append(word)
    k0, k1 = key & MASK64, key >> 64
    for _ in range(10):
        high0, low0 = _high(xp, c[0], MULTIPLIERS[0]), c[0] * u64(MULTIPLIERS[0])
        high1, low1 = _high(xp, c[2], MULTIPLIERS[1]), c[2] * u64(MULTIPLIERS[1])
        c = [high1 ^ c[1] ^ u64(k0), low1, high0 ^ c[3] ^ u64(k1), low0]
        k0, k1 = (k0 + WEYL[0]) & MASK64, (k1 + WEYL[1]) & MASK64
    return xp.stack(c, axis=1).reshape(-1)[:n]


def _high(xp: Any, a: Any, b: int) -> Any:
    """High 64 bits of uint64 array `a` times `b`, in pieces of 32 bits."""
    half, low = xp.uint64(32), xp.uint64(0xFFFFFFFF)
    b0, b1 = xp.uint64(b & 0xFFFFFFFF), xp.uint64(b >> 32)
    a0, a1 = a & low, a >> half
    middle = a1 * b0 + (a0 * b0 >> half)
    return a1 * b1 + (middle >> half) + (a0 * b1 + (middle & low) >> half)
