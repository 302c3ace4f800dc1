"""Convolution layers and their transposes: the same small weighted sum at every place."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

import minigrad as mg
from minigrad.errors import ArgumentError, ShapeError
from minigrad_layers.options import refuse
from minigrad_layers.spatial import Ints, Size, batched, several

__all__ = ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]

PADDING_MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "circular"}


class _Kernel(mg.Module):
    """A kernel that is moved over the spatial axes: its sizes, its parameters, and PyTorch's repr."""

    spatial: ClassVar[int]
    function: ClassVar[Callable[..., mg.Tensor]]
    output_padding: Ints = ()

    def _sized(
        self, in_channels: int, out_channels: int, groups: int, kernel_size: Size, stride: Size, dilation: Size
    ) -> None:
        kind = type(self).__name__
        self.in_channels = mg.arguments.integer(in_channels, "in_channels", kind, 1)
        self.out_channels = mg.arguments.integer(out_channels, "out_channels", kind, 1)
        self.groups = mg.arguments.integer(groups, "groups", kind, 1)
        if in_channels % groups or out_channels % groups:
            raise ArgumentError(
                f"{kind}: groups={groups} must divide in_channels={in_channels} and out_channels={out_channels}"
            )
        self.kernel_size = several(kernel_size, self.spatial, "kernel_size", kind)
        self.stride = several(stride, self.spatial, "stride", kind)
        self.dilation = several(dilation, self.spatial, "dilation", kind)

    def _learnt(self, rows: int, columns: int, bias: bool, device: str | None, dtype: Any) -> None:
        """`weight` (rows, columns, *kernel_size) and `bias`, evenly on ±1 / sqrt(columns times the kernel's size)."""
        bound, options = 1 / math.sqrt(columns * math.prod(self.kernel_size)), {"dtype": dtype or "float32"}
        options["device"] = device
        self.weight = mg.Parameter(mg.init.uniform((rows, columns, *self.kernel_size), -bound, bound, **options))
        self.bias = mg.Parameter(mg.init.uniform((self.out_channels,), -bound, bound, **options)) if bias else None

    def extra_repr(self) -> str:
        """PyTorch's: what has its usual value is left out."""
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        for name, usual in (("padding", 0), ("dilation", 1), ("output_padding", 0)):
            value = getattr(self, name)
            text += f", {name}={value}" if value != (usual,) * len(value) else ""
        text += f", groups={self.groups}" if self.groups != 1 else ""
        text += ", bias=False" if self.bias is None else ""
        mode = getattr(self, "padding_mode", "zeros")
        return text + (f", padding_mode={mode}" if mode != "zeros" else "")


class _Conv(_Kernel):
    """What Conv1d, Conv2d and Conv3d share."""

    padding: Ints | str

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
        padding_mode: str = "zeros",
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        self._sized(in_channels, out_channels, groups, kernel_size, stride, dilation)
        kind = type(self).__name__
        if padding_mode not in PADDING_MODES:
            raise ArgumentError(f"{kind}: padding_mode={padding_mode!r} must be one of {', '.join(PADDING_MODES)}")
        if padding == "same" and any(s != 1 for s in self.stride):
            raise ArgumentError(f"{kind}: padding='same' needs stride 1, and stride is {self.stride}")
        if isinstance(padding, str) and padding not in ("same", "valid"):
            raise ArgumentError(f"{kind}: padding={padding!r} must be sizes, 'valid' or 'same'")
        self.padding = padding if isinstance(padding, str) else several(padding, self.spatial, "padding", kind, 0)
        self.padding_mode = padding_mode
        self._learnt(out_channels, in_channels // groups, bias, device, dtype)

    def _around(self) -> tuple[tuple[int, int], ...]:
        """(before, after) for each spatial axis."""
        if self.padding == "same":  # what is odd comes after
            reach = [d * (k - 1) for d, k in zip(self.dilation, self.kernel_size, strict=True)]
            return tuple((r // 2, r - r // 2) for r in reach)
        return ((0, 0),) * self.spatial if isinstance(self.padding, str) else tuple((p, p) for p in self.padding)

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """(n, in_channels, …) to (n, out_channels, …), or both without n."""
        return batched(self._convolve, x, self.spatial, type(self).__name__, self.in_channels)

    def _convolve(self, x: mg.Tensor) -> mg.Tensor:
        around = self._around()
        padding = tuple(a for a, _ in around)
        if self.padding_mode == "circular":
            x, padding = _circular(x, around), (0,) * self.spatial
        elif self.padding_mode != "zeros" or any(a != b for a, b in around):
            x = mg.pad(x, ((0, 0), (0, 0), *around), mode=PADDING_MODES[self.padding_mode])
            padding = (0,) * self.spatial
        return type(self).function(
            x, self.weight, self.bias, stride=self.stride, padding=padding, dilation=self.dilation, groups=self.groups
        )


def _circular(x: mg.Tensor, around: tuple[tuple[int, int], ...]) -> mg.Tensor:
    """x with its own other end put on either side."""
    for axis, (before, after) in enumerate(around, 2):
        n = x.shape[axis]
        if max(before, after) > n:
            raise ShapeError(f"padding_mode='circular' cannot take {max(before, after)} from axis {axis} of {x.shape}")
        every = (slice(None),) * axis
        x = mg.concat([x[(*every, slice(n - before, n))], x, x[(*every, slice(0, after))]], axis=axis)
    return x


@mg.register_layer
class Conv1d(_Conv):
    """One-dimensional convolution of (n, c, w); see `Conv2d`.

    Example:
        >>> import minigrad as mg
        >>> Conv1d(2, 4, 3, padding="same")(mg.ones((5, 2, 10), dtype="float32")).shape
        (5, 4, 10)
    """

    samples = ((2, 3, 2), (2, 2, 4)), ((2, 2, 3, 1, 1, 1, 1, True, "reflect"), (2, 2, 4))
    spatial, function = 1, mg.conv1d


@mg.register_layer
class Conv2d(_Conv):
    """Two-dimensional convolution (cross-correlation, as in PyTorch) of (n, c, h, w) or (c, h, w), plus a bias.

    Args:
        in_channels, out_channels: c of the input and of the output; both divisible by `groups`.
        kernel_size, stride, padding, dilation: an integer, or a pair for height and width. Padding may be "valid"
            (none) or "same" (the output as large as the input; stride 1; what is odd is put at the end).
        groups: how many parts the channels are cut into, each convolved by itself.
        bias: whether there is one.
        padding_mode: what the padding holds: "zeros", "reflect" (the mirror image, without the edge itself),
            "replicate" (the edge again and again) or "circular" (the other end).
        device, dtype: of the parameters; float32 by default.

    `weight` (out_channels, in_channels / groups, *kernel_size) and `bias` (out_channels) start evenly on
    ±1 / sqrt(fan_in), as in PyTorch.

    Raises:
        ArgumentError: groups that do not divide the channels, a size under 1, another padding or padding_mode.
        ShapeError: an input of other axes or channels, or smaller than the kernel.

    Example:
        >>> import minigrad as mg
        >>> Conv2d(1, 16, 3, padding=1)(mg.ones((2, 1, 8, 8), dtype="float32")).shape
        (2, 16, 8, 8)
    """

    samples = (
        ((2, 3, 3, 1, 1), (2, 2, 4, 3)),
        ((2, 2, (2, 1), (1, 2), 0, 1, 2, False), (1, 2, 4, 5)),
        ((1, 1, 2, 1, "same", 1, 1, True, "circular"), (1, 1, 3, 2)),
    )
    spatial, function = 2, mg.conv2d


@mg.register_layer
class Conv3d(_Conv):
    """Three-dimensional convolution of (n, c, d, h, w); see `Conv2d`.

    Example:
        >>> import minigrad as mg
        >>> Conv3d(1, 2, (1, 3, 3))(mg.ones((1, 1, 2, 4, 4), dtype="float32")).shape
        (1, 2, 2, 2, 2)
    """

    samples = (((1, 2, 2), (2, 1, 2, 3, 2)),)
    spatial, function = 3, mg.conv3d


class _ConvTranspose(_Kernel):
    """What ConvTranspose1d, ConvTranspose2d and ConvTranspose3d share."""

    padding: Ints

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        output_padding: Size = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Size = 1,
        padding_mode: str = "zeros",
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        self._sized(in_channels, out_channels, groups, kernel_size, stride, dilation)
        if padding_mode != "zeros":
            refuse(self, "padding_mode", padding_mode, "padding is cut off here, so it holds nothing; leave it out")
        self.padding = several(padding, self.spatial, "padding", type(self).__name__, 0)
        self.output_padding = several(output_padding, self.spatial, "output_padding", type(self).__name__, 0)
        self._fits(self.output_padding)
        self._learnt(in_channels, out_channels // groups, bias, device, dtype)

    def _fits(self, more: Ints) -> None:
        if any(m >= max(s, d) for m, s, d in zip(more, self.stride, self.dilation, strict=True)):
            raise ArgumentError(
                f"output_padding: {more} must be less than stride {self.stride} or dilation {self.dilation}: it "
                "chooses among the sizes that a convolution maps to one"
            )

    def forward(self, x: mg.Tensor, output_size: Size | None = None) -> mg.Tensor:
        """(n, in_channels, …) to (n, out_channels, …), or both without n.

        `output_size` names the sizes of the output's spatial axes, where several are possible, in place of
        `output_padding`.
        """
        more = self.output_padding if output_size is None else self._more(x, output_size)
        return batched(
            lambda x: type(self).function(
                x,
                self.weight,
                self.bias,
                stride=self.stride,
                padding=self.padding,
                output_padding=more,
                groups=self.groups,
                dilation=self.dilation,
            ),
            x,
            self.spatial,
            type(self).__name__,
            self.in_channels,
        )

    def _more(self, x: mg.Tensor, output_size: Size) -> Ints:
        wanted = several(output_size, self.spatial, "output_size", type(self).__name__)
        each = zip(x.shape[-self.spatial :], self.stride, self.padding, self.dilation, self.kernel_size, strict=True)
        least = tuple((n - 1) * s - 2 * p + d * (k - 1) + 1 for n, s, p, d, k in each)
        more = tuple(w - n for w, n in zip(wanted, least, strict=True))
        if any(m < 0 or m >= max(s, d) for m, s, d in zip(more, self.stride, self.dilation, strict=True)):
            raise ArgumentError(
                f"output_size: {wanted} cannot be reached from {x.shape}; the least is {least}, and less than stride "
                f"{self.stride} or dilation {self.dilation} can be added to it"
            )
        return more


@mg.register_layer
class ConvTranspose1d(_ConvTranspose):
    """The transpose of `Conv1d` as a map of its input; see `ConvTranspose2d`.

    Example:
        >>> import minigrad as mg
        >>> ConvTranspose1d(2, 4, 2, stride=2)(mg.ones((5, 2, 10), dtype="float32")).shape
        (5, 4, 20)
    """

    samples = (((2, 2, 3, 2, 1, 1), (2, 2, 3)),)
    spatial, function = 1, mg.conv_transpose1d


@mg.register_layer
class ConvTranspose2d(_ConvTranspose):
    """The transpose of `Conv2d` as a map of its input: each element puts a multiple of the kernel into the output.

    Args:
        in_channels, out_channels: c of the input and of the output; both divisible by `groups`.
        kernel_size, stride, dilation: of the convolution; an integer, or a pair for height and width.
        padding: of the convolution: how much is cut off on either side here.
        output_padding: how much is added at the end of each axis; less than `stride` or `dilation`.
        groups: how many parts the channels are cut into.
        bias: whether there is one.
        padding_mode: "zeros"; nothing else has a meaning.
        device, dtype: of the parameters; float32 by default.

    `weight` (in_channels, out_channels / groups, *kernel_size) and `bias` (out_channels) start evenly on
    ±1 / sqrt(fan), fan being the size of weight[0], as in PyTorch.

    Source: Zeiler, Krishnan, Taylor, Fergus, "Deconvolutional networks", CVPR 2010.

    Raises:
        ArgumentError: groups that do not divide the channels, a size under 1, or too much output_padding.
        ShapeError: an input of other axes or channels, or padding that leaves nothing.

    Example:
        >>> import minigrad as mg
        >>> ConvTranspose2d(1, 2, 3, stride=2)(mg.ones((1, 1, 4, 4), dtype="float32")).shape
        (1, 2, 9, 9)
    """

    samples = ((2, 2, 2, 2), (1, 2, 2, 2)), ((2, 2, (2, 1), 1, (1, 0), 0, 2, False, 2), (2, 2, 3, 2))
    spatial, function = 2, mg.conv_transpose2d


@mg.register_layer
class ConvTranspose3d(_ConvTranspose):
    """The transpose of `Conv3d` as a map of its input; see `ConvTranspose2d`.

    Example:
        >>> import minigrad as mg
        >>> ConvTranspose3d(1, 2, 2, stride=2)(mg.ones((1, 1, 2, 2, 2), dtype="float32")).shape
        (1, 2, 4, 4, 4)
    """

    samples = (((1, 2, 2), (1, 1, 2, 1, 2)),)
    spatial, function = 3, mg.conv_transpose3d
