"""Rematerialization: keep what goes into a function, and compute its inside again when the backward sweep needs it.

Chen, Xu, Zhang, Guestrin, "Training deep nets with sublinear memory cost", arXiv 1604.06174, 2016. The second run draws
the same random numbers, meets running statistics as the first one met them and leaves them as they are now. That it is
the same run is not guessed from its result: a witness compares every operation and all that it takes from outside.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar
from weakref import ref

import numpy as np

from minigrad.backend import BACKENDS, backend_of
from minigrad.core import BOXES, MODES, Primitive, Tensor, box, change, sweep
from minigrad.core.modes import Replay, Watcher
from minigrad.core.node import Leaf, TapeNode, next_id
from minigrad.core.pick import pick
from minigrad.core.state import Stand, plain, stand_of, standing
from minigrad.core.tensor import freeze
from minigrad.errors import ArgumentTypeError, GraphError
from minigrad.notation import fn
from minigrad.transforms.structures import leaves, mapped

__all__ = ["remat"]

P = ParamSpec("P")
R = TypeVar("R")


def remat(f: Callable[P, R]) -> Callable[P, R]:
    """`f` with its intermediate values dropped after the forward pass and computed again in the backward pass.

    Memory for time: a chain of k such blocks keeps k inputs in place of every value inside. Gradients of every order
    are those of `f`, with respect to its arguments and to all that it closes over; dropout draws the same mask the
    second time, and running statistics are updated once.

    Args:
        f: a function (or a module) of tensors that returns a Tensor, or a tuple, list or dict of them.

    Raises:
        GraphError: in the backward pass, when something that `f` reads was changed in between, tracked or not: a
            parameter by an optimiser step, a running statistic by another forward pass, an array, a Python variable,
            `train()` to `eval()`. A function that sets something up in its first call must be called once before.

    Example:
        >>> import minigrad as mg
        >>> x = mg.tensor([0.5, 1.0], requires_grad=True)
        >>> mg.remat(lambda x: mg.exp(mg.sin(x)))(x).sum().backward()
        >>> bool(mg.all(x.grad == mg.exp(mg.sin(x.detach())) * mg.cos(x.detach())))
        True
    """
    if not callable(f):
        raise ArgumentTypeError(f"remat: f is a {type(f).__name__}; give the function itself, mg.remat(f)(x)")

    @functools.wraps(f, updated=())
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        mode = MODES.get()
        if not mode.recording:
            return f(*args, **kwargs)
        replay, witness, stood = Replay(mode.replay), Witness(), _standing()
        kept = mapped(args, _as_now), {k: mapped(v, _as_now) for k, v in kwargs.items()}
        with change(replay=replay, watchers=(*mode.watchers, witness)):
            out: Any = f(*args, **kwargs)
        outs = _tensors(out, f)
        outside = _outside([t._node for t in outs if t._node is not None], witness.start)
        if not outside:
            return out  # type: ignore[no-any-return]
        one = isinstance(out, Tensor)
        modes = {"device": mode.device, "nested": mode.nested, "variables": mode.variables, "form": mode.form}
        saved = (f, *kept, replay, (witness.seen, witness.start), stood, modes)
        shapes, dtypes = tuple(t._data.shape for t in outs), tuple(t._data.dtype for t in outs)
        if one:
            node = TapeNode(ONE, tuple(outside), shapes[0], dtypes[0], saved)
            return box(outs[0]._data, node)  # type: ignore[return-value]
        node = TapeNode(SEVERAL, tuple(outside), shapes, dtypes, saved)
        made = iter([pick(node, k, t._data) if t._node is not None else t for k, t in enumerate(outs)])
        return mapped(out, lambda t, _: next(made))  # type: ignore[no-any-return]

    return call


def _standing() -> list[Stand]:
    """What stands in here for whatever it is, as it is now."""
    stands = [stand_of(stand.target) for stand in MODES.get().standing.values()]
    return [Stand(s.target, s.tensor, s.whole) for s in stands if s is not None]


def _as_now(value: Any, where: str) -> Any:
    """An argument as it is in the first run: a plain array may be written later, a leaf may stand for another one."""
    if type(value) in BOXES:
        twin: Tensor = object.__new__(plain(type(value)))
        twin._data, twin._node, twin._name = value._data, value._node, value.name
        return twin
    if type(value) in BACKENDS and not isinstance(value, np.generic):
        return freeze(backend_of(value).copy(value))
    return value


def _tensors(out: Any, f: Any) -> list[Tensor]:
    outs = list(leaves(out))
    for t in outs:
        if not isinstance(t, Tensor):
            name = getattr(f, "__name__", type(f).__name__)
            raise ArgumentTypeError(
                f"remat: {name} must return a Tensor, or a tuple, list or dict of them; there is a {type(t).__name__}"
            )
    return outs


def _outside(roots: list[TapeNode], start: int) -> list[TapeNode]:
    """The nodes that the roots reach directly and the function did not make: what it took from around it, and leaves
    that it made to stay, such as the parameters of a module that sets itself up in its first call.
    """
    seen, stack, found = set(roots), list(roots), []
    while stack:
        node = stack.pop()
        if node.id < start or isinstance(node, Leaf):
            found.append(node)
            continue
        for parent in node.parents:
            if parent is not None and parent not in seen:
                seen.add(parent)
                stack.append(parent)
    return sorted(found, key=lambda n: n.id)


@dataclass(frozen=True, slots=True, eq=False)
class _Taken:
    """What an operation took from outside of the run: an array, and the id of its place in the graph."""

    array: Any
    node: int | None  # None: it is not tracked


class Witness(Watcher):
    """Watches a run: every operation, with its parameters and what it worked on, in order.

    An operand is a result of this run, named by its number, or comes from outside and is kept: a tensor's array (which
    is frozen), a copy of any other array, a number. Given what another run saw, it says where this one departs from it.
    """

    def __init__(self, before: tuple[list[Any], int] | None = None) -> None:
        self.seen: list[Any] = []
        self.start = next_id()  # nodes from here on are of this run
        self.departs = ""
        self._before: list[Any] | None = None  # what the other run saw
        self._started = 0  # where it began
        if before is not None:
            self._before, self._started = before
        self._flags: list[Any] = []
        self._made: dict[
            int, tuple[Any, tuple[int, int]]
        ] = {}  # by id of the box, which may be taken again: hence the reference
        self._count = 0

    def forward(self, op: Any, args: tuple[Any, ...], params: dict[str, Any], out: Any) -> None:
        if not self.departs:
            given = args[:1] if op.name == "random_bits" else args  # their counter is of the replay's making
            tracked = (out if type(out) is Tensor else out[0])._node is not None
            entry = op, params, [self._source(a) for a in given], tracked
            if self._before is None:
                self.seen.append(entry)
            else:
                self._compare(entry)
        self._count += 1
        if type(out) is Tensor:
            self._made[id(out)] = ref(out), (self._count, 0)  # a pair, so that it is never taken for a number
            return
        for k, t in enumerate(out):
            self._made[id(t)] = ref(t), (self._count, k)

    def _source(self, value: Any) -> Any:
        if type(value) in BOXES:
            known = self._made.get(id(value))
            if known is not None and known[0]() is value:
                return known[1]
            return _Taken(value._data, None if value._node is None else value._node.id)
        if type(value) in BACKENDS and not isinstance(value, np.generic) and self._before is None:
            return freeze(backend_of(value).copy(value))
        return value

    def _compare(self, entry: Any) -> None:
        assert self._before is not None
        at, (op, params, sources, tracked) = len(self.seen), entry
        self.seen.append(None)
        if at >= len(self._before):
            self.departs = f"there is one more {op.name!r}"
            return
        op_, params_, sources_, tracked_ = self._before[at]
        if op is not op_:
            self.departs = f"{op.name!r} ran in the place of {op_.name!r}"
        elif params != params_ and repr(params) != repr(params_):  # NaN is not equal to itself
            self.departs = f"{op.name!r} had the parameters {params} in the place of {params_}"
        elif len(sources) != len(sources_) or not all(map(self._same, sources, sources_)):
            self.departs = f"{op.name!r} worked on something else"
        elif tracked != tracked_:
            was, now = ("recorded", "not recorded") if tracked_ else ("not recorded", "recorded")
            self.departs = f"{op.name!r} was {was} and is {now} now (no_grad? detach?)"

    def _same(self, a: Any, b: Any) -> bool:
        if a is b:
            return True
        if type(a) is type(b) is _Taken:
            made = (a.node or 0) >= self.start and (b.node or 0) >= self._started
            return (a.node == b.node or made) and self._same(a.array, b.array)
        if type(a) is not type(b) or isinstance(a, (tuple, int, float, np.generic)) or a is None:
            return type(a) is type(b) and bool(a == b or (a != a and b != b))
        if a.shape != b.shape or a.dtype != b.dtype:
            return False
        if type(a) not in BACKENDS:  # recorded without values
            return True
        same = backend_of(a).xp.array_equal(a, b, equal_nan=a.dtype.kind == "f")
        if type(a) is np.ndarray:
            return bool(same)
        self._flags.append(same)  # asked for together, at the end: each answer is a copy to the host
        return True

    def verdict(self) -> str:
        """Where this run departs from the one before, or "": for when it has come to its end."""
        if not self.departs and self._before is not None and len(self.seen) < len(self._before):
            self.departs = f"there is no {self._before[len(self.seen)][0].name!r} any more"
        if not self.departs and self._flags and not bool(functools.reduce(lambda a, b: a & b, self._flags)):
            self.departs = "an operation worked on something else"
        return self.departs


def _again(
    f: Any,
    args: Any,
    kwargs: Any,
    replay: Replay,
    before: tuple[list[Any], int],
    stood: list[Stand],
    modes: dict[str, Any],
) -> list[Tensor]:
    """The results of the second run, whose graph they hold. What it updates is let go with it."""
    witness = Witness(before)
    stands = [Stand(s.target, s.tensor, s.whole) for s in stood]
    stands += [Stand(t, box(array, node), whole=True) for t, array, node in replay.state.values()]
    watchers = (*MODES.get().watchers, witness)
    try:
        with standing(stands, recording=True, replay=replay.again(), watchers=watchers, **modes):
            outs = _tensors(f(*args, **kwargs), f)
    except Exception as error:
        error.add_note("in remat, which ran the function again for its backward pass")
        raise
    where = witness.verdict()
    if where:
        raise GraphError(
            f"remat: run again, the function gave another result, so its gradient would be wrong: {where}. Something "
            "that it reads was changed between forward and backward (an optimiser step? a variable?): call backward "
            "first; or it sets something up in its first call: call it once before"
        )
    return outs


def _pull(node: TapeNode, g: Any, grads: dict[TapeNode, Any], lift: bool) -> None:
    """Run the function again, recording this time, and sweep through it."""
    assert node.saved is not None
    outs = _again(*node.saved)
    targets = frozenset(node.parents)
    for t, gt in zip(outs, g if node.op is SEVERAL else (g,), strict=True):
        if t._node is None or gt is None:
            continue
        with change(recording=True):
            found = sweep(t._node, gt, targets, lift=lift, free=False, part=True)
        for parent, gx in found.items():
            grads[parent] = grads[parent] + gx if parent in grads else gx


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
