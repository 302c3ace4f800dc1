"""Optimizer: the loop over parameters that all optimisers share; what one of them does to one parameter is a function.

That function, `(p, g, *state, *scalars) -> (new p, *new state)`, consists of primitives and can be traced; what changes
from step to step (learning rate, bias corrections) comes as 0-d arrays. On NumPy a fused kernel does the same in place
on the state, which nobody else can see, and writes the new parameter into a new array, because graphs may hold the old
one; tests hold the two equal. State belongs to a parameter by its position (or its name, when names are given), never
by its identity, so that it can be saved and order never depends on a hash.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from minigrad.answers import Answering
from minigrad.backend import backend_of, transfer
from minigrad.core import MODES, Leaf, Tensor, astype, box, rebind
from minigrad.core.arguments import short
from minigrad.core.state import own_state
from minigrad.errors import ArgumentError, ArgumentTypeError, CheckpointError, DtypeError
from minigrad.optim.recorded import record_step

Params = Iterable[Any]  # tensors, pairs (name, tensor), or groups: dicts with "params" and options
Slots = dict[str, Any]  # "step" and the state arrays of one parameter

BLOCK = 1 << 18
"""Elements that a fused kernel takes at a time: bounds its scratch memory. Smaller pieces cost more in calls than the
cache gives back (32 Ki: 1.2 times the time)."""


class Optimizer(metaclass=Answering):
    """The base of all optimisers. A subclass defines `slots`, `scalars` and `update`.

    Args:
        params: the tensors to change, leaves that require grad: `model.parameters()`. Pairs (name, tensor), as from
            `model.named_parameters()`, let the saved state go by names. Dicts {"params": …, "lr": …} are groups with
            options of their own.
        defaults: the options that a group has unless it says otherwise.

    Raises:
        ArgumentError: no parameters, one that is named twice, an option that there is not.
        DtypeError: something that is no floating leaf.
    """

    def __init__(self, params: Params, defaults: dict[str, Any]) -> None:
        if hasattr(params, "parameters"):
            name = type(self).__name__
            raise ArgumentTypeError(f"{name}: params is a {type(params).__name__}; write {name}(model.parameters())")
        if not isinstance(params, (Tensor, Iterable)):
            raise ArgumentTypeError(f"params: {short(params)} must be tensors: model.parameters()")
        self.defaults = defaults
        self.param_groups: list[dict[str, Any]] = []
        self._names: list[list[str]] = []
        self._state: dict[str, Slots] = {}
        given = list(
            params.items() if isinstance(params, Mapping) else [params] if isinstance(params, Tensor) else params
        )
        if not given:
            raise ArgumentError("params: there are no parameters; is model.parameters() an iterator that was used up?")
        for group in given if isinstance(given[0], dict) else [{"params": given}]:
            self.add_param_group(group)

    def slots(self, group: dict[str, Any]) -> tuple[str, ...]:
        """The names of the state arrays of a parameter in `group`, each of the parameter's shape and at first 0."""
        raise NotImplementedError

    def scalars(self, group: dict[str, Any], step: int) -> tuple[float, ...]:
        """The numbers that change from step to step, for step number 1, 2, …"""
        raise NotImplementedError

    def update(self, p: Any, g: Any, state: tuple[Any, ...], scalars: tuple[Any, ...], group: dict[str, Any]) -> Any:
        """(new p, *new state), by the optimiser's function of primitives, on arrays."""
        raise NotImplementedError

    def fused(
        self, p: Any, g: Any, state: Any, scalars: tuple[Any, ...], group: dict[str, Any], out: Any, scratch: Any
    ) -> None:
        """The same on flat NumPy arrays, to the last bit: the new p into `out`, the new state in place.

        For speed alone: where a subclass has none, `update` runs on NumPy too.
        """
        raise NotImplementedError

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
        full = {"params": tensors, **{k: group.get(k, v) for k, v in self.defaults.items()}}
        self.check(full)
        self.param_groups.append(full)
        self._names.append(names)

    def check(self, group: dict[str, Any]) -> None:
        """Raise ArgumentError for options out of their range."""
        raise NotImplementedError

    def __state__(self) -> dict[str, Tensor]:
        """The tensors that go in and come out of a recorded step; slots do where the step meets them."""
        return dict(self.named_parameters())

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """The parameters with the names that they were given, else positions "0", "1", …"""
        for names, group in zip(self._names, self.param_groups, strict=True):
            yield from zip(names, group["params"], strict=True)

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
        """Change every parameter that has a gradient. What was computed before the step can still be differentiated."""
        if MODES.get().program is not None:
            record_step(self, MODES.get().program)
            return
        opened = any(watcher.opens_steps for watcher in MODES.get().watchers)
        fused = type(self).fused is not Optimizer.fused and not opened
        for group, names in zip(self.param_groups, self._names, strict=True):
            wanted = self.slots(group)
            at: dict[Any, tuple[Any, ...]] = {}  # the scalars are the same for most parameters
            for name, p in zip(names, group["params"], strict=True):
                if p._node is None or p._node.grad is None:
                    continue
                array, g = p._data, p._node.grad._data
                backend = backend_of(array)
                slots = self._state.get(name)
                if slots is None or len(slots) != len(wanted) + 1:  # the first step, or an option was changed since
                    kept = slots or {"step": 0}
                    arrays = {k: kept[k] if k in kept else _zeros(backend.xp, g) for k in wanted}
                    slots = self._state[name] = {"step": kept["step"], **arrays}
                slots["step"] += 1
                wide = np.dtype("f4") if array.dtype.itemsize == 2 else array.dtype
                for k in wanted:  # the model may have been moved or converted since the last step
                    if type(slots[k]) is not type(array) or backend.device_of(slots[k]) != backend.device_of(array):
                        slots[k] = transfer(slots[k], p.device)
                    slots[k] = astype(slots[k], wide)
                key = slots["step"], wide, p.device if backend.name != "numpy" else ""
                if key not in at:
                    numbers = self.scalars(group, slots["step"])
                    at[key] = tuple(backend.asarray(np.array(v, wide), None, p.device) for v in numbers)
                if fused and backend.name == "numpy" and array.dtype == wide:
                    new = self._in_place(array, g, slots, wanted, at[key], group)
                else:
                    state = tuple(slots[k] for k in wanted)
                    update = self._seen if opened else self.update
                    new, *changed = update(astype(array, wide), astype(g, wide), state, at[key], group)
                    slots.update(zip(wanted, changed, strict=True))
                rebind(p, astype(new, array.dtype))

    def _seen(self, p: Any, g: Any, state: tuple[Any, ...], scalars: tuple[Any, ...], group: dict[str, Any]) -> Any:
        """`update` on tensors, whose operations a guard sees; on copies: nobody may write the array of a tensor."""
        copy = backend_of(p).copy
        p, g, *numbers = (box(copy(a), None) for a in (p, g, *scalars))
        new = self.update(p, g, tuple(box(copy(a), None) for a in state), tuple(numbers), group)
        return tuple(copy(t._data) for t in new)

    def _in_place(
        self, p: Any, g: Any, slots: Slots, wanted: tuple[str, ...], scalars: tuple[Any, ...], group: dict[str, Any]
    ) -> Any:
        """The fused kernel on pieces of the arrays. All take the layout of the gradient, which comes every step."""
        rows = g.flags.c_contiguous or not g.flags.f_contiguous
        for k in wanted:
            slots[k] = _laid(slots[k], rows)
        p, g = _laid(p, rows), _laid(g, rows)
        new = np.empty_like(p)
        p, g, out, *state = (
            (a if rows else a.T).reshape(-1) for a in (p, g, new, *(slots[k] for k in wanted))
        )  # views
        scratch = np.empty(min(BLOCK, p.size), p.dtype)
        for i in range(0, p.size, BLOCK):
            j = min(i + BLOCK, p.size)
            self.fused(p[i:j], g[i:j], [a[i:j] for a in state], scalars, group, out[i:j], scratch[: j - i])
        return new

    # ---- saving

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs, copied to the host: {"state": {name: {slot: value}}, "param_groups": […]}.

        Names are those that were given, else positions "0", "1", …; "step" is an int, options are plain numbers.
        """
        state = {
            name: {k: v if k == "step" else np.array(backend_of(v).to_host(v), order="C") for k, v in slots.items()}
            for name, slots in self._state.items()
        }
        groups = [
            {"params": list(names), **{k: v for k, v in group.items() if k != "params"}}
            for names, group in zip(self._names, self.param_groups, strict=True)
        ]
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`. Nothing changes unless everything fits.

        Raises:
            CheckpointError: groups, names, slots or shapes of another optimiser or model.
        """
        kind = type(self).__name__
        try:
            groups = [dict(group) for group in state["param_groups"]]
            names = [[str(name) for name in group.pop("params")] for group in groups]
            held = {str(name): dict(slots) for name, slots in state["state"].items()}
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise CheckpointError(f"{kind}: this is no optimiser's state: {type(error).__name__}: {error}") from error
        if names != self._names:
            raise CheckpointError(
                f"{kind}: the saved parameters are {_short(names)}, these are {_short(self._names)}; nothing was loaded"
            )
        if any(set(group) != set(self.defaults) for group in groups):
            raise CheckpointError(
                f"{kind}: the saved options are {[sorted(g) for g in groups]}, these are {sorted(self.defaults)}"
            )
        for mine, saved in zip(self.param_groups, groups, strict=True):
            try:
                self.check({**mine, **saved})
            except (ArgumentError, TypeError) as error:
                raise CheckpointError(f"{kind}: a saved option is out of its range: {error}") from error
        params = {
            name: (p, self.slots(saved))
            for ns, g, saved in zip(self._names, self.param_groups, groups, strict=True)
            for name, p in zip(ns, g["params"], strict=True)
        }
        loaded: dict[str, Slots] = {}
        for name, slots in held.items():
            p, wanted = params.get(name, (None, ()))
            if p is None or set(slots) != {"step", *wanted}:
                raise CheckpointError(
                    f"{kind}: the saved parameter {name!r} has {sorted(slots)}, this one {['step', *wanted]}"
                )
            wrong = {k: np.shape(v) for k, v in slots.items() if k != "step" and np.shape(v) != p.shape}
            if wrong:
                raise CheckpointError(
                    f"{kind}: parameter {name!r} has shape {p.shape}, its saved state {wrong}; nothing was loaded"
                )
            wide = np.dtype("f4") if p.dtype.itemsize == 2 else p.dtype
            loaded[name] = {"step": int(slots["step"])} | {
                k: backend_of(p._data).asarray(np.asarray(slots[k]), wide, p.device) for k in wanted
            }
        for group, saved in zip(self.param_groups, groups, strict=True):
            group.update(saved)
        self._state = loaded

    def __repr__(self) -> str:
        lines = [
            f"{sum(p.size for p in g['params']):,} parameters in {len(g['params'])} tensors, "
            + ", ".join(f"{k}={v}" for k, v in g.items() if k != "params")
            for g in self.param_groups
        ]
        return f"{type(self).__name__}(" + "; ".join(lines) + ")"


def _zeros(xp: Any, like: Any) -> Any:
    return xp.zeros(like.shape, np.dtype("f4") if like.dtype.itemsize == 2 else like.dtype)


def _laid(a: Any, rows: bool) -> Any:
    """A NumPy array with its rows, or else its columns, one after the other; itself if it is so already."""
    if a.flags.c_contiguous if rows else a.flags.f_contiguous:
        return a
    return np.ascontiguousarray(a) if rows else np.asfortranarray(a)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else text[:199] + "…"


def at_least(name: str, value: Any, least: float = 0.0, below: float = float("inf")) -> None:
    """ArgumentError, naming the option, unless least <= value < below."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value < below:
        edge = f" and below {below:g}" if below != float("inf") else ""
        raise ArgumentError(f"{name}: {value!r} must be a number of at least {least:g}{edge}")
