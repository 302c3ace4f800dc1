"""What the losses share: predictions and targets as they must be, and the reduction at the end."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from minigrad.backend import transfer
from minigrad.core import BOXES, Tensor, box, sum, tensor, to
from minigrad.errors import ArgumentError, DtypeError
from minigrad.ops.reduce import mean

Reduction = Literal["mean", "sum", "none"]


def reduced(losses: Any, reduction: Reduction) -> Tensor:
    if reduction == "mean":
        return mean(losses)
    if reduction == "sum":
        return sum(losses)
    if reduction == "none":
        return losses  # type: ignore[no-any-return]
    raise ArgumentError(f"reduction: {reduction!r} must be 'mean', 'sum' or 'none'")


def readable(t: Tensor) -> bool:
    """Whether looking at the values costs nothing: they are on the host, and there are some."""
    return type(t._data) is np.ndarray and t.size > 0


def device_of(t: Tensor) -> str | None:
    """Where it lives; None while a program is recorded without values (minigrad.graph.program)."""
    return None if hasattr(type(t._data), "__primitive__") else t.device


def floating(prediction: Any, loss: str) -> Tensor:
    p = prediction if type(prediction) in BOXES else tensor(prediction)
    if p.dtype.kind != "f":
        raise DtypeError(
            f"{loss}: prediction has dtype {p.dtype}; it must be floating: convert it with astype('float32')"
        )
    return p


def data(target: Any, prediction: Tensor) -> Tensor:
    """The target as a tensor beside the prediction: host data are moved there; a tensor elsewhere is an error."""
    if type(target) in BOXES:
        return target  # type: ignore[no-any-return]
    array = tensor(target, device="numpy" if isinstance(target, (list, tuple, int, float, np.ndarray)) else None)
    if array.requires_grad:  # a list with tracked tensors in it
        return to(array, prediction.device)
    return box(transfer(array._data, prediction.device), None)
