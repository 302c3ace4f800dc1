"""Dense layers: every output is a weighted sum of every input, or of every product of two."""

from __future__ import annotations

import math
from typing import Any

import minigrad as mg
from minigrad.errors import ShapeError

__all__ = ["Bilinear", "Linear"]


@mg.register_layer
class Linear(mg.Module):
    """y = x Wᵀ + b.

    Args:
        in_features: size of the last axis of the input.
        out_features: size of the last axis of the output.
        bias: whether there is a b.
        device, dtype: of the parameters; float32 by default.

    `weight` (out_features, in_features) and `bias` (out_features) start evenly on ±1 / sqrt(in_features), as
    in PyTorch.

    Raises:
        ShapeError: the last axis of an input is not `in_features`.

    Example:
        >>> import minigrad as mg
        >>> Linear(3, 2)(mg.ones((5, 3), dtype="float32")).shape
        (5, 2)
    """

    samples = ((4, 3), (5, 4)), ((4, 3, False), (2, 3, 4))

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, device: str | None = None, dtype: Any = None
    ) -> None:
        in_features = mg.arguments.integer(in_features, "in_features", "Linear", 1)
        out_features = mg.arguments.integer(out_features, "out_features", "Linear", 1)
        self.in_features, self.out_features = in_features, out_features
        bound = 1 / math.sqrt(in_features)
        # Drawn as (in, out) and turned: the product below reads it along its rows, and its gradient has this layout.
        drawn = mg.init.uniform((in_features, out_features), -bound, bound, dtype=dtype or "float32", device=device)
        self.weight = mg.Parameter(drawn.T)
        self.bias = (
            mg.Parameter(mg.init.uniform((out_features,), -bound, bound, dtype=dtype or "float32", device=device))
            if bias
            else None
        )

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """x of shape (…, in_features) to (…, out_features)."""
        if x.ndim == 0 or x.shape[-1] != self.in_features:
            raise ShapeError(
                f"Linear: x has shape {x.shape}, but its last axis must be in_features={self.in_features}; "
                "flatten or permute it first, or construct the layer with that size"
            )
        y = mg.matmul(x, self.weight.T)
        return y if self.bias is None else y + self.bias

    def extra_repr(self) -> str:
        """PyTorch's."""
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


@mg.register_layer
class Bilinear(mg.Module):
    """yₖ = x₁ᵀ Wₖ x₂ + bₖ: every output is a weighted sum of all products of an element of x₁ and one of x₂.

    Args:
        in1_features, in2_features: sizes of the last axes of the two inputs.
        out_features: size of the last axis of the output.
        bias: whether there is a b.
        device, dtype: of the parameters; float32 by default.

    `weight` (out_features, in1_features, in2_features) and `bias` (out_features) start evenly on
    ±1 / sqrt(in1_features), as in PyTorch.

    Raises:
        ShapeError: the last axis of an input is not what the layer was constructed with, or the other axes differ.

    Example:
        >>> import minigrad as mg
        >>> Bilinear(3, 4, 2)(mg.ones((5, 3), dtype="float32"), mg.ones((5, 4), dtype="float32")).shape
        (5, 2)
    """

    samples = (
        mg.Sample((3, 2, 4), inputs=((5, 3), (5, 2))),
        mg.Sample((2, 3, 1), {"bias": False}, inputs=((2, 2, 2), (2, 2, 3))),
    )

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        self.in1_features = mg.arguments.integer(in1_features, "in1_features", "Bilinear", 1)
        self.in2_features = mg.arguments.integer(in2_features, "in2_features", "Bilinear", 1)
        self.out_features = mg.arguments.integer(out_features, "out_features", "Bilinear", 1)
        bound, options = 1 / math.sqrt(in1_features), {"dtype": dtype or "float32", "device": device}
        shape = (out_features, in1_features, in2_features)
        self.weight = mg.Parameter(mg.init.uniform(shape, -bound, bound, **options))
        self.bias = mg.Parameter(mg.init.uniform((out_features,), -bound, bound, **options)) if bias else None

    def forward(self, input1: mg.Tensor, input2: mg.Tensor) -> mg.Tensor:
        """(…, in1_features) and (…, in2_features) to (…, out_features)."""
        sizes = (self.in1_features, self.in2_features)
        if (input1.shape[-1:], input2.shape[-1:]) != ((sizes[0],), (sizes[1],)) or input1.shape[:-1] != (
            input2.shape[:-1]
        ):
            raise ShapeError(
                f"Bilinear: input1 {input1.shape} and input2 {input2.shape} must be the same but for their last axes, "
                f"which are in1_features={sizes[0]} and in2_features={sizes[1]}"
            )
        y = mg.einsum("...i,oij,...j->...o", input1, self.weight, input2)
        return y if self.bias is None else y + self.bias

    def extra_repr(self) -> str:
        """PyTorch's."""
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )
