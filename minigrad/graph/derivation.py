"""Derivations: how the gradient at a node, or inside a layer, comes about, in words, formulas and a program.

Every term is the engine's own rule run on symbols, called by the names of this recording. Nothing is derived here.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterator, Mapping
from functools import cached_property

from minigrad.errors import GraphError
from minigrad.graph.labels import dims, kind_of
from minigrad.graph.nodes import Node, Scope, ancestors
from minigrad.graph.script import script
from minigrad.graph.steps import SHORT, GradientStep, Naming, at_sweep, term_of
from minigrad.notation import NEGATE, Expr, symbol

Nodes = Mapping[str, Node]
WIDE = 1000  # characters of a formula
CELL = '"text-align:left;padding:.2em .5em"'  # browsers of today align by style, and no longer by attribute


class Derivation:
    """How a gradient comes about, step by step, newest first; made by `Graph.derivation`.

    `steps` holds the formulas, `text`, `latex` and `mathml` write them, and `python` is a program in minigrad's
    functions that computes the same numbers.
    """

    def __init__(
        self, steps: tuple[GradientStep, ...], naming: Naming, inside: frozenset[str], sweep: int, title: str
    ) -> None:
        self.steps, self._naming, self._inside, self._sweep, self._title = steps, naming, inside, sweep, title

    @cached_property
    def text(self) -> str:
        """In words and formulas."""
        lines = [f"{self._title}, in backward pass {self._sweep}; ∂v is the cotangent of v"]
        for step in self.steps:
            left = self._naming.cotangent(step.node)
            what = f"{dims(step.node.shape)} {kind_of(step.node.dtype)}".strip()
            lines += ["", f"{self._naming.equation(step.node)}    ({what})"]
            if not step.terms:
                lines.append(f"    {self._start(step)}")
                continue
            right = functools.reduce(operator.add, (term.formula for term in step.terms))
            whys = [f"through {self._naming.equation(t.through)}" for t in step.terms]
            more = f" + what {_count(step.elsewhere, 'use')} outside sent" if step.elsewhere else ""
            sole = f"    {whys[0]}" if len(whys) == 1 else ""
            lines.append(f"    {left.text()} = {right.text(WIDE)}{more}{sole}")
            if not sole:
                texts = [term.formula.text(WIDE) for term in step.terms]
                wide = max(map(len, texts))
                lines += [f"        {text:{wide}}    {why}" for text, why in zip(texts, whys, strict=True)]
        return "\n".join(lines) + "\n"

    @cached_property
    def latex(self) -> str:
        """LaTeX, an `aligned` environment without delimiters: a row for each term, with what it came through."""
        lines = []
        for left, sign, term, way in self._rows():
            shown = r"\cdots" if term is None else term.latex(WIDE)
            right = r"\;\text{given}" if sign is None else f"{sign} {shown}"
            why = rf"\text{{through }} {way[0].latex()} = {way[1].latex(SHORT)}" if way is not None else ""
            lines.append(f"{'' if left is None else left.latex()} &{right} && {why}".strip())
        return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"

    @cached_property
    def mathml(self) -> str:
        """A MathML element: one row for each term, and beside it the operation that it came through."""
        lines = []
        for left, sign, term, way in self._rows():
            right = f"<mo form='infix'>{sign}</mo>{'<mo>⋯</mo>' if term is None else _inner(term)}"
            why = f"<mtext>through&#xa0;</mtext>{_inner(way[0])}<mo>=</mo>{_inner(way[1])}" if way is not None else ""
            cells = ("" if left is None else _inner(left), "<mtext>given</mtext>" if sign is None else right, why)
            lines.append(f"<mtr>{''.join(f'<mtd style={CELL}><mrow>{cell}</mrow></mtd>' for cell in cells)}</mtr>")
        table = f'<mtable displaystyle="true">{"".join(lines)}</mtable>'
        return f'<math xmlns="http://www.w3.org/1998/Math/MathML" display="block">{table}</math>'

    @cached_property
    def python(self) -> str:
        """A program in minigrad's functions that computes the same numbers: the gradient at `v` is called `d_v`.

        Small arrays are written out; where there are more than 400 numbers, they are read from the file graph.json,
        which `graph.save("graph.json")` writes.

        Raises:
            GraphError: no values were recorded, or a rule has no formula.
        """
        return script(self.steps, self._naming, self._inside, self._sweep)

    def _rows(self) -> Iterator[tuple[Expr | None, str | None, Expr | None, tuple[Expr, Expr] | None]]:
        """What stands left of the sign, the sign, the term (None for what is not shown) and what it came through."""
        for step in self.steps:
            left: Expr | None = self._naming.cotangent(step.node)
            if not step.terms:
                yield left, None, None, None
            for k, term in enumerate(step.terms):
                formula, minus = term.formula, bool(k) and term.formula.show is NEGATE
                way = self._naming.formula(term.through)
                yield (
                    left, "=" if k == 0 else "-" if minus else "+", formula.args[0] if minus else formula,
                    None if way is None else (symbol(self._naming(term.through)), way),
                )  # fmt: skip
                left = None
            if step.terms and step.elsewhere:
                yield None, "+", None, None

    def _start(self, step: GradientStep) -> str:
        name, found = self._naming.cotangent(step.node).text(), at_sweep(step.node, self._sweep)
        began = found is not None and found.began
        return f"{name} is where the backward pass began" if began else f"{name} comes from outside"

    def _repr_latex_(self) -> str:
        return f"$$\n{self.latex}\n$$"

    def __repr__(self) -> str:
        return self.text


def _inner(formula: Expr) -> str:
    """A formula's MathML without the element around it."""
    return (
        formula.mathml(WIDE).removeprefix('<math xmlns="http://www.w3.org/1998/Math/MathML">').removesuffix("</math>")
    )


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'s' * (n != 1)}"


def derive_node(nodes: Nodes, node: Node) -> Derivation:
    """The gradient at one node, from all that used it."""
    if not node.cotangents:
        raise GraphError(
            f"path: no backward pass of this trace arrived at {node.name!r}; call backward() inside the trace, "
            "on something that depends on it"
        )
    sweep, naming = node.cotangents[-1].sweep, Naming(nodes)
    naming(node)  # it has the first choice of a name
    step = GradientStep(node, tuple(term_of(c, k, naming) for c, k in _uses(nodes, sweep).get(node.name, ())))
    return Derivation((step,), naming, frozenset(), sweep, f"The gradient at {node.label or node.name}")


def derive_scope(nodes: Nodes, scopes: dict[str, Scope], path: str) -> Derivation:
    """The gradients inside a layer: from what arrives at its results to what it sends to its inputs and parameters."""
    members = [n for n in nodes.values() if path in ancestors(n.scope, scopes)]
    inside = frozenset(n.name for n in members)
    sweep = max((n.cotangents[-1].sweep for n in members if n.cotangents), default=0)
    if not sweep:
        raise GraphError(f"path: no backward pass of this trace arrived at {path!r}; call backward() inside the trace")
    naming, uses, steps = Naming(nodes), _uses(nodes, sweep), []
    for node in list(nodes.values())[::-1]:
        if at_sweep(node, sweep) is None:
            continue
        within = [use for use in uses.get(node.name, ()) if use[0].name in inside]
        elsewhere = len(uses.get(node.name, ())) - len(within)
        given = node.name in inside and not node.leaf and (elsewhere or not within)
        if given:
            steps.append(GradientStep(node, (), elsewhere))
        elif within:
            steps.append(GradientStep(node, tuple(term_of(c, k, naming) for c, k in within), elsewhere))
    scope = scopes[path]
    return Derivation(tuple(steps), naming, inside, sweep, f"The gradients in {scope.detail or scope.title}")


def _uses(nodes: Nodes, sweep: int) -> dict[str, list[tuple[Node, int]]]:
    """For each node, the operations through which a backward pass came to it, in the order in which it did."""
    uses: dict[str, list[tuple[Node, int]]] = {}
    for node in list(nodes.values())[::-1]:
        if at_sweep(node, sweep) is not None:
            for k, source in enumerate(node.inputs):
                if source is not None and node.flows[k]:
                    uses.setdefault(source, []).append((node, k))
    return uses
