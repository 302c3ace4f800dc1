"""Convolutions over one, two or three spatial axes, and their transposes: windows, or fold, and one matrix product."""

from __future__ import annotations

import math
from typing import Any, Protocol

from minigrad.core import Operand, Tensor, composite, integer, reshape_
from minigrad.errors import ArgumentError, ShapeError
from minigrad.ops.index import sliced
from minigrad.ops.linalg import matmul_
from minigrad.ops.padding import pad
from minigrad.ops.products import einsum
from minigrad.ops.shape import matrix_transpose, permute_dims_
from minigrad.ops.windows import Ints, fold, several, windows

__all__ = ["conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"]

Size = int | Ints


def _fitting(x: Any, weight: Any, spatial: int, op: str, layout: str) -> None:
    if len(x.shape) != spatial + 2 or len(weight.shape) != spatial + 2:
        axes = "dhw"[-spatial:]
        raise ShapeError(
            f"{op}: x {tuple(x.shape)} must be (n, c, {', '.join(axes)}) and weight {tuple(weight.shape)} ({layout}, "
            f"{', '.join('k' + a for a in axes)})"
        )


def _biased(y: Any, bias: Any, spatial: int) -> Tensor:
    return y if bias is None else y + reshape_(bias, shape=(bias.shape[0], *(1,) * spatial))  # type: ignore[no-any-return]


def _conv(
    x: Any, weight: Any, bias: Any, stride: Size, padding: Size, dilation: Size, groups: int, spatial: int, product: Any
) -> Tensor:
    op = f"conv{spatial}d"
    _fitting(x, weight, spatial, op, "out, c / groups")
    groups = integer(groups, "groups", op, least=1)
    c, (out, per_group, *sizes) = x.shape[1], weight.shape
    if c != per_group * groups or out % groups:
        raise ShapeError(
            f"{op}: x has {c} channels and weight takes {per_group} in each of {groups} groups with {out} outputs; "
            "these do not fit"
        )
    around = several(padding, spatial, "padding", 0)
    x = pad(x, ((0, 0), (0, 0), *((p, p) for p in around)))
    w = windows(
        x,
        axes=tuple(range(2, 2 + spatial)),
        sizes=tuple(sizes),
        strides=several(stride, spatial, "stride"),
        dilations=several(dilation, spatial, "dilation"),
    )  # n, c, places, sizes
    return _biased(product(w, weight, groups, spatial), bias, spatial)


def _by_matrices(w: Any, weight: Any, groups: int, spatial: int) -> Any:
    """The sums over each window times the weight, as one product of two matrices a group."""
    n, places, (out, per_group, *sizes) = w.shape[0], w.shape[2 : 2 + spatial], weight.shape
    k = per_group * math.prod(sizes)
    w = reshape_(w, shape=(n, groups, per_group, *places, *sizes))
    inside, across = range(3 + spatial, 3 + 2 * spatial), range(3, 3 + spatial)
    # The columns are copied in runs of what comes last: the examples where they outnumber the places of a row.
    last = n > places[-1]
    columns = permute_dims_(w, axes=(1, 2, *inside, *across, 0) if last else (1, 2, *inside, 0, *across))
    y = matmul_(
        reshape_(weight, shape=(groups, out // groups, k)),
        reshape_(columns, shape=(groups, k, n * math.prod(places))),
    )
    y = reshape_(y, shape=(out, *places, n) if last else (out, n, *places))
    return permute_dims_(y, axes=(1 + spatial, *range(1 + spatial)) if last else (1, 0, *range(2, 2 + spatial)))


def _by_indices(w: Any, weight: Any, groups: int, spatial: int) -> Any:
    """The same as it is written: y[n, o, places] = ∑ over c and k of window[n, c, places, k] weight[o, c, k]."""
    (n, c), places, out = w.shape[:2], w.shape[2 : 2 + spatial], weight.shape[0]
    at, k = "hwd"[:spatial], "xyz"[:spatial]
    if groups == 1:
        return einsum(f"nc{at}{k},oc{k}->no{at}", w, weight)
    w = reshape_(w, shape=(n, groups, c // groups, *w.shape[2:]))
    weight = reshape_(weight, shape=(groups, out // groups, *weight.shape[1:]))
    return reshape_(einsum(f"ngc{at}{k},goc{k}->ngo{at}", w, weight), shape=(n, out, *places))


class Convolution(Protocol):
    """What is called with an image and a kernel of one, two or three spatial axes."""

    def __call__(
        self,
        x: Operand,
        weight: Operand,
        bias: Operand | None = None,
        *,
        stride: Size = 1,
        padding: Size = 0,
        dilation: Size = 1,
        groups: int = 1,
    ) -> Tensor: ...


class Transposed(Protocol):
    """What is called with a convolution's result and its kernel."""

    def __call__(
        self,
        x: Operand,
        weight: Operand,
        bias: Operand | None = None,
        *,
        stride: Size = 1,
        padding: Size = 0,
        output_padding: Size = 0,
        groups: int = 1,
        dilation: Size = 1,
    ) -> Tensor: ...


def _named(function: Any, name: str, doc: str) -> Any:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


def _convolution(spatial: int, product: Any, doc: str = "") -> Convolution:
    """The convolution over so many axes, its windows and the weight multiplied by `product`."""

    def conv(
        x: Operand,
        weight: Operand,
        bias: Operand | None = None,
        *,
        stride: Size = 1,
        padding: Size = 0,
        dilation: Size = 1,
        groups: int = 1,
    ) -> Tensor:
        return _conv(x, weight, bias, stride, padding, dilation, groups, spatial, product)

    return _named(conv, f"conv{spatial}d", doc)  # type: ignore[no-any-return]


def _conv_transpose(
    x: Any,
    weight: Any,
    bias: Any,
    stride: Size,
    padding: Size,
    output_padding: Size,
    groups: int,
    dilation: Size,
    spatial: int,
) -> Tensor:
    op = f"conv_transpose{spatial}d"
    _fitting(x, weight, spatial, op, "c, out / groups")
    groups = integer(groups, "groups", op, least=1)
    (n, c, *lengths), (rows, per_group, *sizes) = x.shape, weight.shape
    if rows != c or c % groups:
        raise ShapeError(f"{op}: x has {c} channels in {groups} groups and weight takes {rows}; these do not fit")
    strides, dilations = several(stride, spatial, "stride"), several(dilation, spatial, "dilation")
    around, more = several(padding, spatial, "padding", 0), several(output_padding, spatial, "output_padding", 0)
    if any(m >= max(s, d) for m, s, d in zip(more, strides, dilations, strict=True)):
        raise ArgumentError(
            f"output_padding: {more} must be less than stride {strides} or dilation {dilations}: it chooses among the "
            "sizes that a convolution maps to one"
        )
    beyond = tuple(max(0, e - s + 1) for e, s in zip(more, strides, strict=True))  # the end, which no window reaches
    whole = tuple(
        (m - 1) * s + d * (k - 1) + 1 + e
        for m, s, d, k, e in zip(lengths, strides, dilations, sizes, more, strict=True)
    )
    if any(2 * p >= m for p, m in zip(around, whole, strict=True)):
        raise ShapeError(f"{op}: padding {around} takes away all of the result, which is {whole} without it")
    k = per_group * math.prod(sizes)
    axes = tuple(range(2, 2 + spatial))
    columns = reshape_(permute_dims_(x, axes=(1, 0, *axes)), shape=(groups, c // groups, n * math.prod(lengths)))
    y = matmul_(matrix_transpose(reshape_(weight, shape=(groups, c // groups, k))), columns)
    out = groups * per_group
    y = reshape_(y, shape=(out, *sizes, n, *lengths))
    y = permute_dims_(y, axes=(1 + spatial, 0, *range(2 + spatial, 2 + 2 * spatial), *range(1, 1 + spatial)))
    within = tuple(m - e for m, e in zip(whole, beyond, strict=True))
    y = fold(y, shape=(n, out, *within), axes=axes, sizes=tuple(sizes), strides=strides, dilations=dilations)
    y = pad(y, ((0, 0), (0, 0), *((0, e) for e in beyond)))
    if any(around):
        y = sliced(y, spec=(..., *(("slice", p, m - p, None) for p, m in zip(around, whole, strict=True))))
    return _biased(y, bias, spatial)


def _transposed(spatial: int, doc: str) -> Transposed:
    """The transpose of a convolution over so many axes."""

    def conv_transpose(
        x: Operand,
        weight: Operand,
        bias: Operand | None = None,
        *,
        stride: Size = 1,
        padding: Size = 0,
        output_padding: Size = 0,
        groups: int = 1,
        dilation: Size = 1,
    ) -> Tensor:
        return _conv_transpose(x, weight, bias, stride, padding, output_padding, groups, dilation, spatial)

    return _named(conv_transpose, f"conv_transpose{spatial}d", doc)  # type: ignore[no-any-return]


conv1d = composite(textbook=_convolution(1, _by_indices))(
    _convolution(
        1,
        _by_matrices,
        """One-dimensional convolution of (n, c, w) with (out, c / groups, kw); see `conv2d`.

Example:
    >>> import minigrad as mg
    >>> mg.conv1d(mg.tensor([[[1.0, 2.0, 4.0]]]), mg.tensor([[[-1.0, 1.0]]]))
    tensor([[[1., 2.]]])
""",
    )
)

conv2d = composite(textbook=_convolution(2, _by_indices))(
    _convolution(
        2,
        _by_matrices,
        """Two-dimensional convolution (cross-correlation, as in PyTorch), zero-padded: windows and one matrix product.

Args:
    x: (n, c, h, w).
    weight: (out, c / groups, kh, kw).
    bias: (out,) or None.
    stride, padding, dilation: two numbers for height and width, or one for both.
    groups: into how many parts the channels are divided, each with outputs of its own.

Returns:
    (n, out, h', w') with h' = (h + 2 padding - dilation (kh - 1) - 1) // stride + 1.

Raises:
    ShapeError: channels that do not fit, or a window larger than the padded image.
    ArgumentError: a stride or dilation under 1, or a negative padding.

Example:
    >>> import minigrad as mg
    >>> mg.conv2d(mg.ones((1, 1, 4, 4)), mg.ones((2, 1, 3, 3))).shape
    (1, 2, 2, 2)
""",
    )
)

conv3d = composite(textbook=_convolution(3, _by_indices))(
    _convolution(
        3,
        _by_matrices,
        """Three-dimensional convolution of (n, c, d, h, w) with (out, c / groups, kd, kh, kw); see `conv2d`.

Example:
    >>> import minigrad as mg
    >>> mg.conv3d(mg.ones((1, 1, 4, 4, 4)), mg.ones((2, 1, 3, 3, 3))).shape
    (1, 2, 2, 2, 2)
""",
    )
)

conv_transpose1d = composite(
    _transposed(
        1,
        """The transpose of `conv1d`: of (n, c, w) with (c, out / groups, kw); see `conv_transpose2d`.

Example:
    >>> import minigrad as mg
    >>> mg.conv_transpose1d(mg.tensor([[[1.0, 2.0]]]), mg.tensor([[[1.0, 10.0]]]), stride=2)
    tensor([[[ 1., 10.,  2., 20.]]])
""",
    )
)

conv_transpose2d = composite(
    _transposed(
        2,
        """The transpose of `conv2d` as a map of x: each element puts a multiple of the kernel into the result.

Args:
    x: (n, c, h, w).
    weight: (c, out / groups, kh, kw): what `conv2d` from `out` to `c` channels would take.
    bias: (out,) or None.
    stride, dilation: of that convolution; two numbers for height and width, or one for both.
    padding: of that convolution: how much is cut off on either side here.
    output_padding: how much is added at the end of each axis; less than `stride` or `dilation`.
    groups: into how many parts the channels are divided.

Returns:
    (n, out, h', w') with h' = (h - 1) stride - 2 padding + dilation (kh - 1) + output_padding + 1.

Raises:
    ShapeError: channels that do not fit, or padding that leaves nothing.
    ArgumentError: a stride or dilation under 1, a negative padding, or too much output_padding.

Example:
    >>> import minigrad as mg
    >>> mg.conv_transpose2d(mg.ones((1, 2, 2, 2)), mg.ones((2, 1, 3, 3)), stride=2).shape
    (1, 1, 5, 5)
""",
    )
)

conv_transpose3d = composite(
    _transposed(
        3,
        """The transpose of `conv3d`: of (n, c, d, h, w) with (c, out / groups, kd, kh, kw); see `conv_transpose2d`.

Example:
    >>> import minigrad as mg
    >>> mg.conv_transpose3d(mg.ones((1, 2, 2, 2, 2)), mg.ones((2, 1, 3, 3, 3))).shape
    (1, 1, 4, 4, 4)
""",
    )
)
