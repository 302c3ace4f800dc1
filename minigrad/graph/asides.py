"""What of a recording is beside the point of a picture: found from what was recorded, so nobody has to declare it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from minigrad.core.primitive import PRIMITIVES
from minigrad.graph.nodes import Node, Scope, ancestors
from minigrad.notation import as_is

Aside = Literal["state", "random"]


def asides(nodes: Mapping[str, Node], scopes: dict[str, Scope]) -> dict[str, Aside]:
    """Composites that a picture keeps closed unless they are asked for: outermost paths, and what they are.

    "state": it rebinds state by what no gradient reaches, as running statistics. "random": it is made of draws from a
    random stream and of nothing from outside, as the mask of a dropout.
    """
    inside: dict[str, list[Node]] = {}
    for node in nodes.values():
        for path in ancestors(node.scope, scopes):
            inside.setdefault(path, []).append(node)
    found: dict[str, Aside] = {}
    for path, scope in scopes.items():  # parents come first
        if scope.kind == "composite" and not any(p in found for p in ancestors(path, scopes)):
            what = _aside(path, inside.get(path, []), nodes)
            if what is not None:
                found[path] = what
    return found


def _aside(path: str, members: list[Node], nodes: Mapping[str, Node]) -> Aside | None:
    if any(n.tracked for n in members if not n.leaf):
        return None
    if any(n.kind == "update" and n.scope == path for n in members):
        return "state"
    if any(n.kind == "random" for n in members):
        own = {n.name for n in members}
        outside = {i for n in members for i in n.inputs if i is not None} - own
        if all(nodes[i].leaf and nodes[i].kind == "constant" for i in outside):
            return "random"
    return None


def simplified(nodes: Mapping[str, Node], scopes: dict[str, Scope]) -> tuple[dict[str, Scope], dict[str, str]]:
    """The scopes without frames that say nothing, and for each scope the one that stands for it.

    A layer that is nothing but one composite, as a softmax or a batch norm, opens as one: what it does besides, if
    anything, is to arrange shapes.
    """
    aside = asides(nodes, scopes)
    children: dict[str, list[str]] = {}
    for path, scope in scopes.items():
        if path not in aside:
            children.setdefault(scope.parent, []).append(path)
    own: dict[str, list[Node]] = {}
    for node in nodes.values():
        own.setdefault(node.scope, []).append(node)
    gone: dict[str, str] = {}
    for path, scope in scopes.items():
        inner = children.get(path, [])
        alone = scope.kind == "layer" and len(inner) == 1 and scopes[inner[0]].kind == "composite"
        if alone and all(n.leaf or n.op == "pick" or _arranges(n) for n in own.get(path, [])):
            gone[inner[0]] = path
    home = {path: path for path in scopes}
    for path in scopes:  # parents come first
        if path in gone:
            home[path] = home[gone[path]]
    kept = {
        path: replace(scope, parent=home[scope.parent]) if scope.parent else scope
        for path, scope in scopes.items()
        if path not in gone
    }
    return kept, home


def _arranges(node: Node) -> bool:
    op = PRIMITIVES.get(node.op or "")
    return op is not None and (op.kind == "view" or op.show is as_is)
