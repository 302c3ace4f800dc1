"""Normalization over groups of channels of each example: group norm."""

from __future__ import annotations

import math
from typing import Any

import minigrad as mg
from minigrad.errors import ArgumentError, ShapeError
from minigrad_layers.normalization.axes import shaped
from minigrad_layers.normalization.normalize import affine_parameters, normalize, positive


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
        num_groups = mg.arguments.integer(num_groups, "num_groups", "GroupNorm", 1)
        num_channels = mg.arguments.integer(num_channels, "num_channels", "GroupNorm", 1)
        if num_channels % num_groups:
            raise ArgumentError(f"num_groups: {num_groups} must divide num_channels={num_channels}")
        self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, positive(eps), affine
        self.weight: mg.Parameter | None = None
        self.bias: mg.Parameter | None = None
        if affine:
            self.weight, offset = affine_parameters((num_channels,), dtype, device)
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
        weight, bias = shaped(self.weight, by_channel, "_weight"), shaped(self.bias, by_channel, "_bias")
        return mg.reshape(normalize(grouped, (2, 3), weight, bias, eps=self.eps).y, x.shape)

    def extra_repr(self) -> str:
        """PyTorch's."""
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
            f"bias={self.bias is not None}"
        )
