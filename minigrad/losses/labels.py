"""Losses that take class labels: cross-entropy and the negative log-likelihood."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minigrad.core import Operand, Tensor, astype, composite, integer, number, reshape, sum
from minigrad.core.domains import below
from minigrad.errors import ArgumentError, BoundsError, DtypeError, ShapeError
from minigrad.losses.common import Reduction, data, device_of, floating, readable, reduced
from minigrad.module import Sample, closed_form
from minigrad.ops.compare import equal, less, logical_and, logical_not, not_equal
from minigrad.ops.composite import log_softmax, one_hot, softmax
from minigrad.ops.creation import arange
from minigrad.ops.elementwise import keep, where
from minigrad.ops.reduce import narrowed, widened
from minigrad.ops.shape import permute_dims


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
    if readable(target):
        t = target._data
        wrong = t[((t < 0) | (t >= classes)) & (t != ignore_index)]
        if wrong.size:
            raise BoundsError(
                f"{loss}: target holds the label {wrong.flat[0]}, but there are {classes} classes, 0 to {classes - 1}"
            )


def _labelled(
    log_p: Tensor,
    target: Any,
    shape: tuple[int, ...],
    options: tuple[Any, int, float, Reduction],
    loss: str,
    by_label: Callable[..., Tensor],
) -> Tensor:
    """The loss of labels of the shape (n, …), for log-probabilities (m, classes)."""
    weight, ignore_index, smoothing, reduction = options
    ignore_index = integer(ignore_index, "ignore_index", loss)
    t = data(target, log_p)
    _labels(t, shape, log_p.shape[1], ignore_index, loss)
    out = by_label(log_p, reshape(t, (log_p.shape[0],)), weight, ignore_index, smoothing, reduction)
    return reshape(out, shape) if reduction == "none" else out


def _expected(
    log_p: Tensor, target: Tensor, weight: Any, ignore_index: int, smoothing: float, reduction: Reduction
) -> Tensor:
    """What `_picked` computes, as the literature writes it: -∑ t log_p, with labels as rows t that hold a single 1."""
    m, classes = log_p.shape
    one = equal(reshape(target, (m, 1)), arange(classes, device=device_of(log_p)))  # of a label that is ignored, no 1
    if 0 <= ignore_index < classes:
        one = logical_and(one, reshape(not_equal(target, ignore_index), (m, 1)))
    one = t = astype(one, log_p.dtype).named("t")
    w = None if weight is None else _weights(weight, log_p)
    if smoothing:
        t = t * (1.0 - smoothing) + sum(one, axis=1, keepdims=True) * (smoothing / classes)
    terms = t * log_p
    losses = -sum(terms if w is None else terms * w, axis=1)
    all_count = w is None and readable(target) and not bool((target._data == ignore_index).any())
    if reduction != "mean" or all_count:
        return reduced(losses, reduction)
    _some(m)
    total = sum(widened(one if w is None else one * w))
    return narrowed(sum(widened(losses)) / where(total > 0, total, 1.0), losses)


def _some(labels: int) -> None:
    if not labels:
        raise ShapeError("target: there are no labels, and the mean of nothing is not defined; skip empty batches")


def _weights(weight: Any, log_p: Tensor) -> Tensor:
    w, classes = astype(data(weight, log_p), log_p.dtype), log_p.shape[1]
    if w.shape != (classes,):
        raise ShapeError(f"weight: shape {w.shape} must be ({classes},), one weight for each class")
    return w


def _picked(
    log_p: Tensor, target: Tensor, weight: Any, ignore_index: int, smoothing: float, reduction: Reduction
) -> Tensor:
    """-w_t (log_p at the label), for log-probabilities (m, classes) and labels (m,)."""
    m, classes = log_p.shape
    ignored = equal(target, ignore_index)
    # A negative label would count from the end, so on devices, where labels are not looked at, it is sent out of range.
    label = where(ignored, 0, target if readable(target) else where(less(target, 0), classes, target))
    losses = -log_p[arange(m, device=device_of(log_p)), label]
    w = None if weight is None else _weights(weight, log_p)
    per_label = None if w is None else w[label]
    losses = losses if per_label is None else losses * per_label
    if smoothing:
        even = log_p if w is None else log_p * w
        losses = losses * (1.0 - smoothing) - sum(even, axis=1) * (smoothing / classes)
    counted = logical_not(ignored)
    losses = keep(losses, counted)
    if reduction == "mean":
        _some(m)
        wide = widened(losses)  # float16 cannot count so far
        total = sum(astype(counted, wide.dtype) if per_label is None else widened(keep(per_label, counted)))
        return narrowed(sum(wide) / where(total > 0, total, 1.0), losses)  # 0 / 1 where no label counts
    return reduced(losses, reduction)


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


def _nll_textbook(
    prediction: Operand,
    target: Operand,
    *,
    weight: Operand | None = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
) -> Tensor:
    rows, shape = _by_class(floating(prediction, "nll"), "nll")
    return _labelled(rows, target, shape, (weight, ignore_index, 0.0, reduction), "nll", _expected)


@composite(textbook=_nll_textbook)
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
    rows, shape = _by_class(floating(prediction, "nll"), "nll")
    return _labelled(rows, target, shape, (weight, ignore_index, 0.0, reduction), "nll", _picked)


def _cross_entropy(
    prediction: Operand,
    target: Operand,
    weight: Any,
    ignore_index: int,
    label_smoothing: float,
    reduction: Reduction,
    by_label: Any,
) -> Tensor:
    if not 0 <= number(label_smoothing, "label_smoothing", "cross_entropy") <= 1:
        raise ArgumentError(f"label_smoothing: {label_smoothing!r} must be from 0 to 1")
    x = floating(prediction, "cross_entropy")
    rows, shape = _by_class(x, "cross_entropy")
    t = data(target, x)
    log_p = log_softmax(rows, axis=1)
    if t.dtype.kind == "f" and t.shape == x.shape:
        probabilities = astype(_by_class(t, "cross_entropy")[0], x.dtype)
        if label_smoothing:
            probabilities = probabilities * (1.0 - label_smoothing) + label_smoothing / rows.shape[1]
        w = 1.0 if weight is None else astype(data(weight, x), x.dtype)
        out: Tensor = -sum(probabilities * log_p * w, axis=1)
        return reshape(out, shape) if reduction == "none" else reduced(out, reduction)
    return _labelled(log_p, t, shape, (weight, ignore_index, label_smoothing, reduction), "cross_entropy", by_label)


def _cross_entropy_textbook(
    prediction: Operand,
    target: Operand,
    *,
    weight: Operand | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: Reduction = "mean",
) -> Tensor:
    return _cross_entropy(prediction, target, weight, ignore_index, label_smoothing, reduction, _expected)


@composite(textbook=_cross_entropy_textbook, fuse=True)
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
    return _cross_entropy(prediction, target, weight, ignore_index, label_smoothing, reduction, _picked)


@closed_form(cross_entropy, samples=(Sample(inputs=((4, 3), (below(3), (4,)))),))
def cross_entropy_backward(g: Tensor, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
    """softmax(x) less the one-hot labels, over the number of examples; for labels of (n, classes), and means."""
    return {"prediction": g * (softmax(prediction, axis=1) - one_hot(target, prediction.shape[1])) / len(prediction)}
