"""What CuPy does otherwise than NumPy, and its stand-in too: one table, run on CuPy as well where there is a GPU.

A row that CuPy itself fails is a fault of the stand-in, by which all other tests without a GPU are misled.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import pytest

from minigrad.backend import available, get_backend
from minigrad.backend.cupylike import ATOMIC, CupyLike

NAMES = [name for name in ("fakecupy", "cupy") if not available()[name]]
HOST = np.ones((2, 2), np.float32)


@pytest.fixture(params=NAMES)
def backend(request: pytest.FixtureRequest) -> Any:
    return get_backend(request.param)


@pytest.fixture
def x(backend: CupyLike) -> Any:
    return backend.asarray([[1.0, 2.0], [3.0, 4.0]], np.float32)


REFUSED = {
    "mixing on the right": (lambda xp, x: x + HOST, TypeError, "Unsupported type"),
    "mixing on the left": (lambda xp, x: HOST + x, TypeError, "Unsupported type"),
    "a 0-d host array": (lambda xp, x: x * np.array(2.0), TypeError, "Unsupported type"),
    "mixing in a function": (lambda xp, x: xp.concatenate([x, HOST]), TypeError, "Unsupported type"),
    "mixing in place": (lambda xp, x: operator.iadd(x, HOST), TypeError, "Unsupported type"),
    "assigning a host array": (lambda xp, x: operator.setitem(x, 0, HOST[0]), ValueError, "non-scalar"),
    "np.asarray": (lambda xp, x: np.asarray(x), TypeError, r"Implicit conversion.*\.get\(\)"),
    "np.float32": (lambda xp, x: np.float32(x[0, 0]), TypeError, "Implicit conversion"),
    "a list in a ufunc": (lambda xp, x: xp.add(x, [1.0, 2.0]), TypeError, "Unsupported type <class 'list'>"),
    "a name of NumPy's": (lambda xp, _: xp.vecdot, AttributeError, "no attribute 'vecdot'"),
    "the same through NumPy": (lambda xp, x: np.vecdot(x, x), TypeError, "returned NotImplemented"),
    "a method of NumPy's": (lambda xp, x: x.setflags(write=False), AttributeError, "no attribute 'setflags'"),
    "a keyword of NumPy's": (lambda xp, x: xp.sum(x, where=x > 1), TypeError, "unexpected keyword argument 'where'"),
    "a renamed keyword": (lambda xp, x: xp.clip(x, min=0), TypeError, "unexpected keyword argument 'min'"),
    "a host condition": (lambda xp, x: xp.where(True, x, x), AttributeError, "astype"),
    "hashing": (lambda xp, x: {x}, TypeError, "unhashable"),
    "an index that is no integer": (lambda xp, x: x[xp.asarray([0.5])], IndexError, "integer or boolean"),
    "a host index out of bounds": (lambda xp, x: x[2], IndexError, "out of bounds"),
    "truth of many": (lambda xp, x: bool(x), ValueError, "ambiguous"),
    "atomics of bytes": (lambda xp, x: xp.add.at(x.astype("i1"), xp.asarray([0]), 1), TypeError, "add.at only"),
    "an attribute of NumPy's ufuncs": (
        lambda xp, _: xp.add.identity,
        AttributeError,
        "ufunc' object has no attribute 'identity'",
    ),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED.keys())
def test_refuses(backend: CupyLike, case: tuple, x: Any) -> None:
    call, error, words = case
    with pytest.raises(error, match=words):
        call(backend.xp, x)


GIVEN = {
    "sum": lambda xp, x: xp.sum(x),
    "method": lambda xp, x: x.max(),
    "element": lambda xp, x: x[0, 1],
    "operator": lambda xp, x: x[0, 0] + x[1, 1],
    "NumPy's ufunc": lambda xp, x: np.exp(x),
    "NumPy's function": lambda xp, x: np.sum(x),
    "a NumPy scalar on the left": lambda xp, x: np.float32(2) * x,
    "a number on the left": lambda xp, x: 2 / x,
    "comparison": lambda xp, x: x > 2,
    "norm": lambda xp, x: xp.linalg.norm(x),
    "rows": lambda xp, x: next(iter(x)),
    "a method of a ufunc": lambda xp, x: xp.add.outer(x, x),
    "NumPy's, of its ufunc": lambda xp, x: np.add.reduce(x),
}


@pytest.mark.parametrize("call", GIVEN.values(), ids=GIVEN.keys())
def test_gives_its_own_arrays_and_never_scalars(backend: CupyLike, call: Any, x: Any) -> None:
    y = call(backend.xp, x)
    assert type(y) is backend.array_type
    assert y.dtype in (np.float32, np.bool_)


def test_results_are_numpys(backend: CupyLike, x: Any) -> None:
    xp, host = backend.xp, backend.to_host(x)
    for name in ("add", "matmul", "maximum", "power"):
        assert np.allclose(backend.to_host(getattr(xp, name)(x, x)), getattr(np, name)(host, host), rtol=1e-6)
    w, v = xp.linalg.eigh(x @ x.T)
    assert type(w) is type(v) is backend.array_type
    assert np.allclose(backend.to_host((v * w) @ v.T), host @ host.T, rtol=1e-5)
    assert [p.shape for p in xp.split(x, 2, axis=0)] == [(1, 2), (1, 2)]
    assert np.array_equal(backend.to_host(xp.where(x > 2, x, 0)), np.where(host > 2, host, 0))


def test_device_indices_wrap_in_silence(backend: CupyLike, x: Any) -> None:
    """What makes `check_index` needed."""
    assert np.array_equal(backend.to_host(x[backend.asarray([0, 3])]), [[1, 2], [3, 4]])


@pytest.mark.parametrize("char", "?bBhHiIlLqQefdFD")
def test_atomics_are_for_some_dtypes(backend: CupyLike, char: str) -> None:
    xp = backend.xp
    total, ones = xp.zeros(3, char), xp.ones(4, char)
    index = xp.asarray([0, 2, 2, 2])
    if char in ATOMIC:
        xp.add.at(total, index, ones)
        assert backend.to_host(total).tolist() == [1, 0, 3]
    else:
        with pytest.raises(TypeError, match=r"add\.at only supports"):
            xp.add.at(total, index, ones)
