"""An optimiser's state as plain dicts and host arrays, and back: all of it fits, or nothing is taken."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad.backend import backend_of
from minigrad.errors import ArgumentError, CheckpointError

if TYPE_CHECKING:
    from minigrad.optim.base import Optimizer

__all__ = ["fitting", "of"]

Slots = dict[str, Any]
Group = dict[str, Any]


def of(state: Mapping[str, Slots], names: list[list[str]], groups: list[Group]) -> dict[str, Any]:
    """What `Optimizer.state_dict` gives: copies on the host, and plain numbers."""
    return {
        "state": {name: {k: _host(v) for k, v in slots.items()} for name, slots in state.items()},
        "param_groups": [
            {"params": list(own), **{k: v for k, v in group.items() if k != "params"}}
            for own, group in zip(names, groups, strict=True)
        ],
    }


def _host(value: Any) -> Any:
    return np.array(backend_of(value).to_host(value), order="C") if hasattr(value, "shape") else value


def fitting(optimizer: Optimizer, state: Mapping[str, Any]) -> tuple[list[Group], dict[str, Slots]]:
    """The options of each group and the slots of each parameter; CheckpointError if anything does not fit."""
    kind = type(optimizer).__name__
    own = [[name for name, _ in pairs] for pairs in optimizer.by_group()]
    try:
        groups = [dict(group) for group in state["param_groups"]]
        names = [[str(name) for name in group.pop("params")] for group in groups]
        held = {str(name): dict(slots) for name, slots in state["state"].items()}
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise CheckpointError(f"{kind}: this is no optimiser's state: {type(error).__name__}: {error}") from error
    if names != own:
        raise CheckpointError(
            f"{kind}: the saved parameters are {_short(names)}, these are {_short(own)}; nothing was loaded"
        )
    options = [_options(optimizer, kind, group) for group in groups]
    params = {name: (p, group) for pairs, group in zip(optimizer.by_group(), options, strict=True) for name, p in pairs}
    unknown = sorted(held.keys() - params.keys())
    if unknown:
        raise CheckpointError(f"{kind}: the saved parameter {unknown[0]!r} is none of these {_short(own)}")
    return options, {name: _slots(optimizer, kind, name, slots, *params[name]) for name, slots in held.items()}


def _options(optimizer: Optimizer, kind: str, saved: Group) -> Group:
    unknown = set(saved) - set(optimizer.options)
    if unknown or "lr" not in saved:
        raise CheckpointError(f"{kind}: the saved options are {sorted(saved)}, these are {sorted(optimizer.options)}")
    older = {name: o.default for name, o in optimizer.options.items()}  # a state may be older than an option
    try:
        group = {name: optimizer.options[name].checked(value) for name, value in {**older, **saved}.items()}
        optimizer.check(**optimizer.options_of(group))
    except (ArgumentError, TypeError) as error:
        raise CheckpointError(f"{kind}: a saved option is out of its range: {error}") from error
    return group


def _slots(optimizer: Optimizer, kind: str, name: str, saved: Slots, p: Any, group: Group) -> Slots:
    numbers, wanted = ("step", *optimizer.carries), optimizer.slots(group)
    if set(saved) != {*numbers, *wanted}:
        raise CheckpointError(
            f"{kind}: the saved parameter {name!r} has {sorted(saved)}, this one {[*numbers, *wanted]}; nothing was "
            "loaded"
        )
    begun = optimizer.begun(group, p._data)
    wrong = {k: np.shape(v) for k, v in saved.items() if np.shape(v) != (begun[k].shape if k in begun else ())}
    if wrong:
        raise CheckpointError(
            f"{kind}: parameter {name!r} has shape {p.shape}, its saved state {wrong}; nothing was loaded"
        )
    backend = backend_of(p._data)
    arrays = {k: backend.asarray(np.asarray(saved[k]), begun[k].dtype, p.device) for k in wanted}
    return {"step": int(saved["step"]), **{k: float(saved[k]) for k in optimizer.carries}, **arrays}


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else text[:199] + "…"
