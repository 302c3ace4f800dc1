"""The catalogue of layers: classes by name, found through installed distributions' entry points when asked for."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar, overload

from minigrad.answers import remedy
from minigrad.errors import DeclarationError, PluginError, PluginWarning, UnknownLayerError
from minigrad.module.base import Module
from minigrad.module.samples import Part, Sample
from minigrad.registry import Registry

M = TypeVar("M", bound=Module)
F = TypeVar("F", bound=Callable[..., Any])

REGISTRY: Registry[type[Module]] = Registry(
    "layer",
    "minigrad.layers",
    unknown=UnknownLayerError,
    clash=PluginError,
    broken=PluginWarning,
    hint="layers come from installed distributions such as minigrad-layers; `minigrad layers` lists them",
)


class LayerInfo(NamedTuple):
    """One row of the listing of layers."""

    name: str
    family: str  # the file or folder below what its entry point names: dense, normalization, …; else its package
    origin: str  # the distribution that it comes from, else its file
    summary: str  # the first line of its docstring


@overload
def register_layer(cls: type[M]) -> type[M]: ...
@overload
def register_layer(cls: None = None) -> Callable[[type[M]], type[M]]: ...
def register_layer(cls: type[M] | None = None) -> Any:
    """Class decorator that enters a layer under its class's name, so that `layer`, checks, drawings and files know it.

    Raises:
        DeclarationError: not a Module, or without `forward` or docstring.
        PluginError: another layer of this name; both files are named.

    Example:
        >>> import minigrad as mg
        >>> @mg.register_layer
        ... class Halve(mg.Module):
        ...     \"\"\"x / 2.\"\"\"
        ...     def forward(self, x):
        ...         return x / 2
        >>> mg.layer("Halve")(mg.tensor(3.0))
        tensor(1.5)
    """
    if cls is None:
        return register_layer
    if not (isinstance(cls, type) and issubclass(cls, Module)):
        raise DeclarationError(f"register_layer: {cls!r} is not a subclass of minigrad.Module")
    if cls.forward is Module.forward or not cls.__doc__:
        raise DeclarationError(f"register_layer: {cls.__name__} needs a forward method and a docstring of its own")
    REGISTRY.register(cls.__name__, cls)
    return cls


def layer(name: str, *args: Any, **kwargs: Any) -> Module:
    """Construct the layer registered under `name`; for configurations. In code, import the class: it is typed.

    Raises:
        UnknownLayerError: no layer has this name; the nearest names are given.

    Example:
        >>> import minigrad as mg
        >>> mg.layer("Linear", 3, 2)
        Linear(in_features=3, out_features=2, bias=True)
    """
    try:
        cls = REGISTRY[name]
    except UnknownLayerError as error:
        known = remedy(str(name))
        raise UnknownLayerError(f"{error}; what others call {name!r}: {known}" if known else str(error)) from None
    return cls(*args, **kwargs)


Part.construct = staticmethod(layer)


def layers() -> Mapping[str, LayerInfo]:
    """Every layer that is installed, by name.

    Example:
        >>> import minigrad as mg
        >>> mg.layers()["Linear"].family
        'dense'
    """
    found = {}
    for name, cls, origin in REGISTRY.entries():
        lines = (inspect.getdoc(cls) or "").splitlines()
        found[name] = LayerInfo(name, _family(cls), origin.distribution or origin.file, lines[0] if lines else "")
    return found


def _family(cls: type[Module]) -> str:
    whole = cls.__module__.split(".")
    root = REGISTRY.root(cls.__module__)
    below = whole[len(root.split(".")) :] if root else whole[1:]
    return (below or whole)[0]


CLOSED_FORMS: dict[Any, tuple[Callable[..., Any], tuple[Sample, ...] | None]] = {}
"""Backward passes derived by hand, by the layer or function that they belong to, with samples of their own or None."""


def closed_form(*of: Any, samples: tuple[Sample, ...] | None = None) -> Callable[[F], F]:
    """Decorator that registers a backward pass derived by hand beside the layers (or functions) that it belongs to.

    Nothing runs it: gradients come from the chain rule alone. `minigrad.check.claim` holds it right, and pages show it.
    Its argument names are the contract, as in rules: `g`, `y`, inputs, parameters, attributes of the layer.

    Args:
        of: layers' classes, or functions.
        samples: where to check it, for functions and where the layer's own do not fit.

    Example:
        >>> import minigrad as mg
        >>> def double(x):
        ...     return 2.0 * x
        >>> @mg.closed_form(double, samples=(mg.Sample(inputs=((3,),)),))
        ... def double_backward(g):
        ...     return {"x": 2.0 * g}
        >>> mg.check.claim(double).compared
        19
    """

    def entered(form: F) -> F:
        for key in of:
            CLOSED_FORMS[key] = form, samples
        return form

    return entered
