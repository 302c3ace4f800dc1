"""An optimiser's step recorded without values: slots and the number of steps go in and come out.

What changes from step to step (learning rate, bias corrections) is computed on the host, in double precision, by the
optimiser itself: one operation of the program, from the number of the step, reads the options as they then are.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from minigrad.core import Primitive, astype, rebind
from minigrad.core.state import Place
from minigrad.errors import GraphError
from minigrad.notation import as_is, fn

NUMBERS = Primitive(
    lambda xp, step, *, of, dtype, count: tuple(xp.asarray(np.array(v, dtype)) for v in of(int(step))),
    (),
    name="step_numbers",
    show=fn("step_numbers"),
    samples=(),
    kind="opaque",
    c=None,
    infer=lambda step, *, of, dtype, count: (((), dtype),) * count,
    outputs=2,  # several: as many as there are
)


def _laid_as(x: Any, like: Any) -> Any:
    """`x` with its rows, or else its columns, one after the other, as a step in place lays them: the bits of a product
    with a parameter depend on that.
    """
    if type(x) is not np.ndarray:
        return x
    rows = like.flags.c_contiguous or not like.flags.f_contiguous
    return np.ascontiguousarray(x) if rows else np.asfortranarray(x)


LAID = Primitive(
    lambda xp, x, beside: _laid_as(x, beside),
    (),
    name="laid",
    show=as_is,
    samples=(),
    kind="map",
    c="{x}",
    infer=None,
    outputs=1,
)


def record_step(optimizer: Any, recording: Any) -> None:
    """Write a step of `optimizer` down in the program that is being recorded."""
    for group, names in zip(optimizer.param_groups, optimizer._names, strict=True):
        counted: dict[int, Any] = {}  # the number of this step, by how many there were: the same for most parameters
        shared: dict[int, list[str]] = {}
        numbers: dict[Any, tuple[Any, ...]] = {}
        for name, p in zip(names, group["params"], strict=True):
            if p._node is None or p._node.grad is None:
                continue
            array, g = p._data, p._node.grad._data
            if not hasattr(type(array), "__primitive__"):
                raise GraphError(
                    f"step: parameter {name!r} of shape {p.shape} is no part of the state of what is recorded; give "
                    "the optimiser and the model to program(…, state=(model, optimizer))"
                )
            wide = np.dtype("f4") if array.dtype.itemsize == 2 else array.dtype
            done = optimizer._state.get(name, {}).get("step", 0)
            shared.setdefault(done, []).append(name)
            if done not in counted:
                key = id(optimizer), names[0], done
                before = recording.at(key, partial(_steps, optimizer, done, shared[done]))
                counted[done] = before + 1
                recording.put(key, counted[done])
            if (done, wide) not in numbers:
                of = partial(optimizer.scalars, group)
                params = {"of": of, "dtype": wide, "count": len(of(done + 1))}
                numbers[done, wide] = type(array).__primitive__(NUMBERS, (counted[done],), params)
            wanted = optimizer.slots(group)
            keys = [(id(optimizer), name, slot) for slot in wanted]
            state = [
                recording.at(key, partial(_slot, optimizer, name, slot, p.shape, wide))
                for key, slot in zip(keys, wanted, strict=True)
            ]
            old, slope, *state = (
                type(array).__primitive__(LAID, (a, g), {}) for a in (astype(array, wide), astype(g, wide), *state)
            )
            new, *changed = optimizer.update(old, slope, tuple(state), numbers[done, wide], group)
            for key, value in zip(keys, changed, strict=True):
                recording.put(key, value)
            rebind(p, astype(new, array.dtype))


def _steps(optimizer: Any, done: int, names: list[str]) -> Place:
    """How many steps these parameters have had."""

    def write(array: Any) -> None:
        for name in names:
            optimizer._state.setdefault(name, {})["step"] = int(array)

    def read() -> Any:
        return np.array(optimizer._state.get(names[0], {}).get("step", 0))

    return Place(f"{type(optimizer).__name__}.step", read, write)


def _slot(optimizer: Any, name: str, slot: str, shape: tuple[int, ...], dtype: Any) -> Place:
    def read() -> Any:
        held = optimizer._state.get(name, {}).get(slot)
        return np.zeros(shape, dtype) if held is None else np.array(held)

    def write(array: Any) -> None:
        optimizer._state.setdefault(name, {})[slot] = np.array(array)  # its own: a step changes it in place

    return Place(f"{type(optimizer).__name__}.{name}.{slot}", read, write)
