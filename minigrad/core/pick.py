"""`pick`: one output of a primitive that has several, as a place of its own on the tape."""

from __future__ import annotations

from typing import Any

from minigrad.core.node import TapeNode
from minigrad.core.primitive import Primitive
from minigrad.core.tensor import Tensor, box
from minigrad.notation import Indexed

PICK = Primitive(
    lambda xp, x: x,
    (None,),
    name="pick",
    show=Indexed("index"),
    samples=(),
    kind="view",
    c=None,
    infer=lambda x: (x.shape, x.dtype),
    outputs=1,
)


def pick(node: TapeNode | None, k: int, array: Any) -> Tensor:
    """Output number k of a primitive with several, as a tensor whose node stands between it and that primitive."""
    if node is None:
        return box(array, None)
    return box(array, TapeNode(PICK, (node,), node.shape[k], node.dtype[k], params={"index": k}))


def _pull(node: TapeNode, g: Any, grads: dict[TapeNode, Any], lift: bool) -> None:
    """Its cotangent takes its place among those of its siblings."""
    (parent,) = node.parents
    beside = list(grads.get(parent) or (None,) * len(parent.shape))
    k = node.params["index"]  # type: ignore[index]  # a pick has them
    beside[k] = g if beside[k] is None else beside[k] + g
    grads[parent] = beside


PICK.whole = _pull
