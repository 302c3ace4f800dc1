"""A graph as plain data and back: JSON that holds no code and names no import."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any, NoReturn, get_args

import numpy as np

from minigrad.core.arguments import short
from minigrad.core.primitive import Aval
from minigrad.errors import ArgumentError, ArgumentTypeError, MinigradError
from minigrad.graph.formulas import primitive_of
from minigrad.graph.labels import on_host
from minigrad.graph.nodes import Cotangent, Kind, Node, Scope

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
    """The nodes and scopes that `dump` wrote; ArgumentError for anything else, and for a graph that was altered.

    Every part is checked for its type and against the others here, once, so that all that goes through a graph may
    take it for what a recorder makes: references lead back, shapes are those that the operations give, values are
    numbers, and parameters are what the operation takes.
    """
    if not isinstance(text, str):
        raise ArgumentTypeError(f"text: a {type(text).__name__} must be the text that Graph.to_json wrote")
    try:
        document = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ArgumentError(f"text: this is not JSON ({error}); from_json reads what Graph.to_json wrote") from error
    if not isinstance(document, dict) or (document.get("format"), document.get("version")) != (FORMAT, VERSION):
        found = document.get("format", "another document") if isinstance(document, dict) else "another document"
        raise ArgumentError(f"text: this is {found!r}, not a graph of version {VERSION} that Graph.to_json wrote")
    scopes: dict[str, Scope] = {}
    nodes: dict[str, Node] = {}
    try:
        for s in document["scopes"]:
            scope = _scope(s, scopes)
            scopes[scope.path] = scope
        for n in document["nodes"]:
            node = _read(n, nodes, scopes)
            nodes[node.name] = node
    except MinigradError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        raise ArgumentError(f"text: a part of the graph is missing or malformed: {error!r}") from error
    return nodes, scopes


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"it holds {word}")


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


def _want(right: bool, what: str, key: str, value: Any) -> None:
    if not right:
        raise ArgumentError(f"text: {what}: {key}={short(value)} is not what a recording has there; it was altered")


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_name(value: Any) -> bool:
    """A name that recorders make: no blanks, and nothing that would be syntax in DOT."""
    return isinstance(value, str) and value.isprintable() and re.fullmatch(r'[^\s"\\<>:;]+', value) is not None


def _is_text_or_none(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _is_dims(value: Any) -> bool:
    return isinstance(value, tuple) and all(map(_is_count, value))


def _listed(value: Any, each: Callable[[Any], bool]) -> bool:
    return isinstance(value, list) and all(map(each, value))


def _scope(d: dict[str, Any], scopes: dict[str, Scope]) -> Scope:
    scope, what = Scope(**d), f"scope {short(d['path'])}"
    for key in ("path", "kind", "title", "detail", "parent"):
        _want(_is_text(d[key]), what, key, d[key])
    _want(_is_name(scope.path) and scope.path not in scopes, what, "path", scope.path)
    _want(bool(scope.title), what, "title", scope.title)
    _want(scope.kind in ("layer", "composite", "backward"), what, "kind", scope.kind)
    _refers(not scope.parent or scope.parent in scopes, what, scope.parent)
    return scope


def _refers(there: bool, what: str, name: Any) -> None:
    if not there:
        raise ArgumentError(f"text: {what} refers to one that is not in the document before it, {short(name)}")


CHECKS: dict[str, Callable[[Any], bool]] = {
    "name": lambda v: _is_name(v),
    "kind": lambda v: v in get_args(Kind),
    "op": _is_text_or_none,
    "scope": _is_text,
    "kept": _is_count,
    "tracked": _is_flag,
    "label": _is_text_or_none,
    "source": _is_text_or_none,
    "formula": _is_text_or_none,
    "inputs": lambda v: _listed(v, _is_text_or_none),
    "flows": lambda v: _listed(v, _is_flag),
    "cut": lambda v: _listed(v, _is_flag),
    "params": lambda v: isinstance(v, dict),
    "cotangents": lambda v: _listed(v, lambda c: isinstance(c, dict)),
    **dict.fromkeys(("names", "rules", "locals"), lambda v: v is None or _listed(v, _is_text_or_none)),
}


def _read(d: dict[str, Any], nodes: dict[str, Node], scopes: dict[str, Scope]) -> Node:
    what = f"node {short(d['name'])}"
    for key, right in CHECKS.items():
        _want(right(d[key]), what, key, d[key])
    _want(d["name"] not in nodes, what, "name", d["name"])
    _refers(not d["scope"] or d["scope"] in scopes, what, d["scope"])
    for name in d["inputs"]:
        _refers(name is None or name in nodes, what, name)
    count = len(d["inputs"])
    for key in ("flows", "names", "rules", "locals"):
        _want(d[key] is None or len(d[key]) == count, what, key, d[key])
    _want(len(d["cut"]) in (0, count), what, "cut", d["cut"])
    _want((d["op"] is None) == (d["kind"] not in ("op", "random")), what, "op", d["op"])
    shape, dtype = decode(d["shape"]), decode(d["dtype"])
    _array_type(shape, dtype, what)
    node = Node(
        **{k: d[k] for k in _PLAIN},
        inputs=tuple(d["inputs"]),
        flows=tuple(d["flows"]),
        cut=tuple(d["cut"]),
        params={k: decode(v) for k, v in d["params"].items()},
        shape=shape,
        dtype=dtype,
        value=_value(decode(d["value"]), shape, dtype, what),
        cotangents=[_cotangent(c, shape, dtype, what) for c in d["cotangents"]],
        names=None if d["names"] is None else tuple(d["names"]),
        rules=None if d["rules"] is None else tuple(d["rules"]),
        locals=None if d["locals"] is None else tuple(d["locals"]),
    )
    _operation(node, nodes, what)
    return node


def _array_type(shape: Any, dtype: Any, what: str) -> None:
    """One shape and dtype, or as many of each as an operation has outputs."""
    if isinstance(dtype, tuple):
        right = isinstance(shape, tuple) and len(shape) == len(dtype) and all(map(_is_dims, shape))
        right = right and bool(dtype) and all(isinstance(d, np.dtype) for d in dtype)
    else:
        right = _is_dims(shape) and (isinstance(dtype, np.dtype) or (dtype is None and not shape))
    _want(right, what, "shape", f"{shape} {dtype}")


def _value(value: Any, shape: Any, dtype: Any, what: str) -> Any:
    """A value or cotangent, which has the shape and dtype of its node, and parts where that has several outputs."""
    if isinstance(value, (tuple, list)):
        parts = isinstance(dtype, tuple) and len(value) == len(dtype)
        _want(parts, what, "value", value)
        return type(value)(_value(v, s, t, what) for v, s, t in zip(value, shape, dtype, strict=True))
    number = isinstance(value, (bool, int, float)) and shape == () and not isinstance(dtype, tuple)
    array = isinstance(value, np.ndarray) and value.shape == shape and value.dtype == dtype
    _want(value is None or number or array, what, "value", value)
    return value


def _cotangent(c: dict[str, Any], shape: Any, dtype: Any, what: str) -> Cotangent:
    own, kind = decode(c["shape"]), decode(c["dtype"])
    _want(_is_count(c["sweep"]) and c["sweep"] > 0, what, "sweep", c["sweep"])
    _want(_is_flag(c["began"]), what, "began", c["began"])
    _want((own, kind) == (shape, dtype), what, "cotangent", f"{own} {kind}")
    return Cotangent(c["sweep"], own, kind, _value(decode(c["value"]), own, kind, what), c["began"])


def _operation(node: Node, nodes: dict[str, Node], what: str) -> None:
    """That the operation, where it is known here, takes these inputs and parameters and gives this shape."""
    op = primitive_of(node)
    if node.kind == "update":
        _want(len(node.inputs) in (1, 2) and None not in node.inputs, what, "inputs", node.inputs)
    if op is None:
        return
    inputs = [None if i is None else nodes[i] for i in node.inputs]
    if node.op == "pick":
        index = node.params.get("index")
        right = len(inputs) == 1 and [*node.params] == ["index"] and _is_count(index) and inputs[0] is not None
        right = right and isinstance(inputs[0].dtype, tuple) and index < len(inputs[0].dtype)  # type: ignore[union-attr, operator]
        _want(right, what, "inputs", f"{node.inputs} {node.params}")
        return
    fixed = len(op.inputs)
    _want(len(inputs) >= fixed if op.variadic else len(inputs) == fixed, what, "inputs", node.inputs)
    _want(set(node.params) == set(op.defaults), what, "params", node.params)
    given = [None if n is None else Aval(n.shape, n.dtype) if n.dtype is not None else n.value for n in inputs]  # type: ignore[arg-type]
    try:
        out = op.infer(*(0.0 if v is None else v for v in given), **node.params)
    except Exception as error:
        raise ArgumentError(
            f"text: {what}: {op.name} does not take its inputs and parameters ({error}); it was altered"
        ) from error
    shapes = tuple(o.shape for o in out) if op.outputs > 1 else out.shape
    _want(shapes == node.shape, what, "shape", node.shape)


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
    if isinstance(value, list):
        raise ArgumentError(f"text: the list {short(value)} must say what it is")
    if not isinstance(value, dict):
        return value
    if "array" in value:
        return _array(**value)
    ((kind, inner),) = value.items()
    if kind in ("tuple", "list"):
        parts = [decode(v) for v in inner]
        return tuple(parts) if kind == "tuple" else parts
    if kind == "ellipsis":
        return ...
    if kind == "dtype":
        return _dtype(inner)
    if kind == "float" and inner in ("nan", "inf", "-inf"):
        return float(inner)
    if kind == "repr" and isinstance(inner, str):
        return inner
    raise ArgumentError(f"text: {short(value)} is no value that a recording has; it was altered")


def _dtype(name: Any) -> np.dtype[Any]:
    dtype: np.dtype[Any] | None = np.dtype(name) if isinstance(name, str) else None
    if dtype is None or dtype.kind not in "fiub":
        raise ArgumentError(f"text: {short(name)} is no dtype of a tensor")
    return dtype


def _array(array: Any, dtype: Any, shape: Any) -> np.ndarray[Any, np.dtype[Any]]:
    kind, numbers = _dtype(dtype), [decode(v) for v in array]
    if not (_listed(shape, _is_count) and len(shape) <= 64 and math.prod(shape) == len(numbers)):
        raise ArgumentError(f"text: an array of shape {short(shape)} does not have {len(numbers)} elements")
    if not all(isinstance(v, (bool, int, float)) for v in numbers):
        raise ArgumentError(f"text: the array {short(array)} holds something that is no number")
    out = np.array(numbers, dtype=kind).reshape(shape)
    out.setflags(write=False)
    return out
