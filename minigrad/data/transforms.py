"""Augmentation: transforms for DataLoader, called as `transform(*batch, rng)` on host arrays or arrays of a device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.backend import backend_of
from minigrad.errors import ArgumentError, ShapeError

__all__ = ["shift"]


def shift(pixels: int = 1) -> Callable[..., tuple[Any, ...]]:
    """A transform that moves each picture of a batch by up to `pixels` along both axes; what comes in is 0.

    Pictures have shape (n, channels, height, width). Each of the (2 pixels + 1)**2 displacements is as likely.

    Raises:
        ArgumentError: a negative number of pixels.
        ShapeError: a batch that holds no pictures.

    Example:
        >>> import minigrad as mg, numpy as np
        >>> move = mg.data.shift(1)
        >>> pictures, labels = move(np.ones((2, 1, 4, 4)), np.array([3, 7]), np.random.default_rng(1))
        >>> pictures.shape, labels.tolist(), float(pictures.max())
        ((2, 1, 4, 4), [3, 7], 1.0)
    """
    if pixels < 0:
        raise ArgumentError(f"shift: pixels={pixels} must not be negative")

    def transform(pictures: Any, *rest: Any) -> tuple[Any, ...]:
        *others, rng = rest
        if pictures.ndim != 4:
            raise ShapeError(f"shift: pictures have shape (n, channels, height, width), these {tuple(pictures.shape)}")
        n, _, height, width = pictures.shape
        dy, dx = rng.integers(0, 2 * pixels + 1, size=(2, n, 1, 1, 1))
        backend = backend_of(pictures)
        xp = backend.xp
        at = [np.arange(n)[:, None, None, None], np.arange(pictures.shape[1])[:, None, None],
              np.arange(height)[:, None] + dy, np.arange(width) + dx]  # fmt: skip
        if backend.name != "numpy":
            at = [backend.asarray(index, None, backend.device_of(pictures)) for index in at]
        frame = [(0, 0), (0, 0), (pixels, pixels), (pixels, pixels)]
        return (xp.pad(pictures, frame)[tuple(at)], *others)

    return transform
