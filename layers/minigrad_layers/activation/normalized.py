"""Activations that see a whole axis: softmax, its logarithm, and the gated linear unit."""

from __future__ import annotations

import minigrad as mg
from minigrad.errors import ShapeError
from minigrad_layers.options import Options


def _axis(layer: Softmax | LogSoftmax, x: mg.Tensor) -> int:
    if layer.dim is None and x.ndim > 2:
        raise ShapeError(
            f"{type(layer).__name__}: dim=None is the last axis of a vector or a matrix, and x has shape {x.shape}; "
            "say along which axis the results shall sum to 1, such as dim=-1"
        )
    return -1 if layer.dim is None else layer.dim


@mg.register_layer
class Softmax(Options):
    """exp(x) / sum(exp(x)) along the axis `dim`, without overflow.

    Args:
        dim: the axis along which the results sum to 1; None is the last one of a vector or a matrix.

    Raises:
        ShapeError: dim=None and more than two axes, where it could mean several things.

    Example:
        >>> import minigrad as mg
        >>> Softmax(dim=-1)(mg.tensor([0.0, 0.0, float("-inf")]))
        tensor([0.5, 0.5, 0. ])
    """

    samples = ((1,), (2, 3)), ((-2,), (2, 3, 2)), ((), (2, 4))
    dim: int | None = None

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """x of any shape."""
        return mg.softmax(x, axis=_axis(self, x))


@mg.register_layer
class LogSoftmax(Options):
    """log(softmax(x)) along the axis `dim`, so computed that no probability underflows to log(0); see `Softmax`.

    Example:
        >>> import minigrad as mg
        >>> LogSoftmax(dim=-1)(mg.tensor([0.0, 1e4]))
        tensor([-10000.,      0.])
    """

    samples = ((1,), (2, 3)), ((-2,), (2, 3, 2))
    dim: int | None = None

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """x of any shape."""
        return mg.log_softmax(x, axis=_axis(self, x))


@mg.register_layer
class GLU(Options):
    """a σ(b), where a and b are the first and the second half of x along the axis `dim`.

    Source: Dauphin, Fan, Auli, Grangier, "Language modeling with gated convolutional networks", ICML 2017.

    Raises:
        ShapeError: an odd number of elements along the axis.

    Example:
        >>> import minigrad as mg
        >>> GLU()(mg.tensor([2.0, 4.0, 0.0, 0.0]))
        tensor([1., 2.])
    """

    samples = ((), (3, 4)), ((1,), (2, 4, 3))
    dim: int = -1

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """x of any shape with an even number of elements along `dim`; the result has half as many."""
        if not -x.ndim <= self.dim < x.ndim or x.shape[self.dim] % 2:
            raise ShapeError(f"GLU: axis dim={self.dim} of shape {x.shape} must have an even number of elements")
        a, b = mg.split(x, 2, axis=self.dim)
        return a * mg.sigmoid(b)
