"""N1, N3, N4 for every layer of the family, from its registration alone: far from zero, constant, one value, no batch.

The identifiers are those of the project's table of figures; test_norm_numerics.py has them at size.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import minigrad as mg
import minigrad_layers

# What a constant input becomes: exactly 0 where the mean is taken away over it and nothing has been learnt yet.
CENTRED = {
    "AdaLayerNorm", "BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "ConditionalBatchNorm", "GhostBatchNorm", "GroupNorm",
    "InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d", "LayerNorm", "SwitchableNorm",
}  # fmt: skip
PER_BATCH = {  # statistics over the batch, which one value has not
    "BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "BatchRenorm", "ConditionalBatchNorm", "EvoNormB0", "GhostBatchNorm",
    "SwitchableNorm",
}  # fmt: skip

OF_WEIGHTS = {"Orthogonal", "SpectralNorm", "WeightNorm", "WeightStandardization"}  # which normalize no input


def samples() -> Iterator[Any]:
    for name, info in sorted(mg.layers().items()):
        if info.family == "normalization" and info.origin == "minigrad-layers" and name not in OF_WEIGHTS:
            for sample in mg.Sample.of(getattr(minigrad_layers, name)):
                yield pytest.param(name, sample, id=f"{name}({sample})")


each = pytest.mark.parametrize(("name", "sample"), [*samples()])
each_dtype = pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])


def nested(given: Any, f: Callable[[np.ndarray], Any]) -> Any:
    if isinstance(given, (tuple, list)):
        return type(given)(nested(v, f) for v in given)
    if isinstance(given, dict):
        return {k: nested(v, f) for k, v in given.items()}
    return f(given) if isinstance(given, np.ndarray) else given


def run(name: str, sample: mg.Sample, dtype: str, change: Callable[[np.ndarray], np.ndarray], batch: Any = None) -> Any:
    """The layer as it starts, its first input changed, all cut to a batch: (output, first input, layer)."""
    mg.random.seed(0)
    layer = sample.build(getattr(minigrad_layers, name)).astype(dtype)
    (first, *args), keywords = sample.values(np.random.default_rng(1))
    cut = slice(None) if batch is None else slice(batch)

    def made(a: np.ndarray) -> mg.Tensor:
        return mg.tensor(a[cut], dtype=dtype if a.dtype.kind == "f" else None)

    # in float32 first, so that each dtype that can is given the same numbers
    x = mg.tensor(change(first[cut].astype("float32")), dtype=dtype, requires_grad=True)

    def forward(training: bool = True) -> Any:
        y = layer.train(training)(x, *nested(args, made), **nested(keywords, made))
        return y[0] if isinstance(y, tuple) else y

    return forward, x, layer


@each
def test_parameters_and_statistics_start_in_float32(name: str, sample: mg.Sample) -> None:
    layer = mg.layer(name, *sample.args, **sample.kwargs)
    kinds = {t.dtype for t in (*layer.parameters(), *layer.buffers()) if t.dtype.kind == "f"}
    assert kinds <= {np.dtype("float32")}


@each
def test_n1_far_from_zero_float32_is_float64(name: str, sample: mg.Sample) -> None:
    y, exact = (
        run(name, sample, dtype, lambda a: a + np.float32(1e6))[0]().numpy() for dtype in ("float32", "float64")
    )
    assert y.dtype == np.float32
    assert (np.abs(y - exact) <= 1e-3 * np.maximum(1.0, np.abs(exact))).all()


@each_dtype
@pytest.mark.parametrize("value", [0.0, -3.3, 20.0])
@each
def test_n3_constant_inputs(name: str, sample: mg.Sample, value: float, dtype: str) -> None:
    forward, x, layer = run(name, sample, dtype, lambda a: np.full_like(a, value))
    y = forward()
    assert y.dtype == dtype
    assert np.isfinite(y.numpy()).all()
    if name in CENTRED:
        assert (y.numpy() == 0).all()
    y.backward(mg.tensor(np.random.default_rng(2).standard_normal(y.shape), dtype=dtype))
    for t in (x, *layer.parameters()):
        assert t.grad is None or np.isfinite(t.grad.numpy()).all()


@pytest.mark.parametrize("eps", [0.0, -1e-5, float("nan")])
@each
def test_n3_eps_must_be_above_zero(name: str, sample: mg.Sample, eps: float) -> None:
    cls = getattr(minigrad_layers, name)
    call = inspect.signature(cls).bind(*sample.args, **sample.kwargs)
    if "eps" not in call.signature.parameters:
        pytest.skip("divides by no eps")
    call.arguments["eps"] = eps
    with pytest.raises(mg.errors.ArgumentError, match="eps"):
        cls(*call.args, **call.kwargs)


@each
def test_n4_one_value_for_a_statistic(name: str, sample: mg.Sample) -> None:
    if name not in PER_BATCH or not getattr(mg.layer(name, *sample.args, **sample.kwargs), "apply_act", True):
        pytest.skip("takes no statistic of the batch")
    forward, x, layer = run(
        name, sample, "float32", lambda a: a[(slice(None), slice(None), *(slice(1),) * (a.ndim - 2))], 1
    )
    state = layer.state_dict()
    with pytest.raises(ValueError, match=r"shape \(" + ", ".join(map(str, x.shape)) + r".*(larger|eval)"):
        forward()
    assert all((v == state[k]).all() for k, v in layer.state_dict().items())  # nothing has moved
    if any(True for _ in layer.buffers()):
        assert np.isfinite(forward(training=False).numpy()).all()


@pytest.mark.parametrize("batch", [0, 1])
@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@each
def test_batches_of_one_and_of_none(name: str, sample: mg.Sample, training: bool, batch: int) -> None:
    """A result that is finite, or an error that names the shape; never a NaN that is kept."""
    forward, x, layer = run(name, sample, "float32", lambda a: a, batch)
    said, y = "", None
    try:
        y = forward(training)
    except ValueError as error:
        said = str(error)
    if y is None:
        assert str(x.shape) in said
        assert training or not any(True for _ in layer.buffers())
    else:
        assert y.shape[:1] == x.shape[:1]
        assert np.isfinite(y.numpy()).all()
    assert all(np.isfinite(b.numpy()).all() for b in layer.buffers())


def test_the_lists_name_layers_that_are_there() -> None:
    assert {p.values[0] for p in samples()} >= CENTRED | PER_BATCH
