"""Normalization inside a recurrent step: of the products with x and with h, and of an LSTM's c on its way to h.

The biases of the layer are added afterwards. Another norm is another subclass of `Norms`, entered in `NORMS`.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import minigrad as mg
from minigrad.errors import ArgumentError
from minigrad_layers.normalization import LayerNorm


class Norms(mg.Module):
    """The norms of one recurrent step.

    Args:
        parts: sizes of the parts of a product that are normalized by themselves, as many as there are in it.
        cell: size of the cell state, 0 where there is none.
        options: dtype and device.
    """

    @abstractmethod
    def __init__(self, parts: tuple[int, ...], cell: int, options: dict[str, Any]) -> None: ...

    @abstractmethod
    def inputs(self, a: mg.Tensor) -> mg.Tensor:
        """Of x's product, (times, n, features) for all times at once, or (n, features) in a cell."""

    @abstractmethod
    def hidden(self, a: mg.Tensor, t: int) -> mg.Tensor:
        """Of h's product at time t, (n, features)."""

    @abstractmethod
    def cell(self, c: mg.Tensor, t: int) -> mg.Tensor:
        """Of the cell state at time t, on its way to h; c itself goes on as it is."""


class LayerNorms(Norms):
    """Layer norm of each product and of the cell state, the same at all times.

    Source: Ba, Kiros, Hinton, "Layer normalization", arXiv 1607.06450, 2016, supplement; the biases that the paper
    gives each norm of a product would only be added to the layer's own.
    """

    def __init__(self, parts: tuple[int, ...], cell: int, options: dict[str, Any]) -> None:
        self.ih = [LayerNorm(n, bias=False, **options) for n in parts]
        self.hh = [LayerNorm(n, bias=False, **options) for n in parts]
        self.c = LayerNorm(cell, **options) if cell else None

    def _parts(self, norms: list[LayerNorm], a: mg.Tensor) -> mg.Tensor:
        if len(norms) == 1:
            return norms[0](a)  # type: ignore[no-any-return]
        made, at = [], 0
        for norm in norms:
            size = norm.normalized_shape[0]
            made.append(norm(a[..., at : at + size]))
            at += size
        return mg.concat(made, axis=-1)

    def inputs(self, a: mg.Tensor) -> mg.Tensor:
        """All times at once, since no time looks at another."""
        return self._parts(self.ih, a)

    def hidden(self, a: mg.Tensor, t: int) -> mg.Tensor:
        """The same at all times."""
        return self._parts(self.hh, a)

    def cell(self, c: mg.Tensor, t: int) -> mg.Tensor:
        """The same at all times."""
        return c if self.c is None else self.c(c)


NORMS: dict[str, type[Norms]] = {"layer": LayerNorms}


def norms(
    layer: str, name: str | None, parts: tuple[int, ...], hidden: int, cell: bool, options: dict[str, Any]
) -> Norms | None:
    """The norms called `name`, None for none.

    Raises:
        ArgumentError: no norm has this name.
    """
    if name is None:
        return None
    if name not in NORMS:
        raise ArgumentError(f"{layer}: norm={name!r} must be None or one of {', '.join(map(repr, NORMS))}")
    return NORMS[name](tuple(n * hidden for n in parts), hidden if cell else 0, options)
