"""What normalization and reductions reach where others fail: far from zero, constant, tiny, in half precision.

The identifiers N1 … N10 are those of the project's table of figures.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad_layers import BatchNorm1d, BatchNorm2d, GroupNorm, LayerNorm

LAYERS: dict[str, tuple[Callable[[str], mg.Module], tuple[int, ...]]] = {
    "BatchNorm1d": (lambda dtype: BatchNorm1d(16, dtype=dtype), (4096, 16)),
    "BatchNorm1d small": (lambda dtype: BatchNorm1d(16, dtype=dtype), (8, 16)),
    "BatchNorm2d": (lambda dtype: BatchNorm2d(4, dtype=dtype), (16, 4, 8, 8)),
    "LayerNorm": (lambda dtype: LayerNorm(512, dtype=dtype), (32, 512)),
    "GroupNorm": (lambda dtype: GroupNorm(2, 8, dtype=dtype), (8, 8, 6, 6)),
}
NAMES = sorted(LAYERS)


@pytest.mark.parametrize(("shape", "axis"), [((65536, 16), 0), ((64, 4096), 1), ((8, 16), 0)])
def test_n1_variance_far_from_zero(shape: tuple[int, int], axis: int, rng: np.random.Generator) -> None:
    x = (1e6 + rng.standard_normal(shape)).astype("float32")
    exact = x.astype("float64").var(axis=axis)
    assert np.abs(mg.var(mg.tensor(x), axis=axis).numpy() / exact - 1).max() <= 1e-5


@pytest.mark.parametrize("name", NAMES)
def test_n1_outputs_far_from_zero(name: str, rng: np.random.Generator) -> None:
    make, shape = LAYERS[name]
    x = (1e6 + rng.standard_normal(shape)).astype("float32")
    y, exact = (make(dtype)(mg.tensor(x, dtype=dtype)).numpy() for dtype in ("float32", "float64"))
    assert y.dtype == np.float32
    assert np.abs(y - exact).max() <= 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_n2_what_layer_norm_promises(name: str, rng: np.random.Generator) -> None:
    """PyTorch's issue 51102: randn + 2000 in float32 came out with another mean and variance than 0 and 1."""
    make, shape = LAYERS[name]
    x = rng.standard_normal(shape).astype("float32") + np.float32(2000)
    y = make("float32")(mg.tensor(x)).numpy().astype("float64")
    if "Batch" in name:
        rows = np.moveaxis(y, 1, 0).reshape(shape[1], -1)
    else:
        rows = y.reshape(len(y) * (2 if name == "GroupNorm" else 1), -1)
    assert np.abs(rows.mean(1)).max() < 1e-3
    assert np.abs(rows.var(1) - 1).max() < 1e-2


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("value", [0.0, 0.1, -3.3, 1000.0])
@pytest.mark.parametrize("name", NAMES)
def test_n3_a_constant_input_gives_exactly_zero(name: str, value: float, dtype: str, rng: np.random.Generator) -> None:
    make, shape = LAYERS[name]
    layer = make(dtype)
    x = mg.full(shape, value, dtype=dtype, requires_grad=True)
    y = layer(x)
    assert y.dtype == dtype
    assert (y.numpy() == 0).all()
    y.backward(mg.tensor(rng.standard_normal(shape), dtype=dtype))
    for t in (x, layer.weight, layer.bias):
        assert t.grad.dtype == dtype
        assert np.isfinite(t.grad.numpy()).all()


@pytest.mark.parametrize("eps", [0.0, -1e-5, float("nan")])
@pytest.mark.parametrize(
    "cls", [lambda eps: BatchNorm1d(3, eps), lambda eps: LayerNorm(3, eps), lambda eps: GroupNorm(1, 3, eps)]
)
def test_n3_eps_must_be_positive(cls: Callable[[float], mg.Module], eps: float) -> None:
    with pytest.raises(mg.errors.ArgumentError, match="eps"):
        cls(eps)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (BatchNorm1d(3), (1, 3)),
        (BatchNorm1d(3), (1, 3, 1)),
        (BatchNorm2d(3), (1, 3, 1, 1)),
        (BatchNorm1d(3), (0, 3)),
        (BatchNorm1d(3, track_running_stats=False).eval(), (1, 3)),
    ],
)
def test_n4_one_value_per_channel_is_refused_in_training(
    layer: mg.Module, shape: tuple[int, ...], backend: str
) -> None:
    with pytest.raises(ValueError, match=r"shape \(" + ", ".join(map(str, shape))):
        layer.to(backend)(mg.ones(shape, dtype="float32"))


@pytest.mark.parametrize("shape", [(1, 3), (0, 3), (1, 3, 1)])
def test_n4_evaluation_takes_any_batch(shape: tuple[int, ...]) -> None:
    assert BatchNorm1d(3).eval()(mg.ones(shape, dtype="float32")).shape == shape


_running = BatchNorm1d(3)


@given(
    st.integers(0, 2**32),
    st.integers(2, 9),
    st.sampled_from([0.0, 1e-30, 1.0, 1e6, 1e15]),
    st.sampled_from([0.0, 1.0, 1e-3]),
)
def test_n4_running_variance_is_never_nan(seed: int, n: int, offset: float, spread: float) -> None:
    x = offset + spread * np.random.default_rng(seed).standard_normal((n, 3))
    _running.to(mg.tensor(0.0).device)(mg.tensor(x, dtype="float32"))
    assert np.isfinite(_running.running_var.numpy()).all()
    assert (_running.running_var.numpy() >= 0).all()
    assert np.isfinite(_running.running_mean.numpy()).all()


@pytest.mark.parametrize(
    ("shape", "axis"), [((10_000_000,), 0), ((625_000, 16), 0), ((16, 625_000), 1), ((100, 1000, 100), (0, 2))]
)
def test_n10_sums_and_means_of_ten_million(
    shape: tuple[int, ...], axis: int | tuple[int, ...], rng: np.random.Generator
) -> None:
    x = rng.random(shape, dtype=np.float32)
    exact = x.sum(axis=axis, dtype=np.float64)
    n = x.size / exact.size
    t = mg.tensor(x)
    assert np.abs(mg.sum(t, axis=axis).numpy() / exact - 1).max() <= 1e-6
    assert np.abs(mg.mean(t, axis=axis).numpy() / (exact / n) - 1).max() <= 1e-6


@pytest.mark.parametrize("name", NAMES)
def test_half_precision_is_computed_in_single(name: str, rng: np.random.Generator) -> None:
    """300 randn in float16: squares overflow there, the layer does not."""
    make, shape = LAYERS[name]
    x = (300 * rng.standard_normal(shape)).astype("float16")
    y, exact = (make(dtype)(mg.tensor(x, dtype=dtype)).numpy() for dtype in ("float16", "float64"))
    assert y.dtype == np.float16
    assert np.abs(y - exact).max() <= 4e-3
