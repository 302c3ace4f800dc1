"""Normalization over the features of each example: layer norm."""

from __future__ import annotations

from typing import Any

import minigrad as mg
from minigrad.errors import ArgumentError, ShapeError
from minigrad_layers.normalization.normalize import affine_parameters, normalize, positive


@mg.register_layer
class LayerNorm(mg.Module):
    """Each example normalized over its last axes, y = (x - mean) / sqrt(var + eps) weight + bias, always the same.

    Args:
        normalized_shape: sizes of the axes to normalize over, the last ones of the input.
        eps: added to the variance; above 0.
        elementwise_affine, bias: whether there are `weight` and `bias`, both of that shape.

    Source: Ba, Kiros, Hinton, "Layer normalization", 2016.

    Example:
        >>> import minigrad as mg
        >>> LayerNorm(2, bias=False)(mg.tensor([[1.0, 3.0], [5.0, 5.0]]))
        tensor([[-0.999995,  0.999995],
                [ 0.      ,  0.      ]], op='multiply')
    """

    samples = ((5,), (3, 5)), (((2, 3),), (2, 2, 3)), ((4, 1e-5, False), (2, 3, 4))

    def __init__(
        self,
        normalized_shape: int | tuple[int, ...],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        self.normalized_shape = mg.arguments.integers(normalized_shape, "normalized_shape", "LayerNorm", 1)
        if not self.normalized_shape:
            raise ArgumentError("normalized_shape: () names no axis; give the sizes of the last axes of the input")
        self.eps, self.elementwise_affine = positive(eps), elementwise_affine
        self.weight: mg.Parameter | None = None
        self.bias: mg.Parameter | None = None
        if elementwise_affine:
            self.weight, offset = affine_parameters(self.normalized_shape, dtype, device)
            self.bias = offset if bias else None

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """x of shape (…, *normalized_shape)."""
        n = len(self.normalized_shape)
        if x.shape[-n:] != self.normalized_shape:
            raise ShapeError(
                f"LayerNorm: x has shape {x.shape}, it must end in normalized_shape={self.normalized_shape}"
            )
        return normalize(x, tuple(range(x.ndim - n, x.ndim)), self.weight, self.bias, eps=self.eps).y

    def extra_repr(self) -> str:
        """PyTorch's."""
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, "
            f"bias={self.bias is not None}"
        )
