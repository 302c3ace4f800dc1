"""Normalization over the batch: batch norm."""

from __future__ import annotations

import math
from typing import Any, Literal

import minigrad as mg
from minigrad.errors import ArgumentError, ShapeError
from minigrad_layers.normalization.axes import along, shaped
from minigrad_layers.normalization.normalize import affine_parameters, kept_in, normalize, positive, running_statistics


class RunningNorm(mg.Module):
    """What the batch norms share: one mean and variance for each channel, over the batch and all places in space, and
    running ones for evaluation. A subclass says in `normalized` what training does.
    """

    dims: tuple[int, ...]
    axes_named: str
    remedy = "train with larger batches (drop_last drops a last one of 1), or use the running statistics with eval()"

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
        num_features = mg.arguments.integer(num_features, "num_features", type(self).__name__, 1)
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
        self.num_features, self.eps, self.momentum, self.correction = num_features, positive(eps), momentum, correction
        self.affine, self.track_running_stats = affine, track_running_stats
        self.weight: mg.Parameter | None = None
        self.bias: mg.Parameter | None = None
        self.running_mean: mg.Buffer | None = None
        self.running_var: mg.Buffer | None = None
        self.num_batches_tracked: mg.Buffer | None = None
        if affine:
            self.weight, offset = affine_parameters((num_features,), dtype, device)
            self.bias = offset if bias else None
        if track_running_stats:
            wide = kept_in(dtype)
            self.running_mean = mg.Buffer(mg.init.zeros((num_features,), dtype=wide, device=device))
            self.running_var = mg.Buffer(mg.init.ones((num_features,), dtype=wide, device=device))
            self.num_batches_tracked = mg.Buffer(mg.tensor(0, dtype="int64", device=device))

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """The input normalized by the statistics of its batch in training, by the running ones otherwise."""
        shape = self.column(x)
        return self.with_gain(x, shaped(self.weight, shape, "_weight"), shaped(self.bias, shape, "_bias"))

    def with_gain(self, x: mg.Tensor, weight: mg.Tensor | None, bias: mg.Tensor | None) -> mg.Tensor:
        """`forward` with a weight and a bias that broadcast against `x`."""
        if not self.training and self.running_mean is not None and self.running_var is not None:
            shape = self.column(x)
            known = mg.reshape(self.running_mean, shape), mg.reshape(self.running_var, shape)
            return normalize(x, self.axes(x), weight, bias, eps=self.eps, statistics=known).y
        return self.normalized(x, self.axes(x), weight, bias)

    def normalized(
        self, x: mg.Tensor, axes: tuple[int, ...], weight: mg.Tensor | None, bias: mg.Tensor | None
    ) -> mg.Tensor:
        """By the statistics of the batch, which move the running ones in training."""
        n = self.count(x)
        y, mean, var = normalize(x, axes, weight, bias, eps=self.eps)
        if self.training:
            self.update_statistics(mean, var, n)
        return y

    def column(self, x: mg.Tensor) -> tuple[int, ...]:
        """The shape in which a parameter of the channels broadcasts against `x`.

        Raises:
            ShapeError: another number of axes or channels.
        """
        if x.ndim not in self.dims or x.shape[1] != self.num_features:
            raise ShapeError(
                f"{type(self).__name__}: x has shape {x.shape}, it must be {self.axes_named} with c = num_features = "
                f"{self.num_features}"
            )
        return (self.num_features,) + (1,) * (x.ndim - 2)

    def axes(self, x: mg.Tensor) -> tuple[int, ...]:
        """Those that the statistics are taken over."""
        return 0, *range(2, x.ndim)

    def count(self, x: mg.Tensor) -> int:
        """How many values each statistic is of.

        Raises:
            ShapeError: less than two, which have no variance.
        """
        n = math.prod(x.shape[a] for a in self.axes(x))
        if n < 2:
            raise ShapeError(
                f"{type(self).__name__}: an input of shape {x.shape} has {n} value{'s' * (n != 1)} per channel, a "
                f"variance needs two; {self.remedy}"
            )
        return n

    def update_statistics(
        self, mean: mg.Tensor, var: mg.Tensor, count: int, momentum: float | Literal["own"] | None = "own"
    ) -> None:
        """Move the running statistics towards those of a batch with `count` values per channel, `var` divided by it.

        `momentum` is the layer's own unless given; None is the average of all batches.
        """
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        moved = (self.running_mean, mean, 1.0), (self.running_var, var, count / (count - self.correction))
        share = self.momentum if momentum == "own" else momentum
        running_statistics(self.num_batches_tracked, share, moved)

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
class BatchNorm1d(RunningNorm):
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
class BatchNorm2d(RunningNorm):
    """Each channel of (n, c, h, w) normalized over the batch and all its places; otherwise as BatchNorm1d.

    Example:
        >>> import minigrad as mg
        >>> BatchNorm2d(3)(mg.ones((2, 3, 4, 4))).shape
        (2, 3, 4, 4)
    """

    samples = (((2,), (3, 2, 2, 2)),)
    dims, axes_named = (4,), "(n, c, h, w)"


@mg.register_layer
class BatchNorm3d(RunningNorm):
    """Each channel of (n, c, d, h, w) normalized over the batch and all its places; otherwise as BatchNorm1d.

    Example:
        >>> import minigrad as mg
        >>> BatchNorm3d(3)(mg.ones((2, 3, 2, 4, 4))).shape
        (2, 3, 2, 4, 4)
    """

    samples = (((2,), (3, 2, 2, 1, 2)),)
    dims, axes_named = (5,), "(n, c, d, h, w)"


@mg.register_layer
class FrozenBatchNorm2d(mg.Module):
    """Batch norm with nothing to learn and nothing that moves: weight, bias and statistics are buffers.

    Detectors that are trained with few images at a time take it from a trained network. `BatchNorm2d(c).freeze()` holds
    a norm that way too, and can be undone. torchvision's names and arguments.

    Args:
        num_features: c of (n, c, h, w).
        eps: added to the variance; above 0.

    Source: Ren, He, Girshick, Sun, "Faster R-CNN", NeurIPS 2015, whose batch norms are fixed while it is trained.

    Example:
        >>> import minigrad as mg
        >>> layer = FrozenBatchNorm2d(3)
        >>> layer(mg.ones((2, 3, 4, 4))).shape, list(layer.parameters())
        ((2, 3, 4, 4), [])
    """

    samples = (((2,), (3, 2, 2, 2)),)

    def __init__(self, num_features: int, eps: float = 1e-5, device: str | None = None, dtype: Any = None) -> None:
        self.num_features = mg.arguments.integer(num_features, "num_features", "FrozenBatchNorm2d", 1)
        self.eps = positive(eps)
        for name, start in ("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0):
            value = mg.init.constant((num_features,), start, dtype=dtype or "float32", device=device)
            setattr(self, name, mg.Buffer(value))

    weight: mg.Buffer
    bias: mg.Buffer
    running_mean: mg.Buffer
    running_var: mg.Buffer

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """x of shape (n, c, h, w)."""
        if x.ndim != 4:
            raise ShapeError(f"FrozenBatchNorm2d: x has shape {x.shape}, it must be (n, c, h, w)")
        shape = along(x, (1,), (self.num_features,), "FrozenBatchNorm2d", "num_features")
        weight, bias, mean, var = (
            mg.reshape(t, shape) for t in (self.weight, self.bias, self.running_mean, self.running_var)
        )
        return normalize(x, (0, 2, 3), weight, bias, eps=self.eps, statistics=(mean, var)).y

    def extra_repr(self) -> str:
        """torchvision's."""
        return f"{self.num_features}, eps={self.eps}"
