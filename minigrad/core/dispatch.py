"""How a call of a primitive runs: raw arrays in, raw array out; a Tensor among them, a Tensor out; symbols, a symbol.

`apply` is the whole story, for any primitive and any operands. The one- and two-input primitives without parameters,
which are most calls of a training step, get a function of their own that handles the plain case (tensors of one
backend, nothing watching) in one frame, and leaves every other case to `apply`. They are written out because each
layer of calls here costs a tenth of a small operation (benchmarks: chain).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad import notation
from minigrad.backend import BACKENDS, get_backend
from minigrad.core.arguments import short
from minigrad.core.faults import bind_extra, explain, filled, input_name, mixed
from minigrad.core.modes import MODES, Modes
from minigrad.core.node import Node, next_id
from minigrad.core.primitive import Aval, Primitive, Pull
from minigrad.core.tensor import BOXES, Tensor, box, freeze
from minigrad.errors import DeviceError, DtypeError, UnknownArrayError
from minigrad.notation import Expr, fn

WEAK = (float, int, bool)
NONE_TOO = ("equal", "not_equal")  # Python compares with None all the time; nothing is equal to it
new = object.__new__
ndarray = np.ndarray


def specialise(op: Primitive) -> Callable[..., Any]:
    """The function that users call for `op`, with the forward's name, docstring and signature less `xp`."""
    if op.variadic or op.outputs > 1 or len(op.inputs) not in (1, 2) or (op.defaults and len(op.inputs) == 2):
        call = _general(op)
    else:
        call = _named(op, _unary(op) if len(op.inputs) == 1 else _binary(op))
    functools.update_wrapper(call, op.forward, assigned=("__module__", "__doc__"))
    call.__name__ = call.__qualname__ = op.name
    call.__signature__ = op.signature.replace(parameters=list(op.signature.parameters.values())[1:])  # type: ignore[attr-defined]
    call.primitive = op  # type: ignore[attr-defined]
    del call.__wrapped__  # type: ignore[attr-defined]  # inspect would show xp
    return call


def _general(op: Primitive) -> Callable[..., Any]:
    def call(*args: Any, **params: Any) -> Any:
        return apply(op, args, params)

    return call


def _named(op: Primitive, call: Callable[..., Any]) -> Callable[..., Any]:
    """`call` with the names that the declaration gives its inputs, so that they can be given by keyword and Python's
    own errors speak of them. A wrapper that looked at keywords would cost a quarter of a small operation.
    """
    code = call.__code__
    rest = tuple(f"{n}_" if n in op.inputs else n for n in code.co_varnames[len(op.inputs) :])
    call.__code__ = code.replace(co_varnames=(*op.inputs, *rest), co_name=op.name, co_qualname=op.name)
    return call


def _unary(op: Primitive) -> Callable[..., Any]:
    kernels, find_kernel, boxes, modes = op.kernels, op.kernel, BOXES, MODES.get
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
        if boxed and mode.watched:
            return _observed(op, call, mode, (x,), params)
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
            return out
        out._node = node = new(Node)
        node.id = next_id()
        node.op = op
        node.parents = (parent,)
        node.saved = (y if keep_y else None, a if keep_x else None)
        node.params = params
        node.shape = y.shape
        node.dtype = y.dtype
        return out

    return call


def _binary(op: Primitive) -> Callable[..., Any]:
    kernels, find_kernel, boxes, modes = op.kernels, op.kernel, BOXES, MODES.get
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
        if mode.watched:
            return _observed(op, call, mode, (a, b), {})
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
            return out
        out._node = node = new(Node)
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
        return out

    return call


def _observed(
    op: Primitive, call: Callable[..., Any], mode: Modes, args: tuple[Any, ...], params: dict[str, Any]
) -> Any:
    """A call that somebody watches: run as if nobody did, then told."""
    MODES.set(mode.unwatched)
    try:
        out = call(*args, **params)
    finally:
        MODES.set(mode)
    params = op.defaults | params if op.defaults else params
    for watcher in mode.watchers:
        watcher.forward(op, args, params, out)
    return out


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
        for watcher in mode.watchers:
            watcher.forward(op, args, params, out)
    return out


def _record(
    op: Primitive, args: tuple[Any, ...], raw: list[Any], nodes: list[Any], params: dict[str, Any], y: Any
) -> Node:
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
    node: Node = new(Node)
    node.id, node.op, node.parents, node.params = next_id(), op, tuple(nodes), params or None
    kept_y = (tuple(map(freeze, y)) if several else freeze(y)) if 0 in need else None
    node.saved = (kept_y, *kept[:fixed], tuple(kept[fixed:])) if op.variadic else (kept_y, *kept)
    node.shape = tuple(a.shape for a in y) if several else y.shape
    node.dtype = tuple(a.dtype for a in y) if several else y.dtype
    return node


PICK = Primitive(
    lambda xp, x: x,
    (None,),
    name="pick",
    show=notation.Indexed("index"),
    samples=(),
    kind="view",
    c=None,
    infer=lambda x: (x.shape, x.dtype),
    outputs=1,
)
PICK.quick = None  # the sweep gathers the cotangents of siblings


def pick(node: Node | None, k: int, array: Any) -> Tensor:
    """Output number k of a primitive with several, as a tensor whose node stands between it and that primitive."""
    if node is None:
        return box(array, None)
    picked: Node = new(Node)
    picked.id, picked.op, picked.parents, picked.saved, picked.params = next_id(), PICK, (node,), None, {"index": k}
    picked.shape, picked.dtype = node.shape[k], node.dtype[k]
    return box(array, picked)


def arguments(node: Node, pull: Pull, parent: Node, lift: bool, k: int = 0) -> list[Any]:
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


def _lifted(node: Node, slot: int) -> Any:
    assert node.saved is not None
    value = node.saved[slot]
    if slot == 0:
        return tuple(pick(node, k, a) for k, a in enumerate(value)) if node.op.outputs > 1 else box(value, node)
    if slot > len(node.op.inputs):
        return tuple(_boxed(a, p) for a, p in zip(value, node.parents[len(node.op.inputs) :], strict=True))
    return _boxed(value, node.parents[slot - 1])


def _boxed(value: Any, parent: Node | None) -> Any:
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
