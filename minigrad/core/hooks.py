"""Hooks: functions of the user that a sweep calls with the complete gradient at one tensor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakSet, ref

from minigrad.core.essential import astype
from minigrad.core.node import TapeNode, next_id
from minigrad.core.tensor import BOXES, Tensor, box, method
from minigrad.errors import GraphError, ShapeError

HOOKED: WeakSet[TapeNode] = WeakSet()  # the nodes that have hooks, which each keeps itself: a hook may hold its tensor


class Hook:
    """What `Tensor.register_hook` returns: `remove()` takes the hook off again."""

    def __init__(self, node: TapeNode, key: int) -> None:
        self._node, self._key = ref(node), key

    def remove(self) -> None:
        """Take the hook off; more than once is harmless."""
        node = self._node()
        if node is not None and node in HOOKED:
            node.hooks.pop(self._key, None)
            if not node.hooks:
                HOOKED.discard(node)


@method("register_hook")
def register_hook(self: Tensor, hook: Callable[[Tensor], Any]) -> Hook:
    if self._node is None:
        raise GraphError("register_hook: this tensor is not tracked, so no gradient will come by")
    key = next_id()
    if self._node not in HOOKED:
        self._node.hooks = {}
        HOOKED.add(self._node)
    self._node.hooks[key] = hook
    return Hook(self._node, key)


def hooked(node: TapeNode, g: Any) -> Any:
    """A node's complete cotangent after its hooks; what they return takes its place."""
    for hook in list(node.hooks.values()):
        boxed = g if type(g) in BOXES else box(g, None)
        out = hook(boxed)
        if out is None:
            continue
        if not isinstance(out, Tensor) or out.shape != node.shape or out.device != boxed.device:
            raise ShapeError(
                f"a hook must return None or a Tensor of shape {node.shape} on the same device, not {out!r}"
            )
        out = astype(out, node.dtype)
        g = out if type(g) in BOXES else out._data
    return g
