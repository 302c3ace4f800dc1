"""Norms that a second input steers, norms that mix, and the pair that normalizes a series and brings it back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad_layers import (
    AdaLayerNorm,
    AdaptiveInstanceNorm,
    BatchNorm1d,
    BatchNorm2d,
    ConditionalBatchNorm,
    EvoNormB0,
    EvoNormS0,
    InstanceNorm2d,
    LayerNorm,
    RevIN,
    SwitchableNorm,
)

Layer = Any


def close(a: Any, b: Any, tolerance: float = 1e-12) -> None:
    np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=tolerance, atol=tolerance)


def drawn(layer: mg.Module, rng: np.random.Generator) -> Layer:
    """The layer in float64, its parameters anywhere."""
    layer.astype("float64")
    for p in layer.parameters():
        p.data = rng.standard_normal(p.shape)
    return layer


def unit(x: np.ndarray, axes: tuple[int, ...], eps: float) -> np.ndarray:
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps)


# ---- a style


@pytest.mark.parametrize("alpha", [1.0, 0.25])
def test_adaptive_instance_norm_takes_mean_and_deviation_of_the_style(alpha: float, rng: np.random.Generator) -> None:
    x, s = rng.standard_normal((2, 3, 4, 5)), 2 + 3 * rng.standard_normal((2, 3, 2, 3))
    y = AdaptiveInstanceNorm(alpha=alpha)(mg.tensor(x), mg.tensor(s)).numpy()
    std = np.sqrt(s.var((2, 3), keepdims=True) + 1e-5)
    close(y, alpha * (unit(x, (2, 3), 1e-5) * std + s.mean((2, 3), keepdims=True)) + (1 - alpha) * x)


def test_adaptive_instance_norm_takes_a_style_vector(rng: np.random.Generator) -> None:
    layer = drawn(AdaptiveInstanceNorm(3, 4), rng)
    x, s = rng.standard_normal((2, 3, 4, 5)), rng.standard_normal((2, 4))
    gamma, beta = np.split(s @ layer.fc.weight.numpy().T + layer.fc.bias.numpy(), 2, 1)
    expected = (1 + gamma)[:, :, None, None] * unit(x, (2, 3), 1e-5) + beta[:, :, None, None]
    close(layer(mg.tensor(x), mg.tensor(s)).numpy(), expected)


@pytest.mark.parametrize(
    ("layer", "shapes"),
    [
        (AdaptiveInstanceNorm(), [(2, 3, 4), (2, 2, 4)]),
        (AdaptiveInstanceNorm(), [(2, 3, 4), (1, 3, 4)]),
        (AdaptiveInstanceNorm(3, 2), [(2, 4, 4), (2, 2)]),
        (ConditionalBatchNorm(3, embedding_dim=2), [(2, 3), (1, 2)]),
        (ConditionalBatchNorm(3, embedding_dim=2), [(2, 4), (2, 2)]),
        (AdaLayerNorm(3, 2), [(2, 5, 3), (2, 5, 2)]),
        (AdaLayerNorm(3, 2), [(2, 4), (2, 2)]),
        (RevIN(3), [(2, 3)]),
        (RevIN(3), [(2, 3, 2)]),
        (SwitchableNorm(3), [(2, 3)]),
        (SwitchableNorm(3), [(1, 3, 1)]),
        (EvoNormB0(3), [(1, 3, 1)]),
        (EvoNormS0(3, 1), [(1, 3)]),
    ],
)
def test_shapes_that_do_not_go_together_are_named(layer: mg.Module, shapes: list[tuple[int, ...]]) -> None:
    with pytest.raises(mg.errors.ShapeError, match=type(layer).__name__):
        layer(*(mg.ones(s, dtype="float32") for s in shapes))


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: AdaptiveInstanceNorm(3), "style_dim"),
        (lambda: ConditionalBatchNorm(3), "embedding_dim"),
        (lambda: ConditionalBatchNorm(3, 2, embedding_dim=2), "num_classes=2"),
        (lambda: AdaLayerNorm(3, order="scale shift"), "order"),
        (lambda: EvoNormS0(3, 2), "groups=2"),
        (lambda: EvoNormS0(3, group_size=2), "group_size=2"),
        (lambda: EvoNormB0(3, momentum=2), "momentum"),
    ],
)
def test_arguments_that_do_not_go_together_are_named(make: Any, named: str) -> None:
    with pytest.raises(mg.errors.ArgumentError, match=named):
        make()


# ---- a class or an embedding


def test_conditional_batch_norm_has_a_row_for_each_class(rng: np.random.Generator) -> None:
    layer, plain = drawn(ConditionalBatchNorm(2, 3), rng), BatchNorm1d(2, affine=False, dtype="float64")
    x, k = rng.standard_normal((4, 2, 3)), np.array([2, 0, 2, 1])
    w, b = (layer.weight.numpy()[k][:, :, None], layer.bias.numpy()[k][:, :, None])
    for training in (True, False):
        y = layer.train(training)(mg.tensor(x), mg.tensor(k)).numpy()
        close(y, plain.train(training)(mg.tensor(x)).numpy() * w + b)
    close(layer.running_var.numpy(), plain.running_var.numpy())


def test_conditional_batch_norm_starts_unconditioned(rng: np.random.Generator) -> None:
    x = mg.tensor(rng.standard_normal((4, 2, 3, 3)), dtype="float32")
    plain = BatchNorm2d(2)(x).numpy()
    close(ConditionalBatchNorm(2, 3)(x, mg.tensor([0, 1, 2, 0])).numpy(), plain, 1e-6)
    embedded = ConditionalBatchNorm(2, embedding_dim=5)
    e = mg.tensor(rng.standard_normal((4, 5)), dtype="float32")
    close(embedded(x, e).numpy(), plain, 1e-6)


def test_conditional_batch_norm_adds_what_its_networks_make_of_an_embedding(rng: np.random.Generator) -> None:
    layer = drawn(ConditionalBatchNorm(2, embedding_dim=3), rng)
    x, e = rng.standard_normal((4, 2)), rng.standard_normal((4, 3))

    def made(mlp: Any) -> np.ndarray:
        hidden = np.maximum(e @ mlp[0].weight.numpy().T + mlp[0].bias.numpy(), 0)
        return hidden @ mlp[2].weight.numpy().T + mlp[2].bias.numpy()

    weight, bias = layer.weight.numpy() + made(layer.weight_mlp), layer.bias.numpy() + made(layer.bias_mlp)
    close(layer(mg.tensor(x), mg.tensor(e)).numpy(), unit(x, (0,), 1e-5) * weight + bias)


@pytest.mark.parametrize("order", ["shift, scale", "scale, shift"])
def test_ada_layer_norm_is_the_papers_modulation(order: str, rng: np.random.Generator) -> None:
    layer = drawn(AdaLayerNorm(3, 4, order=order, gate=True), rng)
    x, c = rng.standard_normal((2, 5, 3)), rng.standard_normal((2, 4))
    made = (c / (1 + np.exp(-c))) @ layer.linear.weight.numpy().T + layer.linear.bias.numpy()
    parts = dict(zip([*order.split(", "), "gate"], np.split(made[:, None], 3, -1), strict=True))
    y, gate = layer(mg.tensor(x), mg.tensor(c))
    close(y.numpy(), unit(x, (-1,), 1e-6) * (1 + parts["scale"]) + parts["shift"])
    close(gate.numpy(), parts["gate"])


def test_ada_layer_norm_starts_as_layer_norm_with_a_closed_gate(rng: np.random.Generator) -> None:
    x, c = (mg.tensor(rng.standard_normal(s), dtype="float32") for s in ((2, 5, 3), (2, 3)))
    y, gate = AdaLayerNorm(3, gate=True)(x, c)
    assert (y.numpy() == LayerNorm(3, 1e-6)(x).numpy()).all()
    assert (gate.numpy() == 0).all()


# ---- mixtures


@pytest.mark.parametrize(
    ("at", "other"), [(0, lambda: InstanceNorm2d(3)), (1, lambda: LayerNorm((3, 4, 4))), (2, lambda: BatchNorm2d(3))]
)
def test_switchable_norm_that_has_chosen_is_that_norm(at: int, other: Any, rng: np.random.Generator) -> None:
    layer: Layer = SwitchableNorm(3, dtype="float64")
    plain = other().astype("float64")
    for p in (layer.mean_weight, layer.var_weight):
        p.data = np.where(np.arange(3) == at, 0.0, -800.0)
    x = mg.tensor(rng.standard_normal((4, 3, 4, 4)))
    close(layer(x).numpy(), plain(x).numpy())
    close(layer.eval()(x).numpy(), plain.eval()(x).numpy())


def test_switchable_norm_mixes_means_and_variances_apart(rng: np.random.Generator) -> None:
    layer = drawn(SwitchableNorm(3), rng)
    x = rng.standard_normal((4, 3, 2, 2))
    w, v = (np.exp(p.numpy()) / np.exp(p.numpy()).sum() for p in (layer.mean_weight, layer.var_weight))
    of = (2, 3), (1, 2, 3), (0, 2, 3)
    mean = sum(a * x.mean(axes, keepdims=True) for a, axes in zip(w, of, strict=True))
    var = sum(a * x.var(axes, keepdims=True) for a, axes in zip(v, of, strict=True))
    gain, shift = (p.numpy()[:, None, None] for p in (layer.weight, layer.bias))
    close(layer(mg.tensor(x)).numpy(), (x - mean) / np.sqrt(var + 1e-5) * gain + shift)


def test_running_variances_are_not_kept_in_half_precision() -> None:
    assert EvoNormB0(2, dtype="float16").running_var.dtype == np.float32
    assert EvoNormB0(2, dtype="float64").running_var.dtype == np.float64


# ---- series


def test_a_series_comes_back(rng: np.random.Generator) -> None:
    layer = drawn(RevIN(3), rng)
    x = mg.tensor(100 + 20 * rng.standard_normal((2, 7, 3)), requires_grad=True)
    y, mean, var = layer.norm(x)
    close(layer(x).numpy(), y.numpy())
    close(layer(y, (mean, var)).numpy(), x.numpy(), 1e-11)
    close(y.numpy(), unit(x.numpy(), (1,), 1e-5) * layer.affine_weight.numpy() + layer.affine_bias.numpy())
    g = rng.standard_normal(x.shape)
    layer.denorm(y, (mean, var)).backward(mg.tensor(g))
    close(x.grad.numpy(), g, 1e-9)  # the identity, statistics included: were they constants, this would fail


def test_the_mean_of_a_forecast_is_that_of_the_series() -> None:
    layer, x = RevIN(1, affine=False), mg.tensor([[[10.0], [30.0]]])
    _, *statistics = layer.norm(x)
    close(layer(mg.zeros((1, 4, 1)), statistics).numpy(), np.full((1, 4, 1), 20.0))
