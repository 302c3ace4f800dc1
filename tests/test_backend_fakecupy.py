"""The stand-in refuses what CuPy refuses; faults that it must find are put in here one by one."""

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

REFUSED = {
    "mixing on the right": (lambda x: x + HOST, TypeError, "Unsupported type"),
    "mixing on the left": (lambda x: HOST + x, TypeError, "Unsupported type"),
    "a 0-d host array": (lambda x: x * np.array(2.0), TypeError, "Unsupported type"),
    "mixing in a function": (lambda x: xp.concatenate([x, HOST]), TypeError, "Unsupported type"),
    "mixing in place": (lambda x: operator.iadd(x, HOST), TypeError, "Unsupported type"),
    "assigning a host array": (lambda x: operator.setitem(x, 0, HOST[0]), ValueError, "non-scalar"),
    "np.asarray": (lambda x: np.asarray(x), TypeError, r"Implicit conversion.*\.get\(\)"),
    "np.float32": (lambda x: np.float32(x[0, 0]), TypeError, "Implicit conversion"),
    "a list in a ufunc": (lambda x: xp.add(x, [1.0, 2.0]), TypeError, "Unsupported type <class 'list'>"),
    "a name of NumPy's": (lambda _: xp.vecdot, AttributeError, "no attribute 'vecdot'"),
    "the same through NumPy": (lambda x: np.vecdot(x, x), AttributeError, "no attribute 'vecdot'"),
    "a method of NumPy's": (lambda x: x.setflags(write=False), AttributeError, "no attribute 'setflags'"),
    "a keyword of NumPy's": (lambda x: xp.sum(x, where=x > 1), TypeError, "unexpected keyword argument 'where'"),
    "a renamed keyword": (lambda x: xp.clip(x, min=0), TypeError, "unexpected keyword argument 'min'"),
    "a name it lacks itself": (lambda _: xp.RawKernel, AttributeError, "CuPy has it, its stand-in has not"),
    "a host condition": (lambda x: xp.where(True, x, x), AttributeError, "astype"),
    "hashing": (lambda x: {x}, TypeError, "unhashable"),
    "an index that is no integer": (lambda x: x[B.asarray([0.5])], IndexError, "integer or boolean"),
    "a host index out of bounds": (lambda x: x[2], IndexError, "out of bounds"),
    "truth of many": (bool, ValueError, "ambiguous"),
    "atomics of bytes": (lambda x: x.astype(np.int8).scatter_add(0, 1), TypeError, "atomicAdd .* dtype int8"),
    "an attribute of NumPy's ufuncs": (
        lambda _: xp.add.identity,
        AttributeError,
        "'cupy.ufunc' .* no attribute 'identity'",
    ),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED.keys())
def test_refuses(case: tuple, x: FakeArray) -> None:
    call, error, words = case
    with pytest.raises(error, match=words):
        call(x)


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


GIVEN = {
    "sum": lambda x: xp.sum(x),
    "method": lambda x: x.max(),
    "element": lambda x: x[0, 1],
    "operator": lambda x: x[0, 0] + x[1, 1],
    "NumPy's ufunc": lambda x: np.exp(x),
    "NumPy's function": lambda x: np.sum(x),
    "a NumPy scalar on the left": lambda x: np.float32(2) * x,
    "a number on the left": lambda x: 2 / x,
    "comparison": lambda x: x > 2,
    "norm": lambda x: xp.linalg.norm(x),
    "rows": lambda x: next(iter(x)),
    "a method of a ufunc": lambda x: xp.add.outer(x, x),
    "NumPy's, of its ufunc": lambda x: np.add.reduce(x),
}


@pytest.mark.parametrize("call", GIVEN.values(), ids=GIVEN.keys())
def test_gives_its_own_arrays_and_never_scalars(call: object, x: FakeArray) -> None:
    y = call(x)
    assert type(y) is FakeArray
    assert y.dtype in (np.float32, np.bool_)


def test_results_are_numpys(x: FakeArray) -> None:
    host = B.to_host(x)
    for name in ("add", "matmul", "maximum", "power"):
        assert np.array_equal(B.to_host(getattr(xp, name)(x, x)), getattr(np, name)(host, host))
    w, v = xp.linalg.eigh(x @ x.T)
    assert type(w) is type(v) is FakeArray
    assert np.allclose(B.to_host((v * w) @ v.T), host @ host.T)
    assert [p.shape for p in xp.split(x, 2, axis=0)] == [(1, 2), (1, 2)]
    assert np.array_equal(B.to_host(xp.where(x > 2, x, 0)), np.where(host > 2, host, 0))


def test_device_indices_wrap_in_silence_as_in_cupy(x: FakeArray) -> None:
    """What makes `check_index` needed."""
    assert np.array_equal(B.to_host(x[B.asarray([0, 3])]), [[1, 2], [3, 4]])


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
    assert {"add", "float32", "matmul", "where"} <= set(dir(namespace))
    assert all(hasattr(namespace, name) for name in dir(namespace))
