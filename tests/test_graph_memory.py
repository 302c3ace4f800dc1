"""What a graph costs and how it goes: M1-M4. Depth, width, what is left afterwards, what a node keeps.

Memory is what tracemalloc sees, so it is the same on every machine; no test here looks at a clock.
"""

from __future__ import annotations

import gc
import inspect
import itertools
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from memory import calls_in, traced, without_collector
from tables import OPS, TRACKED, points

import minigrad as mg
from minigrad.backend import backend_of, get_backend
from minigrad_layers import Linear, ReLU, Sequential

CI, LONG = 100_000, 1_000_000


def chain(length: int, x: Any) -> Any:
    y = x
    for _ in range(length):
        y = y * 1.0
    return y


# ---- M1, M2: depth and width


@pytest.mark.parametrize("length", [CI, pytest.param(LONG, marks=pytest.mark.nightly)])
def test_a_long_chain_is_no_recursion(length: int) -> None:
    """M1."""
    before, x = sys.getrecursionlimit(), mg.tensor(2.0, requires_grad=True)
    sys.setrecursionlimit(1000)
    try:
        chain(length, x).backward()
        assert x.grad.item() == 1.0
        unswept = chain(length, x)
        node = weakref.ref(unswept._node.parents[0])
        del unswept
        assert node() is None
    finally:
        sys.setrecursionlimit(before)


def test_an_operation_costs_at_most_400_bytes_beyond_its_array() -> None:
    """M1. Nothing in this chain keeps an array, which is how they are left out."""
    x = mg.tensor(2.0, requires_grad=True)
    with traced() as held:
        y = chain(20_000, x)
        assert held() <= 400 * 20_000
        del y
        gc.collect()  # Python keeps some thousand tuples to use again
        assert held() <= 10_000


@pytest.mark.parametrize("length", [CI, pytest.param(LONG, marks=pytest.mark.nightly)])
def test_the_work_for_an_operation_does_not_grow_with_the_chain(length: int) -> None:
    """M1: function calls are counted, the same on every machine; `python -m benchmarks --only depth` has the time."""

    def calls(length: int) -> int:
        x = mg.tensor(2.0, requires_grad=True)
        return calls_in(lambda: chain(length, x).backward())

    calls(10)  # what is specialised at the first use
    assert calls(length) - calls(10) <= (length - 10) * (calls(1010) - calls(10)) / 1000


def test_a_leaf_that_is_used_100_000_times() -> None:
    """M2."""
    x = mg.tensor(3.0, requires_grad=True)
    total = mg.tensor(0.0)
    for _ in range(CI):
        total = total + x
    total.backward()
    assert x.grad.item() == CI


def test_paths_that_double_are_walked_once() -> None:
    """M2: there are 2**60 paths, and the sum over them is exact."""
    x = mg.tensor(1.0, requires_grad=True)
    y = x
    for _ in range(60):
        y = y + y
    y.backward()
    assert x.grad.item() == 2.0**60


# ---- M3: what is left afterwards


def test_after_backward_nothing_is_left_but_the_gradients() -> None:
    """M3."""
    model = Sequential(Linear(64, 256), ReLU(), Linear(256, 256), ReLU(), Linear(256, 10))
    x = mg.tensor(np.ones((512, 64), "f4"))
    mg.mean(mg.square(model(x))).backward()  # whatever is set up at first use
    model.zero_grad()
    gradients = sum(p.size * p.dtype.itemsize for p in model.parameters())
    with traced() as held:
        loss = mg.mean(mg.square(model(x)))
        tape = held()
        loss.backward()
        assert held() <= gradients + 64 * 1024 < tape
        model.zero_grad()
        assert held() <= 64 * 1024
        assert loss.requires_grad


def steps_of_every_kind() -> Callable[[], None]:
    model = Sequential(Linear(4, 8), ReLU(), Linear(8, 1))
    optimizer = mg.optim.Adam(model.parameters(), lr=1e-3)
    x = mg.tensor(np.linspace(-1, 1, 12).reshape(3, 4), dtype="float32", requires_grad=True)

    def step() -> None:
        (dx,) = mg.gradients(mg.sum(model(x)), [x], create_graph=True)
        loss = mg.mean(mg.square(model(x.detach()))) + mg.sum(mg.square(dx))
        optimizer.zero_grad()
        x.grad = None
        loss.backward()
        optimizer.step()
        mg.grad(lambda t: mg.sum(mg.grad(lambda u: mg.sum(u * u * u))(t)))(x)
        mg.sum(mg.remat(lambda t: mg.exp(mg.sin(t)))(x)).backward()
        mg.gradients(mg.sum(mg.sin(x)), [x], create_graph=True)[0].register_hook(lambda g: None)

    return step


def test_there_are_no_cycles_and_no_growth() -> None:
    """M3, second order included: reference counts alone free every graph."""
    step = steps_of_every_kind()
    for _ in range(20):
        step()
    with without_collector(), traced() as held:
        for _ in range(10):
            step()
        assert gc.collect() == 0  # it empties Python's lists of free tuples as well
        early = held()
        for _ in range(200):
            step()
        assert gc.collect() == 0
        assert held() - early <= 100 * 200


@pytest.mark.nightly
def test_resident_memory_does_not_grow_over_10_000_steps() -> None:
    """M3: less than 0.1 kB a step."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        pytest.skip("only Linux tells the resident memory this way")

    def resident() -> int:
        return int(statm.read_text(encoding="ascii").split()[1]) * 4096

    step = steps_of_every_kind()
    with without_collector():
        for _ in range(1000):
            step()
        gc.collect()  # what the first steps set up: the registers on which an optimiser's calls are derived, once
        before = resident()
        for _ in range(10_000):
            step()
        growth = resident() - before
        assert gc.collect() == 0
    assert growth <= 100 * 10_000


# ---- M4: what a node keeps


@pytest.mark.parametrize("operand", ["tensor", "plain array"])
def test_sums_keep_nothing(operand: str, backend: str) -> None:
    """M4: 100 additions of arrays of 1 MB hold three at most."""
    x = mg.tensor(np.ones(131_072), requires_grad=True)
    other: Any = mg.tensor(np.ones(131_072))
    if operand == "plain array":
        other = get_backend(backend).asarray(np.ones(131_072))
    with traced() as held:
        y = x
        for _ in range(100):
            y = y + other
        assert held() <= 3 * 2**20
    mg.sum(y).backward()
    assert float(x.grad[0]) == 1.0


def named_slots(op: Any, k: int) -> set[int]:
    """The slots of `saved` whose names the rule of input k asks for, read from its signature."""
    slots = ("y", *op.inputs, *([op.variadic] if op.variadic else []))
    rule = op.rules[min(k, len(op.rules) - 1)]
    asked = list(inspect.signature(rule).parameters)[1:]
    return {slots.index(name) for name in asked if name in slots}


@pytest.mark.parametrize("plain", [False, True], ids=["tensors", "plain arrays"])
@pytest.mark.parametrize("name", TRACKED)
def test_a_node_keeps_what_the_rules_of_its_tracked_inputs_name(name: str, plain: bool, backend: str) -> None:
    """M4, for every choice of tracked inputs; the others are tensors, or plain arrays, which are copied if kept."""
    op = OPS[name]
    args, params = next(points(op, 1))
    able = [k for k, a in enumerate(args) if op.pull_for(k)[0] is not None and np.asarray(a).dtype.kind == "f"]
    assert able
    for chosen in (c for n in range(1, len(able) + 1) for c in itertools.combinations(able, n)):
        inputs = [mg.tensor(a) if k in chosen or not plain else get_backend(backend).asarray(a)
                  for k, a in enumerate(args)]  # fmt: skip
        for k in chosen:
            inputs[k].requires_grad = True
        out = op.call(*inputs, **params)
        node = out._node if op.outputs == 1 else out[0]._node.parents[0]
        named = set().union(*(named_slots(op, k) for k in chosen))
        kept = {slot for slot, value in enumerate(node.saved) if _arrays(value)}
        assert kept <= named, f"{name}: tracked inputs {chosen} need slots {named}, {kept} are kept"
        assert not _arrays(tuple((node.params or {}).values())), f"{name}: an array among the parameters"


def _arrays(value: Any) -> list[Any]:
    if isinstance(value, tuple):
        return [a for v in value for a in _arrays(v)]
    return [] if value is None or isinstance(value, (int, float, str, np.dtype, slice)) else [backend_of(value)]
