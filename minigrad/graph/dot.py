"""A picture as DOT: boxes, clusters, lines, colours and the legend, built with `graphviz.Digraph`.

Only how it looks is decided here. Every name that reaches DOT is quoted by the library or escaped by `labels`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from minigrad.graph import labels
from minigrad.graph.fold import Box, Line, Picture, fold, open_scopes
from minigrad.graph.formulas import composed, describe, held, primitive_of
from minigrad.graph.labels import MONO, SANS, block, font, table
from minigrad.graph.nodes import Cotangent, Node, Scope, ancestors
from minigrad.graph.notebook import digraph
from minigrad.graph.view import View

if TYPE_CHECKING:
    import graphviz

LEGEND = {
    "input": "input", "parameter": "parameter", "buffer": "buffer", "constant": "constant", "op": "operation",
    "layer": "layer", "composite": "composite", "random": "random draw", "update": "state update",
    "backward": "cotangent", "missing": "not computed",
}  # fmt: skip


def draw(nodes: dict[str, Node], scopes: dict[str, Scope], view: View) -> graphviz.Digraph:
    """The graph as a `graphviz.Digraph`."""
    return _Drawing(nodes, scopes, view).dot()


def _grad(box: str) -> str:
    """The DOT name of a box's cotangent; no box ends in " grad"."""
    return f"{box} grad"


class _Drawing:
    def __init__(self, nodes: dict[str, Node], scopes: dict[str, Scope], view: View) -> None:
        self.nodes, self.view, self.colours = nodes, view, view.colours
        self.picture: Picture = fold(nodes, scopes, view.depth, frozenset(view.show))
        self.scopes = self.picture.scopes
        self.far: dict[str, list[Line]] = {}
        for line in self.picture.lines:
            if line.far:
                self.far.setdefault(line.target, []).append(line)
        self.sweeps = len({c.sweep for n in nodes.values() for c in n.cotangents})
        self.used: dict[str, None] = {}  # kinds in the picture, for the legend
        self.forward, self.back = view.passes != "backward", view.passes != "forward"

    def dot(self) -> graphviz.Digraph:
        import graphviz  # only a drawing needs it

        c = self.colours
        dot: graphviz.Digraph = digraph()(
            "minigrad",
            graph_attr={
                "rankdir": self.view.direction, "bgcolor": c.page, "fontname": SANS, "fontcolor": c.faint,
                "nodesep": "0.25", "ranksep": "0.35", "pad": "0.2", "labelloc": "b", "tooltip": " ",
            },
            node_attr={
                "shape": "box", "style": "rounded,filled", "fontname": SANS, "fontsize": "12", "fontcolor": c.text,
                "margin": "0.09,0.045", "height": "0.25", "width": "0.3", "penwidth": "1.1",
            },
            edge_attr={
                "color": c.edge, "fontname": MONO, "fontsize": "9.5", "fontcolor": c.text, "arrowsize": "0.65",
                "penwidth": "1.1",
            },
        )  # fmt: skip
        within: dict[str, list[Box]] = {}
        for box in self.picture.boxes.values():
            within.setdefault(box.cluster, []).append(box)
        opened = open_scopes(self.picture, self.scopes)
        inside: dict[str, list[Any]] = {}
        for path in reversed(opened):  # inner ones first, since graphviz copies a subgraph when it is added
            cluster = graphviz.Digraph(f"cluster_{path}", graph_attr=self._cluster(path))
            self._fill(cluster, within.get(path, []), inside.get(path, []))
            inside.setdefault(self.scopes[path].parent, []).insert(0, cluster)
        self._fill(dot, within.get("", []), inside.get("", []))
        for line in self.picture.lines:
            if self.forward:
                self._forward_line(dot, line)
            if self.back and line.reached:
                self._backward_line(dot, line)
        dot.graph_attr["label"] = self._legend()
        return dot

    def _fill(self, dot: Any, boxes: list[Box], clusters: list[Any]) -> None:
        for box in boxes:
            for line in self.far.get(box.id, ()):
                self._again(dot, line)
            if self.forward:
                self._box(dot, box)
            if self.back and (box.reached or box.tracked_leaf):
                self._gradient(dot, box)
                if self.forward:
                    self._pair(dot, box)
        for cluster in clusters:
            dot.subgraph(cluster)

    def _pair(self, dot: Any, box: Box) -> None:
        """A value and its cotangent stand side by side."""
        import graphviz

        pair = graphviz.Digraph(graph_attr={"rank": "same"})
        pair.edge(
            box.id, _grad(box.id), style="dotted", dir="none", color=self.colours.faint, penwidth="0.8", weight="50"
        )
        dot.subgraph(pair)

    def _cluster(self, path: str) -> dict[str, str]:
        scope, c = self.scopes[path], self.colours
        fill, border = c.clusters[(len(ancestors(path, self.scopes)) - 1) % len(c.clusters)]
        name, detail = _titles(scope)
        text = font(name, 11, c.text, bold=True) + (font(f"  {detail}", 10, c.faint) if detail else "")
        return {
            "label": table([text]), "labeljust": "l", "labelloc": "t", "style": "rounded,filled", "fillcolor": fill,
            "color": border, "margin": "10", "tooltip": labels.literal(scope.title),
        }  # fmt: skip

    # ---- boxes

    def _again(self, dot: Any, line: Line) -> None:
        """Small copies of a box that is used all over a large picture, and of its cotangent, beside one of its uses."""
        c, box = self.colours, self.picture.boxes[line.source]
        name, tip = self._scope_name(box) if box.scope else self._name(box.members[0]), self._tooltip(box)
        for there, text, colour, shown in (
            (line.start, name, c.faint, self.forward),
            (_grad(line.start), f"∂ {name}", c.gradient, self.back and line.reached),
        ):
            if shown:
                dot.node(
                    there, table([font(text, 9.5, colour)]), style="rounded,dotted", color=colour,
                    tooltip=f"again: {tip}", margin="0.05,0.02",
                )  # fmt: skip

    def _box(self, dot: Any, box: Box) -> None:
        kind = box.scope.kind if box.scope else box.node.kind if box.node else ""
        kind = "composite" if kind == "backward" else kind
        kind = {"state": "update", "random": "random"}.get(box.aside or "", kind)
        rows = list(self._scope_rows(box) if box.scope else self._node_rows(box.members[0]))
        self.used.setdefault(kind)
        fill, border = self.colours.fills[kind]
        extra = {}
        if kind == "constant" and len(rows) == 1:
            extra = {"color": fill, "margin": "0.05,0.02"}
        elif kind == "update":
            extra = {"style": "rounded,filled,dashed"}
        elif box.scope is not None:
            extra = {"penwidth": "1.6"}
        dot.node(box.id, table(rows), fillcolor=fill, tooltip=self._tooltip(box), **{"color": border, **extra})

    def _node_rows(self, node: Node) -> Iterator[str]:
        c, show = self.colours, self.view.show
        scalar = node.kind == "constant" and node.dtype is None
        if scalar:
            yield font(labels.number(node.value) if node.value is not None else "number", 10, c.text, MONO)
            return
        label = self._name(node) if node.label else ""
        what = f"output {node.params['index']}" if node.op == "pick" else ""
        what = what or {"op": node.op, "random": node.op, "update": "update"}.get(node.kind) or ""
        yield font(label or what or node.kind, 12, c.text, bold=True)
        if "formula" in show and node.kind in ("op", "random"):
            describe(node, self.nodes)
            if node.formula:
                yield font(labels.short(node.formula, labels.LINE), 10, c.text, MONO)
        elif label and what:
            yield font(what, 9.5, c.faint)
        yield from self._facts([node], [node])
        if "value" in show and node.value is not None:
            yield block(labels.array_lines(node.value), 9, c.text)
        if "grad" in show and not self.back and node.tracked:
            yield from self._grad_rows(node, "∂ ")

    def _scope_rows(self, box: Box) -> Iterator[str]:
        scope, c = box.scope, self.colours
        assert scope is not None
        outputs = self.picture.outputs[box.id]
        title, detail = self._scope_name(box), _titles(scope)[scope.kind == "layer"]
        yield font(title, 12, c.text, bold=True)
        if detail and detail != title:
            yield font(detail, 10, c.faint)
        yield from self._facts(outputs, box.members)
        count = sum(_size(n) for n in box.members if n.kind == "parameter")
        if count:
            yield font(f"{count:,} parameters" if count > 1 else "1 parameter", 9.5, c.faint)
        updates = len([n for n in box.members if n.kind == "update"])
        if updates:
            yield font(f"{updates} state updates" if updates > 1 else "1 state update", 9.5, c.fills["update"][1])
        if "value" in self.view.show:
            for node in outputs:
                if node.value is not None:
                    lead = f"{self._name(node)} " if len(outputs) > 1 else ""
                    yield block(_led(lead, labels.array_lines(node.value)), 9, c.text)
        if "grad" in self.view.show and not self.back:
            for node in self._met(box):
                yield from self._grad_rows(node, f"∂ {self._name(node)} ")

    def _scope_name(self, box: Box) -> str:
        """A layer goes by its name, a composite by the label that its result was given, if it was."""
        assert box.scope is not None
        outputs = self.picture.outputs[box.id]
        named = outputs[0].called if len(outputs) == 1 and box.scope.kind != "layer" else None
        return labels.short(labels.visible(named)) if named else _titles(box.scope)[0]

    def _facts(self, nodes: list[Node], members: list[Node]) -> Iterator[str]:
        """Shape and dtype of results, bytes that all of a box keeps and source line, as far as they are shown."""
        show, c = self.view.show, self.colours
        seen: dict[str, None] = {}
        for node in nodes:
            facts = [
                labels.dims(node.shape) if "shape" in show else "",
                labels.kind_of(node.dtype) if "dtype" in show else "",
            ]
            seen.setdefault(" ".join(filter(None, facts)))
        for text in [t for t in seen if t][:3]:
            yield font(labels.short(text, labels.LINE), 9.5, c.faint, MONO)
        if "bytes" in show and any(n.kept for n in members):
            kept = {name: size for n in members for name, size in held(n, self.nodes).items()}
            yield font(f"keeps {sum(kept.values()):,} bytes", 9, c.faint)
        if "source" in show and nodes and nodes[-1].source:
            file, _, line = nodes[-1].source.rpartition(":")
            yield font(
                labels.short(labels.visible(file.replace("\\", "/").rpartition("/")[2])) + f":{line}", 9, c.faint
            )

    def _gradient(self, dot: Any, box: Box) -> None:
        """The box of a cotangent; "not computed" has a look of its own."""
        c = self.colours
        kind = "backward" if box.reached else "missing"
        self.used.setdefault(kind)
        fill, border = c.fills[kind]
        name = self._scope_name(box) if box.scope else self._name(box.members[0])
        rows = [font(f"∂ {name}", 11, c.gradient if box.reached else c.faint, bold=True)]
        if not box.reached:
            rows.append(font("not computed", 9.5, c.faint))
        elif box.scope is not None:
            for node in self._met(box):
                alone = self.picture.outputs[box.id] == [node]
                rows += self._grad_rows(node, "" if alone else f"∂ {self._name(node)} ")
        else:
            rows += self._grad_rows(box.members[0], "")
        style = "rounded,filled" if box.reached else "rounded,filled,dashed"
        dot.node(
            _grad(box.id), table(rows), fillcolor=fill, color=border, style=style, tooltip="∂ " + self._tooltip(box)
        )

    def _met(self, box: Box) -> list[Node]:
        """Of a closed scope: its results, then its parameters, as far as gradients concern them."""
        ends = [n for n in self.picture.outputs[box.id] if n.cotangents]
        later = [n for n in box.members if n.kind == "update" and n.cotangents]  # a parameter after a step
        return [*ends, *(n for n in box.members if n.kind == "parameter" and n.tracked), *later]

    def _grad_rows(self, node: Node, lead: str) -> Iterator[str]:
        """The cotangents of a node: one for each backward pass that arrived, or "not computed"."""
        c = self.colours
        if not node.cotangents:
            yield font(f"{lead}not computed", 9, c.faint)
            return
        for cotangent in node.cotangents:
            which = f"({cotangent.sweep}) " if self.sweeps > 1 else ""
            yield block(self._grad_lines(cotangent, f"{lead}{which}"), 9, c.gradient)

    def _grad_lines(self, cotangent: Cotangent, lead: str) -> list[str]:
        if cotangent.value is None:
            return [f"{lead}{labels.dims(cotangent.shape)}"]
        return _led(lead, labels.array_lines(cotangent.value))

    def _name(self, node: Node) -> str:
        name = node.called
        if name and node.kind in ("parameter", "buffer", "update") and node.scope:  # its layer says the rest
            name = name.rpartition(".")[2]
        return labels.short(labels.visible(name or node.op or node.kind))

    def _tooltip(self, box: Box) -> str:
        if box.scope is not None:
            return labels.literal(f"{box.scope.path}: {box.scope.detail or box.scope.title}")
        node = box.members[0]
        return labels.literal(node.label or node.name)

    # ---- lines

    def _forward_line(self, dot: Any, line: Line) -> None:
        c = self.colours
        attributes = {"color": c.edge if line.flows else c.clusters[-1][1]}
        if line.state:
            attributes |= {"style": "dotted", "color": c.fills["update"][1]}
        text = self._argument(line) if "formula" in self.view.show and line.node is not None else ""
        if text:
            attributes |= {"label": _text(text), "fontcolor": c.faint}
        dot.edge(line.start, line.target, **attributes)

    def _argument(self, line: Line) -> str:
        """Which argument this is, where the formula calls it by the op's own name, and the local derivative."""
        node = line.node
        assert node is not None
        describe(node, self.nodes)
        name = (node.names or ())[line.index] if line.index < len(node.names or ()) else None
        if (node.names or ()).count(name) > 1:  # of mean·mean each argument has its own derivative
            op = primitive_of(node)
            name = name if op is None or line.index >= len(op.inputs) else op.inputs[line.index]
        local = node.locals[line.index] if node.locals else None
        if local is not None and not self.back:
            return f"∂/∂{name} = {local}"
        others = [n for n in node.names or () if n is not None]
        own = self.nodes[node.inputs[line.index] or ""].label is None
        return name if name and own and len(others) > 1 else ""

    def _backward_line(self, dot: Any, line: Line) -> None:
        """Drawn against its direction, so that the backward pass lies beside the forward one."""
        c = self.colours
        attributes = {"dir": "back", "style": "dashed", "color": c.gradient, "fontcolor": c.gradient}
        if line.node is not None:
            describe(line.node, self.nodes)
            rule = line.node.rules[line.index] if line.node.rules else None
            if rule:
                attributes["label"] = _text(rule)
        else:
            attributes["label"] = _text(self._composed(line))
        dot.edge(_grad(line.start), _grad(line.target), **attributes)

    def _composed(self, line: Line) -> str:
        """The rules of a closed box as one, where it has one result and they fit on a line."""
        target, source = self.picture.boxes[line.target], self.picture.boxes[line.source]
        used = {i for n in target.members for i in n.inputs}
        given = [n for n in source.members if n.name in used]
        results = [n for n in self.picture.outputs.get(target.id, ()) if n.cotangents]
        if len(given) == len(results) == 1:
            return composed(target.members, results[0], given[0], self.nodes)
        return f"{sum(sum(n.flows) for n in target.members)} rules"

    def _legend(self) -> str:
        c = self.colours
        cells = []
        for kind in (k for k in LEGEND if k in self.used):
            fill, border = c.fills[kind]
            square = f'<TD BGCOLOR="{fill}" COLOR="{border}" BORDER="1" WIDTH="9" HEIGHT="9" FIXEDSIZE="TRUE"></TD>'
            cells.append(f'{square}<TD ALIGN="LEFT">{font(LEGEND[kind] + "  ", 9, c.faint)}</TD>')
        if not cells:
            return "empty graph: nothing ran inside the trace"
        table = '<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="3" CELLPADDING="0">'
        says = "".join(f'<TR><TD ALIGN="LEFT">{font(text, 9, c.faint)}</TD></TR>' for text in self._signs())
        kinds = f'<TR><TD ALIGN="LEFT">{table}<TR>{"".join(cells)}</TR></TABLE></TD></TR>'
        return f"<{table}{kinds}{says}</TABLE>>"

    def _signs(self) -> Iterator[str]:
        """What the lines and letters of this picture mean."""
        lines = [line for line in self.picture.lines if not line.state]
        if self.forward and lines:
            grey = any(not line.flows for line in lines)
            yield "solid: a value goes into an operation" + ("; grey: no gradient comes back along it" if grey else "")
        if self.back and any(line.reached for line in lines):
            yield "∂ v: the gradient of the result with respect to v; g: the ∂ at the foot of the dashed line"
            yield "dashed: what a rule sends back, and what the engine sums over repeated axes" + (
                "; dotted: a value and its gradient" if self.forward else ""
            )
        if self.forward and any(line.state for line in self.picture.lines):
            yield "dotted, orange: a state and its update"


def _titles(scope: Scope) -> tuple[str, str]:
    """What a scope is called, and what it is unless that says so already: `fc1`, `Linear(64, 10)`."""
    title, detail = labels.short(labels.visible(scope.title)), labels.short(labels.visible(scope.detail), labels.LINE)
    if title.isdecimal() and detail:  # its place in a container
        return f"{title}: {detail}", ""
    return (detail, "") if detail.startswith(title) else (title, detail)


def _led(lead: str, lines: list[str]) -> list[str]:
    """Lines after a word, the later ones set in as far."""
    return [lead + lines[0], *(" " * len(lead) + line for line in lines[1:])]


def _size(node: Node) -> int:
    shape: Any = node.shape
    return math.prod(shape)


def _text(text: str) -> str:
    """An edge's label, with a little room beside the line."""
    return labels.literal(f" {labels.short(text, labels.LINE)} ")
