"""Run: the position in a training, that callbacks see and checkpoints keep."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minigrad import random
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
    """Sums of figures over samples, as float64 on the device: nothing is copied to the host before `means`."""

    def __init__(self, figures: dict[str, Figure], state: dict[str, Any] | None = None) -> None:
        self.count = int(state["count"]) if state else 0
        self.totals: dict[str, Any] = dict(state["totals"]) if state else dict.fromkeys(figures, 0.0)

    def add(self, name: str, value: Any, samples: int) -> None:
        """Add the mean `value` of a batch of `samples`."""
        self.totals[name] = value.detach().astype("float64") * samples + self.totals[name]

    def means(self) -> dict[str, float]:
        """The means over all samples; the one moment of an epoch at which the host waits."""
        return {name: total / self.count for name, total in self._read().items()}

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint in the middle of an epoch; float64 survives JSON exactly."""
        return {"count": self.count, "totals": self._read()}

    def _read(self) -> dict[str, float]:
        if all(isinstance(total, float) for total in self.totals.values()):
            return dict(self.totals)
        return dict(zip(self.totals, stack(list(self.totals.values())).tolist(), strict=True))
