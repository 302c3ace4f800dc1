"""Node and Leaf: a value's place in the graph. Nodes point at their parents only, so a graph is never a cycle."""

from __future__ import annotations

import itertools
from typing import Any

next_id = itertools.count().__next__  # creation order, which is a topological order
FREED: Any = ("freed",)  # stands in `saved` once a sweep has let go of what the rules needed


class Node:
    """One application of a primitive: what a rule needs to pull a cotangent back to the inputs."""

    __slots__ = ("__weakref__", "dtype", "hooks", "id", "op", "params", "parents", "saved", "shape")

    id: int
    op: Any  # the Primitive; None for a leaf
    parents: tuple[Any, ...]  # a Node for a tracked input, None for any other
    saved: tuple[Any, ...] | None
    params: dict[str, Any] | None
    shape: Any  # a tuple of them for a primitive with several outputs
    dtype: Any
    hooks: dict[int, Any]  # only where `Tensor.register_hook` put some: they live and die with the node


class Leaf(Node):
    """Where differentiation ends: the node of a tensor made with `requires_grad=True`."""

    __slots__ = ("grad", "version")

    grad: Any  # a Tensor, or None for "not computed"
    version: int  # how often the tensor was rebound

    def __init__(self, array: Any) -> None:
        self.id, self.op, self.parents, self.saved, self.params = next_id(), None, (), None, None
        self.shape, self.dtype, self.grad = array.shape, array.dtype, None
        self.version = 0
