"""Data, training and saving at their edges: foreign arrays, iterables of batches, Ctrl-C in the middle of an epoch and
in the last moment, terminals without rich, what a file cannot hold.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.data import DataLoader
from minigrad.training import Callback, Checkpoint, Progress, fit
from minigrad_layers import BatchNorm1d, Linear, Sequential

X = np.random.default_rng(0).standard_normal((12, 2)).astype(np.float32)
Y = X.sum(axis=1, keepdims=True)


class Column:
    """What a table's column is to NumPy: `dtype`, `shape` and `__array__`, and no array of a backend."""

    def __init__(self, values: Any) -> None:
        self.values = np.asarray(values)
        self.dtype, self.shape = self.values.dtype, self.values.shape

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return self.values


def test_a_loader_takes_one_array_a_table_and_a_tensor() -> None:
    for data in (X[:, 0], Column(X[:, 0]), mg.tensor(X[:, 0], device="numpy")):
        loader = DataLoader(data, 5, shuffle=False)
        assert repr(loader) == f"DataLoader(12 samples, batch_size=5, shuffle=False, seed={loader.seed})"
        assert [len(batch) for (batch,) in loader] == [5, 5, 2]
        assert np.array_equal(np.concatenate([np.asarray(b) for (b,) in loader]), X[:, 0])


def straight(**options: Any) -> Any:
    model = Linear(2, 1)
    optimizer = mg.optim.SGD(model.parameters(), lr=0.1)
    defaults = {"loss": mg.losses.mse, "optimizer": optimizer, "epochs": 2, "batch_size": 4, "verbose": 0}
    return fit(model, options.pop("data", (X, Y)), **defaults | options)


def test_a_history_says_what_was_reached() -> None:
    history = straight()
    assert repr(history).startswith("History(2 epochs: loss 0.")
    assert repr(type(history)([])) == "History(0 epochs)"


def test_any_iterable_of_batches_trains_and_a_callback_may_stop_an_epoch_before_it_begins() -> None:
    batches = [(mg.tensor(X[:6]), mg.tensor(Y[:6])), (mg.tensor(X[6:]), mg.tensor(Y[6:]))]
    assert len(straight(data=batches)) == 2

    class Enough(Callback):
        """Stops at the second epoch, before its first batch."""

        def on_epoch_begin(self, epoch: int) -> None:
            self.run.stop = epoch == 2

    assert len(straight(callbacks=[Enough()], epochs=5)) == 1


def test_the_middle_of_an_epoch_is_saved_and_gone_on_from(tmp_path: Path) -> None:
    """With figures as they are after no batch at all, and after one."""

    class Press(Callback):
        """Ctrl-C after the first batch of the second epoch."""

        def on_batch_end(self, batch: int) -> None:
            if self.run.done == 1 and batch == 0:
                signal.raise_signal(signal.SIGINT)

    mg.random.seed(3)
    whole = straight()
    mg.random.seed(3)
    keeper = Checkpoint(tmp_path / "x")
    with pytest.raises(KeyboardInterrupt, match="after 1 of 2 epochs and 1 batches of the next"):
        straight(callbacks=[Press(), keeper])
    again = straight(callbacks=[Checkpoint(tmp_path / "x", resume=True)])
    assert [r["loss"] for r in again.records] == [r["loss"] for r in whole.records]


def test_ctrl_c_in_the_last_moment_is_not_swallowed() -> None:
    class Press(Callback):
        """Ctrl-C when all is done, while the program still holds it back."""

        def on_train_end(self) -> None:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        straight(callbacks=[Press()])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_without_rich_there_are_lines_and_no_bar(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setitem(sys.modules, "rich", None)
    straight(verbose=1)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [["epoch", "1/2"], ["epoch", "2/2"]]
    assert repr(Progress(bar=False)) == "Progress(bar=False)"


def test_running_statistics_that_are_not_kept_are_not_reset() -> None:
    for tracked in (True, False):
        layer = BatchNorm1d(2, track_running_stats=tracked)
        layer(mg.tensor(X))
        layer.reset_running_stats()
        assert (layer.running_mean is None) is (not tracked)
        assert not tracked or layer.running_mean.tolist() == [0.0, 0.0]


def test_gradients_are_forgotten_where_parameters_are_frozen() -> None:
    model = Sequential(Linear(2, 2), Linear(2, 1))
    model[0].requires_grad_(False)
    model(mg.tensor(X)).sum().backward()
    model.zero_grad()
    assert [p.grad for p in model.parameters()] == [None] * 4


# ---- files


def test_what_a_file_cannot_hold_is_refused(tmp_path: Path) -> None:
    class Twins(mg.Module):
        """Two buffers that would be stored under one name."""

        def __init__(self) -> None:
            self.a = mg.Buffer(mg.ones(1))

        def state_dict(self) -> Any:
            return {"__metadata__": np.ones(1)}

    with pytest.raises(mg.errors.ArgumentError, match="stored as '__metadata__'; rename"):
        mg.save(tmp_path / "x.safetensors", model=Twins())

    class Wide(Twins):
        """A dtype that is this machine's own."""

        def state_dict(self) -> Any:
            return {"a": np.ones(1, np.longdouble)}

    with pytest.raises(mg.errors.DtypeError, match=r"'a' has dtype .*, which the file cannot hold"):
        mg.save(tmp_path / "x.safetensors", model=Wide())
    assert list(tmp_path.iterdir()) == []


def test_numbers_of_numpys_are_numbers_of_the_document(tmp_path: Path) -> None:
    mg.save(tmp_path / "x.safetensors", epoch=np.int64(3), best=np.float32(0.5))
    assert mg.load(tmp_path / "x.safetensors") == {"epoch": 3, "best": 0.5}


def test_ctrl_c_while_loading_leaves_what_was_there(tmp_path: Path) -> None:
    model = Linear(2, 1)
    optimizer = mg.optim.SGD(model.parameters(), lr=0.1)
    mg.save(tmp_path / "x.safetensors", model=model, optimizer=optimizer)
    before = {name: array.copy() for name, array in model.state_dict().items()}

    def pressed(state: Any) -> None:
        raise KeyboardInterrupt

    other = Linear(2, 1)
    kept = {name: array.copy() for name, array in other.state_dict().items()}
    broken = mg.optim.SGD(other.parameters(), lr=0.1)
    original = broken.load_state_dict
    broken.load_state_dict = pressed  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        mg.load(tmp_path / "x.safetensors", model=other, optimizer=broken)
    broken.load_state_dict = original  # type: ignore[method-assign]
    assert all(np.array_equal(array, kept[name]) for name, array in other.state_dict().items())
    mg.load(tmp_path / "x.safetensors", model=other, optimizer=broken)
    assert all(np.array_equal(array, before[name]) for name, array in other.state_dict().items())
