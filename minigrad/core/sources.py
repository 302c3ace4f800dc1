"""Where in the user's code something happens: the nearest caller that is neither minigrad nor its layers."""

from __future__ import annotations

import sys
from types import FrameType

OURS = frozenset({"minigrad", "minigrad_layers", "contextlib"})  # the last runs what is decorated with a mode


def user_line() -> str | None:
    """`file:line` of that caller, None when there is none (a call from the interpreter's own machinery)."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_globals.get("__name__", "").partition(".")[0] not in OURS:
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back
    return None
