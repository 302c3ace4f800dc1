"""What boxes and edges say: the very rules that the backward pass runs, run once more on symbols.

A label cannot drift from the code, because it is the code's own result.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minigrad.core.pick import PICK
from minigrad.core.primitive import PRIMITIVES, Aval, Primitive, Pull
from minigrad.core.sweep import unbroadcast
from minigrad.graph.nodes import Node
from minigrad.notation import ONE, POWER, PRODUCT, ZERO, Expr, as_is, cotangent, fn, indexed, symbol
from minigrad.notation.expr import bottom_up
from minigrad.notation.layouts import Atom

Nodes = Mapping[str, Node]
LIMIT = 60  # characters of a label
FEW = 12  # rules that are put into one another


def describe(node: Node, nodes: Nodes) -> None:
    """Fill in the texts of a node: its formula, and for each input the rule and the local derivative."""
    if node.rules is not None:
        return
    op = primitive_of(node)
    if op is None:
        node.names = node.rules = node.locals = (None,) * len(node.inputs)
        return
    args = arguments(op, node, nodes)
    node.names = tuple(a.text() if isinstance(a, Expr) else None for a in args)
    node.formula = signs(definition(op, args, node).text(LIMIT))
    node.rules = tuple(rule(op, node, args, k) if f else None for k, f in enumerate(node.flows))
    elementwise = op.kind == "map" and op.show is not as_is
    node.locals = tuple(
        rule(op, node, args, k, bare=True) if f and elementwise else None for k, f in enumerate(node.flows)
    )


def primitive_of(node: Node) -> Primitive | None:
    """None for a leaf, an update, and an op of a plugin that is not installed here."""
    return PICK if node.op == "pick" else PRIMITIVES.get(node.op or "")


def held(node: Node, nodes: Nodes) -> dict[str, int]:
    """The values that the rules of a node keep alive, each with its bytes; their sum is `node.kept`.

    Several nodes may hold one value, so what a layer keeps is the sum over the union.
    """
    op = primitive_of(node)
    if op is None or not node.kept:
        return {node.name: node.kept} if node.kept else {}
    values: set[str] = set()
    for k, flows in enumerate(node.flows):
        pull = op.pull_for(k)[0] if flows else None
        for slot in () if pull is None else (int(v) for kind, v in pull.asks if kind == "saved"):
            given = node.inputs[slot - 1 :] if slot > len(op.inputs) else node.inputs[slot - 1 : slot]
            values |= {node.name} if slot == 0 else {name for name in given if name is not None}
    return {name: _nbytes(nodes[name]) for name in values}


def _nbytes(node: Node) -> int:
    shapes: Any = node.shape if isinstance(node.dtype, tuple) else (node.shape,)
    dtypes = node.dtype if isinstance(node.dtype, tuple) else (node.dtype,)
    return sum(math.prod(s) * np.dtype(d).itemsize for s, d in zip(shapes, dtypes, strict=True) if d is not None)


def rule(op: Primitive, node: Node, args: list[Any], k: int, bare: bool = False) -> str | None:
    """The rule of input number `k` on symbols, as text; with `bare`, for a cotangent of 1."""
    if op is PICK:
        return "g"
    try:
        found = expression(op, node, args, k, bare)
    except Exception as error:  # noqa: BLE001  (a stranger's rule that symbols do not pass: the drawing goes on, and says so)
        return f"{op.name}: no formula ({type(error).__name__})"
    return shown(found) if isinstance(found, Expr) else None if found is None else str(found)


def shown(formula: Expr) -> str:
    """A rule as a picture writes it, with y³ for y·y·y."""
    return signs(gathered(formula).text(LIMIT))


def signs(text: str) -> str:
    """x² for x^2, ½ for 0.5."""
    for digit, sign in (("2", "²"), ("3", "³")):
        text = re.sub(rf"\^{digit}(?![\d.])", sign, text)
    return re.sub(r"(?<![\d.])0\.5(?![\de])", "½", text)


def gathered(formula: Expr) -> Expr:
    """The same with the factors of a product that are one symbol as a power of it."""
    done: dict[Expr, Expr] = {}
    for e in bottom_up(formula):
        args = tuple(done[a] if isinstance(a, Expr) else a for a in e.args)
        if e.show is PRODUCT:
            done[e] = _product(args)
            continue
        changed = any(a is not b for a, b in zip(args, e.args, strict=True))
        done[e] = Expr(e.show, args, e.params, e.apply, e.shape, e.dtype) if changed else e
    return done[formula]


def _product(args: tuple[Any, ...]) -> Expr:
    factors: list[Any] = []
    stack = list(reversed(args))
    while stack:
        part = stack.pop()
        if isinstance(part, Expr) and part.show is PRODUCT:
            stack.extend(reversed(part.args))
        else:
            factors.append(part)
    kept: dict[Any, tuple[Any, int]] = {}  # by name: a symbol and its exponent
    for k, part in enumerate(factors):
        base, n = part.args if isinstance(part, Expr) and part.show is POWER else (part, 1)
        named = isinstance(base, Expr) and isinstance(base.show, Atom) and base.show.value is None and type(n) is int
        key = base.text() if named else k
        base, n = (base, n) if named else (part, 1)
        kept[key] = (base, n + kept[key][1]) if key in kept else (base, n)
    if len(kept) == len(factors):
        return Expr(PRODUCT, args)
    return functools.reduce(
        lambda a, b: Expr(PRODUCT, (a, b)), [base if n == 1 else Expr(POWER, (base, n)) for base, n in kept.values()]
    )


def expression(
    op: Primitive, node: Node, args: list[Any], k: int, bare: bool = False, g: Expr | None = None, y: Expr | None = None
) -> Any:
    """The rule of input number `k` on symbols, summed back over repeated axes as the engine does; None for no rule.

    `g` and `y` stand for the cotangent and the output, which are called so where they are not given.
    """
    pull, _ = op.pull_for(k)
    if pull is None:
        return None
    sent = cotangent("y", node.shape, node.dtype) if g is None else g  # type: ignore[arg-type]  # several outputs: a tuple of shapes
    out = pull.rule(ONE if bare else _several(sent, node), *_asked(op, pull, node, args, k, y))
    if not isinstance(out, Expr):
        return out
    made_by = getattr(out.apply, "primitive", None)
    if made_by is PRIMITIVES["full"] and out.params and out.params["value"] == 0:
        return Expr(ZERO.show, shape=args[k].shape, dtype=args[k].dtype)
    return (out if bare or out.shape in (None, args[k].shape) else unbroadcast(out, args[k].shape)).shortened()


def composed(members: Sequence[Node], made: Node, source: Node, nodes: Nodes) -> str:
    """What a closed box sends back to `source` for a cotangent `g` of the value `made` in it: its rules, one put into
    the other, or how many they are.
    """
    count = sum(sum(n.flows) for n in members)
    many = f"{count} rules"
    if count > FEW or isinstance(made.dtype, tuple):
        return many
    sent: dict[str, Any] = {made.name: cotangent(None, made.shape, made.dtype)}  # type: ignore[arg-type]  # one output
    try:
        for node in reversed(members):
            op = primitive_of(node)
            if node.name not in sent or op is None:
                continue
            args = arguments(op, node, nodes)
            for k, given in enumerate(node.inputs):
                if given is not None and node.flows[k]:
                    part = expression(op, node, args, k, g=sent[node.name])
                    sent[given] = sent[given] + part if given in sent else part
        text = shown(sent[source.name])
    except Exception:  # noqa: BLE001  (a stranger's rule that symbols do not pass, or several outputs: the number says it)
        return many
    return many if "..." in text else text


def _several(y: Expr, node: Node) -> Any:
    """A symbol, or a tuple of its parts for an op with several outputs."""
    return tuple(y[i] for i in range(len(node.shape))) if isinstance(node.dtype, tuple) else y


def _asked(op: Primitive, pull: Pull, node: Node, args: list[Any], k: int, y: Expr | None) -> list[Any]:
    """What a rule asked for besides `g`, as symbols."""
    out: list[Any] = []
    for kind, v in pull.asks:
        if kind == "param":
            out.append(node.params[str(v)])
        elif kind == "like":
            out.append(Aval(args[k].shape, args[k].dtype))
        elif kind == "i":
            out.append(k - len(op.inputs))
        elif v == 0:
            out.append(_several(result(node, args) if y is None else y, node))
        else:
            out.append(tuple(args[len(op.inputs) :]) if int(v) > len(op.inputs) else args[int(v) - 1])
    return out


def arguments(op: Primitive, node: Node, nodes: Nodes) -> list[Any]:
    """A symbol for each input, called what its box says, its label or else the operation that made it; what has neither
    goes by the op's own name for it. Bare numbers as they are.
    """
    chosen: dict[str, str] = {}  # node -> name
    own = [
        op.inputs[k] if k < len(op.inputs) else f"{op.variadic}{k - len(op.inputs) + 1}"
        for k in range(len(node.inputs))
    ]
    if op is PICK:  # one output of several: `split[0]` says more than `x[0]`
        own = [nodes[str(node.inputs[0])].op or own[0]]
    for k, source in enumerate(node.inputs):
        if source is not None and source not in chosen:
            chosen[source] = title(nodes[source]) or own[k]
    if len(set(chosen.values())) < len(chosen) or {"g", "y"} & {*chosen.values()}:
        chosen = {source: own[k] for k, source in reversed(list(enumerate(node.inputs))) if source is not None}
    args: list[Any] = []
    for source in node.inputs:
        made = nodes.get(source) if source is not None else None
        if made is None:
            args.append(None)
        elif made.kind == "constant" and isinstance(made.value, (int, float)):
            args.append(made.value)
        else:
            args.append(symbol(chosen[made.name], made.shape, made.dtype))  # type: ignore[arg-type]  # as above
    return args


def title(node: Node) -> str | None:
    """What the box of a value says, where that can stand in a formula."""
    name = node.called.rpartition(".")[2] if node.called and node.kind != "op" else node.called
    if name and len(name) <= 20 and name.replace("_", "").isalnum():
        return name
    return node.op if node.kind == "op" and node.op != "pick" else None


def result(node: Node, args: Sequence[Any]) -> Expr:
    """The symbol of what an operation gave: its label, or else y, or the operation's name where an input is y."""
    taken = {a.text() for a in args if isinstance(a, Expr)} | {"g"}
    names = (title(node) if node.called else None, "y", node.op)
    name = next((n for n in names if n and n not in taken), "y")
    return symbol(name, node.shape, node.dtype)  # type: ignore[arg-type]  # several outputs: a tuple of shapes


def definition(op: Primitive, args: Sequence[Any], node: Node) -> Expr:
    """What an operation computes, as a formula that can be evaluated; what changes no value goes by its name."""
    known: Any = node.shape, node.dtype  # several outputs: a tuple of shapes
    if op is PICK:
        return Expr(indexed, tuple(args), node.params, _take, *known)
    named = op.show is None or op.show is as_is
    given = tuple(a for a in args if a is not None) if named else tuple(args)
    return Expr(fn(op.name) if named else op.show, given, node.params, op.call, *known)


def _take(outputs: Any, index: int) -> Any:
    return outputs[index]
