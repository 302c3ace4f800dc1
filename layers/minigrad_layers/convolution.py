"""Convolution layers: the same small weighted sum at every place."""

from __future__ import annotations

import math
from typing import Any

import minigrad as mg
from minigrad.errors import ArgumentError

Size = int | tuple[int, int]


def _pair(value: Size, name: str, least: int = 1) -> tuple[int, int]:
    pair = mg.arguments.integers(value, name, "Conv2d", least)
    if len(pair) not in (1, 2):
        raise ArgumentError(f"Conv2d: {name}={value!r} must be an integer, or two of them for height and width")
    return pair[0], pair[-1]


@mg.register_layer
class Conv2d(mg.Module):
    """Two-dimensional convolution (cross-correlation, as in PyTorch) of (n, c, h, w), zero-padded, plus a bias.

    Args:
        in_channels, out_channels: c of the input and of the output; both divisible by `groups`.
        kernel_size, stride, padding, dilation: an integer, or a pair for height and width. Padding may be "valid"
            (none) or "same" (the output as large as the input; stride 1, and dilation (kernel_size - 1) even).
        groups: how many parts the channels are cut into, each convolved by itself.
        bias: whether there is one.
        device, dtype: of the parameters; float32 by default.

    `weight` (out_channels, in_channels / groups, *kernel_size) and `bias` (out_channels) start evenly on
    ±1 / sqrt(fan_in), as in PyTorch.

    Example:
        >>> import minigrad as mg
        >>> Conv2d(1, 16, 3, padding=1)(mg.ones((2, 1, 8, 8), dtype="float32")).shape
        (2, 16, 8, 8)
    """

    samples = ((2, 3, 3, 1, 1), (2, 2, 4, 3)), ((2, 2, (2, 1), (1, 2), 0, 1, 2, False), (1, 2, 4, 5))

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size | str = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        in_channels = mg.arguments.integer(in_channels, "in_channels", "Conv2d", 1)
        out_channels = mg.arguments.integer(out_channels, "out_channels", "Conv2d", 1)
        groups = mg.arguments.integer(groups, "groups", "Conv2d", 1)
        if in_channels % groups or out_channels % groups:
            raise ArgumentError(
                f"Conv2d: groups={groups} must divide in_channels={in_channels} and out_channels={out_channels}"
            )
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size, self.stride = _pair(kernel_size, "kernel_size"), _pair(stride, "stride")
        self.dilation = _pair(dilation, "dilation")
        self.padding = self._padding(padding)
        shape = (out_channels, in_channels // groups, *self.kernel_size)
        bound = 1 / math.sqrt(math.prod(shape[1:]))
        kind = dtype or "float32"
        self.weight = mg.Parameter(mg.init.uniform(shape, -bound, bound, dtype=kind, device=device))
        self.bias = (
            mg.Parameter(mg.init.uniform((out_channels,), -bound, bound, dtype=kind, device=device)) if bias else None
        )

    def _padding(self, padding: Size | str) -> tuple[int, int]:
        if not isinstance(padding, str):
            return _pair(padding, "padding", 0)
        reach = [d * (k - 1) for d, k in zip(self.dilation, self.kernel_size, strict=True)]
        if padding == "valid":
            return 0, 0
        if padding != "same" or self.stride != (1, 1) or any(r % 2 for r in reach):
            raise ArgumentError(
                f"padding: {padding!r} must be an integer, a pair, 'valid', or 'same', which needs stride 1 "
                f"(here {self.stride}) and an even dilation * (kernel_size - 1) (here {tuple(reach)})"
            )
        return reach[0] // 2, reach[1] // 2

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """(n, in_channels, h, w) to (n, out_channels, h', w')."""
        if x.ndim != 4 or x.shape[1] != self.in_channels:
            raise mg.errors.ShapeError(
                f"Conv2d: x has shape {x.shape}, it must be (n, c, h, w) with c = in_channels = {self.in_channels}"
            )
        return mg.conv2d(
            x,
            self.weight,
            self.bias,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
        )

    def extra_repr(self) -> str:
        """PyTorch's: what has its usual value is left out."""
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        text += f", padding={self.padding}" if self.padding != (0, 0) else ""
        text += f", dilation={self.dilation}" if self.dilation != (1, 1) else ""
        text += f", groups={self.groups}" if self.groups != 1 else ""
        return text + (", bias=False" if self.bias is None else "")
