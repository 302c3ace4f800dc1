"""`@primitive`: how an operation is declared, once, for gradients, checks, formulas, drawings and backends."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, Concatenate, ParamSpec

from minigrad.core import quick
from minigrad.core.dispatch import apply
from minigrad.core.primitive import PRIMITIVES, Kind, Primitive, Rule
from minigrad.core.tensor import Tensor

P = ParamSpec("P")


def primitive(
    *rules: Rule,
    show: Any = None,
    samples: Any = (),
    kind: Kind = "map",
    c: str | Mapping[str, str] | None = None,
    reduce: tuple[str, float] | tuple[str, float, str] | None = None,
    opens: Callable[..., Any] | None = None,
    infer: Callable[..., Any] | None = None,
    outputs: int = 1,
    name: str | None = None,
) -> Callable[[Callable[Concatenate[Any, P], Any]], Callable[P, Tensor]]:
    """Declare a primitive: decorate its forward `f(xp, *inputs, *, parameters)` with one rule for each input.

    Args:
        rules: one per input, in order; see the module's docstring for the names that a rule may ask for. None at all
            means that the result is never tracked.
        show: the formula shape (`minigrad.notation`) by which drawings and rules write it.
        samples: where to test it: a domain for each input, or a function `rng -> (args, params)`.
        kind, c, reduce, opens, infer: what it is to a compiler, and to inference: see `core.primitive.Primitive`.
        outputs: number of results, when there are several.
        name: when it must differ from the forward's name (a trailing underscore is dropped by itself).

    Raises:
        DeclarationError: the declaration contradicts itself; the message says how.

    Example:
        >>> import minigrad as mg
        >>> @mg.primitive(
        ...     lambda g, x: g * 3 * x * x,
        ...     show=mg.notation.fn("cube_of"), samples=(mg.domains.reals,), c="{x} * {x} * {x}",
        ... )
        ... def cube_of(xp, x):
        ...     return x * x * x
        >>> x = mg.tensor(2.0, requires_grad=True)
        >>> cube_of(x).backward()
        >>> x.grad
        tensor(12.)
    """

    def declare(forward: Callable[Concatenate[Any, P], Any]) -> Callable[P, Tensor]:
        op = Primitive(
            forward,
            rules,
            name=name or forward.__name__.rstrip("_"),
            show=show,
            samples=samples,
            kind=kind,
            c=c,
            reduce=reduce,
            opens=opens,
            infer=infer,
            outputs=outputs,
        )
        op.call, op.quick = specialise(op), quick.pull(op)
        PRIMITIVES[op.name] = op
        return op.call

    return declare


def specialise(op: Primitive) -> Callable[..., Any]:
    """The function that users call for `op`, with the forward's name, docstring and signature less `xp`."""
    call = quick.call(op) or _general(op)
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
