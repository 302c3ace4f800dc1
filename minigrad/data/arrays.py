"""What a user hands over as data, seen as bare arrays. It copies nothing and moves nothing to a device."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.backend import backend_of
from minigrad.core import Tensor
from minigrad.errors import UnknownArrayError


def is_array(value: Any) -> bool:
    """Whether `value` is a tensor or looks like an array of some library."""
    return isinstance(value, Tensor) or (hasattr(value, "dtype") and hasattr(value, "shape"))


def bare(value: Any) -> Any:
    """A bare array of a backend; what can become a NumPy array (a memory map, a column of a table) becomes one."""
    if isinstance(value, Tensor):
        return value.data
    if isinstance(value, np.ndarray):
        return np.asarray(value)
    try:
        backend_of(value)
    except UnknownArrayError:
        return np.asarray(value)
    return value


def of_lists(data: Any) -> bool:
    """Whether `data` is (X, y) written with lists of numbers where arrays are meant."""
    if not (isinstance(data, tuple) and data and all(isinstance(part, list) or is_array(part) for part in data)):
        return False
    return any(isinstance(part, list) and _number(part) for part in data)


def _number(value: Any) -> bool:
    while isinstance(value, list) and value:
        value = value[0]
    return isinstance(value, (int, float, np.generic))
