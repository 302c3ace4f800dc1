"""Nested Python values as JSON, so that what comes back is equal to what went in: tuples stay tuples, keys keep their
type, infinities and NaN survive, and arrays are taken out and stored as tensors under a name.

JSON's own values are written as they are. Anything else is an object with one key that begins with "$".
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.errors import ArgumentError, CheckpointError

__all__ = ["pack", "unpack"]

Store = Callable[[str, Any], None]


def pack(value: Any, where: str, store: Store | None = None) -> Any:
    """`value` in JSON's types; each array goes to `store(name, array)`, named by its path from `where`.

    Raises ArgumentError, naming the place, for a value of another type, and for an array where there is no store.

    Example:
        >>> pack({"betas": (0.9, 0.999), 3: float("inf")}, "optimizer")
        {'$items': [['betas', {'$tuple': [0.9, 0.999]}], [3, {'$float': 'inf'}]]}
    """
    if isinstance(value, np.generic):
        value = value.item()  # exact: every NumPy float fits a Python float
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"$float": str(value)}
    if isinstance(value, dict):
        items = [(key, pack(item, f"{where}/{key}", store)) for key, item in value.items()]
        if all(isinstance(key, str) and not key.startswith("$") for key in value):
            return dict(items)
        return {"$items": [[pack(key, f"{where}, a key"), item] for key, item in items]}
    if isinstance(value, (list, tuple)):
        packed = [pack(item, f"{where}/{k}", store) for k, item in enumerate(value)]
        return packed if isinstance(value, list) else {"$tuple": packed}
    if store is None or not hasattr(value, "dtype"):
        raise ArgumentError(
            f"save: {where} is a {type(value).__name__}, which is no JSON value; give numbers, texts, None, lists, "
            "tuples and dicts of them (for an array, array.tolist())"
        )
    store(where, value)
    return {"$tensor": where}


def unpack(value: Any, arrays: dict[str, Any]) -> Any:
    """The value that `pack` was given, with the arrays from `arrays`."""
    if isinstance(value, list):
        return [unpack(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    marked = next(iter(value), "")
    if not marked.startswith("$"):
        return {key: unpack(item, arrays) for key, item in value.items()}
    inner = value[marked]
    if marked == "$float":
        return float(inner)
    if marked == "$tuple":
        return tuple(unpack(item, arrays) for item in inner)
    if marked == "$items":
        return {unpack(key, arrays): unpack(item, arrays) for key, item in inner}
    if marked == "$tensor":
        return arrays[inner]
    raise CheckpointError(f"the document holds {marked!r}, which this version of minigrad does not know")
