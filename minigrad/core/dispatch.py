"""How a call of a primitive runs: raw arrays in, raw array out; a Tensor among them, a Tensor out; symbols, a symbol.

`apply` is the whole story, for any primitive and any operands; `core/quick.py` has the same, quicker, for most calls of
a training step.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.backend import BACKENDS, get_backend
from minigrad.core.arguments import short
from minigrad.core.faults import bind_extra, explain, filled, input_name, mixed
from minigrad.core.modes import MODES, Modes
from minigrad.core.node import TapeNode
from minigrad.core.pick import pick
from minigrad.core.primitive import Aval, Primitive, Pull
from minigrad.core.state import shown
from minigrad.core.tensor import BOXES, box, freeze
from minigrad.errors import DeviceError, DtypeError, UnknownArrayError
from minigrad.notation import Expr, fn

WEAK = (float, int, bool)
NONE_TOO = ("equal", "not_equal")  # Python compares with None all the time; nothing is equal to it


def tell(mode: Modes, op: Primitive, args: tuple[Any, ...], params: dict[str, Any], out: Any) -> None:
    """Those who watch hear of a call that ran."""
    args = shown(args) if mode.standing else args
    for watcher in mode.watchers:
        watcher.forward(op, args, params, out)


def apply(op: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
    """Run `op` on any mixture of tensors, arrays, scalars and symbols that belongs together.

    Raises:
        UnknownArrayError: an operand of a type that is none of those, or a wrong number of them.
        DeviceError: operands of two backends.
        ShapeError: shapes that do not fit.
    """
    if len(args) != len(op.inputs) and not (op.variadic and len(args) >= len(op.inputs)):
        args, params = bind_extra(op, args, params)
    if len(params) != len(op.defaults):
        params = filled(op, params)
    elif params:
        params = op.defaults | params  # in the order of the declaration
    boxed = any(type(a) in BOXES for a in args)
    raw, nodes, backend, abstract = [], [], None, None
    for k, a in enumerate(args):
        t, node = type(a), None
        if t in BOXES:
            node, a = a._node if op.pull_for(k)[0] is not None else None, a._data
            t = type(a)
        elif t is Expr:
            return _symbol(op, args, params)
        elif isinstance(a, np.generic) and boxed:
            a = a.item()  # NumPy's scalars are as weak as Python's
            t = type(a)
        if t in BACKENDS:
            if backend is None:
                backend = BACKENDS[t]
            elif BACKENDS[t] is not backend:
                raise DeviceError(mixed(op, args))
            if boxed and a.dtype.kind not in "fiub":
                raise DtypeError(
                    f"{op.name}: {input_name(op, k)} has dtype {a.dtype}; tensors hold floats, integers and booleans"
                )
        elif hasattr(t, "__primitive__"):
            abstract = t
        elif t not in WEAK and (a is not None or op.name not in NONE_TOO):
            raise UnknownArrayError(
                f"{op.name}: {input_name(op, k)} is "
                + ("None" if a is None else f"a {t.__name__} ({short(a)})")
                + "; it takes tensors, arrays and numbers; make it a tensor with minigrad.tensor"
            )
        raw.append(a)
        nodes.append(node)
    mode = MODES.get()
    if backend is None and abstract is None:
        backend, boxed = get_backend(mode.device or "numpy"), True  # only Python numbers
    try:
        if abstract is not None:
            y = abstract.__primitive__(op, raw, params)
        else:
            assert backend is not None
            y = op.forward(backend.xp, *raw, **params)
    except Exception as error:
        explain(error, op, args, params)
        raise
    if not boxed:
        return y
    node = _record(op, args, raw, nodes, params, y) if mode.recording and op.differentiable and any(nodes) else None
    out = tuple(pick(node, k, array) for k, array in enumerate(y)) if op.outputs > 1 else box(y, node)
    if mode.watched:
        tell(mode, op, args, params, out)
    return out


def _record(
    op: Primitive, args: tuple[Any, ...], raw: list[Any], nodes: list[Any], params: dict[str, Any], y: Any
) -> TapeNode:
    """A node that keeps what the rules of the tracked inputs ask for; arrays that a caller could write are copied."""
    need = frozenset().union(*(op.pull_for(k)[1] for k, n in enumerate(nodes) if n is not None))
    kept = [
        None
        if min(k, len(op.inputs)) + 1 not in need
        else freeze(BACKENDS[type(a)].copy(a))
        if type(a) in BACKENDS and type(args[k]) not in BOXES and not isinstance(a, np.generic)
        else a
        for k, a in enumerate(raw)
    ]
    fixed = len(op.inputs)
    several = op.outputs > 1
    kept_y = (tuple(map(freeze, y)) if several else freeze(y)) if 0 in need else None
    return TapeNode(
        op,
        tuple(nodes),
        tuple(a.shape for a in y) if several else y.shape,
        tuple(a.dtype for a in y) if several else y.dtype,
        (kept_y, *kept[:fixed], tuple(kept[fixed:])) if op.variadic else (kept_y, *kept),
        params or None,
    )


def arguments(node: TapeNode, pull: Pull, parent: TapeNode, lift: bool, k: int = 0) -> list[Any]:
    """What a rule asked for besides `g`, for input number `k`, whose node is `parent`.

    `lift` gives tensors in their place in the graph, so that what the rule does with them is recorded.
    """
    assert node.saved is not None
    out: list[Any] = []
    for kind, v in pull.asks:
        if kind == "saved":
            out.append(_lifted(node, int(v)) if lift else node.saved[int(v)])
        elif kind == "param":
            out.append(node.params[v])  # type: ignore[index]  # a rule that asks for a parameter has them
        else:
            out.append(parent if kind == "like" else k - len(node.op.inputs))
    return out


def _lifted(node: TapeNode, slot: int) -> Any:
    assert node.saved is not None
    value = node.saved[slot]
    if slot == 0:
        return tuple(pick(node, k, a) for k, a in enumerate(value)) if node.op.outputs > 1 else box(value, node)
    if slot > len(node.op.inputs):
        return tuple(_boxed(a, p) for a, p in zip(value, node.parents[len(node.op.inputs) :], strict=True))
    return _boxed(value, node.parents[slot - 1])


def _boxed(value: Any, parent: TapeNode | None) -> Any:
    return value if value is None or type(value) in WEAK else box(value, parent)


def _symbol(op: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> Expr:
    """The formula for `op` on symbols; its shape is known when theirs are."""
    known = [getattr(a, "shape", ()) for a in args]
    aval = Aval((), None)
    shape = dtype = None
    if all(s is not None for s in known):
        aval = op.infer(*args, **params)
        shape, dtype = aval.shape, aval.dtype
    return Expr(op.show or fn(op.name), args, params, op.call, shape, dtype)
