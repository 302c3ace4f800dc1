"""TapeNode and Leaf: a value's place on the tape. Nodes point at their parents only, so the tape is never a cycle."""

from __future__ import annotations

import itertools
from typing import Any

from minigrad.errors import DtypeError

next_id = itertools.count().__next__  # creation order, which is a topological order
FREED: Any = ("freed",)  # stands in `saved` once a sweep has let go of what the rules needed


class TapeNode:
    """One application of a primitive: what a rule needs to pull a cotangent back to the inputs."""

    __slots__ = ("__weakref__", "dtype", "hooks", "id", "op", "params", "parents", "saved", "shape")

    id: int
    op: Any  # the Primitive; None for a leaf
    parents: tuple[Any, ...]  # a TapeNode for a tracked input, None for any other
    saved: tuple[Any, ...] | None
    params: dict[str, Any] | None
    shape: Any  # a tuple of them for a primitive with several outputs
    dtype: Any
    hooks: dict[int, Any]  # only where `Tensor.register_hook` put some: they live and die with the node

    def __init__(
        self,
        op: Any,
        parents: tuple[Any, ...],
        shape: Any,
        dtype: Any,
        saved: tuple[Any, ...] | None = None,
        params: dict[str, Any] | None = None,
    ) -> None:
        self.id = next_id()
        self.op, self.parents, self.saved, self.params = op, parents, saved, params
        self.shape, self.dtype = shape, dtype


class Leaf(TapeNode):
    """Where differentiation ends: the node of a tensor made with `requires_grad=True`."""

    __slots__ = ("grad", "version")

    grad: Any  # a Tensor, or None for "not computed"
    version: int  # how often the tensor was rebound

    def __init__(self, array: Any) -> None:
        super().__init__(None, (), array.shape, array.dtype)
        self.grad, self.version = None, 0


def leaf(array: Any) -> Leaf:
    """A new leaf node for `array`, which must be of a floating dtype."""
    if array.dtype.kind != "f":
        raise DtypeError(
            f"requires_grad: only floating tensors have gradients, this one is {array.dtype}; convert it with "
            "astype('float64')"
        )
    return Leaf(array)
