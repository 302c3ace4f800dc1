"""Ctrl-C during a training: held back until the step under way is finished, so that nothing is left half updated."""

from __future__ import annotations

import signal
import threading
from collections.abc import Sequence
from types import FrameType, TracebackType
from typing import Self

from minigrad.training.callbacks import Callback
from minigrad.training.history import History
from minigrad.training.run import Run

__all__ = ["CtrlC", "Interrupted"]


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during `fit`: the step under way was finished, callbacks have saved. `.history` is what was reached."""

    def __init__(self, message: str, history: History) -> None:
        super().__init__(message)
        self.history = history


class CtrlC:
    """Around a training: notes Ctrl-C, and stops at the next `check`.

    Only in the main thread, and only where Python's own handler is in force; a second Ctrl-C is not held back.
    """

    def __init__(self, run: Run, callbacks: Sequence[Callback]) -> None:
        self.run, self.callbacks = run, callbacks
        self.asked = self.held = False

    def __enter__(self) -> Self:
        main = threading.current_thread() is threading.main_thread()
        self.held = main and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if self.held:
            signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self.held:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        if self.asked and error is None:
            raise KeyboardInterrupt  # it came in the last moments: the training is over, but the user wants out

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def check(self) -> None:
        """Between two steps: stop here, if asked to."""
        if not self.asked:
            return
        self.asked = False
        for callback in self.callbacks:
            callback.on_interrupt()
        where = f"after {self.run.done} of {self.run.epochs} epochs and {self.run.batch} batches of the next"
        raise Interrupted(f"fit: stopped by Ctrl-C {where}", self.run.history)
