"""Tensors that stand in for others: for the length of a block, in the calling context only.

A parameter is one object that a model, an optimiser and a saved state share. While something stands in for it, its
class is a twin whose `_data` and `_node` are looked up in the modes in force; where nothing stands for it (another
thread, another task) they are the tensor's own. When the last one that stands for it has gone, the class is what it
was: what nobody replaces costs nothing.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple
from weakref import WeakSet

from minigrad.core.modes import MODES, F, Modes, change
from minigrad.core.node import Leaf
from minigrad.core.tensor import BOXES, Tensor, box

_DATA, _NODE = Tensor.__dict__["_data"], Tensor.__dict__["_node"]  # a tensor's own, whatever stands for it


class Place(NamedTuple):
    """Where a piece of state lives: what it is called, and how its array is read and put back."""

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], None]


class Stand:
    """What stands for `target`: `tensor`, which an update of the target replaces.

    `whole`: it is the target's state altogether, for whoever asks, as in a second run; otherwise it stands in where the
    target is computed with, and those that keep state (a state dict, an optimiser) see what is behind it.
    """

    __slots__ = ("__weakref__", "behind", "over", "target", "tensor", "whole")

    def __init__(self, target: Tensor, tensor: Tensor, whole: bool = False) -> None:
        self.target, self.whole, self.over = target, whole, False
        plain = type(tensor) is Tensor
        self.tensor = tensor if plain else box(tensor._data, tensor._node)  # a parameter may be replaced itself
        self.behind: Stand | None = None

    def __repr__(self) -> str:
        return f"<{self.tensor!r} stands for a {type(self.target).__name__}>"


def stand_of(target: Tensor) -> Stand | None:
    """What stands for `target` here and now."""
    stand = MODES.get().standing.get(id(target))
    while stand is not None and stand.over:
        stand = stand.behind  # this task began in a block that has ended meanwhile
    return stand


def _get_data(self: Tensor) -> Any:
    stand = stand_of(self)
    return _DATA.__get__(self) if stand is None else stand.tensor._data


def _set_data(self: Tensor, array: Any) -> None:
    stand = stand_of(self)
    if stand is None:
        _DATA.__set__(self, array)
    else:  # a new tensor: the one that was given is not written to
        node = stand.tensor._node
        stand.tensor = box(array, node if isinstance(node, Leaf) else None)


def _get_node(self: Tensor) -> Any:
    stand = stand_of(self)
    return _NODE.__get__(self) if stand is None else stand.tensor._node


def _set_node(self: Tensor, node: Any) -> None:
    stand = stand_of(self)
    if stand is None:
        _NODE.__set__(self, node)
    else:
        stand.tensor = box(stand.tensor._data, node)


def _deepcopy(self: Tensor, memo: dict[int, Any]) -> Tensor:
    with own_state():
        copied: Tensor = Tensor.__deepcopy__(self, memo)
    copied.__class__ = plain(type(self))
    return copied


_twins: dict[type[Tensor], type[Tensor]] = {}


def _twin(kind: type[Tensor]) -> type[Tensor]:
    """The class that a tensor of `kind` has while something stands for it somewhere."""
    if kind in _twins:
        return _twins[kind]
    body = {
        "__slots__": (),
        "__module__": kind.__module__,
        "__qualname__": kind.__qualname__,
        "__doc__": kind.__doc__,
        "_data": property(_get_data, _set_data),
        "_node": property(_get_node, _set_node),
        "__deepcopy__": _deepcopy,
        "__stands_for__": kind,
    }
    made: type[Tensor] = type(kind.__name__, (kind,), body)
    BOXES.add(made)
    _twins[kind] = made
    return made


def plain(kind: type[Tensor]) -> type[Tensor]:
    """`kind`, or the class that it is the twin of."""
    return getattr(kind, "__stands_for__", kind)


_open: dict[int, WeakSet[Stand]] = {}  # by id of a tensor: what stands for it, in whichever thread
_lock = threading.RLock()


class standing(change):  # noqa: N801  (reads as a verb: `with standing(stands):`)
    """Let these stand for their targets, and set some modes besides, for the length of a block."""

    def __init__(self, stands: Iterable[Stand], **modes: Any) -> None:
        super().__init__(**modes)
        self.stands = tuple(stands)

    def _inside(self, around: Modes) -> dict[str, Any]:
        now = dict(around.standing)
        for stand in self.stands:
            stand.behind = now.get(id(stand.target))
            now[id(stand.target)] = stand
        return {**self._modes, "standing": now}

    def __enter__(self) -> Any:
        try:
            for stand in self.stands:
                with _lock:
                    _open.setdefault(id(stand.target), WeakSet()).add(stand)
                    stand.target.__class__ = _twin(plain(type(stand.target)))
            return super().__enter__()
        except BaseException:
            self._release()
            raise

    def __exit__(self, *exc: object) -> None:
        try:
            super().__exit__(*exc)
        finally:
            self._release()

    def _release(self) -> None:
        for stand in self.stands:
            target, stand.over = stand.target, True
            with _lock:
                if all(s.over for s in _open.get(id(target), ())):  # what was abandoned is gone
                    _open.pop(id(target), None)
                    target.__class__ = plain(type(target))


class own_state(change):  # noqa: N801
    """The block sees tensors as those see them that keep state: what stands in for one is passed over."""

    def _inside(self, around: Modes) -> dict[str, Any]:
        now = {}
        for key, stand in around.standing.items():
            behind: Stand | None = stand
            while behind is not None and (behind.over or not behind.whole):
                behind = behind.behind
            if behind is not None:
                now[key] = behind
        return {**self._modes, "standing": now}

    def __call__(self, func: F) -> F:
        """A function that enters the block only where something stands in for anything."""
        inside = super().__call__(func)

        @functools.wraps(func)
        def call(*args: Any, **kwargs: Any) -> Any:
            return inside(*args, **kwargs) if MODES.get().standing else func(*args, **kwargs)

        return call  # type: ignore[return-value]


def shown(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The operands of an operation, with what stands in for a tensor in its place, for those that watch."""
    out = []
    for a in args:
        stand = stand_of(a) if type(a) in BOXES else None
        out.append(a if stand is None or stand.whole else stand.tensor)
    return tuple(out)
