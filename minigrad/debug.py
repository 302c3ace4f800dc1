"""Guards that watch a computation and stop it where it goes wrong. They look at values, so they are slow; use them to
find a fault, not to train.
"""

from __future__ import annotations

import math
from typing import Any

from minigrad.backend import backend_of
from minigrad.core.modes import MODES, change
from minigrad.core.sources import user_line
from minigrad.core.tensor import BOXES
from minigrad.errors import NonFiniteError
from minigrad.notation import Expr, cotangent, symbol

__all__ = ["nan_guard"]


class nan_guard(change):  # noqa: N801  (reads as a verb: `with nan_guard():`)
    """Context manager and decorator that raises at the first operation that *produces* a NaN or an infinity.

    An operation produces one when all that went into it, its parameters included, is finite and what comes out is not,
    forward or in the backward sweep. The error names the operation, its formula, its inputs and the line of your code.

    Raises:
        NonFiniteError: as said.

    Example:
        >>> import minigrad as mg
        >>> with mg.debug.nan_guard():
        ...     mg.log(mg.tensor([1.0, 2.0])) / 4
        tensor([0.        , 0.1732868])
    """

    def __init__(self) -> None:
        super().__init__()

    def _recreate_cm(self) -> nan_guard:
        return nan_guard()

    def __enter__(self) -> None:
        self._modes = {"watchers": (*MODES.get().watchers, _Guard())}
        super().__enter__()


class _Guard:
    """The watcher behind `nan_guard`."""

    def __init__(self) -> None:
        self._lines: dict[int, str | None] = {}  # by the engine's node id: where the operation ran
        # by node id: whose rules contributed to its cotangent, as (node id, op, parameters, which input, of how many)
        self._users: dict[int, list[tuple[int, Any, dict[str, Any], int, int]]] = {}

    def forward(self, op: Any, args: tuple[Any, ...], params: dict[str, Any], out: Any) -> None:
        outs = out if isinstance(out, tuple) else (out,)
        for tensor in outs:
            if tensor._node is not None:
                self._lines[tensor._node.id] = user_line()
        if all(_finite(t) for t in outs) or not all(map(_finite, args)) or not all(map(_finite, params.values())):
            return
        formula = _write(Expr(op.show, tuple(map(symbol, _names(op, len(args)))), params))
        given = "".join(f"\n  {n} = {_describe(a)}" for n, a in zip(_names(op, len(args)), args, strict=True))
        raise NonFiniteError(
            f"minigrad.{op.name} produced {_what(outs)} from finite inputs: {formula}{given}\n  at {user_line()}\n"
            "minigrad.safe has forms of sqrt, log, divide and norm that stay finite at the edge"
        )

    def backward(self, node: Any, g: Any, lifted: bool) -> None:
        parts = [p for p in (g if isinstance(g, (list, tuple)) else (g,)) if p is not None]
        if all(map(_finite, parts)):
            for k, parent in enumerate(node.parents):
                if parent is not None:
                    user = (node.id, node.op, node.params or {}, k, len(node.parents))
                    self._users.setdefault(parent.id, []).append(user)
            return
        for serial, op, params, k, count in self._users.get(node.id, [])[-1:]:
            raise NonFiniteError(
                f"the backward of minigrad.{op.name} produced {_what(parts)} from a finite cotangent: "
                f"{_rule(op, params, k, count, node)}\n  the operation ran at {self._lines.get(serial)}\n"
                "minigrad.safe has forms of sqrt, log, divide and norm whose derivatives stay finite"
            )

    def update(self, target: Any, value: Any) -> None:
        """State is not computed by an operation; what computed it was watched."""

    def label(self, tensor: Any, name: str) -> None:
        """Names play no part here."""

    def enter(self, kind: str, name: str, subject: Any) -> None:
        """Scopes play no part here."""

    def leave(self) -> None:
        """Scopes play no part here."""


def _finite(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    raw = value._data if type(value) in BOXES else value
    if getattr(getattr(raw, "dtype", None), "kind", "") != "f":
        return True
    return bool(backend_of(raw).xp.isfinite(raw).all())


def _what(values: Any) -> str:
    nan = any(bool(backend_of(r).xp.isnan(r).any()) for r in (v._data if type(v) in BOXES else v for v in values))
    return "NaN" if nan else "an infinity"


def _names(op: Any, count: int) -> list[str]:
    return [*op.inputs, *(f"{op.variadic}_{k}" for k in range(count - len(op.inputs)))]


def _describe(value: Any) -> str:
    raw = value._data if type(value) in BOXES else value
    if not hasattr(raw, "shape"):
        return repr(value)
    host = backend_of(raw).to_host(raw)
    if host.size == 0 or host.dtype.kind not in "fiu":
        return f"{host.dtype} {host.shape}"
    return f"{host.dtype} {host.shape}, from {host.min():g} to {host.max():g}"


def _rule(op: Any, params: dict[str, Any], k: int, count: int, parent: Any) -> str:
    """The formula of the rule for input `k` of `op`, as far as symbols carry it."""
    pull, _ = op.pull_for(k)
    slots = ["y", *_names(op, count)]
    given: list[Any] = []
    for kind, v in pull.asks:
        if kind == "saved":
            given.append(symbol(slots[v]))
        else:
            given.append(params[v] if kind == "param" else parent if kind == "like" else k - len(op.inputs))
    try:
        return _write(pull.rule(cotangent(), *given))
    except (AttributeError, TypeError, ValueError):  # a rule that needs shapes, which these symbols do not have
        return f"its rule for input {k}"


def _write(formula: Any) -> str:
    return formula.text() if isinstance(formula, Expr) else str(formula)
