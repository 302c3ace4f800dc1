"""Activations as layers, for containers; in a forward of your own call the function."""

from __future__ import annotations

import minigrad as mg


@mg.register_layer
class ReLU(mg.Module):
    """max(x, 0), elementwise, with derivative 0 at 0.

    Example:
        >>> import minigrad as mg
        >>> ReLU()(mg.tensor([-1.0, 2.0]))
        tensor([0., 2.])
    """

    samples = (((), (3, 4)),)

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """x of any shape."""
        return mg.relu(x)
