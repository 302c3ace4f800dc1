"""Feed: whatever the user gave as data, as batches of tensors of the model's dtype on the model's device."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np

from minigrad.backend import transfer
from minigrad.core import Tensor, box, tensor
from minigrad.data import DataLoader
from minigrad.data.arrays import bare, is_array, of_lists
from minigrad.errors import ArgumentError

__all__ = ["Feed"]

Batch = tuple[Tensor, ...]


class Feed:
    """Batches of `data`: arrays `(X, y)` are converted and moved once, a DataLoader or another iterable by the batch.

    Floats take the dtype of the model's parameters; integers and booleans stay what they are.
    """

    def __init__(self, data: Any, what: str, like: Tensor | None, batch_size: int, shuffle: bool, seed: int) -> None:
        self.what = what
        self.dtype = None if like is None else like.dtype
        self.device = None if like is None else like.device
        if isinstance(data, tuple) and data and all(is_array(part) for part in data):
            data = DataLoader(tuple(map(self._raw, data)), batch_size, shuffle, seed)
        elif of_lists(data):
            raise ArgumentError(
                f"fit: {what} holds lists of numbers; make arrays of them: (np.asarray(X), np.asarray(y))"
            )
        elif isinstance(data, (str, dict)) or not hasattr(data, "__iter__") or is_array(data):
            pair = "; inputs and targets are one argument: fit(model, (X, y), …)" if is_array(data) else ""
            raise ArgumentError(
                f"fit: {what} is a {type(data).__name__}; give arrays (X, y), a DataLoader, or an iterable of batches"
                + pair
            )
        self.data = data

    @property
    def batches(self) -> int | None:
        """Batches in an epoch, None where nobody knows beforehand."""
        return len(self.data) if hasattr(self.data, "__len__") else None

    def epoch(self, epoch: int, start: int) -> Iterator[Batch]:
        """The batches of an epoch (from 0), from number `start`."""
        own = isinstance(self.data, DataLoader)
        fresh = own and self.data.transform is None and bool(self.data.arrays)  # nobody else holds these arrays
        given = self.data.batches(epoch, start) if own else self._after(epoch, start)
        empty = start == 0
        for batch in given:
            empty = False
            if not isinstance(batch, (tuple, list)) or len(batch) < 2:
                hint = ""
                if isinstance(self.data, list) and all(map(is_array, self.data)):
                    hint = "; arrays are given as a tuple (X, y), not as a list"
                told = f"a {type(batch).__name__}" + (f" of {len(batch)}" if isinstance(batch, (tuple, list)) else "")
                raise ArgumentError(
                    f"fit: a batch of {self.what} is {told}; it must be a tuple (x, y), inputs and targets{hint}"
                )
            yield tuple(self._boxed(part, fresh) for part in batch)
        if empty:
            raise ArgumentError(
                f"fit: {self.what} gave no batch in epoch {epoch + 1}; a generator is used up after one epoch: "
                "give a list, a DataLoader, or an object whose __iter__ starts anew"
            )

    def _after(self, epoch: int, start: int) -> Iterator[Any]:
        """What an iterable gives after `start` batches, which an epoch that is gone on with had had."""
        rest: Iterator[Any] = iter(self.data)
        passed = sum(1 for _ in islice(rest, start))
        if passed < start:
            raise ArgumentError(
                f"fit: the run to resume had {start} batches of epoch {epoch + 1} behind it, but {self.what} gives "
                f"only {passed}; give the same data, or start anew without resume"
            )
        return rest

    def fault(self, epoch: int) -> str:
        """Where the data of an epoch hold NaN or infinity, for a message; "" if nowhere, or if they cannot be read
        again. The values are those that the model sees, after the cast to its dtype.
        """
        if not isinstance(self.data, DataLoader) and iter(self.data) is self.data:
            return ""
        for k, batch in enumerate(self.epoch(epoch, 0)):
            for i, part in enumerate(batch):
                wrong = part.size - np.isfinite(part.numpy()).sum() if part.dtype.kind == "f" else 0
                if wrong:
                    which = "target" if i == len(batch) - 1 else "inputs" if len(batch) == 2 else f"input {i}"
                    return (
                        f"batch {k} (from 0) of {self.what} holds {wrong} values in its {which} that are NaN or "
                        f"infinite as {part.dtype}"
                    )
        return ""

    def order(self) -> dict[str, Any] | None:
        """What decides the order of the data, None where that is the user's own affair."""
        if not isinstance(self.data, DataLoader):
            return None
        state = self.data.state_dict()
        del state["epoch"]  # the run counts by itself
        return {**state, "samples": self.data.samples, "drop_last": self.data.drop_last}

    def _raw(self, value: Any) -> Any:
        """An array of the model's dtype on its device."""
        array = bare(value)
        if array.dtype.kind == "f" and self.dtype is not None and array.dtype != self.dtype:
            array = array.astype(self.dtype)
        return array if self.device is None else transfer(array, self.device)

    def _boxed(self, value: Any, fresh: bool) -> Tensor:
        array = self._raw(value)
        return box(array, None) if fresh or array is not value else tensor(array)
