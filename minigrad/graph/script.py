"""The program of a derivation: recorded values, what a layer computes from them, and the gradients, line by line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import count
from typing import Any

import numpy as np

from minigrad.core import PRIMITIVES
from minigrad.core.pick import PICK
from minigrad.errors import GraphError
from minigrad.graph.formulas import primitive_of
from minigrad.graph.labels import on_host, visible
from minigrad.graph.nodes import Node
from minigrad.graph.pythonic import ATOM, SUM, array, code, written
from minigrad.graph.steps import GradientStep, Naming
from minigrad.notation import Expr, fn
from minigrad.notation.expr import bottom_up
from minigrad.notation.layouts import Atom

WIDTH = 100
SMALL = 400  # numbers that are written out; more are read from a file


class Script:
    """Collects the lines of one program."""

    def __init__(self, steps: tuple[GradientStep, ...], naming: Naming, inside: frozenset[str], sweep: int) -> None:
        self.steps, self.naming, self.inside, self.sweep = steps, naming, inside, sweep
        self.nodes, self.order = naming.nodes, {name: at for at, name in enumerate(naming.nodes)}
        self.picks: dict[str, list[Node]] = {}  # of an operation with several outputs
        for node in self.nodes.values():
            if node.op == "pick":
                self.picks.setdefault(str(node.inputs[0]), []).append(node)
        self.values: dict[str, Node] = {}  # what is needed, by name
        self.cotangents: dict[str, Node] = {}
        self.called: dict[str, str] = {}  # symbol -> Python
        self.numbers = 0
        self.temporary = (name for name in (f"t{n}" for n in count(1)) if name not in self.called.values())

    def write(self) -> str:
        derived = {step.node.name for step in self.steps if step.terms}
        backward: list[str] = []
        for step in self.steps:
            for term in step.terms:
                if not term.known:
                    raise GraphError(f"python: the rule of {term.through.op!r} has no formula, so it cannot be written")
                self._need(term.formula, term.through)
            if step.terms:
                self._names(step.node)
        for step in self.steps:
            if step.terms:
                backward += self._gather(step) if isinstance(step.node.dtype, tuple) else self._sum(step)
        given = [c for c in self.cotangents.values() if c.name not in derived]
        given += [step.node for step in self.steps if not step.terms and step.node.name not in self.cotangents]
        forward, data = self._forward()
        lines = [
            *self._data(data, given),
            *(["", "# forward", *forward] if forward else []),
            *(["", "# backward"] * bool(backward)),
            *backward,
        ]
        return "\n".join([*self._header(lines), *lines]) + "\n"

    # ---- what is needed

    def _names(self, node: Node) -> str:
        name = self.naming(node)
        self.called[f"∂{name}"], self.called[name] = f"d_{name}", name
        return name

    def _need(self, formula: Expr, through: Node) -> None:
        """Note the values and cotangents in a rule of the operation `through`."""
        near = {self._names(n): n for n in (through, *(self.nodes[i] for i in through.inputs if i is not None))}
        for leaf in bottom_up(formula, exact=True):
            if isinstance(leaf.show, Atom) and leaf.show.value is None:
                text = leaf.show.spelling.text
                if text.startswith("∂"):
                    self.cotangents[through.name] = through
                else:
                    self.values[near[text].name] = near[text]

    def _forward(self) -> tuple[list[str], list[Node]]:
        """The lines that compute what is needed inside the layer, and the nodes from whose values they start."""
        computed: dict[str, Node] = {}
        data: dict[str, Node] = {}
        stack = list(self.values.values())
        while stack:
            node = stack.pop()
            if node.name in computed or node.name in data:
                continue
            if not self._computes(node):
                data[node.name] = node
                continue
            computed[node.name] = node
            stack += [
                self.nodes[i]
                for i in node.inputs
                if i is not None and isinstance(self.naming.value(self.nodes[i]), Expr)
            ]
        lines: list[str] = []
        for node in sorted(computed.values(), key=lambda n: self.order[n.name]):
            name, args = self._names(node), self.naming.arguments(node)
            for i in node.inputs:
                if i is not None:
                    self._names(self.nodes[i])
            op = primitive_of(node)
            assert op is not None
            if op is PICK:
                lines.append(f"{name} = {self.naming(self.nodes[str(node.inputs[0])])}[{node.params['index']}]")
                continue
            before, text, _ = code(
                Expr(fn(op.name), tuple(args), node.params, op.call), self.called, self.temporary.__next__
            )
            lines += [*before, f"{name} = {text}"]
        return lines, sorted(data.values(), key=lambda n: self.order[n.name])

    def _computes(self, node: Node) -> bool:
        """Whether a value is computed in the program: those of the layer, but for leaves and random draws."""
        op = primitive_of(node)
        return node.name in self.inside and op is not None and not op.forward.__module__.startswith("minigrad.random")

    # ---- the lines

    def _sum(self, step: GradientStep) -> list[str]:
        name = self.naming(step.node)
        lines: list[str] = []
        terms: list[tuple[str, str]] = []
        for term in step.terms:
            before, text, level = code(term.formula, self.called, self.temporary.__next__)
            lines += before
            if isinstance(term.formula.show, Atom) and term.formula.show.value is not None:  # a rule that gives zeros
                text = f"mg.full({step.node.shape}, {text}, dtype={written(step.node.dtype)})"
            elif term.through.dtype != step.node.dtype and not isinstance(term.through.dtype, tuple):
                text = f"mg.astype({text}, {written(step.node.dtype)})"
                level = ATOM
            why = f"through {self.naming.equation(term.through)}"
            terms.append((f"({text})" if level == SUM and terms else text, why))
        if step.elsewhere:
            lines.append(f"# {name} is used {step.elsewhere}x outside, too: this is the part from inside")
        if len(terms) == 1:
            ((text, why),) = terms
            return [*lines, *_commented(f"d_{name} = {text}", why)]
        rows = [r for k, (text, why) in enumerate(terms) for r in _commented(f"    {'+ ' * (k > 0)}{text}", why)]
        return [*lines, f"d_{name} = (", *rows, ")"]

    def _gather(self, step: GradientStep) -> list[str]:
        """The cotangents of an operation's several outputs, zeros for those that nothing used."""
        node, found = step.node, {int(t.through.params["index"]): f"d_{self.naming(t.through)}" for t in step.terms}
        parts = [
            found.get(k, f"mg.zeros({s}, dtype={written(d)})")
            for k, (s, d) in enumerate(zip(node.shape, node.dtype, strict=True))
        ]
        return [f"d_{self.naming(node)} = ({', '.join(parts)},)"]

    def _data(self, values: list[Node], cotangents: list[Node]) -> Iterator[str]:
        yield "# values, as they were recorded"
        rows = [(self.naming(n), n, self._value(n), f"graph.node({written(n.name)}).value") for n in values]
        for n in sorted(cotangents, key=lambda n: -self.order[n.name]):
            at = max(k for k, c in enumerate(n.cotangents) if c.sweep == self.sweep)
            path = f"graph.node({written(n.name)}).cotangents[{at}].value"
            rows.append((f"d_{self.naming(n)}", n, n.cotangents[at].value, path))
        self.numbers = sum(
            np.size(part)
            for _, _, value, _ in rows
            for part in (value if isinstance(value, (tuple, list)) else (value,))
        )
        for name, node, value, path in rows:
            if value is None:
                raise GraphError("python: the trace was told to keep no values; trace with values=True (the default)")
            if isinstance(node.dtype, tuple):
                yield f"{name} = ({', '.join(self._part(node, k, v, path) for k, v in enumerate(value))},)"
            else:
                yield f"{name} = {self._part(node, None, value, path)}"

    def _value(self, node: Node) -> Any:
        if not isinstance(node.dtype, tuple):
            return node.value
        found = {int(p.params["index"]): p.value for p in self.picks.get(node.name, ())}
        return tuple(found.get(k) for k in range(len(node.dtype)))

    def _part(self, node: Node, k: int | None, value: Any, path: str) -> str:
        if value is None:
            return f"mg.zeros({node.shape[k or 0]}, dtype={written(node.dtype[k or 0])})"
        if self.numbers <= SMALL:
            return array(on_host(value))
        if k is not None and path.endswith(").value"):
            path = f"graph.node({written(self.picks[node.name][k].name)}).value"
            return f"mg.tensor({path})"
        return f"mg.tensor({path}{'' if k is None else f'[{k}]'})"

    def _header(self, lines: list[str]) -> Iterator[str]:
        body = "\n".join(lines)
        if self.numbers > SMALL:
            yield "from pathlib import Path"
            yield ""
        yield "import minigrad as mg"
        for name in sorted({*re.findall(r'\bop\["(.+?)"\]', body)}):
            if name in PRIMITIVES and (home := _home(name)) is not None:
                yield f"import {home}  # declares {name}"
        yield ""
        if "op[" in body:
            yield "op = mg.check.primitives()  # those that have no function of their own"
            yield ""
        if self.numbers > SMALL:
            yield '# graph.save("graph.json") wrote it'
            yield 'graph = mg.Graph.from_json(Path("graph.json").read_text(encoding="utf-8"))'


def _home(primitive: str) -> str | None:
    """The module to import for a primitive, where `import minigrad` does not bring it."""
    module = PRIMITIVES[primitive].forward.__module__
    if module.partition(".")[0] == "minigrad":
        return "minigrad.linalg" if module in ("minigrad.ops.decompose", "minigrad.ops.roots") else None
    return None if module == "__main__" else module


def _commented(line: str, why: str) -> list[str]:
    indent, why = " " * (len(line) - len(line.lstrip())), visible(why)  # a comment ends where its line does
    return [f"{line}  # {why}"] if len(line) + len(why) <= WIDTH else [f"{indent}# {why}", line]


def script(steps: tuple[GradientStep, ...], naming: Naming, inside: frozenset[str], sweep: int) -> str:
    """The program of a derivation; see `Derivation.python`."""
    return Script(steps, naming, inside, sweep).write()
