"""update_bn and mc_dropout, which know no layer: they go by what a layer declares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad_layers import BatchNorm1d, DropConnect, Dropout, Linear, ReLU, Sequential


def network() -> Sequential:
    return Sequential(Linear(3, 4), BatchNorm1d(4), ReLU(), Dropout(0.5), Linear(4, 2), BatchNorm1d(2)).astype(
        "float64"
    )


def flags(model: mg.Module) -> list[bool]:
    return [m.training for m in model.modules()]


@pytest.mark.parametrize("correction", [0, 1])
@pytest.mark.parametrize("estimator", ["paper", "pooled"])
def test_statistics_are_those_of_the_data(estimator: Any, correction: int, rng: np.random.Generator) -> None:
    """Batches of unequal size; means far from 0; started from statistics that are wrong."""
    norm = BatchNorm1d(3, correction=correction, dtype="float64")
    norm(mg.tensor(rng.standard_normal((5, 3)) * 100))
    norm.eval()
    x = rng.standard_normal((11, 3)) * [1.0, 2.0, 3.0] + 1e3
    mg.training.update_bn(norm, x, estimator=estimator, batch_size=4)
    parts = [x[:4], x[4:8], x[8:]]
    if estimator == "paper":
        mean = np.mean([p.mean(0) for p in parts], axis=0)
        var = np.mean([p.var(0, ddof=correction) for p in parts], axis=0)
    else:
        mean, var = x.mean(0), x.var(0, ddof=correction)
    np.testing.assert_allclose(norm.running_mean.numpy(), mean, rtol=1e-12)
    np.testing.assert_allclose(norm.running_var.numpy(), var, rtol=1e-9)
    assert not norm.training
    assert "update_statistics" not in vars(norm)


@pytest.mark.parametrize("data", ["array", "pair", "loader", "batches", "pairs", "tensors"])
def test_every_kind_of_data_gives_the_same(data: str, rng: np.random.Generator) -> None:
    x, y = rng.standard_normal((8, 3)), np.zeros(8)
    given: dict[str, Any] = {
        "array": x,
        "pair": (x, y),
        "loader": mg.data.DataLoader((x, y), 4, shuffle=False),
        "batches": [x[:4], x[4:]],
        "pairs": ((part, y[:4]) for part in (x[:4], x[4:])),
        "tensors": [mg.tensor(x[:4]), mg.tensor(x[4:])],
    }
    one, two = BatchNorm1d(3), BatchNorm1d(3)
    mg.training.update_bn(one, given[data], batch_size=4)
    for part in (x[:4], x[4:]):
        two.update_statistics(mg.tensor(part.mean(0)), mg.tensor(part.var(0)), 4, momentum=None)
    np.testing.assert_allclose(one.running_var.numpy(), two.running_var.numpy(), rtol=1e-5)


def test_only_norms_train_and_all_flags_come_back(rng: np.random.Generator) -> None:
    """Dropout is off: the statistics are those of the network that predicts. A frozen norm stays."""
    model, x = network(), rng.standard_normal((13, 3))
    model[3].train()
    model[0].eval()
    model[1].freeze()
    before, state = flags(model), model[1].state_dict()
    mg.training.update_bn(model, x, estimator="pooled", batch_size=5)
    assert flags(model) == before
    for name, value in model[1].state_dict().items():
        np.testing.assert_array_equal(value, state[name])
    h = model[:5].eval()(mg.tensor(x)).numpy()
    np.testing.assert_allclose(model[5].running_mean.numpy(), h.mean(0), rtol=1e-9)
    np.testing.assert_allclose(model[5].running_var.numpy(), h.var(0, ddof=1), rtol=1e-9)
    assert all(p.grad is None for p in model.parameters())


def test_an_error_leaves_the_statistics_as_they_were(rng: np.random.Generator) -> None:
    model = network()
    model(mg.tensor(rng.standard_normal((6, 3))))
    state, before = model.state_dict(), flags(model)
    for data in ([rng.standard_normal((4, 3)), np.zeros((4, 7))], iter([])):
        with pytest.raises(mg.errors.MinigradError):
            mg.training.update_bn(model, data)
        assert flags(model) == before
        assert not any("update_statistics" in vars(m) for m in model.modules())
        for name, value in model.state_dict().items():
            np.testing.assert_array_equal(value, state[name])


def test_monte_carlo_dropout_is_the_mean_and_variance_of_single_runs(rng: np.random.Generator) -> None:
    """Norms stay in evaluation, flags and statistics come back."""
    model, x = network(), mg.tensor(rng.standard_normal((4, 3)))
    model(x)
    model.eval()
    model[0].train()
    before, state = flags(model), model.state_dict()
    model[3].generator.call = 7
    mean, var = mg.mc_dropout(model, x, 5)
    assert flags(model) == before
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, state[name])
    model.eval()
    model[3].train()
    model[3].generator.call = 7
    runs = np.stack([model(x).numpy() for _ in range(5)])
    np.testing.assert_allclose(mean.numpy(), runs.mean(0), rtol=1e-12)
    np.testing.assert_allclose(var.numpy(), runs.var(0), rtol=1e-9)
    assert runs.var(0).max() > 0


def test_a_stream_in_a_container_makes_a_layer_random() -> None:
    class Twice(mg.Module):
        def __init__(self) -> None:
            self.streams = {"in": [mg.random.new_stream()]}

        def forward(self, x: mg.Tensor) -> mg.Tensor:
            return x + mg.random.normal(x.shape, like=x, generator=self.streams["in"][0]) if self.training else x

    _, var = mg.mc_dropout(Twice().eval(), mg.zeros((50,)), 20)
    assert var.numpy().min() > 0


def test_what_a_dropout_wraps_stays_in_evaluation() -> None:
    """A wrapper that owns the stream is switched on; the statistics of what is inside do not move."""
    model = DropConnect(Sequential(Linear(3, 4), BatchNorm1d(4)), 0.5, "0.weight").eval()
    before = model.state_dict()
    mean, var = mg.mc_dropout(model, mg.ones((5, 3), dtype="float32"), 10)
    assert mean.shape == (5, 4)
    assert var.numpy().max() > 0
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_monte_carlo_dropout_is_differentiable_and_keeps_dtypes() -> None:
    model = Sequential(Linear(3, 2), Dropout(0.5))
    x = mg.ones((2, 3), dtype="float32")
    mean, var = mg.mc_dropout(model, x, 3)
    assert mean.dtype == var.dtype == np.float32
    (mean.sum() + var.sum()).backward()
    assert model[0].weight.grad is not None
    with mg.no_grad():
        assert not mg.mc_dropout(model, x, 2)[0].requires_grad


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: mg.training.update_bn(Linear(2, 2), np.zeros((4, 2))), "no layer of this Linear keeps running stat"),
        (lambda: mg.training.update_bn(BatchNorm1d(2).freeze(), np.zeros((4, 2))), "that are not frozen"),
        (lambda: mg.training.update_bn(BatchNorm1d(2), np.zeros((4, 2)), estimator="mean"), "must be 'paper' or 'po"),  # type: ignore[arg-type]
        (lambda: mg.training.update_bn(BatchNorm1d(2), 3), "data is a int; give arrays"),
        (lambda: mg.training.update_bn(BatchNorm1d(2), []), "no batch"),
        (lambda: mg.mc_dropout(Linear(2, 2), mg.zeros((1, 2)), 3), "no layer of this Linear owns a random stream"),
        (lambda: mg.mc_dropout(Dropout(0.5), mg.zeros((1, 2)), 0), "samples=0"),
        (lambda: mg.mc_dropout(Dropout(0.5), mg.zeros((1, 2)), 1.5), "samples=1.5"),  # type: ignore[arg-type]
    ],
)
def test_a_wrong_call_is_told_the_right_one(call: Callable[[], Any], says: str) -> None:
    with pytest.raises(mg.errors.ArgumentError, match=says):
        call()
