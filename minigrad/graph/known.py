"""Which node of a recording a tensor or an array is: looked up by identity, and kept alive by nobody."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.core import BOXES


class Known:
    """The tensors, engine nodes and arrays that a recorder met, with the names of their nodes.

    Everything is held weakly or by a number that is never used twice, so it may outlive the recording.
    """

    def __init__(self) -> None:
        self.by_node: dict[int, str] = {}  # the engine's node ids are never used twice
        self._tensors: dict[int, tuple[weakref.ref[Any], str]] = {}
        self._arrays: dict[int, tuple[Callable[[], Any], str]] = {}

    def add(self, tensor: Any, name: str, keep: bool) -> None:
        """`tensor`, its array and its place in the graph are the node `name`; see `remember` for `keep`."""
        self._tensors[id(tensor)] = (weakref.ref(tensor), name)
        self.remember(tensor._data, name, keep)
        if tensor._node is not None:
            self.by_node[tensor._node.id] = name

    def remember(self, array: Any, name: str, keep: bool) -> None:
        """`array` is the value of the node `name`; `keep`: the graph keeps it alive anyway."""
        try:
            self._arrays[id(array)] = (weakref.ref(array), name)
        except TypeError:  # arrays of this backend cannot be referred to weakly
            if keep:
                self._arrays[id(array)] = (lambda: array, name)

    def box(self, tensor: Any) -> str | None:
        """The node of this very box."""
        seen = self._tensors.get(id(tensor))
        return seen[1] if seen is not None and seen[0]() is tensor else None

    def itself(self, tensor: Any) -> str | None:
        """The node of this tensor: of this box, or of another one at its place in the engine's graph."""
        seen = self._tensors.get(id(tensor))  # as `box`, which would cost a call more at every operation
        if seen is not None and seen[0]() is tensor:
            return seen[1]
        return self.by_node.get(tensor._node.id) if tensor._node is not None else None

    def array(self, array: Any) -> str | None:
        """The node whose value is this array, or of which it is a view of the whole."""
        base = getattr(array, "base", None)
        return self._array(array) or (self._array(base) if _same_view(array, base) else None)

    def _array(self, array: Any) -> str | None:
        seen = self._arrays.get(id(array))
        return seen[1] if seen is not None and seen[0]() is array else None

    def find(self, tensor: Any) -> str | None:
        """The node of a tensor: its own, or else the one whose array it shows (it is detached, or was rematerialised).

        None for one that was not seen, and for what is no tensor.
        """
        if type(tensor) not in BOXES:
            return None
        return self.itself(tensor) or self.array(tensor._data)


def _same_view(view: Any, base: Any) -> bool:
    """Whether a NumPy array shows all of another one, element for element, as `Tensor.data` does."""
    return (
        type(view) is type(base) is np.ndarray
        and (view.shape, view.strides, view.dtype) == (base.shape, base.strides, base.dtype)
        and view.ctypes.data == base.ctypes.data
    )
