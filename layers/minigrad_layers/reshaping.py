"""Layers that only change shapes."""

from __future__ import annotations

import math

import minigrad as mg
from minigrad.errors import ArgumentError, ShapeError
from minigrad_layers.options import Options

__all__ = ["Flatten", "Unflatten"]


@mg.register_layer
class Flatten(Options):
    """The axes from `start_dim` to `end_dim` made one, in C order; by default all but the first.

    Raises:
        ShapeError: an input that does not have these axes in this order.

    Example:
        >>> import minigrad as mg
        >>> Flatten()(mg.zeros((2, 3, 4))).shape
        (2, 12)
    """

    samples = mg.Sample((), inputs=((3, 2, 2),)), mg.Sample((0, 1), inputs=((2, 3, 2),), batch=None)
    start_dim: int = 1
    end_dim: int = -1

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """(a, b, c, …) to (a, b c …)."""
        first, last = (d + x.ndim if d < 0 else d for d in (self.start_dim, self.end_dim))
        if not 0 <= first <= last < x.ndim:
            raise ShapeError(
                f"Flatten: start_dim={self.start_dim} and end_dim={self.end_dim} do not fit shape {x.shape}"
            )
        return mg.reshape(x, (*x.shape[:first], math.prod(x.shape[first : last + 1]), *x.shape[last + 1 :]))


@mg.register_layer
class Unflatten(Options):
    """The axis `dim` made several, of the sizes `unflattened_size`, in C order; one of them may be -1.

    Raises:
        ArgumentError: more than one -1.
        ShapeError: sizes whose product is not that of the axis.

    Example:
        >>> import minigrad as mg
        >>> Unflatten(1, (3, -1))(mg.zeros((2, 12))).shape
        (2, 3, 4)
    """

    samples = ((1, (2, 3)), (4, 6)), ((-1, (2, -1)), (2, 3, 4))
    dim: int
    unflattened_size: tuple[int, ...]

    def prepare(self) -> None:
        """A tuple of sizes."""
        self.unflattened_size = tuple(self.unflattened_size)
        if self.unflattened_size.count(-1) > 1 or any(n < -1 for n in self.unflattened_size):
            raise ArgumentError(
                f"Unflatten: unflattened_size={self.unflattened_size} must be sizes of 0 and more, one of which may be "
                "-1, for what is left"
            )

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """(…, a b, …) to (…, a, b, …)."""
        at = self.dim + x.ndim if self.dim < 0 else self.dim
        known = math.prod(n for n in self.unflattened_size if n >= 0)
        left = x.shape[at] // known if 0 <= at < x.ndim and known else 0
        sizes = tuple(left if n < 0 else n for n in self.unflattened_size)
        if not 0 <= at < x.ndim or math.prod(sizes) != x.shape[at]:
            raise ShapeError(
                f"Unflatten: dim={self.dim} of shape {x.shape} cannot become unflattened_size={self.unflattened_size}"
            )
        return mg.reshape(x, (*x.shape[:at], *sizes, *x.shape[at + 1 :]))
