"""Containers, embeddings, pooling, upsampling and options of layers: what PyTorch's numbers do not show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
import minigrad_layers as layers
from minigrad_layers import (
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    AvgPool2d,
    Bilinear,
    Conv1d,
    Conv2d,
    ConvTranspose2d,
    Embedding,
    Flatten,
    GlobalAvgPool2d,
    Hardtanh,
    Lambda,
    Linear,
    MaxPool2d,
    ModuleDict,
    ModuleList,
    PReLU,
    ReLU,
    Residual,
    Sequential,
    Softmax,
    Softplus,
    Unflatten,
    Upsample,
)


def test_a_family_is_where_a_layer_stands() -> None:
    for name, info in mg.layers().items():
        if info.origin == "minigrad-layers":
            assert info.family == getattr(layers, name).__module__.split(".")[1], name


# ---- containers


def test_a_list_of_modules_is_a_list() -> None:
    many = ModuleList([Linear(2, 3), ReLU()])
    many.append(Linear(3, 1)).insert(1, Lambda(mg.tanh))
    assert [type(m).__name__ for m in many] == ["Linear", "Lambda", "ReLU", "Linear"]
    assert list(many.state_dict()) == ["0.weight", "0.bias", "3.weight", "3.bias"]
    assert many.pop(1).function is mg.tanh
    assert list(many.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    many[1] = Linear(3, 3)
    assert many[-1] is many[2]
    assert isinstance(many[1:], ModuleList)
    assert list(many[1:].state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias"]
    assert len(many + ModuleList([ReLU()])) == 4
    assert len(many.extend([ReLU(), ReLU()])) == 5
    del many[3:]
    assert len(many) == 3
    assert repr(ModuleList([ReLU()])) == "ModuleList(\n  (0): ReLU()\n)"


def test_sequential_grows_and_shrinks() -> None:
    model = Sequential(Linear(2, 3))
    model.append(ReLU()).insert(0, Flatten())
    assert [type(m).__name__ for m in model] == ["Flatten", "Linear", "ReLU"]
    assert list((model + Sequential(Linear(3, 1))).state_dict())[-1] == "3.bias"
    named = Sequential({"a": Linear(2, 3), "b": ReLU()})
    named.append(Linear(3, 3))
    assert list(named.state_dict()) == ["a.weight", "a.bias", "2.weight", "2.bias"]
    with pytest.raises(mg.errors.ArgumentError, match="have names, a, b"):
        named.insert(0, ReLU())
    assert len(named) == 3


def test_a_dict_of_modules_is_a_dict() -> None:
    heads = ModuleDict({"b": Linear(2, 1)})
    heads["a"] = ReLU()
    heads.update([("b", Linear(2, 2))])
    assert (list(heads), "a" in heads, len(heads)) == (["b", "a"], True, 2)
    assert heads["b"].out_features == 2
    assert list(heads.state_dict()) == ["b.weight", "b.bias"]
    assert heads.pop("b").out_features == 2
    assert heads.keys() == ("a",)
    with pytest.raises(KeyError, match="'b'; there are a"):
        heads["b"]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: ModuleList([ReLU(), mg.tanh]), "1 is a function"),
        (lambda: ModuleDict({"a.b": ReLU()}), r"'a\.b'"),
        (lambda: ModuleDict({"train": ReLU()}), "'train' is taken"),
        (lambda: ModuleDict({"a": [ReLU()]}), "a is a list"),
        (lambda: Sequential([ReLU()]), r"write Sequential\(\*modules\)"),
        (lambda: ModuleList([ReLU()])(mg.ones(2)), "does not define forward"),
        (lambda: Lambda(3), "function=3"),
    ],
)
def test_what_is_no_module_is_refused(call: Callable[[], Any], says: str) -> None:
    with pytest.raises((TypeError, ValueError, NotImplementedError), match=says):
        call()


def test_a_refused_module_leaves_a_container_as_it_was() -> None:
    heads = ModuleDict({"a": ReLU()})
    with pytest.raises(TypeError):
        heads.update({"b": ReLU(), "c": 3})
    assert heads.keys() == ("a",)
    model = Sequential(ReLU())
    with pytest.raises(TypeError):
        model.extend([ReLU(), 3])
    assert len(model) == 1


def test_residual_adds_what_went_past(rng: np.random.Generator) -> None:
    x = mg.tensor(rng.standard_normal((3, 2)))
    first, second, past = Linear(2, 4).astype("float64"), Linear(4, 4).astype("float64"), Linear(2, 4).astype("float64")
    y = Residual(first, second, shortcut=past)(x)
    np.testing.assert_allclose(y.numpy(), (past(x) + second(first(x))).numpy(), rtol=1e-14)
    with pytest.raises(mg.errors.ShapeError, match="shortcut="):
        Residual(first)(x)


# ---- embedding


def test_padding_has_no_gradient_and_starts_at_0() -> None:
    layer = Embedding(4, 2, padding_idx=1)
    assert (layer.weight.numpy()[1] == 0).all()
    layer.weight.data = np.ones((4, 2), "float32")  # what the row holds is read all the same
    y = layer(mg.tensor([[0, 1], [1, 3]]))
    assert y.tolist() == [[[1, 1], [1, 1]], [[1, 1], [1, 1]]]
    y.sum().backward()
    assert layer.weight.grad.tolist() == [[1, 1], [0, 0], [0, 0], [1, 1]]


def test_what_max_norm_does_elsewhere_is_a_call() -> None:
    layer = Embedding.from_pretrained(mg.tensor([[3.0, 4.0], [0.0, 0.0], [0.3, 0.4]]), freeze=False)
    assert layer.weight.requires_grad
    np.testing.assert_allclose(layer.renormalize(1.0).weight.numpy(), [[0.6, 0.8], [0, 0], [0.3, 0.4]], rtol=1e-15)
    np.testing.assert_allclose(layer.renormalize(0.7, 1.0).weight.numpy(), [[0.3, 0.4], [0, 0], [0.3, 0.4]], rtol=1e-15)
    assert not Embedding.from_pretrained([[1.0, 2.0]]).weight.requires_grad


# ---- windows


def test_windows_of_every_kind_are_those_of_a_loop(rng: np.random.Generator) -> None:
    x = rng.standard_normal((2, 3, 7, 6))
    for k, (layer, reduce) in enumerate(((AdaptiveMaxPool2d((3, 4)), np.max), (AdaptiveAvgPool2d((3, 4)), np.mean))):
        y = layer(mg.tensor(x)).numpy()
        for i in range(3):
            for j in range(4):
                window = x[:, :, i * 7 // 3 : -(-(i + 1) * 7 // 3), j * 6 // 4 : -(-(j + 1) * 6 // 4)]
                np.testing.assert_allclose(y[:, :, i, j], reduce(window, axis=(2, 3)), rtol=1e-12, err_msg=str(k))
    y = MaxPool2d(2, 3, dilation=2, ceil_mode=True)(mg.tensor(x)).numpy()
    for i in range(y.shape[2]):
        for j in range(y.shape[3]):
            window = x[:, :, 3 * i : 3 * i + 3 : 2, 3 * j : 3 * j + 3 : 2]
            np.testing.assert_array_equal(y[:, :, i, j], window.max((2, 3)))


@pytest.mark.parametrize("layer", [MaxPool2d(2, 1, dilation=2), AdaptiveMaxPool2d(1), layers.GlobalMaxPool2d()])
def test_elements_that_tie_share_evenly(layer: mg.Module) -> None:
    x = mg.tensor(np.ones((1, 1, 3, 3)), requires_grad=True)
    layer(x).sum().backward()
    share = x.grad.numpy()
    assert set(np.unique(share)) in ({0.0, 0.25}, {1 / 9})
    assert share.sum() == pytest.approx(1.0, abs=1e-15)


def test_integers_are_pooled_and_enlarged_without_becoming_floats() -> None:
    x = mg.tensor(np.arange(-9, 0).reshape(1, 1, 3, 3))
    assert MaxPool2d(2, ceil_mode=True)(x).tolist() == [[[[-5, -4], [-2, -1]]]]
    y = Upsample(scale_factor=2)(x)
    assert (y.dtype, y[0, 0, 5].tolist()) == (np.dtype("int64"), [-3, -3, -2, -2, -1, -1])


def test_a_length_that_cannot_be_told_apart_is_asked_for() -> None:
    layer = ConvTranspose2d(1, 1, 3, stride=2, padding=1)
    x = mg.ones((1, 1, 4, 4), dtype="float32")
    assert (layer(x).shape, layer(x, output_size=8).shape) == ((1, 1, 7, 7), (1, 1, 8, 8))
    with pytest.raises(mg.errors.ArgumentError, match=r"the least is \(7, 7\)"):
        layer(x, output_size=9)


@pytest.mark.parametrize("name", sorted(set(layers.activation.__all__) - {"GLU", "Softmax", "LogSoftmax"}))
def test_derivatives_at_kinks_lie_between_their_sides_to_order_3(name: str) -> None:
    """First order against PyTorch stands in test_peers; here no order gives NaN, and none lies outside of its sides."""
    f: Any = getattr(layers, name)()
    if name == "PReLU":
        f.astype("float64")
    for at in (-6.0, -3.0, -1.0, 0.0, 1.0, 3.0, 6.0):
        g = f
        for _ in range(3):
            g = mg.grad(g)
            here, left, right = (g(mg.tensor(at + step)).item() for step in (0.0, -1e-7, 1e-7))
            assert np.isfinite(here), (name, at)
            assert min(left, right) - 1e-5 <= here <= max(left, right) + 1e-5, (name, at)
            if abs(left - right) > 1e-3:  # it jumps: what comes after is no derivative, but finite all the same
                assert np.isfinite(mg.grad(g)(mg.tensor(at)).item()), (name, at)
                break


# ---- options


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: ReLU(inplace=True), "inplace=True is not taken"),
        (lambda: ReLU(inplace="yes"), "inplace='yes'"),
        (lambda: layers.ELU("1"), "ELU: alpha='1'"),
        (lambda: layers.CELU(0.0), "alpha=0"),
        (lambda: layers.GELU("erf"), "approximate='erf'"),
        (lambda: Hardtanh(1.0, -1.0), "min_val=1.0"),
        (lambda: Softplus(-1.0), "beta=-1.0"),
        (lambda: Softmax()(mg.ones((2, 3, 4))), r"dim=None.*\(2, 3, 4\)"),
        (lambda: layers.GLU()(mg.ones((2, 3))), r"dim=-1 of shape \(2, 3\)"),
        (lambda: PReLU(3)(mg.ones((2, 4))), "num_parameters = 3"),
        (lambda: Bilinear(2, 3, 0), "out_features=0"),
        (lambda: Bilinear(2, 3, 1)(mg.ones((4, 2)), mg.ones((5, 3))), r"input1 \(4, 2\)"),
        (lambda: Embedding(4, 2, max_norm=1.0), "max_norm=1.0.*renormalize"),
        (lambda: Embedding(4, 2, sparse=True), "sparse=True"),
        (lambda: Embedding(4, 2, scale_grad_by_freq=True), "scale_grad_by_freq"),
        (lambda: Embedding(4, 2, padding_idx=4), "padding_idx=4"),
        (lambda: Embedding(4, 2)(mg.ones(3)), "float64"),
        (lambda: Embedding(4, 2)(mg.tensor([4])).numpy(), "4"),  # on a device, told with the next copy to the host
        (lambda: Embedding(4, 2).renormalize(0), "max_norm=0"),
        (lambda: Embedding.from_pretrained(mg.ones(3)), r"\(3,\)"),
        (lambda: Conv2d(1, 1, 3, padding_mode="wrap"), "padding_mode='wrap'"),
        (lambda: Conv1d(1, 1, 3, padding=5, padding_mode="circular")(mg.ones((1, 1, 4))), "circular"),
        (lambda: ConvTranspose2d(1, 1, 3, padding_mode="reflect"), "padding_mode='reflect' is not taken"),
        (lambda: ConvTranspose2d(1, 1, 3, output_padding=1), "output_padding"),
        (lambda: MaxPool2d(2, return_indices=True), "return_indices=True is not taken"),
        (lambda: MaxPool2d(2, padding=2), "padding"),
        (lambda: MaxPool2d(3, dilation=2)(mg.ones((1, 1, 4, 4))), "does not fit axis 2"),
        (lambda: AvgPool2d(2, divisor_override=0), "divisor_override=0"),
        (lambda: AvgPool2d(2)(mg.ones((4, 4))), r"\(4, 4\)"),
        (lambda: AdaptiveAvgPool2d((1, 2, 3)), "output_size"),
        (lambda: AdaptiveAvgPool2d(1)(mg.ones((1, 1, 0, 2))), r"\(1, 1, 0, 2\)"),
        (lambda: AdaptiveMaxPool2d(1, return_indices=True), "return_indices=True"),
        (lambda: GlobalAvgPool2d()(mg.ones((1, 2, 3))), "4 axes"),
        (lambda: Upsample(), "size=None"),
        (lambda: Upsample(2, 2.0), "give one of the two"),
        (lambda: Upsample(scale_factor=-1), "scale_factor=-1"),
        (lambda: Upsample(2.5), "size=2.5"),
        (lambda: Upsample(2, mode="cubic"), "mode='cubic'"),
        (lambda: Upsample(2, align_corners=True), "align_corners=True is not taken"),
        (lambda: Upsample(2, recompute_scale_factor=True), "recompute_scale_factor"),
        (lambda: Upsample(2, mode="bilinear")(mg.ones((1, 1, 3))), "4 axes"),
        (lambda: Upsample((2, 2))(mg.ones((1, 1, 3))), "one for each of the axes"),
        (lambda: Unflatten(1, (-1, -1)), "unflattened_size"),
        (lambda: Unflatten(1, (2, 3))(mg.ones((2, 7))), r"dim=1 of shape \(2, 7\)"),
    ],
)
def test_errors_name_the_argument(call: Callable[[], Any], says: str) -> None:
    with pytest.raises(mg.errors.MinigradError, match=says):
        call()
