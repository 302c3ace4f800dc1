"""DataLoader: batches of a data set, in an order that depends on nothing but the seed and the number of the epoch.

So any epoch can be replayed, and a training that stopped can go on where it was, without any state but two integers.
An order is call number `epoch` of a random stream (`minigrad.random`), on every device the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from minigrad.answers import Answering
from minigrad.backend import backend_of
from minigrad.core import flag, integer
from minigrad.data.arrays import bare, is_array, of_lists
from minigrad.errors import ArgumentError, ShapeError
from minigrad.random import Generator, permutation

__all__ = ["DataLoader"]

# Streams at the far end, where the layers' own, which are counted from 0, do not come.
ORDER, TRANSFORM = (1 << 64) - 1, (1 << 64) - 2

Batch = tuple[Any, ...]
Transform = Callable[..., Any]


class DataLoader(metaclass=Answering):
    """Batches of a data set: each a tuple of arrays, such as (inputs, targets), that begin with the same axis.

    Iterating gives one epoch; the next iteration gives the next epoch, in another order. `batches(epoch)` gives any.

    Args:
        dataset: a tuple of arrays or tensors of one length, `(X, y)`, or one such array, whose batches stay on their
            device; or anything with `len()` and integer indices, whose items (tuples of arrays or numbers) are stacked.
        batch_size: samples in a batch; the last batch of an epoch may have fewer.
        shuffle: a new order each epoch; else the data set's own.
        seed: decides the orders, 0 ... 2**64 - 1.
        drop_last: leave out a last batch that is not full (batch norm needs at least two values a channel).
        transform: called as `transform(*batch, rng)`, with a numpy Generator that depends on seed, epoch and number of
            the batch only; returns the batch to use. It must not write into the arrays that it is given.

    Raises:
        ShapeError: arrays of several lengths.
        ArgumentError: a batch size under 1, a seed out of range, no samples.

    Example:
        >>> import minigrad as mg, numpy as np
        >>> loader = mg.data.DataLoader((np.arange(5.0), np.arange(5)), batch_size=2, shuffle=False)
        >>> [y.tolist() for x, y in loader], len(loader)
        ([[0, 1], [2, 3], [4]], 3)
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
        transform: Transform | None = None,
    ) -> None:
        self.arrays, self.items = _arrays_or_items(dataset)
        self.samples = len(self.arrays[0]) if self.arrays else len(self.items)
        self.batch_size = integer(batch_size, "batch_size", "DataLoader", least=1)
        self.shuffle, self.seed = flag(shuffle, "shuffle", "DataLoader"), integer(seed, "seed", "DataLoader")
        self.drop_last, self.transform = flag(drop_last, "drop_last", "DataLoader"), transform
        self.epoch = 0  # the one that the next iteration gives
        if not 0 <= self.seed < 1 << 64:
            raise ArgumentError(f"DataLoader: seed={seed} must be from 0 to 2**64 - 1")
        if transform is not None and not callable(transform):
            raise ArgumentError(f"DataLoader: transform={transform!r} must be a function of a batch, or None")
        if not len(self):
            why = f"drop_last=True leaves no batch of {self.batch_size}" if self.samples else "it has no samples"
            raise ArgumentError(f"DataLoader: the data set has {self.samples} samples; {why}")

    def __len__(self) -> int:
        """Batches in an epoch."""
        return self.samples // self.batch_size if self.drop_last else -(-self.samples // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        epoch = self.epoch
        self.epoch += 1
        return self.batches(epoch)

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of any epoch, from number `start`; does not change which epoch comes next."""
        order = self.order(epoch)
        on_device = {id(a): _index(a, order) for a in self.arrays or ()}
        for k in range(start, len(self)):
            here = slice(k * self.batch_size, min((k + 1) * self.batch_size, self.samples))
            if self.arrays:
                batch = tuple(a[on_device[id(a)][here]] for a in self.arrays)
            else:
                batch = _stacked([self.items[int(i)] for i in order[here]])
            if self.transform is not None:
                batch = tuple(self.transform(*batch, self._rng(epoch, k)))
            yield batch

    def order(self, epoch: int) -> np.ndarray[Any, np.dtype[np.intp]]:
        """The samples in the order of `epoch`."""
        if not self.shuffle:
            return np.arange(self.samples, dtype=np.intp)
        generator = Generator(self.seed, ORDER, call=epoch)
        return permutation(self.samples, device="numpy", generator=generator).numpy().astype(np.intp, copy=False)

    def _rng(self, epoch: int, batch: int) -> np.random.Generator:
        key, counter = self.seed + (TRANSFORM << 64), (epoch << 64) + (batch << 128)
        return np.random.Generator(np.random.Philox(key=key, counter=counter))

    def state_dict(self) -> dict[str, Any]:
        """What decides the batches to come, JSON's types only."""
        return {"seed": self.seed, "epoch": self.epoch, "batch_size": self.batch_size, "shuffle": self.shuffle}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken. ArgumentError if that was with another batch size or another kind of order."""
        for name in ("batch_size", "shuffle"):
            if state[name] != getattr(self, name):
                raise ArgumentError(
                    f"DataLoader: the state was taken with {name}={state[name]}, but this loader has "
                    f"{name}={getattr(self, name)}; make it alike, or the batches differ"
                )
        self.seed, self.epoch = int(state["seed"]), int(state["epoch"])

    def __repr__(self) -> str:
        how = f"batch_size={self.batch_size}, shuffle={self.shuffle}, seed={self.seed}"
        return f"DataLoader({self.samples} samples, {how})"


def _arrays_or_items(dataset: Any) -> tuple[tuple[Any, ...] | None, Any]:
    """The data set as raw arrays, or as something to index by sample."""
    if of_lists(dataset):
        raise ArgumentError(
            "DataLoader: dataset holds lists of numbers; make arrays of them: (np.asarray(X), np.asarray(y))"
        )
    if isinstance(dataset, tuple) and dataset and all(is_array(part) for part in dataset):
        arrays = tuple(map(bare, dataset))
    elif is_array(dataset):
        arrays = (bare(dataset),)
    elif hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__"):
        return None, dataset
    else:
        raise ArgumentError(
            f"DataLoader: dataset is a {type(dataset).__name__}; give arrays such as (X, y), or an object with len() "
            "that can be indexed by integers"
        )
    lengths = [a.shape[0] if a.ndim else None for a in arrays]
    if len(set(lengths)) > 1 or None in lengths:
        raise ShapeError(
            f"DataLoader: the arrays have shapes {[tuple(a.shape) for a in arrays]}; their first axes, the samples, "
            "must be equal"
        )
    return arrays, ()


def _index(array: Any, order: np.ndarray[Any, np.dtype[np.intp]]) -> Any:
    """`order` where `array` lives: one copy to the device an epoch."""
    backend = backend_of(array)
    return order if backend.name == "numpy" else backend.asarray(order, None, backend.device_of(array))


def _stacked(samples: Sequence[Any]) -> Batch:
    """Samples, each a tuple of parts or one part, as a batch."""
    rows = [sample if isinstance(sample, tuple) else (sample,) for sample in samples]
    parts = []
    for column in zip(*rows, strict=True):
        shapes = {np.shape(part) for part in column}
        if len(shapes) > 1:
            raise ShapeError(
                f"DataLoader: samples of shapes {sorted(shapes)} do not stack; pad them in the data set, or, if they "
                "are arrays of samples, give them as a tuple (X, y)"
            )
        parts.append(np.stack([np.asarray(part) for part in column]))
    return tuple(parts)
