"""Derivations: how the gradient at a node, or inside a layer, comes about, in words, formulas and a program.

Every term is the engine's own rule run on symbols, called by the names of this recording. Nothing is derived here.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from minigrad.errors import GraphError
from minigrad.graph.formulas import tidy
from minigrad.graph.labels import dims, kind_of
from minigrad.graph.nodes import Node, Scope, ancestors
from minigrad.graph.script import script
from minigrad.graph.steps import Naming, Step, at_sweep, term_of
from minigrad.notation import Expr

Nodes = Mapping[str, Node]
WIDE = 1000  # characters of a formula


class Derivation:
    """How a gradient comes about, step by step, newest first; made by `Graph.derivation`.

    `steps` holds the formulas, `text`, `latex` and `mathml` write them, and `python` is a program in minigrad's
    functions that computes the same numbers.
    """

    def __init__(self, steps: tuple[Step, ...], naming: Naming, inside: frozenset[str], sweep: int, title: str) -> None:
        self.steps, self._naming, self._inside, self._sweep, self._title = steps, naming, inside, sweep, title

    @cached_property
    def text(self) -> str:
        """In words and formulas."""
        lines = [f"{self._title}, in backward pass {self._sweep}; ∂v is the cotangent of v"]
        for step in self.steps:
            left, right = self._equation(step)
            what = f"{dims(step.node.shape)} {kind_of(step.node.dtype)}".strip()
            formula = self._naming.formula(step.node)
            lines += ["", f"{self._naming(step.node)}{formula and f' = {formula}'}    ({what})"]
            if right is None:
                lines.append(f"    {self._start(step)}")
                continue
            whys = [f"through {self._naming(t.through)} = {self._naming.formula(t.through)}" for t in step.terms]
            more = f" + what {_count(step.elsewhere, 'use')} outside sent" if step.elsewhere else ""
            sole = f"    {whys[0]}" if len(whys) == 1 else ""
            lines.append(f"    {left.text()} = {tidy(right.text(WIDE))}{more}{sole}")
            if not sole:
                texts = [tidy(term.formula.text(WIDE)) for term in step.terms]
                wide = max(map(len, texts))
                lines += [f"        {text:{wide}}    {why}" for text, why in zip(texts, whys, strict=True)]
        return "\n".join(lines) + "\n"

    @cached_property
    def latex(self) -> str:
        """LaTeX, an `aligned` environment without delimiters."""
        rows = []
        for step in self.steps:
            left, right = self._equation(step)
            if right is not None:
                rest = r" + \cdots" if step.elsewhere else ""
                rows.append(f"{left.latex()} &= {right.latex(WIDE)}{rest}")
            else:
                rows.append(rf"{left.latex()} &\;\text{{given}}")
        return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"

    @cached_property
    def mathml(self) -> str:
        """A MathML element: one row for each equation."""
        rows = []
        for step in self.steps:
            left, right = self._equation(step)
            rest = "<mo>+</mo><mo>⋯</mo>" if step.elsewhere else ""
            second = f"<mrow><mo>=</mo>{_inner(right)}{rest}</mrow>" if right is not None else "<mtext>given</mtext>"
            rows.append(f"<mtr><mtd>{_inner(left)}</mtd><mtd>{second}</mtd></mtr>")
        return (
            f'<math xmlns="http://www.w3.org/1998/Math/MathML" display="block"><mtable>{"".join(rows)}</mtable></math>'
        )

    @cached_property
    def python(self) -> str:
        """A program in minigrad's functions that computes the same numbers: the gradient at `v` is called `d_v`.

        Small arrays are written out; where there are more than 400 numbers, they are read from the file graph.json,
        which `graph.save("graph.json")` writes.

        Raises:
            GraphError: no values were recorded, or a rule has no formula.
        """
        return script(self.steps, self._naming, self._inside, self._sweep)

    def _equation(self, step: Step) -> tuple[Expr, Expr | None]:
        total: Any = None
        for term in step.terms:
            total = term.formula if total is None else total + term.formula
        return self._naming.cotangent(step.node), total

    def _start(self, step: Step) -> str:
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
    step = Step(node, tuple(term_of(c, k, naming) for c, k in _uses(nodes, sweep).get(node.name, ())))
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
            steps.append(Step(node, (), elsewhere))
        elif within:
            steps.append(Step(node, tuple(term_of(c, k, naming) for c, k in within), elsewhere))
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
