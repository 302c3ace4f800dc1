"""Faults that users of other engines met, where they concern the engine. Each test holds on this build, and
fails with the fault put in, which the same test does.
"""

from __future__ import annotations

import contextlib
import gc
import operator
import sys
import threading
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from faults import engine, found_by, plain_sweep, results

import minigrad as mg
import minigrad_layers
from minigrad.backend import get_backend
from minigrad.core import MODES, quick

tensors = import_module("minigrad.core.tensor")
dispatch = import_module("minigrad.core.dispatch")


def leaf(*values: float, **options: Any) -> mg.Tensor:
    return mg.tensor(values, requires_grad=True, **options)


def grad(x: mg.Tensor) -> list[float]:
    assert x.grad is not None
    return x.grad.tolist()  # type: ignore[no-any-return]


# ---- F1: silently wrong gradients after writing in place


@pytest.mark.parametrize("what", ["data", "source", "operand", "index", "mask"])
def test_f1_a_write_between_forward_and_backward_raises_or_changes_nothing(
    what: str, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if what == "data" and backend == "cupy":
        pytest.skip("CuPy has no read-only flag: .data is documented as not to be written")
    new = get_backend(backend).asarray

    def check() -> None:
        source, operand = new([2.0, 3.0]), new([5.0, 7.0])
        index, mask = new([0, 1]), new([True, False])
        x, w = leaf(1.0, 1.0), mg.tensor(source, requires_grad=True)
        y = mg.keep((x * w * operand)[index], mask)
        victim = {"data": w.data, "source": source, "operand": operand, "index": index, "mask": mask}[what]
        with contextlib.suppress(ValueError, RuntimeError):  # a write that is refused is as good
            victim[:] = new([False, True]) if what == "mask" else new([1, 1]) if what == "index" else 100.0
        y.sum().backward()
        assert grad(x) == [10.0, 0.0]

    check()
    kind = type(get_backend(backend))
    monkeypatch.setattr(kind, "copy", lambda self, a: a)
    monkeypatch.setattr(kind, "freeze", lambda self, a: a)
    made = kind.asarray
    monkeypatch.setattr(
        kind, "asarray", lambda self, a, *rest: a if isinstance(a, self.array_type) else made(self, a, *rest)
    )
    for module in (tensors, dispatch, quick):
        monkeypatch.setattr(module, "freeze", lambda a: a)
    found_by(check)


# ---- F2: the recursion limit


def test_f2_a_deep_graph_neither_recurses_nor_crashes_when_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    def check() -> None:
        x = y = leaf(1.0)
        for _ in range(20 * sys.getrecursionlimit()):
            y = y + 1.0
        y.backward()
        assert grad(x) == [1.0]

    check()
    y = leaf(1.0)
    for _ in range(100_000):
        y = y * 1.0
    del y  # never swept: all its nodes go at once

    def recursive(root: Any) -> list[Any]:
        seen: dict[Any, None] = {}

        def visit(node: Any) -> None:
            for parent in node.parents:
                if parent is not None and parent not in seen:
                    visit(parent)
            seen[node] = None

        visit(root)
        return [*reversed(seen)]

    monkeypatch.setattr(engine, "order_from", recursive)
    found_by(check, RecursionError)


# ---- F3: cycles, which only the garbage collector finds


def test_f3_no_graph_is_left_to_the_garbage_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    def step() -> None:
        x = leaf(1.0, 2.0)
        (first,) = mg.gradients((x * x * x).sum(), [x], create_graph=True)
        (second,) = mg.gradients(first.sum(), [x], create_graph=True)
        second.sum().backward()

    def check() -> None:
        step()
        gc.collect()
        gc.disable()
        try:
            for _ in range(20):
                step()
            assert gc.collect() == 0
        finally:
            gc.enable()

    check()
    x = leaf(1.0, 2.0)
    (x * x * x).sum().backward()
    assert x.grad is not None
    assert not x.grad.requires_grad
    right = mg.gradients

    def in_the_leaf(y: Any, xs: Any, **options: Any) -> Any:
        """A gradient with its graph lands in the leaf that the graph points to, as in `backward(create_graph=True)`."""
        found = right(y, xs, **options)
        xs[0]._node.grad = found[0]
        return found

    monkeypatch.setattr(mg, "gradients", in_the_leaf)
    monkeypatch.setattr(mg.Tensor, "backward", lambda self: None)
    found_by(check)
    monkeypatch.undo()
    gc.collect()


# ---- F11: cotangents that are shared, and changed in place


def test_f11_a_shared_cotangent_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    def check() -> None:
        x, y = leaf(1.0, 1.0, 1.0), leaf(1.0, 1.0, 1.0)
        z = x + y  # one cotangent for both
        (z + x).backward([1.0, 1.0, 1.0])
        assert grad(y) == [1, 1, 1]
        assert grad(x) == [2, 2, 2]

    def check_broadcast() -> None:
        x = leaf(1.0, 2.0)
        (x.sum() + x.sum()).backward()  # the cotangents of both are one number, repeated without memory
        assert grad(x) == [2, 2]

    for sweep in (engine.sweep, plain_sweep(operator.add)):
        monkeypatch.setattr(results, "sweep", sweep)
        check()
        check_broadcast()
    monkeypatch.setattr(results, "sweep", plain_sweep(operator.iadd))
    found_by(check)
    found_by(check_broadcast, ValueError)


# ---- F12: ndarray * Tensor


@pytest.mark.parametrize("left", [np.array([2.0, 3.0]), np.array(2.0), np.float64(2.0)], ids=["array", "0-d", "scalar"])
def test_f12_an_array_on_the_left_makes_a_tensor(left: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def check() -> None:
        x = leaf(1.0, 2.0, device="numpy")
        for y in (left * x, left - x, left / x, left < x):
            assert type(y) is mg.Tensor
            assert y.dtype != object
        (left * x).sum().backward()
        assert grad(x) == np.broadcast_to(left, 2).tolist()

    check()
    monkeypatch.delattr(mg.Tensor, "__array_ufunc__")
    found_by(check)


# ---- F15: order by hash, state by identity


def test_f15_the_sweep_goes_newest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a sum of cotangents, which depends on the order, comes out the same in every run."""

    def check() -> None:
        x = leaf(1.0)
        parts = [x * c for c in (1e16, 1.0, -1e16, 1.0)]
        (parts[0] + parts[1] + parts[2] + parts[3]).backward()
        assert grad(x) == [((1.0 + -1e16) + 1.0) + 1e16]

    check()
    right = engine.order_from

    def by_depth(root: Any) -> list[Any]:
        """A topological order whose ties fall as they may."""
        depth: dict[Any, int] = {}
        for node in reversed(right(root)):
            depth[node] = 1 + max((depth[p] for p in node.parents if p is not None), default=0)
        return sorted(depth, key=lambda n: (-depth[n], n.id))

    monkeypatch.setattr(engine, "order_from", by_depth)
    found_by(check)


def test_f15_state_goes_by_names() -> None:
    def model() -> Any:
        return minigrad_layers.Sequential(minigrad_layers.Linear(2, 3), minigrad_layers.Linear(3, 2))

    def check(pairs: Callable[[Any], Any]) -> None:
        one, other = model(), model()  # the other stands for the next process
        names = [name for name, _ in one.named_parameters()]
        assert names == ["0.weight", "0.bias", "1.weight", "1.bias"]
        first, second = (mg.optim.Adam(pairs(m)) for m in (one, other))
        one(mg.ones((4, 2), dtype="float32")).sum().backward()
        first.step()
        second.load_state_dict(first.state_dict())
        assert list(second.state_dict()["state"]) == names

    check(lambda m: m.named_parameters())
    found_by(lambda: check(lambda m: [(str(id(p)), p) for p in m.parameters()]), mg.errors.CheckpointError)


# ---- F20: gradients of another dtype than the parameter's, and integers


def test_f20_a_gradient_has_the_dtype_of_its_parameter(monkeypatch: pytest.MonkeyPatch) -> None:
    dtypes = ("float16", "float32", "float64")

    def check() -> None:
        for one in dtypes:
            for other in dtypes:
                x, y = leaf(1.0, 2.0, dtype=one), leaf(3.0, dtype=other)
                (x * y).sum().backward()
                assert (x.grad.dtype, y.grad.dtype) == (one, other)

    for sweep in (engine.sweep, plain_sweep()):
        monkeypatch.setattr(results, "sweep", sweep)
        check()
    monkeypatch.setattr(results, "sweep", plain_sweep(cast=False))
    found_by(check)


def test_f20_integers_have_no_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    def check() -> None:
        with pytest.raises(TypeError, match="int64"):
            mg.tensor([1, 2], requires_grad=True)
        with pytest.raises(TypeError, match="int64"):
            mg.grad(lambda x: x * x)(2)

    check()
    monkeypatch.setattr(tensors, "leaf", tensors.Leaf)
    found_by(check)


# ---- F21: modes that other threads see


def test_f21_threads_do_not_share_modes(monkeypatch: pytest.MonkeyPatch) -> None:
    def check() -> None:
        x, inside, done = leaf(1.0), threading.Event(), threading.Event()
        tracked: dict[str, bool] = {}

        def sees(who: str) -> None:
            tracked[who] = (x * x).requires_grad

        def quiet() -> None:
            with mg.no_grad():
                sees("within no_grad")
                child = threading.Thread(target=sees, args=("a thread started within",))
                child.start()
                child.join()
                inside.set()
                done.wait(10)
            sees("after no_grad")

        first = threading.Thread(target=quiet)
        second = threading.Thread(target=lambda: (inside.wait(10), sees("beside"), done.set()))
        for t in (first, second):
            t.start()
        for t in (first, second):
            t.join()
        assert tracked == {
            "within no_grad": False,
            "a thread started within": True,
            "beside": True,
            "after no_grad": True,
        }

    check()

    class Shared:
        """A mode that is written where all threads read it."""

        def __enter__(self) -> None:
            self.modes = MODES.get()
            object.__setattr__(self.modes, "recording", False)

        def __exit__(self, *exc: object) -> None:
            object.__setattr__(self.modes, "recording", True)

    monkeypatch.setattr(mg, "no_grad", Shared)
    found_by(check)
