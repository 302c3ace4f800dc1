"""Faults that users of other engines met in training: figures that are NaN, optimisers and norms that fit the wrong
way, states that go by position. Each test holds on this build, and fails with the fault put in, which it does itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from faults import found_by

import minigrad as mg
from minigrad import saving
from minigrad.training import Callback, Checkpoint, EarlyStopping, callbacks, fit, loop
from minigrad_layers import BatchNorm1d, Linear, Sequential

RNG = np.random.default_rng(0)
X = RNG.standard_normal((24, 3)).astype("float32")
Y = X.sum(axis=1, keepdims=True)


class Told(Callback):
    """Puts a figure into the epochs' records, in place of what was measured; None leaves it out."""

    def __init__(self, figure: str, values: list[float | None]) -> None:
        self.figure, self.values = figure, values

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        value = self.values[epoch - 1]
        if value is not None:
            logs[self.figure] = value


def train(model: Any = None, **options: Any) -> Any:
    model = model or Linear(3, 1)
    optimizer = mg.optim.SGD(model.parameters(), lr=0.01)
    defaults = {"loss": mg.losses.mse, "optimizer": optimizer, "epochs": 1, "batch_size": 8, "verbose": 0}
    return fit(model, options.pop("data", (X, Y)), **defaults | options)


# ---- F27: a NaN in a monitored figure

NAN = math.nan


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        ([NAN, 3.0, 2.0, 4.0], 3), ([3.0, NAN, 2.0, NAN], 3), ([3.0, 2.0, NAN, NAN], 2), ([NAN, 2.0, NAN, 1.0], 4),
        ([math.inf, 5.0, NAN, 6.0], 2),
    ],
)  # fmt: skip
def test_f27_the_best_checkpoint_is_the_best_number(
    values: list[float | None], kept: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check(figure: str = "val_loss", sign: float = 1.0) -> None:
        told = Told(figure, [sign * v for v in values if v is not None])
        (tmp_path / "best").unlink(missing_ok=True)
        train(epochs=4, callbacks=[told, Checkpoint(tmp_path / "best", monitor=figure)])
        assert mg.load(tmp_path / "best")["run"]["done"] == kept

    check()
    check("val_accuracy", -1.0)
    monkeypatch.setattr(
        callbacks, "_measured", lambda monitor, sign, records: [sign * r[monitor] for r in records if monitor in r]
    )
    if math.isnan(values[0] or 0):
        found_by(check, FileNotFoundError)


@pytest.mark.parametrize(
    ("values", "epochs"),
    [
        ([NAN, 5.0, 4.0, 3.0, 2.0, 1.0], 6),  # improves all the time
        ([5.0, NAN, 4.0, NAN, 3.0, NAN], 6),
        ([5.0, NAN, NAN, NAN, 3.0, 2.0], 3),  # NaN is no better than what was
        ([NAN, NAN, NAN, 1.0, 1.0, 1.0], 3),
    ],
)
def test_f27_early_stopping_goes_on_while_it_improves(
    values: list[float | None], epochs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check() -> None:
        stopping = [Told("val_loss", values), EarlyStopping(patience=2)]
        assert len(train(epochs=6, callbacks=stopping)) == epochs

    check()
    monkeypatch.setattr(
        callbacks, "_measured", lambda monitor, sign, records: [sign * r[monitor] for r in records if monitor in r]
    )
    if epochs == 6 and math.isnan(values[0] or 0):
        found_by(check)


# ---- F29: an optimiser over another model's parameters


def test_f29_an_optimiser_of_another_model_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    model, other = Sequential(Linear(3, 2), Linear(2, 1)), Sequential(Linear(3, 2), Linear(2, 1))

    def check(optimizer: Any, says: str) -> None:
        with pytest.raises(mg.errors.ArgumentError, match=says):
            train(model, optimizer=optimizer)

    cases: list[tuple[Callable[[], Any], str]] = [
        (lambda: mg.optim.Adam(other.parameters()), r"4 of the 4 .*0 of shape \(2, 3\).*leaves out 0.weight, 0.bias"),
        (lambda: mg.optim.Adam(other.named_parameters()), r"0.weight of shape \(2, 3\)"),
        # the head was made anew after the optimiser: half of it still trains
        (lambda: mg.optim.Adam([*model[0].parameters(), *other[1].parameters()]), "2 of the 4 .*leaves out 1.weight"),
    ]
    for make, says in cases:
        check(make(), says)
    train(model, optimizer=mg.optim.Adam(model[1].parameters()))  # fine-tuning: the rest stays as it is
    scale = mg.Parameter(mg.ones(()))
    train(model, optimizer=mg.optim.Adam([*model.parameters(), scale]))  # a loss that learns, too
    monkeypatch.setattr(loop, "_belonging", lambda model, optimizer: None)
    for make, says in cases:
        found_by(lambda make=make, says=says: check(make(), says))  # type: ignore[misc]


# ---- F30: optimiser state by position


class Pair(mg.Module):
    """Two layers of one shape."""

    def __init__(self, order: str = "ab") -> None:
        for name in order:
            setattr(self, name, Linear(3, 3))

    def forward(self, x: Any) -> Any:
        return self.b(mg.tanh(self.a(x)))


def stepped(model: Any, lr: float = 0.1) -> Any:
    optimizer = mg.optim.Adam(model.parameters(), lr=lr)
    (model(mg.tensor(X)) ** 2).mean().backward()
    optimizer.step()
    return optimizer


def test_f30_moments_beside_a_model_go_by_its_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def check() -> None:
        mg.random.seed(1)
        one = Pair("ab")
        optimizer = stepped(one)
        mg.save(tmp_path / "x", model=one, optimizer=optimizer)
        other = Pair("ba")  # the same layers, defined in another order
        late = mg.optim.Adam(other.parameters(), lr=0.5)
        mg.load(tmp_path / "x", model=other, optimizer=late)
        for model, o in ((one, optimizer), (other, late)):
            o.zero_grad()
            (model(mg.tensor(X)) ** 2).mean().backward()
            o.step()
        for name, value in one.state_dict().items():
            np.testing.assert_array_equal(value, other.state_dict()[name])

    check()
    monkeypatch.setattr(saving, "by_model", lambda state, model, optimizer: state)
    monkeypatch.setattr(saving, "by_optimizer", lambda state, model, optimizer: state)
    found_by(check)


def test_f30_what_does_not_fit_is_refused_by_name(tmp_path: Path) -> None:
    one = Pair("ab")
    mg.save(tmp_path / "x", model=one, optimizer=stepped(one))
    three = Pair("abc")
    late = stepped(three)
    before = three.state_dict(), repr(late.state_dict())
    with pytest.raises(mg.errors.CheckpointError, match=r"(?s)x: .*missing: c.bias has no state.*missing: c.weight"):
        mg.load(tmp_path / "x", model=three, optimizer=late, strict=False)
    assert all(np.array_equal(before[0][k], v) for k, v in three.state_dict().items())
    assert repr(late.state_dict()) == before[1]
    alone = mg.optim.Adam(one.parameters())
    with pytest.raises(mg.errors.CheckpointError, match="load both together"):
        mg.load(tmp_path / "x", optimizer=alone)
    mg.load(tmp_path / "x", optimizer=mg.optim.Adam(one.named_parameters()))  # these have the names
    mg.save(tmp_path / "alone", optimizer=stepped(one))
    mg.load(tmp_path / "alone", optimizer=alone)  # saved alone: it has nothing but positions
    halves = mg.optim.Adam([{"params": one.a.parameters()}, {"params": one.b.parameters()}])
    with pytest.raises(mg.errors.CheckpointError, match="groups: the file has"):
        mg.load(tmp_path / "x", model=one, optimizer=halves)


def test_f30_a_parameter_of_the_loss_is_kept_beside_those_of_the_model(tmp_path: Path) -> None:
    model, scale = Pair(), mg.Parameter(mg.ones(()))
    optimizer = mg.optim.Adam([scale, *model.parameters()], lr=0.1)
    ((model(mg.tensor(X)) ** 2).mean() * scale).backward()
    optimizer.step()
    mg.save(tmp_path / "x", model=model, optimizer=optimizer)
    late = mg.optim.Adam([scale, *model.parameters()], lr=0.1)
    mg.load(tmp_path / "x", model=model, optimizer=late)
    assert repr(late.state_dict()) == repr(optimizer.state_dict())
    assert late.state_dict()["state"]["0"]["exp_avg"].shape == ()


# ---- F32: a norm that was put into evaluation by hand


def test_f32_what_is_in_evaluation_while_the_model_trains_stays_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def check() -> None:
        model = Sequential(Linear(3, 4), BatchNorm1d(4), Linear(4, 1))
        model[1].eval()
        before = model[1].running_mean.numpy()
        train(model, epochs=2, valid=(X, Y))
        np.testing.assert_array_equal(model[1].running_mean.numpy(), before)
        assert [m.training for m in model.children()] == [True, False, True]

    check()
    whole = Sequential(Linear(3, 4), BatchNorm1d(4), Linear(4, 1)).eval()  # a root in evaluation is trained
    train(whole, epochs=2, valid=(X, Y))
    assert whole[1].running_mean.numpy().any()
    assert not whole.training

    class Thaw(Callback):
        def on_epoch_begin(self, epoch: int) -> None:
            if epoch == 2:
                self.run.model[1].train()

        def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
            self.run.model.eval()  # to draw something, and then forgotten

    model = Sequential(Linear(3, 4), BatchNorm1d(4), Linear(4, 1))
    model[1].eval()
    train(model, epochs=1, callbacks=[Thaw()])
    assert not model[1].running_mean.numpy().any()
    train(model, epochs=3, callbacks=[Thaw()])
    assert model[1].num_batches_tracked.item() == 2 * 3  # of the second epoch and of the third
    right = loop._epoch

    def all_train(run: Any, *rest: Any) -> None:
        run.model.train()
        right(run, *rest)

    monkeypatch.setattr(loop, "_epoch", all_train)
    found_by(check)
