"""Containers: modules made of modules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Self, overload

import minigrad as mg
from minigrad.errors import ArgumentError, ArgumentTypeError, ShapeError

__all__ = ["Identity", "Lambda", "ModuleDict", "ModuleList", "Residual", "Sequential"]


class _Named(mg.Module):
    """Modules under names that are attributes, so that the names in a state dict are these and no more.

    A name stands for itself, and where there are none the modules are "0", "1", …
    """

    def __init__(self) -> None:
        self._names: tuple[str, ...] = ()

    def _put(self, name: str, module: Any) -> None:
        kind = type(self).__name__
        if isinstance(module, (list, tuple)):
            raise ArgumentTypeError(
                f"{kind}: {name} is a {type(module).__name__}; the modules are arguments of their own: write "
                f"{kind}(*modules)"
            )
        if not isinstance(module, mg.Module):
            hint = "Lambda makes a module of a function"
            raise TypeError(f"{kind}: {name} is a {type(module).__name__}, but every element must be a Module; {hint}")
        if name not in self._names:
            if not name or "." in name or hasattr(self, name):
                why = "taken by Module itself" if hasattr(self, name) else "no name of a part of a path"
                raise ArgumentError(f"{kind}: the name {name!r} is {why}; choose another one")
            self._names = (*self._names, name)
        setattr(self, name, module)

    def _set(self, modules: Mapping[str, Any]) -> None:
        """These modules, under these names, in place of all that are here."""
        held = {name: vars(self)[name] for name in self._names}
        self._clear()
        try:
            for name, module in modules.items():
                self._put(name, module)
        except Exception:
            self._clear()
            for name, module in held.items():
                self._put(name, module)
            raise

    def _clear(self) -> None:
        for name in self._names:
            delattr(self, name)
        self._names = ()

    def _modules(self) -> list[mg.Module]:
        return [vars(self)[name] for name in self._names]

    def __len__(self) -> int:
        return len(self._names)


class _Listed(_Named):
    """Modules in a row, counted from 0."""

    def _listed(self, modules: Iterable[Any]) -> Self:
        self._set({str(k): m for k, m in enumerate(modules)})
        return self

    def _renamed(self, modules: list[Any]) -> Self:
        """These in place of what is here, which must go by numbers."""
        if self._names != tuple(map(str, range(len(self)))):
            raise ArgumentError(
                f"{type(self).__name__}: its modules have names, {', '.join(self._names)}, and nothing can be put "
                "between them without one; make a new one of a dict"
            )
        return self._listed(modules)

    def __iter__(self) -> Iterator[mg.Module]:
        return iter(self._modules())

    @overload
    def __getitem__(self, index: int) -> mg.Module: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: int | slice) -> mg.Module | Self:
        if isinstance(index, slice):
            part = type(self)()
            part._set({name: vars(self)[name] for name in self._names[index]})
            return part if any(not name.isdigit() for name in part._names) else part._listed(part._modules())
        module: mg.Module = self._modules()[index]
        return module

    def __setitem__(self, index: int, module: mg.Module) -> None:
        self._put(self._names[index], module)

    def __delitem__(self, index: int | slice) -> None:
        kept = self._modules()
        del kept[index]
        self._renamed(kept)

    def append(self, module: mg.Module) -> Self:
        """One more at the end."""
        self._put(str(len(self)), module)
        return self

    def extend(self, modules: Iterable[mg.Module]) -> Self:
        """More at the end."""
        return self._renamed([*self, *modules])

    def insert(self, index: int, module: mg.Module) -> Self:
        """One more before place `index`; what comes after is counted anew."""
        modules = self._modules()
        modules.insert(index, module)
        return self._renamed(modules)

    def pop(self, index: int = -1) -> mg.Module:
        """Take the one at `index` out."""
        module = self[index]
        del self[index]
        return module

    def __add__(self, other: Iterable[mg.Module]) -> Self:
        return type(self)()._listed([*self, *other])


@mg.register_layer
class Sequential(_Listed):
    """One module after the other: f(x) = fₙ(… f₂(f₁(x))).

    The modules are called "0", "1", … in the names of parameters, or by the names of a dict that is given in their
    place. It is a list as well: indices, slices, `append`, `extend`, `insert`, `pop`.

    Raises:
        TypeError: an element that is no Module.
        ArgumentError: a name that Module itself uses.

    Example:
        >>> import minigrad as mg
        >>> from minigrad_layers import Linear, ReLU
        >>> model = Sequential(Linear(4, 3), ReLU())
        >>> [name for name, _ in model.named_parameters()], len(model), model[1]
        (['0.weight', '0.bias'], 2, ReLU())
    """

    samples = (((), (2, 3)),)

    def __init__(self, *modules: mg.Module | dict[str, mg.Module]) -> None:
        super().__init__()
        named = modules[0] if len(modules) == 1 and isinstance(modules[0], dict) else dict(enumerate(modules))
        self._set({str(name): module for name, module in named.items()})

    def forward(self, x: Any) -> Any:
        """Whatever the first module takes, to whatever the last one gives."""
        for module in self:
            x = module(x)
        return x


class ModuleList(_Listed):
    """A list of modules whose parameters belong to the module that holds it, under "0.…", "1.…"; it computes nothing.

    Indices, slices, `append`, `extend`, `insert`, `pop` and `+` are a list's.

    Raises:
        TypeError: an element that is no Module.

    Example:
        >>> import minigrad as mg
        >>> from minigrad_layers import Linear
        >>> layers = ModuleList(Linear(2, 2, bias=False) for _ in range(2)).append(Linear(2, 1))
        >>> [name for name, _ in layers.named_parameters()]
        ['0.weight', '1.weight', '2.weight', '2.bias']
    """

    def __init__(self, modules: Iterable[mg.Module] = ()) -> None:
        super().__init__()
        self._listed(modules)


class ModuleDict(_Named):
    """Modules by name, whose parameters belong to the module that holds it, under "name.…"; it computes nothing.

    `keys`, `values`, `items`, `update`, `pop` and `in` are a dict's.

    Raises:
        TypeError: a value that is no Module.
        ArgumentError: a name with a dot in it, or that Module itself uses.

    Example:
        >>> import minigrad as mg
        >>> from minigrad_layers import Linear
        >>> heads = ModuleDict({"class": Linear(4, 3), "box": Linear(4, 4)})
        >>> heads["box"], [name for name, _ in heads.named_parameters()][:2]
        (Linear(in_features=4, out_features=4, bias=True), ['class.weight', 'class.bias'])
    """

    def __init__(self, modules: Mapping[str, mg.Module] | Iterable[tuple[str, mg.Module]] = ()) -> None:
        super().__init__()
        self.update(modules)

    def update(self, modules: Mapping[str, mg.Module] | Iterable[tuple[str, mg.Module]]) -> ModuleDict:
        """Put these in, in place of those that have the same name."""
        self._set({**dict(self.items()), **dict(modules)})
        return self

    def keys(self) -> tuple[str, ...]:
        """The names."""
        return self._names

    def values(self) -> list[mg.Module]:
        """The modules."""
        return self._modules()

    def items(self) -> list[tuple[str, mg.Module]]:
        """Names and modules."""
        return list(zip(self._names, self._modules(), strict=True))

    def pop(self, name: str) -> mg.Module:
        """Take the one called `name` out."""
        module = self[name]
        del self[name]
        return module

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __getitem__(self, name: str) -> mg.Module:
        if name not in self._names:
            raise KeyError(f"ModuleDict: no module is called {name!r}; there are {', '.join(self._names) or 'none'}")
        module: mg.Module = vars(self)[name]
        return module

    def __setitem__(self, name: str, module: mg.Module) -> None:
        self._put(name, module)

    def __delitem__(self, name: str) -> None:
        self._set({key: module for key, module in self.items() if module is not self[name]})


@mg.register_layer
class Identity(mg.Module):
    """x itself; whatever it is constructed with says nothing.

    Example:
        >>> import minigrad as mg
        >>> Identity()(mg.tensor(2.0))
        tensor(2.)
    """

    samples = ((), (2, 3)), ((54, "unused"), (3,))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def forward(self, x: Any) -> Any:
        """Anything."""
        return x


@mg.register_layer
class Lambda(mg.Module):
    """A function as a module, so that it can stand in a container.

    Args:
        function: what to call, such as `mg.tanh`. What it learns belongs in a Module of your own: parameters in its
            closure are not found.

    Raises:
        TypeError: what is given cannot be called.

    Example:
        >>> import minigrad as mg
        >>> from minigrad_layers import Linear, Sequential
        >>> Sequential(Linear(4, 2), Lambda(mg.tanh))[1]
        Lambda(tanh)
    """

    samples = (((mg.tanh,), (2, 3)),)

    def __init__(self, function: Callable[..., Any]) -> None:
        if not callable(function):
            raise TypeError(f"Lambda: function={function!r} must be a function")
        self.function = function

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the function takes."""
        return self.function(*args, **kwargs)

    def extra_repr(self) -> str:
        """The name of the function."""
        return str(getattr(self.function, "__name__", self.function))


@mg.register_layer
class Residual(mg.Module):
    """x + f(x), f being a module, or several that are run one after the other.

    Args:
        modules: f; with none it is the identity.
        shortcut: a module that x goes through on its way past f, where f changes the shape; the identity unless given.

    Source: He, Zhang, Ren, Sun, "Deep residual learning for image recognition", CVPR 2016.

    Raises:
        ShapeError: what comes out of f has another shape than what comes past it.

    Example:
        >>> import minigrad as mg
        >>> from minigrad_layers import ReLU
        >>> Residual(ReLU())(mg.tensor([-1.0, 2.0]))
        tensor([-1.,  4.])
    """

    samples = (((Lambda(mg.tanh),), (2, 3)),)

    def __init__(self, *modules: mg.Module, shortcut: mg.Module | None = None) -> None:
        self.body = modules[0] if len(modules) == 1 and isinstance(modules[0], mg.Module) else Sequential(*modules)
        self.shortcut = shortcut

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """What f takes."""
        y: mg.Tensor = self.body(x)
        past: mg.Tensor = x if self.shortcut is None else self.shortcut(x)
        if y.shape != past.shape:
            raise ShapeError(
                f"Residual: f makes {y.shape} of {x.shape}, to which {past.shape} cannot be added; give shortcut=, a "
                "module that makes the same shape"
            )
        return past + y
