"""Sliding windows and their adjoint, one pair of primitives; convolution and pooling are compositions on them."""

from __future__ import annotations

import math
from typing import Any

from minigrad import notation
from minigrad.backend import backend_of
from minigrad.backend.base import window_counts
from minigrad.core import Operand, Tensor, composite, primitive, reshape_
from minigrad.core.domains import Rng, reals
from minigrad.errors import ArgumentError, ShapeError
from minigrad.ops.index import sliced
from minigrad.ops.linalg import matmul_
from minigrad.ops.reduce import max_
from minigrad.ops.shape import permute_dims_

Ints = tuple[int, ...]
Sample = tuple[tuple[Any, ...], dict[str, Any]]


def _window_shape(shape: Ints, axes: Ints, sizes: Ints, strides: Ints, dilations: Ints) -> Ints:
    counts = window_counts(shape, axes, sizes, strides, dilations)
    return (*(counts.get(i, n) for i, n in enumerate(shape)), *sizes)


_GEOMETRIES: tuple[tuple[Ints, dict[str, Ints]], ...] = (
    ((2, 5, 4), {"axes": (1, 2), "sizes": (3, 2), "strides": (1, 1), "dilations": (1, 1)}),
    ((2, 7), {"axes": (1,), "sizes": (3,), "strides": (2,), "dilations": (1,)}),
    ((7, 1), {"axes": (0,), "sizes": (2,), "strides": (1,), "dilations": (3,)}),
    ((1, 6, 6), {"axes": (1, 2), "sizes": (2, 2), "strides": (2, 3), "dilations": (1, 2)}),
)


def _case_windows(rng: Rng) -> Sample:
    shape, params = _GEOMETRIES[int(rng.integers(len(_GEOMETRIES)))]
    return (reals(rng, shape),), dict(params)


@primitive(
    lambda g, like, axes, sizes, strides, dilations: fold(
        g, shape=like.shape, axes=axes, sizes=sizes, strides=strides, dilations=dilations
    ),
    show=notation.fn("windows", params=("sizes",)),
    samples=_case_windows,
    kind="view",
    infer=lambda x, *, axes, sizes, strides, dilations: (
        _window_shape(x.shape, axes, sizes, strides, dilations),
        x.dtype,
    ),
)
def windows(xp: Any, x: Operand, *, axes: Ints, sizes: Ints, strides: Ints, dilations: Ints) -> Any:
    """All windows of `sizes` along `axes`: those axes then count windows, new last axes run inside one."""
    return backend_of(x).windows(x, axes, sizes, strides, dilations)


def _case_fold(rng: Rng) -> Sample:
    (x,), params = _case_windows(rng)
    return (reals(rng, _window_shape(x.shape, **params)),), {"shape": x.shape, **params}


@primitive(
    lambda g, axes, sizes, strides, dilations: windows(g, axes=axes, sizes=sizes, strides=strides, dilations=dilations),
    show=notation.fn("fold", params=("sizes",)),
    samples=_case_fold,
    kind="opaque",
    infer=lambda x, *, shape, axes, sizes, strides, dilations: (shape, x.dtype),
)
def fold(xp: Any, x: Operand, *, shape: Ints, axes: Ints, sizes: Ints, strides: Ints, dilations: Ints) -> Any:
    """Every window of `x` added where it would have been read from an array of `shape`: the adjoint of `windows`."""
    return backend_of(x).fold(x, shape, axes, sizes, strides, dilations)


def _case_pad(rng: Rng) -> Sample:
    return (reals(rng, (2, 3)),), {
        "widths": ((int(rng.integers(3)), 1), (0, int(rng.integers(3)))),
        "value": float(rng.integers(2)),
    }


@primitive(
    lambda g, like, widths: sliced(
        g, spec=tuple(("slice", a, a + n, None) for (a, _), n in zip(widths, like.shape, strict=True))
    ),
    show=notation.fn("pad"),
    samples=_case_pad,
    kind="opaque",
    infer=lambda x, *, widths, value: (tuple(a + n + b for (a, b), n in zip(widths, x.shape, strict=True)), x.dtype),
    name="pad",
)
def pad_(xp: Any, x: Operand, *, widths: tuple[tuple[int, int], ...], value: float) -> Any:
    """`x` with `value` before and after each axis."""
    out = xp.full(tuple(a + n + b for (a, b), n in zip(widths, x.shape, strict=True)), value, x.dtype)
    out[tuple(slice(a, a + n) for (a, _), n in zip(widths, x.shape, strict=True))] = x
    return out


def pad(x: Operand, widths: tuple[tuple[int, int], ...], value: float = 0.0) -> Tensor:
    """`x` with a constant added around it: `widths` gives (before, after) for each axis.

    Example:
        >>> import minigrad as mg
        >>> mg.pad(mg.tensor([1.0, 2.0]), ((1, 2),))
        tensor([0., 1., 2., 0., 0.])
    """
    pairs = tuple((int(a), int(b)) for a, b in widths)
    if len(pairs) != len(x.shape) or min((min(p) for p in pairs), default=0) < 0:
        raise ShapeError(
            f"pad: widths {widths} must give two numbers, not negative, for each of the {len(x.shape)} axes of shape "
            f"{tuple(x.shape)}"
        )
    return pad_(x, widths=pairs, value=float(value)) if any(map(any, pairs)) else x


def pairs(value: int | tuple[int, ...], name: str, least: int = 1) -> tuple[int, int]:
    """`value` for height and width; ArgumentError names the argument."""
    both = (value, value) if isinstance(value, int) else tuple(value)
    if len(both) != 2 or any(not isinstance(v, int) or v < least for v in both):
        raise ArgumentError(f"{name}: {value!r} must be an integer, or two of them, of at least {least}")
    return both[0], both[1]


@composite
def conv2d(
    x: Operand,
    weight: Operand,
    bias: Operand | None = None,
    *,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
) -> Tensor:
    """Two-dimensional convolution (cross-correlation, as in PyTorch), zero-padded: windows and one matrix product.

    Args:
        x: (n, c, h, w).
        weight: (out, c / groups, kh, kw).
        bias: (out,) or None.

    Returns:
        (n, out, h', w') with h' = (h + 2 padding - dilation (kh - 1) - 1) // stride + 1.

    Raises:
        ShapeError: channels that do not fit, or a window larger than the padded image.

    Example:
        >>> import minigrad as mg
        >>> mg.conv2d(mg.ones((1, 1, 4, 4)), mg.ones((2, 1, 3, 3))).shape
        (1, 2, 2, 2)
    """
    if len(x.shape) != 4 or len(weight.shape) != 4:
        raise ShapeError(
            f"conv2d: x {tuple(x.shape)} must be (n, c, h, w) and weight {tuple(weight.shape)} (out, c / groups, kh, "
            "kw)"
        )
    (n, c, _, _), (out, per_group, kh, kw) = x.shape, weight.shape
    if c != per_group * groups or out % groups:
        raise ShapeError(
            f"conv2d: x has {c} channels and weight takes {per_group} in each of {groups} groups with {out} outputs; "
            "these do not fit"
        )
    (sh, sw), (ph, pw), (dh, dw) = pairs(stride, "stride"), pairs(padding, "padding", 0), pairs(dilation, "dilation")
    x = pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    w = windows(x, axes=(2, 3), sizes=(kh, kw), strides=(sh, sw), dilations=(dh, dw))  # n c h w kh kw
    height, width = w.shape[2:4]
    k = per_group * kh * kw
    w = reshape_(w, shape=(n, groups, per_group, height, width, kh, kw))
    columns = reshape_(permute_dims_(w, axes=(1, 2, 5, 6, 0, 3, 4)), shape=(groups, k, n * height * width))
    y = matmul_(reshape_(weight, shape=(groups, out // groups, k)), columns)
    y = permute_dims_(reshape_(y, shape=(out, n, height, width)), axes=(1, 0, 2, 3))
    return y if bias is None else y + reshape_(bias, shape=(out, 1, 1))


@composite
def max_pool2d(
    x: Operand,
    kernel_size: int | tuple[int, int],
    stride: int | tuple[int, int] | None = None,
    padding: int | tuple[int, int] = 0,
) -> Tensor:
    """The largest element of each window of (n, c, h, w); elements that tie share the gradient evenly.

    Padding counts as -inf. `stride` is `kernel_size` unless given.

    Example:
        >>> import minigrad as mg
        >>> mg.max_pool2d(mg.ones((1, 1, 4, 4)), 2).shape
        (1, 1, 2, 2)
    """
    if len(x.shape) != 4:
        raise ShapeError(f"max_pool2d: shape {tuple(x.shape)} must be (n, c, h, w)")
    kh, kw = pairs(kernel_size, "kernel_size")
    sh, sw = pairs(kernel_size if stride is None else stride, "stride")
    ph, pw = pairs(padding, "padding", 0)
    if 2 * ph > kh or 2 * pw > kw:
        raise ArgumentError(
            f"padding: {(ph, pw)} must be at most half of kernel_size {(kh, kw)}, or a window could lie in the "
            "padding alone"
        )
    x = pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)), -math.inf)
    n, c, h, w = x.shape
    if (sh, sw) == (kh, kw) and h % kh == 0 and w % kw == 0:  # windows side by side: a reshape
        return max_(reshape_(x, shape=(n, c, h // kh, kh, w // kw, kw)), axes=(3, 5))
    return max_(windows(x, axes=(2, 3), sizes=(kh, kw), strides=(sh, sw), dilations=(1, 1)), axes=(4, 5))
