"""Every layer in every floating dtype, its state, and what its errors say; test_peers.py holds it to PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from peers import rows
from peers.table import Row, flat

import minigrad as mg
import minigrad_layers
from minigrad_layers import (
    BatchNorm1d,
    BatchNorm2d,
    Conv2d,
    Flatten,
    GroupNorm,
    LayerNorm,
    Linear,
    MaxPool2d,
    ReLU,
    Sequential,
)

ROWS = [row for row in rows.ROWS if row.training and all(isinstance(n, int) for spec in row.inputs for n in spec)]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("row", ROWS, ids=[row.key for row in ROWS])
def test_every_dtype_stays_what_it_is(row: Row, dtype: str, rng: np.random.Generator) -> None:
    args, named = row.arguments()
    layer = mg.layer(row.layer, *args, **named).astype(dtype)
    xs = [mg.tensor(rng.standard_normal(shape), dtype=dtype, requires_grad=True) for shape in row.inputs]
    for training in (True, False):
        ys = list(flat(layer.train(training)(*xs)))
        assert {y.dtype for y in ys} == {np.dtype(dtype)}
        assert {y.device for y in ys} == {xs[0].device}
    ys[0].sum().backward()
    assert {x.grad.dtype for x in xs} == {np.dtype(dtype)}
    assert {p.grad.dtype for p in layer.parameters()} <= {np.dtype(dtype)}
    # float32 against float16: statistics are computed in float32, so only the rounding of input and output remains
    exact = mg.layer(row.layer, *args, **named).astype("float64").train(False)
    exact.load_state_dict(layer.state_dict())
    reference = flat(exact(*(mg.tensor(x.numpy(), dtype="float64") for x in xs)))
    off = max(np.abs(a.numpy() - b.numpy()).max() for a, b in zip(ys, reference, strict=True))
    assert off <= {"float16": 3e-2, "float32": 1e-5, "float64": 1e-12}[dtype]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_dtype_and_device_at_construction(dtype: str, backend: str) -> None:
    options = {"dtype": dtype, "device": backend}
    for layer in (
        Linear(2, 3, **options), Conv2d(1, 2, 3, **options), BatchNorm1d(3, **options), LayerNorm(3, **options),
        GroupNorm(1, 3, **options),
    ):  # fmt: skip
        assert {p.dtype for p in layer.parameters()} == {np.dtype(dtype)}
        assert {t.device for t in (*layer.parameters(), *layer.buffers())} == {mg.zeros(1, device=backend).device}
    assert BatchNorm1d(3, dtype="float16").running_var.dtype == np.float32
    assert {p.dtype for p in Linear(2, 3).parameters()} == {np.dtype("float32")}


def test_initial_weights_have_pytorchs_range() -> None:
    for layer, fan in ((Linear(100, 50), 100), (Conv2d(4, 50, 5), 100), (Conv2d(8, 50, 5, groups=2), 100)):
        for p in layer.parameters():
            host = p.numpy()
            assert np.abs(host).max() <= 0.1
            assert host.max() > 0.09 * (host.size > 100)
            assert abs(host.std() / (0.1 / 3**0.5) - 1) < 0.3
        assert fan == 100


def test_sequential_is_a_sequence() -> None:
    model = Sequential(Linear(2, 3), ReLU(), Linear(3, 1))
    assert [type(m).__name__ for m in model] == ["Linear", "ReLU", "Linear"]
    assert model[-1] is model[2]
    head = model[:2]
    assert isinstance(head, Sequential)
    assert list(head.state_dict()) == ["0.weight", "0.bias"]
    named = Sequential({"a": Linear(2, 3), "b": ReLU()})
    assert list(named.state_dict()) == ["a.weight", "a.bias"]
    assert Sequential()(3) == 3


class TestRunningStatistics:
    """Where they come from, and that they disturb nothing."""

    def test_conventions(self, rng: np.random.Generator) -> None:
        batches = [rng.standard_normal((5, 2)) + k for k in range(4)]
        make: dict[str, Callable[[], mg.Module]] = {
            "momentum": lambda: BatchNorm1d(2, momentum=0.25, dtype="float64"),
            "decay": lambda: BatchNorm1d(2, decay=0.75, dtype="float64"),
            "biased": lambda: BatchNorm1d(2, momentum=0.25, correction=0, dtype="float64"),
        }
        layers = {k: f() for k, f in make.items()}
        mean, var, biased = np.zeros(2), np.ones(2), np.ones(2)
        for b in batches:
            for layer in layers.values():
                layer(mg.tensor(b))
            mean = 0.75 * mean + 0.25 * b.mean(0)
            var, biased = (0.75 * v + 0.25 * b.var(0, ddof=k) for k, v in ((1, var), (0, biased)))
        for name, layer in layers.items():
            np.testing.assert_allclose(layer.running_mean.numpy(), mean, rtol=1e-12)
            np.testing.assert_allclose(layer.running_var.numpy(), biased if name == "biased" else var, rtol=1e-12)
            assert layer.num_batches_tracked.item() == 4

    def test_the_cumulative_average(self, rng: np.random.Generator) -> None:
        layer = BatchNorm1d(2, momentum=None, dtype="float64")
        batches = [rng.standard_normal((5, 2)) + k for k in range(4)]
        for b in batches:
            layer(mg.tensor(b))
        np.testing.assert_allclose(layer.running_mean.numpy(), np.mean([b.mean(0) for b in batches], 0), rtol=1e-12)
        np.testing.assert_allclose(
            layer.running_var.numpy(), np.mean([b.var(0, ddof=1) for b in batches], 0), rtol=1e-12
        )
        layer.reset_running_stats()
        assert (layer.running_mean.tolist(), layer.running_var.tolist()) == ([0, 0], [1, 1])
        assert layer.num_batches_tracked.item() == 0

    def test_they_are_not_tracked_and_evaluation_does_not_move_them(self) -> None:
        layer = BatchNorm1d(2)
        x = mg.tensor([[1.0, 2.0], [3.0, 5.0]], dtype="float32", requires_grad=True)
        layer(x)
        assert not any(b.requires_grad for b in layer.buffers())
        before = layer.state_dict()
        layer.eval()(x).sum().backward()
        for name, value in layer.state_dict().items():
            np.testing.assert_array_equal(value, before[name])

    def test_a_batch_between_forward_and_backward_changes_no_gradient(self, rng: np.random.Generator) -> None:
        a, g = rng.standard_normal((2, 5, 3)).astype("float32")
        found = []
        for disturbed in (False, True):
            layer = BatchNorm1d(3)
            x = mg.tensor(a, requires_grad=True)
            y = layer(x)
            if disturbed:
                layer(mg.tensor(a * 100))
                layer.weight.data = layer.weight.data * 0
            y.backward(mg.tensor(g))
            found.append(x.grad.numpy())
        np.testing.assert_array_equal(*found)

    def test_training_works_without_recording(self) -> None:
        layer = BatchNorm1d(2)
        with mg.no_grad():
            layer(mg.tensor([[1.0, 2.0], [3.0, 5.0]], dtype="float32"))
        np.testing.assert_allclose(layer.running_mean.numpy(), [0.2, 0.35], rtol=1e-6)


def test_labels_for_routes() -> None:
    with mg.trace() as graph:
        BatchNorm1d(2)(mg.tensor([[1.0, 2.0], [3.0, 5.0]], requires_grad=True))
    text = graph.to_json()
    assert '"mean"' in text
    assert '"var"' in text


def test_every_layer_of_the_package_is_registered_and_exported() -> None:
    listed = {name for name, info in mg.layers().items() if info.origin == "minigrad-layers"}
    exported = {name: getattr(minigrad_layers, name) for name in minigrad_layers.__all__}
    assert all(issubclass(cls, mg.Module) for cls in exported.values())
    assert listed == {name for name, cls in exported.items() if cls.forward is not mg.Module.forward}  # else it holds
    assert len(set(minigrad_layers.__all__)) == len(minigrad_layers.__all__)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: Linear(0, 2), "in_features=0"),
        (lambda: Linear(3, 2)(mg.ones((4, 5), dtype="float32")), r"shape \(4, 5\).*in_features=3"),
        (lambda: Conv2d(3, 4, 3, groups=2), "groups=2"),
        (lambda: Conv2d(3, 4, (3, 3, 3)), "kernel_size"),
        (lambda: Conv2d(3, 4, 2, padding="some"), "padding"),
        (lambda: Conv2d(3, 4, 3, 2, padding="same"), "stride is"),
        (lambda: Conv2d(3, 4, 3)(mg.ones((1, 2, 5, 5))), r"\(1, 2, 5, 5\).*c = in_channels = 3"),
        (lambda: MaxPool2d(0)(mg.ones((1, 1, 4, 4))), "kernel_size"),
        (lambda: Flatten(2)(mg.ones((2, 3))), r"start_dim=2.*\(2, 3\)"),
        (lambda: BatchNorm1d(3)(mg.ones((4, 2))), "num_features = 3"),
        (lambda: BatchNorm1d(3)(mg.ones((4, 3, 2, 2))), r"\(n, c\) or \(n, c, l\)"),
        (lambda: BatchNorm2d(3)(mg.ones((4, 3))), r"\(n, c, h, w\)"),
        (lambda: BatchNorm1d(3)(mg.ones((4, 3), dtype="int64")), "int64"),
        (lambda: BatchNorm1d(3, momentum=1.5), "momentum: 1.5"),
        (lambda: BatchNorm1d(3, momentum=0.2, decay=0.9), "decay=0.9"),
        (lambda: BatchNorm1d(3, correction=2), "correction: 2"),
        (lambda: LayerNorm(3)(mg.ones((4, 2))), "normalized_shape=3"),
        (lambda: LayerNorm(()), "normalized_shape"),
        (lambda: GroupNorm(2, 3), "num_groups: 2"),
        (lambda: GroupNorm(2, 4)(mg.ones((4, 2))), "num_channels = 4"),
        (lambda: Sequential({"forward": ReLU()}), "'forward'"),
    ],
)
def test_errors_name_the_argument(call: Callable[[], Any], says: str) -> None:
    with pytest.raises(mg.errors.MinigradError, match=says):
        call()


def test_sequential_takes_modules_only() -> None:
    with pytest.raises(TypeError, match="function"):
        Sequential(ReLU(), lambda x: x)
