"""What the rules of several optimisers share."""

from __future__ import annotations

from typing import Any

__all__ = ["downhill"]


def downhill(p: Any, g: Any, weight_decay: float = 0.0, maximize: bool = False) -> Any:
    """The gradient of what is to become small: -g where it is to become large, and weight_decay p besides."""
    if maximize:
        g = -g
    return g + p * weight_decay if weight_decay else g
