"""What the dropouts share: a layer that is random in training, and one composition of a mask, a product and a scale.

They differ in the shape of the mask, along which axes one number is shared, and in what the mask multiplies.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import MISSING, fields
from typing import Any, ClassVar

import minigrad as mg
from minigrad.errors import ArgumentError, AxisError
from minigrad_layers.options import Options


class Noise(Options):
    """A layer with a random stream of its own, `generator`, that it draws from in training and never in evaluation.

    `rate` names the attribute that says how much it drops: what `ScheduledDropout` moves.
    """

    rate: ClassVar[str] = "p"

    def prepare(self) -> None:
        """Check the rate, and take a stream that nobody has yet."""
        setattr(self, self.rate, self.checked(getattr(self, self.rate)))
        self.generator = mg.random.new_stream()

    def checked(self, value: Any) -> float:
        """A rate that the layer can have.

        Raises:
            ArgumentError: one that it cannot.
        """
        return probability(value, self.rate, type(self).__name__)

    def extra_repr(self) -> str:
        """PyTorch's; options that PyTorch has not are shown where they are not the usual ones."""
        usual = {f.name: f.default for f in fields(self) if f.kw_only and f.default is not MISSING}
        return ", ".join(f"{n}={v!r}" for n, _, v in self._fields() if n not in usual or v != usual[n])


def probability(value: Any, name: str, layer: str) -> float:
    """A number from 0 to 1: 1 drops everything."""
    if not 0 <= mg.arguments.number(value, name, layer) <= 1:
        raise ArgumentError(f"{layer}: {name}={value!r} must be a probability, a number from 0 to 1")
    return value if isinstance(value, (int, float)) else float(value)


def shared(shape: tuple[int, ...], axes: Iterable[int], layer: str) -> tuple[int, ...]:
    """The shape of a mask for `shape` that is the same along `axes`.

    Raises:
        AxisError: one that is not there.
    """
    sizes = list(shape)
    for a in axes:
        if not -len(sizes) <= a < len(sizes):
            raise AxisError(f"{layer}: axes has {a}, and x has shape {shape}")
        sizes[a] = 1
    return tuple(sizes)


@mg.composite
def bernoulli(
    x: mg.Tensor, shape: tuple[int, ...], p: float, generator: mg.random.Generator
) -> tuple[mg.Tensor, float]:
    """The numbers that dropout multiplies `x` by, 0 with probability `p` and else 1, and how likely the 1 is."""
    mask, scale = mg.random.mask(shape, p, like=x, generator=generator)
    return mg.astype(mask, x.dtype), 1.0 / scale if scale else 0.0


def _textbook(
    x: mg.Tensor, shape: tuple[int, ...], p: float, generator: mg.random.Generator, *, scaled: bool = True
) -> mg.Tensor:
    r, kept = bernoulli(x, shape, p, generator)
    y = (r.named("r") * x).named("_kept")
    return y / kept if kept and scaled else y


@mg.composite(textbook=_textbook, fuse=True)
def drop(
    x: mg.Tensor, shape: tuple[int, ...], p: float, generator: mg.random.Generator, *, scaled: bool = True
) -> mg.Tensor:
    """r ~ Bernoulli(1 - p) of a shape that broadcasts to x's, y = r x / (1 - p); r x where it is not scaled.

    All is 0 for p = 1. What is dropped is 0 exactly, an inf or NaN too.
    """
    mask, scale = mg.random.mask(shape, p, like=x, generator=generator)
    y = mg.keep(x, mask)
    return y * scale if scaled else y
