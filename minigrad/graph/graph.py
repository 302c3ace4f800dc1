"""Graph: a recorded computation, to look things up in, to draw, to write down and to read back."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from minigrad.answers import answer_attributes
from minigrad.core import BOXES, integer
from minigrad.core.modes import Form
from minigrad.elsewhere import GRAPH
from minigrad.errors import ArgumentError, GraphError, UnknownNameError
from minigrad.graph import data
from minigrad.graph.derivation import Derivation, derive_node, derive_scope
from minigrad.graph.dot import draw
from minigrad.graph.formulas import arguments, definition, describe, expression, primitive_of, result
from minigrad.graph.known import Known
from minigrad.graph.nodes import Edge, Node, Scope
from minigrad.graph.notebook import Displayed
from minigrad.graph.rendering import render
from minigrad.graph.routes import Routes, routes
from minigrad.graph.view import view_of
from minigrad.notation import Expr
from minigrad.saving import atomic

if TYPE_CHECKING:
    import graphviz

PICTURES = ("svg", "png", "pdf")


class Graph:
    """A recorded computation: what ran, on what, inside which layers, and what the backward pass found.

    `trace` makes and fills it. Nodes have stable names, so the same program gives the same DOT text byte for byte.

    Example:
        >>> import minigrad as mg
        >>> x = mg.tensor([1.0, 2.0], requires_grad=True, name="x")
        >>> with mg.trace() as graph:
        ...     y = mg.tanh(x) * 2
        >>> [node.name for node in graph.nodes]
        ['input_1', 'tanh_1', 'constant_1', 'multiply_1']
        >>> graph.formula("tanh_1"), graph.rule("tanh_1")
        ('tanh(x)', 'g·(1 - y²)')
    """

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}
        self._scopes: dict[str, Scope] = {}
        self._known = Known()  # which tensor is which node
        self.form: Form | None = None  # in which the trace ran; None for a graph that was read from a file

    # ---- looking things up

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All nodes, in the order in which they were met."""
        return tuple(self._nodes.values())

    @property
    def scopes(self) -> Mapping[str, Scope]:
        """The calls of layers and composites, by path."""
        return MappingProxyType(self._scopes)

    @property
    def edges(self) -> tuple[Edge, ...]:
        """All edges, from a value to the node that used it."""
        return tuple(
            Edge(source, node.name, k, node.flows[k])
            for node in self._nodes.values()
            for k, source in enumerate(node.inputs)
            if source is not None
        )

    def node(self, name: str) -> Node:
        """The node of this name, or else the only one (or the latest) with this label.

        Raises:
            UnknownNameError: there is none; the message gives the nearest names.
        """
        if name in self._nodes:
            return self._nodes[name]
        labelled = [n for n in self._nodes.values() if name in (n.label, n.called)]
        if labelled:
            computed = [n for n in labelled if n.kind != "update"]
            return (computed or labelled)[-1]
        known = [*self._nodes, *(n.label for n in self._nodes.values() if n.label)]
        near = difflib.get_close_matches(name, known, 3)
        hint = (
            f"; near it are {', '.join(map(repr, near))}" if near else f"; it has {len(self._nodes)} nodes: graph.nodes"
        )
        raise UnknownNameError(f"name: no node is called or labelled {name!r}{hint}")

    def formula(self, name: str) -> str | None:
        """What a node computes, as text; None for a leaf."""
        node = self.node(name)
        describe(node, self._nodes)
        return node.formula

    def rule(self, name: str, index: int = 0) -> str | None:
        """The rule that carries the cotangent `g` of a node back to its input number `index`, as text."""
        node = self.node(name)
        describe(node, self._nodes)
        assert node.rules is not None
        return node.rules[_input(node, index)]

    def expression(self, name: str, index: int = 0) -> Expr | None:
        """That rule as a formula: to write in LaTeX or MathML, or to evaluate with values for `g`, `y` and inputs."""
        node = self.node(name)
        describe(node, self._nodes)
        op = primitive_of(node)
        index = _input(node, index)
        if op is None or not node.flows[index]:
            return None
        out = expression(op, node, arguments(op, node, self._nodes), index)
        return out if isinstance(out, Expr) else None

    def definition(self, name: str) -> Expr | None:
        """What a node computes as a formula: to write, or to evaluate with values for the names in it; None for a leaf.

        Example:
            >>> import minigrad as mg
            >>> with mg.trace() as graph:
            ...     y = mg.tanh(mg.tensor([0.0, 1.0], name="x")).named("y")
            >>> formula = graph.definition("y")
            >>> bool((formula.evaluate(graph.operands("y")) == y.data).all()), formula.evaluate({"x": 0.0})
            (True, tensor(0.))
        """
        node = self.node(name)
        op = primitive_of(node)
        return None if op is None else definition(op, arguments(op, node, self._nodes), node)

    def operands(self, name: str) -> dict[str, Any]:
        """The recorded values as a node's formula and rules call them, its own and its `g` among them."""
        node = self.node(name)
        op = primitive_of(node)
        if op is None:
            return {}
        args = arguments(op, node, self._nodes)
        given = zip(node.inputs, args, strict=True)
        found = {a.text(): self._nodes[str(i)].value for i, a in given if isinstance(a, Expr)}
        return {**found, result(node, args).text(): node.value, "g": node.grad}

    def routes(self, y: Any, x: Any, *, through: Iterable[str] | None = None, cotangent: Any = None) -> Routes:
        """The gradient of `y` at `x`, split by the labelled values that it came through.

        A route is the set of labels (`Tensor.named`; layers and composites label theirs) of the intermediates that a
        path from `y` to `x` passed; all paths with the same set make one route. A label that stands in several scopes
        is told apart by its scope: "bn1/mean"; one that begins with an underscore is for reading, and makes no route
        unless `through` names it. Works after the backward pass too, and after the trace.

        Args:
            y: a tensor computed inside the trace, or the name or label of a node.
            x: the same; a leaf or an intermediate. It need not require grad.
            through: the labels to tell apart, at most 6; any node's name will do, and any tensor of the trace. The
                default is all on the way but those that every path passes; where these are more than 6, those of the
                layer next to `x` (its mean and variance, if it is a norm).
            cotangent: of the shape of `y`; may be left out when `y` has one element (then 1).

        Returns:
            Routes: a mapping from frozensets of labels to tensors of the shape and dtype of `x`, and their `.total`.
            It is the derivative of what ran: hooks of tensors are not called.

        Raises:
            ArgumentError: more than 6 labels; the message lists them.
            GraphError: a tensor from outside the trace, a `y` that does not depend on `x`, or no values were recorded.
            UnknownNameError: a name or label that the graph does not have.

        Example:
            >>> import minigrad as mg
            >>> x = mg.tensor([1.0, 2.0, 6.0], requires_grad=True)
            >>> with mg.trace() as graph:
            ...     mean = mg.mean(x).named("mean")
            ...     var = mg.mean((x - mean) ** 2).named("var")
            >>> graph.routes(var, x)["mean"]
            tensor([0., 0., 0.])
        """
        (out, *_), at = self._named(y, "y"), self._named(x, "x")
        if through is not None and not isinstance(through, str):
            given: Any = (through,) if type(through) in BOXES else through
            through = [name if isinstance(name, str) else self._named(name, "through")[0] for name in given]
        return routes(self._nodes, self._scopes, out, at, through, cotangent)

    def derivation(self, path: Any) -> Derivation:
        """How the gradient at a node, or those inside a layer, came about in the latest backward pass there.

        Args:
            path: a tensor of the trace, the name or label of a node, or the path of a scope: a call of a layer or
                composite.

        Returns:
            Derivation: `.text`, `.latex`, `.mathml`, and `.python`, a program that computes the same numbers.

        Raises:
            GraphError: no backward pass arrived there.
            UnknownNameError: neither a node nor a scope goes by that name.

        Example:
            >>> import minigrad as mg
            >>> x = mg.tensor([1.0, 2.0], requires_grad=True, name="x")
            >>> with mg.trace() as graph:
            ...     y = (mg.tanh(x).named("t") * x).sum().named("y")
            ...     y.backward()
            >>> print(graph.derivation("x").text)
            The gradient at x, in backward pass 1; ∂v is the cotangent of v
            <BLANKLINE>
            x    (2 float64)
                ∂x = ∂multiply_1·t + ∂t·(1 - t·t)
                    ∂multiply_1·t    through multiply_1 = t·x
                    ∂t·(1 - t·t)     through t = tanh(x)
            <BLANKLINE>
        """
        if not isinstance(path, str):
            return derive_node(self._nodes, self._nodes[self._named(path, "path")[0]])
        try:
            return derive_node(self._nodes, self.node(path))
        except UnknownNameError as error:
            if path in self._scopes:
                return derive_scope(self._nodes, self._scopes, path)
            known = difflib.get_close_matches(path, self._scopes, 3) or list(self._scopes)[:3]
            scopes = f"; of layers and composites there are {', '.join(map(repr, known))}" if known else ""
            raise UnknownNameError(f"path: {str(error).removeprefix('name: ')}{scopes}") from None

    def _named(self, value: Any, argument: str) -> list[str]:
        """The node that `value` stands for; for a tensor that was updated, also those of its earlier values."""
        if isinstance(value, str):
            return [self.node(value).name]
        name = self._known.find(value)
        if name is None:
            raise GraphError(
                f"{argument}: {_brief(value)} is no tensor of this recording; give one that was used or computed "
                "inside the trace, or the name of a node"
            )
        names = [name]
        while self._nodes[names[-1]].kind == "update":
            names.append(str(self._nodes[names[-1]].inputs[0]))
        return names

    def __len__(self) -> int:
        return len(self._nodes)

    def __repr__(self) -> str:
        sweeps = {c.sweep for n in self._nodes.values() for c in n.cotangents}
        return f"<Graph: {len(self._nodes)} nodes, {len(self._scopes)} scopes, {len(sweeps)} backward passes>"

    # ---- as data

    def to_json(self) -> str:
        """The whole graph as JSON text, values included; `from_json` reads it back."""
        for node in self._nodes.values():
            describe(node, self._nodes)
        return data.dump(self._nodes, self._scopes)

    @classmethod
    def from_json(cls, text: str) -> Graph:
        """The graph that `to_json` wrote. Reads data only: nothing is imported or run.

        Raises:
            ArgumentError: the text is something else, or a part is missing.
        """
        graph = cls()
        graph._nodes, graph._scopes = data.parse(text)
        return graph

    # ---- drawing

    def dot(self, **view: Any) -> graphviz.Digraph:
        """The drawing as a `graphviz.Digraph`; its `.source` is DOT text, for which no Graphviz need be installed.

        Args:
            depth: 0 draws one box for each outermost scope, 1 (the default) one for each layer, more opens them.
            passes: "forward", "backward" or "both".
            show: what to write in the boxes, any of "shape", "dtype", "value", "grad", "formula", "source", "bytes";
                "state" and "random" open the updates of state and the random draws, which are one box each otherwise.
            direction: "TB" (downwards) or "LR".
            theme: "light" or "dark".

        Raises:
            ArgumentError: another argument or value; the message lists the valid ones.
        """
        return draw(self._nodes, self._scopes, view_of(view))

    def save(self, path: Any, **view: Any) -> None:
        """Write the graph to a file whose suffix says how: .svg, .png, .pdf, .dot or .json; whole or not at all.

        The arguments after `path` are those of `dot`.

        Raises:
            ArgumentError: another suffix, or an argument that `dot` does not take.
            RenderError: a picture is asked for and Graphviz is missing, failed or took too long.
        """
        target = Path(path)
        suffix = target.suffix.lower().removeprefix(".")
        checked = view_of(view)
        if suffix == "json":
            atomic.write(target, [self.to_json().encode()])
            return
        if suffix not in (*PICTURES, "dot"):
            raise ArgumentError(
                f"path: {target.name!r} must end in one of {', '.join('.' + s for s in (*PICTURES, 'dot', 'json'))}; "
                "the suffix says what is written"
            )
        source = draw(self._nodes, self._scopes, checked).source
        atomic.write(target, [source.encode() if suffix == "dot" else render(source, suffix)])

    def view(self, **view: Any) -> Displayed:
        """The drawing for a notebook's cell: as wide as it has room for, light or dark as the page is.

        The arguments are those of `dot`; with a `theme` it has that one always. What computes nothing but a picture is
        not recorded again, so `form`, where it is given, must be the one of the trace.

        Raises:
            ArgumentError: another argument or value.
        """
        form = view.pop("form", self.form)
        if form != self.form:
            raise ArgumentError(
                f"form: {form!r}, but this graph recorded the form {self.form!r}; trace again, mg.trace(form={form!r})"
            )
        themes = (view.pop("theme"),) if "theme" in view else ("light", "dark")
        views = [view_of({**view, "theme": theme}) for theme in themes]
        return Displayed([draw(self._nodes, self._scopes, v).source for v in views], repr(self))

    def _repr_svg_(self) -> str | None:
        return self.view()._repr_mimebundle_().get("image/svg+xml")

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return self.view()._repr_mimebundle_(include, exclude)


def _brief(value: Any) -> str:
    return f"a tensor of shape {value.shape}" if hasattr(value, "shape") else repr(value)


def _input(node: Node, index: int) -> int:
    if not -len(node.inputs) <= integer(index, "index", "") < len(node.inputs):
        raise ArgumentError(f"index={index}: {node.name!r} has {len(node.inputs)} inputs, numbered from 0")
    return index


answer_attributes(Graph, "a Graph", GRAPH)
