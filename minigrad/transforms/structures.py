"""Containers of tensors: tuples, lists and dicts, nested, in which None stands for nothing. They keep their kind.

A module is a leaf here; what is inside it is its own affair. Nothing here knows of gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from minigrad.errors import ArgumentTypeError


def mapped(value: Any, change: Callable[[Any, str], Any], where: str = "") -> Any:
    """`value` with `change(leaf, where it stands)` in the place of each leaf, first to last.

    Example:
        >>> mapped({"a": (1, None), "b": [2]}, lambda leaf, where: f"{leaf} at {where}", "x")
        {'a': ("1 at x['a'][0]", None), 'b': ["2 at x['b'][0]"]}
    """
    if value is None:
        return None
    if isinstance(value, (tuple, list)):
        made = [mapped(v, change, f"{where}[{k}]") for k, v in enumerate(value)]
        return type(value)(*made) if hasattr(value, "_fields") else type(value)(made)
    if isinstance(value, dict):
        out = value.copy()  # a defaultdict, an OrderedDict stay what they are
        out.update((k, mapped(v, change, f"{where}[{k!r}]")) for k, v in value.items())
        return out
    return change(value, where)


def leaves(value: Any) -> Iterator[Any]:
    """The leaves of `value`, first to last.

    Example:
        >>> list(leaves({"a": (1, None), "b": [2]}))
        [1, 2]
    """
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, (tuple, list)):
            stack.extend(reversed(item))
        elif isinstance(item, dict):
            stack.extend(reversed(item.values()))
        elif item is not None:
            yield item


def beside(value: Any, other: Any, where: str) -> Iterator[tuple[Any, Any, str]]:
    """Each leaf of `value` with what stands in its place in `other`, and where; dicts go by their keys.

    Raises ArgumentTypeError where the two differ in kind, in length or in keys.
    """
    if value is None:
        if other is not None:
            raise ArgumentTypeError(f"{where}: there is None in the place of this {type(other).__name__}; give None")
    elif isinstance(value, dict):
        if not isinstance(other, dict) or set(other) != set(value):
            given = [*other] if isinstance(other, dict) else type(other).__name__
            raise ArgumentTypeError(f"{where}: it must have the names {[*value]}, this has {given}")
        for k, v in value.items():
            yield from beside(v, other[k], f"{where}[{k!r}]")
    elif isinstance(value, (tuple, list)):
        if not isinstance(other, (tuple, list)) or len(other) != len(value):
            raise ArgumentTypeError(f"{where}: it must be a {type(value).__name__} of {len(value)}, this is {other!r}")
        for k, v in enumerate(value):
            yield from beside(v, other[k], f"{where}[{k}]")
    else:
        yield value, other, where
