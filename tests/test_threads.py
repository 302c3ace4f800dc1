"""T1: modes belong to one thread or task, graphs of many threads do not meet, and recording is on where one starts.

A thread starts with no mode at all; a task, and a function given to `asyncio.to_thread`, with those of its maker, which
is what a ContextVar does. Every test has several devices: fakecupy is always there.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.core import MODES
from minigrad.core.modes import Modes

THREADS, GRAPHS = 16, 300


@pytest.fixture(autouse=True)
def _switch_often() -> Iterator[None]:
    """Threads take turns a hundred times as often as they do by themselves."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(5e-5)
    yield
    sys.setswitchinterval(before)


def together(work: Callable[[int], Any], threads: int = THREADS) -> list[Any]:
    """The results of work(0), work(1), … which all begin at the same moment, each in a thread of its own."""
    gate = threading.Barrier(threads, timeout=60)

    def begin(k: int) -> Any:
        gate.wait()
        return work(k)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(begin, range(threads)))


def in_force() -> tuple[bool, str | None]:
    return MODES.get().recording, MODES.get().device


# ---- graphs


@mg.no_grad()
def unrecorded(x: Any) -> Any:
    return mg.sin(x) * 3.0


SHARED = mg.no_grad()  # one object for all threads


def graph(rng: np.random.Generator, device: str) -> list[str]:
    """One graph with other modes in its midst; what went wrong with it."""
    faults = []
    a = rng.uniform(0.5, 1.5, (2, 3))
    with mg.use_device(device):
        x = mg.tensor(a, requires_grad=True)
        y = x * x
        kind = int(rng.integers(4))
        if kind == 0:
            with mg.no_grad():
                free = mg.sin(y) * 3.0
        elif kind == 1:
            with SHARED, mg.use_device("numpy"):
                free = mg.sin(y) * 3.0
                if mg.ones(1).device != "numpy":
                    faults.append("the inner device was not in force")
        elif kind == 2:
            free = unrecorded(y)
        else:
            with SHARED:
                free = unrecorded(y)
        if free.requires_grad:
            faults.append("recorded under no_grad")
        z = mg.sum(mg.exp(y) * free)
        if not z.requires_grad or mg.ones(1).device != device:
            faults.append("a mode leaked")
        if rng.integers(2):
            z.backward()
            found = x.grad
        else:
            found = mg.grad(lambda t: mg.sum(mg.exp(t * t) * free))(x)
    right = 2 * a * np.exp(a * a) * np.sin(a * a) * 3.0
    if not np.allclose(found.numpy(), right, 1e-12, 0):
        faults.append(f"a gradient is wrong: {found.numpy()} for {right}")
    return faults


def test_sixteen_threads_with_300_graphs_each() -> None:
    """T1: none wrong, no mode left behind."""

    def work(k: int) -> list[str]:
        rng = np.random.default_rng(k)
        faults = [f for _ in range(GRAPHS) for f in graph(rng, ("numpy", "fakecupy")[int(rng.integers(2))])]
        return faults if in_force() == (True, None) else [*faults, f"left behind: {in_force()}"]

    before = MODES.get()
    assert [f for faults in together(work) for f in faults] == []
    assert MODES.get() is before


def test_threads_share_leaves_and_graphs() -> None:
    """Every thread differentiates the same retained graph, and builds its own on the same leaves."""
    x = mg.tensor(np.linspace(0.5, 1.5, 6), requires_grad=True)
    y = mg.sum(mg.exp(x) * x)
    right = np.exp(x.numpy()) * (1 + x.numpy())

    def work(k: int) -> bool:
        same = True
        for _ in range(50):
            (one,) = mg.gradients(y, [x], retain_graph=True)
            with mg.use_device(x.device):
                two = mg.grad(lambda t: mg.sum(mg.exp(t) * t))(x)
            same &= np.allclose(one.numpy(), right, 1e-12, 0) and np.allclose(two.numpy(), right, 1e-12, 0)
        return same

    assert all(together(work))


def test_backward_in_many_threads_adds_up() -> None:
    x = mg.tensor(np.ones(3), requires_grad=True)

    def work(k: int) -> None:
        for _ in range(50):
            mg.sum(x * 2.0).backward()

    together(work)
    np.testing.assert_array_equal(x.grad.numpy(), np.full(3, 2.0 * 50 * THREADS))


def test_a_backend_that_many_threads_ask_for_first_is_made_once() -> None:
    script = (
        "import sys, threading\nfrom concurrent.futures import ThreadPoolExecutor\n"
        "from minigrad.backend import get_backend\n"
        "sys.setswitchinterval(1e-6)\ngate = threading.Barrier(16)\n"
        "def work(k):\n    gate.wait()\n    return get_backend('fakecupy')\n"
        "with ThreadPoolExecutor(16) as pool:\n    assert len(set(pool.map(work, range(16)))) == 1\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


# ---- modes in threads


def test_a_thread_starts_with_recording_on() -> None:
    """Whatever is in force where it is started."""
    with mg.no_grad(), mg.use_device("fakecupy"):
        found = together(lambda k: in_force(), 4)
        assert in_force() == (False, "fakecupy")
    assert found == [(True, None)] * 4


def test_a_thread_is_given_modes_by_copying_the_context() -> None:
    with mg.no_grad(), mg.use_device("fakecupy"):
        context = copy_context()
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(context.run, in_force).result() == (False, "fakecupy")
        assert pool.submit(in_force).result() == (True, None)


def test_a_mode_of_a_thread_is_unseen_elsewhere() -> None:
    inside, looked = threading.Event(), threading.Event()

    def hold() -> None:
        with mg.no_grad(), mg.use_device("fakecupy"):
            inside.set()
            looked.wait(60)

    before = in_force()
    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert inside.wait(60)
        assert in_force() == before
        assert (mg.tensor(1.0, requires_grad=True) * 2.0).requires_grad
    finally:
        looked.set()
        thread.join()


@pytest.mark.parametrize("make", [mg.no_grad, lambda: mg.use_device("fakecupy")], ids=["no_grad", "use_device"])
def test_one_object_serves_all_threads_and_itself(make: Callable[[], Any]) -> None:
    """As `with` and as a decorator, nested and recursive, entered in one order and left in another."""
    mode = make()
    turn = threading.Barrier(2, timeout=60)

    @mode
    def deep(n: int) -> Any:
        return in_force() if n == 0 else deep(n - 1)

    def work(k: int) -> list[Any]:
        seen = [in_force()]
        if k:
            turn.wait()  # the other one is inside already
        with mode:
            if not k:
                turn.wait()
            turn.wait()  # both are inside
            seen.append(in_force())
            if k:
                turn.wait()  # the other one, which came first, is out first
            with mode:
                seen.append(deep(3))
            seen.append(in_force())
        if not k:
            turn.wait()
        return [*seen, in_force()]

    with make():
        changed = in_force()[0], in_force()[1] if make is not mg.no_grad else None
    free = (True, None)
    assert together(work, 2) == [[free, changed, changed, changed, free]] * 2


def test_an_exception_takes_the_mode_with_it() -> None:
    @mg.no_grad()
    def fails() -> None:
        raise KeyError("on purpose")

    def work(k: int) -> Any:
        for _ in range(50):
            with pytest.raises(KeyError), mg.use_device("fakecupy"):
                fails()
        return in_force()

    assert together(work, 8) == [(True, None)] * 8


def test_a_mode_left_where_it_was_not_entered_says_so() -> None:
    mode = mg.no_grad()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(mode.__enter__).result()
        assert pool.submit(in_force).result() == (False, None)
    with ThreadPoolExecutor(1) as pool, pytest.raises(RuntimeError, match="another thread or task"):
        pool.submit(mode.__exit__, None, None, None).result()


@pytest.mark.parametrize("kind", ["generator", "coroutine", "asynchronous generator"])
def test_what_runs_in_pieces_is_not_decorated(kind: str) -> None:
    def generator() -> Iterator[int]:
        yield 1

    async def coroutine() -> None: ...

    async def both() -> Any:
        yield 1

    f = {"generator": generator, "coroutine": coroutine, "asynchronous generator": both}[kind]
    for mode in (mg.no_grad(), mg.use_device("numpy")):
        with pytest.raises(TypeError, match="cannot decorate"):
            mode(f)


# ---- modes in tasks


def test_tasks_do_not_see_each_others_modes() -> None:
    """Tasks that give way inside their modes, in one thread."""

    async def task(k: int) -> list[str]:
        faults = []
        x = mg.tensor(1.0, requires_grad=True)
        for _ in range(20):
            device = ("numpy", "fakecupy")[k % 2]
            with mg.use_device(device):
                await asyncio.sleep(0)
                if k % 3:
                    with SHARED:
                        await asyncio.sleep(0)
                        if (x * 2.0).requires_grad or mg.ones(1).device != device:
                            faults.append(f"task {k} saw {in_force()}")
                await asyncio.sleep(0)
                if not (x * 2.0).requires_grad or mg.ones(1).device != device:
                    faults.append(f"task {k} saw {in_force()} afterwards")
        return faults

    async def everything() -> list[list[str]]:
        return await asyncio.gather(*(task(k) for k in range(THREADS)))

    before = MODES.get()
    assert [f for faults in asyncio.run(everything()) for f in faults] == []
    assert MODES.get() is before


def test_a_task_inherits_the_modes_of_its_maker() -> None:
    """And so does a function given to `asyncio.to_thread`; what they change stays with them."""

    async def look() -> Any:
        found = in_force()
        MODES.set(Modes())  # a task that forgets to put back what it changed
        return found

    async def everything() -> list[Any]:
        with mg.no_grad(), mg.use_device("fakecupy"):
            return [await asyncio.create_task(look()), await asyncio.to_thread(in_force), in_force()]

    assert asyncio.run(everything()) == [(False, "fakecupy")] * 3
