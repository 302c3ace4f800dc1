"""Pooling over windows of a fixed size: the largest element of each, or the mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import minigrad as mg
from minigrad.errors import ArgumentError
from minigrad_layers.options import Options, refuse
from minigrad_layers.pooling import windows
from minigrad_layers.spatial import Ints, Size, batched, several


class _Pool(Options):
    """A window that moves over the spatial axes: its sizes."""

    spatial: ClassVar[int]
    function: ClassVar[Callable[..., mg.Tensor]]
    kernel_size: Size
    stride: Size | None = None
    padding: Size = 0

    def prepare(self) -> None:
        """Sizes for each axis; they stay as they were given, as in PyTorch."""
        self.stride = self.kernel_size if self.stride is None else self.stride
        sizes, _, around, dilation = self._sizes()
        if any(2 * p > d * (k - 1) + 1 for p, k, d in zip(around, sizes, dilation, strict=True)):
            raise ArgumentError(
                f"padding: {self.padding} must be at most half of kernel_size={self.kernel_size}, or a window could "
                "lie in the padding alone"
            )

    def _sizes(self) -> tuple[Ints, Ints, Ints, Ints]:
        """Kernel, stride, padding and dilation for each axis."""
        n, kind = self.spatial, type(self).__name__
        return (
            several(self.kernel_size, n, "kernel_size", kind),
            several(self.stride, n, "stride", kind),
            several(self.padding, n, "padding", kind, 0),
            several(getattr(self, "dilation", 1), n, "dilation", kind),
        )

    def _places(self, x: mg.Tensor, over: bool) -> list[windows.Places]:
        each = zip(*self._sizes(), strict=True)
        return [windows.regular(x, 2 + k, *sizes, over) for k, sizes in enumerate(each)]

    def _pool(self, x: mg.Tensor) -> mg.Tensor:
        raise NotImplementedError

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """(n, c, …) to (n, c, …), or both without n."""
        return batched(self._pool, x, self.spatial, type(self).__name__)


class _MaxPool(_Pool):
    """What MaxPool1d, MaxPool2d and MaxPool3d share."""

    dilation: Size = 1
    return_indices: bool = False
    ceil_mode: bool = False

    def prepare(self) -> None:
        """No indices: nothing here would take them."""
        if self.return_indices:
            refuse(self, "return_indices", True, "the gradient needs none; leave it out")
        super().prepare()

    def _pool(self, x: mg.Tensor) -> mg.Tensor:
        sizes, strides, around, dilations = self._sizes()
        if self.ceil_mode or any(d != 1 for d in dilations):
            return windows.largest(x, self._places(x, self.ceil_mode))
        return type(self).function(x, sizes, strides, around)

    def extra_repr(self) -> str:
        """PyTorch's."""
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, dilation={self.dilation}, "
            f"ceil_mode={self.ceil_mode}"
        )


@mg.register_layer
class MaxPool1d(_MaxPool):
    """The largest element of each window of (n, c, w); see `MaxPool2d`.

    Example:
        >>> import minigrad as mg
        >>> MaxPool1d(2)(mg.tensor([[[1.0, 3.0, 2.0, 0.0]]]))
        tensor([[[3., 2.]]])
    """

    samples = ((2,), (2, 1, 6)), ((2, 1, 1, 2), (2, 1, 5))
    spatial, function = 1, mg.max_pool1d


@mg.register_layer
class MaxPool2d(_MaxPool):
    """The largest element of each window of (n, c, h, w) or (c, h, w); elements that tie share the gradient evenly.

    Args:
        kernel_size: height and width of a window, an integer or a pair; so for the others.
        stride: from one window to the next; `kernel_size` unless given.
        padding: rows and columns of -inf around the input, at most half a window.
        dilation: from one element of a window to the next.
        return_indices: not taken.
        ceil_mode: whether a last window that runs over the end is kept.

    Raises:
        ArgumentError: a size under 1, or too much padding.
        ShapeError: another number of axes, or a window larger than the padded input.

    Example:
        >>> import minigrad as mg
        >>> MaxPool2d(2)(mg.ones((1, 3, 8, 8))).shape
        (1, 3, 4, 4)
    """

    samples = ((2,), (2, 1, 4, 6)), ((3, 2, 1), (1, 2, 5, 4)), ((2, 2, 0, 1, False, True), (1, 1, 3, 4))
    spatial, function = 2, mg.max_pool2d


@mg.register_layer
class MaxPool3d(_MaxPool):
    """The largest element of each window of (n, c, d, h, w); see `MaxPool2d`.

    Example:
        >>> import minigrad as mg
        >>> MaxPool3d(2)(mg.ones((1, 3, 4, 4, 4))).shape
        (1, 3, 2, 2, 2)
    """

    samples = ((((1, 2, 2),), (2, 1, 2, 2, 3)),)
    spatial, function = 3, mg.max_pool3d


class _AvgPool(_Pool):
    """What AvgPool1d, AvgPool2d and AvgPool3d share."""

    ceil_mode: bool = False
    count_include_pad: bool = True

    def _pool(self, x: mg.Tensor) -> mg.Tensor:
        divisor = getattr(self, "divisor_override", None)
        if self.ceil_mode or divisor is not None:
            return windows.mean(x, self._places(x, self.ceil_mode), self.count_include_pad, divisor)
        sizes, strides, around, _ = self._sizes()
        return type(self).function(x, sizes, strides, around, count_include_pad=self.count_include_pad)

    def extra_repr(self) -> str:
        """PyTorch's."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


@mg.register_layer
class AvgPool1d(_AvgPool):
    """The mean of each window of (n, c, w); see `AvgPool2d`.

    Example:
        >>> import minigrad as mg
        >>> AvgPool1d(2)(mg.tensor([[[1.0, 3.0, 2.0, 0.0]]]))
        tensor([[[2., 1.]]])
    """

    samples = ((2,), (2, 1, 6)), ((3, 2, 1, True, False), (2, 1, 4))
    spatial, function = 1, mg.avg_pool1d

    def prepare(self) -> None:
        """As in PyTorch, which keeps these as tuples in this one layer."""
        super().prepare()
        self.kernel_size, self.stride, self.padding, _ = self._sizes()


class _AvgPoolOver(_AvgPool):
    """The mean over two axes and more, whose divisor PyTorch lets one choose."""

    divisor_override: int | None = None

    def prepare(self) -> None:
        """Something to divide by."""
        super().prepare()
        if self.divisor_override is not None and self.divisor_override < 1:
            raise ArgumentError(f"{type(self).__name__}: divisor_override={self.divisor_override} must be at least 1")


@mg.register_layer
class AvgPool2d(_AvgPoolOver):
    """The mean of each window of (n, c, h, w) or (c, h, w).

    Args:
        kernel_size: height and width of a window, an integer or a pair; so for the others.
        stride: from one window to the next; `kernel_size` unless given.
        padding: rows and columns of zeros around the input, at most half a window.
        ceil_mode: whether a last window that runs over the end is kept; what lies beyond the padding never counts.
        count_include_pad: whether the zeros of the padding count when the sum is divided.
        divisor_override: what to divide the sums by, in place of the number of elements.

    Raises:
        ArgumentError: a size under 1, or too much padding.
        ShapeError: another number of axes, or a window larger than the padded input.

    Example:
        >>> import minigrad as mg
        >>> AvgPool2d(2)(mg.ones((1, 3, 8, 8))).shape
        (1, 3, 4, 4)
    """

    samples = ((2,), (2, 1, 4, 6)), ((3, 2, 1, False, False), (1, 2, 4, 3)), ((2, 2, 0, True, True, 3), (1, 1, 3, 4))
    spatial, function = 2, mg.avg_pool2d


@mg.register_layer
class AvgPool3d(_AvgPoolOver):
    """The mean of each window of (n, c, d, h, w); see `AvgPool2d`.

    Example:
        >>> import minigrad as mg
        >>> AvgPool3d(2)(mg.ones((1, 3, 4, 4, 4))).shape
        (1, 3, 2, 2, 2)
    """

    samples = ((((1, 2, 2),), (2, 1, 2, 2, 3)),)
    spatial, function = 3, mg.avg_pool3d
