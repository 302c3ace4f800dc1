"""Backward passes of the normalization layers as they are derived by hand, in training: nothing runs them.

Gradients come from the chain rule alone. These are what textbooks, papers and kernels state; `minigrad.check.claim`
holds each right to the third order, and shows what is wrong with one that is not. In all of them x̂ = (x - mean) / σ and
σ = sqrt(var + eps); with g' = g weight, the gradient of x is (g' - mean(g') - x̂ mean(g' x̂)) / σ: the direct route, the
one through the mean and the one through the variance.

Source: Ioffe, Szegedy, "Batch normalization", ICML 2015, section 3.
"""

from __future__ import annotations

import minigrad as mg
from minigrad_layers.normalization.batch import BatchNorm1d, BatchNorm2d, BatchNorm3d
from minigrad_layers.normalization.group import GroupNorm
from minigrad_layers.normalization.layer import LayerNorm
from minigrad_layers.normalization.pointwise import DynamicTanh
from minigrad_layers.normalization.vector import L2Norm, RMSNorm

Gradients = dict[str, mg.Tensor]


def through_statistics(
    g: mg.Tensor, x: mg.Tensor, axes: tuple[int, ...], eps: float, weight: mg.Tensor | None
) -> tuple[mg.Tensor, mg.Tensor]:
    """The gradient of x, and x̂, for statistics over `axes`; `weight` broadcasts against x."""

    def mean(t: mg.Tensor) -> mg.Tensor:
        return mg.mean(t, axis=axes, keepdims=True)

    d = x - mean(x)
    scale = mg.rsqrt(mean(d * d) + eps)
    x_hat = d * scale
    g = g if weight is None else g * weight
    return scale * (g - mean(g) - x_hat * mean(g * x_hat)), x_hat


@mg.closed_form(BatchNorm1d, BatchNorm2d, BatchNorm3d)
def batch_norm_backward(g: mg.Tensor, x: mg.Tensor, weight: mg.Tensor | None, eps: float) -> Gradients:
    """Statistics over the batch and all places, one of each for a channel."""
    axes = (0, *range(2, x.ndim))
    column = None if weight is None else mg.reshape(weight, (-1,) + (1,) * (x.ndim - 2))
    to_x, x_hat = through_statistics(g, x, axes, eps, column)
    return {"x": to_x, "weight": mg.sum(g * x_hat, axis=axes), "bias": mg.sum(g, axis=axes)}


@mg.closed_form(LayerNorm)
def layer_norm_backward(
    g: mg.Tensor, x: mg.Tensor, weight: mg.Tensor | None, axes: tuple[int, ...], centered: bool, eps: float
) -> Gradients:
    """Statistics over some axes of each example; the parameters are shared by all others."""
    at = tuple(a % x.ndim for a in axes)
    if weight is not None:
        weight = mg.reshape(weight, tuple(n if i in at else 1 for i, n in enumerate(x.shape))) + float(centered)
    to_x, x_hat = through_statistics(g, x, at, eps, weight)
    rest = tuple(i for i in range(x.ndim) if i not in at)
    return {"x": to_x, "weight": mg.sum(g * x_hat, axis=rest), "bias": mg.sum(g, axis=rest)}


@mg.closed_form(GroupNorm)
def group_norm_backward(g: mg.Tensor, x: mg.Tensor, weight: mg.Tensor | None, num_groups: int, eps: float) -> Gradients:
    """Statistics over each group of channels of each example."""
    n, c = x.shape[:2]
    grouped = (n, num_groups, c // num_groups, -1)
    by_channel = None if weight is None else mg.reshape(weight, (num_groups, c // num_groups, 1))
    to_x, x_hat = through_statistics(mg.reshape(g, grouped), mg.reshape(x, grouped), (2, 3), eps, by_channel)
    product, cotangent = (mg.reshape(t, (n, c, -1)) for t in (mg.reshape(g, grouped) * x_hat, g))
    return {
        "x": mg.reshape(to_x, x.shape),
        "weight": mg.sum(product, axis=(0, 2)),
        "bias": mg.sum(cotangent, axis=(0, 2)),
    }


@mg.closed_form(RMSNorm, samples=(mg.Sample((4, 1e-6), inputs=((3, 4),)),))
def rms_norm_backward(g: mg.Tensor, x: mg.Tensor, weight: mg.Tensor, eps: float) -> Gradients:
    """With no mean taken away: (g' - x̂ mean(g' x̂)) / rms, for one normalized axis, the last."""
    scale = mg.rsqrt(mg.mean(x * x, axis=-1, keepdims=True) + eps)
    x_hat = x * scale
    weighted = g * weight
    to_x = scale * (weighted - x_hat * mg.mean(weighted * x_hat, axis=-1, keepdims=True))
    return {"x": to_x, "weight": mg.sum(g * x_hat, axis=tuple(range(x.ndim - 1)))}


def through_length(g: mg.Tensor, x: mg.Tensor, axis: int) -> tuple[mg.Tensor, mg.Tensor]:
    """The gradient of x for u = x / ‖x‖, (g - u (g · u)) / ‖x‖, and u; where x is longer than eps."""
    length = mg.linalg.norm(x, axis=axis, keepdims=True)
    u = x / length
    return (g - u * mg.sum(g * u, axis=axis, keepdims=True)) / length, u


@mg.closed_form(L2Norm, samples=(mg.Sample((), inputs=((3, 4),)),))
def l2_norm_backward(g: mg.Tensor, x: mg.Tensor, dim: int) -> Gradients:
    """What is left of g across x, divided by its length."""
    return {"x": through_length(g, x, dim)[0]}


@mg.closed_form(DynamicTanh, samples=(mg.Sample((4,), inputs=((3, 4),)),))
def dynamic_tanh_backward(g: mg.Tensor, x: mg.Tensor, weight: mg.Tensor, alpha: mg.Tensor) -> Gradients:
    """tanh' = 1 - tanh², for features along the last axis."""
    t = mg.tanh(alpha * x)
    inner = g * weight * (1.0 - t * t)
    return {
        "x": alpha * inner,
        "alpha": mg.reshape(mg.sum(inner * x), (1,)),
        "weight": mg.sum(g * t, axis=0),
        "bias": mg.sum(g, axis=0),
    }
