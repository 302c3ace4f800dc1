"""What a trained model is asked once more: statistics measured anew, and the spread of its predictions under dropout.

Both go by what a layer declares. A layer that keeps statistics of its batches calls `update_statistics(mean, var,
count)` in training and has `reset_running_stats`; a layer that is random in training owns a random stream. Both switch
`training` flags and put them back, so another thread must not use the model meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

from minigrad.core import Tensor, astype, change, integer, rebind, tensor
from minigrad.data import DataLoader
from minigrad.data.arrays import is_array
from minigrad.errors import ArgumentError
from minigrad.module import Module
from minigrad.random import Generator

__all__ = ["mc_dropout", "update_bn"]


def update_bn(
    model: Module,
    data: Any,
    *,
    estimator: Literal["paper", "pooled"] = "paper",
    batch_size: int = 32,
) -> None:
    """Measure the running statistics of batch norms anew, for the weights that the model has now.

    After averaging weights (SWA), after loading others, or where a momentum has not forgotten the first steps. The
    norms that keep statistics are in training while the data pass once, everything else is in evaluation, so that the
    statistics are those of the network that predicts (PyTorch's `swa_utils.update_bn` leaves dropout on). Frozen norms
    stay as they are. Flags and gradients are as before afterwards.

    Args:
        model: with at least one layer that keeps statistics.
        data: arrays `X` or `(X, y)`, cut into batches of `batch_size`, or a DataLoader, or an iterable of batches, each
            `x` or a tuple that begins with it. An epoch's order makes no difference but for rounding.
        estimator: "paper" takes the unweighted mean of the batches' means and of their variances, each divided by n - 1
            (by the layer's `correction`): Ioffe, Szegedy, 2015, algorithm 2. "pooled" weighs batches by their size and
            takes the variance of all values together, as if the data were one batch.

    Raises:
        ArgumentError: no layer keeps statistics, no batch, another estimator.

    Example:
        >>> import minigrad as mg, numpy as np
        >>> from minigrad_layers import BatchNorm1d
        >>> model, x = BatchNorm1d(1), np.array([[1.0], [3.0], [5.0], [11.0]], "float32")
        >>> mg.training.update_bn(model, x, batch_size=2)
        >>> model.running_mean.tolist(), model.running_var.tolist()
        ([5.0], [10.0])
        >>> mg.training.update_bn(model, x, batch_size=2, estimator="pooled")
        >>> model.running_mean.tolist(), [round(v, 4) for v in model.running_var.tolist()]
        ([5.0], [18.6667])
    """
    if estimator not in ("paper", "pooled"):
        raise ArgumentError(f"estimator: {estimator!r} must be 'paper' or 'pooled'")
    norms: list[Any] = [m for m in model.modules() if hasattr(m, "update_statistics") and not m.frozen]
    norms = [m for m in norms if any(True for _ in m.buffers())]
    if not norms:
        raise ArgumentError(
            f"update_bn: no layer of this {type(model).__name__} keeps running statistics that are not frozen"
        )
    seen: dict[int, _Pool] = {}
    state = [(b, b._data) for m in norms for b in m.buffers()]
    try:
        for m in norms:
            m.reset_running_stats()
        with _only(model, norms), change(recording=False):
            for m in norms:
                own, pool = m.update_statistics, seen.setdefault(id(m), _Pool())
                vars(m)["update_statistics"] = pool.add if estimator == "pooled" else _cumulative(own)
            batches = 0
            for x in _inputs(data, model, batch_size):
                model(x)
                batches += 1
        if not batches:
            raise ArgumentError("update_bn: data gave no batch; a generator is used up after one pass")
    except BaseException:
        for b, array in state:  # nothing half-measured
            rebind(b, array)
        raise
    finally:
        for m in norms:
            vars(m).pop("update_statistics", None)
    for m in norms:
        pool = seen[id(m)]
        if pool.count:
            m.update_statistics(pool.mean, pool.var, pool.count, momentum=1.0)


class _Pool:
    """Mean and variance of all values together, from those of batches: Chan, Golub, LeVeque, 1979."""

    def __init__(self) -> None:
        self.count = 0
        self.mean: Any = 0.0
        self.squares: Any = 0.0  # sum of squared deviations

    def add(self, mean: Tensor, var: Tensor, count: int, momentum: Any = "own") -> None:
        """One batch more."""
        mean, var = astype(mean.detach(), "float64"), astype(var.detach(), "float64")
        whole, apart = self.count + count, mean - self.mean
        self.squares = self.squares + var * float(count) + apart * apart * (self.count * count / whole)
        self.mean = self.mean + apart * (count / whole)
        self.count = whole

    @property
    def var(self) -> Any:
        """Divided by the number of values."""
        return self.squares / float(self.count)


def _cumulative(own: Any) -> Any:
    return lambda mean, var, count, momentum="own": own(mean, var, count, momentum=None)


def _inputs(data: Any, model: Module, batch_size: int) -> Iterator[Tensor]:
    """The first part of each batch, floats in the dtype of the model's parameters."""
    like: Tensor | None = next(model.parameters(), None)
    like = next(model.buffers(), None) if like is None else like
    if is_array(data):
        data = DataLoader((data,), batch_size, shuffle=False)
    elif isinstance(data, tuple) and data and all(is_array(part) for part in data):
        data = DataLoader(data, batch_size, shuffle=False)
    elif isinstance(data, (str, dict)) or not isinstance(data, Iterable):
        raise ArgumentError(
            f"update_bn: data is a {type(data).__name__}; give arrays, a DataLoader or an iterable of batches"
        )
    for batch in data:
        x = batch[0] if isinstance(batch, (tuple, list)) else batch
        t = x if isinstance(x, Tensor) else tensor(x, device=None if like is None else like.device)
        if like is not None:
            t = t.to(like.device)
            t = astype(t, like.dtype) if t.dtype.kind == "f" else t
        yield t


def mc_dropout(model: Module, x: Any, samples: int) -> tuple[Tensor, Tensor]:
    """Mean and variance of a model's predictions over random masks: Monte Carlo dropout.

    Only layers that own a random stream (dropouts, noise) are switched on; norms and everything else stay in
    evaluation, and frozen layers too. Flags and buffers are as before afterwards. Gradients flow through both results,
    unless called under `no_grad`. The variance is divided by `samples`, as in the paper: Gal, Ghahramani, "Dropout as a
    Bayesian approximation: representing model uncertainty in deep learning", ICML 2016.

    Args:
        model: gives one tensor.
        x: its input, a tensor or an array.
        samples: how many predictions; each draws masks of its own.

    Raises:
        ArgumentError: samples below 1, or nothing random in the model.

    Example:
        >>> import minigrad as mg
        >>> from minigrad_layers import Dropout
        >>> mean, var = mg.mc_dropout(Dropout(0.5).eval(), mg.ones(10_000), 100)
        >>> round(mean.mean().item(), 1), round(var.mean().item(), 1)
        (1.0, 1.0)
    """
    n = integer(samples, "samples", "mc_dropout", least=1)
    noisy = [m for m in model.modules() if not m.frozen and _draws(m)]
    if not noisy:
        raise ArgumentError(
            f"mc_dropout: no layer of this {type(model).__name__} owns a random stream (and is not frozen), so every "
            "prediction is the same; add a Dropout"
        )
    kept = [(b, b._data) for m in noisy for b in m.buffers()]
    mean: Any = None
    squares: Any = 0.0
    try:
        with _only(model, noisy):
            for k in range(1, n + 1):
                y = model(x)
                if not isinstance(y, Tensor):
                    raise ArgumentError(f"mc_dropout: the model gives a {type(y).__name__}; it must give one tensor")
                wide = astype(y, "float32") if y.dtype.itemsize < 4 else y
                apart = wide if mean is None else wide - mean
                mean = wide if mean is None else mean + apart / float(k)
                squares = squares + apart * (wide - mean)
    finally:
        for b, array in kept:
            rebind(b, array)
    return mean, squares / float(n)


def _draws(model: Module) -> bool:
    """Whether a module owns a random stream itself, alone or in a container; those below it are asked for their own."""
    open_ = list(vars(model).values())
    while open_:
        value = open_.pop()
        if isinstance(value, Generator):
            return True
        if isinstance(value, (list, tuple, dict)):
            open_.extend(value.values() if isinstance(value, dict) else value)
    return False


@contextmanager
def _only(model: Module, on: list[Module]) -> Iterator[None]:
    """These modules in training, all others of the model in evaluation; afterwards as before."""
    flags = [(m, m.training) for m in model.modules()]
    chosen = {id(m) for m in on}
    try:
        for m, _ in flags:
            m.training = id(m) in chosen
        yield
    finally:
        for m, flag in flags:
            m.training = flag
