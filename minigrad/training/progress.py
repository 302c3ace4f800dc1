"""Progress: a bar by rich on a terminal, else one plain line an epoch."""

from __future__ import annotations

import sys
import time
from typing import Any

from minigrad.training.callbacks import Callback

__all__ = ["Progress"]

REFRESH = 0.1  # seconds between two drawings of the bar


class Progress(Callback):
    """Tells how far the training is; `fit` adds one by itself when `verbose` is not 0.

    Args:
        bar: True for a bar when standard output is a terminal and rich is installed (extra `train`).

    Example:
        >>> import minigrad as mg
        >>> mg.training.Progress(bar=False)
        Progress(bar=False)
    """

    def __init__(self, *, bar: bool = True) -> None:
        self.bar = bar
        self._live: Any = None

    def on_train_begin(self) -> None:
        """Set the bar up."""
        if not (self.bar and sys.stdout.isatty()):
            return
        try:
            from rich import progress as rich
        except ImportError:
            return
        columns = ("{task.description}", rich.BarColumn(), rich.MofNCompleteColumn(), rich.TimeRemainingColumn())
        self._live = rich.Progress(*columns, auto_refresh=False, transient=True)
        self._live.start()
        total = self.run.batches and self.run.batches * self.run.epochs
        done = (self.run.batches or 0) * self.run.done + self.run.batch
        self._task = self._live.add_task("training", total=total, completed=done)
        self._drawn = 0.0

    def on_epoch_begin(self, epoch: int) -> None:
        """Name the epoch."""
        if self._live is not None:
            self._live.update(self._task, description=f"epoch {epoch}/{self.run.epochs}")

    def on_batch_end(self, batch: int) -> None:
        """Move the bar, and draw it now and then."""
        if self._live is not None:
            self._live.advance(self._task)
            if (now := time.monotonic()) - self._drawn > REFRESH:
                self._drawn = now
                self._live.refresh()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        """Write the epoch's line."""
        line = epoch_line(logs, self.run.epochs)
        if self._live is not None:
            self._live.console.print(line, highlight=False, markup=False)
        else:
            print(line, flush=True)

    def on_train_end(self) -> None:
        """Take the bar away."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def __repr__(self) -> str:
        return f"Progress(bar={self.bar})"


def epoch_line(logs: dict[str, Any], epochs: int) -> str:
    """An epoch's record for people: "epoch  3/15  loss 0.1234  val_accuracy 98.4 %  1.2 s"."""
    figures = [
        f"{name} {100 * value:.1f} %" if name.endswith("accuracy") else f"{name} {value:.4f}"
        for name, value in logs.items()
        if name not in ("epoch", "lr", "seconds")
    ]
    head = f"epoch {logs['epoch']:>{len(str(epochs))}}/{epochs}"
    return "  ".join([head, *figures, f"{logs['seconds']:.1f} s"])
