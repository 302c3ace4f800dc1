"""What users ask of the sweep: `backward`, which adds to the leaves' `.grad`, and `gradients`, which returns them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from minigrad.backend import BACKENDS, backend_of
from minigrad.core.arguments import sequence
from minigrad.core.essential import astype, full_like
from minigrad.core.modes import change
from minigrad.core.node import Leaf, TapeNode
from minigrad.core.primitive import Primitive
from minigrad.core.sweep import plan_for, sweep
from minigrad.core.tensor import BOXES, Tensor, box, method
from minigrad.errors import ArgumentTypeError, DeviceError, GraphError, ShapeError
from minigrad.notation import fn


def zeros_as(x: Tensor) -> Tensor:
    """Zeros of the shape and dtype of a tensor, on its device, not tracked."""
    return full_like(x.detach(), value=0, shape=x.shape, dtype=x.dtype)


def seed(y: Tensor, cotangent: Any, argument: str) -> Any:
    """The raw array with which a sweep from `y` starts: ones for a single element, or what the caller gave, checked."""
    if cotangent is None:
        if y.size != 1:
            raise ShapeError(
                f"{argument}: the result has shape {y.shape}; without a cotangent only a single element can be "
                "differentiated: "
                f"pass {argument}= of that shape, or reduce first, with .sum() or .mean()"
            )
        return full_like(y._data, value=1, shape=y.shape, dtype=y.dtype)
    raw = cotangent._data if type(cotangent) in BOXES else cotangent
    if type(cotangent) in BOXES and type(raw) is not type(y._data) and type(y._data) in BACKENDS:
        raise DeviceError(f"{argument}: it is on {cotangent.device!r}, the result on {y.device!r}; move it with x.to()")
    if type(raw) is not type(y._data):
        raw = backend_of(y._data).asarray(raw, y.dtype, y.device)
    elif type(cotangent) not in BOXES:
        raw = backend_of(raw).copy(raw)
    if raw.shape != y.shape:
        raise ShapeError(f"{argument}: the cotangent has shape {raw.shape}, the result {y.shape}; they must be equal")
    return raw if raw.dtype == y.dtype else astype(raw, y.dtype)


@method("backward")
def backward(self: Tensor, gradient: Any = None, *, retain_graph: bool = False) -> None:
    if self._node is None:
        raise GraphError(
            "backward: nothing that this tensor was computed from requires grad; make an input with requires_grad=True "
            "(or was it computed under no_grad, or detached?)"
        )
    found = sweep(self._node, seed(self, gradient, "gradient"), free=not retain_graph)
    with _landing:
        for node, g in found.items():
            assert isinstance(node, Leaf)
            total = box(g, None)
            node.grad = total if node.grad is None else box(node.grad._data + g, None)


_landing = threading.RLock()  # two threads that add to one leaf's gradient must not read the same old sum


def gradients(
    y: Tensor,
    xs: Sequence[Tensor],
    *,
    cotangent: Any = None,
    create_graph: bool = False,
    retain_graph: bool | None = None,
    allow_unused: bool = False,
) -> tuple[Tensor | None, ...]:
    """The gradients of `y` with respect to each of `xs` (leaves or intermediate tensors); no `.grad` is touched.

    Args:
        y: the result to differentiate.
        xs: the tensors to differentiate with respect to.
        cotangent: of the shape of `y`; may be left out when `y` has one element (then 1). When it is a tracked
            tensor and `create_graph` is set, the result is differentiable with respect to it too.
        create_graph: record the computation of the gradients, so that they can be differentiated again, to any order.
        retain_graph: keep the graph for another pass; by default only when `create_graph` is set.
        allow_unused: give None for an x on which `y` does not depend, instead of raising.

    Raises:
        GraphError: `y` or an x is not tracked, or `y` does not depend on an x.
        GraphFreedError: an earlier backward freed the graph.

    Example:
        >>> import minigrad as mg
        >>> x = mg.tensor(3.0, requires_grad=True)
        >>> (dx,) = mg.gradients(x * x * x, [x], create_graph=True)
        >>> mg.gradients(dx, [x])
        (tensor(18.),)
    """
    if isinstance(xs, Tensor):
        raise ArgumentTypeError("xs: give the tensors as a sequence, gradients(y, [x])")
    xs = sequence(xs, "xs", "gradients")
    if not isinstance(y, Tensor) or y._node is None:
        raise GraphError("y: nothing that it was computed from requires grad; make an input with requires_grad=True")
    for k, x in enumerate(xs):
        if not isinstance(x, Tensor) or x._node is None:
            raise GraphError(f"xs[{k}] is not tracked; make it with requires_grad=True before computing y")
    nodes = [x._node for x in xs]
    start = seed(y, cotangent, "cotangent")
    free = not (create_graph if retain_graph is None else retain_graph)
    targets = frozenset(n for n in nodes if n is not None)
    plan = _, useful = plan_for(y._node, targets)
    assert useful is not None
    for k, n in enumerate(nodes):
        if not allow_unused and n not in useful:  # said before anything is freed
            raise GraphError(f"xs[{k}]: y does not depend on it; pass allow_unused=True to get None for it")
    if create_graph:
        tracked = type(cotangent) in BOXES and cotangent.requires_grad
        lifted = astype(cotangent, y.dtype) if tracked else box(start, None)
        with change(recording=True):
            found = sweep(y._node, lifted, targets, lift=True, free=free, plan=plan)
    else:
        found = {n: box(g, None) for n, g in sweep(y._node, start, targets, free=free, plan=plan).items()}
    got = (found.get(n) for n in nodes)  # no None among the keys
    if allow_unused:
        return tuple(got)
    return tuple(zeros_as(x) if g is None else g for x, g in zip(xs, got, strict=True))


JOIN = Primitive(
    lambda xp, *ys: ys,
    (),
    name="join",
    show=fn("join"),
    samples=(),
    kind="opaque",
    c=None,
    infer=lambda *ys: tuple((y.shape, y.dtype) for y in ys),
    outputs=2,  # several: as many as there are
)


def _pull_join(node: TapeNode, g: Any, grads: dict[TapeNode, Any], lift: bool) -> None:
    for parent, c in zip(node.parents, g, strict=True):
        grads[parent] = grads[parent] + c if parent in grads else c


JOIN.whole = _pull_join


def gradients_of_several(
    ys: Sequence[Tensor], xs: Sequence[Tensor], cotangents: Sequence[Any], graph: bool, retain: bool
) -> Sequence[Tensor | None]:
    """`gradients` of several results at once: one sweep from a node that stands behind them all."""
    if len(ys) == 1:
        return gradients(ys[0], xs, cotangent=cotangents[0], create_graph=graph, retain_graph=retain, allow_unused=True)
    starts: list[Any] = [seed(y, c, f"cotangent[{k}]") for k, (y, c) in enumerate(zip(ys, cotangents, strict=True))]
    root = TapeNode(JOIN, tuple(y._node for y in ys), tuple(y.shape for y in ys), tuple(y.dtype for y in ys))
    targets = frozenset(x._node for x in xs if x._node is not None)
    if graph:
        with change(recording=True):
            lifted = [
                astype(c, y.dtype) if isinstance(c, Tensor) and c.requires_grad else box(start, None)
                for y, c, start in zip(ys, cotangents, starts, strict=True)
            ]
            found = sweep(root, lifted, targets, lift=True, free=not retain)
    else:
        found = {n: box(g, None) for n, g in sweep(root, starts, targets, free=not retain).items()}
    return [found.get(x._node) if x._node is not None else None for x in xs]
