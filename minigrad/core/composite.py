"""Composites: functions built from primitives that fold into one box in drawings, exactly as a layer does."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

from minigrad.core.arguments import blame
from minigrad.core.modes import MODES, Watcher

P = ParamSpec("P")
R = TypeVar("R")

COMPOSITES: dict[str, Callable[..., Any]] = {}


class scope:  # noqa: N801  (reads as a verb: `with scope("layer", name, self):`)
    """Tell whoever watches that what runs inside the `with` block belongs together."""

    __slots__ = ("_entered", "_what")

    def __init__(self, kind: str, name: str, subject: Any = None, given: Any = None) -> None:
        self._what = (kind, name, subject, given)
        self._entered: tuple[Watcher, ...] = ()

    def __enter__(self) -> None:
        self._entered = MODES.get().watchers
        for watcher in self._entered:
            watcher.enter(*self._what)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        for watcher in self._entered:
            watcher.leave()


def composite(func: Callable[P, R]) -> Callable[P, R]:
    """Make `func`, a composition of primitives, one named scope. Free of cost while nothing watches.

    Example:
        >>> import minigrad as mg
        >>> @mg.composite
        ... def swish(x):
        ...     return x * mg.sigmoid(x)
        >>> swish(mg.tensor(0.0))
        tensor(0.)
    """
    name = func.__name__.rstrip("_")

    @functools.wraps(func)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            if not MODES.get().watchers:
                return func(*args, **kwargs)
            with scope("composite", name, func, (args, kwargs)):
                return func(*args, **kwargs)
        except (AttributeError, TypeError) as error:
            blame(error, name, func, args, kwargs)
            raise

    COMPOSITES[name] = call
    return call
