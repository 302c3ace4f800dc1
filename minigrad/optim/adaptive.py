"""A rate for each element: Adagrad and those that forget its sums of squares."""

from __future__ import annotations

from typing import Any

from minigrad.ops.elementwise import sqrt
from minigrad.optim.base import Optimizer
from minigrad.optim.declared import when
from minigrad.optim.options import option
from minigrad.optim.terms import downhill

__all__ = ["Adadelta", "Adagrad", "RMSprop"]


class Adagrad(Optimizer):
    """Adagrad: s ← s + g², p ← p - lr g / (sqrt(s) + eps); elements that were often steep move little.

    Args:
        params: what to change; see `Optimizer`.
        lr: the learning rate of the first step; in step t it is lr / (1 + (t - 1) lr_decay).
        lr_decay: how soon it falls.
        weight_decay: this much of p is added to g.
        initial_accumulator_value: what s begins with.
        eps: against division by zero.
        maximize: go uphill.

    Source: Duchi, Hazan, Singer, "Adaptive subgradient methods for online learning and stochastic optimization", JMLR
    12, 2011.

    Example:
        >>> import minigrad as mg
        >>> x = mg.Parameter(mg.tensor([1.0, -2.0]))
        >>> optimizer = mg.optim.Adagrad([x], lr=0.5)
        >>> (x * x).sum().backward()
        >>> optimizer.step()
        >>> [round(v, 6) for v in x.tolist()]
        [0.5, -1.5]
    """

    lr: float = 1e-2
    lr_decay: float = 0.0
    weight_decay: float = 0.0
    initial_accumulator_value: float = 0.0
    eps: float = 1e-10
    maximize: bool = False

    @staticmethod
    def begin(initial_accumulator_value: float) -> dict[str, Any]:
        """What the sum of squares begins with."""
        return {"sum": initial_accumulator_value}

    @staticmethod
    def scalars(step: int, lr: float, lr_decay: float) -> dict[str, float]:
        """The rate, which falls."""
        return {"rate": lr / (1 + (step - 1) * lr_decay)}

    @staticmethod
    def rule(
        p: Any, g: Any, sum: Any, *, weight_decay: float, eps: float, maximize: bool, rate: Any
    ) -> tuple[Any, ...]:
        """One step for one parameter."""
        g = downhill(p, g, weight_decay, maximize)
        sum = sum + g * g
        return p - g / (sqrt(sum) + eps) * rate, sum


class RMSprop(Optimizer):
    """RMSprop: v ← α v + (1 - α) g², p ← p - lr g / (sqrt(v) + eps).

    Args:
        params: what to change; see `Optimizer`.
        lr: the learning rate.
        alpha: how much of the average of g² is kept from step to step.
        eps: added to the root, against division by zero.
        weight_decay: this much of p is added to g.
        momentum: how much of the sum of steps is kept from step to step; 0 keeps no sum.
        centered: divide by the root of the estimated variance of g: v less the square of an average of g.
        maximize: go uphill.

    Source: Tieleman, Hinton, "Lecture 6.5: RMSProp", Neural networks for machine learning, 2012; centered: Graves,
    "Generating sequences with recurrent neural networks", 2013.

    Example:
        >>> import minigrad as mg
        >>> x = mg.Parameter(mg.tensor([1.0, -2.0]))
        >>> optimizer = mg.optim.RMSprop([x], lr=0.05)
        >>> (x * x).sum().backward()
        >>> optimizer.step()
        >>> [round(v, 6) for v in x.tolist()]
        [0.5, -1.5]
    """

    lr: float = 1e-2
    alpha: float = option(0.99, below=1.0)
    eps: float = 1e-8
    weight_decay: float = 0.0
    momentum: float = 0.0
    centered: bool = False
    maximize: bool = False

    @staticmethod
    def rule(
        p: Any, g: Any, square_avg: Any, momentum_buffer: Any = when("momentum"), grad_avg: Any = when("centered"), *,
        alpha: float, eps: float, weight_decay: float, momentum: float, centered: bool, maximize: bool, lr: Any,
    ) -> tuple[Any, ...]:  # fmt: skip
        """One step for one parameter."""
        g = downhill(p, g, weight_decay, maximize)
        square_avg = variance = square_avg * alpha + g * g * (1 - alpha)
        if centered:
            grad_avg = grad_avg * alpha + g * (1 - alpha)
            variance = square_avg - grad_avg * grad_avg
        move = g / (sqrt(variance) + eps)
        if momentum:
            momentum_buffer = move = momentum_buffer * momentum + move
        return p - move * lr, square_avg, momentum_buffer, grad_avg


class Adadelta(Optimizer):
    """Adadelta: steps in the units of p, by the ratio of two averages: of squared steps and of squared gradients.

    v ← ρ v + (1 - ρ) g²,  δ = sqrt(u + eps) / sqrt(v + eps) g,  u ← ρ u + (1 - ρ) δ²,  p ← p - lr δ.

    Args:
        params: what to change; see `Optimizer`.
        lr: the learning rate.
        rho: how much of both averages is kept from step to step.
        eps: with what they begin to move.
        weight_decay: this much of p is added to g.
        maximize: go uphill.

    Source: Zeiler, "ADADELTA: an adaptive learning rate method", 2012.

    Example:
        >>> import minigrad as mg
        >>> x = mg.Parameter(mg.tensor([1.0]))
        >>> optimizer = mg.optim.Adadelta([x], rho=0.0, eps=1.0)
        >>> (x * 0.5).sum().backward()
        >>> optimizer.step()
        >>> round(x.item(), 6)
        0.552786
    """

    lr: float = 1.0
    rho: float = option(0.9, below=1.0)
    eps: float = 1e-6
    weight_decay: float = 0.0
    maximize: bool = False

    @staticmethod
    def rule(
        p: Any, g: Any, square_avg: Any, acc_delta: Any, *,
        rho: float, eps: float, weight_decay: float, maximize: bool, lr: Any,
    ) -> tuple[Any, ...]:  # fmt: skip
        """One step for one parameter."""
        g = downhill(p, g, weight_decay, maximize)
        square_avg = square_avg * rho + g * g * (1 - rho)
        move = sqrt(acc_delta + eps) / sqrt(square_avg + eps) * g
        return p - move * lr, square_avg, acc_delta * rho + move * move * (1 - rho)
