"""Upsampling: an image made larger (or smaller), each new element from its nearest ones or from weighted neighbours."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import minigrad as mg
from minigrad.errors import ArgumentError, ShapeError
from minigrad_layers.options import Options, refuse

__all__ = ["Upsample"]

Taps = tuple[mg.Tensor, mg.Tensor | None]  # (new places, neighbours): which elements, and how much each weighs


def _positions(x: mg.Tensor, n: int, new: int, step: float, corners: bool) -> mg.Tensor:
    """Where the middle of each new element lies among the n old ones, (new,), in float64."""
    place = mg.arange(new, like=x).astype("float64")
    return place * ((n - 1) / (new - 1) if new > 1 else 0.0) if corners else (place + 0.5) * step - 0.5


def _nearest(x: mg.Tensor, n: int, new: int, step: float, corners: bool, shift: float = 0.0) -> Taps:
    place = (mg.arange(new, like=x).astype("float64") + shift) * step
    return mg.clip(mg.floor(place).astype("int64"), 0, n - 1)[:, None], None


def _nearest_exact(x: mg.Tensor, n: int, new: int, step: float, corners: bool) -> Taps:
    return _nearest(x, n, new, step, corners, 0.5)


def _linear(x: mg.Tensor, n: int, new: int, step: float, corners: bool) -> Taps:
    place = mg.clip(_positions(x, n, new, step, corners), 0.0, n - 1.0)
    low = mg.floor(place)
    far = place - low
    first = low.astype("int64")
    return mg.stack([first, mg.clip(first + 1, 0, n - 1)], axis=1), mg.stack([1.0 - far, far], axis=1)


def _cubic(x: mg.Tensor, n: int, new: int, step: float, corners: bool) -> Taps:
    """Keys' kernel with a = -0.75."""
    place, a = _positions(x, n, new, step, corners), -0.75
    low = mg.floor(place)
    t = place - low

    def inner(d: mg.Tensor) -> mg.Tensor:
        return ((a + 2) * d - (a + 3)) * d * d + 1.0

    def outer(d: mg.Tensor) -> mg.Tensor:
        return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a

    first = low.astype("int64")
    places = mg.stack([mg.clip(first + k, 0, n - 1) for k in (-1, 0, 1, 2)], axis=1)
    return places, mg.stack([outer(t + 1.0), inner(t), inner(1.0 - t), outer(2.0 - t)], axis=1)


# For each mode the numbers of spatial axes that it goes with, whether corners can be aligned, and where it reads.
MODES: dict[str, tuple[tuple[int, ...], bool, Callable[..., Taps]]] = {
    "nearest": ((1, 2, 3), False, _nearest),
    "nearest-exact": ((1, 2, 3), False, _nearest_exact),
    "linear": ((1,), True, _linear),
    "bilinear": ((2,), True, _linear),
    "trilinear": ((3,), True, _linear),
    "bicubic": ((2,), True, _cubic),
}


@mg.register_layer
class Upsample(Options):
    """(n, c, …) made as large as `size`, or `scale_factor` times as large, along its one to three spatial axes.

    Args:
        size: of the result, an integer or one for each axis; or
        scale_factor: how many times as large, a number or one for each axis.
        mode: "nearest" (the element in which a new one begins), "nearest-exact" (the one in which its middle lies),
            "linear", "bilinear", "trilinear" (weighted means of neighbours, for one, two and three axes), "bicubic".
        align_corners: whether the middles of the outermost elements stay where they are; else (by default) the outer
            edges of the outermost elements do, so that the result does not depend on the size. Not for "nearest".
        recompute_scale_factor: whether `scale_factor` only gives a size, from which the distance between new elements
            is computed again; it differs where the size was rounded.

    Raises:
        ArgumentError: both or none of size and scale_factor, an unknown mode, or align_corners where it has no meaning.
        ShapeError: an input whose number of axes is not the mode's.

    Example:
        >>> import minigrad as mg
        >>> Upsample(scale_factor=2)(mg.tensor([[[1.0, 2.0]]]))
        tensor([[[1., 1., 2., 2.]]])
        >>> Upsample(size=3, mode="linear", align_corners=True)(mg.tensor([[[1.0, 2.0]]]))
        tensor([[[1. , 1.5, 2. ]]])
    """

    samples = (
        ((None, 2.0), (2, 1, 2, 2)),
        ((3, None, "nearest-exact"), (1, 2, 5)),
        (((3, 5), None, "bilinear"), (1, 2, 2, 3)),
        ((None, (1.5, 2), "bilinear", True), (1, 1, 2, 3)),
        (((3, 4), None, "bicubic"), (1, 1, 2, 2)),
    )
    size: int | Sequence[int] | None = None
    scale_factor: float | Sequence[float] | None = None
    mode: str = "nearest"
    align_corners: bool | None = None
    recompute_scale_factor: bool | None = None

    def prepare(self) -> None:
        """What fits together."""
        if (self.size is None) == (self.scale_factor is None):
            raise ArgumentError(f"Upsample: size={self.size} and scale_factor={self.scale_factor}: give one of the two")
        given = self.size if self.size is not None else self.scale_factor
        for n in given if isinstance(given, (tuple, list)) else (given,):
            if isinstance(n, bool) or not isinstance(n, int if self.size is not None else (int, float)) or not n > 0:
                raise ArgumentError(f"Upsample: {'size' if self.size is not None else 'scale_factor'}={given!r}: {n!r}")
        if self.mode not in MODES:
            raise ArgumentError(f"Upsample: mode={self.mode!r} must be one of {', '.join(map(repr, MODES))}")
        if self.align_corners is not None and not MODES[self.mode][1]:
            refuse(self, "align_corners", self.align_corners, f"mode={self.mode!r} has no corners; leave it out")
        if self.size is not None and self.recompute_scale_factor:
            raise ArgumentError("Upsample: recompute_scale_factor=True needs a scale_factor, and size is given")

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """(n, c, …) to (n, c, …)."""
        axes, _, taps = MODES[self.mode]
        if x.ndim - 2 not in axes or min(x.shape[2:]) < 1:
            wanted = " or ".join(str(a + 2) for a in axes)
            raise ShapeError(
                f"Upsample: x has shape {x.shape}; mode={self.mode!r} takes {wanted} axes, (n, c, …), not empty"
            )
        y = x
        for axis, (new, step) in enumerate(self._lengths(x.shape[2:]), 2):
            n = x.shape[axis]
            if self.mode.startswith("nearest") and new % n == 0 and step == n / new:  # each as often as the others
                y = mg.repeat(y, new // n, axis=axis)
                continue
            places, weights = taps(x, n, new, step, bool(self.align_corners))
            if weights is None:
                y = mg.squeeze(mg.take(y, places, axis=axis), axis + 1)
            else:
                y = y.astype("float32") if y.dtype == np.float16 else y
                weights = weights.astype(y.dtype).reshape((*places.shape, *(1,) * (x.ndim - axis - 1)))
                y = mg.sum(mg.take(y, places, axis=axis) * weights, axis=axis + 1)
        return y.astype(x.dtype)

    def _lengths(self, lengths: tuple[int, ...]) -> list[tuple[int, float]]:
        """For each axis its new length, and how far apart the new elements lie, measured in old ones."""
        given: Any = self.size if self.size is not None else self.scale_factor
        each = tuple(given) if isinstance(given, (tuple, list)) else (given,) * len(lengths)
        news = [k if self.size is not None else math.floor(n * k) for n, k in zip(lengths, each, strict=False)]
        if len(each) != len(lengths) or min(news) < 1:
            raise ShapeError(
                f"Upsample: {'size' if self.size is not None else 'scale_factor'}={given} must be one number, or one "
                f"for each of the axes {lengths}, and leave something of them"
            )
        exact = self.size is not None or self.recompute_scale_factor
        return [(new, n / new if exact else 1 / asked) for n, new, asked in zip(lengths, news, each, strict=True)]

    def extra_repr(self) -> str:
        """PyTorch's."""
        if self.scale_factor is None:
            return f"size={self.size}, mode={self.mode!r}"
        factor = self.scale_factor
        shown = tuple(map(float, factor)) if isinstance(factor, (tuple, list)) else float(factor)  # type: ignore[arg-type]
        return f"scale_factor={shown}, mode={self.mode!r}"
