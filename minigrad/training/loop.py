"""`fit`: the training loop."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

from minigrad.backend import memory
from minigrad.core import Tensor, no_grad
from minigrad.errors import ArgumentError, NonFiniteError, ShapeError
from minigrad.training import metrics as known_metrics
from minigrad.training.callbacks import Callback
from minigrad.training.feed import Feed
from minigrad.training.history import History
from minigrad.training.interrupt import CtrlC
from minigrad.training.progress import Progress
from minigrad.training.run import Figure, Run, Sums

__all__ = ["fit"]


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
        model: a Module, trained where it lives; its training and evaluation flags are put back at the end.
        train: arrays `(X, y)`, a DataLoader, or an iterable of batches `(x, y)`, gone through once an epoch. The model
            is called with all parts but the last, which is the target. Floats are cast to the parameters' dtype.
        valid: the same, for validation, or None.
        loss: `(prediction, target) -> ` a 0-d tensor, the mean over the batch, such as `minigrad.losses.mse`.
        optimizer: over the model's parameters.
        epochs: the total, those of a resumed run included.
        batch_size, shuffle, seed: for arrays; a DataLoader and an iterable have their own.
        metrics: "accuracy", or functions like `loss`; their names are the names of the figures.
        callbacks: see `Callback`, `EarlyStopping`, `Checkpoint`.
        verbose: 0 says nothing, 1 shows a bar on a terminal, 2 one line an epoch.

    Returns:
        The history: `fit(…).history["val_loss"][-1]`. Training figures are means over the epoch as it went by, with
        dropout and batch statistics on; validation figures belong to the model as it is after the epoch.

    Raises:
        NonFiniteError: the training loss of an epoch is NaN or infinite.
        ShapeError: the loss has more than one element.
        ArgumentError: arguments that make no training.
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
    if not hasattr(model, "named_parameters") or not hasattr(optimizer, "step"):
        wrong, kind = ("model", "a Module") if not hasattr(model, "named_parameters") else ("optimizer", "an Optimizer")
        given = model if wrong == "model" else optimizer
        raise ArgumentError(
            f"fit: {wrong} is {given!r}; give {kind}, such as optimizer=mg.optim.Adam(model.parameters())"
        )
    if epochs < 0 or batch_size < 1:
        raise ArgumentError(f"fit: epochs={epochs} must not be negative and batch_size={batch_size} at least 1")
    like = next(iter(model.parameters()), None)
    run = Run(model, optimizer, Feed(train, "train", like, batch_size, shuffle, seed), figures, epochs)
    held_out = None if valid is None else Feed(valid, "valid", like, batch_size, False, 0)
    bar = [] if not verbose or any(isinstance(c, Progress) for c in callbacks) else [Progress(bar=verbose == 1)]
    told = [*bar, *callbacks]
    if like is not None and like.device == "numpy":
        memory.keep()
    flags = [(module, module.training) for module in model.modules()]
    with CtrlC(run, told) as ctrl_c:
        try:
            for callback in (*callbacks, *bar):  # the bar begins where a checkpoint has set the position
                callback.run = run
                callback.on_train_begin()
            while run.done < run.epochs and not run.stop:
                _epoch(run, held_out, told, ctrl_c)
        finally:
            for module, flag in flags:
                module.training = flag
            for callback in told:
                callback.on_train_end()
    return run.history


def _epoch(run: Run, valid: Feed | None, callbacks: Sequence[Callback], ctrl_c: CtrlC) -> None:
    began = time.monotonic()
    for callback in callbacks:
        callback.on_epoch_begin(run.done + 1)
    if run.stop:
        return
    run.model.train()
    for batch in run.feed.epoch(run.done, run.batch):
        _step(run, batch)
        for callback in callbacks:
            callback.on_batch_end(run.batch - 1)
        ctrl_c.check()
    figures = run.sums.means()
    if not math.isfinite(figures["loss"]):
        raise NonFiniteError(
            f"fit: the training loss of epoch {run.done + 1} is {figures['loss']}; the learning rate is {run.lr:g}, "
            "try a tenth of it; if that does not help, look for log, sqrt or a division at 0 (minigrad.safe has "
            "versions that are finite there)"
        )
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
    run.model.eval()
    sums = Sums(run.figures)
    with no_grad():
        for *inputs, target in valid.epoch(0, 0):
            prediction = run.model(*inputs)
            _add(sums, run.figures, run.figures["loss"](prediction, target), prediction, target)
            ctrl_c.check()
    return sums.means()


def _add(sums: Sums, figures: dict[str, Figure], loss: Tensor, prediction: Tensor, target: Tensor) -> None:
    samples = len(target)
    with no_grad():
        for name, figure in figures.items():
            sums.add(name, loss if name == "loss" else figure(prediction, target), samples)
    sums.count += samples


def _figures(loss: Figure, metrics: Sequence[str | Figure]) -> dict[str, Figure]:
    """The loss and the metrics by name."""
    if not callable(loss):
        raise ArgumentError(f"fit: loss={loss!r} must be a function (prediction, target), such as mg.losses.mse")
    if isinstance(metrics, str) or callable(metrics):
        raise ArgumentError(f"fit: metrics={metrics!r} must be a list, such as ['accuracy']")
    figures: dict[str, Figure] = {"loss": loss}
    for metric in metrics:
        name = metric if isinstance(metric, str) else getattr(metric, "__name__", type(metric).__name__)
        if isinstance(metric, str) and metric not in known_metrics.__all__:
            raise ArgumentError(
                f"fit: no metric is called {metric!r}; there are {', '.join(known_metrics.__all__)}, or give a function"
            )
        if name in figures:
            raise ArgumentError(f"fit: two figures are called {name!r}; give each metric a __name__ of its own")
        figures[name] = getattr(known_metrics, metric) if isinstance(metric, str) else metric
    return figures
