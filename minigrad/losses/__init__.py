"""Losses: how far a prediction is from its target, as one number. Compositions of primitives, each one box in drawings.

All are called `loss(prediction, target, *, reduction="mean")`. The target is data: it may be a tensor, an array or a
list, is never tracked unless it already is, and is taken to the prediction's dtype and device. Shapes must be equal: a
target (n,) against a prediction (n, 1) would broadcast to (n, n) and train towards the mean, silently.
`reduction` is "mean" (over all elements, or over all examples for the losses that take labels), "sum" or "none".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minigrad.answers import module_getattr
from minigrad.core import Operand, Tensor, astype, composite, number, sum
from minigrad.errors import ArgumentError, ShapeError
from minigrad.losses.common import Reduction, data, floating, reduced
from minigrad.losses.labels import cross_entropy, nll
from minigrad.ops.compare import equal
from minigrad.ops.composite import relu
from minigrad.ops.elementwise import abs, keep, maximum, minimum, sqrt, where
from minigrad.ops.functions import exp, log, log1p, sigmoid
from minigrad.ops.reduce import narrowed, widened

__all__ = [
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "cosine", "cross_entropy", "hinge", "huber", "kl_div",
    "mae", "mse", "nll",
]  # fmt: skip

if not TYPE_CHECKING:
    __getattr__ = module_getattr(__name__)


def _alike(prediction: Any, target: Any, loss: str) -> tuple[Tensor, Tensor]:
    """Both as floating tensors of one shape and dtype."""
    p = floating(prediction, loss)
    t = data(target, p)
    if t.shape != p.shape:
        remedy = "they must be equal, for broadcasting would compare every example with every other"
        if t.size == p.size:
            remedy += f"; write target.reshape{p.shape} or prediction.reshape{t.shape}"
        raise ShapeError(f"{loss}: target has shape {t.shape}, prediction {p.shape}; {remedy}")
    return p, astype(t, p.dtype)


@composite
def mse(prediction: Operand, target: Operand, *, reduction: Reduction = "mean") -> Tensor:
    """The squared error (p - t)².

    Example:
        >>> import minigrad as mg
        >>> mg.losses.mse(mg.tensor([1.0, 4.0]), [1.0, 2.0])
        tensor(2.)
    """
    p, t = _alike(prediction, target, "mse")
    d = p - t
    return reduced(d * d, reduction)


@composite
def mae(prediction: Operand, target: Operand, *, reduction: Reduction = "mean") -> Tensor:
    """The absolute error |p - t|; its derivative where they are equal is 0.

    Example:
        >>> import minigrad as mg
        >>> mg.losses.mae(mg.tensor([1.0, 4.0]), [1.0, 2.0])
        tensor(1.)
    """
    p, t = _alike(prediction, target, "mae")
    return reduced(abs(p - t), reduction)


@composite
def huber(prediction: Operand, target: Operand, *, delta: float = 1.0, reduction: Reduction = "mean") -> Tensor:
    """d²/2 where d = |p - t| <= delta, else delta (d - delta/2): squared near the target, absolute far from it.

    Source: Huber, "Robust estimation of a location parameter", The Annals of Mathematical Statistics 35(1), 1964.

    Example:
        >>> import minigrad as mg
        >>> mg.losses.huber(mg.tensor([0.5, 3.0]), [0.0, 0.0], reduction="none")
        tensor([0.125, 2.5  ])
    """
    if not number(delta, "delta", "huber") > 0:
        raise ArgumentError(f"delta: {delta!r} must be above 0; at 0 it would be no loss at all")
    p, t = _alike(prediction, target, "huber")
    d = abs(p - t)
    near = minimum(d, delta)
    return reduced(near * (d - 0.5 * near), reduction)


def _binary_cross_entropy_textbook(prediction: Operand, target: Operand, *, reduction: Reduction = "mean") -> Tensor:
    p, t = _alike(prediction, target, "binary_cross_entropy")
    return reduced(-(t * log(p) + (1.0 - t) * log(1.0 - p)), reduction)


@composite(textbook=_binary_cross_entropy_textbook)
def binary_cross_entropy(prediction: Operand, target: Operand, *, reduction: Reduction = "mean") -> Tensor:
    """-(t ln p + (1 - t) ln(1 - p)) for probabilities p; a logarithm is held at -100, as in PyTorch, for p = 0 and 1.

    Where p is below 0 or above 1 it is no probability, and the loss is NaN, on every backend. Where the model gives
    logits, `binary_cross_entropy_with_logits` is the exact and stable form.

    Example:
        >>> import minigrad as mg
        >>> mg.losses.binary_cross_entropy(mg.tensor([0.5, 1.0]), [1, 1])
        tensor(0.34657359)
    """
    p, t = _alike(prediction, target, "binary_cross_entropy")

    def held(q: Tensor) -> Tensor:
        zero = equal(q, 0)  # masked before the logarithm, so that no 0 times inf arises in the backward pass
        return where(zero, -100.0, maximum(log(where(zero, 1.0, q)), -100.0))

    return reduced(-(t * held(p) + (1.0 - t) * held(1.0 - p)), reduction)


def _with_logits_textbook(prediction: Operand, target: Operand, *, reduction: Reduction = "mean") -> Tensor:
    x, t = _alike(prediction, target, "binary_cross_entropy_with_logits")
    p = sigmoid(x)
    return reduced(-(t * log(p) + (1.0 - t) * log(1.0 - p)), reduction)


@composite(textbook=_with_logits_textbook)
def binary_cross_entropy_with_logits(prediction: Operand, target: Operand, *, reduction: Reduction = "mean") -> Tensor:
    """-(t ln s(x) + (1 - t) ln(1 - s(x))) for logits x and s the sigmoid, as max(x, 0) - x t + ln(1 + e^-|x|).

    Example:
        >>> import minigrad as mg
        >>> mg.losses.binary_cross_entropy_with_logits(mg.tensor([0.0, 1000.0]), [1, 1])
        tensor(0.34657359)
    """
    x, t = _alike(prediction, target, "binary_cross_entropy_with_logits")
    positive = keep(x, x > 0)
    size = where(x > 0, x, -x)  # |x| with slope -1 at 0: the derivative there is 1/2 - t, as it must be
    return reduced(positive - x * t + log1p(exp(-size)), reduction)


@composite
def kl_div(prediction: Operand, target: Operand, *, reduction: Reduction = "mean") -> Tensor:
    """t (ln t - p) for log-probabilities p and probabilities t, 0 where t is 0.

    "mean" divides by the number of elements, as PyTorch's does; divide a "sum" by the number of examples for the
    divergence of Kullback and Leibler.

    Example:
        >>> import minigrad as mg
        >>> mg.losses.kl_div(mg.log(mg.tensor([0.5, 0.5])), [0.5, 0.5])
        tensor(0.)
    """
    p, t = _alike(prediction, target, "kl_div")
    some = t > 0
    return reduced(keep(t * (log(where(some, t, 1.0)) - p), some), reduction)


@composite
def hinge(prediction: Operand, target: Operand, *, reduction: Reduction = "mean") -> Tensor:
    """max(0, 1 - t p) for targets t of -1 or 1; its derivative at the kink is 0.

    Example:
        >>> import minigrad as mg
        >>> mg.losses.hinge(mg.tensor([0.5, -2.0]), [1, 1])
        tensor(1.75)
    """
    p, t = _alike(prediction, target, "hinge")
    return reduced(relu(1.0 - t * p), reduction)


@composite
def cosine(prediction: Operand, target: Operand, *, eps: float = 1e-8, reduction: Reduction = "mean") -> Tensor:
    """1 - <p, t> / (|p| |t|) over the last axis, each length at least `eps`; "mean" is over the vectors.

    Example:
        >>> import minigrad as mg
        >>> mg.losses.cosine(mg.tensor([[1.0, 0.0]]), [[0.0, 1.0]])
        tensor(1.)
    """
    p, t = _alike(prediction, target, "cosine")
    if not p.shape:
        raise ShapeError("cosine: a number has no direction; prediction needs at least one axis")
    least = number(eps, "eps", "cosine") ** 2
    wide = [widened(v) for v in (p, t)]  # the square of a float16 overflows soon, and that of eps is 0
    a, b = (v / sqrt(maximum(sum(v * v, axis=-1, keepdims=True), least)) for v in wide)
    return reduced(narrowed(1.0 - sum(a * b, axis=-1), p), reduction)
