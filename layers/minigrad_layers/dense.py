"""Dense layers: every output is a weighted sum of every input."""

from __future__ import annotations

import math
from typing import Any

import minigrad as mg


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
            raise mg.errors.ShapeError(
                f"Linear: x has shape {x.shape}, but its last axis must be in_features={self.in_features}; "
                "flatten or permute it first, or construct the layer with that size"
            )
        y = mg.matmul(x, self.weight.T)
        return y if self.bias is None else y + self.bias

    def extra_repr(self) -> str:
        """PyTorch's."""
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"
