"""Dropout over time: one mask for a whole sequence, and states that stay what they were."""

from __future__ import annotations

from dataclasses import KW_ONLY
from typing import Any

import minigrad as mg
from minigrad.errors import ShapeError
from minigrad_layers.dropout.masks import Noise, drop, probability

__all__ = ["VariationalDropout", "Zoneout"]


@mg.register_layer
class VariationalDropout(Noise):
    """Dropout with one mask for all steps of a sequence, a new one for each call (also called locked dropout).

    (The learnt noise of Kingma, Salimans and Welling, which has the same name, is another thing.)

    Args:
        p: from 0 (the identity) to 1 (zeros).
        batch_first: x is (n, t, c); otherwise (t, n, c). Without n it is (t, c) in either case.

    Source: Gal, Ghahramani, "A theoretically grounded application of dropout in recurrent neural networks", NeurIPS
    2016.

    Raises:
        ArgumentError: p is no number from 0 to 1.
        ShapeError: x has neither two nor three axes.

    Example:
        >>> import minigrad as mg
        >>> y = VariationalDropout(0.5)(mg.ones((3, 100)))
        >>> {tuple(unit) for unit in y.T.tolist()} == {(0.0, 0.0, 0.0), (2.0, 2.0, 2.0)}
        True
    """

    p: float = 0.5
    _: KW_ONLY
    batch_first: bool = False

    samples = (
        mg.Sample((0.4,), inputs=((3, 2, 4),), batch=1),
        mg.Sample((0.4,), {"batch_first": True}, inputs=((2, 3, 4),)),
        mg.Sample((1.0,), inputs=((3, 2),), batch=None),
    )

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """x of shape (t, n, c), (n, t, c) or (t, c)."""
        if x.ndim not in (2, 3):
            raise ShapeError(
                f"VariationalDropout: x has shape {x.shape}, it must be (t, c), (t, n, c) or, if batch_first, (n, t, c)"
            )
        if not self.training or self.p == 0:
            return x
        time = 1 if self.batch_first and x.ndim == 3 else 0
        return drop(x, (*x.shape[:time], 1, *x.shape[time + 1 :]), self.p, self.generator)


@mg.composite
def zones(x: mg.Tensor, p: float, generator: mg.random.Generator) -> mg.Tensor:
    """1 with probability `p`, where the old state stays, and else 0; of the shape and dtype of `x`."""
    mask, _ = mg.random.mask(x.shape, p, like=x, generator=generator)
    return mg.astype(mg.logical_not(mask), x.dtype)


def _textbook(new: mg.Tensor, old: mg.Tensor, p: float, generator: mg.random.Generator | None) -> mg.Tensor:
    if generator is None:
        return p * old + (1 - p) * new
    d = zones(new, p, generator).named("d")
    return d * old + (1 - d) * new


@mg.composite(textbook=_textbook)
def zoned(new: mg.Tensor, old: mg.Tensor, p: float, generator: mg.random.Generator | None) -> mg.Tensor:
    """d old + (1 - d) new, d ~ Bernoulli(p) drawn from a generator, or its mean p where there is none."""
    if generator is None:
        return p * old + (1 - p) * new
    mask, _ = mg.random.mask(new.shape, p, like=new, generator=generator)
    return mg.where(mask, new, old)


@mg.register_layer
class Zoneout(mg.Module):
    """A recurrent cell each of whose units keeps its old state with probability p, in training.

    h = d h_old + (1 - d) h_new, d ~ Bernoulli(p); in evaluation d is its mean, h = p h_old + (1 - p) h_new. Nothing is
    scaled, and the state that is given back is the one that goes into the next step.

    Args:
        cell: a module that takes (x, state) and gives the next state: a tensor, or (h, c) as LSTMCell.
        p_hidden: of h, from 0 (the cell itself) to 1 (the state never moves).
        p_cell: of c.

    Source: Krueger et al., "Zoneout: regularizing RNNs by randomly preserving hidden activations", ICLR 2017.

    Raises:
        ArgumentError: p_hidden or p_cell is no number from 0 to 1.

    Example:
        >>> import minigrad as mg
        >>> from minigrad_layers import LSTMCell
        >>> h, c = Zoneout(LSTMCell(3, 4))(mg.ones((2, 3)))
        >>> h.shape, c.shape
        ((2, 4), (2, 4))
    """

    samples = (
        mg.Sample((mg.Sample.layer("RNNCell", 3, 4), 0.4), inputs=((2, 3), (2, 4))),
        mg.Sample((mg.Sample.layer("LSTMCell", 2, 3),), inputs=((2, 2), ((2, 3), (2, 3)))),
        mg.Sample((mg.Sample.layer("RNNCell", 2, 3), 1.0), inputs=((2, 2),)),
    )

    def __init__(self, cell: mg.Module, p_hidden: float = 0.05, p_cell: float = 0.5) -> None:
        self.cell = cell
        self.p_hidden = probability(p_hidden, "p_hidden", "Zoneout")
        self.p_cell = probability(p_cell, "p_cell", "Zoneout")
        self.generator = mg.random.new_stream()

    def forward(self, x: mg.Tensor, hx: Any = None, **keywords: Any) -> Any:
        """What the cell takes and gives: x and the state, zeros unless given."""
        new = self.cell(x, hx, **keywords)
        if isinstance(new, mg.Tensor):
            return self._state(new, hx, self.p_hidden)
        old = (None,) * len(new) if hx is None else hx
        rates = (self.p_hidden, *(self.p_cell,) * (len(new) - 1))
        return tuple(self._state(n, o, p) for n, o, p in zip(new, old, rates, strict=True))

    def _state(self, new: mg.Tensor, old: mg.Tensor | None, p: float) -> mg.Tensor:
        if p == 0:
            return new
        old = mg.zeros_like(new) if old is None else old
        return zoned(new, old, p, self.generator if self.training else None)

    def extra_repr(self) -> str:
        """The rates."""
        return f"p_hidden={self.p_hidden}, p_cell={self.p_cell}"
