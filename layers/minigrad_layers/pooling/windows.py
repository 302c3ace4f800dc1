"""Windows of any kind, read position by position: dilated, running over the end, or of sizes that differ.

Windows that lie side by side or overlap evenly are the engine's own (`mg.max_pool2d`); these are the others.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

import minigrad as mg


class Places(NamedTuple):
    """The windows along one axis: where each element of each is, and whether it lies in the input and counts."""

    where: mg.Tensor  # (windows, elements): the position
    inside: mg.Tensor  # (windows, elements): whether there is one
    counts: mg.Tensor  # (windows, elements): whether it counts in a mean; padding may, what lies beyond it does not


def regular(x: mg.Tensor, axis: int, size: int, stride: int, padding: int, dilation: int, over: bool) -> Places:
    """Windows of one size; `over`: the last one may run over the end of the padding, if it begins before it."""
    n = x.shape[axis]
    left = n + 2 * padding - dilation * (size - 1) - 1
    windows = (-(-left // stride) if over else left // stride) + 1
    windows -= over and (windows - 1) * stride >= n + padding
    if (left < 0 and not over) or windows < 1:
        raise mg.errors.ShapeError(f"a window of {size} does not fit axis {axis} of shape {x.shape}")
    index = _count(x, windows)[:, None] * stride + _count(x, size) * dilation - padding
    return Places(index, (index >= 0) & (index < n), (index >= -padding) & (index < n + padding))


def adaptive(x: mg.Tensor, axis: int, windows: int) -> Places:
    """As many windows as asked for: window i goes from floor(i n / windows) to ceil((i + 1) n / windows)."""
    n = x.shape[axis]
    size = max(-((i + 1) * n // -windows) - i * n // windows for i in range(windows))
    i = _count(x, windows)[:, None]
    first, last = i * n // windows, ((i + 1) * n + windows - 1) // windows
    index = first + _count(x, size)
    return Places(index, index < last, index < last)


def _count(x: mg.Tensor, n: int) -> mg.Tensor:
    return mg.arange(n, like=x)


def _cut(x: mg.Tensor, places: list[Places]) -> mg.Tensor:
    """(n, c, …) to (n, c, windows, elements, windows, elements, …)."""
    for k, at in reversed(list(enumerate(places))):
        x = mg.take(x, mg.clip(at.where, 0, x.shape[2 + k] - 1), axis=2 + k)
    return x


def _all(masks: list[mg.Tensor]) -> mg.Tensor:
    """The masks of the axes as one, (windows, elements, windows, elements, …)."""
    whole = masks[0]
    for mask in masks[1:]:
        whole = whole[..., None, None] & mask
    return whole


def _inner(places: list[Places]) -> tuple[int, ...]:
    return tuple(range(3, 3 + 2 * len(places), 2))


def largest(x: mg.Tensor, places: list[Places]) -> mg.Tensor:
    """The largest element of each window; what lies outside of the input counts as the lowest number."""
    lowest = -math.inf if x.dtype.kind == "f" else float(np.iinfo(x.dtype).min)
    return mg.max(mg.where(_all([p.inside for p in places]), _cut(x, places), lowest), axis=_inner(places))


def mean(x: mg.Tensor, places: list[Places], padding_counts: bool, divisor: int | None = None) -> mg.Tensor:
    """The mean of each window, or its sum divided by `divisor`; float16 is computed in float32."""
    wide = x.astype("float32") if x.dtype == np.float16 else x
    inside = _all([p.inside for p in places])
    total = mg.sum(mg.keep(_cut(wide, places), inside), axis=_inner(places))
    if divisor is not None:
        y = total / divisor
    else:
        counted = _all([p.counts for p in places]) if padding_counts else inside
        y = total / mg.sum(counted.astype(wide.dtype), axis=tuple(a - 2 for a in _inner(places)))
    return y.astype(x.dtype)
