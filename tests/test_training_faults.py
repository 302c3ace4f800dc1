"""Where `fit` and its data were wrong or lost something, a test a fault; test_known_faults_training.py has those that
other engines share.
"""

from __future__ import annotations

import math
import signal
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.data import DataLoader
from minigrad.training import Callback, Checkpoint, EarlyStopping, accuracy, binary_accuracy, fit
from minigrad_layers import Linear

RNG = np.random.default_rng(0)
X = RNG.standard_normal((24, 3)).astype("float32")
Y = RNG.integers(3, size=24)
VALID = X[:8], Y[:8]


def train(**options: Any) -> Any:
    mg.random.seed(options.pop("init", 0))
    model = options.pop("model", None) or Linear(3, 3)
    optimizer = mg.optim.Adam(model.parameters(), lr=0.05)
    defaults = {"loss": mg.losses.cross_entropy, "optimizer": optimizer, "epochs": 2, "batch_size": 8, "verbose": 0}
    return fit(model, options.pop("data", (X, Y)), options.pop("valid", None), **defaults | options)


class Press(Callback):
    """Ctrl-C after a batch of an epoch."""

    def __init__(self, epoch: int, batch: int) -> None:
        self.at = epoch, batch

    def on_batch_end(self, batch: int) -> None:
        if (self.run.done + 1, batch) == self.at:
            signal.raise_signal(signal.SIGINT)


# ---- metrics


def test_accuracy_of_one_hot_floats_is_of_classes() -> None:
    """It counted element by element: two thirds for a prediction that is never right."""
    scores, labels = mg.tensor([[0.1, 0.9, 0.2], [0.8, 0.1, 0.3]]), mg.tensor([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    assert accuracy(scores, labels).item() == 0.5
    assert accuracy(scores, mg.tensor([0, 0])).item() == 0.5
    history = train(data=(X, np.eye(3, dtype="float32")[Y]), metrics=["accuracy"])
    again = train(metrics=["accuracy"])
    assert history.history["accuracy"] == again.history["accuracy"]
    with pytest.raises(mg.errors.ShapeError, match="'binary_accuracy'"):  # one-hot, or several labels a sample?
        accuracy(scores, mg.tensor([[1, 0, 0], [1, 0, 0]]))
    assert binary_accuracy(scores - 0.5, labels).item() == 4 / 6
    with pytest.raises(mg.errors.ShapeError, match=r"binary_accuracy: prediction has shape \(2, 3\), target \(2,\)"):
        binary_accuracy(scores, mg.tensor([1, 0]))


def test_a_metric_may_return_a_number() -> None:
    def largest(prediction: mg.Tensor, target: mg.Tensor) -> float:
        return float(prediction.numpy().max())

    def half(prediction: mg.Tensor, target: mg.Tensor) -> Any:
        return np.float32(0.5)

    def one(prediction: mg.Tensor, target: mg.Tensor) -> mg.Tensor:
        return mg.ones((1,))

    history = train(metrics=[largest, half, one, "accuracy"], valid=VALID).history
    assert history["half"] == history["val_half"] == [0.5, 0.5]
    assert history["one"] == [1.0, 1.0]
    assert all(np.isfinite(history["largest"]))


# ---- going on otherwise than it began


@pytest.mark.parametrize(("first", "second"), [(None, VALID), (VALID, None)], ids=["with", "without"])
def test_a_run_is_resumed_with_or_without_validation(first: Any, second: Any, tmp_path: Path) -> None:
    """It raised KeyError: 'val_loss'."""
    pytest.importorskip("matplotlib")
    draw_curves = import_module("minigrad.training.curves").draw_curves

    def run(valid: Any, epochs: int) -> Any:
        watching = [Checkpoint(tmp_path / "x", resume=True), mg.training.HistoryFile(tmp_path / "history.jsonl")]
        return train(valid=valid, epochs=epochs, callbacks=watching, metrics=["accuracy"])

    run(first, 2)
    history = run(second, 4)
    measured = [not math.isnan(value) for value in history.history["val_loss"]]
    assert measured == [first is not None] * 2 + [second is not None] * 2
    assert ("val_loss" in history.records[0]) is (first is not None)
    assert "val_loss" in repr(history)
    draw_curves(history.records, tmp_path / "curves.png")


@pytest.mark.parametrize("mid_epoch", [False, True])
@pytest.mark.parametrize(("first", "second"), [([], ["accuracy"]), (["accuracy"], [])], ids=["more", "less"])
def test_a_run_is_resumed_with_other_metrics(first: Any, second: Any, mid_epoch: bool, tmp_path: Path) -> None:
    if mid_epoch:
        with pytest.raises(KeyboardInterrupt):
            train(callbacks=[Press(2, 1), Checkpoint(tmp_path / "x")], metrics=first)
    else:
        train(callbacks=[Checkpoint(tmp_path / "x")], metrics=first)
    rows: list[float] = []

    def noted(prediction: mg.Tensor, target: mg.Tensor) -> mg.Tensor:
        rows.append(accuracy(prediction, target).item())
        return mg.tensor(rows[-1])

    noted.__name__ = "accuracy"
    keeper = Checkpoint(tmp_path / "x", resume=True)
    history = train(epochs=3, callbacks=[keeper], metrics=[noted] if second else [])
    whole = train(epochs=3)
    assert history.history["loss"] == whole.history["loss"]
    known = [not math.isnan(value) for value in history.history["accuracy"]]
    if second:  # the figure of an epoch that was gone on with is of the batches that were left
        assert known == [False, mid_epoch, True]
        assert history.history["accuracy"][2] == pytest.approx(np.mean(rows[-3:]))
        assert not mid_epoch or history.history["accuracy"][1] == rows[0]
    else:
        assert known == [True, not mid_epoch, False]


def test_early_stopping_looks_after_a_run_without_validation(tmp_path: Path) -> None:
    """Its list of values came from the first record's names: it never looked."""
    stopping = EarlyStopping(patience=2, min_delta=1e9)  # nothing is that much better
    keeper = Checkpoint(tmp_path / "x", resume=True)
    train(epochs=5, callbacks=[keeper])
    history = train(epochs=20, valid=VALID, callbacks=[keeper, stopping])
    assert len(history) == 5 + 3


def test_a_shorter_iterable_does_not_close_the_epoch_of_a_resumed_run(tmp_path: Path) -> None:
    """The epoch ended with the sums of the run before and no batch of its own."""
    batches = [(X[i : i + 8], Y[i : i + 8]) for i in range(0, 24, 8)]
    with pytest.raises(KeyboardInterrupt):
        train(data=batches, callbacks=[Press(2, 1), Checkpoint(tmp_path / "x")])
    keeper = Checkpoint(tmp_path / "x", resume=True)
    for shorter in (batches[:1], iter(batches[:1])):
        with pytest.raises(mg.errors.ArgumentError, match="had 2 batches of epoch 2 behind it, but train gives only 1"):
            train(data=shorter, callbacks=[keeper])
    assert len(train(data=batches[:2], callbacks=[keeper])) == 2  # all that there are now: the epoch is complete


# ---- errors that hid others


def test_on_train_end_hides_no_error_of_on_train_begin() -> None:
    """A later callback's `on_train_end` used `self.run`, which it had not been given: AttributeError."""
    ended: list[str] = []

    class Failing(Callback):
        def on_train_begin(self) -> None:
            raise OSError("the disk is full")

        def on_train_end(self) -> None:
            ended.append("failing")

    class Using(Callback):
        def on_train_end(self) -> None:
            ended.append(f"using {self.run.epochs}")

    with pytest.raises(OSError, match="the disk is full"):
        train(callbacks=[Using(), Failing(), Using()])
    assert ended == ["using 2"]  # of those that had begun


def test_on_train_end_hides_no_error_of_the_training() -> None:
    class Breaking(Callback):
        def __init__(self, name: str) -> None:
            self.name = name

        def on_train_end(self) -> None:
            ended.append(self.name)
            raise ValueError(self.name)

    ended: list[str] = []
    with pytest.raises(mg.errors.ArgumentError, match="metric") as failed:
        train(callbacks=[Breaking("a"), Breaking("b")], metrics=[lambda p, t: None])
    assert ended == ["a", "b"]
    notes = [f"Breaking.on_train_end failed too: ValueError('{name}')" for name in "ab"]
    assert failed.value.__notes__ == notes
    with pytest.raises(ValueError, match="a") as alone:
        train(callbacks=[Breaking("a"), Breaking("b")])
    assert alone.value.__notes__ == notes[1:]


# ---- what made the loss NaN


def test_a_batch_without_labels_moves_nothing_and_the_epoch_has_a_loss() -> None:
    """The mean over no labels was NaN, and `fit` blamed the learning rate."""
    labels = Y.copy()
    labels[8:16] = -100
    model = Linear(3, 3)
    history = train(model=model, data=(X, labels), shuffle=False)
    assert all(np.isfinite(history.history["loss"]))
    for weight in (None, [1.0, 2.0, 3.0]):
        model.zero_grad()
        value = mg.losses.cross_entropy(model(mg.tensor(X[8:16])), labels[8:16], weight=weight)
        value.backward()
        assert value.item() == 0
        assert not any(p.grad.numpy().any() for p in model.parameters())
        assert mg.losses.nll(mg.zeros((2, 3)), [-100, -100], weight=weight).item() == 0


@pytest.mark.parametrize("kind", ["arrays", "loader", "batches", "generator"])
def test_nan_in_the_data_is_not_blamed_on_the_learning_rate(kind: str) -> None:
    inputs, targets = X.astype("float64"), X.sum(axis=1, keepdims=True)
    inputs[9, 1], inputs[10, 2] = np.nan, 1e39  # the second is infinite as float32 only
    batches = [(inputs[i : i + 8], targets[i : i + 8]) for i in range(0, 24, 8)]
    data = {
        "arrays": (inputs, targets), "loader": DataLoader((inputs, targets), 8, shuffle=False), "batches": batches,
        "generator": iter(batches),
    }[kind]  # fmt: skip
    says = "batch 1 .*of train holds 2 values in its inputs that are NaN or infinite as float32; mend the data"
    if kind == "generator":  # it cannot be gone through again
        says = "the learning rate is 0.05"
    with np.errstate(all="ignore"), pytest.raises(mg.errors.NonFiniteError, match=says):
        train(model=Linear(3, 1), data=data, loss=mg.losses.mse, shuffle=False)
    targets[0] = np.inf
    with np.errstate(all="ignore"), pytest.raises(mg.errors.NonFiniteError, match=r"batch 0 .* 1 values in its target"):
        train(model=Linear(3, 1), data=(inputs, targets), loss=mg.losses.mse, shuffle=False)


# ---- messages


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"batch_size": 2.7}, "batch_size=2.7 must be an integer, not float"),
        ({"batch_size": True}, "batch_size=True must be an integer"),
        ({"shuffle": "no"}, "shuffle='no' must be True or False, not str"),
        ({"seed": 1.5}, "seed=1.5 must be an integer"),
        ({"drop_last": 1}, "drop_last=1 must be True or False"),
        ({"transform": 3}, "transform=3 must be a function"),
        ({"dataset": ([[1.0, 2.0]], [0])}, r"lists of numbers; make arrays of them: \(np.asarray\(X\)"),
        ({"dataset": (X, [0] * 24)}, "lists of numbers"),
    ],
)
def test_a_loader_says_what_is_wrong(options: dict[str, Any], says: str) -> None:
    with pytest.raises(mg.errors.ArgumentError, match=f"DataLoader: .*{says}"):
        DataLoader(options.pop("dataset", (X, Y)), **options)
    loader = DataLoader((X, Y), batch_size=np.int64(8), shuffle=np.bool_(False), seed=np.uint8(3))
    assert repr(loader) == "DataLoader(24 samples, batch_size=8, shuffle=False, seed=3)"
