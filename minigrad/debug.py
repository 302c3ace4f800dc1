"""Guards that watch a computation and stop it where it goes wrong. They look at every value, and wait for it where it
is on a device, so they are slow; use them to find a fault, not to train. Where no guard is set, they cost nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from minigrad.answers import module_getattr
from minigrad.backend import BACKENDS, backend_of
from minigrad.core.dispatch import arguments
from minigrad.core.essential import full_like
from minigrad.core.modes import MODES, Watcher, change
from minigrad.core.node import TapeNode
from minigrad.core.pick import PICK
from minigrad.core.sources import user_line
from minigrad.core.tensor import BOXES
from minigrad.errors import NonFiniteError
from minigrad.notation import Expr, cotangent, symbol

__all__ = ["nan_guard"]

if not TYPE_CHECKING:
    __getattr__ = module_getattr(__name__)

GIVEN = ("finite inputs", "inputs without NaN")  # by how bad the inputs were, see `_level`
SAFE = "minigrad.safe has forms of sqrt, log, divide and norm that stay finite at the edge, with their derivatives"


class nan_guard(change):  # noqa: N801  (reads as a verb: `with nan_guard():`)
    """Context manager and decorator that raises at the first operation that *produces* a NaN or an infinity.

    An operation produces an infinity when all that went into it, its parameters included, is finite, and a NaN when
    there was none: what you give yourself, such as a mask of -inf, is nobody's fault. Watched are the forward, the
    sweep backward, and the steps of optimisers, which run here one operation at a time. The error names the operation,
    its formula, its inputs and the line of your code.

    Args:
        allow_inf: let infinities be produced, and raise for NaN only.

    Raises:
        NonFiniteError: as said.

    Example:
        >>> import minigrad as mg
        >>> with mg.debug.nan_guard():
        ...     mg.log(mg.tensor([1.0, 2.0])) / 4
        tensor([0.        , 0.1732868])
    """

    def __init__(self, *, allow_inf: bool = False) -> None:
        super().__init__()
        self._allow_inf = allow_inf

    def _recreate_cm(self) -> nan_guard:
        return nan_guard(allow_inf=self._allow_inf)

    def __enter__(self) -> None:
        self._modes = {"watchers": (*MODES.get().watchers, _Guard(self._allow_inf))}
        super().__enter__()


@dataclass(frozen=True, slots=True)
class _Use:
    """One use of a value by an operation that the sweep has passed: enough to apply its rule once more."""

    op: Any
    params: dict[str, Any] | None
    saved: Any
    g: Any  # bare
    k: int  # which input of the operation the value was, of how many
    count: int
    line: str | None


class _Guard(Watcher):
    """The watcher behind `nan_guard`."""

    opens_steps = True  # an optimiser is to show the operations of its steps

    def __init__(self, allow_inf: bool) -> None:
        self._worst = 2 if allow_inf else 1  # the least level that is a fault
        # weak keys: a graph that is dropped takes along what is known of it
        self._lines: WeakKeyDictionary[TapeNode, str | None] = WeakKeyDictionary()
        self._uses: WeakKeyDictionary[TapeNode, list[_Use]] = WeakKeyDictionary()

    def forward(self, op: Any, args: tuple[Any, ...], params: dict[str, Any], out: Any) -> None:
        outs = out if isinstance(out, tuple) else (out,)
        for tensor in outs:
            if tensor._node is not None:
                self._lines[tensor._node] = user_line()
                if tensor._node.op is PICK:
                    self._lines[tensor._node.parents[0]] = user_line()
        made = _level(*outs)
        given = _level(*args, *params.values()) if made >= self._worst else made
        if made <= given:
            return
        formula = _write(Expr(op.show, tuple(map(symbol, _names(op, len(args)))), params))
        described = "".join(f"\n  {n} = {_describe(a)}" for n, a in zip(_names(op, len(args)), args, strict=True))
        raise NonFiniteError(
            f"minigrad.{op.name} produced {_what(made)} from {GIVEN[given]}: {formula}{described}\n  at {user_line()}\n"
            + SAFE
        )

    def backward(self, node: Any, g: Any, lifted: bool) -> None:
        parts = [p for p in (g if isinstance(g, (list, tuple)) else (g,)) if p is not None]
        made = _level(*parts)
        uses = self._uses.pop(node, [])
        if made >= self._worst and uses:
            self._blame(node, made, uses)
        if node.op is None or node.op.whole is not None or made == 2:
            return
        bare = _bare(g)
        if isinstance(g, (list, tuple)):  # of several outputs, of which some may lead nowhere
            like = _bare(parts[0])
            bare = tuple(
                full_like(like, value=0, shape=shape, dtype=dtype) if part is None else _bare(part)
                for part, shape, dtype in zip(g, node.shape, node.dtype, strict=True)
            )
        for k, parent in enumerate(node.parents):
            if parent is not None:
                use = _Use(node.op, node.params, node.saved, bare, k, len(node.parents), self._lines.get(node))
                self._uses.setdefault(parent, []).append(use)

    def _blame(self, node: TapeNode, made: int, uses: list[_Use]) -> None:
        """Raise for the use whose contribution to the cotangent of `node` is at fault, if one is."""
        given = max(_level(use.g) for use in uses)
        for use in uses:
            level, before = self._contribution(node, use)
            if level >= self._worst and level > before:
                raise NonFiniteError(
                    f"the backward of minigrad.{use.op.name} produced {_what(level)} from "
                    f"{'a finite cotangent' if not before else 'a cotangent without NaN'}: "
                    f"{_rule(use, node)}\n  the operation ran at {use.line}\n{SAFE}"
                )
            given = max(given, level)
        if made > given:
            raise NonFiniteError(
                f"the {len(uses)} contributions to one cotangent are finite, and their sum is {_what(made)}: to the "
                f"{f'result of minigrad.{node.op.name}' if node.op else 'gradient of a leaf'} of shape {node.shape}, "
                f"from {', '.join(f'minigrad.{use.op.name} at {use.line}' for use in uses)}"
            )

    @staticmethod
    def _contribution(node: TapeNode, use: _Use) -> tuple[int, int]:
        """How bad a use's contribution is, and how bad what its rule was given."""
        again = TapeNode(use.op, (), None, None, use.saved, use.params)
        pull, _ = use.op.pull_for(use.k)
        asked = arguments(again, pull, node, False, use.k)
        return _level(pull.rule(use.g, *asked)), _level(use.g, *asked)


def _bare(value: Any) -> Any:
    return value._data if type(value) in BOXES else value


def _level(*values: Any) -> int:
    """2 where there is a NaN, 1 where there is an infinity, else 0."""
    worst = 0
    for value in map(_bare, values):
        if isinstance(value, (tuple, list)):
            worst = max(worst, _level(*value))
        elif isinstance(value, float):
            worst = max(worst, 0 if math.isfinite(value) else 2 if math.isnan(value) else 1)
        elif type(value) in BACKENDS and value.dtype.kind == "f":
            xp = BACKENDS[type(value)].xp
            if not bool(xp.isfinite(value).all()):
                worst = max(worst, 2 if bool(xp.isnan(value).any()) else 1)
    return worst


def _what(level: int) -> str:
    return "NaN" if level == 2 else "an infinity"


def _names(op: Any, count: int) -> list[str]:
    return [*op.inputs, *(f"{op.variadic}_{k}" for k in range(count - len(op.inputs)))]


def _describe(value: Any) -> str:
    raw = _bare(value)
    if not hasattr(raw, "shape"):
        return repr(value)
    host = backend_of(raw).to_host(raw)
    if host.size == 0 or host.dtype.kind not in "fiu":
        return f"{host.dtype} {host.shape}"
    return f"{host.dtype} {host.shape}, from {host.min():g} to {host.max():g}"


def _rule(use: _Use, parent: Any) -> str:
    """The formula of the rule of a use, as far as symbols carry it."""
    op = use.op
    pull, _ = op.pull_for(use.k)
    slots = ["y", *_names(op, use.count)]
    given: list[Any] = []
    for kind, v in pull.asks:
        if kind == "saved":
            given.append(symbol(slots[v]))
        elif kind == "param":
            given.append((use.params or {})[v])
        else:
            given.append(parent if kind == "like" else use.k - len(op.inputs))
    try:
        return _write(pull.rule(cotangent(), *given))
    except (AttributeError, TypeError, ValueError):  # a rule that needs shapes, which these symbols do not have
        return f"its rule for input {use.k}"


def _write(formula: Any) -> str:
    return formula.text() if isinstance(formula, Expr) else str(formula)
