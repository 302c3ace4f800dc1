"""Dropout whose rate follows a schedule, moved by an explicit step."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import minigrad as mg
from minigrad.errors import ArgumentError, ArgumentTypeError
from minigrad_layers.dropout.masks import probability

__all__ = ["ScheduledDropout"]

SHAPES: dict[str, Callable[[float], float]] = {  # from 0 to 1 as t / steps goes from 0 to 1
    "linear": lambda t: min(t, 1.0),
    "curriculum": lambda t: 1.0 - math.exp(-10.0 * t),
    "switch": lambda t: float(t >= 1.0),
}


@mg.register_layer
class ScheduledDropout(mg.Module):
    """Any dropout whose rate goes from `start` to `stop` in `steps` steps, each of which is a call of `step()`.

    Nothing else moves it, so that evaluation and Monte Carlo predictions do not. p = start + (stop - start) s(t/steps):

    - "linear": s = min(t/steps, 1), as DropBlock's rate;
    - "curriculum": s = 1 - exp(-10 t/steps), from easy to hard;
    - "switch": 0 before `steps`, then 1: with start=p, stop=0 early dropout, against underfitting; with start=0, stop=p
      late dropout.

    The count of steps is a buffer, so checkpoints keep it; after loading one, `step(0)` sets the rate that belongs to
    it. A recorded program holds the rate at which it was recorded.

    Args:
        layer: a dropout, which `layer(x)` calls.
        start, stop: rates that the layer can have; stop=None for the one that it has now.
        steps: at least 1.
        schedule: above, or a function from t to the rate.
        name: the layer's attribute; None for the one that it declares as its `rate`, else "p".

    Source: Morerio, Cavazza, Volpi, Vidal, Murino, "Curriculum dropout", ICCV 2017; Liu, Xu, Jin, Shen, Darrell,
    "Dropout reduces underfitting", ICML 2023.

    Raises:
        ArgumentError: rates that are no probabilities, another schedule, a layer without that attribute.

    Example:
        >>> import minigrad as mg
        >>> from minigrad_layers import Dropout
        >>> layer = ScheduledDropout(Dropout(0.4), steps=4)
        >>> [layer.step().layer.p for _ in range(5)]
        [0.1, 0.2, 0.30000000000000004, 0.4, 0.4]
    """

    samples = (
        mg.Sample((mg.Sample.layer("Dropout", 0.4), 0.2), {"steps": 10}, inputs=((3, 4),)),
        mg.Sample((mg.Sample.layer("DropPath", 0.4), 0.3), {"schedule": "switch"}, inputs=((3, 4),)),
    )

    def __init__(
        self,
        layer: mg.Module,
        start: float = 0.0,
        stop: float | None = None,
        steps: int = 1000,
        schedule: str | Callable[[int], float] = "linear",
        *,
        name: str | None = None,
    ) -> None:
        if not isinstance(layer, mg.Module):
            raise ArgumentTypeError(f"ScheduledDropout: layer is a {type(layer).__name__}; give a dropout")
        if not callable(schedule) and schedule not in SHAPES:
            raise ArgumentError(
                f"ScheduledDropout: schedule={schedule!r} must be a function of the step, or one of {', '.join(SHAPES)}"
            )
        self.name: str = name or str(getattr(layer, "rate", "p"))
        now = vars(layer).get(self.name)
        if now is None:
            raise ArgumentError(
                f"ScheduledDropout: this {type(layer).__name__} has no number {self.name!r}; name the attribute to move"
            )
        self.layer, self.schedule = layer, schedule
        self.start, self.stop = self._checked(start, "start"), self._checked(now if stop is None else stop, "stop")
        self.steps = mg.arguments.integer(steps, "steps", "ScheduledDropout", 1)
        self.taken = mg.Buffer(mg.tensor(0, dtype="int64"))
        self.step(0)

    def step(self, by: int = 1) -> ScheduledDropout:
        """Take `by` more steps, and set the layer's rate; `step(0)` only sets it, as after loading a checkpoint."""
        self.taken.assign(self.taken + mg.arguments.integer(by, "by", "ScheduledDropout.step", 0))
        t = int(self.taken.item())
        if callable(self.schedule):
            p = self._checked(self.schedule(t), "schedule")
        else:
            p = self.start + (self.stop - self.start) * SHAPES[self.schedule](t / self.steps)
        setattr(self.layer, self.name, p)
        return self

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the layer takes and gives."""
        return self.layer(*args, **kwargs)

    def _checked(self, value: Any, name: str) -> float:
        check = getattr(self.layer, "checked", None)  # a rate that is no probability, or one that must be below 1
        if check is None:
            return probability(value, name, "ScheduledDropout")
        try:
            return float(check(value))
        except ArgumentError as error:
            raise ArgumentError(f"ScheduledDropout: {name}={value!r}: {error}") from None

    def extra_repr(self) -> str:
        """The schedule."""
        how = self.schedule if isinstance(self.schedule, str) else getattr(self.schedule, "__name__", "a function")
        return f"{self.name}: {self.start} to {self.stop} in {self.steps} steps, {how}"
