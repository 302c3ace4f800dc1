"""Every primitive and its rules give on a device what they give on NumPy, and the same again each time (B3, R5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tables import OPS, points, run

import minigrad as mg
from minigrad.backend import get_backend

TOLERANCE = {"float64": 1e-12, "float32": 1e-5}
SIGNS = ("eigh", "qr")
"""Whose columns have the sign that the library chose; tests of gradients say that the rules go with either."""


@pytest.fixture
def other(backend: str) -> str:
    """The backend to compare with NumPy."""
    return "fakecupy" if backend == "numpy" else backend


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", sorted(OPS.keys() - {"transfer"}))  # which is about devices itself
def test_values_and_gradients_are_numpys(name: str, dtype: str, other: str, record_property: Any) -> None:
    op, worst = OPS[name], 0.0
    for args, params in points(op, 6, seed=21):
        at = [a.astype(dtype) if a.dtype.kind == "f" else a for a in args]
        with mg.use_device("numpy"):
            expected = flat(run(op, at, params), name)
        with mg.use_device(other):
            found = flat(run(op, at, params), name)
        for a, b in zip(found, expected, strict=True):
            assert (a is None, b is None) in ((True, True), (False, False))
            if a is not None and b is not None:
                assert (a.shape, a.dtype) == (b.shape, b.dtype)
                worst = max(worst, distance(a, b))
    record_property("error", worst)
    assert worst <= TOLERANCE[dtype]


def flat(found: Any, name: str) -> list[Any]:
    """Outputs and gradients as host arrays."""
    ys, gs = found
    if name in SIGNS:
        return [np.abs(y) for y in ys]
    return [*ys, *(None if g is None else g.numpy() for g in gs)]


def distance(a: Any, b: Any) -> float:
    """The largest difference relative to the largest element of `b`, or to 1; infinite where only one is NaN."""
    if not np.array_equal(np.isfinite(a), np.isfinite(b)):
        return float("inf")
    x, y = (np.where(np.isfinite(v), v, 0).astype(np.float64) for v in (a, b))
    return float(np.max(np.abs(x - y), initial=0) / max(1.0, float(np.max(np.abs(y), initial=0))))


def odd() -> mg.Tensor:
    """NaN, infinities, ties, both zeros."""
    return mg.tensor([[1.0, np.nan, -0.0], [0.0, 3.0, 3.0], [2.0, -np.inf, np.inf]], dtype="float32")


EDGES: dict[str, Callable[[], mg.Tensor]] = {
    "no right-hand sides": lambda: mg.linalg.solve(mg.tensor(np.stack([np.eye(3)] * 2)), mg.zeros((2, 3, 0))),
    "no matrices": lambda: mg.linalg.inv(mg.zeros((0, 2, 2))),
    "a product over nothing": lambda: mg.matmul(mg.zeros((2, 0)), mg.zeros((0, 3))),
    "a sum of nothing": lambda: mg.sum(mg.zeros((0, 3)), axis=0),
    "the largest of NaN": lambda: mg.max(odd(), axis=1),
    "where NaN is": lambda: mg.argmax(odd(), axis=1),
    "sorted NaN": lambda: mg.sort(odd(), axis=1),
    "ties in order": lambda: mg.argsort(mg.tensor([3, 1, 3, 1, 2, 3, 1])),
    "NaN among places": lambda: mg.searchsorted(mg.tensor([0.0, 1.0, 1.0, 2.0]), mg.tensor([1.0, np.nan, 5.0])),
    "clipped NaN": lambda: mg.clip(odd(), -1.0, 2.0),
    "half to even": lambda: mg.round(mg.tensor([0.5, 1.5, 2.5, -0.5, -1.5])),
    "signs": lambda: mg.sign(odd()),
    "a remainder of the divisor's sign": lambda: mg.remainder(mg.tensor([5.0, -5.0, 5.5]), mg.tensor([3.0, 3.0, -2.0])),
    "integers past their end": lambda: mg.tensor([250, 10], dtype="uint8") + mg.tensor([10, 10], dtype="uint8"),
    "a half beyond its range": lambda: mg.sum(mg.full((70000,), 1.0, dtype="float16")),
    "nothing under a mask": lambda: odd()[odd() > 100],
    "infinity under a mask": lambda: mg.where(odd() > 0, 0.0, odd()),
    "equal infinities": lambda: mg.logaddexp(odd(), odd()),
}


@pytest.mark.parametrize("edge", EDGES)
def test_edges_are_numpys(edge: str, other: str) -> None:
    """Exactly, NaN where NumPy has it."""
    with mg.use_device("numpy"), np.errstate(all="ignore"):
        expected = EDGES[edge]().numpy()
    with mg.use_device(other), np.errstate(all="ignore"):
        y = EDGES[edge]()
    assert y.device.startswith(other)
    assert (y.shape, y.dtype) == (expected.shape, expected.dtype)
    assert np.array_equal(y.numpy(), expected, equal_nan=expected.dtype.kind == "f")


@pytest.mark.parametrize("index", [(2000,), (50, 40)], ids=str)
def test_gradients_of_indexing_repeat_to_the_bit(
    index: tuple[int, ...], other: str, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sorted segments instead of atomics, which add in any order; magnitudes that show any change of it."""
    monkeypatch.setattr(get_backend(other), "deterministic", True, raising=False)
    x = mg.tensor(rng.standard_normal((60, 33)), dtype="float32", device=other, requires_grad=True)
    where = mg.tensor(rng.integers(0, 60, index), device=other)
    u = (rng.standard_normal((*index, 33)) * 10.0 ** rng.integers(-6, 6, (*index, 1))).astype(np.float32)
    grads = []
    for _ in range(20):
        x.grad = None
        x[where].backward(mg.tensor(u, device=other))
        assert x.grad is not None
        grads.append(x.grad.numpy())
    assert all(np.array_equal(grads[0], g) for g in grads[1:])
