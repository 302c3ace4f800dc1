"""N9 for every dropout in the registry: the identity at 0, zeros at 1, no leak, the mean, one mask in both passes.

A row of the table says how to make the layer with a rate, what it is called on, and what it is linear in.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import minigrad as mg
import minigrad_layers as layers


class Case(NamedTuple):
    """A dropout, made with a rate."""

    make: Callable[[float], mg.Module]
    x: tuple[int, ...] = (6, 5)
    start: float = 1.0  # what the input is filled with for the mean; AlphaDropout's mean is kept around 0
    highest: float = 1.0  # the largest rate that is taken
    lowest: float = 0.0
    what: str = "p"  # what an error calls the rate
    leaks: bool = True  # something is dropped, under which an inf could be


def same(x: mg.Tensor, hx: Any = None) -> mg.Tensor:
    """A recurrent cell whose state is its input."""
    return x


def connected(p: float, **options: Any) -> mg.Module:
    return layers.DropConnect(layers.Linear(5, 5, bias=False), p, **options)


def concrete(p: float) -> mg.Module:
    layer = layers.ConcreteDropout(layers.Linear(5, 5, bias=False), init_min=p, init_max=p)
    layer.layer.weight.data = np.eye(5, dtype="float32")
    return layer


CASES: dict[str, Case] = {
    "Dropout": Case(layers.Dropout),
    "Dropout vanilla": Case(lambda p: layers.Dropout(p, mode="vanilla")),
    "Dropout axes": Case(lambda p: layers.Dropout(p, axes=(0, -1)), (3, 4, 2)),
    "Dropout1d": Case(layers.Dropout1d, (2, 3, 2)),
    "Dropout2d": Case(layers.Dropout2d, (2, 3, 2, 2)),
    "Dropout3d": Case(layers.Dropout3d, (2, 3, 1, 2, 2)),
    "AlphaDropout": Case(layers.AlphaDropout, start=0.0),
    "FeatureAlphaDropout": Case(layers.FeatureAlphaDropout, (2, 3, 2), start=0.0),
    "GaussianDropout": Case(layers.GaussianDropout, highest=0.9, leaks=False),
    "GaussianNoise": Case(layers.GaussianNoise, highest=math.inf, what="stddev", leaks=False),
    "DropConnect": Case(connected),
    "DropConnect per example": Case(lambda p: connected(p, per_example=True)),
    "DropPath": Case(layers.DropPath, what="drop_prob"),
    "DropPath batch": Case(lambda p: layers.DropPath(p, mode="batch"), what="drop_prob"),
    "DropBlock2d": Case(lambda p: layers.DropBlock2d(p, 2), (2, 3, 5, 4)),
    "DropBlock2d coupled": Case(lambda p: layers.DropBlock2d(p, 3, couple_channels=True, exact=True), (2, 3, 7, 7)),
    "Zoneout": Case(lambda p: layers.Zoneout(layers.Lambda(same), p), what="p_hidden"),
    "VariationalDropout": Case(layers.VariationalDropout, (3, 2, 4)),
    "EmbeddingDropout": Case(lambda p: layers.EmbeddingDropout(layers.Embedding(6, 5), p)),
    "ConcreteDropout": Case(concrete, lowest=0.01, highest=0.99, what="init_min", leaks=False),
    "PatchDropout": Case(lambda p: layers.PatchDropout(p, 0), (2, 6, 2), highest=0.9, what="prob", leaks=False),
    "ScheduledDropout": Case(lambda p: layers.ScheduledDropout(layers.Dropout(p), p)),
}
each = pytest.mark.parametrize("name", CASES)
leaky = pytest.mark.parametrize("name", [n for n, c in CASES.items() if c.leaks])


def made(name: str, p: float) -> mg.Module:
    mg.random.seed(4)
    return CASES[name].make(p)


def subject(layer: mg.Module, name: str, values: np.ndarray) -> tuple[mg.Tensor, Callable[[], mg.Tensor]]:
    """What the layer is linear in, and its call on it."""
    if isinstance(layer, layers.EmbeddingDropout):
        layer.layer.weight.data = values.astype("float32")
        return layer.layer.weight, lambda: layer(mg.arange(6))
    if isinstance(layer, layers.DropConnect):
        layer.layer.weight.data = values[:5].astype("float32")
        return layer.layer.weight, lambda: layer(mg.tensor(np.eye(5), dtype="float32")).mT
    x = mg.tensor(values, dtype="float32", requires_grad=True)
    return x, lambda: layer(x)


def streams(layer: mg.Module) -> list[mg.random.Generator]:
    return [g for _, g in layer.named_generators()]


def test_the_table_has_every_dropout_of_the_registry() -> None:
    registered = {n for n, i in mg.layers().items() if i.origin == "minigrad-layers" and i.family == "dropout"}
    assert registered == {name.split()[0] for name in CASES}


@pytest.mark.parametrize("name", [n for n, c in CASES.items() if c.lowest == 0])
def test_p_0_is_the_identity_bit_for_bit(name: str, rng: np.random.Generator) -> None:
    layer = made(name, 0.0)
    x, call = subject(layer, name, rng.standard_normal(CASES[name].x))
    y = call()
    layer.eval()
    assert y.numpy().tobytes() == call().numpy().tobytes()
    if "Connect" not in name:
        assert y.numpy().tobytes() == x.numpy().tobytes()
    assert all(g.call == 0 for g in streams(layer))


@pytest.mark.parametrize("name", [n for n, c in CASES.items() if c.highest == 1])
@pytest.mark.filterwarnings("error")
def test_p_1_gives_zeros_and_no_warning(name: str) -> None:
    values = np.full(CASES[name].x, 3.0)
    values.flat[:3] = math.inf, math.nan, -math.inf
    x, call = subject(made(name, 1.0), name, values)
    y = call()
    assert (y.numpy() == 0).all()
    y.sum().backward()
    assert x.grad is not None
    assert (x.grad.numpy() == 0).all()


def test_f19_an_inf_under_the_mask_does_not_leak() -> None:
    for name in (n for n, c in CASES.items() if c.leaks and "Connect" not in n):
        x, call = subject(made(name, 0.5), name, np.full(CASES[name].x, math.inf))
        for _ in range(20):  # until a call has dropped something and kept something
            y = call()
            dropped = np.isfinite(y.numpy())
            if dropped.any() and not dropped.all():
                break
        assert dropped.any() or "batch" in name, name
        assert not np.isnan(y.numpy()).any(), name
        y.backward(mg.full(y.shape, math.inf, dtype="float32"))
        assert x.grad is not None
        assert (x.grad.numpy()[dropped] == 0).all(), name  # not even inf times 0


@pytest.mark.parametrize("name", [n for n in CASES if "Connect" in n])
def test_f19_an_inf_in_a_dropped_weight_does_not_leak(name: str) -> None:
    layer = made(name, 0.5)
    layer.layer.weight.data = np.full((5, 5), math.inf, "float32")
    y = layer(mg.ones((200 if "per" in name else 1, 5), dtype="float32"))
    assert not np.isnan(y.numpy()).any()
    assert not np.isnan(mg.gradients(y.sum(), [layer.layer.weight])[0].numpy()).any()


@each
@pytest.mark.parametrize("p", [0.1, 0.5])
def test_the_mean_of_many_draws_is_what_evaluation_gives(name: str, p: float) -> None:
    """Within 4 standard deviations, estimated from the draws; the mean of a concrete mask is p at one half only."""
    case = CASES[name]
    layer = made(name, 0.5 if name == "ConcreteDropout" else p)
    values = np.full(case.x, case.start)
    if name == "PatchDropout":
        values = values * np.arange(6)[None, :, None]
    _, call = subject(layer, name, values)
    with mg.no_grad():
        drawn = np.array([call().numpy().mean(dtype="float64") for _ in range(500)])
        layer.eval()
        expected = call().numpy().mean(dtype="float64")
    sigma = drawn.std() / math.sqrt(len(drawn))
    assert sigma > 0
    assert abs(drawn.mean() - expected) <= 4 * sigma + 1e-6


@each
def test_forward_and_backward_masks_are_identical(name: str, rng: np.random.Generator) -> None:
    """Given its mask a dropout is affine: what its gradient predicts for another input is what that input gives."""
    values = [rng.standard_normal(CASES[name].x) for _ in range(2)]
    layer = made(name, 0.4)
    x, call = subject(layer, name, values[0])
    y = call()
    weights = mg.tensor(rng.standard_normal(y.shape), dtype="float32")
    (g,) = mg.gradients((y * weights).sum(), [x])
    before = x.numpy()
    for generator in streams(layer):
        generator.call = 0
    other, again = subject(layer, name, values[1])
    change = ((again().numpy() - y.numpy()) * weights.numpy()).sum(dtype="float64")
    predicted = (g.numpy() * (other.numpy() - before)).sum(dtype="float64")
    assert abs(change - predicted) <= 1e-4 * max(1.0, abs(change))


@each
def test_masks_are_drawn_again_by_number(name: str, rng: np.random.Generator) -> None:
    layer = made(name, 0.5)
    _, call = subject(layer, name, rng.standard_normal(CASES[name].x))
    runs = [call().numpy() for _ in range(30)]
    assert any(a.tobytes() != runs[0].tobytes() for a in runs[1:])
    (generator,) = streams(layer)
    generator.call = 7
    assert call().numpy().tobytes() == runs[7].tobytes()


@each
def test_monte_carlo_switches_it_on_and_back(name: str, rng: np.random.Generator) -> None:
    layer = made(name, 0.5)
    layer.eval()
    _, call = subject(layer, name, rng.standard_normal(CASES[name].x))
    state = layer.state_dict()

    class Whole(mg.Module):
        def __init__(self) -> None:
            self.norm, self.layer = layers.BatchNorm1d(2), layer

        def forward(self, x: mg.Tensor) -> mg.Tensor:
            return call()

    model = Whole().eval()
    mean, var = mg.mc_dropout(model, mg.ones((1, 1)), 20)
    assert not any(m.training for m in model.modules())
    assert mean.shape == var.shape
    assert var.numpy().max() > 0
    for key, value in layer.state_dict().items():
        np.testing.assert_array_equal(value, state[key])
    mg.mc_dropout(model.train(), mg.ones((1, 1)), 2)
    assert all(m.training for m in model.modules())


@each
@pytest.mark.parametrize("p", [-0.1, 1.1, math.nan])
def test_a_rate_that_is_none_is_named(name: str, p: float) -> None:
    if CASES[name].highest == math.inf and p > 0:
        p = math.inf
    with pytest.raises(ValueError, match=f"{CASES[name].what}={p!r}"):
        CASES[name].make(p)


@pytest.mark.parametrize("name", [n for n, c in CASES.items() if c.highest in (0.9, 0.99)])
def test_what_1_would_break_is_refused_there(name: str) -> None:
    with pytest.raises(ValueError, match=r"must be (below 1|above 0 and below 1)"):
        CASES[name].make(1.0)
