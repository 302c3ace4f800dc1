"""Layers whose weight is computed: the formulas in NumPy, names of state, what is learnt, what is kept, what stays."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad_layers import (
    LSTM,
    Conv2d,
    ConvTranspose2d,
    Linear,
    Orthogonal,
    Sequential,
    SpectralNorm,
    WeightNorm,
    WeightStandardization,
)

Layer = Callable[[], mg.Module]
INNER: dict[str, tuple[Layer, tuple[int, ...]]] = {
    "Linear": (lambda: Linear(3, 2, dtype="float64"), (4, 3)),
    "Conv2d": (lambda: Conv2d(2, 3, 2, dtype="float64"), (2, 2, 3, 3)),
    "ConvTranspose2d": (lambda: ConvTranspose2d(2, 3, 2, dtype="float64"), (2, 2, 2, 2)),
}
WRAPPERS: dict[str, tuple[Callable[[mg.Module], mg.Module], list[str]]] = {
    "WeightNorm": (WeightNorm, ["bias", "weight_g", "weight_v"]),
    "SpectralNorm": (SpectralNorm, ["bias", "weight_orig", "weight_u", "weight_v"]),
    "WeightStandardization": (lambda m: WeightStandardization(m, gain=True), ["bias", "weight", "gain"]),
    "Orthogonal": (Orthogonal, ["bias", "weight_orig", "weight_base"]),
}
each_wrapper = pytest.mark.parametrize("wrapper", WRAPPERS)
each_layer = pytest.mark.parametrize("inner", INNER)


def computed_with(layer: mg.Module, x: mg.Tensor, weight: np.ndarray) -> np.ndarray:
    """What a layer gives with another weight."""
    with mg.stand_in(layer, {"weight": mg.tensor(weight)}):
        return layer(x).numpy()


def flat(w: np.ndarray) -> np.ndarray:
    return w.reshape(len(w), -1)


@each_layer
@each_wrapper
def test_state_is_under_flat_names_and_the_layer_goes_on_as_before(wrapper: str, inner: str) -> None:
    make, names = WRAPPERS[wrapper]
    layer = make(INNER[inner][0]())
    assert list(layer.state_dict()) == names
    assert "(layer): " + inner in repr(layer)


@each_layer
def test_weight_norm_starts_as_the_layer_it_wraps_and_is_its_formula(inner: str, rng: np.random.Generator) -> None:
    make, shape = INNER[inner]
    plain = make()
    layer, x = WeightNorm(copy.deepcopy(plain)), mg.tensor(rng.standard_normal(shape))
    np.testing.assert_allclose(layer(x).numpy(), plain(x).numpy(), rtol=0, atol=1e-12)
    v, g = rng.standard_normal(layer.weight_v.shape), rng.standard_normal(layer.weight_g.shape)
    layer.load_state_dict({"weight_g": g, "weight_v": v}, strict=False)
    length = np.sqrt((flat(v) ** 2).sum(1)).reshape(g.shape)
    np.testing.assert_allclose(layer(x).numpy(), computed_with(plain, x, g * v / length), rtol=0, atol=1e-12)


def test_weight_norm_of_a_row_of_zeros_is_zero() -> None:
    """In PyTorch 2 it is NaN, value and gradient."""
    layer = WeightNorm(Linear(3, 2, bias=False, dtype="float64"))
    v = layer.weight_v.numpy()
    v[0] = 0
    layer.weight_v.data = v
    y = layer(mg.ones((1, 3)))
    assert y[0, 0].item() == 0
    (gradient,) = mg.gradients(y.sum(), [layer.weight_v])
    assert (gradient.numpy()[0] == 0).all()


def test_weight_norm_of_the_whole_weight_has_one_length(rng: np.random.Generator) -> None:
    plain = Linear(3, 2, dtype="float64")
    layer, x = WeightNorm(copy.deepcopy(plain), dim=None), mg.tensor(rng.standard_normal((4, 3)))
    assert layer.weight_g.shape == ()
    layer.weight_g.data = np.float64(2.0)
    w = plain.weight.numpy()
    np.testing.assert_allclose(layer(x).numpy(), computed_with(plain, x, 2 * w / np.linalg.norm(w)), atol=1e-12)


@each_layer
def test_spectral_norm_divides_by_the_largest_singular_value(inner: str, rng: np.random.Generator) -> None:
    make, shape = INNER[inner]
    plain = make()
    layer, x = SpectralNorm(copy.deepcopy(plain)), mg.tensor(rng.standard_normal(shape))
    w = plain.weight.numpy()
    for _ in range(200):
        y = layer(x).numpy()
    sigma = np.linalg.svd(flat(np.swapaxes(w, 0, 1) if "Transpose" in inner else w))[1][0]
    np.testing.assert_allclose(y, computed_with(plain, x, w / sigma), rtol=0, atol=1e-9)


def test_spectral_norm_steps_v_then_u_in_training_only(rng: np.random.Generator) -> None:
    layer, x = SpectralNorm(Linear(3, 2, bias=False, dtype="float64")), mg.tensor(rng.standard_normal((4, 3)))
    w, u = layer.weight_orig.numpy(), np.array([0.6, 0.8])
    layer.weight_u.assign(mg.tensor(u))
    layer(x)
    v = w.T @ u / np.linalg.norm(w.T @ u)
    u = w @ v / np.linalg.norm(w @ v)
    np.testing.assert_allclose(layer.weight_v.numpy(), v, rtol=0, atol=1e-14)
    np.testing.assert_allclose(layer.weight_u.numpy(), u, rtol=0, atol=1e-14)
    y = layer.eval()(x).numpy()
    np.testing.assert_allclose(y, x.numpy() @ (w / (u @ w @ v)).T, rtol=0, atol=1e-14)
    np.testing.assert_allclose(layer.weight_v.numpy(), v, rtol=0, atol=1e-14)


def test_spectral_norm_may_be_evaluated_first(rng: np.random.Generator) -> None:
    """PyTorch's issue 51800: without a step in training, u and v were random and σ anything."""
    w = rng.standard_normal((4, 3)) + 3
    plain = Linear(3, 4, bias=False, dtype="float64")
    plain.weight.data = w
    layer = SpectralNorm(plain).eval()
    y = layer(mg.eye(3)).numpy().T
    assert abs(np.linalg.svd(y)[1][0] - 1) <= 1e-6


def test_spectral_norm_is_differentiated_through_sigma(rng: np.random.Generator) -> None:
    """With u and v constant: d(W / σ) · G = (G - (W : G) / σ · u vᵀ) / σ."""
    layer = SpectralNorm(Linear(3, 2, bias=False, dtype="float64")).eval()
    w, u, v = (getattr(layer, f"weight_{k}").numpy() for k in ("orig", "u", "v"))
    g, sigma = rng.standard_normal((2, 3)), u @ w @ v
    (gradient,) = mg.gradients((layer(mg.eye(3)).T * mg.tensor(g)).sum(), [layer.weight_orig])
    np.testing.assert_allclose(gradient.numpy(), (g - (w * g).sum() / sigma * np.outer(u, v)) / sigma, atol=1e-12)


@each_wrapper
def test_two_calls_before_one_sweep(wrapper: str, rng: np.random.Generator) -> None:
    """PyTorch's issue 13350: the second call wrote over what the first one's gradient needs."""
    layer = WRAPPERS[wrapper][0](Linear(3, 2, dtype="float64"))
    xs = [mg.tensor(rng.standard_normal((4, 3))) for _ in range(2)]
    twin = copy.deepcopy(layer)
    for x in xs:
        twin(x).sum().backward()
    (layer(xs[0]).sum() + layer(xs[1]).sum()).backward()
    for (name, p), q in zip(layer.named_parameters(), twin.parameters(), strict=True):
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=0, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("gain", [False, True])
@pytest.mark.parametrize("inner", ["Linear", "Conv2d"])
def test_weight_standardization_is_its_formula(inner: str, gain: bool, rng: np.random.Generator) -> None:
    make, shape = INNER[inner]
    plain = make()
    layer, x = WeightStandardization(copy.deepcopy(plain), gain=gain), mg.tensor(rng.standard_normal(shape))
    w = plain.weight.numpy()
    rows = flat(w)
    rows = (rows - rows.mean(1, keepdims=True)) / np.sqrt(rows.var(1, keepdims=True) + 1e-5)
    if gain:
        factor = rng.standard_normal((len(w), 1))
        layer.gain.data = factor.reshape(layer.gain.shape)
        rows = rows * factor / np.sqrt(rows.shape[1])
    np.testing.assert_allclose(layer(x).numpy(), computed_with(plain, x, rows.reshape(w.shape)), rtol=0, atol=1e-12)


@pytest.mark.parametrize("shape", [(3, 2), (2, 3), (3, 3)])
def test_orthogonal_stays_orthogonal_wherever_its_parameter_goes(
    shape: tuple[int, int], rng: np.random.Generator
) -> None:
    plain = Linear(*shape, bias=False, dtype="float64")
    layer = Orthogonal(plain)
    start = layer(mg.eye(shape[0])).numpy().T
    for scale in (0.0, 1.0, 100.0):
        layer.weight_orig.data = scale * rng.standard_normal(shape[::-1])
        q = layer(mg.eye(shape[0])).numpy().T
        small = q @ q.T if q.shape[0] <= q.shape[1] else q.T @ q
        np.testing.assert_allclose(small, np.eye(len(small)), rtol=0, atol=1e-12)
        assert (np.abs(q - start).max() <= 1e-12) == (scale == 0.0)


THEIRS = {
    "WeightNorm": ["bias", "parametrizations.weight.original0", "parametrizations.weight.original1"],
    "SpectralNorm": [
        "bias",
        "parametrizations.weight.original",
        "parametrizations.weight.0._u",
        "parametrizations.weight.0._v",
    ],
}


@pytest.mark.parametrize("wrapper", THEIRS)
@pytest.mark.parametrize("path", ["", "1."])
def test_states_under_pytorchs_newer_names_are_taken(wrapper: str, path: str, rng: np.random.Generator) -> None:
    layer = WRAPPERS[wrapper][0](Linear(3, 2, dtype="float64"))
    model = Sequential(Linear(1, 1), layer) if path else layer
    ours = layer.state_dict()
    given = {k: rng.standard_normal(v.shape) for k, v in ours.items()}
    theirs = {path + name: given[k] for name, k in zip(THEIRS[wrapper], ours, strict=True)}
    rest = {k: v for k, v in model.state_dict().items() if path and not k.startswith(path)}
    model.load_state_dict({**rest, **theirs}, strict=True)
    for name, array in layer.state_dict().items():
        np.testing.assert_array_equal(array, given[name])


def test_one_parameter_under_both_names_is_refused() -> None:
    layer = WeightNorm(Linear(3, 2))
    state = layer.state_dict()
    with pytest.raises(mg.errors.CheckpointError, match="twice"):
        layer.load_state_dict({**state, "parametrizations.weight.original0": state["weight_g"]})


@each_wrapper
def test_a_copy_is_one_of_its_own_and_files_bring_back_the_same(wrapper: str, tmp_path: Path) -> None:
    layer, x = WRAPPERS[wrapper][0](Linear(3, 2)), mg.ones((1, 3), dtype="float32")
    twin = copy.deepcopy(layer)
    before = layer(x).numpy()
    for p in twin.parameters():
        p.data = p.numpy() + 1
    twin(x)
    np.testing.assert_allclose(layer.eval()(x).numpy(), before, rtol=1e-3)
    mg.save(tmp_path / "state", model=layer)
    mg.load(tmp_path / "state", model=twin)
    np.testing.assert_array_equal(twin.eval()(x).numpy(), layer(x).numpy())


@each_wrapper
def test_frozen_it_moves_nothing(wrapper: str) -> None:
    layer = WRAPPERS[wrapper][0](Linear(3, 2)).freeze()
    before, x = layer.state_dict(), mg.ones((1, 3), dtype="float32", requires_grad=True)
    layer.train()(x).sum().backward()
    assert x.grad is not None
    assert all(p.grad is None for p in layer.parameters())
    for name, array in layer.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    assert all(p.requires_grad for p in layer.unfreeze().parameters())


def test_several_weights_of_a_layer_are_wrapped_one_after_the_other() -> None:
    layer = WeightNorm(WeightNorm(LSTM(2, 3), "weight_ih_l0"), "weight_hh_l0")
    names = {name for name, _ in layer.named_parameters()}
    assert {"weight_hh_l0_v", "weight_hh_l0_g", "weight_ih_l0_v", "weight_ih_l0_g", "bias_ih_l0"} <= names
    y, _ = layer(mg.ones((4, 1, 2), dtype="float32"))
    y.sum().backward()
    assert all(p.grad is not None for p in layer.parameters())


MISTAKES: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "no layer": (lambda: WeightNorm(mg.ones(3)), TypeError, "layer"),  # type: ignore[arg-type]
    "a name": (lambda: WeightNorm(Linear(3, 2), "wieght"), mg.errors.ArgumentError, "weight, bias"),
    "wrapped already": (lambda: SpectralNorm(WeightNorm(Linear(3, 2))), mg.errors.ArgumentError, "weight_g"),
    "dim": (lambda: WeightNorm(Linear(3, 2), dim=2), mg.errors.ArgumentError, "dim: 2"),
    "eps": (lambda: SpectralNorm(Linear(3, 2), eps=0.0), mg.errors.ArgumentError, "eps"),
    "a vector": (lambda: Orthogonal(Linear(3, 2), "bias"), mg.errors.ArgumentError, "matrix"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_answered(mistake: str) -> None:
    make, error, text = MISTAKES[mistake]
    with pytest.raises(error, match=text):
        make()
