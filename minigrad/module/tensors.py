"""The two kinds of tensor that a module holds: what it learns, and what it keeps."""

from __future__ import annotations

from typing import Any

from minigrad.core import BOXES, Tensor, rebind
from minigrad.core.tensor import fill


class Parameter(Tensor):
    """A tensor that a module learns: a leaf that requires grad. Its data is copied and keeps its dtype and device.

    Example:
        >>> import minigrad as mg
        >>> mg.Parameter(mg.zeros(2)).requires_grad
        True
    """

    __slots__ = ()

    def __init__(self, data: Any, *, requires_grad: bool = True, name: str | None = None) -> None:
        super().__init__(data, requires_grad=requires_grad, name=name)


class Buffer(Tensor):
    """A tensor that a module keeps but does not learn, such as running statistics: saved, moved, never differentiated.

    Example:
        >>> import minigrad as mg
        >>> count = mg.Buffer(mg.tensor(0))
        >>> count.assign(count + 1)
        >>> count.item()
        1
    """

    __slots__ = ()

    def __init__(self, data: Any, *, name: str | None = None) -> None:
        fill(self, data, None, None, False, name)

    def assign(self, value: Any) -> None:
        """Let the buffer stand for `value` from now on, and tell whoever watches. What was computed before stays.

        Raises:
            ShapeError: another shape.
            DeviceError: another device (by the setter of `Tensor.data`).
        """
        array = value._data if type(value) in BOXES else None
        if array is not None and type(array) is type(self._data) and array.shape == self.shape:
            rebind(self, array if array.dtype == self.dtype else array.astype(self.dtype))
        else:
            self.data = value


BOXES.update((Parameter, Buffer))
