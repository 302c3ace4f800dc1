"""`tensor`: values from outside become a tensor."""

from __future__ import annotations

from typing import Any

from minigrad.core.tensor import Tensor, fill


def tensor(
    data: Any, *, dtype: Any = None, device: str | None = None, requires_grad: bool = False, name: str | None = None
) -> Tensor:
    """Make a tensor from numbers, nested lists, an array or a tensor; the data is always copied.

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
    t: Tensor = object.__new__(Tensor)
    fill(t, data, dtype, device, requires_grad, name)
    return t
