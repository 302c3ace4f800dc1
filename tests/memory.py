"""What is allocated and not freed, where the tensors of a test live."""

from __future__ import annotations

import gc
import itertools
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import minigrad as mg
from minigrad.backend import backend_of


@contextmanager
def traced() -> Iterator[Callable[[], int]]:
    """Counts the bytes that are allocated and not freed since: the host's, or a GPU's where tensors live on one."""
    gc.collect()
    home = backend_of(mg.zeros(()).data)
    if home.name == "cupy":
        used = home.xp.get_default_memory_pool().used_bytes
        before = used()
        yield lambda: int(used() - before)
        return
    tracemalloc.start()
    start = tracemalloc.get_traced_memory()[0]
    try:
        yield lambda: tracemalloc.get_traced_memory()[0] - start
    finally:
        tracemalloc.stop()


@contextmanager
def without_collector() -> Iterator[None]:
    """Only reference counts free anything inside."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def calls_in(run: Callable[[], object]) -> int:
    """How many functions run, of Python and of C, for `run()`: what it costs, in a unit that every machine shares.

    Python's collector is off, which calls whom others have registered with it.
    """
    counted, before, collecting = itertools.count(), sys.getprofile(), gc.isenabled()
    gc.disable()  # libraries may have it call them

    def seen(frame: object, event: str, arg: object) -> None:
        if event.endswith("call"):
            next(counted)

    with without_collector():
        sys.setprofile(seen)
        try:
            run()
        finally:
            sys.setprofile(before)
        if collecting:
            gc.enable()
    return next(counted)
