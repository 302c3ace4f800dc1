"""A layer on one of its samples, as the checks see it: a function of every floating input and parameter.

It gives the same for the same: random streams start from the same place in each run, running statistics are put back
after it, and what a layer holds constant by `stop_gradient` stays what it was in the first run, so that differences
compare with what the rules differentiate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import numpy as np

from minigrad.core import MODES, Tensor, change, rebind, tensor
from minigrad.core.modes import Watcher
from minigrad.errors import ArgumentError
from minigrad.module import Module, Parameter, Sample, stand_in
from minigrad.transforms.structures import leaves, mapped

Array = np.ndarray[Any, np.dtype[Any]]


class Trial:
    """One layer, its parameters not those it starts with, its running statistics moved by two batches, and values for
    its inputs. One weight of each module is 0, where hand-derived rules divide by it, and only one: where all of its
    parameters are 0 at once, thresholds meet what they are compared with.
    """

    def __init__(self, make: Callable[[], Module], sample: Sample, seed: int = 0) -> None:
        self.make, self.sample, self.rng = make, sample, np.random.default_rng(seed)
        self.layer = make().astype("float64")
        self.training = True
        zeroed: set[str] = set()
        for name, p in self.layer.named_parameters():
            values = p.numpy() * self.rng.uniform(0.5, 1.5, p.shape) + 0.5 * self.rng.standard_normal(p.shape)
            owner = name.rpartition(".")[0]
            if p.size > 1 and owner not in zeroed:
                values.flat[0] = 0.0
                zeroed.add(owner)
            p.data = values
        self.given = sample.values(self.rng)
        if any(True for _ in self.layer.buffers()):
            with change(recording=False):
                for _ in range(2):
                    self.call(self.layer.train(), self.tensors(sample.values(self.rng)))

    def mode(self, training: bool) -> Trial:
        """The same trial, in training or in evaluation."""
        self.training = training
        self.layer.train(training)
        return self

    def tensors(
        self, given: Any = None, *, dtype: str = "float64", device: str | None = None, track: bool = False
    ) -> Any:
        """The inputs as tensors, nested as the sample has them; floating ones in a dtype, tracked if asked for."""

        def made(array: Any, where: str) -> Tensor:
            if array.dtype.kind != "f":
                return tensor(array, device=device)
            return tensor(array, dtype=dtype, device=device, requires_grad=track)

        return mapped(self.given if given is None else given, made)

    def call(self, layer: Module, inputs: Any) -> list[Tensor]:
        """The tensors that the layer gives, in one list."""
        args, keywords = inputs
        out = list(leaves(layer(*args, **keywords)))
        for k, t in enumerate(out):
            if not isinstance(t, Tensor):
                raise AssertionError(
                    f"result {k} is a {type(t).__name__}, not a Tensor: forward left minigrad, whose functions give "
                    "tensors; write mg.sum for np.sum"
                )
        return out

    def floats(self) -> list[Array]:
        """The floating inputs, then the parameters that are learnt: what `function` takes."""
        inputs = [a for a in leaves(self.given) if a.dtype.kind == "f"]
        return [*inputs, *(p.numpy() for p in self.learnt().values())]

    def learnt(self) -> dict[str, Parameter]:
        """The parameters that require a gradient, by name."""
        return {name: p for name, p in self.layer.named_parameters() if p.requires_grad}

    def names(self) -> list[str]:
        """What `function`'s arguments are called in messages."""
        n = len([a for a in leaves(self.given) if a.dtype.kind == "f"])
        return [*(f"input {k}" for k in range(n)), *self.learnt()]

    def function(self, *, pin: bool = True) -> Callable[..., list[Tensor]]:
        """The floating results as a function of `floats()`; `pin` for what is compared with differences."""
        pinned, names = Pinned(), self.learnt()

        def f(*xs: Tensor) -> list[Tensor]:
            following = iter(xs)
            inputs = mapped(self.given, lambda a, _: next(following) if a.dtype.kind == "f" else tensor(a))
            mode = change(watchers=(*MODES.get().watchers, *([pinned.again()] if pin else [])))
            state = dict(zip(names, following, strict=True))
            with as_now(self.layer), stand_in(self.layer, state), mode:
                out = self.call(self.layer, inputs)
            found = [t for t in out if t.dtype.kind == "f"]
            if not found:
                raise ArgumentError(f"{type(self.layer).__name__} gives no floating result: nothing to differentiate")
            return found

        return f

    def copy(self, *, dtype: str = "float64", device: str | None = None) -> Module:
        """The layer in this mode on another dtype and device, its streams at their beginning."""
        twin = deepcopy(self.layer).astype(dtype)
        if device is not None:
            twin = twin.to(device)
        begin(twin)
        return twin


def begin(layer: Module) -> None:
    """Every random stream of a layer at a place of its own that is the same in every run."""
    for k, (_, generator) in enumerate(layer.named_generators()):
        generator.state = (2026, k, 0)


@contextmanager
def as_now(layer: Module) -> Iterator[None]:
    """Streams at their beginning; buffers and streams afterwards as they are now, whatever happens."""
    kept = [(b, b._data) for b in layer.buffers()]
    states = [(g, g.state, g.shares) for _, g in layer.named_generators()]
    begin(layer)
    try:
        yield
    finally:
        for b, array in kept:
            rebind(b, array)
        for g, state, shares in states:
            g.state = state
            g.shares = shares


class Pinned(Watcher):
    """Gives every value under `stop_gradient` what it was in the first run."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self.at = -1

    def again(self) -> Pinned:
        """Before each run: from the first value on."""
        self.at = self.at if self.at < 0 and not self.values else 0
        return self

    def forward(self, op: Any, args: tuple[Any, ...], params: dict[str, Any], out: Any) -> None:
        """Note what a stop_gradient gives, or give it what was noted."""
        if op.name != "stop_gradient":
            return
        if self.at < 0:
            self.values.append(out._data)
        elif self.at < len(self.values):
            out._data = self.values[self.at]
            self.at += 1
