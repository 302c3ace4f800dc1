"""Where a norm's parameters and statistics lie in its input: which axes, and how a vector is laid along one of them."""

from __future__ import annotations

from typing import Any

import minigrad as mg
from minigrad.errors import ArgumentError, ShapeError


def along(x: mg.Tensor, axes: tuple[int, ...], sizes: tuple[int, ...], layer: str, called: str) -> tuple[int, ...]:
    """The shape in which a parameter of shape `sizes`, which belongs to `axes` of `x`, broadcasts against `x`.

    Raises:
        ShapeError: `x` has not these axes, or other sizes there; `called` is the constructor's name for `sizes`.
    """
    shape = x.shape
    ndim, wide = len(shape), [1] * len(shape)
    for axis, size in zip(axes, sizes, strict=True):
        if not -ndim <= axis < ndim or shape[axis] != size:
            wanted, where = (sizes[0], f"axis {axes[0]}") if len(axes) == 1 else (sizes, f"axes {axes}")
            raise ShapeError(f"{layer}: x has shape {shape}, it must have {called}={wanted} along {where}")
        wide[axis] = size
    return tuple(wide)


def shaped(value: mg.Tensor | None, shape: tuple[int, ...], label: str) -> mg.Tensor | None:
    """A parameter in the shape in which it broadcasts, under its own name for readers; None for none."""
    if value is None or shape[len(shape) - value.ndim :] == value.shape:  # it does so by itself
        return value
    return mg.reshape(value, shape).named(label)


def gain(weight: mg.Tensor | None, shape: tuple[int, ...], *, centered: bool) -> mg.Tensor | None:
    """What a norm multiplies by, laid for its input: the weight, or 1 + weight, which half precision would round."""
    if weight is None or not centered:
        return shaped(weight, shape, "_weight")
    return mg.reshape(mg.astype(weight, "float32") if weight.dtype.itemsize == 2 else weight, shape) + 1.0


def widened(x: mg.Tensor, layer: str) -> mg.Tensor:
    """`x`, or `x` in float32 where it is float16: statistics of half precision are taken there.

    Raises:
        DtypeError: integers or booleans.
    """
    if x.dtype.kind != "f":
        raise mg.errors.DtypeError(
            f"{layer}: x has dtype {x.dtype}, and only floats can be normalized; convert it with x.astype('float32')"
        )
    return mg.astype(x, "float32") if x.dtype.itemsize == 2 else x


def more(axes: tuple[int, ...], sizes: tuple[int, ...], centered: bool) -> str:
    """What a repr says beyond PyTorch's."""
    return ("" if axes == last(sizes) else f", axis={axes}") + (", centered=True" if centered else "")


def last(sizes: tuple[int, ...]) -> tuple[int, ...]:
    """The last axes, as many as there are sizes."""
    return tuple(range(-len(sizes), 0))


def normalized_axes(axis: Any, sizes: tuple[int, ...], layer: str) -> tuple[int, ...]:
    """The axes that `normalized_shape` names: those given, or the last ones.

    Raises:
        ArgumentError: no axis at all, another number of axes than of sizes, one twice.
    """
    if not sizes:
        raise ArgumentError(f"{layer}: normalized_shape=() names no axis; give the sizes of the axes to normalize over")
    axes = last(sizes) if axis is None else mg.arguments.integers(axis, "axis", layer)
    if len(axes) != len(sizes) or len({*axes}) != len(axes):
        raise ArgumentError(f"{layer}: axis={axis!r} must name one axis for each size in normalized_shape={sizes}")
    return axes
