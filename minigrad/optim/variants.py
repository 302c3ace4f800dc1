"""Optimisers that vary Adam: the norm of its denominator, its momentum, its first steps, its direction."""

from __future__ import annotations

from typing import Any

from minigrad.ops.elementwise import abs, maximum, sign, sqrt
from minigrad.optim.base import Optimizer
from minigrad.optim.moments import Betas
from minigrad.optim.options import option
from minigrad.optim.terms import downhill

__all__ = ["Adamax", "Lion", "NAdam", "RAdam"]


class Adamax(Optimizer):
    """Adamax: Adam with the largest of the latest gradients, u ← max(β₂ u, |g| + eps), where Adam has a root.

    Args:
        params: what to change; see `Optimizer`.
        lr: the learning rate.
        betas: how much of the average of g and of the largest |g| is kept from step to step.
        eps: against division by zero.
        weight_decay: this much of p is added to g.
        maximize: go uphill.

    Source: Kingma, Ba, "Adam: a method for stochastic optimization", ICLR 2015, section 7.1.

    Example:
        >>> import minigrad as mg
        >>> x = mg.Parameter(mg.tensor([1.0, -2.0]))
        >>> optimizer = mg.optim.Adamax([x], lr=0.5)
        >>> (x * x).sum().backward()
        >>> optimizer.step()
        >>> [round(v, 6) for v in x.tolist()]
        [0.5, -1.5]
    """

    lr: float = 2e-3
    betas: Betas = option((0.9, 0.999), below=1.0)
    eps: float = 1e-8
    weight_decay: float = 0.0
    maximize: bool = False

    @staticmethod
    def scalars(step: int, lr: float, betas: Betas) -> dict[str, float]:
        """lr / (1 - β₁ᵗ)."""
        return {"rate": lr / (1 - betas[0] ** step)}

    @staticmethod
    def rule(
        p: Any, g: Any, exp_avg: Any, exp_inf: Any, *,
        betas: Betas, eps: float, weight_decay: float, maximize: bool, rate: Any,
    ) -> tuple[Any, ...]:  # fmt: skip
        """One step for one parameter."""
        g = downhill(p, g, weight_decay, maximize)
        exp_avg = exp_avg * betas[0] + g * (1 - betas[0])
        exp_inf = maximum(exp_inf * betas[1], abs(g) + eps)
        return p - exp_avg / exp_inf * rate, exp_avg, exp_inf


class NAdam(Optimizer):
    """NAdam: Adam that looks ahead along its momentum, as Nesterov's does; the momentum μ grows over the steps.

    μₜ = β₁ (1 - 0.96^(t momentum_decay) / 2); p moves by lr (1 - μₜ) / (1 - ∏μ) along g and by lr μₜ₊₁ / (1 - ∏μ μₜ₊₁)
    along the averaged gradient, both over Adam's denominator.

    Args:
        params: what to change; see `Optimizer`.
        lr: the learning rate.
        betas, eps, weight_decay, maximize, decoupled_weight_decay: as in `Adam`.
        momentum_decay: how fast the momentum grows to β₁.

    Source: Dozat, "Incorporating Nesterov momentum into Adam", ICLR workshop 2016.

    Example:
        >>> import minigrad as mg
        >>> x = mg.Parameter(mg.tensor([1.0, -2.0]))
        >>> optimizer = mg.optim.NAdam([x], lr=0.5)
        >>> (x * x).sum().backward()
        >>> optimizer.step()
        >>> [round(v, 3) for v in x.tolist()]
        [0.472, -1.472]
    """

    lr: float = 2e-3
    betas: Betas = option((0.9, 0.999), below=1.0)
    eps: float = 1e-8
    weight_decay: float = 0.0
    momentum_decay: float = 4e-3
    decoupled_weight_decay: bool = False
    maximize: bool = False
    carries = {"mu_product": 1.0}

    @staticmethod
    def scalars(
        step: int, mu_product: float, lr: float, betas: Betas, weight_decay: float, momentum_decay: float
    ) -> dict[str, float]:
        """How far to go along g and along its average, Adam's second correction, and what a decoupled decay leaves."""
        now, then = (betas[0] * (1 - 0.5 * 0.96 ** (t * momentum_decay)) for t in (step, step + 1))
        mu_product *= now
        return {
            "mu_product": mu_product,
            "along": lr * (1 - now) / (1 - mu_product),
            "ahead": lr * then / (1 - mu_product * then),
            "root": (1 - betas[1] ** step) ** -0.5,
            "left": 1 - lr * weight_decay,
        }

    @staticmethod
    def rule(
        p: Any, g: Any, exp_avg: Any, exp_avg_sq: Any, *, betas: Betas, eps: float, weight_decay: float,
        decoupled_weight_decay: bool, maximize: bool, along: Any, ahead: Any, root: Any, left: Any,
    ) -> tuple[Any, ...]:  # fmt: skip
        """One step for one parameter."""
        g = downhill(p, g, 0.0 if decoupled_weight_decay else weight_decay, maximize)
        if decoupled_weight_decay and weight_decay:
            p = p * left
        exp_avg = exp_avg * betas[0] + g * (1 - betas[0])
        exp_avg_sq = exp_avg_sq * betas[1] + g * g * (1 - betas[1])
        return p - (g * along + exp_avg * ahead) / (sqrt(exp_avg_sq) * root + eps), exp_avg, exp_avg_sq


class RAdam(Optimizer):
    """RAdam: Adam whose denominator comes in when enough steps are there to estimate it; momentum alone before.

    Args:
        params: what to change; see `Optimizer`.
        lr: the learning rate.
        betas, eps, weight_decay, maximize, decoupled_weight_decay: as in `Adam`.

    Source: Liu et al., "On the variance of the adaptive learning rate and beyond", ICLR 2020.

    Example:
        >>> import minigrad as mg
        >>> x = mg.Parameter(mg.tensor([1.0, -2.0]))
        >>> optimizer = mg.optim.RAdam([x], lr=0.25)
        >>> (x * x).sum().backward()
        >>> optimizer.step()
        >>> [round(v, 6) for v in x.tolist()]
        [0.5, -1.0]
    """

    lr: float = 1e-3
    betas: Betas = option((0.9, 0.999), below=1.0)
    eps: float = 1e-8
    weight_decay: float = 0.0
    decoupled_weight_decay: bool = False
    maximize: bool = False

    @staticmethod
    def scalars(step: int, lr: float, betas: Betas, weight_decay: float) -> dict[str, float]:
        """The weights of the step with a denominator and of that without, one of which is 0; what a decay leaves."""
        rate, correction = lr / (1 - betas[0] ** step), 1 - betas[1] ** step
        most = 2 / (1 - betas[1]) - 1
        length = most - 2 * step * betas[1] ** step / correction  # of the average, in steps
        left = 1 - lr * weight_decay
        if length <= 5:
            return {"adaptive": 0.0, "plain": rate, "left": left}
        share = (length - 4) * (length - 2) * most / ((most - 4) * (most - 2) * length)
        return {"adaptive": rate * (share * correction) ** 0.5, "plain": 0.0, "left": left}

    @staticmethod
    def rule(
        p: Any, g: Any, exp_avg: Any, exp_avg_sq: Any, *, betas: Betas, eps: float, weight_decay: float,
        decoupled_weight_decay: bool, maximize: bool, adaptive: Any, plain: Any, left: Any,
    ) -> tuple[Any, ...]:  # fmt: skip
        """One step for one parameter."""
        g = downhill(p, g, 0.0 if decoupled_weight_decay else weight_decay, maximize)
        if decoupled_weight_decay and weight_decay:
            p = p * left
        exp_avg = exp_avg * betas[0] + g * (1 - betas[0])
        exp_avg_sq = exp_avg_sq * betas[1] + g * g * (1 - betas[1])
        return p - exp_avg * (adaptive / (sqrt(exp_avg_sq) + eps) + plain), exp_avg, exp_avg_sq


class Lion(Optimizer):
    """Lion: every element moves by `lr`, in the direction that a mean of the gradient and its average points in.

    p ← (1 - lr weight_decay) p - lr sign(β₁ m + (1 - β₁) g),  m ← β₂ m + (1 - β₂) g.

    Args:
        params: what to change; see `Optimizer`.
        lr: the learning rate; a third to a tenth of Adam's.
        betas: the weights of the average in the direction, and of what is kept of it.
        weight_decay: p is first multiplied by 1 - lr weight_decay.
        maximize: go uphill.

    Source: Chen et al., "Symbolic discovery of optimization algorithms", NeurIPS 2023.

    Example:
        >>> import minigrad as mg
        >>> x = mg.Parameter(mg.tensor([1.0, -2.0]))
        >>> optimizer = mg.optim.Lion([x], lr=0.5)
        >>> (x * x).sum().backward()
        >>> optimizer.step()
        >>> x.tolist()
        [0.5, -1.5]
    """

    lr: float = 1e-4
    betas: Betas = option((0.9, 0.99), below=1.0)
    weight_decay: float = 0.0
    maximize: bool = False

    @staticmethod
    def scalars(lr: float, weight_decay: float) -> dict[str, float]:
        """The rate, and what the decay leaves of p."""
        return {"lr": lr, "left": 1 - lr * weight_decay}

    @staticmethod
    def rule(
        p: Any, g: Any, exp_avg: Any, *, betas: Betas, weight_decay: float, maximize: bool, lr: Any, left: Any
    ) -> tuple[Any, ...]:
        """One step for one parameter."""
        g = downhill(p, g, 0.0, maximize)
        if weight_decay:
            p = p * left
        towards = sign(exp_avg * betas[0] + g * (1 - betas[0]))
        return p - towards * lr, exp_avg * betas[1] + g * (1 - betas[1])
