"""Where in the user's code something happens: the nearest caller that is neither minigrad nor its layers."""

from __future__ import annotations

import sys
from types import CodeType, FrameType

OURS = frozenset({"minigrad", "minigrad_layers", "contextlib"})  # the last runs what is decorated with a mode
_ours: dict[str, bool] = {}  # by name of a module, since a name is taken apart more slowly than looked up


def user_line() -> str | None:
    """`file:line` of that caller, None when there is none (a call from the interpreter's own machinery)."""
    frame = _user_frame(sys._getframe(1))
    return None if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"


def _user_frame(frame: FrameType | None) -> FrameType | None:
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        ours = _ours.get(module)
        if ours is None:
            ours = _ours[module] = module.partition(".")[0] in OURS
        if not ours:
            return frame
        frame = frame.f_back
    return None


class Lines:
    """`user_line` for one who asks at every operation: a place in the code is looked up once."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], tuple[CodeType, str]] = {}  # the code is kept, so that its id stays its own

    def __call__(self) -> str | None:
        """As `user_line`, for a caller that the engine calls: two frames at least are between it and the user."""
        frame = _user_frame(sys._getframe(3))
        if frame is None:
            return None
        code = frame.f_code
        key = id(code), frame.f_lasti
        seen = self._known.get(key)
        if seen is None:
            seen = self._known[key] = code, f"{code.co_filename}:{frame.f_lineno}"
        return seen[1]
