"""A graph as plain data and back: JSON that holds no code and names no import."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import numpy as np

from minigrad.errors import ArgumentError
from minigrad.graph.labels import on_host
from minigrad.graph.nodes import Cotangent, Node, Scope

FORMAT, VERSION = "minigrad.graph", 1
_PLAIN = ("name", "kind", "op", "scope", "kept", "tracked", "label", "source", "formula")


def dump(nodes: dict[str, Node], scopes: dict[str, Scope]) -> str:
    """JSON text of a graph; arrays become nested lists of numbers, exactly."""
    document = {
        "format": FORMAT,
        "version": VERSION,
        "scopes": [{k: getattr(s, k) for k in ("path", "kind", "title", "detail", "parent")} for s in scopes.values()],
        "nodes": [_node(n) for n in nodes.values()],
    }
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return re.sub("[\ud800-\udfff]", lambda half: f"\\u{ord(half[0]):x}", text)  # which no encoding can write


def parse(text: str) -> tuple[dict[str, Node], dict[str, Scope]]:
    """The nodes and scopes that `dump` wrote; ArgumentError for anything else."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise ArgumentError(f"text: this is not JSON ({error}); from_json reads what Graph.to_json wrote") from error
    if not isinstance(document, dict) or (document.get("format"), document.get("version")) != (FORMAT, VERSION):
        found = document.get("format", "another document") if isinstance(document, dict) else "another document"
        raise ArgumentError(f"text: this is {found!r}, not a graph of version {VERSION} that Graph.to_json wrote")
    try:
        scopes = {s["path"]: Scope(**s) for s in document["scopes"]}
        nodes = {n["name"]: _read(n) for n in document["nodes"]}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ArgumentError(f"text: a part of the graph is missing or malformed: {error!r}") from error
    known = {*nodes, None}
    if any(i not in known for n in nodes.values() for i in n.inputs) or any(
        s and s not in scopes for s in (*(n.scope for n in nodes.values()), *(s.parent for s in scopes.values()))
    ):
        raise ArgumentError("text: a node or scope refers to one that is not in the document")
    return nodes, scopes


def _node(n: Node) -> dict[str, Any]:
    return {
        **{k: getattr(n, k) for k in _PLAIN},
        "inputs": list(n.inputs),
        "flows": list(n.flows),
        "cut": list(n.cut),
        "params": {k: encode(v) for k, v in n.params.items()},
        "shape": encode(n.shape),
        "dtype": encode(n.dtype),
        "value": encode(n.value),
        "cotangents": [
            {
                "sweep": c.sweep,
                "shape": encode(c.shape),
                "dtype": encode(c.dtype),
                "value": encode(c.value),
                "began": c.began,
            }
            for c in n.cotangents
        ],
        "names": None if n.names is None else list(n.names),
        "rules": None if n.rules is None else list(n.rules),
        "locals": None if n.locals is None else list(n.locals),
    }


def _read(d: dict[str, Any]) -> Node:
    return Node(
        **{k: d[k] for k in _PLAIN},
        inputs=tuple(d["inputs"]),
        flows=tuple(d["flows"]),
        cut=tuple(d["cut"]),
        params={k: decode(v) for k, v in d["params"].items()},
        shape=decode(d["shape"]),
        dtype=decode(d["dtype"]),
        value=decode(d["value"]),
        cotangents=[
            Cotangent(c["sweep"], decode(c["shape"]), decode(c["dtype"]), decode(c["value"]), c["began"])
            for c in d["cotangents"]
        ],
        names=None if d["names"] is None else tuple(d["names"]),
        rules=None if d["rules"] is None else tuple(d["rules"]),
        locals=None if d["locals"] is None else tuple(d["locals"]),
    )


def encode(value: Any) -> Any:
    """A parameter, number or array as JSON; what has no JSON form becomes an object that says what it is."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": str(value)}
    if isinstance(value, (tuple, list)):
        return (
            {type(value).__name__: [encode(v) for v in value]}
            if type(value) in (tuple, list)
            else {"tuple": [encode(v) for v in value]}
        )
    if value is Ellipsis:
        return {"ellipsis": True}
    if isinstance(value, np.dtype) or (isinstance(value, type) and issubclass(value, np.generic)):
        return {"dtype": np.dtype(value).str}
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        a = on_host(value)
        flat = a.ravel().tolist()
        if a.dtype.kind not in "iub" and not np.isfinite(a).all():
            flat = [encode(v) for v in flat]
        return {"array": flat, "dtype": a.dtype.str, "shape": list(a.shape)}
    return {"repr": repr(value)}


def decode(value: Any) -> Any:
    """What `encode` made it from; NumPy arrays are read-only, and an object of an unknown type stays its repr."""
    if not isinstance(value, dict):
        return value
    if "array" in value:
        flat, dtype = value["array"], np.dtype(value["dtype"])
        if dict in set(map(type, flat)):
            flat = [decode(v) for v in flat]
        out = np.array(flat, dtype=dtype).reshape(value["shape"])
        out.setflags(write=False)
        return out
    ((kind, inner),) = value.items()
    if kind == "tuple":
        return tuple(decode(v) for v in inner)
    if kind == "list":
        return [decode(v) for v in inner]
    if kind == "ellipsis":
        return ...
    if kind == "dtype":
        return np.dtype(inner)
    return float(inner) if kind == "float" else str(inner)
