"""A module takes the state of a dict: what fits by name, shape and kind of dtype, all of it or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad.backend import backend_of
from minigrad.core import Tensor, rebind
from minigrad.errors import CheckpointError

if TYPE_CHECKING:
    from minigrad.module.base import Module


def take_state(module: Module, state: Mapping[str, Any], strict: bool) -> None:
    """What `Module.load_state_dict` does; its docstring says it."""
    mine = module.__state__()
    known = {
        f"{path}.{other}".removeprefix("."): f"{path}.{name}".removeprefix(".")
        for path, part in module.named_modules()
        for other, name in part.other_names().items()
    }
    given: dict[str, Any] = {}
    faults = []
    for k, v in state.items():
        name = k if k in mine else known.get(k, k)
        if name in given:
            faults.append(f"twice, as {k} and under its other name: {name}")
        given[name] = v.numpy() if isinstance(v, Tensor) else np.asarray(v)
    if strict:
        faults += [f"missing: {k} {mine[k].shape}" for k in mine if k not in given]
        faults += [f"unexpected: {k} {v.shape}" for k, v in given.items() if k not in mine]
    common = [k for k in mine if k in given]
    for k in common:
        if given[k].shape != mine[k].shape:
            faults.append(f"{k} has shape {given[k].shape}, the model's {mine[k].shape}")
        elif not np.can_cast(given[k].dtype, mine[k].dtype, "same_kind"):
            faults.append(f"{k} has dtype {given[k].dtype}, which does not become {mine[k].dtype}")
    if faults:
        more = f"\n  and {len(faults) - 20} more" if len(faults) > 20 else ""
        raise CheckpointError(
            f"state does not fit this {type(module).__name__}; nothing was loaded:\n  "
            + "\n  ".join(faults[:20])
            + more
        )
    new = {k: backend_of(mine[k]._data).asarray(given[k], mine[k].dtype, mine[k].device) for k in common}
    for k in common:
        rebind(mine[k], new[k])
