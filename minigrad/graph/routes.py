"""Routes: a gradient split by the labelled values that it came through on its way from the result to the input.

The recorded computation is put back into the engine's own nodes, so the rules that run are those of every backward
pass (`core.sweep.sweep_apart`), and it does not matter whether that pass has freed its graph. No rule is written here.
"""

from __future__ import annotations

import difflib
import functools
import operator
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from minigrad.backend import backend_of
from minigrad.core import Leaf, TapeNode, Tensor
from minigrad.core.gradients import seed
from minigrad.core.pick import PICK
from minigrad.core.sweep import sweep_apart
from minigrad.core.tensor import box
from minigrad.errors import ArgumentError, GraphError, UnknownNameError
from minigrad.graph.formulas import primitive_of
from minigrad.graph.labels import array_lines, escape, number, on_host
from minigrad.graph.nodes import Node, Scope, ancestors

Nodes = Mapping[str, Node]
MOST = 6  # labels; each doubles the number of routes
NOISE = 64  # units of rounding of the largest route, below which a route is reported as none


class Routes(Mapping[frozenset[str], Tensor]):
    """A gradient as the sum of its routes: the parts that came through each set of labelled values.

    `routes[()]` is the direct route, `routes["mean"]` the one through "mean" and no other label, and
    `routes["mean", "var"]` the one through both. A set that no path passed is not there. `total` is the gradient, bit
    for bit what a backward pass finds. The routes add up to it, to within 4 units of rounding of their magnitudes,
    4 eps max(|route 1| + |route 2| + …): what rounding left between the two is in the largest route of each element.

    Example:
        >>> import minigrad as mg
        >>> x = mg.tensor([1.0, 3.0], requires_grad=True)
        >>> with mg.trace() as graph:
        ...     mean = mg.mean(x).named("mean")
        ...     y = ((x - mean) ** 2).sum() + mean
        >>> routes = graph.routes(y, x)
        >>> routes[()], routes["mean"], routes.total
        (tensor([-2.,  2.]), tensor([0.5, 0.5]), tensor([-1.5,  2.5]))
    """

    def __init__(
        self, parts: Mapping[frozenset[str], Tensor], total: Tensor, of: str, at: str, left_out: tuple[str, ...] = ()
    ) -> None:
        self._parts, self._total, self._of, self._at, self._left_out = parts, total, of, at, left_out

    def __getitem__(self, labels: Iterable[str]) -> Tensor:
        key = frozenset((labels,) if isinstance(labels, str) else labels)
        if key not in self._parts:
            raise KeyError(f"{_set(key)}: no path passed exactly these; there are {', '.join(map(_set, self._parts))}")
        return self._parts[key]

    def __iter__(self) -> Iterator[frozenset[str]]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)

    __eq__, __hash__ = object.__eq__, object.__hash__  # tensors are compared by element, and not by a table of them

    @property
    def total(self) -> Tensor:
        """The gradient: the sum of all routes."""
        return self._total

    def _table(self) -> Iterator[tuple[str, Tensor, str, str]]:
        """For each route and the total: the set, the part, its largest |element|, and what is to be said of it."""
        largest = {key: _largest(part) for key, part in self._parts.items()}
        noise = NOISE * float(np.finfo(self.total.dtype).eps) * max(largest.values())
        for key, size in largest.items():
            what = "" if key else "direct"
            if size <= noise:
                what = f"{what}, " * bool(what) + ("nothing but rounding" if size else "nothing")
            yield _set(key), self._parts[key], number(size), what
        yield "total", self.total, number(_largest(self.total)), "the gradient"

    def __repr__(self) -> str:
        rows = list(self._table())
        wide, far = max(len(row[0]) for row in rows), max(len(row[2]) for row in rows)
        head = f"<Routes from {self._of} to {self._at}, with the largest |element| of each:"
        lines = [head, *(f"    {s:{wide}}  {size:>{far}}  {what}".rstrip() for s, _, size, what in rows)]
        if self._left_out:
            lines.append(
                f"    not told apart, for there are so many: {', '.join(self._left_out)}; through=[...] chooses"
            )
        return "\n".join(lines) + ">"

    def _repr_html_(self) -> str:
        head = f"<caption>Routes from <b>{escape(self._of)}</b> to <b>{escape(self._at)}</b></caption>"
        body = [_row("th", ("route", "values", "largest", ""))]
        for name, part, size, what in self._table():
            values = f"<pre>{escape(chr(10).join(array_lines(part._data)))}</pre>"
            body.append(_row("td", (escape(name), values, size, what)))
        return f"<table>{head}{''.join(body)}</table>"


def routes(
    nodes: Nodes, scopes: dict[str, Scope], y: str, xs: list[str], through: Iterable[str] | None, cotangent: Any
) -> Routes:
    """The routes from the node `y` to `xs`, which are one tensor after and before its updates."""
    of, at = (nodes[name].label or name for name in (y, xs[0]))
    if nodes[y].value is None:
        raise GraphError(
            f"y: {of!r} was recorded without values; trace with values=True (the default) to split gradients"
        )
    places = _places(nodes, y, xs)
    if y not in places:
        raise GraphError(
            f"x: {of!r} does not depend on {at!r}, or only where gradients were stopped (detach, no_grad, integers)"
        )
    if not nodes[xs[0]].tracked and any(
        scopes[s].kind == "backward" for name in _between(places, y) for s in ancestors(nodes[name].scope, scopes)
    ):
        raise GraphError(
            f"x: {at!r} does not require grad, and a recorded backward pass leaves out what does not; "
            "make it with requires_grad=True before the trace"
        )
    marks, left_out = _marks(nodes, scopes, places, y, xs, through)
    start = seed(box(nodes[y].value, None), cotangent, "cotangent")
    targets = frozenset(places[x] for x in xs if x in places)
    found = sweep_apart(places[y], start, targets, {places[name]: mark for name, mark in marks.items()})
    (whole,) = (_sum(grads) for grads in sweep_apart(places[y], start, targets, {}).values())
    keys = sorted(found, key=lambda labels: (len(labels), sorted(labels)))
    parts = _settled([_sum(found[key]) for key in keys], whole)
    tensors = {key: box(part, None) for key, part in zip(keys, parts, strict=True)}
    return Routes(tensors, box(whole, None), of, at, left_out)


def _sum(grads: Mapping[Any, Any]) -> Any:
    """What arrived at the values of one tensor, before and after its updates."""
    return functools.reduce(operator.add, grads.values())


def _settled(parts: list[Any], whole: Any) -> list[Any]:
    """The parts, so that they add up to the whole: where an element's largest part takes what rounding left over.

    One sweep for each set rounds otherwise than one for all. Where large terms cancel inside a route (the gradient of
    a bias in front of a norm is 0), that may be many units of what is left, though each route is as exact as a sweep.
    """
    xp = backend_of(whole).xp
    sizes = xp.stack([xp.abs(part) for part in parts])
    largest = xp.argmax(sizes, axis=0)
    for _ in range(2):  # once for rounding in the routes, once for that in their sum
        rest = whole - functools.reduce(operator.add, parts)
        rest = xp.where(xp.isfinite(rest), rest, xp.zeros_like(rest))
        parts = [xp.where(largest == k, part + rest, part) for k, part in enumerate(parts)]
    return parts


# ---- the engine's nodes, from the recorded ones


def _places(nodes: Nodes, y: str, xs: list[str]) -> dict[str, TapeNode]:
    """A node of the engine for everything that depends on `xs`, up to `y`, in the order in which it ran."""
    picked: dict[str, list[Node]] = {}
    for node in nodes.values():
        if node.op == "pick":
            picked.setdefault(str(node.inputs[0]), []).append(node)
    places: dict[str, TapeNode] = {}
    for node in nodes.values():
        if node.name in xs:
            place: TapeNode = Leaf(node)
        else:
            parents = tuple(places.get(i) if i and _open(node, k, nodes) else None for k, i in enumerate(node.inputs))
            if not any(parents):
                continue
            place = _place(node, parents, nodes, picked)
        places[node.name] = place
        if node.name == y:
            break
    return places


def _open(node: Node, k: int, nodes: Nodes) -> bool:
    """Whether a gradient travels back along an edge, or would if what it leads to had required one."""
    source = nodes[str(node.inputs[k])]
    if node.flows[k] or node.kind == "update":
        return node.flows[k]
    op = primitive_of(node)
    if op is None or source.tracked or (node.cut and node.cut[k]):
        return False
    return op is PICK or (op.pull_for(k)[0] is not None and np.dtype(source.dtype or "i8").kind == "f")


def _place(node: Node, parents: tuple[Any, ...], nodes: Nodes, picked: dict[str, list[Node]]) -> TapeNode:
    """The node that the engine had, with the arrays that its rules may ask for."""
    op = primitive_of(node)
    if op is None:
        raise GraphError(f"{node.name}: the primitive {node.op!r} is not there; import the package that declares it")
    if op is PICK:
        return TapeNode(op, parents, node.shape, node.dtype, None, node.params)
    several = sorted(picked.get(node.name, ()), key=lambda pick: int(pick.params["index"]))
    y = tuple(pick.value for pick in several) if op.outputs > 1 else node.value
    given = [None if i is None else _value(nodes[i]) for i in node.inputs]
    fixed = len(op.inputs)
    saved = (y, *given[:fixed], tuple(given[fixed:])) if op.variadic else (y, *given)
    return TapeNode(op, parents, node.shape, node.dtype, saved, node.params)


def _value(node: Node) -> Any:
    return node.value.item() if isinstance(node.value, np.generic) else node.value  # as weak as Python's numbers


# ---- labels


def _marks(
    nodes: Nodes,
    scopes: dict[str, Scope],
    places: Mapping[str, TapeNode],
    y: str,
    xs: list[str],
    through: Iterable[str] | None,
) -> tuple[dict[str, str], tuple[str, ...]]:
    """What each node on the way adds to the set of the paths that pass it, and the labels that are not told apart."""
    between = [nodes[name] for name in _between(places, y) if name != y and name not in xs]
    if through is None:
        # What a layer labels and all paths pass, as x_hat, would stand in every set; a user's own labels stay.
        passed = _passed_by_all(places, y, xs)
        labelled = [
            n for n in between if n.label and not n.label.startswith("_") and not (n.scope and n.name in passed)
        ]
        marks = {node.name: _telling(node, labelled, scopes) for node in labelled}
        if len(set(marks.values())) > MOST:
            nearest = _nearest(labelled, scopes)
            left = tuple(dict.fromkeys(mark for name, mark in reversed(marks.items()) if name not in nearest))
            return {name: mark for name, mark in marks.items() if name in nearest}, left
    else:
        chosen = (through,) if isinstance(through, str) else tuple(through)
        for name in chosen:
            _check(name, nodes, scopes)
        marks = {n.name: name for n in between for name in chosen if name in _names(n, scopes)}
    found = list(dict.fromkeys(marks.values()))
    if len(found) > MOST:
        raise ArgumentError(
            f"through: {len(found)} labelled values lie between y and x ({', '.join(map(repr, found))}), which makes "
            f"up to {2 ** len(found)} routes; choose at most {MOST} with through=[...]"
        )
    return marks, ()


def _passed_by_all(places: Mapping[str, TapeNode], y: str, xs: list[str]) -> set[str]:
    """The nodes through which every path from `y` to `xs` goes: they tell no route from another."""
    order = list(places)
    up: dict[TapeNode, int] = {places[y]: 1}  # paths from y
    for name in reversed(order):
        for parent in places[name].parents:
            if parent is not None and places[name] in up:
                up[parent] = up.get(parent, 0) + up[places[name]]
    down: dict[TapeNode, int] = {places[x]: 1 for x in xs if x in places}  # paths to the input
    for name in order:
        if places[name] not in down:
            down[places[name]] = sum(down.get(p, 0) for p in places[name].parents if p is not None)
    total = sum(up.get(places[x], 0) for x in xs if x in places)
    return {name for name in order if up.get(places[name], 0) * down[places[name]] == total}


def _nearest(labelled: list[Node], scopes: dict[str, Scope]) -> set[str]:
    """Of many labelled values those of the layer next to the input: its mean and variance, where it has them."""

    def layer(node: Node) -> str:
        return next((p for p in reversed(ancestors(node.scope, scopes)) if scopes[p].kind == "layer"), "")

    own = [n for n in labelled if layer(n) == layer(labelled[-1])]  # newest first
    moments = [n for n in own if n.label in ("mean", "var")]
    return {n.name for n in (moments or own[-MOST:])}


def _between(places: Mapping[str, TapeNode], y: str) -> list[str]:
    """What `y` depends on, newest first; all of it depends on x."""
    wanted = {places[y]}
    out = []
    for name in list(places)[::-1]:
        if places[name] in wanted:
            out.append(name)
            wanted.update(p for p in places[name].parents if p is not None)
    return out


def _telling(node: Node, labelled: list[Node], scopes: dict[str, Scope]) -> str:
    """A node's label; where it stands in other scopes too, after the outermost scope that tells it from those."""
    label = str(node.label)
    others = {other.scope for other in labelled if other.label == label} - {node.scope}
    around = {path for other in others for path in ancestors(other, scopes)}
    own = [path for path in ancestors(node.scope, scopes) if path not in around]
    return f"{(*own, node.scope)[0]}/{label}" if others and node.scope else label


def _names(node: Node, scopes: dict[str, Scope]) -> set[str]:
    """What `through` may call a node: by its own name, its label, and its label after any scope around it."""
    names = {name for name in (node.label, node.called) if name}
    around = ancestors(node.scope, scopes)
    return {node.name, *names, *(f"{path}/{name}" for path in around for name in names)}


def _check(name: str, nodes: Nodes, scopes: dict[str, Scope]) -> None:
    known = {called for node in nodes.values() for called in _names(node, scopes)}
    if name not in known:
        near = difflib.get_close_matches(name, known, 3)
        hint = f"; near it are {', '.join(map(repr, near))}" if near else "; give it one with .named()"
        raise UnknownNameError(f"through: no value is labelled {name!r}{hint}")


def _row(tag: str, cells: Iterable[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{cell}</{tag}>' for cell in cells)}</tr>"


def _set(labels: Iterable[str]) -> str:
    return f"{{{', '.join(sorted(labels))}}}"


def _largest(part: Tensor) -> float:
    host = np.abs(on_host(part._data).astype(np.float64))
    return float(host.max()) if host.size else 0.0
