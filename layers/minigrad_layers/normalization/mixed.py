"""Norms that mix the statistics of others: switchable norm, and the two that were found by search."""

from __future__ import annotations

from typing import Any

import minigrad as mg
from minigrad.errors import ArgumentError, ShapeError
from minigrad_layers.normalization.axes import along, widened
from minigrad_layers.normalization.batch import RunningNorm
from minigrad_layers.normalization.normalize import (
    affine_parameters,
    kept_in,
    normalize,
    positive,
    running_statistics,
)

__all__ = ["EvoNormB0", "EvoNormS0", "SwitchableNorm"]


@mg.register_layer
class SwitchableNorm(RunningNorm):
    """Normalized by a learnt mixture of the statistics of instance, layer and batch norm.

    y = (x - Σ w_k mean_k) / sqrt(Σ v_k var_k + eps) weight + bias over the three in that order, w and v being the
    softmax of `mean_weight` and of `var_weight`. All variances are divided by the number of their values; the authors'
    code divides the instances' by one less and starts the running variance at 0, here it starts at 1. In evaluation
    the batch's statistics are the running ones.

    Args:
        num_features: c of (n, c, …) with at least one axis of places.
        eps, momentum, affine, track_running_stats, bias, decay, correction: as in BatchNorm1d.

    Source: Luo, Ren, Peng, Zhang, Li, "Differentiable learning-to-normalize via switchable normalization", ICLR 2019,
    arXiv 1806.10779.

    Example:
        >>> import minigrad as mg
        >>> layer = SwitchableNorm(3)
        >>> layer(mg.ones((2, 3, 4, 4))).shape, [name for name, _ in layer.named_parameters()]
        ((2, 3, 4, 4), ['weight', 'bias', 'mean_weight', 'var_weight'])
    """

    samples = ((2,), (3, 2, 2, 2)), ((3, 1e-3, 0.3, False), (2, 3, 4))
    dims, axes_named = (3, 4, 5), "(n, c, …) with one to three axes of places"

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
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias, decay=decay,
            correction=correction,
        )  # fmt: skip
        self.mean_weight, self.var_weight = (
            mg.Parameter(mg.init.ones((3,), dtype=dtype, device=device)) for _ in range(2)
        )

    def with_gain(self, x: mg.Tensor, weight: mg.Tensor | None, bias: mg.Tensor | None) -> mg.Tensor:
        """As `textbook`, but each mean is taken away before they are mixed, so that nothing far from 0 is rounded."""
        return self._mixed(x, weight, bias, exact=True)

    def textbook(self, x: mg.Tensor) -> mg.Tensor:
        """The formula."""
        column = self.column(x)
        gain, shift = (None if p is None else mg.reshape(p, column) for p in (self.weight, self.bias))
        return self._mixed(x, gain, shift, exact=False)

    def _mixed(self, x: mg.Tensor, weight: mg.Tensor | None, bias: mg.Tensor | None, *, exact: bool) -> mg.Tensor:
        wide, places = widened(x, "SwitchableNorm"), tuple(range(2, x.ndim))
        known = (not self.training) and self.running_mean is not None
        n = 0 if known else self.count(x)
        means, variances, centred = [], [], []
        for axes in (places, (1, *places), (0, *places)):
            if axes[0] == 0 and known:
                assert self.running_mean is not None
                assert self.running_var is not None
                mean, var = (mg.reshape(b, self.column(x)) for b in (self.running_mean, self.running_var))
                off = wide - mean
            elif exact:
                d, r, var, shift = mg.deviations(wide, axes)
                mean, off = shift + r, d - r
            else:
                mean, var = mg.mean(wide, axes, keepdims=True), mg.var(wide, axes, keepdims=True)
            means.append(mean)
            variances.append(var)
            if exact:
                centred.append(off)
        if self.training:
            self.update_statistics(means[2], variances[2], n)
        w, v = (mg.softmax(p, -1) for p in (self.mean_weight, self.var_weight))
        var = (v[0] * variances[0] + v[1] * variances[1] + v[2] * variances[2]).named("var")
        of = centred if exact else means
        blend = w[0] * of[0] + w[1] * of[1] + w[2] * of[2]
        statistics = (mg.zeros_like(var) if exact else blend.named("mean"), var)
        y = normalize(blend if exact else wide, (0, *places), weight, bias, eps=self.eps, statistics=statistics).y
        return y if y.dtype == x.dtype else mg.astype(y, x.dtype)


class _EvoNorm(mg.Module):
    """What both share: weight, bias and v, and the last step."""

    def _learnt(self, num_features: int, apply_act: bool, device: str | None, dtype: Any) -> None:
        name = type(self).__name__
        self.num_features = mg.arguments.integer(num_features, "num_features", name, 1)
        self.apply_act = mg.arguments.flag(apply_act, "apply_act", name)
        self.weight, self.bias = affine_parameters((num_features,), dtype, device)
        self.v = mg.Parameter(mg.init.ones((num_features,), dtype=dtype, device=device)) if apply_act else None

    def _column(self, x: mg.Tensor) -> tuple[int, ...]:
        if x.ndim < 3:
            raise ShapeError(f"{type(self).__name__}: x has shape {x.shape}, it must be (n, c, …) with places behind c")
        return along(x, (1,), (self.num_features,), type(self).__name__, "num_features")

    def _scaled(self, y: mg.Tensor, x: mg.Tensor) -> mg.Tensor:
        weight, bias = (mg.reshape(p, self._column(x)) for p in (self.weight, self.bias))
        y = y * weight + bias
        return y if y.dtype == x.dtype else mg.astype(y, x.dtype)


@mg.register_layer
class EvoNormB0(_EvoNorm):
    """A norm and an activation in one, found by search, with statistics of the batch.

    y = x / max(sqrt(var_b + eps), v x + sqrt(var_i + eps)) weight + bias, var_b over batch and places, in evaluation
    the running one, and var_i over the places of each example; both divided by the number of their values. timm's
    arguments and names, where the layer is EvoNorm2dB0.

    Args:
        num_features: c of (n, c, …) with places behind c.
        apply_act: False leaves only weight and bias, as in timm.
        momentum: weight of the new batch in `running_var`, which is divided by one less.
        eps: added to the variances; above 0.

    Source: Liu, Brock, Simonyan, Le, "Evolving normalization-activation layers", NeurIPS 2020, arXiv 2004.02967.

    Example:
        >>> import minigrad as mg
        >>> EvoNormB0(3)(mg.ones((2, 3, 4, 4))).shape
        (2, 3, 4, 4)
    """

    samples = ((2,), (3, 2, 2, 2)), ((2, False), (2, 2, 3))

    def __init__(
        self,
        num_features: int,
        apply_act: bool = True,
        momentum: float = 0.1,
        eps: float = 1e-3,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        self._learnt(num_features, apply_act, device, dtype)
        self.momentum, self.eps = mg.arguments.number(momentum, "momentum", "EvoNormB0"), positive(eps)
        if not 0 <= momentum <= 1:
            raise ArgumentError(f"EvoNormB0: momentum={momentum!r} is the weight of the new batch, from 0 to 1")
        self.running_var = mg.Buffer(mg.init.ones((num_features,), dtype=kept_in(dtype), device=device))

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """x of shape (n, c, …)."""
        column, wide, places = self._column(x), widened(x, "EvoNormB0"), tuple(range(2, x.ndim))
        if self.v is None:
            return self._scaled(wide, x)
        if self.training:
            n = x.size // self.num_features
            if n < 2:
                raise ShapeError(
                    f"EvoNormB0: an input of shape {x.shape} has {n} value{'s' * (n != 1)} per channel, a variance "
                    "needs two; train with larger batches or maps, or use the running variance with eval()"
                )
            var = mg.var(wide, (0, *places), keepdims=True).named("var")
            running_statistics(None, self.momentum, ((self.running_var, var, n / (n - 1)),))
        else:
            var = mg.reshape(self.running_var, column)
        instance = mg.sqrt(mg.var(wide, places, keepdims=True) + self.eps).named("instance_std")
        by_batch = mg.sqrt(var + self.eps).named("batch_std")
        return self._scaled(wide / mg.maximum(by_batch, mg.reshape(self.v, column) * wide + instance), x)

    def extra_repr(self) -> str:
        """The constructor's arguments."""
        return f"{self.num_features}, apply_act={self.apply_act}, momentum={self.momentum}, eps={self.eps}"


@mg.register_layer
class EvoNormS0(_EvoNorm):
    """A norm and an activation in one, found by search, without statistics of the batch.

    y = x sigmoid(v x) / sqrt(var + eps) weight + bias, var over each group of channels and all places of an example,
    divided by the number of its values. timm's arguments and names, where the layer is EvoNorm2dS0.

    Args:
        num_features: c of (n, c, …) with places behind c.
        groups: how many groups of channels; divides num_features.
        group_size: channels of a group, in place of `groups`.
        apply_act: False leaves only weight and bias, as in timm.
        eps: added to the variance; above 0.

    Source: Liu, Brock, Simonyan, Le, "Evolving normalization-activation layers", NeurIPS 2020, arXiv 2004.02967.

    Example:
        >>> import minigrad as mg
        >>> EvoNormS0(4, groups=2)(mg.ones((2, 4, 3, 3))).shape
        (2, 4, 3, 3)
    """

    samples = ((4, 2), (2, 4, 2, 2)), ((3, 32, 3), (2, 3, 2)), ((2, 1, None, False), (2, 2, 3))

    def __init__(
        self,
        num_features: int,
        groups: int = 32,
        group_size: int | None = None,
        apply_act: bool = True,
        eps: float = 1e-5,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        self._learnt(num_features, apply_act, device, dtype)
        parts = mg.arguments.integer(groups if group_size is None else group_size, "groups", "EvoNormS0", 1)
        if num_features % parts:
            given = f"groups={groups}" if group_size is None else f"group_size={group_size}"
            raise ArgumentError(f"EvoNormS0: {given} must divide num_features={num_features}")
        self.groups, self.eps = parts if group_size is None else num_features // parts, positive(eps)

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """x of shape (n, c, …)."""
        column, wide = self._column(x), widened(x, "EvoNormS0")
        if self.v is None:
            return self._scaled(wide, x)
        n, c, *places = x.shape
        grouped = (n, self.groups, c // self.groups, *places)
        var = mg.var(mg.reshape(wide, grouped), tuple(range(2, x.ndim + 1)), keepdims=True).named("var")
        activated = mg.reshape(wide * mg.sigmoid(mg.reshape(self.v, column) * wide), grouped)
        return self._scaled(mg.reshape(activated * mg.rsqrt(var + self.eps), x.shape), x)

    def extra_repr(self) -> str:
        """The constructor's arguments."""
        return f"{self.num_features}, groups={self.groups}, apply_act={self.apply_act}, eps={self.eps}"
