"""The sweep: the chain rule, applied once to each node, newest first.

Creation order is a topological order, so the sweep is one sort and one loop: no recursion, linear time. On arrays it
makes no boxes and no graph; with `lift` the cotangents are tensors and the rules are recorded like any other
computation, which is all that higher orders need.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter
from typing import Any, TypeAlias

from minigrad.core import quick
from minigrad.core.dispatch import arguments
from minigrad.core.essential import astype, full_like, reshape_, sum_
from minigrad.core.faults import failing, freed
from minigrad.core.hooks import HOOKED, hooked
from minigrad.core.modes import MODES
from minigrad.core.node import FREED, TapeNode
from minigrad.errors import GraphFreedError

_age = attrgetter("id")
Grads: TypeAlias = dict[TapeNode, Any]
Useful: TypeAlias = "set[TapeNode] | None"
Plan: TypeAlias = tuple[list[TapeNode], Useful]


def sweep(
    root: TapeNode,
    g: Any,
    targets: frozenset[TapeNode] | None = None,
    *,
    lift: bool = False,
    free: bool = True,
    part: bool = False,
    plan: Plan | None = None,
) -> Grads:
    """The cotangents of `targets` (None: of all leaves) given the cotangent `g` of `root`.

    `lift` records the rules, `free` lets go of what they needed. A `part` of another sweep goes no further than the
    targets, whose cotangents are then not yet complete: the sweep around it goes on from there, and calls their hooks.
    """
    order, useful = plan or plan_for(root, targets, part)
    watchers, hooks, short = MODES.get().watchers, HOOKED or None, quick.on() and not lift
    grads, found, node = {root: g}, {}, root
    for watcher in watchers:
        watcher.begin(root, lift, part)
    try:
        for node in order:
            g = grads.pop(node, None)
            if g is None:  # every rule on the way here said None
                continue
            op = node.op
            wanted = op is None if targets is None else node in targets
            if wanted and part:
                found[node] = g
                continue
            if hooks is not None and node in hooks:
                g = hooked(node, g)
            if wanted:
                found[node] = g
            if watchers:
                for watcher in watchers:
                    watcher.backward(node, g, lift)
            if op is None or (wanted and not _onward(node, useful)):
                continue
            if node.saved is FREED:
                raise freed(node)
            if short and op.quick is not None:
                op.quick(node, g, grads, useful, fitted)
            else:
                pull(node, g, grads, useful, lift)
            if free:
                node.saved, node.parents = FREED, ()
    except Exception as error:
        if node.op is not None and not isinstance(error, GraphFreedError):
            error.add_note(failing(node, g))
        raise
    finally:
        for watcher in watchers:
            watcher.end()
    return found


def pull(node: TapeNode, g: Any, grads: Grads, useful: Useful = None, lift: bool = False) -> None:
    """The chain rule at one node: each rule's share of its cotangent `g` is added to its parents' in `grads`.

    Parents that are not `useful` are left out. `core/quick.py` has the same, quicker, for most primitives.
    """
    op = node.op
    if op.whole is not None:
        op.whole(node, g, grads, lift)
        return
    if op.outputs > 1:
        some = next(c for c in g if c is not None)
        g = tuple(
            full_like(some, value=0, shape=shape, dtype=dtype) if c is None else c
            for c, shape, dtype in zip(g, node.shape, node.dtype, strict=True)
        )
    for k, parent in enumerate(node.parents):
        if parent is None or not (useful is None or parent in useful):
            continue
        rule, _ = op.pull_for(k)
        gx = fitted(rule.rule(g, *arguments(node, rule, parent, lift, k)), parent)
        grads[parent] = grads[parent] + gx if parent in grads else gx  # never in place: another branch may share it


def fitted(gx: Any, parent: TapeNode) -> Any:
    """A contribution in the shape and dtype of the input that it goes to."""
    if gx.shape != parent.shape:
        gx = unbroadcast(gx, parent.shape)
    return gx if gx.dtype == parent.dtype else astype(gx, dtype=parent.dtype)


def unbroadcast(g: Any, shape: tuple[int, ...]) -> Any:
    """Sum a cotangent back over the axes along which its input was repeated."""
    lead = len(g.shape) - len(shape)
    axes = (*range(lead), *(i + lead for i, n in enumerate(shape) if n == 1 != g.shape[i + lead]))
    g = sum_(g, axes=axes, keepdims=False)
    return g if g.shape == shape else reshape_(g, shape=shape)


def order_from(root: TapeNode) -> list[TapeNode]:
    """All nodes that `root` depends on, newest first."""
    seen, stack = {root}, [root]
    add, push = seen.add, stack.append
    while stack:
        for parent in stack.pop().parents:
            if parent is not None and parent not in seen:
                add(parent)
                push(parent)
    return sorted(seen, key=_age, reverse=True)


def plan_for(root: TapeNode, targets: frozenset[TapeNode] | None, part: bool = False) -> Plan:
    """The nodes that depend on a target or are one, newest first, and the same as a set (None: all of them are useful).

    What a freed node led to is forgotten, so where one could have led to a target nothing true can be said.
    """
    if targets is None:
        return order_from(root), None
    oldest = min((t.id for t in targets), default=0)
    seen, stack = {root}, [root]
    while stack:
        node = stack.pop()
        if part and node in targets:
            continue
        if node.saved is FREED and node.id > oldest:
            raise freed(node)
        for parent in node.parents:
            if parent is not None and parent not in seen and parent.id >= oldest:
                seen.add(parent)
                stack.append(parent)
    order = sorted(seen, key=_age, reverse=True)
    useful = {t for t in targets if t in seen}
    for node in reversed(order):
        if node not in useful and any(p in useful for p in node.parents):
            useful.add(node)
    return [n for n in order if n in useful], useful


def _onward(node: TapeNode, useful: Useful) -> bool:
    """Whether a target lies beyond this one."""
    return useful is None or any(p in useful for p in node.parents)


def sweep_apart(
    root: TapeNode, g: Any, targets: frozenset[TapeNode], marks: Mapping[TapeNode, str]
) -> dict[frozenset[str], Grads]:
    """The cotangents of `targets` as `sweep` finds them, kept apart by the set of `marks` that they came through.

    A path collects the mark of every node between `root` and the target, neither of which counts. Since the rules are
    linear in the cotangent, the parts add up to what `sweep` gives. On bare arrays; frees nothing, calls no hook.
    """
    apart: dict[frozenset[str], Grads] = {frozenset(): {root: g}}
    found: dict[frozenset[str], Grads] = {}
    for node in plan_for(root, targets)[0]:
        for passed in list(apart):
            g = apart[passed].pop(node, None)
            if g is None:
                continue
            if node in targets:
                found.setdefault(passed, {})[node] = g
            if node.op is not None:
                onward = passed | {marks[node]} if node in marks and node is not root else passed
                pull(node, g, apart.setdefault(onward, {}))
    return found
