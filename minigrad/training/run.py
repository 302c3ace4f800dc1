"""Run: the position in a training, that callbacks see and checkpoints keep."""

from __future__ import annotations

from collections.abc import Callable
from math import nan
from typing import Any

import numpy as np

from minigrad import random
from minigrad.core import Tensor
from minigrad.errors import ArgumentError
from minigrad.ops.joining import stack
from minigrad.training.feed import Feed
from minigrad.training.history import History

__all__ = ["Figure", "Run", "Sums"]

Figure = Callable[[Any, Any], Any]


class Run:
    """A training under way: what callbacks read, and what a checkpoint keeps.

    `model`, `optimizer`, `epochs` (the total), `done` (finished epochs), `batch` (finished batches of the epoch under
    way), `batches` (of an epoch, None if unknown), `history`, and `stop`, which a callback sets to end after the epoch.
    """

    def __init__(self, model: Any, optimizer: Any, feed: Feed, figures: dict[str, Figure], epochs: int) -> None:
        self.model, self.optimizer, self.epochs = model, optimizer, epochs
        self.feed, self.figures = feed, figures
        self.batches = feed.batches
        self.done, self.batch, self.stop = 0, 0, False
        self.sums = Sums(figures)
        self.history = History()

    @property
    def lr(self) -> float:
        """The learning rate of the optimiser's first group."""
        return float(self.optimizer.param_groups[0]["lr"])

    def state_dict(self) -> dict[str, Any]:
        """Where the run is, JSON's types only; the middle of an epoch too."""
        return {
            "done": self.done,
            "batch": self.batch,
            "sums": self.sums.state_dict() if self.batch else None,
            "records": self.history.records,
            "order": self.feed.order(),
            "random": random.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there. ArgumentError when the data has another order now."""
        then, now = state["order"] or {}, self.feed.order() or {}
        different = [name for name in now if then.get(name) != now[name]]
        if different:
            raise ArgumentError(
                "fit: the run to resume had "
                + ", ".join(f"{k}={then.get(k)} (now {now[k]})" for k in different)
                + "; give the same data in the same order, or start anew without resume"
            )
        self.done, self.batch = int(state["done"]), int(state["batch"])
        self.history.records[:] = state["records"]
        self.sums = Sums(self.figures, state["sums"])
        random.set_state(state["random"])


class Sums:
    """Sums of figures over samples, as float64 on the device: nothing is copied to the host before `means`.

    Each figure counts its own samples: the middle of an epoch may be gone on from with another metric.
    """

    def __init__(self, figures: dict[str, Figure], state: dict[str, Any] | None = None) -> None:
        self.totals: dict[str, Any] = dict.fromkeys(figures, 0.0)
        self.counts = dict.fromkeys(figures, 0)
        if state is None:
            return
        for name in self.totals.keys() & state["totals"]:
            self.totals[name] = state["totals"][name]
            # older files have one count for all figures
            self.counts[name] = int(state["counts"][name] if "counts" in state else state["count"])

    def add(self, name: str, value: Any, samples: int) -> None:
        """Add the mean `value` of a batch of `samples`, a tensor of one element or a number.

        Raises:
            ArgumentError: neither of them.
        """
        if isinstance(value, Tensor) and value.size == 1:
            value = (value.reshape(()) if value.ndim else value).detach().astype("float64")
        elif isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
            got = f"a tensor of shape {value.shape}" if isinstance(value, Tensor) else f"{value!r}"
            raise ArgumentError(
                f"fit: the metric {name!r} returned {got}; it must return the mean over the batch, a tensor of one "
                "element or a number"
            )
        self.totals[name] = value * samples + self.totals[name]
        self.counts[name] += samples

    def means(self) -> dict[str, float]:
        """The means over all samples; the one moment of an epoch at which the host waits."""
        return {name: total / self.counts[name] if self.counts[name] else nan for name, total in self._read().items()}

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint in the middle of an epoch; float64 survives JSON exactly."""
        return {"counts": dict(self.counts), "totals": self._read()}

    def _read(self) -> dict[str, float]:
        there = {name: total for name, total in self.totals.items() if isinstance(total, Tensor)}
        read = dict(zip(there, stack(list(there.values())).tolist(), strict=True)) if there else {}
        return {name: float(read.get(name, total)) for name, total in self.totals.items()}
