"""What stands in the place of a norm without statistics: one function of each element, and scales of each channel."""

from __future__ import annotations

from typing import Any

import minigrad as mg
from minigrad_layers.normalization.axes import along
from minigrad_layers.normalization.normalize import affine_parameters

__all__ = ["Derf", "DynamicTanh", "LayerScale"]


class _Squashed(mg.Module):
    """weight squash(x) + bias along one axis of features, with a learnt slope `alpha` for the squashing function."""

    samples = ((4,), (3, 4)), ((3, 0.8, 1), (2, 3, 2))

    def __init__(
        self,
        num_features: int,
        alpha_init_value: float = 0.5,
        axis: int = -1,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        name = type(self).__name__
        self.num_features = mg.arguments.integer(num_features, "num_features", name, 1)
        self.alpha_init_value = mg.arguments.number(alpha_init_value, "alpha_init_value", name)
        self.axis = mg.arguments.integer(axis, "axis", name)
        self.alpha = mg.Parameter(mg.init.constant((1,), alpha_init_value, dtype=dtype, device=device))
        self.weight, self.bias = affine_parameters((num_features,), dtype, device)

    def scaled(self, y: mg.Tensor) -> mg.Tensor:
        """weight y + bias."""
        shape = along(y, (self.axis,), (self.num_features,), type(self).__name__, "num_features")
        return y * mg.reshape(self.weight, shape) + mg.reshape(self.bias, shape)

    def extra_repr(self) -> str:
        """The constructor's arguments."""
        return f"{self.num_features}, alpha_init_value={self.alpha_init_value}, axis={self.axis}"


@mg.register_layer
class DynamicTanh(_Squashed):
    """A norm's place taken by a squashing function of each element: y = weight tanh(alpha x) + bias.

    It was made for layer norms in transformers; in the place of batch norms it does less well, and alpha's start asks
    for attention: 0.5 for vision, for language models other values by width and place.

    Args:
        num_features: size of the axis of features; `weight` (starts at 1) and `bias` (at 0) have as many elements.
        alpha_init_value: what `alpha`, of shape (1,), starts as.
        axis: the axis of features; 1 for (n, c, h, w).

    Source: Zhu, Chen, He, LeCun, Liu, "Transformers without normalization", CVPR 2025, arXiv 2503.10622.

    Example:
        >>> import minigrad as mg
        >>> DynamicTanh(2)(mg.tensor([[0.0, 100.0]])).tolist()
        [[0.0, 1.0]]
    """

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """x of any shape with that axis."""
        return self.scaled(mg.tanh(self.alpha * x))


@mg.register_layer
class Derf(_Squashed):
    """As DynamicTanh with the error function and a learnt shift: y = weight erf(alpha x + s) + bias.

    Args:
        num_features: size of the axis of features; `weight` (starts at 1) and `bias` (at 0) have as many elements.
        alpha_init_value: what `alpha`, of shape (1,), starts as; `s`, of shape (1,), starts at 0.
        axis: the axis of features; 1 for (n, c, h, w).

    Source: Chen, Lu, Zhu, Sun, Liu, "Stronger normalization-free transformers", CVPR 2026, arXiv 2512.10938.

    Example:
        >>> import minigrad as mg
        >>> Derf(2)(mg.tensor([[0.0, 100.0]])).tolist()
        [[0.0, 1.0]]
    """

    def __init__(
        self,
        num_features: int,
        alpha_init_value: float = 0.5,
        axis: int = -1,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(num_features, alpha_init_value, axis, device, dtype)
        self.s = mg.Parameter(mg.init.zeros((1,), dtype=dtype, device=device))

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """x of any shape with that axis."""
        return self.scaled(mg.erf(self.alpha * x + self.s))


@mg.register_layer
class LayerScale(mg.Module):
    """Each channel of a residual branch times a learnt number that starts small: y = gamma x.

    Args:
        dim: number of channels.
        init_values: what `gamma` (dim) starts as; the paper takes 0.1 to 1e-6, smaller for deeper networks.
        axis: the channels; 1 for (n, c, h, w).

    Source: Touvron, Cord, Sablayrolles, Synnaeve, Jégou, "Going deeper with image transformers", ICCV 2021.

    Example:
        >>> import minigrad as mg
        >>> LayerScale(2, 0.1)(mg.ones((1, 2))).tolist()
        [[0.10000000149011612, 0.10000000149011612]]
    """

    samples = ((3,), (2, 3)), ((2, 0.1, 1), (2, 2, 3))

    def __init__(
        self, dim: int, init_values: float = 1e-5, axis: int = -1, device: str | None = None, dtype: Any = None
    ) -> None:
        self.dim, self.axis = mg.arguments.integer(dim, "dim", "LayerScale", 1), axis
        self.init_values = mg.arguments.number(init_values, "init_values", "LayerScale")
        self.gamma = mg.Parameter(mg.init.constant((dim,), init_values, dtype=dtype, device=device))

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """x of any shape with that axis."""
        return x * mg.reshape(self.gamma, along(x, (self.axis,), (self.dim,), "LayerScale", "dim"))

    def extra_repr(self) -> str:
        """The constructor's arguments."""
        return f"{self.dim}, init_values={self.init_values}" + ("" if self.axis == -1 else f", axis={self.axis}")
