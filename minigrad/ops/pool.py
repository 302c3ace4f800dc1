"""Pooling: the largest element, or the mean, of each window of the spatial axes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigrad.core import Operand, Tensor, composite, full_like, reshape_, sum_
from minigrad.errors import ArgumentError, ShapeError
from minigrad.ops.padding import pad
from minigrad.ops.reduce import max_, mean_, narrowed, widened
from minigrad.ops.windows import Ints, several, windows

__all__ = ["avg_pool1d", "avg_pool2d", "avg_pool3d", "max_pool1d", "max_pool2d", "max_pool3d"]

Size = int | Ints


def _placed(
    x: Any, kernel_size: Size, stride: Size | None, padding: Size, fill: float, spatial: int, op: str, plain: bool
) -> tuple[Any, Ints]:
    """`x` padded and cut into windows, and the axes that run inside a window; `plain` for always the same way."""
    if len(x.shape) != spatial + 2:
        raise ShapeError(f"{op}: shape {tuple(x.shape)} must be (n, channels, {', '.join('dhw'[-spatial:])})")
    sizes = several(kernel_size, spatial, "kernel_size")
    strides = several(kernel_size if stride is None else stride, spatial, "stride")
    around = several(padding, spatial, "padding", 0)
    if any(2 * p > k for p, k in zip(around, sizes, strict=True)):
        raise ArgumentError(
            f"padding: {around} must be at most half of kernel_size {sizes}, or a window could lie in the padding alone"
        )
    x = pad(x, ((0, 0), (0, 0), *((p, p) for p in around)), fill)
    n, c, *lengths = x.shape
    side_by_side = strides == sizes and not plain
    if side_by_side and all(m % k == 0 for m, k in zip(lengths, sizes, strict=True)):  # a reshape
        apart = tuple(v for m, k in zip(lengths, sizes, strict=True) for v in (m // k, k))
        return reshape_(x, shape=(n, c, *apart)), tuple(range(3, 3 + 2 * spatial, 2))
    axes = tuple(range(2, 2 + spatial))
    w = windows(x, axes=axes, sizes=sizes, strides=strides, dilations=(1,) * spatial)
    return w, tuple(range(2 + spatial, 2 + 2 * spatial))


def _max_pool(x: Any, kernel_size: Size, stride: Size | None, padding: Size, spatial: int, plain: bool) -> Tensor:
    lowest = -math.inf if x.dtype is None or x.dtype.kind not in "iu" else float(np.iinfo(x.dtype).min)
    w, inside = _placed(x, kernel_size, stride, padding, lowest, spatial, f"max_pool{spatial}d", plain)
    return max_(w, axes=inside)


def _avg_pool(
    x: Any, kernel_size: Size, stride: Size | None, padding: Size, count_include_pad: bool, spatial: int, plain: bool
) -> Tensor:
    op, wide = f"avg_pool{spatial}d", widened(x)
    w, inside = _placed(wide, kernel_size, stride, padding, 0.0, spatial, op, plain)
    even = count_include_pad or not any(several(padding, spatial, "padding", 0))
    if even and plain:
        return narrowed(mean_(w, inside, False), x)
    total = sum_(w, axes=inside)
    if even:
        return narrowed(total * (1.0 / math.prod(w.shape[i] for i in inside)), x)
    ones = full_like(wide, value=1, shape=(1, 1, *x.shape[2:]), dtype=wide.dtype)
    w, inside = _placed(ones, kernel_size, stride, padding, 0.0, spatial, op, plain)
    return narrowed(total / sum_(w, axes=inside), x)


def _max_textbook(spatial: int) -> Any:
    def textbook(x: Operand, kernel_size: Size, stride: Size | None = None, padding: Size = 0) -> Tensor:
        return _max_pool(x, kernel_size, stride, padding, spatial, True)

    return textbook


def _avg_textbook(spatial: int) -> Any:
    def textbook(
        x: Operand, kernel_size: Size, stride: Size | None = None, padding: Size = 0, *, count_include_pad: bool = True
    ) -> Tensor:
        return _avg_pool(x, kernel_size, stride, padding, count_include_pad, spatial, True)

    return textbook


@composite(textbook=_max_textbook(1))
def max_pool1d(x: Operand, kernel_size: Size, stride: Size | None = None, padding: Size = 0) -> Tensor:
    """The largest element of each window of (n, c, w); see `max_pool2d`.

    Example:
        >>> import minigrad as mg
        >>> mg.max_pool1d(mg.tensor([[[1.0, 3.0, 2.0, 0.0]]]), 2)
        tensor([[[3., 2.]]])
    """
    return _max_pool(x, kernel_size, stride, padding, 1, False)


@composite(textbook=_max_textbook(2))
def max_pool2d(x: Operand, kernel_size: Size, stride: Size | None = None, padding: Size = 0) -> Tensor:
    """The largest element of each window of (n, c, h, w); elements that tie share the gradient evenly.

    Args:
        x: (n, c, h, w).
        kernel_size: of a window; two numbers for height and width, or one for both. So for the others.
        stride: from window to window; `kernel_size` unless given.
        padding: on either side, which counts as -inf; at most half of `kernel_size`.

    Raises:
        ShapeError: another number of axes, or a window larger than the padded image.
        ArgumentError: a size or stride under 1, or too much padding.

    Example:
        >>> import minigrad as mg
        >>> mg.max_pool2d(mg.ones((1, 1, 4, 4)), 2).shape
        (1, 1, 2, 2)
    """
    return _max_pool(x, kernel_size, stride, padding, 2, False)


@composite(textbook=_max_textbook(3))
def max_pool3d(x: Operand, kernel_size: Size, stride: Size | None = None, padding: Size = 0) -> Tensor:
    """The largest element of each window of (n, c, d, h, w); see `max_pool2d`.

    Example:
        >>> import minigrad as mg
        >>> mg.max_pool3d(mg.ones((1, 1, 4, 4, 4)), 2).shape
        (1, 1, 2, 2, 2)
    """
    return _max_pool(x, kernel_size, stride, padding, 3, False)


@composite(textbook=_avg_textbook(1))
def avg_pool1d(
    x: Operand, kernel_size: Size, stride: Size | None = None, padding: Size = 0, *, count_include_pad: bool = True
) -> Tensor:
    """The mean of each window of (n, c, w); see `avg_pool2d`.

    Example:
        >>> import minigrad as mg
        >>> mg.avg_pool1d(mg.tensor([[[1.0, 3.0, 2.0, 0.0]]]), 2)
        tensor([[[2., 1.]]])
    """
    return _avg_pool(x, kernel_size, stride, padding, count_include_pad, 1, False)


@composite(textbook=_avg_textbook(2))
def avg_pool2d(
    x: Operand, kernel_size: Size, stride: Size | None = None, padding: Size = 0, *, count_include_pad: bool = True
) -> Tensor:
    """The mean of each window of (n, c, h, w).

    Args:
        x: (n, c, h, w).
        kernel_size: of a window; two numbers for height and width, or one for both. So for the others.
        stride: from window to window; `kernel_size` unless given.
        padding: zeros on either side; at most half of `kernel_size`.
        count_include_pad: whether those zeros count when the sum is divided.

    Raises:
        ShapeError: another number of axes, or a window larger than the padded image.
        ArgumentError: a size or stride under 1, or too much padding.

    Example:
        >>> import minigrad as mg
        >>> mg.avg_pool2d(mg.ones((1, 1, 2, 2)), 2, stride=1, padding=1, count_include_pad=False)
        tensor([[[[1., 1., 1.],
                  [1., 1., 1.],
                  [1., 1., 1.]]]])
    """
    return _avg_pool(x, kernel_size, stride, padding, count_include_pad, 2, False)


@composite(textbook=_avg_textbook(3))
def avg_pool3d(
    x: Operand, kernel_size: Size, stride: Size | None = None, padding: Size = 0, *, count_include_pad: bool = True
) -> Tensor:
    """The mean of each window of (n, c, d, h, w); see `avg_pool2d`.

    Example:
        >>> import minigrad as mg
        >>> mg.avg_pool3d(mg.ones((1, 1, 4, 4, 4)), 2).shape
        (1, 1, 2, 2, 2)
    """
    return _avg_pool(x, kernel_size, stride, padding, count_include_pad, 3, False)
