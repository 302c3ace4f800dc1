"""Normalization layers: one composition, which differs in the axes and in where the statistics come from.

There is no backward pass here, and there must never be one: the gradients, of every order, are those of the primitives.
Hand-derived ones are where engines go wrong silently, in the second order or when a scale is 0.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import minigrad as mg
from minigrad.errors import ArgumentError, DtypeError, ShapeError


class Normalized(NamedTuple):
    """A normalized input and the statistics that were used; axes that they were taken over have size 1."""

    y: mg.Tensor
    mean: mg.Tensor
    var: mg.Tensor  # divided by n, not n - 1


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
    if x.dtype.kind != "f":
        raise DtypeError(
            f"x has dtype {x.dtype}, and only floats can be normalized; convert it with x.astype('float32')"
        )
    half = x.dtype.itemsize == 2
    wide = mg.astype(x, "float32") if half else x
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
    return Normalized(mg.astype(y, x.dtype) if half else y, mean, var)


def _repeats(weight: mg.Tensor | None, x: mg.Tensor, axes: tuple[int, ...]) -> bool:
    """Whether statistics over `axes` times `weight` still have an axis of size 1 that `x` has not."""
    sizes = () if weight is None else weight.shape
    own = (1,) * (x.ndim - len(sizes)) + sizes
    return any(own[i] == 1 != x.shape[i] for i in axes)


def _affine(shape: tuple[int, ...], dtype: Any, device: str | None) -> tuple[mg.Parameter, mg.Parameter]:
    ones, zeros = (f(shape, dtype=dtype, device=device) for f in (mg.init.ones, mg.init.zeros))
    return mg.Parameter(ones), mg.Parameter(zeros)


def _positive(eps: float) -> float:
    if not eps > 0:
        raise ArgumentError(f"eps: {eps!r} must be above 0, or a constant input would divide by zero; 1e-5 is usual")
    return eps


class _BatchNorm(mg.Module):
    """What the batch norms share: one mean and variance for each channel, over the batch and all places in space."""

    dims: tuple[int, ...]
    axes_named: str

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: str | None = None,
        dtype: Any = None,
        *,
        bias: bool = True,
        decay: float | None = None,
        correction: int = 1,
    ) -> None:
        if decay is not None:
            if momentum != 0.1:
                raise ArgumentError(
                    f"decay={decay} and momentum={momentum}: decay is 1 - momentum, so give one of them"
                )
            momentum = 1 - decay
        if momentum is not None and not 0 <= momentum <= 1:
            raise ArgumentError(
                f"momentum: {momentum!r} is the weight of the new batch, from 0 to 1, or None for the average of all"
            )
        if correction not in (0, 1):
            raise ArgumentError(f"correction: {correction!r} must be 1 (running_var divides by n - 1) or 0 (by n)")
        self.num_features, self.eps, self.momentum, self.correction = num_features, _positive(eps), momentum, correction
        self.affine, self.track_running_stats = affine, track_running_stats
        self.weight: mg.Parameter | None = None
        self.bias: mg.Parameter | None = None
        self.running_mean: mg.Buffer | None = None
        self.running_var: mg.Buffer | None = None
        self.num_batches_tracked: mg.Buffer | None = None
        if affine:
            self.weight, offset = _affine((num_features,), dtype, device)
            self.bias = offset if bias else None
        if track_running_stats:
            wide = "float64" if dtype is not None and mg.zeros(0, dtype=dtype).dtype.itemsize == 8 else "float32"
            self.running_mean = mg.Buffer(mg.init.zeros((num_features,), dtype=wide, device=device))
            self.running_var = mg.Buffer(mg.init.ones((num_features,), dtype=wide, device=device))
            self.num_batches_tracked = mg.Buffer(mg.tensor(0, dtype="int64", device=device))

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """The input normalized by the statistics of its batch in training, by the running ones otherwise."""
        name, channels = type(self).__name__, self.num_features
        if x.ndim not in self.dims or x.shape[1] != channels:
            raise ShapeError(
                f"{name}: x has shape {x.shape}, it must be {self.axes_named} with c = num_features = {channels}"
            )
        axes, column = (0, *range(2, x.ndim)), (channels,) + (1,) * (x.ndim - 2)
        weight, bias = (p if p is None else mg.reshape(p, column) for p in (self.weight, self.bias))
        if not self.training and self.running_mean is not None and self.running_var is not None:
            known = mg.reshape(self.running_mean, column), mg.reshape(self.running_var, column)
            return normalize(x, axes, weight, bias, eps=self.eps, statistics=known).y
        n = x.size // channels if channels else 0
        if n < 2:
            raise ShapeError(
                f"{name}: an input of shape {x.shape} has {n} value{'s' * (n != 1)} per channel, a variance needs two; "
                "train with larger batches (drop_last drops a last one of 1), or use the running statistics with eval()"
            )
        y, mean, var = normalize(x, axes, weight, bias, eps=self.eps)
        if self.training:
            self._track(mean, var, n)
        return y

    def _track(self, mean: mg.Tensor, var: mg.Tensor, n: int) -> None:
        """Move the running statistics towards those of a batch with `n` values per channel."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        count = self.num_batches_tracked + 1
        self.num_batches_tracked.assign(count)
        share = 1.0 / mg.astype(count, self.running_mean.dtype) if self.momentum is None else self.momentum
        factor = n / (n - self.correction)
        for kept, new, times in ((self.running_mean, mean, 1.0), (self.running_var, var, factor)):
            new = mg.reshape(mg.stop_gradient(new, why="running statistics"), kept.shape)
            kept.assign(kept * (1.0 - share) + new * (share * times))

    def reset_running_stats(self) -> None:
        """Forget the running statistics: mean 0, variance 1, no batch."""
        for buffer, value in ((self.running_mean, 0.0), (self.running_var, 1.0), (self.num_batches_tracked, 0)):
            if buffer is not None:
                buffer.assign(mg.full(buffer.shape, value, dtype=buffer.dtype, device=buffer.device))

    def extra_repr(self) -> str:
        """PyTorch's."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


@mg.register_layer
class BatchNorm1d(_BatchNorm):
    """Each channel of (n, c) or (n, c, l) normalized over the batch: y = (x - mean) / sqrt(var + eps) weight + bias.

    Args:
        num_features: c.
        eps: added to the variance; above 0.
        momentum: weight of the new batch in the running statistics, as in PyTorch; None for the average of all
            batches, as in the paper. `decay`, 1 - momentum, is the other convention.
        affine, bias: whether there are `weight` (c) and `bias` (c), which start as 1 and 0; no bias without the weight.
        track_running_stats: keep `running_mean`, `running_var` and `num_batches_tracked`, which eval() uses; without
            them the batch's own statistics are used always.
        correction: 1 keeps the unbiased variance, divided by n - 1, 0 the one that normalizes, divided by n.

    Source: Ioffe, Szegedy, "Batch normalization: accelerating deep network training by reducing internal covariate
    shift", ICML 2015.

    Raises:
        ArgumentError: eps <= 0, a momentum outside 0 to 1.
        ShapeError: another number of channels, or in training one value per channel, whose variance is no use.

    Example:
        >>> import minigrad as mg
        >>> BatchNorm1d(2)(mg.tensor([[1.0, 5.0], [3.0, 5.0]]))
        tensor([[-0.999995,  0.      ],
                [ 0.999995,  0.      ]], op='add')
    """

    samples = ((3,), (5, 3)), ((2, 1e-3, None), (2, 2, 3)), ((3, 1e-5, 0.1, False, False), (5, 3))
    dims, axes_named = (2, 3), "(n, c) or (n, c, l)"


@mg.register_layer
class BatchNorm2d(_BatchNorm):
    """Each channel of (n, c, h, w) normalized over the batch and all its places; otherwise as BatchNorm1d.

    Example:
        >>> import minigrad as mg
        >>> BatchNorm2d(3)(mg.ones((2, 3, 4, 4))).shape
        (2, 3, 4, 4)
    """

    samples = (((2,), (3, 2, 2, 2)),)
    dims, axes_named = (4,), "(n, c, h, w)"


@mg.register_layer
class LayerNorm(mg.Module):
    """Each example normalized over its last axes, y = (x - mean) / sqrt(var + eps) weight + bias, always the same.

    Args:
        normalized_shape: sizes of the axes to normalize over, the last ones of the input.
        eps: added to the variance; above 0.
        elementwise_affine, bias: whether there are `weight` and `bias`, both of that shape.

    Source: Ba, Kiros, Hinton, "Layer normalization", 2016.

    Example:
        >>> import minigrad as mg
        >>> LayerNorm(2, bias=False)(mg.tensor([[1.0, 3.0], [5.0, 5.0]]))
        tensor([[-0.999995,  0.999995],
                [ 0.      ,  0.      ]], op='multiply')
    """

    samples = ((5,), (3, 5)), (((2, 3),), (2, 2, 3)), ((4, 1e-5, False), (2, 3, 4))

    def __init__(
        self,
        normalized_shape: int | tuple[int, ...],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        self.normalized_shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        if not self.normalized_shape:
            raise ArgumentError("normalized_shape: () names no axis; give the sizes of the last axes of the input")
        self.eps, self.elementwise_affine = _positive(eps), elementwise_affine
        self.weight: mg.Parameter | None = None
        self.bias: mg.Parameter | None = None
        if elementwise_affine:
            self.weight, offset = _affine(self.normalized_shape, dtype, device)
            self.bias = offset if bias else None

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """x of shape (…, *normalized_shape)."""
        n = len(self.normalized_shape)
        if x.shape[-n:] != self.normalized_shape:
            raise ShapeError(
                f"LayerNorm: x has shape {x.shape}, it must end in normalized_shape={self.normalized_shape}"
            )
        return normalize(x, tuple(range(x.ndim - n, x.ndim)), self.weight, self.bias, eps=self.eps).y

    def extra_repr(self) -> str:
        """PyTorch's."""
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, "
            f"bias={self.bias is not None}"
        )


@mg.register_layer
class GroupNorm(mg.Module):
    """Each group of channels of each example of (n, c, …) normalized, in training and after.

    Args:
        num_groups: how many groups; divides num_channels. 1 takes all channels together, num_channels each alone.
        num_channels: c.
        eps: added to the variance; above 0.
        affine, bias: whether there are `weight` (c) and `bias` (c).

    Source: Wu, He, "Group normalization", ECCV 2018.

    Example:
        >>> import minigrad as mg
        >>> GroupNorm(2, 4)(mg.ones((3, 4, 5, 5))).shape
        (3, 4, 5, 5)
    """

    samples = ((2, 4), (2, 4, 3)), ((1, 2, 1e-3, False), (3, 2, 2, 2))

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: str | None = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        if num_groups < 1 or num_channels % num_groups:
            raise ArgumentError(f"num_groups: {num_groups} must divide num_channels={num_channels}")
        self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, _positive(eps), affine
        self.weight: mg.Parameter | None = None
        self.bias: mg.Parameter | None = None
        if affine:
            self.weight, offset = _affine((num_channels,), dtype, device)
            self.bias = offset if bias else None

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """x of shape (n, c, …)."""
        if x.ndim < 2 or x.shape[1] != self.num_channels:
            raise ShapeError(
                f"GroupNorm: x has shape {x.shape}, it must be (n, c, …) with c = num_channels = {self.num_channels}"
            )
        n, c, groups = x.shape[0], self.num_channels, self.num_groups
        grouped = mg.reshape(x, (n, groups, c // groups, math.prod(x.shape[2:])))
        by_channel = (groups, c // groups, 1)
        weight, bias = (p if p is None else mg.reshape(p, by_channel) for p in (self.weight, self.bias))
        return mg.reshape(normalize(grouped, (2, 3), weight, bias, eps=self.eps).y, x.shape)

    def extra_repr(self) -> str:
        """PyTorch's."""
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
            f"bias={self.bias is not None}"
        )
