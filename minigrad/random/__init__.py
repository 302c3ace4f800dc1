"""Random numbers that are the same on every backend: counter-based, so that a call depends on three integers alone.

A stream is (seed, stream, call): word i of a call is word i of Philox4x64-10 with key (seed, stream) and counter
(0, call, 0, 0), read little-endian. So nothing but those integers need be saved to go on where a run stopped, and any
call is replayed by its number. `seed` sets the seed of what follows; every random layer takes a stream of its own when
it is constructed (`new_stream`). Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC
2011.

Words are equal bit for bit on every backend; what goes through log and cos is equal to rounding. Results are never
tracked, but `low`, `high`, `mean` and `std` may be: the result is differentiable with respect to them.
"""

from typing import TYPE_CHECKING

from minigrad.answers import module_getattr
from minigrad.random.distributions import bernoulli, integers, mask, normal, permutation, uniform
from minigrad.random.streams import Generator, get_state, new_stream, seed, set_state

__all__ = [
    "Generator",
    "bernoulli",
    "get_state",
    "integers",
    "mask",
    "new_stream",
    "normal",
    "permutation",
    "seed",
    "set_state",
    "uniform",
]

if not TYPE_CHECKING:
    __getattr__ = module_getattr(__name__)
