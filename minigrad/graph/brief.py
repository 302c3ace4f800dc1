"""A layer in a few characters: its repr without what nobody changed."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

from minigrad.module.base import Module

_PARAMETERS: WeakKeyDictionary[type, Mapping[str, inspect.Parameter]] = WeakKeyDictionary()


def _parameters(kind: type) -> Mapping[str, inspect.Parameter]:
    """Those of the constructor; every layer that a trace enters asks, and a signature takes 20 µs to work out."""
    if kind not in _PARAMETERS:
        _PARAMETERS[kind] = inspect.signature(kind.__init__).parameters  # type: ignore[misc]  # that of this very class
    return _PARAMETERS[kind]


def brief(subject: Any) -> str:
    """`BatchNorm1d(64)` for BatchNorm1d(64, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True).

    Arguments that have no default stand without their names, arguments at their default are left out; a layer that
    holds others, and one whose repr is Python's own, goes by its class.
    """
    kind, written = type(subject).__name__, getattr(type(subject), "__repr__", None)
    if written is Module.__repr__ and next(subject.children(), None) is not None:
        return kind  # without the repr of all that it holds
    text = repr(subject)
    if "\n" in text or not text.startswith(f"{kind}(") or not text.endswith(")"):
        return kind
    parameters = _parameters(type(subject))
    kept = []
    for part in _split(text[len(kind) + 1 : -1]):
        key, equals, value = part.partition("=")
        parameter = parameters.get(key.strip()) if equals else None
        if equals and parameter is None:  # something that the constructor does not take
            continue
        if parameter is None or parameter.default is inspect.Parameter.empty:
            kept.append(value if parameter is not None else part)
        elif value not in (str(parameter.default), f"({parameter.default}, {parameter.default})"):
            kept.append(part)
    return f"{kind}({', '.join(kept)})" if kept else kind


def _split(text: str) -> list[str]:
    """The arguments in `text`, split at the commas that stand in no bracket."""
    parts, depth = [""], 0
    for c in text:
        depth += (c in "([{") - (c in ")]}")
        if c == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += c
    return [p.strip() for p in parts if p.strip()]
