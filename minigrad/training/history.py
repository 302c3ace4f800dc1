"""What a training remembers of each epoch, in memory and as a file of JSON lines."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

from minigrad.saving import atomic
from minigrad.training.callbacks import Callback

__all__ = ["History", "HistoryFile"]

ABOUT_THE_RUN = ("epoch", "lr", "seconds")

Record = dict[str, Any]


class History:
    """The figures of every epoch so far.

    `records` is one dict an epoch: `epoch` (from 1), `loss`, `val_loss`, each metric and its `val_` twin, `lr`,
    `seconds`. `history` is the same by figure: {"loss": [...], "val_loss": [...], "accuracy": [...], …}.

    Example:
        >>> from minigrad.training import History
        >>> History([{"epoch": 1, "loss": 0.5, "lr": 0.1, "seconds": 2.0}]).history
        {'loss': [0.5]}
    """

    def __init__(self, records: list[Record] | None = None) -> None:
        self.records: list[Record] = list(records or ())

    @property
    def history(self) -> dict[str, list[float]]:
        """One list a figure, one number an epoch."""
        names = [name for name in (self.records[0] if self.records else ()) if name not in ABOUT_THE_RUN]
        return {name: [record[name] for record in self.records] for name in names}

    def __len__(self) -> int:
        return len(self.records)

    def __repr__(self) -> str:
        last = ", ".join(f"{name} {values[-1]:.4g}" for name, values in self.history.items())
        return f"History({len(self)} epochs{': ' + last if last else ''})"


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
