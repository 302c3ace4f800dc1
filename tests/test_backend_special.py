"""What a backend computes in a way of its own is what the mathematics says, to the last digits."""

from __future__ import annotations

import math

import numpy as np
import pytest

from minigrad.backend import available, get_backend

NAMES = [name for name, reason in available().items() if not reason]
EDGES = [0.0, -0.0, 1e-320, 0.5 / 512, 1 / 512, 1.0, 5.9999999, 6.0, 6.0000001, 7.995, 1e300, math.inf]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("dtype", "ulps"), [(np.float16, 1), (np.float32, 8), (np.float64, 4)])
def test_erf_beside_the_c_library(name: str, dtype: type, ulps: int) -> None:
    rng, backend = np.random.default_rng(0), get_backend(name)
    drawn = [rng.uniform(-7, 7, 100_000), rng.normal(0, 0.01, 50_000), np.exp(rng.uniform(-60, 3, 50_000))]
    with np.errstate(over="ignore", under="ignore"):
        x = np.concatenate([*drawn, EDGES, np.negative(EDGES)]).astype(dtype)
    exact = np.array([math.erf(v) for v in x.astype(float).tolist()])
    y = backend.to_host(backend.erf(backend.asarray(x)))
    assert y.dtype == dtype
    size = np.maximum(np.abs(exact), 1e-37 if dtype is np.float32 else float(np.finfo(dtype).tiny)).astype(dtype)
    assert (np.abs(y - exact) / np.spacing(size).astype(float)).max() <= ulps
    assert (np.signbit(y) == np.signbit(x)).all()
    assert np.isnan(backend.to_host(backend.erf(backend.asarray(np.array([np.nan, 1.0], dtype)))))[0]


@pytest.mark.parametrize("name", NAMES)
def test_positions_in_frozen_arrays(name: str) -> None:
    backend = get_backend(name)
    x = np.random.default_rng(0).permutation(6000).reshape(60, 100).astype(np.float32)
    for frozen in (backend.freeze(backend.asarray(x)), backend.freeze(backend.asarray(x)).T, backend.asarray(x)):
        host = backend.to_host(frozen)
        for axis in (None, 0, 1):
            for keepdims in (False, True):
                for largest, call in ((True, np.argmax), (False, np.argmin)):
                    y = backend.to_host(backend.position(frozen, axis, keepdims, largest))
                    np.testing.assert_array_equal(y, call(host, axis=axis, keepdims=keepdims))
        np.testing.assert_array_equal(backend.to_host(frozen), host)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_hypot_of_long_arrays(name: str, dtype: type) -> None:
    rng, backend = np.random.default_rng(0), get_backend(name)
    a, b = rng.standard_normal((2, 40, 50)).astype(dtype)
    large = dtype(np.finfo(dtype).max / 4)
    pairs = [
        (a, b),
        (a, b[:1]),
        (a[:, :1], b),
        (a * 0, b * 0),
        (a * large, b),
        (a / large, b / large),
        (a[:, :1], b[:1, :0]),
    ]
    pairs += [(a, dtype(np.nan) + b), (a, np.where(b > 0, b, dtype(np.inf))), (a.astype(np.int64) << 40, a * b)]
    for u, v in [*pairs, (a, 1.0)]:
        with np.errstate(over="ignore"):
            exact = np.hypot(u, v)
        y = backend.to_host(backend.hypot(*(w if isinstance(w, float) else backend.asarray(w) for w in (u, v))))
        assert y.dtype == exact.dtype
        np.testing.assert_array_max_ulp(y, exact, 1)


@pytest.mark.parametrize("name", NAMES)
def test_products_of_long_axes(name: str) -> None:
    backend = get_backend(name)
    x = np.random.default_rng(0).uniform(0.9, 1.1, (2, 24, 512))
    for axes in ((), (0,), (1,), (2,), (1, 2), (0, 2), (0, 1, 2)):
        for keepdims in (False, True):
            for a in (x, x.astype(np.float32), x[:, :, ::-1], x[:, :, :511], (x > 1).astype(np.int32) + 1 >> 1):
                y, exact = (
                    backend.to_host(backend.prod(backend.asarray(a), axes, keepdims)),
                    a.prod(axes, keepdims=keepdims),
                )
                assert (y.shape, y.dtype) == (exact.shape, exact.dtype)
                assert np.allclose(
                    y, exact, rtol=1e-12 if a.dtype.kind == "i" or a.dtype == np.float64 else 1e-4, atol=0
                )
