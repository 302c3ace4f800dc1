"""What is the stand-in's own: frozen arrays, counted copies, a list of names. The rest: test_backend_cupylike.py."""

from __future__ import annotations

import operator

import numpy as np
import pytest

from minigrad.backend import cupynames, get_backend
from minigrad.backend.fakecupy import TRANSFERS, FakeArray, namespace
from minigrad.errors import FrozenError

B = get_backend("fakecupy")
xp = B.xp


@pytest.fixture
def x() -> FakeArray:
    return B.asarray([[1.0, 2.0], [3.0, 4.0]], np.float32)


HOST = np.ones((2, 2), np.float32)


WRITES = {
    "assignment": lambda x: operator.setitem(x, 0, 9.0),
    "through a view": lambda x: operator.setitem(x[0], 0, 9.0),
    "in place": lambda x: operator.iadd(x, 1.0),
    "out": lambda x: xp.add(x, 1.0, out=x),
    "positional out": lambda x: xp.exp(x, x),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
def test_a_frozen_array_cannot_be_written(write: object, x: FakeArray) -> None:
    y = B.freeze(x)
    assert y is x
    with pytest.raises(FrozenError, match=r"held by a graph.*x\.copy\(\)"):
        write(x)
    write(B.copy(x))


COSTS = {
    "bool": (lambda x: bool(x[0, 0]), 1, 0, 1),
    "float": (lambda x: float(x[0, 0]), 1, 0, 1),
    "int": (lambda x: int(x[0, 0]), 1, 0, 1),
    "complex": (lambda x: complex(x[0, 0]), 1, 0, 1),
    "list": (lambda x: x.tolist(), 1, 0, 1),
    "repr": (lambda x: repr(x), 0, 0, 1),
    "asnumpy": (lambda x: xp.asnumpy(x), 1, 0, 0),
    "asnumpy of a host array": (lambda _: xp.asnumpy(HOST), 0, 0, 0),
    "flags": (lambda x: x.flags.owndata, 0, 0, 0),
    "item": (lambda x: x[0, 0].item(), 1, 0, 1),
    "get": (lambda x: x.get(), 1, 0, 0),
    "mask": (lambda x: x[x > 2], 0, 0, 1),
    "nonzero": (lambda x: xp.nonzero(x), 0, 0, 1),
    "host array": (lambda _: xp.asarray(HOST), 0, 1, 0),
    "host index": (lambda x: x[[0, 1]], 0, 1, 0),
    "arithmetic": (lambda x: (x @ x + 1).sum(0) * xp.exp(x), 0, 0, 0),
    "own index": (lambda x: x[x.astype(np.int64) % 2], 0, 0, 0),
    "making": (lambda _: xp.full((2, 3), 1.0, dtype=np.float32), 0, 0, 0),
    "scatter": (lambda x: B.scatter_add((4,), np.float32, xp.zeros(2, np.int64), x[0]), 0, 0, 0),
    "random": (lambda _: B.random_bits((1, 2), (0, 0, 0, 0), (5,)), 0, 0, 0),
    "sum": (lambda x: B.sum(x, (0, 1)), 0, 0, 0),
}


@pytest.mark.parametrize("case", COSTS.values(), ids=COSTS.keys())
def test_counts_copies_and_waits(case: tuple, x: FakeArray) -> None:
    call, to_host, to_device, waits = case
    before = (TRANSFERS.to_host, TRANSFERS.to_device, TRANSFERS.waits)
    call(x)
    after = (TRANSFERS.to_host, TRANSFERS.to_device, TRANSFERS.waits)
    assert tuple(b - a for a, b in zip(before, after, strict=True)) == (to_host, to_device, waits)


def test_the_list_of_names_is_cupys() -> None:
    cupy = pytest.importorskip("cupy", reason="compares with CuPy itself where it is installed")
    if not cupy.__version__.startswith("14."):
        pytest.skip(f"the list is of CuPy 14, and {cupy.__version__} is installed")
    for names, thing in ((cupynames.MODULE, cupy), (cupynames.LINALG, cupy.linalg), (cupynames.ARRAY, cupy.ndarray)):
        assert names <= set(dir(thing))


def test_the_flags_are_cupys_three(x: FakeArray) -> None:
    assert (x.flags.c_contiguous, x.T.flags.c_contiguous, x.T.flags.f_contiguous) == (True, False, True)
    with pytest.raises(AttributeError, match="writeable"):
        x.flags.writeable


def test_the_namespace_lists_what_it_has() -> None:
    with pytest.raises(AttributeError, match="CuPy has it, its stand-in has not"):
        xp.RawKernel
    assert {"add", "float32", "matmul", "where"} <= set(dir(namespace))
    assert all(hasattr(namespace, name) for name in dir(namespace))
