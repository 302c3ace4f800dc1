"""Metrics: functions `(prediction, target) -> mean over the batch`, as a 0-d tensor that stays on its device."""

from __future__ import annotations

from minigrad.core import Operand, Tensor
from minigrad.errors import ShapeError
from minigrad.ops.compare import equal, greater
from minigrad.ops.reduce import argmax, mean

__all__ = ["accuracy"]


def accuracy(prediction: Operand, target: Operand) -> Tensor:
    """The share of samples whose class is predicted rightly.

    Args:
        prediction: scores or probabilities (n, classes), of which the largest counts; or (n,) or (n, 1) logits of a
            binary classifier, where above 0 is class 1.
        target: classes, integers of shape (n,), or of the shape of binary logits.

    Raises:
        ShapeError: shapes that do not belong together.

    Example:
        >>> import minigrad as mg
        >>> mg.training.accuracy(mg.tensor([[0.2, 0.8], [0.9, 0.1]]), mg.tensor([1, 1]))
        tensor(0.5)
    """
    if prediction.ndim == 2 and tuple(target.shape) == (prediction.shape[0],) and prediction.shape[1] > 1:
        right = equal(argmax(prediction, axis=1), target)
    elif tuple(prediction.shape) == tuple(target.shape) and prediction.ndim in (1, 2):
        right = equal(greater(prediction, 0), greater(target, 0.5))
    else:
        raise ShapeError(
            f"accuracy: prediction has shape {tuple(prediction.shape)}, target {tuple(target.shape)}; "
            "give scores (n, classes) and classes (n,), or binary logits and classes of one shape"
        )
    return mean(right.astype("float64"))
