"""Adam and AdamW: one function, one in-place form of it, and where the weight decay goes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigrad.core import Operand
from minigrad.ops.elementwise import sqrt
from minigrad.optim.base import Optimizer, Params, at_least

Betas = tuple[float, float]


def adam(
    p: Operand,
    g: Operand,
    m: Operand,
    v: Operand,
    rate: Operand,
    root: Operand,
    shrink: Operand | None = None,
    *,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
) -> tuple[Any, Any, Any]:
    """One step of Adam for one parameter, in primitives: (new p, new m, new v).

    m ← β₁ m + (1 - β₁) g,  v ← β₂ v + (1 - β₂) g²,  p ← p - rate m / (root sqrt(v) + eps), where in step t
    rate = lr / (1 - β₁ᵗ) and root = 1 / sqrt(1 - β₂ᵗ), both 0-d arrays of the dtype of p. `weight_decay` first adds
    that much p to g; `shrink` (AdamW's 1 - lr weight_decay) first multiplies p.

    Source: Kingma, Ba, "Adam: a method for stochastic optimization", ICLR 2015.

    Example:
        >>> import minigrad as mg
        >>> p, g, zero = mg.tensor(1.0), mg.tensor(5.0), mg.tensor(0.0)
        >>> p, m, v = mg.optim.adam(p, g, zero, zero, mg.tensor(0.1 / (1 - 0.9)), mg.tensor((1 - 0.999) ** -0.5))
        >>> round(p.item(), 6)
        0.9
    """
    if weight_decay:
        g = g + p * weight_decay
    if shrink is not None:
        p = p * shrink
    m = m * beta1 + g * (1 - beta1)
    v = v * beta2 + g * g * (1 - beta2)
    return p - m / (sqrt(v) * root + eps) * rate, m, v


class _Adam(Optimizer):
    """What Adam and AdamW share; `decoupled` says where the weight decay goes."""

    decoupled: bool

    def check(self, group: dict[str, Any]) -> None:
        """Raise ArgumentError for options out of their range."""
        at_least("lr", group["lr"])
        for k, beta in enumerate(group["betas"]):
            at_least(f"betas[{k}]", beta, 0.0, 1.0)
        at_least("eps", group["eps"])
        at_least("weight_decay", group["weight_decay"])

    def slots(self, group: dict[str, Any]) -> tuple[str, ...]:
        """The running averages of g and g²."""
        return "exp_avg", "exp_avg_sq"

    def scalars(self, group: dict[str, Any], step: int) -> tuple[float, ...]:
        """lr / (1 - β₁ᵗ) and 1 / sqrt(1 - β₂ᵗ); where the decay is decoupled, 1 - lr weight_decay."""
        (beta1, beta2), lr, decay = group["betas"], group["lr"], group["weight_decay"]
        usual = lr / (1 - beta1**step), 1 / math.sqrt(1 - beta2**step)
        return (*usual, 1 - lr * decay) if self.decoupled and decay else usual

    def update(self, p: Any, g: Any, state: tuple[Any, ...], scalars: tuple[Any, ...], group: dict[str, Any]) -> Any:
        """`adam` with the options of the group."""
        beta1, beta2 = group["betas"]
        decay = 0.0 if self.decoupled else group["weight_decay"]
        return adam(p, g, *state, *scalars, beta1=beta1, beta2=beta2, eps=group["eps"], weight_decay=decay)

    def fused(
        self, p: Any, g: Any, state: Any, scalars: tuple[Any, ...], group: dict[str, Any], out: Any, scratch: Any
    ) -> None:
        """The operations of `adam`, one after the other, without a temporary."""
        (m, v), (rate, root, *shrink), (beta1, beta2) = state, scalars, group["betas"]
        if group["weight_decay"] and not self.decoupled:
            np.multiply(p, group["weight_decay"], out=out)
            g = np.add(g, out, out=out)
        np.multiply(m, beta1, out=m)
        np.multiply(g, 1 - beta1, out=scratch)
        np.add(m, scratch, out=m)
        np.multiply(v, beta2, out=v)
        np.multiply(g, g, out=scratch)
        np.multiply(scratch, 1 - beta2, out=scratch)
        np.add(v, scratch, out=v)
        np.sqrt(v, out=scratch)
        np.multiply(scratch, root, out=scratch)
        np.add(scratch, group["eps"], out=scratch)
        np.divide(m, scratch, out=scratch)
        np.multiply(scratch, rate, out=scratch)
        if shrink:
            p = np.multiply(p, shrink[0], out=out)
        np.subtract(p, scratch, out=out)


class Adam(_Adam):
    """Adam, with PyTorch's arguments: each element moves by about `lr` in the direction of its averaged gradient.

    Args:
        params: what to change; see `Optimizer`.
        lr: the learning rate; `param_groups[i]["lr"]` may be changed between steps.
        betas: how much of the averages of g and g² is kept from step to step.
        eps: added to the root of the second, against division by zero.
        weight_decay: this much of p is added to g (AdamW shrinks p itself).

    Source: Kingma, Ba, "Adam: a method for stochastic optimization", ICLR 2015.

    Example:
        >>> import minigrad as mg
        >>> x = mg.Parameter(mg.tensor([1.0, -2.0]))
        >>> optimizer = mg.optim.Adam([x], lr=0.5)
        >>> (x * x).sum().backward()
        >>> optimizer.step()
        >>> [round(v, 6) for v in x.tolist()]
        [0.5, -1.5]
    """

    decoupled = False

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay})


class AdamW(_Adam):
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

    decoupled = True

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay})
