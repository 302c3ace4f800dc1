"""Normalization of each channel of each example by its own places: instance norm."""

from __future__ import annotations

from typing import Any

import minigrad as mg
from minigrad_layers.normalization.batch import RunningNorm
from minigrad_layers.normalization.normalize import normalize


class _InstanceNorm(RunningNorm):
    """What the instance norms share: statistics over the places of each channel of each example."""

    remedy = "normalize over larger maps, or use LayerNorm or GroupNorm, which take several channels together"

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: str | None = None,
        dtype: Any = None,
        *,
        bias: bool = True,
        decay: float | None = None,
        correction: int = 1,
    ) -> None:
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias, decay=decay,
            correction=correction,
        )  # fmt: skip

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """The input normalized by its own statistics; by the running ones in evaluation, where those are kept."""
        if x.ndim + 1 == self.dims[0]:  # one example
            return super().forward(x[None])[0]
        return super().forward(x)

    def axes(self, x: mg.Tensor) -> tuple[int, ...]:
        """Those of the places."""
        return tuple(range(2, x.ndim))

    def normalized(
        self, x: mg.Tensor, axes: tuple[int, ...], weight: mg.Tensor | None, bias: mg.Tensor | None
    ) -> mg.Tensor:
        """By its own statistics; their average over the examples, if there are any, moves running ones in training."""
        n = self.count(x)
        y, mean, var = normalize(x, axes, weight, bias, eps=self.eps)
        if self.training and self.track_running_stats and len(x):
            self.update_statistics(mg.mean(mean, 0), mg.mean(var, 0), n)
        return y


@mg.register_layer
class InstanceNorm1d(_InstanceNorm):
    """Each channel of each example of (n, c, l) normalized over its places: y = (x - mean) / sqrt(var + eps).

    Args:
        num_features: c; one example, (c, l), is taken too.
        eps: added to the variance; above 0.
        momentum, decay, correction: of running statistics, as in BatchNorm1d.
        affine, bias: whether there are `weight` (c) and `bias` (c); none unless asked for, as in PyTorch.
        track_running_stats: keep the batches' average statistics and normalize by those in evaluation, which is then a
            batch norm and no instance norm any more; off, as in PyTorch. Batches are counted, which PyTorch's are not.

    Source: Ulyanov, Vedaldi, Lempitsky, "Instance normalization: the missing ingredient for fast stylization", 2016,
    arXiv 1607.08022.

    Raises:
        ShapeError: another number of channels or axes, or one place, whose variance is no use.

    Example:
        >>> import minigrad as mg
        >>> mg.round(InstanceNorm1d(1)(mg.tensor([[[1.0, 3.0]], [[10.0, 50.0]]])), 3).tolist()
        [[[-1.0, 1.0]], [[-1.0, 1.0]]]
    """

    samples = ((2,), (2, 2, 4)), ((2, 1e-3, 0.2, True, True), (3, 2, 3)), ((3, 1e-3, None, True), (3, 3, 4))
    dims, axes_named = (3,), "(n, c, l) or (c, l)"


@mg.register_layer
class InstanceNorm2d(_InstanceNorm):
    """Each channel of each example of (n, c, h, w) normalized over its places; otherwise as InstanceNorm1d.

    Example:
        >>> import minigrad as mg
        >>> InstanceNorm2d(3)(mg.ones((2, 3, 4, 4))).shape
        (2, 3, 4, 4)
    """

    samples = ((2,), (2, 2, 2, 2)), ((2, 1e-3, 0.2, True, True), (3, 2, 2, 2))
    dims, axes_named = (4,), "(n, c, h, w) or (c, h, w)"


@mg.register_layer
class InstanceNorm3d(_InstanceNorm):
    """Each channel of each example of (n, c, d, h, w) normalized over its places; otherwise as InstanceNorm1d.

    Example:
        >>> import minigrad as mg
        >>> InstanceNorm3d(3)(mg.ones((2, 3, 2, 4, 4))).shape
        (2, 3, 2, 4, 4)
    """

    samples = (((2, 1e-3, 0.1, True), (2, 2, 2, 1, 2)),)
    dims, axes_named = (5,), "(n, c, d, h, w) or (c, d, h, w)"
