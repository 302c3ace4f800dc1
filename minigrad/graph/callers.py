"""What Python's own stack tells a recorder: whether a sweep runs, and what a layer was called with."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

from minigrad.core import scope, sweep
from minigrad.transforms.recompute import ONE

_SWEEP, _ENTER = sweep.__code__, scope.__enter__.__code__
_AGAIN = getattr(ONE.whole, "__code__", None)


def _outwards() -> Iterator[FrameType]:
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        yield frame
        frame = frame.f_back


def inside_sweep() -> bool:
    """Whether a rule of a backward pass is running."""
    return any(frame.f_code is _SWEEP for frame in _outwards())


def rematerialises() -> bool:
    """Whether the innermost sweep is `remat`'s, through what it ran again: a part of the sweep around it."""
    frame = next((f for f in _outwards() if f.f_code is _SWEEP), None)
    return frame is not None and frame.f_back is not None and frame.f_back.f_code is _AGAIN


def given() -> frozenset[int] | None:
    """The ids of what a layer or composite that is being entered was called with; None when that cannot be told."""
    entering = next(frame for frame in _outwards() if frame.f_code is _ENTER)
    around = entering.f_back.f_locals if entering.f_back is not None else {}
    return frozenset(_ids([around["args"], around.get("kwargs", {})])) if "args" in around else None


def _ids(value: Any) -> Iterator[int]:
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            stack.extend(item.values())
        elif isinstance(item, (list, tuple)):
            stack.extend(item)
        else:
            yield id(item)
