"""Containers, and the layers that only change shapes."""

from __future__ import annotations

import math
from collections.abc import Iterator

import minigrad as mg


@mg.register_layer
class Sequential(mg.Module):
    """One module after the other: f(x) = fₙ(… f₂(f₁(x))).

    The modules are called "0", "1", … in the names of parameters, or by the names of a dict that is given in their
    place.

    Example:
        >>> import minigrad as mg
        >>> from minigrad_layers import Linear, ReLU
        >>> model = Sequential(Linear(4, 3), ReLU())
        >>> [name for name, _ in model.named_parameters()], len(model), model[1]
        (['0.weight', '0.bias'], 2, ReLU())
    """

    samples = (((), (2, 3)),)

    def __init__(self, *modules: mg.Module | dict[str, mg.Module]) -> None:
        named = modules[0] if len(modules) == 1 and isinstance(modules[0], dict) else dict(enumerate(modules))
        self._names = tuple(map(str, named))
        for name, module in zip(self._names, named.values(), strict=True):
            if isinstance(module, (list, tuple)):
                raise mg.errors.ArgumentTypeError(
                    f"Sequential: {name} is a {type(module).__name__}; the modules are arguments of their own: "
                    "write Sequential(*modules)"
                )
            if not isinstance(module, mg.Module):
                raise TypeError(
                    f"Sequential: {name} is a {type(module).__name__}, but every element must be a Module; "
                    "make a function a module, or call it in a forward of your own"
                )
            if hasattr(self, name):
                raise mg.errors.ArgumentError(
                    f"Sequential: the name {name!r} is taken by Module itself; choose another one"
                )
            setattr(self, name, module)

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """Whatever the first module takes, to whatever the last one gives."""
        for module in self:
            x = module(x)
        return x

    def __iter__(self) -> Iterator[mg.Module]:
        return (vars(self)[name] for name in self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, index: int | slice) -> mg.Module:
        if isinstance(index, slice):
            return Sequential({name: vars(self)[name] for name in self._names[index]})
        module: mg.Module = vars(self)[self._names[index]]
        return module


@mg.register_layer
class Flatten(mg.Module):
    """The axes from `start_dim` to `end_dim` made one, in C order; by default all but the first.

    Example:
        >>> import minigrad as mg
        >>> Flatten()(mg.zeros((2, 3, 4))).shape
        (2, 12)
    """

    samples = ((), (3, 2, 2)), ((0, 1), (2, 3, 2))

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """(a, b, c, …) to (a, b c …)."""
        first, last = (d + x.ndim if d < 0 else d for d in (self.start_dim, self.end_dim))
        if not 0 <= first <= last < x.ndim:
            raise mg.errors.ShapeError(
                f"Flatten: start_dim={self.start_dim} and end_dim={self.end_dim} do not fit shape {x.shape}"
            )
        return mg.reshape(x, (*x.shape[:first], math.prod(x.shape[first : last + 1]), *x.shape[last + 1 :]))

    def extra_repr(self) -> str:
        """PyTorch's."""
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"
