"""Pooling layers: one value for each window."""

from __future__ import annotations

import minigrad as mg

Size = int | tuple[int, int]


@mg.register_layer
class MaxPool2d(mg.Module):
    """The largest element of each window of (n, c, h, w); elements that tie share the gradient evenly.

    Args:
        kernel_size: height and width of a window, an integer or a pair.
        stride: from one window to the next; `kernel_size` unless given.
        padding: rows and columns of -inf around the input, at most half a window.

    Example:
        >>> import minigrad as mg
        >>> MaxPool2d(2)(mg.ones((1, 3, 8, 8))).shape
        (1, 3, 4, 4)
    """

    samples = ((2,), (2, 1, 4, 6)), ((3, 2, 1), (1, 2, 5, 4))

    def __init__(self, kernel_size: Size, stride: Size | None = None, padding: Size = 0) -> None:
        self.kernel_size, self.stride, self.padding = kernel_size, kernel_size if stride is None else stride, padding

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """(n, c, h, w) to (n, c, h', w')."""
        return mg.max_pool2d(x, self.kernel_size, self.stride, self.padding)

    def extra_repr(self) -> str:
        """PyTorch's, whose windows are dense and lie inside the padded input here."""
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, dilation=1, ceil_mode=False"
        )
