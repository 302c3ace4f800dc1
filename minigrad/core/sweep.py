"""The sweep: the chain rule, applied once to each node, newest first.

Creation order is a topological order, so the sweep is one sort and one loop: no recursion, linear time. On arrays it
makes no boxes and no graph; with `lift` the cotangents are tensors and the rules are recorded like any other
computation, which is all that higher orders need.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any, TypeAlias
from weakref import WeakSet, ref

from minigrad.backend import BACKENDS, backend_of
from minigrad.core.arguments import sequence
from minigrad.core.dispatch import PICK, arguments
from minigrad.core.essential import astype, full_like, reshape_, sum_
from minigrad.core.modes import MODES, change
from minigrad.core.node import FREED, Leaf, Node, next_id
from minigrad.core.sources import user_line
from minigrad.core.tensor import BOXES, Tensor, box, method
from minigrad.errors import ArgumentTypeError, DeviceError, GraphError, GraphFreedError, ShapeError

_age = attrgetter("id")
Plan: TypeAlias = "tuple[list[Node], set[Node | None]]"


def sweep(
    root: Node,
    g: Any,
    targets: frozenset[Node] | None = None,
    *,
    lift: bool = False,
    free: bool = True,
    ends: bool = False,
    plan: Plan | None = None,
) -> dict[Node, Any]:
    """The cotangents of `targets` (None: of all leaves) given the cotangent `g` of `root`.

    `lift` records the rules, `free` lets go of what they needed. `ends` goes no further than the targets, whose
    cotangents are then but a part of the whole: whoever asked goes on from there, and calls their hooks.
    """
    watchers, hooks = MODES.get().watchers, HOOKED or None
    found: dict[Node, Any] = {}
    grads = {root: g}
    pop, held = grads.pop, grads.get
    useful: set[Node | None] | None = None
    if targets is None:
        order = _order(root)
    else:
        order, useful = plan or _plan(root, targets, ends)
    node = root
    try:
        for node in order:
            g = pop(node, None)
            if g is None:  # every rule on the way here said None
                continue
            wanted = targets is not None and node in targets
            if wanted and ends:
                found[node] = g
                continue
            if hooks is not None and node in hooks:
                g = _hooked(node, g)
            op = node.op
            if op is None or wanted:
                found[node] = g
            if watchers:
                for watcher in watchers:
                    watcher.backward(node, g, lift)
            if op is None or (wanted and useful is not None and not _onward(node, useful)):
                continue
            saved = node.saved
            if saved is FREED:
                raise _freed(node)
            if lift or op.quick is None or not (useful is None or useful.issuperset(node.parents)):
                _pull_generally(node, g, grads, lift, useful)
            else:
                quick, k = op.quick, -1  # counted by hand: zip and enumerate cost more here
                for parent in node.parents:
                    k += 1
                    if parent is None:
                        continue
                    rule, slot, pull = quick[k]
                    if pull is not None:
                        gx = rule(g, *arguments(node, pull, parent, False))
                    elif slot < 0:
                        gx = rule(g)
                    else:
                        gx = rule(g, saved[slot])  # type: ignore[index]  # a node that is not freed has them
                    if gx.shape != parent.shape:
                        gx = unbroadcast(gx, parent.shape)
                    if gx.dtype is not parent.dtype and gx.dtype != parent.dtype:
                        gx = astype(gx, dtype=parent.dtype)
                    before = held(parent)
                    # never in place: a cotangent may be shared with another branch
                    grads[parent] = gx if before is None else before + gx
            if free:
                node.saved, node.parents = FREED, ()
    except Exception as error:
        if node.op is not None and not isinstance(error, GraphFreedError):
            error.add_note(_where(node, g))
        raise
    return found


def _where(node: Node, g: Any) -> str:
    """What a failing backward was at: the operation, its inputs, the cotangent and the user's line."""
    op = node.op
    names = (*op.inputs, *(f"{op.variadic}[{k}]" for k in range(len(node.parents) - len(op.inputs))))
    inputs = ", ".join(
        f"argument {name!r}: {'not tracked' if parent is None else f'{parent.dtype} {parent.shape}'}"
        for name, parent in zip(names, node.parents, strict=True)
    )
    parts = [c for c in (g if isinstance(g, (list, tuple)) else (g,)) if c is not None]
    cotangent = ", ".join(f"{c.dtype} {tuple(c.shape)}" for c in parts)
    return f"in the backward of minigrad.{op.name} with {inputs}; cotangent {cotangent}\n  at {user_line()}"


def _freed(node: Node) -> GraphFreedError:
    return GraphFreedError(
        f"the graph through {node.op.name!r} was freed by an earlier backward; pass retain_graph=True to that "
        "one to go through it again"
    )


HOOKED: WeakSet[Node] = WeakSet()  # the nodes that have hooks, which each keeps itself: a hook may hold its tensor


class Hook:
    """What `Tensor.register_hook` returns: `remove()` takes the hook off again."""

    def __init__(self, node: Node, key: int) -> None:
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


def _hooked(node: Node, g: Any) -> Any:
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


def _order(root: Node) -> list[Node]:
    """All nodes that `root` depends on, newest first."""
    seen, stack = {root}, [root]
    add, push = seen.add, stack.append
    while stack:
        for parent in stack.pop().parents:
            if parent is not None and parent not in seen:
                add(parent)
                push(parent)
    return sorted(seen, key=_age, reverse=True)


def _plan(root: Node, targets: frozenset[Node], ends: bool = False) -> Plan:
    """The nodes that depend on a target or are one, newest first, and the same as a set, with None besides.

    What a freed node led to is forgotten, so where one could have led to a target nothing true can be said.
    """
    oldest = min((t.id for t in targets), default=0)
    seen, stack = {root}, [root]
    while stack:
        node = stack.pop()
        if ends and node in targets:
            continue
        if node.saved is FREED and node.id > oldest:
            raise _freed(node)
        for parent in node.parents:
            if parent is not None and parent not in seen and parent.id >= oldest:
                seen.add(parent)
                stack.append(parent)
    order = sorted(seen, key=_age, reverse=True)
    useful: set[Node | None] = {t for t in targets if t in seen}
    for node in reversed(order):
        if node not in useful and any(p in useful for p in node.parents):
            useful.add(node)
    useful.add(None)
    return [n for n in order if n in useful], useful


def _onward(node: Node, useful: set[Node | None]) -> bool:
    """Whether a target lies beyond this one."""
    return any(p is not None and p in useful for p in node.parents)


def _pull_generally(
    node: Node, g: Any, grads: dict[Node, Any], lift: bool, useful: set[Node | None] | None = None
) -> None:
    """Add a node's contributions to `grads` where the short loop does not reach: variadic, several outputs, lifted,
    or inputs that lead to no target.
    """
    op = node.op
    if op.whole is not None:
        op.whole(node, g, grads, lift)
        return
    if op.outputs > 1:
        some = next(c for c in g if c is not None)
        g = tuple(_zeros(some, s, d) if c is None else c for c, s, d in zip(g, node.shape, node.dtype, strict=True))
    for k, parent in enumerate(node.parents):
        if parent is None or not (useful is None or parent in useful):
            continue
        pull, _ = op.pull_for(k)
        gx = pull.rule(g, *arguments(node, pull, parent, lift, k))
        if gx.shape != parent.shape:
            gx = unbroadcast(gx, parent.shape)
        if gx.dtype != parent.dtype:
            gx = astype(gx, dtype=parent.dtype)
        grads[parent] = grads[parent] + gx if parent in grads else gx


def _pull_pick(node: Node, g: Any, grads: dict[Node, Any], lift: bool) -> None:
    """One of several outputs: its cotangent takes its place among those of its siblings."""
    (parent,) = node.parents
    beside = list(grads.get(parent) or (None,) * len(parent.shape))
    k = node.params["index"]  # type: ignore[index]  # a pick has them
    beside[k] = g if beside[k] is None else beside[k] + g
    grads[parent] = beside


PICK.whole = _pull_pick


def sweep_apart(
    root: Node, g: Any, targets: frozenset[Node], marks: Mapping[Node, str]
) -> dict[frozenset[str], dict[Node, Any]]:
    """The cotangents of `targets` as `sweep` finds them, kept apart by the set of `marks` that they came through.

    A path collects the mark of every node between `root` and the target, neither of which counts. Since the rules are
    linear in the cotangent, the parts add up to what `sweep` gives. On bare arrays; frees nothing, calls no hook.
    """
    apart: dict[frozenset[str], dict[Node, Any]] = {frozenset(): {root: g}}
    found: dict[frozenset[str], dict[Node, Any]] = {}
    for node in _plan(root, targets)[0]:
        for passed in list(apart):
            g = apart[passed].pop(node, None)
            if g is None:
                continue
            if node in targets:
                found.setdefault(passed, {})[node] = g
            if node.op is not None:
                onward = passed | {marks[node]} if node in marks and node is not root else passed
                _pull_generally(node, g, apart.setdefault(onward, {}), lift=False)
    return found


def zeros_as(x: Tensor) -> Tensor:
    """Zeros of the shape and dtype of a tensor, on its device, not tracked."""
    return full_like(x.detach(), value=0, shape=x.shape, dtype=x.dtype)


def _zeros(like: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    return full_like(like, value=0, shape=shape, dtype=dtype)


def unbroadcast(g: Any, shape: tuple[int, ...]) -> Any:
    """Sum a cotangent back over the axes along which its input was repeated."""
    lead = len(g.shape) - len(shape)
    axes = (*range(lead), *(i + lead for i, n in enumerate(shape) if n == 1 != g.shape[i + lead]))
    g = sum_(g, axes=axes, keepdims=False)
    return g if g.shape == shape else reshape_(g, shape=shape)


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
        cotangent: of the shape of `y`; may be left out when `y` has one element (then 1). When it is a tracked tensor
        and
            `create_graph` is set, the result is differentiable with respect to it too.
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
    plan = _plan(y._node, targets)
    for k, n in enumerate(nodes):
        if not allow_unused and n not in plan[1]:  # said before anything is freed
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
