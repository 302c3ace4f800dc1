"""What is drawn at a given depth: which scopes are closed into one box, which boxes and lines are left.

Decides what there is to draw and never how it looks.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from minigrad.graph.asides import Aside, asides, simplified
from minigrad.graph.nodes import Node, Scope, ancestors

OFTEN, AWAY = 8, 24  # uses of a box, and boxes between the first and another, from which that is drawn apart


@dataclass(slots=True)
class Box:
    """A single node, or a closed scope with all that is in it."""

    id: str
    cluster: str  # the innermost open scope around it, "" at the top
    node: Node | None = None
    scope: Scope | None = None
    members: list[Node] = field(default_factory=list)
    aside: Aside | None = None

    @property
    def reached(self) -> bool:
        """Whether a backward pass arrived at any part of it."""
        return any(n.cotangents for n in self.members)

    @property
    def tracked_leaf(self) -> bool:
        return self.node is not None and self.node.leaf and self.node.tracked


@dataclass(slots=True)
class Line:
    """From the box that made a value to the box that uses it; `node` and `index` say which argument, when it is one."""

    source: str
    target: str
    flows: bool
    node: Node | None = None
    index: int = 0
    state: bool = False  # from a state to its update, which is no use of the value
    reached: bool = False  # a backward pass went along it
    far: bool = False  # one of many lines across a large picture: it is drawn from a copy of its source

    @property
    def start(self) -> str:
        """The name of what it is drawn from; no box has a space in its name."""
        return f"{self.source} at {self.target}" if self.far else self.source


@dataclass(slots=True)
class Picture:
    """Boxes and lines in the order of the computation, and the open scopes around them."""

    boxes: dict[str, Box]
    lines: list[Line]
    outputs: dict[str, list[Node]]  # closed scope -> members whose values leave it
    scopes: dict[str, Scope]  # without frames that say nothing


def levels(scopes: dict[str, Scope]) -> dict[str, int]:
    """How deep each scope lies for `depth`: a scope is open where its level is below it.

    The outermost scope has level 0 when it holds layers, and 1 when it is itself a layer or a composite without layers
    inside, so that depth=1 shows layers as boxes whether or not a container is around them.
    """
    holders: set[str] = set()
    for scope in scopes.values():
        if scope.kind == "layer":
            around = scope.parent
            while around and around not in holders:
                holders.add(around)
                around = scopes[around].parent
    out: dict[str, int] = {}
    for path, scope in scopes.items():  # parents come first
        out[path] = out[scope.parent] + 1 if scope.parent else int(path not in holders)
    return out


def fold(nodes: dict[str, Node], scopes: dict[str, Scope], depth: int, opened: frozenset[str] = frozenset()) -> Picture:
    """The picture of a graph in which scopes of level `depth` and more are closed.

    State updates and random draws stay closed at any depth; `opened` names those of "state" and "random" that do not.
    """
    aside = {path: what for path, what in asides(nodes, scopes).items() if what not in opened}
    scopes, home = simplified(nodes, scopes)
    level = levels(scopes)
    closed: dict[str, str] = {}  # scope -> the outermost closed scope around it, "" when all are open
    for path, scope in scopes.items():
        closed[path] = closed.get(scope.parent, "") or (path if level[path] >= depth or path in aside else "")
    boxes: dict[str, Box] = {}
    stands: dict[str, str] = {}
    for name, node in nodes.items():
        around = home.get(node.scope, "")
        at = closed.get(around, "")
        stands[name] = key = at or name
        if key not in boxes:
            boxes[key] = (
                Box(key, scopes[at].parent, scope=scopes[at], aside=aside.get(at))
                if at
                else Box(key, around, node=node)
            )
        boxes[key].members.append(node)
    lines: list[Line] = []
    merged: dict[tuple[str, str], Line] = {}
    outputs: dict[str, list[Node]] = {}
    for name, node in nodes.items():
        for k, made in enumerate(node.inputs):
            if made is None or stands[made] == stands[name]:
                continue
            source, target = boxes[stands[made]], boxes[stands[name]]
            computed = not nodes[made].leaf and nodes[made].kind != "update"
            if source.scope is not None and computed and nodes[made] not in outputs.setdefault(source.id, []):
                outputs[source.id].append(nodes[made])
            reached = node.flows[k] and _met(node, nodes[made])
            if target.node is not None:
                state = node.kind == "update" and k == 0
                lines.append(Line(source.id, target.id, node.flows[k], node, k, state, reached))
                continue
            line = merged.get((source.id, target.id))
            if line is None:
                line = merged[source.id, target.id] = Line(source.id, target.id, False)
                lines.append(line)
            line.flows |= node.flows[k]
            line.reached |= reached
    _shorten(boxes, lines)
    used = {i for n in nodes.values() for i in n.inputs}
    for key, box in boxes.items():
        if box.scope is not None:
            ends = [n for n in box.members if not n.leaf and n.kind != "update" and n.name not in used]
            outputs.setdefault(key, ends[-1:])
    return Picture(boxes, lines, outputs, scopes)


def _shorten(boxes: dict[str, Box], lines: list[Line]) -> None:
    """Mark the lines of a box that is used often and far away, as a recurrent layer's weights are.

    Nobody can follow those across a page, and laying out thousands of crossings takes an engine minutes.
    """
    place = {key: at for at, key in enumerate(boxes)}
    uses: dict[str, list[Line]] = {}
    for line in lines:
        uses.setdefault(line.source, []).append(line)
    for key, out in uses.items():
        first = min(place[line.target] for line in out)
        for line in out if len(out) > OFTEN else ():
            line.far = place[line.target] - max(first, place[key]) > AWAY


def _met(user: Node, made: Node) -> bool:
    """Whether one backward pass found a cotangent at both."""
    return bool({c.sweep for c in user.cotangents} & {c.sweep for c in made.cotangents})


def open_scopes(picture: Picture, scopes: dict[str, Scope]) -> list[str]:
    """The open scopes that have something in them, outer ones first, in the order of the computation."""
    seen: dict[str, None] = {}
    for box in picture.boxes.values():
        for path in ancestors(box.cluster, scopes):
            seen.setdefault(path)
    return list(seen)
