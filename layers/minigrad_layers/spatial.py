"""What layers over one, two or three spatial axes share: sizes for each axis, inputs without a batch, lengths."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import minigrad as mg
from minigrad.errors import ArgumentError, ShapeError

Ints: TypeAlias = "tuple[int, ...]"
Size: TypeAlias = "int | Sequence[int]"

AXES = "d, h, w"


def layout(spatial: int) -> str:
    """The names of the spatial axes: "w", "h, w" or "d, h, w"."""
    return AXES[-(3 * spatial - 2) :]


def several(value: Any, spatial: int, name: str, layer: str, least: int = 1) -> Ints:
    """`value` for each spatial axis.

    Raises:
        ArgumentTypeError: no integers.
        ArgumentError: another number of them, or one under `least`.
    """
    each = mg.arguments.integers(value, name, layer, least)
    if len(each) not in (1, spatial):
        many = "an integer" if spatial == 1 else f"an integer, or {spatial} of them for {layout(spatial)}"
        raise ArgumentError(f"{layer}: {name}={value!r} must be {many}")
    return each * spatial if len(each) == 1 else each


def batched(
    f: Callable[[mg.Tensor], mg.Tensor], x: mg.Tensor, spatial: int, layer: str, channels: int | None = None
) -> mg.Tensor:
    """f(x) for an x of shape (n, c, …), or for one example of shape (c, …).

    Raises:
        ShapeError: another number of axes or of channels.
    """
    wanted = f"(n, c, {layout(spatial)}) or (c, {layout(spatial)})"
    if x.ndim not in (spatial + 1, spatial + 2):
        raise ShapeError(f"{layer}: x has shape {x.shape}, it must be {wanted}")
    if channels is not None and x.shape[-spatial - 1] != channels:
        raise ShapeError(f"{layer}: x has shape {x.shape}, it must be {wanted} with c = in_channels = {channels}")
    if x.ndim == spatial + 2:
        return f(x)
    return mg.squeeze(f(mg.expand_dims(x, 0)), 0)
