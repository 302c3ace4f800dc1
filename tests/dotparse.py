"""A reader of DOT text, enough to say what Graphviz would read: ids, quoted strings, HTML-like strings, statements."""

from __future__ import annotations

import html
import re
from typing import NamedTuple

TOKEN = re.compile(
    r"""
    (?:\s+ | //[^\n]*)*
    (?:
        (?P<quoted>"(?:[^"\\]|\\.)*") |
        (?P<id>[A-Za-z_\x80-\U0010ffff][\w\x80-\U0010ffff]*|-?(?:\.\d+|\d+(?:\.\d*)?)) |
        (?P<sign>->|[{}\[\]=;,]) |
        (?P<html><) |
        $
    )
    """,
    re.VERBOSE | re.DOTALL,
)


class Item(NamedTuple):
    """A token: its kind (id, quoted, html, sign) and its text, unquoted."""

    kind: str
    text: str


class Dot(NamedTuple):
    """What a DOT text says: nodes and edges with their attributes, the names of the subgraphs."""

    nodes: dict[str, dict[str, Item]]
    edges: list[tuple[str, str, dict[str, Item]]]
    subgraphs: list[str]


BRACKET = re.compile("[<>]")


def tokens(text: str) -> list[Item]:
    out, at = [], 0
    while at < len(text):
        match = TOKEN.match(text, at)
        if match is None:
            raise ValueError(f"not DOT at {at}: {text[at : at + 40]!r}")
        kind, at = match.lastgroup, match.end()
        if kind == "html":
            start, at = at, _closed(text, at)
            out.append(Item("html", text[start : at - 1]))
        elif kind == "quoted":
            out.append(Item("quoted", match["quoted"][1:-1].replace('\\"', '"')))  # the only escape of DOT itself
        elif kind:
            out.append(Item(kind, match[kind]))
    return out


def _closed(text: str, at: int) -> int:
    """Where the string that began before `at` is over: angle brackets balance."""
    depth = 1
    for bracket in BRACKET.finditer(text, at):
        depth += 1 if bracket[0] == "<" else -1
        if depth == 0:
            return bracket.end()
    raise ValueError(f"< before {at} is never closed")


def parse(text: str) -> Dot:
    """The statements of a DOT text, clusters flattened; ValueError for what is no DOT."""
    found, depth, items, at = Dot({}, [], []), 0, tokens(text), 0
    while at < len(items):
        item = items[at]
        if item == Item("sign", "{"):
            depth += 1
            at += 1
        elif item == Item("sign", "}"):
            depth -= 1
            at += 1
        elif item in (Item("id", "digraph"), Item("id", "subgraph")):
            if items[at + 1].kind != "sign":
                found.subgraphs.append(items[at + 1].text)
                at += 1
            at += 1
        elif items[at + 1] == Item("sign", "->"):
            attributes, end = _attributes(items, at + 3)
            found.edges.append((item.text, items[at + 2].text, attributes))
            at = end
        elif items[at + 1] == Item("sign", "="):
            at += 3
        elif item.kind == "id" and item.text in ("graph", "node", "edge"):
            _, at = _attributes(items, at + 1)
        elif item.kind in ("id", "quoted"):
            found.nodes[item.text], at = _attributes(items, at + 1)
        else:
            raise ValueError(f"unexpected {item}")
    if depth:
        raise ValueError("braces do not balance")
    return found


def _attributes(items: list[Item], at: int) -> tuple[dict[str, Item], int]:
    out: dict[str, Item] = {}
    if at >= len(items) or items[at] != Item("sign", "["):
        return out, at
    at += 1
    while items[at] != Item("sign", "]"):
        if items[at + 1] != Item("sign", "="):
            raise ValueError(f"an attribute without a value: {items[at]}")
        out[items[at].text] = items[at + 2]
        at += 3
    return out, at + 1


def plain(item: Item) -> str:
    """The text that is shown: between the tags of an HTML-like string, of another one with its escapes undone."""
    if item.kind == "html":
        return html.unescape(re.sub(r"<[^<>]*>", "", item.text)).replace("\u00a0", " ")
    return re.sub(r"\\([\\n])", lambda escape: {"n": "\n"}.get(escape[1], escape[1]), item.text)
