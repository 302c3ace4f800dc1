"""Optimizer: the loop over parameters that all optimisers share; what one of them does to one parameter is a function.

A subclass declares its options as attributes (`lr: float = 1e-3`) and one function, `rule`. Names are the contract, as
in the rules of primitives: its positional arguments are the parameter, the gradient and the state arrays ("slots"), its
keywords are options, and the numbers that `scalars` computes anew for each step; nothing is listed a second time. The
rule consists of primitives and can be recorded; what changes from step to step (learning rate, bias corrections) comes
as 0-d arrays. On NumPy, calls derived from the rule do the same in place on the state, which nobody else can see
(`kernel`), and the new parameter goes into a new array, because graphs may hold the old one.

A step is made whole or not at all. What it needs is computed and laid ready first; then all is put in force by one call
of C, which no signal's handler and no exception from outside can come into the midst of.
"""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import InitVar
from typing import Any, ClassVar, NamedTuple, dataclass_transform

import numpy as np

from minigrad.answers import Answering
from minigrad.backend import backend_of, transfer
from minigrad.core import MODES, Leaf, Tensor, astype, box
from minigrad.core.arguments import short
from minigrad.core.state import own_state
from minigrad.core.tensor import rebind_together
from minigrad.errors import ArgumentError, ArgumentTypeError, DtypeError
from minigrad.optim import state
from minigrad.optim.declared import Contract, constructor, contract_of
from minigrad.optim.kernel import Kernel, Place, Workplace, derived
from minigrad.optim.options import Option
from minigrad.optim.recorded import record_step

__all__ = ["Optimizer"]

Params = Iterable[Any]  # tensors, pairs (name, tensor), or groups: dicts with "params" and options
Slots = dict[str, Any]  # "step", the carried numbers and the state arrays of one parameter


SINGLE = np.dtype("f4")
MANY = 64  # kernels that an optimiser keeps: a schedule may change an option in every step


class Settled(NamedTuple):
    """What is the same for all parameters of a group until somebody changes an option."""

    slots: tuple[str, ...]
    kept: frozenset[str]
    given: dict[str, Any]  # the keywords of the rule that are no numbers of the step
    kernel: Kernel | None


@dataclass_transform()
class _Declared(metaclass=Answering):
    """So that type checkers read the options of a subclass as the arguments of its constructor."""


class Optimizer(_Declared):
    """The base of all optimisers. A subclass declares options and a `rule`; it may have `scalars`, `begin`, `check`.

    Args:
        params: the tensors to change, leaves that require grad: `model.parameters()`. Pairs (name, tensor), as from
            `model.named_parameters()`, let the saved state go by names. Dicts {"params": …, "lr": …} are groups with
            options of their own.

    Raises:
        ArgumentError: no parameters, one that is named twice, an option that there is not or that is out of range.
        DtypeError: something that is no floating leaf.

    Example:
        >>> import minigrad as mg
        >>> class SignDescent(mg.optim.Optimizer):
        ...     lr: float = 0.5
        ...
        ...     @staticmethod
        ...     def rule(p, g, *, lr):
        ...         return (p - mg.sign(g) * lr,)
        >>> x = mg.Parameter(mg.tensor([1.0, -2.0]))
        >>> optimizer = SignDescent([x], lr=0.25)
        >>> (x * x).sum().backward()
        >>> optimizer.step()
        >>> x.tolist()
        [0.75, -1.75]
    """

    params: InitVar[Params]
    options: ClassVar[dict[str, Option]] = {}
    contract: ClassVar[Contract]
    carries: ClassVar[Mapping[str, float]] = {}
    """Numbers that go from step to step: `scalars` is given the last and returns the next. What they are at first."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name, kind in inspect.get_annotations(cls).items():
            if name in vars(cls) and "ClassVar" not in str(kind):
                declared = vars(cls)[name] if isinstance(vars(cls)[name], Option) else Option(vars(cls)[name])
                declared.__set_name__(cls, name)
                setattr(cls, name, declared)
                cls.options = {**cls.options, name: declared}
        cls.contract = contract_of(cls, Optimizer.scalars)
        if "__init__" not in vars(cls):
            cls.__init__ = constructor(cls.options, Optimizer.__init__)  # type: ignore[method-assign]

    @staticmethod
    @abstractmethod
    def rule(*args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """`rule(p, g, slot, …, *, option, …)` in primitives: (new p, *new slots). A slot with the default
        `when("option")` is kept only where the option is neither 0 nor False; else it is None and what is returned for
        it is passed over.
        """

    @staticmethod
    def scalars(*args: Any, **kwargs: Any) -> dict[str, float]:
        """The numbers that the rule takes as 0-d arrays, computed in double precision on the host; lr unless defined.

        Arguments by name: options, carried numbers, `step` (1, 2, …), and `fresh`: whether a slot has just been begun.
        """
        return {"lr": kwargs["lr"]}

    @staticmethod
    def begin(*args: Any, **kwargs: Any) -> dict[str, Any]:
        """What slots are filled with at first, where that is not 0. Arguments by name: options, and the array `p`."""
        return {}

    @staticmethod
    def check(*args: Any, **kwargs: Any) -> None:
        """Raise ArgumentError for options that do not go together. Arguments by name: options."""

    def __init__(self, params: Params, **options: Any) -> None:
        self.defaults = {name: o.checked(options.get(name, o.default)) for name, o in self.options.items()}
        self.param_groups: list[dict[str, Any]] = []
        self._names: list[list[str]] = []
        self._state: dict[str, Slots] = {}
        self._kernels: dict[Any, Settled] = {}
        self._known: dict[int, tuple[tuple[Any, ...], Settled]] = {}  # by group: its options, and what they settle
        self._places: dict[str, Place | None] = {}
        self._work = Workplace()
        if hasattr(params, "parameters"):
            name = type(self).__name__
            raise ArgumentTypeError(f"{name}: params is a {type(params).__name__}; write {name}(model.parameters())")
        if not isinstance(params, (Tensor, Iterable)) or isinstance(params, (str, bytes)):
            raise ArgumentTypeError(f"params: {short(params)} must be tensors: model.parameters()")
        if isinstance(params, Tensor):
            params = [params]
        listed = list(params.items() if isinstance(params, Mapping) else params)
        if not listed:
            raise ArgumentError("params: there are no parameters; is model.parameters() an iterator that was used up?")
        for group in listed if isinstance(listed[0], dict) else [{"params": listed}]:
            self.add_param_group(group)

    def add_param_group(self, group: dict[str, Any]) -> None:
        """Take more parameters, with options of their own: {"params": …, "lr": 1e-4}."""
        if not isinstance(group, dict) or "params" not in group:
            raise ArgumentError(f"group: {type(group).__name__} must be a dict with 'params' and options such as 'lr'")
        unknown = set(group) - {"params", *self.defaults}
        if unknown:
            raise ArgumentError(
                f"group: {sorted(unknown)} are no options of {type(self).__name__}, which has {[*self.defaults]}"
            )
        members = group["params"]
        members = [members] if isinstance(members, Tensor) else list(members)
        taken = {id(p) for other in self.param_groups for p in other["params"]}
        held = {name for names in self._names for name in names}
        tensors: list[Tensor] = []
        names: list[str] = []
        for k, member in enumerate(members):
            name, p = member if isinstance(member, tuple) else (str(len(held) + k), member)
            if not isinstance(p, Tensor) or not p.is_leaf or p.dtype.kind != "f":
                what = (
                    f"a {p.dtype} tensor computed by an operation" if isinstance(p, Tensor) else f"a {type(p).__name__}"
                )
                raise DtypeError(f"params: {name} is {what}; an optimiser changes floating leaves, such as Parameters")
            if id(p) in taken or name in held or name in names:
                raise ArgumentError(
                    f"params: parameter {name} of shape {p.shape} is there twice; it would be updated twice"
                )
            taken.add(id(p))
            tensors.append(p)
            names.append(name)
        own = {k: self.options[k].checked(group[k]) for k in group if k != "params"}
        full = {"params": tensors, **self.defaults, **own}
        self.check(**self.options_of(full))
        self.param_groups.append(full)
        self._names.append(names)

    def options_of(self, group: Mapping[str, Any]) -> dict[str, Any]:
        """What `check` takes of a group."""
        return {name: group[name] for name in self.contract.check}

    def __state__(self) -> dict[str, Tensor]:
        """The tensors that go in and come out of a recorded step; slots do where the step meets them."""
        return dict(self.named_parameters())

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """The parameters with the names that they were given, else positions "0", "1", …"""
        for pairs in self.by_group():
            yield from pairs

    def by_group(self) -> list[list[tuple[str, Tensor]]]:
        """The same, a list a group."""
        groups = zip(self._names, self.param_groups, strict=True)
        return [list(zip(names, group["params"], strict=True)) for names, group in groups]

    def slots(self, group: Mapping[str, Any]) -> tuple[str, ...]:
        """The names of the state arrays of a parameter in `group`."""
        return tuple(name for name, on in self.contract.slots.items() if on is None or group[on])

    # ---- a step

    @own_state()
    def zero_grad(self) -> None:
        """Forget the gradients: `.grad` of every parameter becomes None."""
        for group in self.param_groups:
            for p in group["params"]:
                if isinstance(p._node, Leaf):
                    p._node.grad = None

    @own_state()
    def step(self) -> None:
        """Change every parameter that has a gradient. What was computed before the step can still be differentiated.

        All or nothing: after an error or an interrupt, parameters and state are those before the step, or those after.
        """
        if MODES.get().program is not None:
            record_step(self, MODES.get().program)
            return
        opened = any(watcher.opens_steps for watcher in MODES.get().watchers)
        calls: list[tuple[Any, ...]] = []
        rebound = []
        for group, names in zip(self.param_groups, self._names, strict=True):
            known = self.known(group)
            numbers: dict[Any, tuple[dict[str, float], dict[str, Any]]] = {}  # the same for most parameters
            for name, p in zip(names, group["params"], strict=True):
                if p._node is not None and p._node.grad is not None:
                    rebound.append((p, self._new(calls, group, known, numbers, name, p, opened)))
        with np.errstate(all="ignore"):  # a warning that is turned into an error would come in the midst
            rebind_together(rebound, calls)

    def known(self, group: dict[str, Any]) -> Settled:
        """What is the same for all parameters of the group."""
        options = tuple(map(group.__getitem__, self.options))
        found = self._known.get(id(group))
        if found is None or found[0] != options:
            found = self._known[id(group)] = options, self._settled(group)
        return found[1]

    def _settled(self, group: dict[str, Any]) -> Settled:
        slots = self.slots(group)
        moving = self.numbers(group, {"step": 1, "fresh": True, **self.carries})
        given = {name: group[name] for name in self.contract.takes if name not in moving}
        key = slots, tuple(given.items())
        if key not in self._kernels:
            named = [name for name in self.contract.takes if name in moving]
            if len(self._kernels) > MANY:
                self._kernels.clear()
            kernel = derived(self.rule, [*self.contract.slots], slots, named, given)
            self._kernels[key] = Settled(slots, frozenset(slots), given, kernel)
        return self._kernels[key]

    def numbers(self, group: Mapping[str, Any], about: Mapping[str, Any]) -> dict[str, float]:
        """What `scalars` gives for a group; `about` has `step`, `fresh` and the carried numbers."""
        return self.scalars(**{name: about[name] if name in about else group[name] for name in self.contract.scalars})

    def _new(
        self,
        calls: list[tuple[Any, ...]],
        group: dict[str, Any],
        known: Settled,
        numbers: Any,
        name: str,
        p: Any,
        opened: bool,
    ) -> Any:
        """The array that `p` is to stand for; its state is laid ready."""
        array, g = p._data, p._node.grad._data
        old, place = self._state.get(name), self._places.get(name)
        stays = place is not None and old is not None and place.state is old and not opened
        if stays and place is not None and place.fits(known.kernel, array, g):
            fresh, wide, device, slots = False, place.dtype, "", place.slots
        else:
            old = old or {}
            backend, dtype = backend_of(array), array.dtype
            wide, device = SINGLE if dtype.itemsize == 2 else dtype, "" if backend.name == "numpy" else p.device
            fresh = not old or not old.keys() >= known.kept
            slots, place = self.begun(group, array) if fresh else {}, None
            for slot in known.slots:
                if slot in old:
                    value = old[slot]
                    moved = value.dtype != wide or type(value) is not type(array) or backend.name != "numpy"
                    slots[slot] = _beside(value, array, wide, backend) if moved else value
            if known.kernel and not device and dtype == wide == g.dtype and not opened:
                place = known.kernel.place(self._work, array, g, slots)
                slots = place.slots
            self._places[name] = place
        kept, boxed = self._at(group, numbers, old or {}, fresh, wide, device, array)
        if place is not None:
            new = place.kernel.lay(calls, place, array, g, boxed.values())
            place.state = after = {**kept, **slots}
        else:
            every = dict.fromkeys(self.contract.slots) | slots
            update = self._seen if opened else self.rule
            new, *changed = update(astype(array, wide), astype(g, wide), *every.values(), **boxed, **known.given)
            after = kept | {k: value for k, value in zip(every, changed, strict=True) if k in slots}
        calls.append((self._state.__setitem__, name, after))
        return new if new.dtype == array.dtype else astype(new, array.dtype)

    def _at(
        self, group: dict[str, Any], numbers: Any, old: Slots, fresh: bool, wide: Any, device: str, array: Any
    ) -> tuple[dict[str, float], dict[str, Any]]:
        """The numbers of this step: those to keep, and those that the rule takes, as arrays; `numbers` holds both for
        parameters of one past.
        """
        step, carried = old.get("step", 0) + 1, [old.get(k, first) for k, first in self.carries.items()]
        key = step, fresh, wide, device, *carried
        if key not in numbers:
            before = dict(zip(self.carries, carried, strict=True))
            found = self.numbers(group, {"step": step, "fresh": fresh, **before})
            backend = backend_of(array)
            boxed = {
                k: backend.asarray(np.array(found[k], wide), None, backend.device_of(array))
                for k in self.contract.takes
                if k in found
            }
            numbers[key] = {"step": step, **{k: found[k] for k in self.carries}}, boxed
        at: tuple[dict[str, float], dict[str, Any]] = numbers[key]
        return at

    def begun(self, group: Mapping[str, Any], p: Any) -> dict[str, Any]:
        """The state arrays of a parameter, the array `p`, before its first step. Half precision has them in single."""
        about = {**group, "p": p}
        first = self.begin(**{name: about[name] for name in self.contract.begin})
        xp, dtype = backend_of(p).xp, np.dtype("f4") if p.dtype.itemsize == 2 else p.dtype
        return {
            slot: first[slot] if hasattr(first.get(slot), "shape") else xp.full(p.shape, first.get(slot, 0.0), dtype)
            for slot in self.slots(group)
        }

    def _seen(self, p: Any, g: Any, *state: Any, **options: Any) -> Any:
        """The rule on tensors, whose operations a guard sees; on copies: nobody may write the array of a tensor."""
        copy = backend_of(p).copy

        def seen(value: Any) -> Any:
            return box(copy(value), None) if hasattr(value, "dtype") else value

        new = self.rule(seen(p), seen(g), *map(seen, state), **{k: seen(v) for k, v in options.items()})
        return tuple(copy(t._data) if isinstance(t, Tensor) else t for t in new)

    # ---- saving

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs, copied to the host: {"state": {name: {slot: value}}, "param_groups": […]}.

        Names are those that were given, else positions "0", "1", …; "step" is an int, options are plain numbers.
        """
        return state.of(self._state, self._names, self.param_groups)

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`. Nothing changes unless everything fits.

        An option that the state does not know, as it is older, becomes what it is by default.

        Raises:
            CheckpointError: groups, names, slots or shapes of another optimiser or model.
        """
        groups, loaded = state.fitting(self, saved)
        for group, options in zip(self.param_groups, groups, strict=True):
            group.update(options)
        self._state = loaded

    def __repr__(self) -> str:
        lines = [
            f"{sum(p.size for p in g['params']):,} parameters in {len(g['params'])} tensors, "
            + ", ".join(f"{k}={v}" for k, v in g.items() if k != "params")
            for g in self.param_groups
        ]
        return f"{type(self).__name__}(" + "; ".join(lines) + ")"


def _beside(value: Any, array: Any, dtype: Any, backend: Any) -> Any:
    """A state array where the parameter is: the model may have been moved or converted since the last step."""
    if type(value) is not type(array) or (
        backend.name != "numpy" and backend.device_of(value) != backend.device_of(array)
    ):
        value = transfer(value, backend.device_of(array))
    return astype(value, dtype)
