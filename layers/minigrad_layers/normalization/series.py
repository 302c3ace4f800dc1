"""Normalization of time series, which is undone behind the model: reversible instance norm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import minigrad as mg
from minigrad.errors import ShapeError
from minigrad_layers.normalization.axes import along, widened
from minigrad_layers.normalization.normalize import Normalized, affine_parameters, normalize, positive


@mg.register_layer
class RevIN(mg.Module):
    """Each series of each example normalized over its time, and a forecast brought back to where the series was.

    `norm(x)` gives y = (x - mean) / sqrt(var + eps) affine_weight + affine_bias with the mean and variance;
    `denorm(y, (mean, var))` is its inverse, for a forecast of any length. A call gives the y of `norm`, and with
    `statistics` it is `denorm`: nothing is kept between the two, so a model may be used by threads and in programs.
    Gradients flow through the statistics, as the paper's formula has it; its code holds them constant. Where an
    `affine_weight` is 0, `denorm` divides by 0.

    Args:
        num_features: number of series c of (n, t, c).
        eps: added to the variance; above 0.
        affine: whether there are `affine_weight` (c) and `affine_bias` (c), which start as 1 and 0.

    Source: Kim, Kim, Tae, Park, Choi, Choo, "Reversible instance normalization for accurate time-series forecasting
    against distribution shift", ICLR 2022.

    Example:
        >>> import minigrad as mg
        >>> layer, x = RevIN(1), mg.tensor([[[10.0], [30.0]]])
        >>> y, *statistics = layer.norm(x)
        >>> mg.round(y, 3).tolist(), mg.round(layer.denorm(y, statistics), 3).tolist()
        ([[[-1.0], [1.0]]], [[[10.0], [30.0]]])
    """

    samples = (
        mg.Sample((2,), inputs=((2, 4, 2),)),
        mg.Sample(
            (3, 1e-3, False),
            inputs=((2, 4, 3),),
            keywords={"statistics": ((2, 1, 3), (mg.domains.positive, (2, 1, 3)))},
        ),
    )

    def __init__(
        self, num_features: int, eps: float = 1e-5, affine: bool = True, device: str | None = None, dtype: Any = None
    ) -> None:
        self.num_features = mg.arguments.integer(num_features, "num_features", "RevIN", 1)
        self.eps, self.affine = positive(eps), mg.arguments.flag(affine, "affine", "RevIN")
        self.affine_weight: mg.Parameter | None = None
        self.affine_bias: mg.Parameter | None = None
        if affine:
            self.affine_weight, self.affine_bias = affine_parameters((num_features,), dtype, device)

    def forward(self, x: mg.Tensor, statistics: Sequence[mg.Tensor] | None = None) -> mg.Tensor:
        """The y of `norm(x)`, or with the (mean, var) of another series `denorm(x, statistics)`."""
        return self.norm(x).y if statistics is None else self.denorm(x, statistics)

    def norm(self, x: mg.Tensor) -> Normalized:
        """x of shape (n, t, c): (y, mean, var), the statistics of shape (n, 1, c), at least float32."""
        self._check(x)
        return normalize(x, (1,), self.affine_weight, self.affine_bias, eps=self.eps)

    def denorm(self, y: mg.Tensor, statistics: Sequence[mg.Tensor]) -> mg.Tensor:
        """What `norm` made y of: (y - affine_bias) / affine_weight sqrt(var + eps) + mean."""
        self._check(y)
        mean, var = statistics
        wide = widened(y, "RevIN")
        if self.affine_weight is not None and self.affine_bias is not None:
            wide = (wide - self.affine_bias) / self.affine_weight
        x = wide * mg.sqrt(var + self.eps) + mean
        return x if x.dtype == y.dtype else mg.astype(x, y.dtype)

    def _check(self, x: mg.Tensor) -> None:
        if x.ndim != 3:
            raise ShapeError(f"RevIN: x has shape {x.shape}, it must be (n, t, c)")
        along(x, (2,), (self.num_features,), "RevIN", "num_features")

    def extra_repr(self) -> str:
        """The constructor's arguments."""
        return f"{self.num_features}, eps={self.eps}, affine={self.affine}"
