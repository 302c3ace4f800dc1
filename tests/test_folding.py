"""Batch norms folded into the layers before them: equal in evaluation, or refused by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad_layers import (
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    BatchRenorm,
    ConditionalBatchNorm,
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
    FrozenBatchNorm2d,
    GhostBatchNorm,
    Identity,
    Linear,
    ReLU,
    Sequential,
    fold_batch_norm,
)


class Block(mg.Module):
    """A residual block whose forward says what comes after what."""

    def __init__(self) -> None:
        self.conv1, self.bn1 = Conv2d(2, 2, 3, padding=1), BatchNorm2d(2)
        self.rest = [Conv2d(2, 2, 1, bias=False), BatchNorm2d(2)]

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        y = mg.relu(self.bn1(self.conv1(x)))
        for m in self.rest:
            y = m(y)
        return x + y


def used(model: mg.Module, shape: tuple[int, ...], rng: np.random.Generator) -> tuple[mg.Module, mg.Tensor]:
    """The model in float64, every parameter and statistic anywhere, and an input."""
    model.astype("float64")
    for p in model.parameters():
        p.data = rng.standard_normal(p.shape)
    for name, b in model.named_buffers():
        if b.dtype.kind == "f":
            b.assign(mg.tensor(rng.uniform(0.5, 2.0, b.shape) - 2.0 * ("mean" in name or name.endswith("bias"))))
    return model, mg.tensor(rng.standard_normal(shape))


MODELS: dict[str, tuple[Callable[[], mg.Module], tuple[int, ...], int]] = {
    "linear": (lambda: Sequential(Linear(3, 4), BatchNorm1d(4), ReLU()), (5, 3), 1),
    "no bias, no affine": (lambda: Sequential(Linear(3, 4, False), BatchNorm1d(4, affine=False)), (5, 3), 1),
    "gain alone": (lambda: Sequential(Linear(3, 4), BatchNorm1d(4, bias=False)), (5, 3), 1),
    "conv1d": (lambda: Sequential(Conv1d(2, 4, 3, padding=1), BatchNorm1d(4)), (2, 2, 5), 1),
    "grouped": (lambda: Sequential(Conv2d(4, 6, 2, groups=2, bias=False), BatchNorm2d(6)), (2, 4, 3, 3), 1),
    "padded": (lambda: Sequential(Conv2d(2, 2, 3, 2, 1, padding_mode="reflect"), BatchNorm2d(2)), (2, 2, 5, 5), 1),
    "conv3d": (lambda: Sequential(Conv3d(2, 3, 2), BatchNorm3d(3)), (1, 2, 3, 3, 2), 1),
    "transposed 1d": (lambda: Sequential(ConvTranspose1d(2, 3, 2, 2), BatchNorm1d(3)), (2, 2, 3), 1),
    "transposed, grouped": (
        lambda: Sequential(ConvTranspose2d(4, 6, 2, groups=2, bias=False), BatchNorm2d(6)),
        (2, 4, 2, 3),
        1,
    ),
    "transposed, depthwise": (lambda: Sequential(ConvTranspose2d(3, 3, 2, groups=3), BatchNorm2d(3)), (2, 3, 2, 3), 1),
    "transposed 3d": (lambda: Sequential(ConvTranspose3d(1, 2, 2), BatchNorm3d(2)), (1, 1, 2, 2, 2), 1),
    "frozen": (lambda: Sequential(Conv2d(2, 3, 1), FrozenBatchNorm2d(3)), (2, 2, 2, 2), 1),
    "ghost": (lambda: Sequential(Linear(2, 3), GhostBatchNorm(3, 2)), (4, 2), 1),
    "renorm": (lambda: Sequential(Linear(2, 3), BatchRenorm(3)), (4, 2), 1),
    "nested": (
        lambda: Sequential(Sequential(Conv1d(1, 2, 1), Identity()), Sequential(BatchNorm1d(2), Conv1d(2, 2, 1))),
        (2, 1, 3),
        1,
    ),
    "two": (lambda: Sequential(Linear(2, 3), BatchNorm1d(3), ReLU(), Linear(3, 3), BatchNorm1d(3)), (4, 2), 2),
}


@pytest.mark.parametrize("name", MODELS)
def test_folded_is_the_model_in_evaluation(name: str, rng: np.random.Generator) -> None:
    make, shape, norms = MODELS[name]
    model, x = used(make(), shape, rng)
    before = {k: v.copy() for k, v in model.state_dict().items()}
    folded = fold_batch_norm(model)
    assert [m.training for m in model.modules()] == [True] * len([*model.modules()])  # the original is left alone
    assert all((before[k] == v).all() for k, v in model.state_dict().items())
    assert sum(type(m).__name__ == "Folded" for m in folded.modules()) == norms
    assert not any(m.training for m in folded.modules())
    expected = model.eval()(x).numpy()
    np.testing.assert_allclose(folded(x).numpy(), expected, rtol=1e-11, atol=1e-11)


def test_pairs_name_what_a_forward_of_its_own_puts_together(rng: np.random.Generator) -> None:
    model, x = used(Block(), (2, 2, 3, 3), rng)
    folded = fold_batch_norm(model, [("conv1", "bn1"), ("rest.0", "rest.1")])
    np.testing.assert_allclose(folded(x).numpy(), model.eval()(x).numpy(), rtol=1e-11)
    assert [n for n, _ in folded.named_buffers()] == []
    part = fold_batch_norm(model, [("conv1", "bn1")], strict=False)
    np.testing.assert_allclose(part(x).numpy(), model(x).numpy(), rtol=1e-11)
    assert "rest.1.running_var" in dict(part.named_buffers())


def shared(what: str) -> mg.Module:
    linear, norm = Linear(3, 3), BatchNorm1d(3)
    if what == "layer":
        return Sequential(linear, norm, linear)
    if what == "norm":
        return Sequential(linear, norm, Linear(3, 3), norm)
    other = Linear(3, 3)
    other.weight = linear.weight
    return Sequential(linear, norm, other)


@pytest.mark.parametrize(
    ("make", "pairs", "says"),
    [
        (lambda: Block(), [], r"bn1 \(no layer is known to be before it.*rest\.1.*pairs="),
        (lambda: Sequential(BatchNorm1d(3), Linear(3, 3)), [], "0 .no layer is known"),
        (lambda: Sequential(Linear(3, 3), ReLU(), BatchNorm1d(3)), [], "2 .before it is a ReLU"),
        (lambda: Sequential(Linear(3, 3), BatchNorm1d(3, track_running_stats=False)), [], "no running statistics"),
        (lambda: Sequential(Linear(3, 3), ConditionalBatchNorm(3, 2)), [], "1 .a ConditionalBatchNorm may do more"),
        (lambda: Sequential(Linear(4, 5), BatchNorm1d(4)), [], "5 outputs for its 4 features"),
        (lambda: shared("layer"), [], "several places"),
        (lambda: shared("norm"), [], "several places"),
        (lambda: shared("weight"), [], "several places"),
        (Block, [("conv1", "bn2")], "two names of modules"),
        (Block, [("bn1", "conv1")], "conv1 is a Conv2d, no batch norm"),
        (Block, [("bn1", "bn1")], "bn1 and bn1: before it is a BatchNorm2d"),
    ],
)
def test_what_cannot_be_folded_is_refused_by_name(make: Any, pairs: Any, says: str) -> None:
    with pytest.raises(mg.errors.ArgumentError, match=says):
        fold_batch_norm(make(), pairs)


def test_an_input_whose_features_are_elsewhere_is_refused(rng: np.random.Generator) -> None:
    """(n, c, l) through a dense layer: the norm took axis 1, and the layer's features are the last axis."""
    model, x = used(Sequential(Linear(3, 3), BatchNorm1d(3)), (2, 3, 3), rng)
    assert model.eval()(x).shape == (2, 3, 3)
    with pytest.raises(mg.errors.ShapeError, match="not folded"):
        fold_batch_norm(model)(x)
