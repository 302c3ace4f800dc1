"""What the normalization layers share: one composition; they differ in the axes and in where the statistics come from.

It stands here in two forms that compute the same. `_textbook` is the formula of the papers, in their steps and under
their names: shift by the mean, divide by the deviation, scale and shift again by what was learnt. `normalize` is
arranged for exactness and speed. A layer calls `normalize` and has both.

There is no backward pass here, and there must never be one: the gradients, of every order, are those of the primitives.
Hand-derived ones are where engines go wrong silently, in the second order or when a scale is 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import minigrad as mg
from minigrad.errors import ArgumentError
from minigrad_layers.normalization.axes import widened


class Normalized(NamedTuple):
    """A normalized input and the statistics that were used; axes that they were taken over have size 1."""

    y: mg.Tensor
    mean: mg.Tensor
    var: mg.Tensor  # divided by n, not n - 1


def _textbook(
    x: mg.Tensor,
    axes: tuple[int, ...],
    weight: mg.Tensor | None,
    bias: mg.Tensor | None,
    *,
    eps: float,
    statistics: tuple[mg.Tensor, mg.Tensor] | None = None,
) -> Normalized:
    wide = widened(x, "normalize")
    if statistics is None:
        mean = mg.mean(wide, axes, keepdims=True).named("mean")
        centred = (wide - mean).named("_centred")
        var = mg.mean(mg.square(centred).named("_squares"), axes, keepdims=True).named("var")
    else:
        mean, var = statistics
        centred = (wide - mean).named("_centred")
    std = mg.sqrt((var + eps).named("_var_eps")).named("_std")
    y = (centred * (1.0 / std).named("_inv_std")).named("x_hat")
    y = y if weight is None else (y * weight).named("_scaled")
    y = y if bias is None else y + bias
    return Normalized(y if y.dtype == x.dtype else mg.astype(y, x.dtype), mean, var)


@mg.composite(textbook=_textbook, fuse=True)
def normalize(
    x: mg.Tensor,
    axes: tuple[int, ...],
    weight: mg.Tensor | None,
    bias: mg.Tensor | None,
    *,
    eps: float,
    statistics: tuple[mg.Tensor, mg.Tensor] | None = None,
) -> Normalized:
    """y = (x - mean) / sqrt(var + eps) weight + bias, with mean and variance of `x` over `axes` unless they are given.

    `weight` and `bias` broadcast against `x`. float16 is computed in float32 and comes back as float16. A constant
    input gives exactly `bias`. The mean (of the deviations from a rounded mean, see `minigrad.deviations`) and the
    variance are labelled "mean" and "var", so that `Graph.routes` can tell their parts of the gradient; labels with an
    underscore are for whoever reads a drawing or a derivation.
    """
    wide = widened(x, "normalize")
    if statistics is None:
        d, r, var, shift = mg.deviations(wide, axes)
        d, r, var, shift = d.named("_deviation"), r.named("mean"), var.named("var"), shift.named("_shift")
        mean = (shift + r).named("_whole_mean")
    else:
        mean, var = statistics
        d, r = wide - mean, None
    scale = mg.rsqrt(var + eps).named("_scale")
    if _repeats(weight, x, axes):  # (d - r) scale weight + bias with one pass over x less, since the rest is small
        scale = scale if weight is None else (scale * weight).named("_gain")
        y = d * scale
        if r is not None:
            y = y + (-(r * scale) if bias is None else bias - r * scale)
        elif bias is not None:
            y = y + bias
    else:
        y = (d if r is None else d - r) * scale
        y = y if weight is None else y * weight
        y = y if bias is None else y + bias
    return Normalized(y if y.dtype == x.dtype else mg.astype(y, x.dtype), mean, var)


@mg.composite
def running_statistics(
    batches: mg.Buffer | None, momentum: float | None, moved: Iterable[tuple[mg.Buffer, mg.Tensor, float]]
) -> None:
    """Count one more batch, and move each buffer towards `factor` times a new value: kept (1 - m) + new m.

    m is the momentum, or 1 / batches where that is None: the average of all. `batches` is None where nobody counts
    them. No gradient flows there. Drawings show it as one box, the state update that it is.
    """
    count = None if batches is None else batches + 1
    if batches is not None and count is not None:
        batches.assign(count)
    for kept, value, factor in moved:
        share: Any = momentum
        if share is None:
            assert count is not None, "the average of all batches needs their number"
            share = 1.0 / mg.astype(count, kept.dtype)
        new = mg.reshape(mg.stop_gradient(value, why="running statistics"), kept.shape)
        kept.assign(kept * (1.0 - share) + new * (share * factor))


def _repeats(weight: mg.Tensor | None, x: mg.Tensor, axes: tuple[int, ...]) -> bool:
    """Whether statistics over `axes` times `weight` still have an axis of size 1 that `x` has not."""
    sizes = () if weight is None else weight.shape
    own = (1,) * (x.ndim - len(sizes)) + sizes
    return any(own[i] == 1 != x.shape[i] for i in axes)


def affine_parameters(
    shape: tuple[int, ...], dtype: Any, device: str | None, *, centered: bool = False
) -> tuple[mg.Parameter, mg.Parameter]:
    """A weight, of ones or (for the gain 1 + weight) of zeros, and a bias of zeros."""
    start = mg.init.zeros if centered else mg.init.ones
    weight, bias = (f(shape, dtype=dtype, device=device) for f in (start, mg.init.zeros))
    return mg.Parameter(weight), mg.Parameter(bias)


def kept_in(dtype: Any) -> str:
    """The dtype of running statistics: of the parameters, but never half precision."""
    return "float64" if dtype is not None and mg.zeros(0, dtype=dtype).dtype.itemsize == 8 else "float32"


def positive(eps: float) -> float:
    if not mg.arguments.number(eps, "eps", "") > 0:
        raise ArgumentError(f"eps: {eps!r} must be above 0, or a constant input would divide by zero; 1e-5 is usual")
    return eps
