"""What a training remembers of each epoch."""

from __future__ import annotations

import math
from typing import Any

__all__ = ["ABOUT_THE_RUN", "History", "Record"]

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
    def names(self) -> list[str]:
        """The figures of any epoch: a run may be resumed with validation or metrics that it did not have before."""
        found = dict.fromkeys(name for record in self.records for name in record)
        return [name for name in found if name not in ABOUT_THE_RUN]

    @property
    def history(self) -> dict[str, list[float]]:
        """One list a figure, one number an epoch, NaN in epochs that did not measure it."""
        return {name: [record.get(name, math.nan) for record in self.records] for name in self.names}

    def __len__(self) -> int:
        return len(self.records)

    def __repr__(self) -> str:
        last = ", ".join(f"{name} {values[-1]:.4g}" for name, values in self.history.items())
        return f"History({len(self)} epochs{': ' + last if last else ''})"
