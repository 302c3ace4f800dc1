"""Layers whose weight is computed from other parameters at each call: any layer, wrapped.

The parameter that the weight is computed from is the wrapped layer's own, under a new name; while the layer runs, what
was computed stands in for it (`mg.stand_in`). So state is found once, under flat names, and nothing is written back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import minigrad as mg
from minigrad.errors import ArgumentError, ArgumentTypeError

__all__: list[str] = []


class Reparametrized(mg.Module):
    """What the wrappers share: the layer's parameters under their own names, the weight's under another."""

    def __init__(self, layer: mg.Module, name: str, kept: str) -> None:
        kind = type(self).__name__
        if not isinstance(layer, mg.Module):
            raise ArgumentTypeError(f"{kind}: layer is a {type(layer).__name__}; give a layer, {kind}(Linear(3, 2))")
        own = {k: v for k, v in vars(layer).items() if isinstance(v, (mg.Parameter, mg.Buffer))}
        if not isinstance(own.get(name), mg.Parameter):
            have = ", ".join(k for k, v in own.items() if isinstance(v, mg.Parameter)) or "none"
            raise ArgumentError(
                f"{kind}: {type(layer).__name__} has no parameter {name!r} of its own; it has {have}: name one of these"
            )
        self.name = name
        for key, value in own.items():
            if key != name:
                setattr(self, key, value)
        setattr(self, kept, own[name])
        self._kept = kept

    def _holds(self, layer: mg.Module) -> None:
        """The layer comes last, so that its state has been found under this module's names before."""
        self.layer = layer

    def other_names(self) -> Mapping[str, str]:
        """PyTorch's `parametrizations` module calls the parameters so."""
        return {f"parametrizations.{self.name}.original": self._kept}

    @property
    def source(self) -> mg.Tensor:
        """The parameter that the weight is computed from, in float32 where it is float16."""
        found: mg.Tensor = getattr(self, self._kept)
        return mg.astype(found, "float32") if found.dtype.itemsize == 2 else found

    def effective(self) -> mg.Tensor:
        """The weight that the layer is to use, in the dtype that computes."""
        raise NotImplementedError

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the layer makes of its inputs with that weight."""
        weight, dtype = self.effective(), getattr(self, self._kept).dtype
        weight = (weight if weight.dtype == dtype else mg.astype(weight, dtype)).named(self.name)
        with mg.stand_in(self.layer, {self.name: weight}):
            return self.layer(*args, **kwargs)

    def _said(self, **more: Any) -> str:
        return ", ".join(f"{k}={v!r}" for k, v in {"name": self.name, **more}.items())


def all_but(weight: mg.Tensor, dim: int | None, layer: str) -> tuple[int, ...]:
    """The axes of a weight apart from `dim`.

    Raises:
        ArgumentError: the weight has no such axis.
    """
    if dim is None:
        return tuple(range(weight.ndim))
    if not -weight.ndim <= mg.arguments.integer(dim, "dim", layer) < weight.ndim:
        raise ArgumentError(f"dim: {dim} is no axis of a weight of shape {weight.shape}")
    return tuple(k for k in range(weight.ndim) if k != dim % weight.ndim)
