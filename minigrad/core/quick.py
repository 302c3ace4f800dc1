"""The same, quicker: calls of small primitives in one frame, and the pulls of a sweep on bare arrays.

`dispatch.apply` and `sweep.pull` say what a call and a pull are; what stands here gives the same bits for the cases of
which a training step mostly consists, and leaves every other one to them. It is written out by hand because each layer
of calls costs a tenth of a small operation (benchmarks: chain). `MINIGRAD_QUICK=off` in the environment, or `off` for
the length of a `with`, switches it off; the tests hold both forms equal.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from minigrad.backend import BACKENDS
from minigrad.core.dispatch import apply, arguments, tell
from minigrad.core.faults import explain, filled
from minigrad.core.modes import MODES
from minigrad.core.node import TapeNode, next_id
from minigrad.core.primitive import Primitive, Pull
from minigrad.core.tensor import BOXES, Tensor, freeze
from minigrad.errors import ArgumentError

new = object.__new__
ndarray = np.ndarray

# ---- the switch


def _asked() -> bool:
    asked = os.environ.get("MINIGRAD_QUICK", "on")
    if asked not in ("on", "off"):
        raise ArgumentError(f"MINIGRAD_QUICK: {asked!r} is neither 'on' nor 'off'")
    return asked == "on"


_on = _asked()


def on() -> bool:
    """Whether the quick paths are taken."""
    return _on


def switch(to: bool) -> None:
    """Take the quick paths from now on, or not, in the whole process."""
    global _on
    _on = to
    for table in KERNELS.values():
        table.clear()


@contextmanager
def off() -> Iterator[None]:
    """The plain engine for the length of a `with`, in the whole process."""
    before = _on
    switch(False)
    try:
        yield
    finally:
        switch(before)


# ---- kernels: a forward without its `xp`

KERNELS: dict[Primitive, dict[type, Callable[..., Any]]] = {}  # by primitive and by type of array; empty when off


class _Probe:
    """Stands for `xp` to see what a forward does with it: a call of any function gives its name and its arguments."""

    def __getattr__(self, name: str) -> Callable[..., tuple[str, tuple[Any, ...]]]:
        return lambda *args: (name, args)


def _passes_on(op: Primitive) -> str | None:
    """The one function of `xp` that the forward passes its inputs on to, if that is all it does."""
    inputs = tuple(object() for _ in op.inputs)
    if op.variadic or op.defaults:
        return None
    try:
        out = op.forward(_Probe(), *inputs)
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        RuntimeError,
        TypeError,
        ValueError,
    ):  # it looks at its inputs, which these are not
        return None
    return out[0] if isinstance(out, tuple) and len(out) == 2 and out[1] == inputs else None


def _kernels(op: Primitive) -> tuple[dict[type, Callable[..., Any]], Callable[[type], Callable[..., Any] | None]]:
    """The kernels of a primitive by type of array, and how to find one that is not there yet.

    Where the forward only passes its inputs on to one function of `xp`, the kernel is that function itself.
    """
    table = KERNELS[op] = {}
    name = _passes_on(op)

    def find(array_type: type) -> Callable[..., Any] | None:
        """None for a type of no backend, and while the quick paths are off."""
        backend = BACKENDS.get(array_type)
        if backend is None or not _on:
            return None
        found = table[array_type] = getattr(backend.xp, name) if name else partial(op.forward, backend.xp)
        return found

    return table, find


# ---- calls


def call(op: Primitive) -> Callable[..., Any] | None:
    """The quick form of a call of `op`; None for several outputs, for more than two inputs, or two and parameters."""
    if op.variadic or op.outputs > 1 or len(op.inputs) not in (1, 2) or (op.defaults and len(op.inputs) == 2):
        return None
    return named(op, unary(op) if len(op.inputs) == 1 else binary(op))


def named(op: Primitive, call: Callable[..., Any]) -> Callable[..., Any]:
    """`call` with the names that the declaration gives its inputs, so that they can be given by keyword and Python's
    own errors speak of them. A wrapper that looked at keywords would cost a quarter of a small operation.
    """
    code = call.__code__
    rest = tuple(f"{n}_" if n in op.inputs else n for n in code.co_varnames[len(op.inputs) :])
    call.__code__ = code.replace(co_varnames=(*op.inputs, *rest), co_name=op.name, co_qualname=op.name)
    return call


def unary(op: Primitive) -> Callable[..., Any]:
    (kernels, find_kernel), boxes, modes = _kernels(op), BOXES, MODES.get
    (pull,), (need,) = (op.pulls, op.needs) if op.pulls else ((None,), (frozenset(),))
    keep_y, keep_x, tracks, defaults = 0 in need, 1 in need, pull is not None, op.defaults

    def call(x: Any, **params: Any) -> Any:
        t = type(x)
        boxed = t is Tensor or t in boxes
        a = x._data if boxed else x
        kernel = kernels.get(type(a)) or find_kernel(type(a))
        mode = modes()
        if kernel is None:
            return apply(op, (x,), params)
        if len(params) != len(defaults):
            params = filled(op, params)
        try:
            y = kernel(a, **params)
        except Exception as error:
            explain(error, op, (x,), params)
            raise
        if not boxed:
            return y
        if type(y) is ndarray:
            y.setflags(False)  # type: ignore[call-arg]  # by position, which takes half the time
        else:
            y = freeze(y)
        out = new(Tensor)
        out._data = y
        parent = x._node
        if parent is None or not tracks or not mode.recording:
            out._node = None
        else:
            out._node = node = new(TapeNode)
            node.id = next_id()
            node.op = op
            node.parents = (parent,)
            node.saved = (y if keep_y else None, a if keep_x else None)
            node.params = params
            node.shape = y.shape
            node.dtype = y.dtype
        if mode.watched:
            tell(mode, op, (x,), defaults | params, out)  # in the order of the declaration
        return out

    return call


def binary(op: Primitive) -> Callable[..., Any]:
    (kernels, find_kernel), boxes, modes = _kernels(op), BOXES, MODES.get
    (pull_a, pull_b), (need_a, need_b) = (
        (op.pulls, op.needs) if op.pulls else ((None, None), (frozenset(), frozenset()))
    )
    tracks_a, tracks_b = pull_a is not None, pull_b is not None
    a_keeps_y, a_keeps_a, a_keeps_b = (i in need_a for i in (0, 1, 2))
    b_keeps_y, b_keeps_a, b_keeps_b = (i in need_b for i in (0, 1, 2))
    keep_y, keep_a, keep_b = a_keeps_y or b_keeps_y, a_keeps_a or b_keeps_a, a_keeps_b or b_keeps_b

    def call(a: Any, b: Any) -> Any:
        ta, tb = type(a), type(b)
        if ta is Tensor or ta in boxes:
            x = a._data
            kernel = kernels.get(type(x)) or find_kernel(type(x))
            if tb is Tensor or tb in boxes:
                z = b._data
                if type(x) is not type(z):
                    return apply(op, (a, b), {})
                node_a = a._node if tracks_a else None
                node_b = b._node if tracks_b else None
            elif tb is float or tb is int:
                z, node_a, node_b = b, a._node if tracks_a else None, None
            else:
                return apply(op, (a, b), {})
        elif tb is Tensor and (ta is float or ta is int):
            x, z, node_a, node_b = a, b._data, None, b._node if tracks_b else None
            kernel = kernels.get(type(z)) or find_kernel(type(z))
        else:
            kernel = kernels.get(ta) or find_kernel(ta)
            if kernel is None or not (BACKENDS.get(tb) is BACKENDS[ta] or tb is float or tb is int):
                return apply(op, (a, b), {})
            try:
                return kernel(a, b)
            except Exception as error:
                explain(error, op, (a, b), {})
                raise
        mode = modes()
        if kernel is None:
            return apply(op, (a, b), {})
        try:
            y = kernel(x, z)
        except Exception as error:
            explain(error, op, (a, b), {})
            raise
        if type(y) is ndarray:
            y.setflags(False)  # type: ignore[call-arg]  # by position, which takes half the time
        else:
            y = freeze(y)
        out = new(Tensor)
        out._data = y
        if (node_a is None and node_b is None) or not mode.recording:
            out._node = None
        else:
            out._node = node = new(TapeNode)
            node.id = next_id()
            node.op = op
            node.parents = (node_a, node_b)
            if node_b is None:
                node.saved = (y if a_keeps_y else None, x if a_keeps_a else None, z if a_keeps_b else None)
            elif node_a is None:
                node.saved = (y if b_keeps_y else None, x if b_keeps_a else None, z if b_keeps_b else None)
            else:
                node.saved = (y if keep_y else None, x if keep_a else None, z if keep_b else None)
            node.params = None
            node.shape = y.shape
            node.dtype = y.dtype
        if mode.watched:
            tell(mode, op, (a, b), {}, out)
        return out

    return call


# ---- pulls


def pull(op: Primitive) -> Callable[..., None] | None:
    """The quick form of `sweep.pull` for nodes of `op`, in a sweep on bare arrays; None where it has none."""
    if op.variadic or op.outputs > 1 or not op.differentiable:
        return None
    each = tuple(map(_share, op.pulls))
    if len(each) == 1:
        return _pull_one(*each[0])
    return _pull_two(*each[0], *each[1]) if len(each) == 2 else _pull_many(each)


def _share(asked: Pull | None) -> tuple[Any, int, Pull | None]:
    """How a rule is called: (rule, slot, None) for rule(g, saved[slot]), or for rule(g) when the slot is negative;
    (rule, -1, asked) for anything else.
    """
    if asked is None or not asked.asks:
        return asked and asked.rule, -1, None
    (kind, slot), *more = asked.asks
    return (asked.rule, int(slot), None) if kind == "saved" and not more else (asked.rule, -1, asked)


def _pull_one(rule: Any, slot: int, asked: Pull | None) -> Callable[..., None]:
    def pull(node: Any, g: Any, grads: dict[TapeNode, Any], useful: Any, fitted: Callable[..., Any]) -> None:
        (parent,) = node.parents
        if slot >= 0:
            gx = rule(g, node.saved[slot])
        else:
            gx = rule(g, *arguments(node, asked, parent, False)) if asked else rule(g)
        if gx.shape != parent.shape or (gx.dtype is not parent.dtype and gx.dtype != parent.dtype):
            gx = fitted(gx, parent)
        before = grads.get(parent)
        grads[parent] = gx if before is None else before + gx  # never in place: another branch may share it

    return pull


def _pull_two(
    rule_a: Any, slot_a: int, asked_a: Pull | None, rule_b: Any, slot_b: int, asked_b: Pull | None
) -> Callable[..., None]:
    def pull(node: Any, g: Any, grads: dict[TapeNode, Any], useful: Any, fitted: Callable[..., Any]) -> None:
        a, b = node.parents
        if a is not None and (useful is None or a in useful):
            if slot_a >= 0:
                ga = rule_a(g, node.saved[slot_a])
            else:
                ga = rule_a(g, *arguments(node, asked_a, a, False)) if asked_a else rule_a(g)
            if ga.shape != a.shape or (ga.dtype is not a.dtype and ga.dtype != a.dtype):
                ga = fitted(ga, a)
            before = grads.get(a)
            grads[a] = ga if before is None else before + ga
        if b is not None and (useful is None or b in useful):
            if slot_b >= 0:
                gb = rule_b(g, node.saved[slot_b])
            else:
                gb = rule_b(g, *arguments(node, asked_b, b, False)) if asked_b else rule_b(g)
            if gb.shape != b.shape or (gb.dtype is not b.dtype and gb.dtype != b.dtype):
                gb = fitted(gb, b)
            before = grads.get(b)
            grads[b] = gb if before is None else before + gb

    return pull


def _pull_many(each: tuple[Any, ...]) -> Callable[..., None]:
    def pull(node: Any, g: Any, grads: dict[TapeNode, Any], useful: Any, fitted: Callable[..., Any]) -> None:
        for (rule, slot, asked), parent in zip(each, node.parents, strict=True):
            if parent is None or not (useful is None or parent in useful):
                continue
            if slot >= 0:
                gx = rule(g, node.saved[slot])
            else:
                gx = rule(g, *arguments(node, asked, parent, False)) if asked else rule(g)
            gx = fitted(gx, parent)
            grads[parent] = gx if grads.get(parent) is None else grads[parent] + gx

    return pull
