"""Rematerialization: keep what goes into a function, and compute its inside again when the backward sweep needs it.

Chen, Xu, Zhang, Guestrin, "Training deep nets with sublinear memory cost", arXiv 1604.06174, 2016. The second run draws
the same random numbers and leaves running statistics alone, and its result is compared with that of the first.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, ParamSpec, TypeVar

import numpy as np

from minigrad.backend import BACKENDS, backend_of
from minigrad.core import BOXES, MODES, Node, Primitive, Tensor, box, change, sweep
from minigrad.core.dispatch import pick
from minigrad.core.modes import Replay
from minigrad.core.node import Leaf, next_id
from minigrad.core.tensor import freeze
from minigrad.errors import GraphError
from minigrad.notation import fn

__all__ = ["remat"]

P = ParamSpec("P")
R = TypeVar("R")


def remat(f: Callable[P, R]) -> Callable[P, R]:
    """`f` with its intermediate values dropped after the forward pass and computed again in the backward pass.

    Memory for time: a chain of k such blocks keeps k inputs in place of every value inside. Gradients of every order
    are those of `f`; dropout draws the same mask the second time, and running statistics are updated once.

    Args:
        f: a function (or a module) of tensors that returns a Tensor or a tuple of them. What it closes over may be
            tracked too.

    Raises:
        GraphError: in the backward pass, when the second run gives another result, since something that `f` reads
            was changed in between (a parameter by an optimiser step, a Python variable).

    Example:
        >>> import minigrad as mg
        >>> x = mg.tensor([0.5, 1.0], requires_grad=True)
        >>> mg.remat(lambda x: mg.exp(mg.sin(x)))(x).sum().backward()
        >>> bool(mg.all(x.grad == mg.exp(mg.sin(x.detach())) * mg.cos(x.detach())))
        True
    """

    @functools.wraps(f, updated=())
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        mode = MODES.get()
        if not mode.recording:
            return f(*args, **kwargs)
        start, replay = next_id(), Replay(mode.replay)
        with change(replay=replay):
            out: Any = f(*args, **kwargs)
        several = isinstance(out, tuple)
        outs = _tensors(out, f)
        outside = _outside([t._node for t in outs if t._node is not None], start)
        if not outside:
            return out  # type: ignore[no-any-return]
        node: Node = object.__new__(Node)
        arrays = tuple(t._data for t in outs)
        node.id, node.op, node.parents, node.params = next_id(), SEVERAL if several else ONE, tuple(outside), None
        kept = tuple(map(_as_now, args)), {k: _as_now(v) for k, v in kwargs.items()}
        node.saved = (f, *kept, replay, arrays, _versions(outside, *kept))
        node.shape = tuple(a.shape for a in arrays) if several else arrays[0].shape
        node.dtype = tuple(a.dtype for a in arrays) if several else arrays[0].dtype
        if not several:
            return box(arrays[0], node)  # type: ignore[return-value]
        made = [
            pick(node, k, a) if t._node is not None else t for k, (a, t) in enumerate(zip(arrays, outs, strict=True))
        ]
        return tuple(made)  # type: ignore[return-value]

    return call


def _as_now(value: Any) -> Any:
    """An argument as it is in the first run: a plain array may be written later, a leaf may stand for another one."""
    if type(value) in BOXES:
        twin: Tensor = object.__new__(type(value))
        twin._data, twin._node, twin._name = value._data, value._node, value.name
        return twin
    if type(value) in BACKENDS and not isinstance(value, np.generic):
        return freeze(backend_of(value).copy(value))
    return value


def _versions(outside: Iterable[Node], args: Iterable[Any], kwargs: dict[str, Any]) -> tuple[int, ...]:
    """How often each leaf that the function closed over was rebound. Its result need not show that it was, where a
    factor is 0 for instance, but its gradient would be wrong.
    """
    given = {a._node for a in (*args, *kwargs.values()) if isinstance(a, Tensor)}
    return tuple(n.version for n in outside if isinstance(n, Leaf) and n not in given)


def _tensors(out: Any, f: Any) -> tuple[Tensor, ...]:
    outs = out if isinstance(out, tuple) else (out,)
    for t in outs:
        if not isinstance(t, Tensor):
            name = getattr(f, "__name__", type(f).__name__)
            raise TypeError(f"remat: {name} must return a Tensor or a tuple of them, it returned {type(t).__name__}")
    return outs


def _outside(roots: list[Node], start: int) -> list[Node]:
    """The nodes from before `start` that the roots reach directly: what the function took from around it."""
    seen, stack, found = set(roots), list(roots), []
    while stack:
        node = stack.pop()
        if node.id < start:
            found.append(node)
            continue
        for parent in node.parents:
            if parent is not None and parent not in seen:
                seen.add(parent)
                stack.append(parent)
    return sorted(found, key=lambda n: n.id)


def _pull(node: Node, g: Any, grads: dict[Node, Any], lift: bool) -> None:
    """Run the function again, recording this time, and sweep through it."""
    assert node.saved is not None
    f, args, kwargs, replay, arrays, versions = node.saved
    with change(recording=True, replay=replay.again()):
        outs = _tensors(f(*args, **kwargs), f)
    same = _versions(node.parents, args, kwargs) == versions
    if not (same and all(_same(t._data, before) for t, before in zip(outs, arrays, strict=True))):
        raise GraphError(
            "remat: running the function again gave another result, so its gradient would be wrong; something that "
            "it reads was changed between forward and backward (an optimiser step? a variable?): call backward first"
        )
    targets = frozenset(node.parents)
    for t, gt in zip(outs, g if node.op is SEVERAL else (g,), strict=True):
        if t._node is None or gt is None:
            continue
        with change(recording=True):
            found = sweep(t._node, gt, targets, lift=lift, free=False, ends=True)
        for parent, gx in found.items():
            grads[parent] = grads[parent] + gx if parent in grads else gx


def _same(a: Any, b: Any) -> bool:
    if type(a) not in BACKENDS:  # recorded without values
        return True
    return bool(a.shape == b.shape and a.dtype == b.dtype and backend_of(a).xp.array_equal(a, b, equal_nan=True))


def _operation(outputs: int) -> Primitive:
    op = Primitive(
        lambda xp, *xs: xs,
        (lambda g: g,),
        name="remat",
        show=fn("remat"),
        samples=(),
        kind="opaque",
        c=None,
        infer=lambda *xs: xs[0],
        outputs=outputs,
    )
    op.whole = _pull
    return op


ONE, SEVERAL = _operation(1), _operation(2)
