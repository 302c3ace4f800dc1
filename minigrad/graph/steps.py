"""What a derivation consists of: the terms of each gradient, as formulas in the names of one recording."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad.graph.formulas import definition, expression, primitive_of
from minigrad.graph.nodes import Cotangent, Node
from minigrad.graph.pythonic import identifier
from minigrad.notation import Expr, fn, symbol
from minigrad.notation.layouts import Atom
from minigrad.notation.names import spell_name

Nodes = Mapping[str, Node]
SHORT = 60  # characters of what an operation computes


@dataclass(frozen=True)
class Term:
    """What one use of a value sends back to it: the rule of input number `index` of the operation `through`."""

    through: Node
    index: int
    formula: Expr
    known: bool  # whether the rule has a formula; else only its name stands there


@dataclass(frozen=True)
class GradientStep:
    """The gradient at one node as the sum of its terms, newest operation first."""

    node: Node
    terms: tuple[Term, ...]
    elsewhere: int = 0  # uses of the node outside what is derived, each with a term of its own


class Naming:
    """What the values of a derivation are called: their labels, or else their operations, each once."""

    def __init__(self, nodes: Nodes) -> None:
        self.nodes = nodes
        self._given: dict[str, str] = {}

    def __call__(self, node: Node) -> str:
        if node.name not in self._given:
            stem = node.name.rpartition("/")[2]
            if node.called:
                stem = node.called if node.kind == "op" else node.called.rpartition(".")[2]
            stem, taken, n = identifier(stem.removeprefix("d_")), set(self._given.values()), 1
            if stem in taken and node.scope:
                stem = identifier(f"{node.scope.rpartition('/')[2]}_{stem}")
            name = stem
            while name in taken:
                n += 1
                name = f"{stem}_{n}"
            self._given[node.name] = name
        return self._given[node.name]

    def value(self, node: Node) -> Any:
        """The symbol of a value; numbers stand for themselves."""
        if node.kind == "constant" and not hasattr(node.value, "ndim") and node.value is not None:
            return node.value
        if isinstance(node.value, np.generic):
            return node.value.item()
        return symbol(self(node), node.shape, node.dtype)  # type: ignore[arg-type]  # several outputs: a tuple of shapes

    def cotangent(self, node: Node) -> Expr:
        """∂ and the name of the value."""
        inner = spell_name(self(node))
        spelling = inner._replace(
            text=f"∂{inner.text}", latex=rf"\partial {inner.latex}", mathml=f"<mrow><mi>∂</mi>{inner.mathml}</mrow>"
        )
        return Expr(Atom(spelling), shape=node.shape, dtype=node.dtype)  # type: ignore[arg-type]  # as above

    def arguments(self, node: Node) -> list[Any]:
        """The symbols of what an operation was called with."""
        return [None if i is None else self.value(self.nodes[i]) for i in node.inputs]

    def formula(self, node: Node) -> Expr | None:
        """What an operation computes; None for a leaf."""
        op = primitive_of(node)
        return None if op is None else definition(op, self.arguments(node), node)

    def equation(self, node: Node) -> str:
        """`y = tanh(x)` as text, or only the name of a leaf."""
        right = self.formula(node)
        return self(node) if right is None else f"{self(node)} = {right.text(SHORT)}"


def term_of(through: Node, k: int, naming: Naming) -> Term:
    """What the operation `through` sends back to its input number k."""
    g, op = naming.cotangent(through), primitive_of(through)
    if through.op == "pick":
        return Term(through, k, g, known=True)
    found: Any = None
    if op is not None:
        y: Any = symbol(naming(through), through.shape, through.dtype)  # type: ignore[arg-type]  # several outputs: a tuple of shapes
        try:
            found = expression(op, through, naming.arguments(through), k, g=g, y=y)
        except Exception:  # noqa: BLE001  (a stranger's rule that symbols do not pass: the term says so)
            found = None
    if isinstance(found, Expr):
        return Term(through, k, found, known=True)
    return Term(through, k, Expr(fn(f"rule_of_{through.op}"), (g,)), known=False)


def at_sweep(node: Node, sweep: int) -> Cotangent | None:
    """What a backward pass found at a node."""
    return next((c for c in reversed(node.cotangents) if c.sweep == sweep), None)
