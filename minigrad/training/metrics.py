"""Metrics: functions `(prediction, target) -> mean over the batch`, as a 0-d tensor that stays on its device."""

from __future__ import annotations

from minigrad.core import Operand, Tensor
from minigrad.errors import ShapeError
from minigrad.ops.compare import equal, greater
from minigrad.ops.reduce import mean
from minigrad.ops.sorting import argmax

__all__ = ["accuracy", "binary_accuracy"]


def accuracy(prediction: Operand, target: Operand) -> Tensor:
    """The share of samples whose class is predicted rightly.

    Args:
        prediction: scores or probabilities (n, classes), of which the largest counts; or (n,) or (n, 1) logits of a
            binary classifier, where above 0 is class 1.
        target: classes, integers of shape (n,); or floats (n, classes), one-hot or probabilities, of which the largest
            counts; or of the shape of binary logits. Several labels a sample are `binary_accuracy`'s.

    Raises:
        ShapeError: shapes that do not belong together, integers (n, classes) too: one class or several?

    Example:
        >>> import minigrad as mg
        >>> mg.training.accuracy(mg.tensor([[0.2, 0.8], [0.9, 0.1]]), mg.tensor([1, 1]))
        tensor(0.5)
    """
    shape, of_target = tuple(prediction.shape), tuple(target.shape)
    if len(shape) == 2 and shape[1] > 1 and of_target == shape[:1]:
        right = equal(argmax(prediction, axis=1), target)
    elif len(shape) == 2 and shape[1] > 1 and of_target == shape and target.dtype.kind == "f":
        right = equal(argmax(prediction, axis=1), argmax(target, axis=1))
    elif of_target == shape and shape[1:] in ((), (1,)) and shape:
        return binary_accuracy(prediction, target)
    else:
        raise ShapeError(
            f"accuracy: prediction has shape {shape}, target {of_target} of {target.dtype}; give scores (n, classes) "
            "and classes (n,), or one-hot floats (n, classes), or binary logits and classes of one shape; where a "
            "sample has several labels, 'binary_accuracy'"
        )
    return mean(right.astype("float64"))


def binary_accuracy(prediction: Operand, target: Operand) -> Tensor:
    """The share of elements that are predicted rightly, each a yes or no of its own.

    Args:
        prediction: logits of any shape, where above 0 is yes.
        target: of the same shape; above 0.5 is yes.

    Raises:
        ShapeError: two shapes.

    Example:
        >>> import minigrad as mg
        >>> mg.training.binary_accuracy(mg.tensor([[2.0, -1.0], [3.0, 1.0]]), mg.tensor([[1, 0], [1, 0]]))
        tensor(0.75)
    """
    if tuple(prediction.shape) != tuple(target.shape):
        raise ShapeError(
            f"binary_accuracy: prediction has shape {tuple(prediction.shape)}, target {tuple(target.shape)}; they must "
            "be equal"
        )
    return mean(equal(greater(prediction, 0), greater(target, 0.5)).astype("float64"))
