"""Callbacks: objects that `fit` tells what happens, in the order in which they are given."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from minigrad import saving
from minigrad.answers import Answering
from minigrad.core import integer, number
from minigrad.errors import ArgumentError, CheckpointError
from minigrad.saving import atomic

if TYPE_CHECKING:
    from minigrad.training.history import Record
    from minigrad.training.run import Run

__all__ = ["Callback", "Checkpoint", "EarlyStopping", "HistoryFile"]

Mode = Literal["auto", "min", "max"]


class Callback(metaclass=Answering):
    """Subclass it and define what you need; `self.run` holds the model, the optimiser, the history and the position.

    `self.run.stop = True` ends the training after the epoch. Epochs are counted from 1, batches from 0.

    Example:
        >>> import minigrad as mg
        >>> class Halve(mg.training.Callback):
        ...     def on_epoch_end(self, epoch, logs):
        ...         for group in self.run.optimizer.param_groups:
        ...             group["lr"] = group["lr"] / 2
    """

    run: Run

    def on_train_begin(self) -> None:
        """Before the first epoch; a checkpoint is loaded here."""

    def on_epoch_begin(self, epoch: int) -> None:
        """Before the batches of an epoch."""

    def on_batch_end(self, batch: int) -> None:
        """After an optimiser's step. Reading a value of a device here makes the host wait for it."""

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        """After validation; `logs` is the epoch's record in the history."""

    def on_interrupt(self) -> None:
        """After Ctrl-C, between two steps: model and optimiser are consistent."""

    def on_train_end(self) -> None:
        """At the very end, also after an error; only where `on_train_begin` was gone through."""


class EarlyStopping(Callback):
    """Stops when a figure has not become better for some epochs. It keeps no state: all is read from the history.

    NaN is worse than any number; epochs that did not measure the figure do not count.

    Args:
        monitor: which figure of the history.
        patience: how many epochs in a row may be no better than the best before them.
        min_delta: how much better counts as better.
        mode: whether "min" or "max" is better; "auto" takes "max" for names that end in "accuracy".

    Example:
        >>> import minigrad as mg
        >>> mg.training.EarlyStopping(patience=10)
        EarlyStopping(monitor='val_loss', patience=10, min_delta=0.0)
    """

    def __init__(
        self, monitor: str = "val_loss", *, patience: int = 5, min_delta: float = 0.0, mode: Mode = "auto"
    ) -> None:
        self.monitor, self.patience = monitor, integer(patience, "patience", "EarlyStopping", least=1)
        self.min_delta = float(number(min_delta, "min_delta", "EarlyStopping"))
        self.sign = _sign(monitor, mode)

    def on_epoch_begin(self, epoch: int) -> None:
        """A resumed run may have ended already."""
        self._look()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        """Compare."""
        _value(self.monitor, logs, "EarlyStopping")
        self._look()

    def _look(self) -> None:
        values = _measured(self.monitor, self.sign, self.run.history.records)
        if len(values) > self.patience:
            before, since = values[: -self.patience], values[-self.patience :]
            best = min(before)
            self.run.stop = self.run.stop or all(not value < best - self.min_delta for value in since)

    def __repr__(self) -> str:
        return f"EarlyStopping(monitor={self.monitor!r}, patience={self.patience}, min_delta={self.min_delta})"


class Checkpoint(Callback):
    """Saves everything that is needed to go on, after each epoch and after Ctrl-C; and goes on.

    A resumed run equals one that was never interrupted, bit for bit on the same machine: order of the data, random
    streams of the layers, running statistics, moments of the optimiser, history, in the middle of an epoch too.

    Args:
        path: the file (minigrad.save).
        resume: begin from the file when it is there; `epochs` of `fit` stays the total.
        monitor: save after an epoch only if this figure is the best so far (and not after Ctrl-C); NaN never is.
        mode: as for EarlyStopping.
        extra: JSON values to be saved beside, under "extra".

    Raises:
        CheckpointError: the file to resume from is damaged or belongs to another model.
        ArgumentError: it was written with another order of the data.

    Example:
        >>> import minigrad as mg
        >>> mg.training.Checkpoint("weights.safetensors", resume=True)
        Checkpoint('weights.safetensors', resume=True)
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        resume: bool = False,
        monitor: str | None = None,
        mode: Mode = "auto",
        extra: dict[str, Any] | None = None,
    ) -> None:
        self.path, self.resume, self.monitor, self.extra = Path(path), resume, monitor, extra or {}
        self.sign = _sign(monitor or "loss", mode)

    def on_train_begin(self) -> None:
        """Load the file, if asked to and if it is there."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.resume and self.path.exists():
            found = saving.load(self.path, model=self.run.model, optimizer=self.run.optimizer)
            if "run" not in found:
                raise CheckpointError(f"{self.path}: it holds no training to resume; it was not written by Checkpoint")
            self.run.load_state_dict(found["run"])

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        """Save, if it is the best so far or no figure is monitored."""
        if self.monitor is not None:
            _value(self.monitor, logs, "Checkpoint")
            *earlier, value = _measured(self.monitor, self.sign, self.run.history.records)
            if not value < min(earlier, default=math.inf):
                return
        self.save()

    def on_interrupt(self) -> None:
        """Save the middle of the epoch."""
        if self.monitor is None:
            self.save()

    def save(self) -> None:
        """Write the file now."""
        run = self.run
        saving.save(self.path, model=run.model, optimizer=run.optimizer, run=run.state_dict(), extra=self.extra)

    def __repr__(self) -> str:
        return f"Checkpoint({str(self.path)!r}, resume={self.resume})"


class HistoryFile(Callback):
    """Writes the records into a file as they come, one JSON object a line; a run that goes on rewrites it from its own.

    Example:
        >>> import minigrad as mg
        >>> mg.training.HistoryFile("history.jsonl")
        HistoryFile('history.jsonl')
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def on_train_begin(self) -> None:
        """Make the folder, and a file of the epochs that a resumed run has behind it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write(self.path, [_line(record) for record in self.run.history.records])

    def on_epoch_end(self, epoch: int, logs: Record) -> None:
        """Append the epoch's line."""
        with self.path.open("ab") as file:
            file.write(_line(logs))

    def __repr__(self) -> str:
        return f"HistoryFile({str(self.path)!r})"


def _line(record: Record) -> bytes:
    """One line; JSON has no infinities, so they become null."""
    finite = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in record.items()}
    return json.dumps(finite, allow_nan=False).encode() + b"\n"


def _sign(monitor: str, mode: Mode) -> int:
    """1 where less is better, -1 where more is."""
    if mode not in ("auto", "min", "max"):
        raise ArgumentError(f"mode={mode!r} must be 'auto', 'min' or 'max'")
    return -1 if mode == "max" or (mode == "auto" and monitor.endswith("accuracy")) else 1


def _measured(monitor: str, sign: int, records: Sequence[Record]) -> list[float]:
    """A figure in the epochs that measured it, so that less is better: NaN is the worst of all."""
    values = [sign * record[monitor] for record in records if monitor in record]
    return [math.inf if math.isnan(value) else value for value in values]


def _value(monitor: str, logs: dict[str, Any], who: str) -> float:
    if monitor not in logs:
        figures = ", ".join(logs)
        raise ArgumentError(
            f"{who}: monitor={monitor!r} is not among the figures of an epoch ({figures}); "
            "val_ figures need validation data, and accuracy needs metrics=['accuracy']"
        )
    return float(logs[monitor])
