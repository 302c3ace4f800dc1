"""Streams of random numbers: two integers that name one, and the number of its next call."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from minigrad.answers import Answering
from minigrad.backend import get_backend
from minigrad.core import MODES, Tensor, box
from minigrad.errors import ArgumentError

_LIMIT = 1 << 64
_lock = threading.Lock()  # a call number is never given twice


def _word(value: int, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not 0 <= value < _LIMIT:
        raise ArgumentError(f"{name}: {value!r} must be an integer from 0 to 2**64 - 1")
    return int(value)


class Generator(metaclass=Answering):
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

    __slots__ = ("_keys", "call", "seed", "shares", "stream")
    shares: bool
    """Whether it is known, or meant, that another generator of the same module draws from the same stream; False again
    when `state` is set."""

    def __init__(self, seed: int, stream: int = 0, *, call: int = 0) -> None:
        self.seed, self.stream, self.call = _word(seed, "seed"), _word(stream, "stream"), _word(call, "call")
        self._keys: dict[str, Tensor] = {}
        self.shares = False

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
        self._keys, self.shares = {}, False

    def place(self, like: Tensor | str) -> tuple[Tensor, Tensor]:
        """Key and counter of the next call, as arrays on a device or beside a tensor; the call is then used up."""
        modes = MODES.get()
        take = self._take if modes.program is None else lambda: modes.program.take(self)
        call = take() if modes.replay is None else modes.replay.number(take)
        if modes.program is not None:  # recorded without values: the place is state, which goes in and comes out
            key, counter = modes.program.draw(self, call)
            return key, counter
        counter = np.array([0, call, 0, 0], np.uint64)
        device = like if isinstance(like, str) else like.device
        backend = get_backend(device)
        key = self._keys.get(device)
        if key is None:
            words = np.array([self.seed, self.stream], np.uint64)
            key = self._keys[device] = box(backend.asarray(words, None, device), None)
        return key, box(backend.asarray(counter, None, device), None)

    def _take(self) -> int:
        with _lock:
            call, self.call = self.call, self.call + 1
        return call

    def __deepcopy__(self, memo: dict[int, Any]) -> Generator:
        twin = Generator(*self.state[:2], call=self.call)
        twin.shares = self.shares
        return twin

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Generator) and self.state == other.state

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"Generator(seed={self.seed}, stream={self.stream}, call={self.call})"


default = Generator(0)
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
    default.state = (n, 0, 0)


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
    return Generator(default.seed, number)


def get_state() -> dict[str, int]:
    """Seed and call of the default generator and the number of the next stream: plain integers, for `set_state`."""
    return {"seed": default.seed, "call": default.call, "streams": _streams}


def set_state(state: dict[str, int]) -> None:
    """Go on from where `get_state` was called.

    Raises:
        ArgumentError: it lacks one of the three integers.
    """
    global _streams
    if not isinstance(state, dict) or set(state) != {"seed", "call", "streams"}:
        raise ArgumentError(f"state: {state!r} must have exactly the integers 'seed', 'call' and 'streams'")
    values = {k: _word(v, k) for k, v in state.items()}
    default.state = (values["seed"], 0, values["call"])
    with _lock:
        _streams = values["streams"]
