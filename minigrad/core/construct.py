"""`tensor`: values from outside become a tensor; tracked ones among them stay in their place in the graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np

from minigrad.core.arguments import dtype_of
from minigrad.core.essential import astype, to
from minigrad.core.tensor import Tensor, box, fill

F = TypeVar("F", bound=Callable[..., Any])


def tensor(
    data: Any, *, dtype: Any = None, device: str | None = None, requires_grad: bool = False, name: str | None = None
) -> Tensor:
    """Make a tensor from numbers, nested lists, an array or a tensor; the data is always copied.

    Tracked tensors, by themselves or in lists, are not cut off: gradients flow back to them through what is made (a
    list of tensors of one shape is a stack), unless `requires_grad` makes it a leaf of its own.

    Args:
        data: the values; their dtype is NumPy's choice (Python floats become float64) unless `dtype` is given.
        dtype: element type, anything that numpy.dtype takes: floats, integers, bool.
        device: "numpy", "cupy", "cupy:1"; by default a tensor or a device's array stays where it is, and anything else
            goes to the device in force (`use_device`), else to "numpy".
        requires_grad: make it a leaf whose `.grad` collects gradients; floating dtypes only.
        name: label for drawings.

    Raises:
        DtypeError: `requires_grad` with an integer or bool dtype, or a dtype that tensors do not hold.

    Example:
        >>> import minigrad as mg
        >>> mg.tensor([1, 2, 3], dtype="float32").dtype
        dtype('float32')
    """
    tracked = not requires_grad and any(t._node is not None for t in _inside(data))
    if tracked:
        made = _together(data)
        made = made if dtype is None else astype(made, dtype_of(dtype, "tensor"))
        made = made if device is None else to(made, device)
        made = box(made._data, made._node)  # a new one, which may have a name of its own
        made._name = name
        return made
    if isinstance(data, (list, tuple)):
        first = next(_inside(data), None)
        data = _values(data) if first is None or type(first._data) is np.ndarray else _together(data)._data
    t: Tensor = object.__new__(Tensor)
    fill(t, data, dtype, device, requires_grad, name)
    return t


STACK: list[Callable[..., Tensor]] = []  # how tensors are joined, which ops know


def stacks(func: F) -> F:
    """Let `func` be how `tensor` joins the tensors of a list."""
    STACK.append(func)
    return func


def _inside(data: Any) -> Iterator[Tensor]:
    """The tensors in `data`."""
    if isinstance(data, Tensor):
        yield data
    elif isinstance(data, (list, tuple)):
        for item in data:
            if isinstance(item, (list, tuple, Tensor)):
                yield from _inside(item)


def _values(data: Any) -> Any:
    """`data` with the bare array of every tensor: what is asked for as a leaf is cut off on purpose."""
    if isinstance(data, Tensor):
        return data.numpy()
    return [_values(item) for item in data] if isinstance(data, (list, tuple)) else data


def _together(data: Any, like: Tensor | None = None) -> Tensor:
    """`data`, in which there are tracked tensors, as one tensor; numbers beside them are weak."""
    if isinstance(data, Tensor):
        return data
    like = like if like is not None else next(_inside(data))
    if isinstance(data, (list, tuple)):
        parts = [_together(item, like) for item in data]
        kind = np.result_type(*(p.dtype for p in parts))
        return STACK[0]([astype(p, kind) for p in parts])
    made: Tensor = object.__new__(Tensor)
    fill(made, data, None if hasattr(data, "dtype") else like.dtype, like.device, False, None)
    return made
