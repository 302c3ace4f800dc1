"""Stochastic gradient descent, plain or with momentum."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.core import Operand
from minigrad.errors import ArgumentError
from minigrad.optim.base import Optimizer, Params, at_least


def sgd(
    p: Operand,
    g: Operand,
    buffer: Any,
    lr: Operand,
    share: Operand | None = None,
    *,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
) -> tuple[Any, Any]:
    """One step of gradient descent for one parameter, in primitives: (new p, new buffer).

    buffer ← momentum buffer + share g, p ← p - lr buffer; with `nesterov` p ← p - lr (g + momentum buffer); without
    momentum p ← p - lr g, and the buffer, which may be None, stays. `lr` and `share` (1 unless given) are 0-d arrays of
    the dtype of p; `weight_decay` adds that much p to g.

    Example:
        >>> import minigrad as mg
        >>> p, g, buffer, lr = mg.tensor(1.0), mg.tensor(2.0), mg.tensor(4.0), mg.tensor(0.25)
        >>> mg.optim.sgd(p, g, None, lr), mg.optim.sgd(p, g, buffer, lr, momentum=0.5)
        ((tensor(0.5), None), (tensor(0.), tensor(4.)))
    """
    if weight_decay:
        g = g + p * weight_decay
    direction = g
    if momentum:
        buffer = buffer * momentum + (g if share is None else g * share)
        direction = g + buffer * momentum if nesterov else buffer
    return p - direction * lr, buffer


class SGD(Optimizer):
    """Stochastic gradient descent with PyTorch's arguments: p ← p - lr g, or with momentum along a decaying sum of g.

    Args:
        params: what to change; see `Optimizer`.
        lr: the learning rate.
        momentum: how much of the sum of gradients is kept from step to step; 0 keeps no sum.
        dampening: the sum takes 1 - dampening of a gradient, all of the first one; not with `nesterov`.
        weight_decay: this much of p is added to g.
        nesterov: look ahead along the momentum, which must then be above 0.

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

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        options = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
        }
        super().__init__(params, options)

    def check(self, group: dict[str, Any]) -> None:
        """Raise ArgumentError for options out of their range."""
        at_least("lr", group["lr"])
        at_least("momentum", group["momentum"])
        at_least("dampening", group["dampening"], -float("inf"))
        at_least("weight_decay", group["weight_decay"])
        if not isinstance(group["nesterov"], bool):
            raise ArgumentError(f"nesterov: {group['nesterov']!r} must be True or False; give the options by name")
        if group["nesterov"] and not group["momentum"]:
            raise ArgumentError("nesterov: it looks ahead along the momentum, so momentum must be above 0")
        if group["nesterov"] and group["dampening"]:
            raise ArgumentError(f"dampening: {group['dampening']} must be 0 with nesterov, as in PyTorch")

    def slots(self, group: dict[str, Any]) -> tuple[str, ...]:
        """The sum of gradients, where there is momentum."""
        return ("momentum_buffer",) if group["momentum"] else ()

    def scalars(self, group: dict[str, Any], step: int) -> tuple[float, ...]:
        """The learning rate; with dampening, what share of the gradient the sum takes."""
        damped = group["momentum"] and group["dampening"]
        return (group["lr"], 1.0 if step == 1 else 1.0 - group["dampening"]) if damped else (group["lr"],)

    def update(self, p: Any, g: Any, state: tuple[Any, ...], scalars: tuple[Any, ...], group: dict[str, Any]) -> Any:
        """`sgd` with the options of the group."""
        options = {k: group[k] for k in ("momentum", "weight_decay", "nesterov")}
        new, buffer = sgd(p, g, *(state or (None,)), *scalars, **options)
        return (new, buffer) if state else (new,)

    def fused(
        self, p: Any, g: Any, state: Any, scalars: tuple[Any, ...], group: dict[str, Any], out: Any, scratch: Any
    ) -> None:
        """The operations of `sgd`, one after the other, without a temporary."""
        (lr, *share), momentum = scalars, group["momentum"]
        if group["weight_decay"]:
            np.multiply(p, group["weight_decay"], out=scratch)
            g = np.add(g, scratch, out=out)
        direction = g
        if momentum:
            (buffer,) = state
            np.multiply(buffer, momentum, out=buffer)
            np.add(buffer, np.multiply(g, share[0], out=scratch) if share else g, out=buffer)
            direction = buffer
        if group["nesterov"]:
            np.multiply(buffer, momentum, out=scratch)
            direction = np.add(g, scratch, out=scratch)
        np.multiply(direction, lr, out=scratch)
        np.subtract(p, scratch, out=out)
