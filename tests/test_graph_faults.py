"""Where graphs end: M5, faults injected at each operation; M6, a second backward through a graph that was freed."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from memory import without_collector
from tables import OPS, with_rule

import minigrad as mg
from minigrad.core import change, quick
from minigrad.core.modes import Watcher

# ---- M5: faults

STEPS: tuple[Callable[[Any, Any], Any], ...] = (
    lambda y, x: y * x,
    lambda y, x: mg.tanh(y),
    lambda y, x: y @ x,
    lambda y, x: mg.concat([y, x])[:2],
    lambda y, x: mg.sin(y) + x,
    lambda y, x: mg.exp(mg.negative(y * y)),
    lambda y, x: y / mg.exp(x),
    lambda y, x: mg.where(mg.greater(y, x), y, x),
)


class Injected(RuntimeError):
    """Raised on purpose."""


class Follow(Watcher):
    """Watches a program: a weak reference to each of its nodes, and the names of their operations, in order."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.names: list[str] = []

    def forward(self, op: Any, args: Any, params: Any, out: Any) -> None:
        if out._node is not None:
            self.nodes.append(weakref.ref(out._node))
            self.names.append(op.name)

    def alive(self) -> int:
        return sum(node() is not None for node in self.nodes)


def program(follow: Follow) -> tuple[Any, Any]:
    """An input and the result of 50 recorded operations on it."""
    x = y = mg.tensor([[0.5, -0.2], [0.3, 0.8]], requires_grad=True)
    steps = itertools.cycle(STEPS)
    with change(watchers=(follow,)):
        while len(follow.nodes) < 49:
            y = next(steps)(y, x)
        return x, mg.sum(y)


def fails(what: Callable[[], Any]) -> str:
    """The notes of the exception, which itself is dropped."""
    try:
        what()
    except Injected as error:
        return "\n".join(error.__notes__)
    raise AssertionError("nothing was raised")


def operations() -> list[str]:
    """The names of the 50 operations, in order."""
    follow = Follow()
    program(follow)
    return follow.names


NAMES = operations()


@pytest.mark.parametrize("k", range(len(NAMES)))
def test_a_fault_in_a_forward_leaves_no_node_alive(k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """M5."""
    op, before = OPS[NAMES[k]], NAMES[:k].count(NAMES[k])
    calls = itertools.count()
    program(Follow())  # every kernel has been looked up

    def broken(right: Any) -> Any:
        def run(*args: Any, **params: Any) -> Any:
            if next(calls) == before:
                raise Injected
            return right(*args, **params)

        return run

    for array_type, kernel in quick.KERNELS.get(op, {}).items():  # by which the fast paths go
        monkeypatch.setitem(quick.KERNELS[op], array_type, broken(kernel))
    monkeypatch.setattr(op, "forward", broken(op.forward))
    follow = Follow()
    with without_collector():
        notes = fails(lambda: program(follow))
        assert len(follow.nodes) == k
        assert follow.alive() == 0
    assert f"minigrad.{op.name} with argument" in notes
    assert "float64 (" in notes


@pytest.mark.parametrize("lifted", [False, True], ids=["arrays", "create_graph"])
def test_a_fault_in_a_rule_leaves_no_node_alive(lifted: bool) -> None:
    """M5, at each operation in turn, whatever was freed by then."""
    for k, name in enumerate(NAMES):
        op = OPS[name]
        after = NAMES[k + 1 :].count(name) * (2 if op.variadic else 1)  # its inputs share a rule
        which = next(i for i, pull in enumerate(op.pulls) if pull is not None)
        calls = itertools.count()

        right = op.pulls[which].rule

        def broken(g: Any, *asked: Any, right: Any = right, calls: Any = calls, at: int = after) -> Any:
            if next(calls) == at:
                raise Injected
            return right(g, *asked)

        follow = Follow()

        def run(follow: Follow = follow) -> None:
            x, y = program(follow)
            mg.gradients(y, [x], create_graph=lifted)

        with without_collector(), with_rule(op, which, broken):
            notes = fails(run)
            assert len(follow.nodes) == 50
            assert follow.alive() == 0, f"at {k}: {name}"
        assert f"minigrad.{name}" in notes
        assert "float64" in notes


def test_a_mistake_of_the_user_leaves_no_node_alive() -> None:
    """M5, by the path on which shapes that do not fit are explained."""
    for mistake in (lambda y: y @ mg.ones((3, 3)), lambda y: y + mg.ones(3), lambda y: y[7], lambda y: y[[9]]):
        x = mg.tensor(np.ones((2, 2)), requires_grad=True)
        y = mg.sin(x * 2.0)
        node = weakref.ref(y._node)
        with without_collector():
            try:
                mistake(y)
            except (ValueError, IndexError):
                del y
            else:  # an index on a device is looked at when something is copied to the host
                with pytest.raises(IndexError):
                    y.numpy()
                del y
            assert node() is None


# ---- M6: the end of a graph


@pytest.mark.parametrize("again", ["backward", "gradients", "create_graph"])
def test_a_freed_graph_says_so(again: str) -> None:
    """M6."""
    x = mg.tensor(2.0, requires_grad=True)
    y = mg.sin(x * x)
    y.backward()
    with pytest.raises(RuntimeError, match=r"'sin'.*retain_graph=True"):
        y.backward() if again == "backward" else mg.gradients(y, [x], create_graph=again == "create_graph")


def test_a_graph_that_is_freed_in_part_names_the_operation() -> None:
    """M6: two results share a part, and the first sweep took it along."""
    x = mg.tensor(2.0, requires_grad=True)
    shared = mg.exp(x)
    one, two = shared * 2.0, mg.cos(shared)
    one.backward()
    with pytest.raises(RuntimeError, match=r"'exp'.*retain_graph=True"):
        two.backward()


def test_a_graph_that_is_retained_gives_the_same_again() -> None:
    x = mg.tensor(2.0, requires_grad=True)
    y = mg.sin(x * x)
    y.backward(retain_graph=True)
    once = x.grad.item()
    y.backward()
    assert x.grad.item() == 2 * once
