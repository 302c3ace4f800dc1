"""Normalization over the features of each example: layer norm."""

from __future__ import annotations

from typing import Any

import minigrad as mg
from minigrad_layers.normalization.axes import along, gain, more, normalized_axes, shaped
from minigrad_layers.normalization.normalize import affine_parameters, normalize, positive


@mg.register_layer
class LayerNorm(mg.Module):
    """Each example normalized over some of its axes, y = (x - mean) / sqrt(var + eps) weight + bias, always the same.

    Args:
        normalized_shape: sizes of the axes to normalize over.
        eps: added to the variance; above 0.
        elementwise_affine, bias: whether there are `weight` and `bias`, both of that shape.
        axis: the axes that `normalized_shape` names, by default the last ones; 1 for the channels of (n, c, h, w).
        centered: the gain is 1 + weight, and the weight starts at 0, so that weight decay pulls the gain to 1.

    Source: Ba, Kiros, Hinton, "Layer normalization", 2016.

    Example:
        >>> import minigrad as mg
        >>> LayerNorm(2, bias=False)(mg.tensor([[1.0, 3.0], [5.0, 5.0]]))
        tensor([[-0.999995,  0.999995],
                [ 0.      ,  0.      ]], op='multiply')
    """

    samples = (
        mg.Sample((5,), inputs=((3, 5),)),
        mg.Sample(((2, 3),), inputs=((2, 2, 3),)),
        mg.Sample((4, 1e-5, False), inputs=((2, 3, 4),)),
        mg.Sample((5,), {"axis": 1, "centered": True}, inputs=((2, 5, 2),)),
    )

    def __init__(
        self,
        normalized_shape: int | tuple[int, ...],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: str | None = None,
        dtype: Any = None,
        *,
        axis: int | tuple[int, ...] | None = None,
        centered: bool = False,
    ) -> None:
        self.normalized_shape = mg.arguments.integers(normalized_shape, "normalized_shape", "LayerNorm", 1)
        self.axes = normalized_axes(axis, self.normalized_shape, "LayerNorm")
        self.centered = mg.arguments.flag(centered, "centered", "LayerNorm")
        self.eps, self.elementwise_affine = positive(eps), elementwise_affine
        self.weight: mg.Parameter | None = None
        self.bias: mg.Parameter | None = None
        if elementwise_affine:
            self.weight, offset = affine_parameters(self.normalized_shape, dtype, device, centered=self.centered)
            self.bias = offset if bias else None

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """x with `normalized_shape` at the axes that are normalized over."""
        shape = along(x, self.axes, self.normalized_shape, "LayerNorm", "normalized_shape")
        weight, bias = gain(self.weight, shape, centered=self.centered), shaped(self.bias, shape, "_bias")
        return normalize(x, self.axes, weight, bias, eps=self.eps).y

    def extra_repr(self) -> str:
        """PyTorch's, with what PyTorch has not where it is used."""
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, "
            f"bias={self.bias is not None}" + more(self.axes, self.normalized_shape, self.centered)
        )
