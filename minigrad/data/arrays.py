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
