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
    lambda xp, step, *carried, of, dtypes: tuple(
        xp.asarray(np.array(v, dtype)) for v, dtype in zip(of(int(step), *carried), dtypes, strict=True)
    ),
    (),
    name="step_numbers",
    show=fn("step_numbers"),
    samples=(),
    kind="opaque",
    c=None,
    infer=lambda step, *carried, of, dtypes: tuple(((), dtype) for dtype in dtypes),
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
    for group, pairs in zip(optimizer.param_groups, optimizer.by_group(), strict=True):
        known = optimizer.known(group)
        shared: dict[Any, tuple[list[str], dict[str, Any]]] = {}  # what parameters of one past have in common
        for name, p in pairs:
            if p._node is None or p._node.grad is None:
                continue
            array, g = p._data, p._node.grad._data
            if not hasattr(type(array), "__primitive__"):
                raise GraphError(
                    f"step: parameter {name!r} of shape {p.shape} is no part of the state of what is recorded; give "
                    "the optimiser and the model to program(…, state=(model, optimizer))"
                )
            wide = np.dtype("f4") if array.dtype.itemsize == 2 else array.dtype
            held = optimizer._state.get(name, {})
            done, begun = held.get("step", 0), known.kept <= held.keys()
            carried = tuple(held.get(k, first) for k, first in optimizer.carries.items())
            past = done, begun, wide, carried
            if past not in shared:
                shared[past] = [], {}
            shared[past][0].append(name)
            if not shared[past][1]:
                shared[past][1].update(_numbers(optimizer, recording, group, known, past, shared[past][0], array))
            keys = [(id(optimizer), name, slot) for slot in known.slots]
            state = [
                recording.at(key, partial(_slot, optimizer, group, name, slot, p.shape, wide))
                for key, slot in zip(keys, known.slots, strict=True)
            ]
            old, slope, *state = (
                type(array).__primitive__(LAID, (a, g), {}) for a in (astype(array, wide), astype(g, wide), *state)
            )
            every = dict.fromkeys(optimizer.contract.slots) | dict(zip(known.slots, state, strict=True))
            new, *changed = optimizer.rule(old, slope, *every.values(), **shared[past][1], **known.given)
            for slot, value in zip(every, changed, strict=True):
                if slot in known.slots:
                    recording.put((id(optimizer), name, slot), value)
            rebind(p, astype(new, array.dtype))


def _numbers(
    optimizer: Any, recording: Any, group: Any, known: Any, past: Any, names: list[str], array: Any
) -> dict[str, Any]:
    """The numbers of this step, of parameters with one past: an operation on how many steps there were."""
    done, begun, wide, carried = past
    first = 1 if begun or not done else done + 1  # the step in which the slots begin
    places = {name: partial(_place, optimizer, name, value, names) for name, value in
              zip(("step", *optimizer.carries), (0, *carried), strict=True)}  # fmt: skip
    keys = {name: (id(optimizer), names[0], past, name) for name in places}
    step, *before = (recording.at(keys[name], place) for name, place in places.items())

    def of(step: int, *carried: Any) -> tuple[float, ...]:
        about = dict(zip(optimizer.carries, map(float, carried), strict=True))
        found = optimizer.numbers(group, {"step": step, "fresh": step == first, **about})
        return (*(found[name] for name in wanted), *(found[name] for name in about))

    about = {"step": 1, "fresh": True, **optimizer.carries}
    there = optimizer.numbers(group, about)
    wanted = [name for name in optimizer.contract.takes if name in there]
    dtypes = (wide,) * len(wanted) + (np.dtype("f8"),) * len(before)
    now = step + 1
    recording.put(keys["step"], now)
    made = type(array).__primitive__(NUMBERS, (now, *before), {"of": of, "dtypes": dtypes}) if dtypes else ()
    for name, value in zip(optimizer.carries, made[len(wanted) :], strict=True):
        recording.put(keys[name], value)
    return dict(zip(wanted, made, strict=False))


def _place(optimizer: Any, what: str, first: float, names: list[str]) -> Place:
    """A number that these parameters have in common: how many steps they have had, or one that is carried on."""

    def write(array: Any) -> None:
        for name in names:
            optimizer._state.setdefault(name, {})[what] = int(array) if what == "step" else float(array)

    def read() -> Any:
        return np.array(optimizer._state.get(names[0], {}).get(what, first))

    return Place(f"{type(optimizer).__name__}.{what}", read, write)


def _slot(optimizer: Any, group: Any, name: str, slot: str, shape: tuple[int, ...], dtype: Any) -> Place:
    def read() -> Any:
        held = optimizer._state.get(name, {}).get(slot)
        return optimizer.begun(group, np.zeros(shape, dtype))[slot] if held is None else np.array(held)

    def write(array: Any) -> None:
        optimizer._state.setdefault(name, {})[slot] = np.array(array)  # its own: a step changes it in place

    return Place(f"{type(optimizer).__name__}.{name}.{slot}", read, write)
