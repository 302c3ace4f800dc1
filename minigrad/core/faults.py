"""What is said when a primitive cannot run, forward or backward: which, on what, where in the user's code.

Nothing here runs unless an argument is missing, unknown or wrong.
"""

from __future__ import annotations

import inspect
from typing import Any

from minigrad.backend import BACKENDS
from minigrad.core.arguments import short
from minigrad.core.node import TapeNode
from minigrad.core.primitive import Aval, Primitive
from minigrad.core.sources import user_line
from minigrad.core.tensor import BOXES
from minigrad.errors import (
    ArgumentTypeError,
    DeviceError,
    GraphFreedError,
    MinigradError,
    ShapeError,
    UnknownArrayError,
)


def explain(error: Exception, op: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> None:
    """Say at which operation, on what and where in the user's code a forward failed.

    Shapes that do not fit become a ShapeError that teaches, and arrays on two devices of one backend a DeviceError.
    """
    if isinstance(error, TypeError) and params.keys() - op.defaults.keys():
        filled(op, params)
    params = {k: v for k, v in (op.defaults | params).items() if v is not inspect.Parameter.empty}
    if isinstance(error, TypeError) and any(a is None for a in args):
        k = next(k for k, a in enumerate(args) if a is None)
        raise UnknownArrayError(f"{op.name}: {input_name(op, k)} is None; it takes arrays and numbers") from None
    described = ", ".join(
        f"{input_name(op, k)}: {a.dtype} {tuple(a.shape)}"
        if hasattr(a, "shape")
        else f"{input_name(op, k)}: {short(a)}"
        for k, a in enumerate(args)
    )
    note = f"in minigrad.{op.name} with {described}" + "".join(f", {k}={short(v)}" for k, v in params.items())
    note += f"\n  at {user_line()}"
    if len({BACKENDS[type(r)].device_of(r) for r in raws(args) if type(r) in BACKENDS}) > 1:
        raise DeviceError(mixed(op, args)) from error
    if isinstance(error, (ValueError, IndexError, TypeError)) and not isinstance(error, MinigradError):
        avals = [Aval(tuple(a.shape), a.dtype) if hasattr(a, "shape") else a for a in args]
        try:
            op.infer(*avals, **params)
        except ShapeError as better:
            better.add_note(note)
            raise better from None
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as other:  # the first error stands
            if str(other) != str(error):
                error.add_note(f"shape inference failed as well: {other}")
    error.add_note(note)


def filled(op: Primitive, params: dict[str, Any]) -> dict[str, Any]:
    """`params` and the defaults of those that were not given."""
    unknown = [*(params.keys() - op.defaults.keys())]
    params = op.defaults | params
    missing = [k for k, v in params.items() if v is inspect.Parameter.empty]
    if unknown or missing:
        raise ArgumentTypeError(
            f"{op.name}: "
            + (f"parameter {unknown[0]!r} is unknown" if unknown else f"parameter {missing[0]!r} is missing")
            + f"; it takes {', '.join([*op.inputs, *([f'*{op.variadic}'] if op.variadic else [])])}"
            + (f" and by keyword {', '.join(op.defaults)}" if op.defaults else "")
        )
    return params


def bind_extra(op: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    names = [*op.inputs]
    missing = [n for n in names[len(args) :] if n in params]
    args = (*args, *(params[n] for n in missing))  # inputs given by keyword
    params = {k: v for k, v in params.items() if k not in missing}
    if len(args) != len(names):
        raise ArgumentTypeError(
            f"{op.name}: {len(args)} arrays given for {len(names)} ({', '.join(names)})"
            + (f"; parameters go by keyword: {', '.join(op.defaults)}" if op.defaults else "")
        )
    return args, params


def input_name(op: Primitive, k: int) -> str:
    return f"argument {op.inputs[k]!r}" if k < len(op.inputs) else f"argument {op.variadic}[{k - len(op.inputs)}]"


def raws(args: tuple[Any, ...]) -> list[Any]:
    return [a._data if type(a) in BOXES else a for a in args]


def mixed(op: Primitive, args: tuple[Any, ...]) -> str:
    where = ", ".join(
        f"{input_name(op, k)} on {BACKENDS[type(r)].device_of(r)!r}"
        for k, r in enumerate(raws(args))
        if type(r) in BACKENDS
    )
    return (
        f"{op.name}: {where}; devices are never mixed silently: move one with x.to(device), "
        "or make arrays tensors there with minigrad.tensor(a, device=…)"
    )


def freed(node: TapeNode) -> GraphFreedError:
    return GraphFreedError(
        f"the graph through {node.op.name!r} was freed by an earlier backward; pass retain_graph=True to that "
        "one to go through it again"
    )


def failing(node: TapeNode, g: Any) -> str:
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
