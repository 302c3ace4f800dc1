"""`fit`, its callbacks and its checkpoints: R2 (resume; R1: test_resume.py), B2 (no copy to the host in a step)."""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.backend import get_backend
from minigrad.data import DataLoader
from minigrad.training import Callback, Checkpoint, EarlyStopping, HistoryFile, Interrupted, Run, accuracy, fit
from minigrad_layers import BatchNorm1d, Dropout, Linear, ReLU, Sequential

RNG = np.random.default_rng(0)
X = RNG.standard_normal((50, 4))  # float64, while the network is float32
Y = (X.sum(axis=1) > 0).astype(np.int64) + (X[:, 0] > 1)
XV, YV = X[:11] * 0.9, Y[:11]
SILENT: dict[str, Any] = {"loss": mg.losses.cross_entropy, "metrics": ["accuracy"], "batch_size": 16, "verbose": 0}


def network(seed: int = 0) -> tuple[Sequential, Any]:
    mg.random.seed(seed)
    model = Sequential(Linear(4, 8), BatchNorm1d(8), ReLU(), Dropout(0.3), Linear(8, 3))
    return model, mg.optim.Adam(model.parameters(), lr=1e-2)


def figures(history: Any) -> list[dict[str, float]]:
    return [{k: v for k, v in record.items() if k != "seconds"} for record in history.records]


def state(model: Any, optimizer: Any) -> Any:
    return (
        {name: array.tobytes() for name, array in model.state_dict().items()},
        repr(optimizer.state_dict()),
        [generator.state for _, generator in model.named_generators()],
    )


# ---- the loop


def test_the_history_is_what_the_epochs_measured() -> None:
    model, optimizer = network()
    history = fit(model, (X, Y), (XV, YV), optimizer=optimizer, epochs=3, **SILENT)
    assert list(history.history) == ["loss", "val_loss", "accuracy", "val_accuracy"]
    assert [record["epoch"] for record in history.records] == [1, 2, 3]
    assert len(history) == 3
    assert history.history["loss"][-1] < history.history["loss"][0]
    model.eval()
    prediction = model(mg.tensor(XV, dtype="float32"))
    expected = mg.losses.cross_entropy(prediction, mg.tensor(YV)).item()
    assert abs(history.history["val_loss"][-1] - expected) <= 1e-6
    assert history.history["val_accuracy"][-1] == (prediction.numpy().argmax(1) == YV).mean()


def test_it_equals_the_loop_that_a_person_would_write() -> None:
    model, optimizer = network()
    fit(model, (X, Y), optimizer=optimizer, epochs=2, seed=3, **SILENT)
    other, opt = network()
    loader = DataLoader((X.astype("float32"), Y), 16, seed=3)
    for _ in range(2):
        for x, y in loader:
            opt.zero_grad()
            mg.losses.cross_entropy(other(mg.tensor(x)), mg.tensor(y)).backward()
            opt.step()
    assert state(model, optimizer) == state(other, opt)


@pytest.mark.parametrize(
    "train",
    [
        lambda: (X, Y),
        lambda: (mg.tensor(X), mg.tensor(Y)),
        lambda: (X.astype(">f8"), Y.astype("i4")),
        lambda: DataLoader((X, Y), 16, seed=0),
        lambda: [(X[i : i + 16], Y[i : i + 16]) for i in range(0, 50, 16)],
    ],
    ids=["arrays", "tensors", "odd dtypes", "loader", "batches"],
)
def test_every_kind_of_data_is_taken_and_left_alone(train: Callable[[], Any]) -> None:
    model, optimizer = network()
    before = X.tobytes(), Y.tobytes()
    history = fit(model, train(), optimizer=optimizer, epochs=2, **SILENT)
    assert history.history["loss"][1] < history.history["loss"][0]
    assert all(p.dtype == np.float32 for p in model.parameters())
    assert (X.tobytes(), Y.tobytes()) == before
    X[0] += 0  # still writable


def test_flags_are_put_back_even_after_an_error() -> None:
    model, optimizer = network()
    model[1].eval()
    fit(model, (X, Y), optimizer=optimizer, **SILENT)
    assert [m.training for m in model.children()] == [True, False, True, True, True]
    with pytest.raises(ValueError, match="labels"):
        fit(model, (X, Y), optimizer=optimizer, **{**SILENT, "loss": refusing})
    assert [m.training for m in model.children()] == [True, False, True, True, True]


def refusing(prediction: Any, target: Any) -> Any:
    raise ValueError("labels")


def test_a_loss_that_is_not_finite_stops_the_training() -> None:
    model, optimizer = network()
    with pytest.raises(mg.errors.NonFiniteError, match=r"epoch 1 is nan; the learning rate is 0.01"):
        fit(model, (X, Y), optimizer=optimizer, epochs=3, **{**SILENT, "loss": undefined})


def undefined(prediction: Any, target: Any) -> Any:
    return mg.losses.cross_entropy(prediction, target) * float("nan")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"loss": "mse"}, "loss='mse'"),
        ({"metrics": "accuracy"}, "must be a list"),
        ({"metrics": ["f1"]}, "no metric is called 'f1'"),
        ({"metrics": [accuracy, accuracy]}, "two figures"),
        ({"epochs": -1}, "epochs=-1"),
        ({"epochs": 1.5}, "epochs=1.5 must be an integer"),
        ({"batch_size": 2.5}, "batch_size=2.5 must be an integer"),
        ({"shuffle": "no"}, "shuffle='no' must be True or False"),
        ({"optimizer": "adam"}, r"optimizer is 'adam'; give an Optimizer, such as optimizer=mg.optim.Adam\("),
        ({"optimizer": mg.optim.Adam}, "optimizer is <class"),
        ({"train": ([[1.0, 2.0], [3.0, 4.0]], [0, 1])}, r"lists of numbers; make arrays of them: \(np.asarray\(X\)"),
        ({"train": [X, Y]}, r"a tuple \(X, y\), not as a list"),
        ({"train": X}, "train is a ndarray"),
        ({"metrics": [lambda p, t: "good"]}, "the metric '<lambda>' returned 'good'"),
        ({"metrics": [lambda p, t: p]}, r"the metric '<lambda>' returned a tensor of shape \(16, 3\)"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"optimizer": 0.1}, "optimizer is 0.1"),
        ({"model": len}, "model is"),
        ({"train": "digits"}, "train is a str"),
        ({"train": [X]}, "tuple"),
        ({"train": iter([(X, Y)]), "epochs": 2}, "no batch in epoch 2"),
        ({"loss": lambda p, t: p}, r"shape \(16, 3\)"),
        ({"callbacks": [EarlyStopping("val_loss")]}, "val_loss.*not among the figures"),
    ],
)
def test_wrong_calls_are_told_what_is_wrong(changes: dict[str, Any], said: str) -> None:
    model, optimizer = network()
    arguments = {"model": model, "train": (X, Y), "optimizer": optimizer, **SILENT, **changes}
    with pytest.raises((mg.errors.ArgumentError, mg.errors.ShapeError), match=said):
        fit(arguments.pop("model"), arguments.pop("train"), **arguments)


@pytest.mark.parametrize(
    ("prediction", "target", "share"),
    [([[1, 2], [2, 1], [0, 5]], [1, 1, 1], 2 / 3), ([0.5, -1.0], [1, 0], 1.0), ([[0.5], [1.0]], [[1], [0]], 0.5)],
)
def test_accuracy(prediction: Any, target: Any, share: float) -> None:
    assert accuracy(mg.tensor(prediction), mg.tensor(target)).item() == share
    with pytest.raises(mg.errors.ShapeError, match="accuracy"):
        accuracy(mg.tensor(np.ones((3, 2))), mg.tensor([1, 2]))


def test_a_step_copies_nothing_to_the_host() -> None:
    """B2, on the stand-in that counts: what an epoch copies does not grow with its batches."""
    counts = get_backend("fakecupy").transfers

    def copies(batch_size: int) -> tuple[int, int]:
        model, optimizer = network()
        model.to("fakecupy")
        start = counts.to_host, counts.waits
        fit(model, (X, Y), (XV, YV), optimizer=optimizer, epochs=2, **{**SILENT, "batch_size": batch_size})
        return counts.to_host - start[0], counts.waits - start[1]

    assert copies(25) == copies(5)
    # an epoch reads the sums of training and of validation, and each time the flag of index errors on the device
    assert copies(5) == (2 * 2 * 2, 0)


# ---- callbacks


def test_callbacks_are_told_everything_in_order() -> None:
    told: list[str] = []

    class Telling(Callback):
        def __getattribute__(self, name: str) -> Any:
            if name.startswith("on_"):
                return lambda *a: told.append(" ".join([name[3:], *map(str, a[:1])]))
            return super().__getattribute__(name)

    model, optimizer = network()
    fit(model, (X[:32], Y[:32]), optimizer=optimizer, epochs=2, callbacks=[Telling()], **SILENT)
    epochs = [[f"epoch_begin {e}", "batch_end 0", "batch_end 1", f"epoch_end {e}"] for e in (1, 2)]
    assert told == ["train_begin", *epochs[0], *epochs[1], "train_end"]


@pytest.mark.parametrize(("patience", "epochs"), [(1, 4), (2, 5)])
def test_early_stopping(patience: int, epochs: int) -> None:
    values = [3.0, 2.0, 1.0, 1.0, 1.0, 0.5, 0.4]

    class Told(Callback):
        def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
            logs["val_loss"] = values[epoch - 1]

    model, optimizer = network()
    stopping = [Told(), EarlyStopping(patience=patience)]
    history = fit(model, (X, Y), (XV, YV), optimizer=optimizer, epochs=7, callbacks=stopping, **SILENT)
    assert len(history) == epochs


def test_the_history_file_has_a_line_an_epoch(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "history.jsonl"
    model, optimizer = network()
    history = fit(model, (X, Y), (XV, YV), optimizer=optimizer, epochs=2, callbacks=[HistoryFile(path)], **SILENT)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines == history.records
    assert list(lines[0]) == ["epoch", "loss", "val_loss", "accuracy", "val_accuracy", "lr", "seconds"]


def test_progress_says_a_line_an_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    model, optimizer = network()
    fit(model, (X, Y), (XV, YV), optimizer=optimizer, epochs=10, **{**SILENT, "verbose": 1})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 10
    assert lines[2].startswith("epoch  3/10  loss 0.")
    assert "  val_accuracy " in lines[2]


def test_progress_draws_a_bar_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("rich")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    model, optimizer = network()
    fit(model, (X, Y), optimizer=optimizer, epochs=2, **{**SILENT, "verbose": 1})
    out = capsys.readouterr().out
    assert "epoch 2/2  loss" in out
    assert "━" in out


# ---- going on


class StopAt(Callback):
    """Presses Ctrl-C after a batch."""

    def __init__(self, epoch: int, batch: int) -> None:
        self.at = epoch, batch

    def on_batch_end(self, batch: int) -> None:
        if (self.run.done + 1, batch) == self.at:
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("at", [(1, 0), (1, 3), (2, 2), (3, 1), (4, 3)])
def test_a_resumed_run_equals_an_uninterrupted_one(at: tuple[int, int], tmp_path: Path) -> None:
    """R2, bit for bit: weights, statistics, moments, streams, history; in the middle of an epoch and at its end."""
    loader = DataLoader((X, Y), 16, seed=4, transform=lambda x, y, rng: (x + 0.01 * rng.standard_normal(x.shape), y))

    def train(*callbacks: Callback, resume: bool = False) -> tuple[Any, Any]:
        model, optimizer = network(seed=9 if resume else 1)  # a resumed run takes nothing from the new objects
        keeper = Checkpoint(tmp_path / "x", resume=resume)
        history = fit(model, loader, (XV, YV), optimizer=optimizer, epochs=4, callbacks=[*callbacks, keeper], **SILENT)
        return figures(history), state(model, optimizer)

    whole = train()
    with pytest.raises(Interrupted, match="stopped by Ctrl-C") as stop:
        train(StopAt(*at))
    assert len(stop.value.history) == at[0] - 1
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert train(resume=True) == whole
    assert train(resume=True) == whole  # nothing is left to do


def test_a_run_with_another_order_of_the_data_is_not_resumed(tmp_path: Path) -> None:
    model, optimizer = network()
    keeper = [Checkpoint(tmp_path / "x", resume=True)]
    fit(model, (X, Y), optimizer=optimizer, callbacks=keeper, **SILENT)
    with pytest.raises(mg.errors.ArgumentError, match=r"batch_size=16 \(now 8\)"):
        fit(model, (X, Y), optimizer=optimizer, callbacks=keeper, **{**SILENT, "batch_size": 8})
    mg.save(tmp_path / "x", model=model, optimizer=optimizer)
    with pytest.raises(mg.errors.CheckpointError, match="no training to resume"):
        fit(model, (X, Y), optimizer=optimizer, callbacks=keeper, **SILENT)


def test_a_monitored_checkpoint_keeps_the_best(tmp_path: Path) -> None:
    best = Checkpoint(tmp_path / "best", monitor="val_loss")
    model, optimizer = network()
    optimizer.param_groups[0]["lr"] = 0.3
    history = fit(model, (X, Y), (XV, YV), optimizer=optimizer, epochs=8, callbacks=[best], **SILENT)
    values = history.history["val_loss"]
    run = mg.load(tmp_path / "best")["run"]
    assert run["done"] == 1 + int(np.argmin(values))


def test_other_threads_and_handlers_are_left_alone() -> None:
    seen: list[Run | None] = []

    def train() -> None:
        model, optimizer = network()
        fit(model, (X, Y), optimizer=optimizer, **SILENT)
        seen.append(None)

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    assert seen == [None]
    assert signal.getsignal(signal.SIGINT) is before
