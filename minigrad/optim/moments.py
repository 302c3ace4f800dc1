"""Adam and its kin: the step is a mean of gradients over the root of a mean of their squares."""

from __future__ import annotations

from typing import Any

from minigrad.ops.elementwise import maximum, sqrt
from minigrad.optim.base import Optimizer
from minigrad.optim.declared import when
from minigrad.optim.options import option
from minigrad.optim.terms import downhill

__all__ = ["Adam", "AdamW"]

Betas = tuple[float, float]


class Adam(Optimizer):
    """Adam: each element moves by about `lr` in the direction of its averaged gradient.

    m ← β₁ m + (1 - β₁) g,  v ← β₂ v + (1 - β₂) g²,  p ← p - rate m / (root sqrt(v) + eps), where in step t
    rate = lr / (1 - β₁ᵗ) and root = 1 / sqrt(1 - β₂ᵗ).

    Args:
        params: what to change; see `Optimizer`.
        lr: the learning rate; it may be changed between steps.
        betas: how much of the averages of g and g² is kept from step to step.
        eps: added to the root of the second, against division by zero.
        weight_decay: this much of p is added to g; where it is decoupled, p is first multiplied by 1 - lr weight_decay.
        amsgrad: divide by the root of the largest v so far.
        maximize: go uphill.
        decoupled_weight_decay: as in `AdamW`.

    Source: Kingma, Ba, "Adam: a method for stochastic optimization", ICLR 2015; amsgrad: Reddi, Kale, Kumar, "On the
    convergence of Adam and beyond", ICLR 2018.

    Example:
        >>> import minigrad as mg
        >>> x = mg.Parameter(mg.tensor([1.0, -2.0]))
        >>> optimizer = mg.optim.Adam([x], lr=0.5)
        >>> (x * x).sum().backward()
        >>> optimizer.step()
        >>> [round(v, 6) for v in x.tolist()]
        [0.5, -1.5]
    """

    lr: float = 1e-3
    betas: Betas = option((0.9, 0.999), below=1.0)
    eps: float = 1e-8
    weight_decay: float = 0.0
    amsgrad: bool = False
    maximize: bool = False
    decoupled_weight_decay: bool = False

    @staticmethod
    def scalars(step: int, lr: float, betas: Betas, weight_decay: float) -> dict[str, float]:
        """lr / (1 - β₁ᵗ), 1 / sqrt(1 - β₂ᵗ), and what a decoupled decay leaves of p."""
        return {
            "rate": lr / (1 - betas[0] ** step),
            "root": (1 - betas[1] ** step) ** -0.5,
            "left": 1 - lr * weight_decay,
        }

    @staticmethod
    def rule(
        p: Any, g: Any, exp_avg: Any, exp_avg_sq: Any, max_exp_avg_sq: Any = when("amsgrad"), *,
        betas: Betas, eps: float, weight_decay: float, amsgrad: bool, maximize: bool, decoupled_weight_decay: bool,
        rate: Any, root: Any, left: Any,
    ) -> tuple[Any, ...]:  # fmt: skip
        """One step for one parameter."""
        g = downhill(p, g, 0.0 if decoupled_weight_decay else weight_decay, maximize)
        if decoupled_weight_decay and weight_decay:
            p = p * left
        m = exp_avg * betas[0] + g * (1 - betas[0])
        v = exp_avg_sq * betas[1] + g * g * (1 - betas[1])
        largest = maximum(max_exp_avg_sq, v) if amsgrad else v
        return p - m / (sqrt(largest) * root + eps) * rate, m, v, largest


class AdamW(Adam):
    """Adam with decoupled weight decay: p is first multiplied by 1 - lr weight_decay, and g stays as it is.

    Source: Loshchilov, Hutter, "Decoupled weight decay regularization", ICLR 2019.

    Example:
        >>> import minigrad as mg
        >>> x = mg.Parameter(mg.tensor(1.0))
        >>> optimizer = mg.optim.AdamW([x], lr=0.1, weight_decay=0.5)
        >>> (x * 0.0).backward()
        >>> optimizer.step()
        >>> x.item()
        0.95
    """

    weight_decay: float = 1e-2
    decoupled_weight_decay: bool = True
