"""Module: parameters, buffers and other modules found as attributes, under dotted names, in the order of definition.

A layer assigns Parameters and Buffers in `__init__` and defines `forward`; there is nothing to call and nothing to
register by hand. Lists, tuples and dicts of them are looked into. What is shared is found once, under its first name.
Nothing here knows any particular layer.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Self, TypeAlias, TypeVar

import numpy as np

from minigrad.answers import Answering
from minigrad.backend import BACKENDS, get_backend, transfer
from minigrad.core import MODES, Leaf, Tensor, box, rebind, scope, tensor
from minigrad.core.arguments import blame
from minigrad.core.state import own_state
from minigrad.errors import DeclarationError, DtypeError, RandomWarning
from minigrad.module.loading import take_state
from minigrad.module.samples import Sample
from minigrad.module.tensors import Buffer, Parameter
from minigrad.random import Generator, new_stream

M = TypeVar("M", bound="Module")
T = TypeVar("T")

Samples: TypeAlias = "tuple[Sample | tuple[tuple[Any, ...], tuple[int, ...]], ...]"
BARE = frozenset({type(None), bool, int, float, str})  # what most attributes of a module are: nothing is inside


class Module(metaclass=Answering):
    """A function with parameters. Subclass it, assign attributes in `__init__`, define `forward`; call the object.

    `training` is one flag on the whole tree, set by `train` and `eval`. Every method that changes the module returns
    it. `copy.deepcopy` gives a module that computes the same: its random streams go on from where these are, so its
    dropout draws the same masks; `new_streams` gives it masks of its own.

    Threads may call one module at once where a call changes nothing, in evaluation. In training no random number is
    given twice, but running statistics are read, moved and assigned without a lock: of two calls that overlap, one
    update may be lost, though every buffer holds a whole one. Train copies, or hold a lock of your own around the call;
    `train`, `eval` and `freeze` are for one thread.

    Example:
        >>> import minigrad as mg
        >>> class Scale(mg.Module):
        ...     def __init__(self):
        ...         self.factor = mg.Parameter(mg.tensor(2.0))
        ...     def forward(self, x):
        ...         return x * self.factor
        >>> model = Scale()
        >>> model(mg.tensor(3.0)).backward()
        >>> {name: p.grad.item() for name, p in model.named_parameters()}
        {'factor': 3.0}
    """

    training: bool = True
    _thaw: tuple[bool, frozenset[str]] | None = None  # of a frozen module: what `unfreeze` gives back
    samples: ClassVar[Samples] = ()
    """How to try the layer: objects of `minigrad.Sample`, or pairs (constructor's arguments, shape of the one input).
    The checks go by them."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; every layer defines its own."""
        raise NotImplementedError(f"{type(self).__name__} does not define forward(self, x); a layer must")

    def textbook(self, *args: Any, **kwargs: Any) -> Any:
        """What `forward` computes as the literature writes it, for `mg.trace(form="textbook")`; `forward` unless given.
        The arguments, changes of state and random draws are the same, the rest to rounding: `mg.check.forms`.
        """
        return self.forward(*args, **kwargs)

    def extra_repr(self) -> str:
        """What stands between the parentheses of the module's repr, apart from its children."""
        return ""

    def other_names(self) -> Mapping[str, str]:
        """Names that other libraries have for this module's own state, and what they are called here, both without the
        path to the module: `load_state_dict` takes them too.
        """
        return {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__call__" in cls.__dict__:
            raise DeclarationError(
                f"{cls.__name__}: __call__ is final, since it opens the layer's scope; define forward"
            )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        for a in args:
            if type(a) in BACKENDS:  # a bare array: the result is a tensor all the same
                args = tuple(tensor(a) if type(a) in BACKENDS else a for a in args)
                break
        try:
            mode = MODES.get()
            if not mode.scoped:
                return self.forward(*args, **kwargs)
            body = self.forward if mode.form == "run" else self.textbook
            with scope("layer", type(self).__name__, self, (args, kwargs)):
                return body(*args, **kwargs)
        except Exception as error:
            if isinstance(error, (AttributeError, TypeError)):
                blame(error, type(self).__name__, self.forward, args, kwargs)
            error.add_note(f"in the layer {repr(self).partition(chr(10))[0]}")
            raise

    def __setattr__(self, name: str, value: Any) -> None:
        held = self.__dict__.get(name)
        if isinstance(held, (Parameter, Buffer)) and value is not None and not isinstance(value, (Parameter, Buffer)):
            kind = type(held).__name__
            raise TypeError(
                f"{type(self).__name__}.{name} is a {kind} and would be lost by assigning a {type(value).__name__}; "
                f"write .{name}.{'assign(value)' if kind == 'Buffer' else 'data = value'} to change its value, "
                f"or assign a {kind}"
            )
        object.__setattr__(self, name, value)

    # ---- what is inside

    def _walk(self) -> Iterator[tuple[str, Any]]:
        """Every module, parameter, buffer and random stream below this module, each once, parents first."""
        seen: set[int] = set()
        names: set[str] = set()
        streams: dict[tuple[int, int], str] = {}
        stack: list[tuple[str, Any]] = [("", self)]
        while stack:
            path, value = stack.pop()
            if isinstance(value, (Module, Tensor, Generator)):
                if id(value) in seen:
                    continue
                if path in names:
                    raise DeclarationError(
                        f"{type(self).__name__}: two things are called {path!r}, and a saved state would hold one of "
                        "them; choose other keys"
                    )
                names.add(path)
                seen.add(id(value))
                if isinstance(value, Generator) and not value.shares:
                    other = streams.setdefault(value.state[:2], path)
                    if other != path:
                        self._warn_of_twins(other, path, value)
                yield path, value
            if isinstance(value, (Module, list, tuple, dict)):
                stack.extend((f"{path}.{k}" if path else str(k), v) for k, v in reversed(items(value)))

    def _warn_of_twins(self, one: str, other: str, generator: Generator) -> None:
        generator.shares = True  # told once
        warnings.warn(
            f"{type(self).__name__}: {one} and {other} draw from one random stream, seed {generator.seed} stream "
            f"{generator.stream}, so their masks are not independent (two dropouts drop the same units): "
            "mg.random.seed was called between their construction, or one is a copy of the other. "
            "model.new_streams() gives each its own; generator.shares = True keeps it and is silent",
            RandomWarning,
            stacklevel=4,
        )

    def _named(self, kind: type[T]) -> Iterator[tuple[str, T]]:
        return ((path, value) for path, value in self._walk() if isinstance(value, kind))

    def named_modules(self) -> Iterator[tuple[str, Module]]:
        """This module, under the name "", and all modules below it, with their dotted names."""
        return self._named(Module)

    def modules(self) -> Iterator[Module]:
        """This module and all modules below it."""
        return (m for _, m in self.named_modules())

    def children(self) -> Iterator[Module]:
        """The modules directly below this one."""
        return (m for _, m in self._children())

    def _children(self) -> Iterator[tuple[str, Module]]:
        stack = list(reversed([(str(k), v) for k, v in items(self)]))
        seen: set[int] = set()
        while stack:
            path, value = stack.pop()
            if isinstance(value, Module):
                if id(value) not in seen:
                    seen.add(id(value))
                    yield path, value
            elif isinstance(value, (list, tuple, dict)):
                stack.extend(reversed([(f"{path}.{k}", v) for k, v in items(value)]))

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Every parameter with its dotted name; a shared one once, under its first name."""
        return self._named(Parameter)

    def parameters(self) -> Iterator[Parameter]:
        """Every parameter, each once."""
        return (p for _, p in self.named_parameters())

    def named_buffers(self) -> Iterator[tuple[str, Buffer]]:
        """Every buffer with its dotted name."""
        return self._named(Buffer)

    def buffers(self) -> Iterator[Buffer]:
        """Every buffer, each once."""
        return (b for _, b in self.named_buffers())

    def named_generators(self) -> Iterator[tuple[str, Generator]]:
        """Every random stream with its dotted name; `generator.state` is three integers, to be saved with the rest."""
        return self._named(Generator)

    def __differentiable__(self) -> dict[str, Tensor]:
        """What `minigrad.grad` differentiates with respect to when it is given this module."""
        return {name: p for name, p in self.named_parameters() if p.requires_grad}

    # ---- state

    def __state__(self) -> dict[str, Tensor]:
        return {name: t for name, t in self._walk() if isinstance(t, (Parameter, Buffer))}

    @own_state()
    def state_dict(self) -> dict[str, np.ndarray[Any, Any]]:
        """Copies on the host of all parameters and buffers, by dotted name, in the order of definition."""
        return {name: np.array(t.numpy(), order="C") for name, t in self.__state__().items()}

    @own_state()
    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> Module:
        """Take the values of `state`, each cast to the dtype that is here. Nothing changes unless everything fits.

        Args:
            state: arrays or tensors by dotted name, as from `state_dict`.
            strict: refuse names that are missing here or there; otherwise those are passed over.

        Raises:
            CheckpointError: names, shapes or dtypes that do not fit, all of them listed.
        """
        take_state(self, state, strict)
        return self

    # ---- changing it

    def train(self, mode: bool = True) -> Self:
        """Set `training` on this module and all below it, but for those that are frozen: batch statistics, dropout."""
        for module in self.modules():
            module.training = bool(mode) and not module.frozen
        return self

    def eval(self) -> Self:
        """The same as `train(False)`."""
        return self.train(False)

    @property
    def frozen(self) -> bool:
        """Whether `freeze` holds this module; read-only."""
        return self._thaw is not None

    @own_state()
    def freeze(self) -> Self:
        """Hold this module and all below it as they are, until `unfreeze`, whatever `train()` says above them.

        Its parameters require no gradient (not by `requires_grad_()` either), so that no optimiser moves them;
        `training` stays False, so that running statistics are used and not moved and nothing is dropped. Gradients
        flow through it to what comes before. `repr` and `summary` say that it is frozen; a checkpoint does not keep it.
        A parameter that is shared with a module outside is held there too.

        Example:
            >>> import minigrad as mg
            >>> from minigrad_layers import BatchNorm1d, Linear, Sequential
            >>> model = Sequential(Linear(3, 2), BatchNorm1d(2))
            >>> _ = model[1].freeze()
            >>> [m.train().training for m in model], [p.requires_grad for p in model.parameters()]
            ([True, False], [True, True, False, False])
        """
        for module in list(self.modules()):
            if not module.frozen:
                learnt = frozenset(k for k, p in module._own_parameters() if p.requires_grad)
                module._thaw = module.training, learnt
                module.training = False
        for p in self.parameters():
            p.requires_grad = False
        return self

    @own_state()
    def unfreeze(self) -> Self:
        """End `freeze`, here and below: what required a gradient before does again, and `training` is what it was."""
        for module in list(self.modules()):
            if module._thaw is not None:
                module.training, learnt = module._thaw
                del module._thaw
                for k, p in module._own_parameters():
                    p.requires_grad = p.requires_grad or k in learnt
        return self

    def _own_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Those that no module below holds: attributes, and what lies in containers."""
        stack = [(str(k), v) for k, v in items(self)]
        while stack:
            path, value = stack.pop()
            if isinstance(value, Parameter):
                yield path, value
            elif isinstance(value, (list, tuple, dict)):
                stack.extend((f"{path}.{k}", v) for k, v in items(value))

    @own_state()
    def zero_grad(self) -> Self:
        """Forget all gradients: `.grad` of every parameter becomes None."""
        for p in self.parameters():
            if isinstance(p._node, Leaf):
                p._node.grad = None
        return self

    @own_state()
    def requires_grad_(self, flag: bool = True) -> Self:
        """Track all parameters, or none; those of frozen modules stay untracked (`unfreeze` gives them back)."""
        held = {id(p) for m in self.modules() if m.frozen for _, p in m._own_parameters()}
        for p in self.parameters():
            p.requires_grad = flag and id(p) not in held
        return self

    def new_streams(self) -> Self:
        """Give every random stream in here a number of its own, different from all that are in here now: what the
        members of an ensemble that were copied from one model need, so that they do not drop the same units, and a
        network whose parts were built after calls of `mg.random.seed`.

        The numbers are the next ones of the seed in force, as for a layer that is constructed now.

        Example:
            >>> import copy
            >>> import minigrad as mg
            >>> from minigrad_layers import Dropout
            >>> first = Dropout(0.5)
            >>> second = copy.deepcopy(first)
            >>> second.generator == first.generator, second.new_streams().generator == first.generator
            (True, False)
        """
        generators = [generator for _, generator in self.named_generators()]
        taken = {generator.state[:2] for generator in generators}
        for generator in generators:
            while (fresh := new_stream().state)[:2] in taken:
                pass
            generator.state = fresh
        return self

    @own_state()
    def to(self, device: str) -> Self:
        """Move parameters, gradients and buffers to `device`, in place: an optimiser still holds the same tensors."""
        at = get_backend(device).parse_device(device)
        return self._replace(lambda array, kept: transfer(array, at))

    @own_state()
    def astype(self, dtype: Any) -> Self:
        """Convert parameters, gradients and floating buffers to another floating dtype, in place.

        Buffers stay in at least float32: a running variance in float16 overflows at 65,504.
        """
        kind = np.dtype(dtype)
        if kind.kind != "f":
            raise DtypeError(f"dtype: {kind} cannot be learnt; a module takes a floating dtype")
        wide = np.dtype("float32") if kind.itemsize < 4 else kind

        def cast(array: Any, kept: bool) -> Any:
            return array.astype(wide if kept else kind) if array.dtype.kind == "f" else array

        return self._replace(cast)

    def _replace(self, change: Callable[[Any, bool], Any]) -> Self:
        for t in self.__state__().values():
            array = change(t._data, isinstance(t, Buffer))
            if array is t._data:
                continue
            rebind(t, array)
            if isinstance(t._node, Leaf):
                t._node.dtype = array.dtype
                if t._node.grad is not None:
                    t._node.grad = box(change(t._node.grad._data, False), None)
        return self

    def __repr__(self) -> str:
        lines = [f"({name}): " + repr(child).replace("\n", "\n  ") for name, child in self._children()]
        name = type(self).__name__
        extra = ", ".join(part for part in (self.extra_repr(), "frozen" if self.frozen else "") if part)
        if not lines:
            return f"{name}({extra})"
        return f"{name}(" + (f"\n  {extra}" if extra else "") + "".join(f"\n  {line}" for line in lines) + "\n)"


def items(value: Any) -> list[tuple[Any, Any]]:
    """The attributes of a module, or what a list, tuple or dict holds, by name; no `BARE` ones."""
    inside: Any = vars(value) if isinstance(value, Module) else value
    return [p for p in (inside.items() if isinstance(inside, dict) else enumerate(inside)) if type(p[1]) not in BARE]
