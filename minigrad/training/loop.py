"""`fit`: the training loop."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

from minigrad.answers import answering, remedy
from minigrad.backend import memory
from minigrad.core import Tensor, integer, no_grad
from minigrad.errors import ArgumentError, NonFiniteError, ShapeError
from minigrad.optim import Optimizer
from minigrad.training import metrics as known_metrics
from minigrad.training.callbacks import Callback
from minigrad.training.feed import Feed
from minigrad.training.history import History
from minigrad.training.interrupt import CtrlC
from minigrad.training.progress import Progress
from minigrad.training.run import Figure, Run, Sums

__all__ = ["fit"]


@answering
def fit(
    model: Any,
    train: Any,
    valid: Any = None,
    *,
    loss: Figure,
    optimizer: Any,
    epochs: int = 1,
    batch_size: int = 32,
    metrics: Sequence[str | Figure] = (),
    callbacks: Sequence[Callback] = (),
    shuffle: bool = True,
    seed: int = 0,
    verbose: int = 1,
) -> History:
    """Train `model` for `epochs` passes over `train`, and measure it on `valid` after each.

    Args:
        model: a Module, trained where it lives. What is in evaluation while the model itself trains stays so (a frozen
            norm); a model in evaluation is trained whole. The flags are put back at the end.
        train: arrays `(X, y)`, a DataLoader, or an iterable of batches `(x, y)`, gone through once an epoch. The model
            is called with all parts but the last, which is the target. Floats are cast to the parameters' dtype.
        valid: the same, for validation, or None.
        loss: `(prediction, target) -> ` a 0-d tensor, the mean over the batch, such as `minigrad.losses.mse`.
        optimizer: over parameters of the model; those that it leaves out stay as they are.
        epochs: the total, those of a resumed run included.
        batch_size, shuffle, seed: for arrays; a DataLoader and an iterable have their own.
        metrics: "accuracy", "binary_accuracy", or functions like `loss`, which may also return plain numbers; their
            names are the names of the figures.
        callbacks: see `Callback`, `EarlyStopping`, `Checkpoint`.
        verbose: 0 says nothing, 1 shows a bar on a terminal, 2 one line an epoch.

    Returns:
        The history: `fit(…).history["val_loss"][-1]`. Training figures are means over the epoch as it went by, with
        dropout and batch statistics on; validation figures belong to the model as it is after the epoch.

    Raises:
        NonFiniteError: the training loss of an epoch is NaN or infinite.
        ShapeError: the loss has more than one element.
        ArgumentError: arguments that make no training, an optimiser over another model's parameters too.
        Interrupted: Ctrl-C, after the step under way (a KeyboardInterrupt; a second Ctrl-C stops at once).

    Example:
        >>> import minigrad as mg, numpy as np
        >>> X = np.linspace(-1, 1, 64).reshape(-1, 1)
        >>> model = mg.layer("Linear", 1, 1)
        >>> history = mg.fit(model, (X, 3 * X + 1), loss=mg.losses.mse, epochs=40, verbose=0,
        ...                  optimizer=mg.optim.Adam(model.parameters(), lr=0.1))
        >>> history.history["loss"][-1] < 1e-2
        True
    """
    figures = _figures(loss, metrics)
    epochs, batch_size = integer(epochs, "epochs", "fit", 0), integer(batch_size, "batch_size", "fit", 1)
    _belonging(model, optimizer)
    like = next(iter(model.parameters()), None)
    run = Run(model, optimizer, Feed(train, "train", like, batch_size, shuffle, seed), figures, epochs)
    held_out = None if valid is None else Feed(valid, "valid", like, batch_size, False, 0)
    bar = [] if not verbose or any(isinstance(c, Progress) for c in callbacks) else [Progress(bar=verbose == 1)]
    told = [*bar, *callbacks]
    if like is not None and like.device == "numpy":
        memory.keep()
    flags = Flags(model)
    begun: list[Callback] = []
    with CtrlC(run, told) as ctrl_c:
        try:
            for callback in told:
                callback.run = run
            for callback in (*callbacks, *bar):  # the bar begins where a checkpoint has set the position
                callback.on_train_begin()
                begun.append(callback)
            if not model.training:
                model.train()
            training = Flags(model)
            while run.done < run.epochs and not run.stop:
                _epoch(run, held_out, told, ctrl_c, training)
        except BaseException as error:
            flags.put_back()
            _end([c for c in told if c in begun], error)
            raise
        flags.put_back()
        _end(told)
    return run.history


class Flags:
    """Which modules train, to be put back as it was."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.note()

    def note(self) -> None:
        """From now on, these flags are meant."""
        self.flags = [(module, module.training) for module in self.model.modules()]

    def put_back(self) -> None:
        """Set every flag to what it was."""
        for module, flag in self.flags:
            module.training = flag and not module.frozen

    def healed(self) -> None:
        """Put them back if a callback left the model in evaluation."""
        if not self.model.training:
            self.put_back()


def _end(callbacks: Sequence[Callback], error: BaseException | None = None) -> None:
    """Tell every callback that it is over; what one of them raises must not hide the error that ended the training."""
    first = error
    for callback in callbacks:
        try:
            callback.on_train_end()
        except Exception as problem:  # noqa: BLE001  (raised below, or a note on what went wrong before)
            if first is None:
                first = problem
            else:
                first.add_note(f"{type(callback).__name__}.on_train_end failed too: {problem!r}")
    if error is None and first is not None:
        raise first


def _belonging(model: Any, optimizer: Any) -> None:
    """ArgumentError unless these are a model and an optimiser, and the one's parameters are the other's."""
    for name, value, method, kind in (
        ("model", model, "named_parameters", "a Module"), ("optimizer", optimizer, "step", "an Optimizer"),
    ):  # fmt: skip
        if not hasattr(value, method) or isinstance(value, type):
            example = "mg.optim.Adam(model.parameters())" if name == "optimizer" else 'mg.layer("Linear", 2, 1)'
            raise ArgumentError(f"fit: {name} is {value!r}; give {kind}, such as {name}={example}")
    mine = {id(p): name for name, p in model.named_parameters()}
    held = {id(p): (name, p) for name, p in optimizer.named_parameters()} if isinstance(optimizer, Optimizer) else {}
    strange = [f"{name} of shape {p.shape}" for k, (name, p) in held.items() if k not in mine]
    left_out = [name for name, p in model.named_parameters() if id(p) not in held and p.requires_grad]
    if strange and (left_out or len(strange) == len(held)):
        raise ArgumentError(
            f"fit: {len(strange)} of the {len(held)} parameters of the optimizer are not the model's "
            f"({_some(strange)}), and of the model's own it leaves out {_some(left_out) or 'none to be trained'}; "
            "make the optimiser when the model is complete: mg.optim.Adam(model.parameters())"
        )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _epoch(run: Run, valid: Feed | None, callbacks: Sequence[Callback], ctrl_c: CtrlC, training: Flags) -> None:
    began = time.monotonic()
    training.healed()
    for callback in callbacks:
        callback.on_epoch_begin(run.done + 1)
    if run.stop:
        return
    training.healed()
    training.note()
    for batch in run.feed.epoch(run.done, run.batch):
        _step(run, batch)
        for callback in callbacks:
            callback.on_batch_end(run.batch - 1)
        ctrl_c.check()
    figures = run.sums.means()
    if not math.isfinite(figures["loss"]):
        raise NonFiniteError(f"fit: the training loss of epoch {run.done + 1} is {figures['loss']}; {_why(run)}")
    measured = _measure(run, valid, ctrl_c) if valid is not None else {}
    record: dict[str, Any] = {"epoch": run.done + 1}
    for name, value in figures.items():
        record[name] = value
        if measured:
            record[f"val_{name}"] = measured[name]
    record |= {"lr": run.lr, "seconds": round(time.monotonic() - began, 3)}
    run.done, run.batch, run.sums = run.done + 1, 0, Sums(run.figures)
    run.history.records.append(record)
    for callback in callbacks:
        callback.on_epoch_end(run.done, record)


def _why(run: Run) -> str:
    """What may have made the loss of the epoch under way NaN or infinite: the data, if they hold such a value."""
    found = run.feed.fault(run.done)
    if found:
        return f"{found}; mend the data (mg.isfinite finds the places)"
    return (
        f"the learning rate is {run.lr:g}, try a tenth of it; if that does not help, look for log, sqrt or a division "
        "at 0 (minigrad.safe has versions that are finite there; minigrad.debug.nan_guard names the operation)"
    )


def _step(run: Run, batch: Sequence[Tensor]) -> None:
    *inputs, target = batch
    run.optimizer.zero_grad()
    prediction = run.model(*inputs)
    value = run.figures["loss"](prediction, target)
    if not isinstance(value, Tensor) or value.size != 1:
        got = f"a tensor of shape {value.shape}" if isinstance(value, Tensor) else repr(value)
        raise ShapeError(
            f"fit: loss returned {got} for a prediction of shape {prediction.shape} and a target of shape "
            f"{target.shape}; it must return a tensor of one element, the mean over the batch"
        )
    value.backward()
    run.optimizer.step()
    _add(run.sums, run.figures, value, prediction.detach(), target)
    run.batch += 1


def _measure(run: Run, valid: Feed, ctrl_c: CtrlC) -> dict[str, float]:
    flags, sums = Flags(run.model), Sums(run.figures)
    run.model.eval()
    with no_grad():
        for *inputs, target in valid.epoch(0, 0):
            prediction = run.model(*inputs)
            _add(sums, run.figures, run.figures["loss"](prediction, target), prediction, target)
            ctrl_c.check()
    flags.put_back()
    return sums.means()


def _add(sums: Sums, figures: dict[str, Figure], loss: Tensor, prediction: Tensor, target: Tensor) -> None:
    with no_grad():
        for name, figure in figures.items():
            sums.add(name, loss if name == "loss" else figure(prediction, target), len(target))


def _figures(loss: Any, metrics: Sequence[str | Figure]) -> dict[str, Figure]:
    """The loss and the metrics by name."""
    if not callable(loss):
        known = remedy(loss) if isinstance(loss, str) else ""
        raise ArgumentError(
            f"fit: loss={loss!r} must be a function (prediction, target), such as {known or 'mg.losses.mse'}"
        )
    if isinstance(metrics, str) or callable(metrics):
        raise ArgumentError(f"fit: metrics={metrics!r} must be a list, such as ['accuracy']")
    figures: dict[str, Figure] = {"loss": loss}
    for metric in metrics:
        name = metric if isinstance(metric, str) else getattr(metric, "__name__", type(metric).__name__)
        if isinstance(metric, str) and metric not in known_metrics.__all__:
            known = remedy(metric)
            raise ArgumentError(
                f"fit: no metric is called {metric!r}; there are {', '.join(known_metrics.__all__)}, or give a function"
                + (f", such as {known}" if known else "")
            )
        if name in figures:
            raise ArgumentError(f"fit: two figures are called {name!r}; give each metric a __name__ of its own")
        figures[name] = getattr(known_metrics, metric) if isinstance(metric, str) else metric
    return figures
