"""Losses: how far a prediction is from its target, as one number. Compositions of primitives, each one box in drawings.

All are called `loss(prediction, target, *, reduction="mean")`. The target is data: it may be a tensor, an array or a
list, is never tracked unless it already is, and is taken to the prediction's dtype and device. Shapes must be equal: a
target (n,) against a prediction (n, 1) would broadcast to (n, n) and train towards the mean, silently.
`reduction` is "mean" (over all elements, or over all examples for the losses that take labels), "sum" or "none".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from minigrad.answers import module_getattr
from minigrad.backend import transfer
from minigrad.core import BOXES, Operand, Tensor, astype, box, composite, integer, number, reshape, sum, tensor
from minigrad.core.domains import below
from minigrad.errors import ArgumentError, BoundsError, DtypeError, ShapeError
from minigrad.module import Sample, closed_form
from minigrad.ops.compare import equal, less, logical_not
from minigrad.ops.composite import log_softmax, one_hot, relu, softmax
from minigrad.ops.creation import arange
from minigrad.ops.elementwise import abs, keep, maximum, minimum, sqrt, where
from minigrad.ops.functions import exp, log, log1p
from minigrad.ops.reduce import mean, narrowed, widened
from minigrad.ops.shape import permute_dims

__all__ = [
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "cosine", "cross_entropy", "hinge", "huber", "kl_div",
    "mae", "mse", "nll",
]  # fmt: skip

if not TYPE_CHECKING:
    __getattr__ = module_getattr(__name__)

Reduction = Literal["mean", "sum", "none"]


def _reduce(losses: Any, reduction: Reduction) -> Tensor:
    if reduction == "mean":
        return mean(losses)
    if reduction == "sum":
        return sum(losses)
    if reduction == "none":
        return losses  # type: ignore[no-any-return]
    raise ArgumentError(f"reduction: {reduction!r} must be 'mean', 'sum' or 'none'")


def _readable(t: Tensor) -> bool:
    """Whether looking at the values costs nothing: they are on the host, and there are some."""
    return type(t._data) is np.ndarray and t.size > 0


def _device(t: Tensor) -> str | None:
    """Where it lives; None while a program is recorded without values (minigrad.graph.program)."""
    return None if hasattr(type(t._data), "__primitive__") else t.device


def _floating(prediction: Any, loss: str) -> Tensor:
    p = prediction if type(prediction) in BOXES else tensor(prediction)
    if p.dtype.kind != "f":
        raise DtypeError(
            f"{loss}: prediction has dtype {p.dtype}; it must be floating: convert it with astype('float32')"
        )
    return p


def _data(target: Any, prediction: Tensor) -> Tensor:
    """The target as a tensor beside the prediction: host data are moved there; a tensor elsewhere is an error."""
    if type(target) in BOXES:
        return target  # type: ignore[no-any-return]
    array = tensor(target, device="numpy" if isinstance(target, (list, tuple, int, float, np.ndarray)) else None)
    return box(transfer(array._data, prediction.device), None)


def _alike(prediction: Any, target: Any, loss: str) -> tuple[Tensor, Tensor]:
    """Both as floating tensors of one shape and dtype."""
    p = _floating(prediction, loss)
    t = _data(target, p)
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
    return _reduce(d * d, reduction)


@composite
def mae(prediction: Operand, target: Operand, *, reduction: Reduction = "mean") -> Tensor:
    """The absolute error |p - t|; its derivative where they are equal is 0.

    Example:
        >>> import minigrad as mg
        >>> mg.losses.mae(mg.tensor([1.0, 4.0]), [1.0, 2.0])
        tensor(1.)
    """
    p, t = _alike(prediction, target, "mae")
    return _reduce(abs(p - t), reduction)


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
    return _reduce(near * (d - 0.5 * near), reduction)


@composite
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

    return _reduce(-(t * held(p) + (1.0 - t) * held(1.0 - p)), reduction)


@composite
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
    return _reduce(positive - x * t + log1p(exp(-size)), reduction)


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
    return _reduce(keep(t * (log(where(some, t, 1.0)) - p), some), reduction)


@composite
def hinge(prediction: Operand, target: Operand, *, reduction: Reduction = "mean") -> Tensor:
    """max(0, 1 - t p) for targets t of -1 or 1; its derivative at the kink is 0.

    Example:
        >>> import minigrad as mg
        >>> mg.losses.hinge(mg.tensor([0.5, -2.0]), [1, 1])
        tensor(1.75)
    """
    p, t = _alike(prediction, target, "hinge")
    return _reduce(relu(1.0 - t * p), reduction)


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
    return _reduce(narrowed(1.0 - sum(a * b, axis=-1), p), reduction)


# ---- losses that take labels


def _labels(target: Tensor, shape: tuple[int, ...], classes: int, ignore_index: int, loss: str) -> None:
    if target.dtype.kind not in "iu":
        raise DtypeError(
            f"{loss}: target has dtype {target.dtype}, but class labels are integers: convert with astype('int64')"
        )
    if target.shape != shape:
        hint = "; one_hot targets, or probabilities, must be floats" if target.ndim > len(shape) else ""
        raise ShapeError(
            f"{loss}: target has shape {target.shape}, but the labels of this prediction, whose classes are on axis 1, "
            f"must have {shape}{hint}"
        )
    if _readable(target):
        t = target._data
        wrong = t[((t < 0) | (t >= classes)) & (t != ignore_index)]
        if wrong.size:
            raise BoundsError(
                f"{loss}: target holds the label {wrong.flat[0]}, but there are {classes} classes, 0 to {classes - 1}"
            )


def _labelled(
    log_p: Tensor, target: Any, shape: tuple[int, ...], options: tuple[Any, int, float, Reduction], loss: str
) -> Tensor:
    """The loss of labels of the shape (n, …), for log-probabilities (m, classes)."""
    weight, ignore_index, smoothing, reduction = options
    ignore_index = integer(ignore_index, "ignore_index", loss)
    t = _data(target, log_p)
    _labels(t, shape, log_p.shape[1], ignore_index, loss)
    out = _picked(log_p, reshape(t, (log_p.shape[0],)), weight, ignore_index, smoothing, reduction)
    return reshape(out, shape) if reduction == "none" else out


def _picked(
    log_p: Tensor, target: Tensor, weight: Any, ignore_index: int, smoothing: float, reduction: Reduction
) -> Tensor:
    """-w_t (log_p at the label), for log-probabilities (m, classes) and labels (m,)."""
    m, classes = log_p.shape
    ignored = equal(target, ignore_index)
    # A negative label would count from the end, so on devices, where labels are not looked at, it is sent out of range.
    label = where(ignored, 0, target if _readable(target) else where(less(target, 0), classes, target))
    losses = -log_p[arange(m, device=_device(log_p)), label]
    w = None
    if weight is not None:
        w = astype(_data(weight, log_p), log_p.dtype)
        if w.shape != (classes,):
            raise ShapeError(f"weight: shape {w.shape} must be ({classes},), one weight for each class")
    per_label = None if w is None else w[label]
    losses = losses if per_label is None else losses * per_label
    if smoothing:
        even = log_p if w is None else log_p * w
        losses = losses * (1.0 - smoothing) - sum(even, axis=1) * (smoothing / classes)
    counted = logical_not(ignored)
    losses = keep(losses, counted)
    if reduction == "mean":
        if not m:
            raise ShapeError("target: there are no labels, and the mean of nothing is not defined; skip empty batches")
        wide = widened(losses)  # float16 cannot count so far
        total = sum(astype(counted, wide.dtype) if per_label is None else widened(keep(per_label, counted)))
        return narrowed(sum(wide) / where(total > 0, total, 1.0), losses)  # 0 / 1 where no label counts
    return _reduce(losses, reduction)


def _by_class(p: Tensor, loss: str) -> tuple[Tensor, tuple[int, ...]]:
    """(n, classes, …) as (m, classes), and the shape (n, …) that labels have; (classes,) is one example."""
    if p.ndim == 0 or p.shape[min(p.ndim - 1, 1)] == 0:
        raise ShapeError(f"{loss}: prediction has shape {p.shape}; it must be (n, classes, …) or (classes,)")
    if p.ndim == 1:
        return reshape(p, (1, p.shape[0])), ()
    if p.ndim == 2:
        return p, p.shape[:1]
    last = permute_dims(p, (0, *range(2, p.ndim), 1))
    return reshape(last, (-1, p.shape[1])) if p.size else reshape(last, (0, p.shape[1])), (p.shape[0], *p.shape[2:])


@composite
def nll(
    prediction: Operand,
    target: Operand,
    *,
    weight: Operand | None = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
) -> Tensor:
    """-w_t p_t for log-probabilities p and labels t: what is left of the cross-entropy after `log_softmax`.

    Shapes, arguments and errors are those of `cross_entropy`.

    Example:
        >>> import minigrad as mg
        >>> mg.losses.nll(mg.tensor([[-1.0, -2.0], [-3.0, -4.0]]), [0, 1])
        tensor(2.5)
    """
    rows, shape = _by_class(_floating(prediction, "nll"), "nll")
    return _labelled(rows, target, shape, (weight, ignore_index, 0.0, reduction), "nll")


@composite
def cross_entropy(
    prediction: Operand,
    target: Operand,
    *,
    weight: Operand | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: Reduction = "mean",
) -> Tensor:
    """-ln softmax(x)_t for logits x and labels t, or -∑ t ln softmax(x) for probabilities t.

    Args:
        prediction: logits (n, classes), (n, classes, …) or (classes,).
        target: integer labels of that shape without the axis of classes, or floats of the same shape.
        weight: one for each class; "mean" then divides by the sum of the weights of the labels.
        ignore_index: a label that counts for nothing (with integer labels).
        label_smoothing: this part of every target, from 0 to 1, is spread evenly over the classes.
        reduction: "mean" is over the examples that count, and 0 where none does: such a batch moves nothing.

    Raises:
        BoundsError: a label that is no class.
        DtypeError, ShapeError: labels that are no integers, or do not fit.

    Example:
        >>> import minigrad as mg
        >>> mg.losses.cross_entropy(mg.tensor([[2.0, 2.0], [0.0, 1000.0]]), [0, 1])
        tensor(0.34657359)
    """
    if not 0 <= number(label_smoothing, "label_smoothing", "cross_entropy") <= 1:
        raise ArgumentError(f"label_smoothing: {label_smoothing!r} must be from 0 to 1")
    x = _floating(prediction, "cross_entropy")
    rows, shape = _by_class(x, "cross_entropy")
    t = _data(target, x)
    log_p = log_softmax(rows, axis=1)
    if t.dtype.kind == "f" and t.shape == x.shape:
        probabilities = astype(_by_class(t, "cross_entropy")[0], x.dtype)
        if label_smoothing:
            probabilities = probabilities * (1.0 - label_smoothing) + label_smoothing / rows.shape[1]
        w = 1.0 if weight is None else astype(_data(weight, x), x.dtype)
        out = -sum(probabilities * log_p * w, axis=1)
        return reshape(out, shape) if reduction == "none" else _reduce(out, reduction)
    return _labelled(log_p, t, shape, (weight, ignore_index, label_smoothing, reduction), "cross_entropy")


@closed_form(cross_entropy, samples=(Sample(inputs=((4, 3), (below(3), (4,)))),))
def cross_entropy_backward(g: Tensor, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
    """softmax(x) less the one-hot labels, over the number of examples; for labels of (n, classes), and means."""
    return {"prediction": g * (softmax(prediction, axis=1) - one_hot(target, prediction.shape[1])) / len(prediction)}
