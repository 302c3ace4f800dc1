"""Stochastic gradient descent, plain or with momentum."""

from __future__ import annotations

import math
from typing import Any

from minigrad.errors import ArgumentError
from minigrad.optim.base import Optimizer
from minigrad.optim.declared import when
from minigrad.optim.options import option
from minigrad.optim.terms import downhill

__all__ = ["SGD"]


class SGD(Optimizer):
    """Stochastic gradient descent: p ← p - lr g, or with momentum along a decaying sum of g.

    With momentum, buffer ← momentum buffer + (1 - dampening) g, of the first gradient all, and p ← p - lr buffer; with
    `nesterov` p ← p - lr (g + momentum buffer).

    Args:
        params: what to change; see `Optimizer`.
        lr: the learning rate.
        momentum: how much of the sum of gradients is kept from step to step; 0 keeps no sum.
        dampening: the sum takes 1 - dampening of a gradient, all of the one with which it begins; not with `nesterov`.
        weight_decay: this much of p is added to g.
        nesterov: look ahead along the momentum, which must then be above 0.
        maximize: go uphill.

    Source: Sutskever, Martens, Dahl, Hinton, "On the importance of initialization and momentum in deep learning", ICML
    2013.

    Example:
        >>> import minigrad as mg
        >>> x = mg.Parameter(mg.tensor([1.0, -2.0]))
        >>> optimizer = mg.optim.SGD([x], lr=0.25)
        >>> (x * x).sum().backward()
        >>> optimizer.step()
        >>> x
        tensor([ 0.5, -1. ], requires_grad=True)
    """

    lr: float = 1e-3
    momentum: float = 0.0
    dampening: float = option(0.0, least=-math.inf)
    weight_decay: float = 0.0
    nesterov: bool = False
    maximize: bool = False

    @staticmethod
    def check(momentum: float, dampening: float, nesterov: bool) -> None:
        """Refuse what does not go with `nesterov`."""
        if nesterov and not momentum:
            raise ArgumentError("nesterov: it looks ahead along the momentum, so momentum must be above 0")
        if nesterov and dampening:
            raise ArgumentError(f"dampening: {dampening} must be 0 with nesterov, as in PyTorch")

    @staticmethod
    def scalars(lr: float, dampening: float, fresh: bool) -> dict[str, float]:
        """The learning rate, and what share of the gradient the sum takes."""
        return {"lr": lr, "share": 1.0 if fresh else 1.0 - dampening}

    @staticmethod
    def rule(
        p: Any, g: Any, momentum_buffer: Any = when("momentum"), *,
        momentum: float, dampening: float, weight_decay: float, nesterov: bool, maximize: bool, lr: Any, share: Any,
    ) -> tuple[Any, ...]:  # fmt: skip
        """One step for one parameter."""
        g = direction = downhill(p, g, weight_decay, maximize)
        if momentum:
            momentum_buffer = momentum_buffer * momentum + (g * share if dampening else g)
            direction = g + momentum_buffer * momentum if nesterov else momentum_buffer
        return p - direction * lr, momentum_buffer
