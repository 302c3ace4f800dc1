"""Sums are exact for long axes: figures N10 and the reason for `minigrad.backend.sums`."""

from __future__ import annotations

import math

import numpy as np
import pytest

from minigrad.backend import available, get_backend

NAMES = [name for name, reason in available().items() if not reason]

LONG = [
    ((10_000_000,), (0,)),
    ((625_000, 16), (0,)),
    ((625_000, 16), (1,)),
    ((625_000, 16), (0, 1)),
    ((65_536, 16), (0,)),
    ((1_000_003, 3), (0,)),  # a prime: a run is left over
    ((3, 1_000_003), (1,)),
    ((3, 300_007, 2), (1,)),
    ((4096, 768), (0,)),
    ((4096, 768), (1,)),
    ((64, 64, 32, 32), (0, 2, 3)),
    ((64, 64, 32, 32), (1,)),
    ((16, 32, 4, 1024), (2, 3)),
    ((100_000, 3, 4), (1,)),
    ((40_000, 16, 2), (0, 2)),
]


def error_of(y: np.ndarray, x: np.ndarray, axes: tuple[int, ...], keepdims: bool = False) -> float:
    """The largest error as a share of the sum of magnitudes."""
    wide = np.promote_types(x.dtype, np.float64)
    exact = x.sum(axes, wide, keepdims=keepdims)
    scale = np.abs(x).sum(axes, wide, keepdims=keepdims)
    assert y.shape == exact.shape
    return float((np.abs(y - exact) / np.maximum(scale, 1e-30)).max(initial=0.0))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("case", LONG, ids=str)
def test_long_axes(name: str, case: tuple) -> None:
    shape, axes = case
    backend = get_backend(name)
    for offset in (0.1, 1000.0):
        x = np.random.default_rng(0).random(shape, np.float32) + np.float32(offset)
        y = backend.to_host(backend.sum(backend.asarray(x), axes))
        assert y.dtype == np.float32
        assert error_of(y, x, axes) <= 1e-6
        mean = y / np.float32(math.prod(shape[i] for i in axes))
        assert np.abs(mean / x.mean(axes, np.float64) - 1).max() <= 1e-6


def _layout(rng: np.random.Generator, x: np.ndarray) -> np.ndarray:
    """`x` transposed, sliced, broadcast or as it is."""
    kind = int(rng.integers(4)) if x.ndim else 0
    if kind == 1:
        return x.transpose(rng.permutation(x.ndim))
    if kind == 2:
        return x[tuple(slice(None, None, int(rng.choice([1, -1, 2]))) for _ in x.shape)]
    if kind == 3:
        return np.broadcast_to(x[tuple(slice(0, 1 if rng.random() < 0.4 else None) for _ in x.shape)], x.shape)
    return x


def test_every_layout_and_set_of_axes() -> None:
    rng, backend = np.random.default_rng(3), get_backend("numpy")
    done = 0
    while done < 1000:
        ndim = int(rng.integers(0, 5))
        shape = tuple(
            int(n)
            for n in rng.choice([0, 1, 2, 3, 5, 17, 40, 300], ndim, p=[0.03, 0.12, 0.15, 0.2, 0.15, 0.15, 0.15, 0.05])
        )
        if math.prod(shape) > 300_000:
            continue
        done += 1
        x = _layout(rng, rng.standard_normal(shape).astype(np.float32))
        x.setflags(write=False)
        axes = tuple(int(i) for i in rng.permutation(ndim)[: rng.integers(0, ndim + 1)])
        keepdims = bool(rng.integers(2))
        y = backend.sum(x, axes, keepdims)
        assert type(y) is np.ndarray
        assert y.dtype == np.float32
        assert y.flags.writeable, (x.shape, x.strides, axes)
        assert not np.shares_memory(y, x)
        assert error_of(y, x, axes, keepdims) <= 1e-6, (x.shape, x.strides, axes)


@pytest.mark.parametrize("shape", [(100, 40), (5000, 40), (40, 5000), (3, 5001, 2), (5000,)], ids=str)
def test_infinities_and_nan_stay_where_they_are(shape: tuple[int, ...]) -> None:
    backend = get_backend("numpy")
    x = np.ones(shape, np.float32)
    x[(1,) * len(shape)] = np.inf
    x[(2,) * (len(shape) - 1) + (0,)] = np.nan
    for axis in range(len(shape)):
        with np.errstate(invalid="ignore"):
            assert np.array_equal(backend.sum(x, (axis,)), x.sum(axis, np.float64).astype(np.float32), equal_nan=True)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "case", [((62_500, 16), (0,)), ((100_003, 3), (0,)), ((512, 1024), (1,)), ((8, 64, 999), (0, 2))]
)
def test_sums_of_squares_and_of_float64(case: tuple, dtype: type) -> None:
    shape, axes = case
    x = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    wide = x.astype(np.longdouble)
    for name in NAMES:
        backend = get_backend(name)
        a = backend.asarray(x)
        squares, total = backend.sum_of_squares(a, axes), backend.sum(a, axes)
        assert squares.dtype == total.dtype == dtype
        tolerance = 1e-6 if dtype is np.float32 else 3e-15 if name == "numpy" else 1e-13  # CuPy adds as it does
        assert error_of(backend.to_host(squares), wide * wide, axes) <= tolerance
        assert error_of(backend.to_host(total), wide, axes) <= tolerance
