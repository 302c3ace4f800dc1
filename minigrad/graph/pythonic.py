"""A formula as Python: operators and public functions where there are some, and else the primitive by its name.

What is written here gives the same bits as the rule did, since the same primitives run in the same order.
"""

from __future__ import annotations

import keyword
import math
import operator
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from minigrad import ops
from minigrad.core.arguments import short
from minigrad.errors import GraphError
from minigrad.notation import Expr
from minigrad.notation.expr import bottom_up, operands
from minigrad.notation.layouts import Atom

SUM, PRODUCT, SIGN, ATOM = range(4)
INFIX = {
    "add": ("+", SUM), "subtract": ("-", SUM), "multiply": ("*", PRODUCT), "divide": ("/", PRODUCT),
    "matmul": ("@", PRODUCT),
}  # fmt: skip
OPERATORS: dict[Any, str] = {
    operator.add: "add", operator.sub: "subtract", operator.mul: "multiply", operator.truediv: "divide",
    operator.pow: "power", operator.matmul: "matmul", operator.neg: "negative", operator.abs: "abs",
    operator.lt: "less", operator.le: "less_equal", operator.gt: "greater", operator.ge: "greater_equal",
    operator.eq: "equal", operator.ne: "not_equal",
}  # fmt: skip
FUNCTIONS = frozenset(
    name for name, value in vars(ops).items() if getattr(getattr(value, "primitive", None), "name", "") == name
)  # primitives that are functions of minigrad as they are

Params = Mapping[str, Any]
SPELLINGS: dict[str, Callable[[str, Params], str]] = {  # what takes one array
    **dict.fromkeys(("cast", "truncated"), lambda x, p: f"mg.astype({x}, {written(p['dtype'])})"),
    "alias": lambda x, p: x,
    "broadcast_to": lambda x, p: f"mg.broadcast_to({x}, {written(p['shape'])})",
    "full": lambda x, p: f"mg.full({written(p['shape'])}, {written(p['value'])}, dtype={written(p['dtype'])})",
    "permute_dims": lambda x, p: f"mg.permute_dims({x}, {written(p['axes'])})",
    "reshape": lambda x, p: f"mg.reshape({x}, {written(p['shape'])})",
    "sliced": lambda x, p: f"{x}[{_index(p['spec'])}]",
    "stop_gradient": lambda x, p: f"mg.stop_gradient({x}, why={written(p['why'])})",
    "take_part": lambda x, p: f"{x}[{':, ' * p['axis']}{written(p['start'])}:{written(p['stop'])}]",
}
INDEXED = frozenset({"sliced", "take_part"})
REDUCTIONS = frozenset({"all", "any", "max", "min", "sum"})


def code(root: Expr, called: Mapping[str, str], temporary: Callable[[], str]) -> tuple[list[str], str, int]:
    """The lines that give names to parts which `root` uses twice, `root` as a Python expression, and how it binds.

    `called` says what each symbol is called in Python, `temporary` makes up a name.

    Raises:
        GraphError: a part that no primitive computes.
    """
    uses = Counter(a for expr in bottom_up(root, exact=True) for a in operands(expr, exact=True) if isinstance(a, Expr))
    lines: list[str] = []
    done: dict[Expr, tuple[str, int]] = {}
    for expr in bottom_up(root, exact=True):
        if expr.exact is not None:
            done[expr] = done[expr.exact]
            continue
        if isinstance(expr.show, Atom):
            value = expr.show.value
            done[expr] = (called[expr.show.spelling.text], ATOM) if value is None else _operand(value)
            continue
        done[expr] = _call(expr, [done[a] if isinstance(a, Expr) else _operand(a) for a in expr.args])
        if uses[expr] > 1 and expr.args:
            name = temporary()
            lines.append(f"{name} = {done[expr][0]}")
            done[expr] = name, ATOM
    return lines, *done[root]


def _call(expr: Expr, args: list[tuple[str, int]]) -> tuple[str, int]:
    op, params = getattr(expr.apply, "primitive", None), dict(expr.params or {})
    name = op.name if op is not None else OPERATORS.get(expr.apply, "")
    bare = [text for text, _ in args]
    if name in INFIX:
        sign, level = INFIX[name]
        return f"{_in(args[0], level)} {sign} {_in(args[1], level + 1)}", level
    if name == "power":
        return f"{_in(args[0], ATOM)} ** {_in(args[1], ATOM)}", PRODUCT
    if name == "negative":
        return f"-{_in(args[0], ATOM)}", SIGN
    if name in SPELLINGS:
        return SPELLINGS[name](_in(args[0], ATOM) if name in INDEXED else bare[0], params), _level(name, args)
    if name in REDUCTIONS and "axes" in params:
        kept = ", keepdims=True" if params.get("keepdims") else ""
        axes = params["axes"]
        return f"mg.{name}({bare[0]}, axis={written(axes[0] if len(axes) == 1 else axes)}{kept})", ATOM
    if name in FUNCTIONS and not params:
        return f"mg.{name}({', '.join(bare)})", ATOM
    if op is not None:
        given = [*bare, *(f"{key}={written(value)}" for key, value in params.items())]
        return f'op["{op.name}"]({", ".join(given)})', ATOM
    what = getattr(expr.apply, "__name__", "")
    if what == "_reverse":
        return f"{_in(args[0], ATOM)}.T", ATOM
    if what == "_swap":
        return f"{_in(args[0], ATOM)}.mT", ATOM
    if what == "_take":
        index = _index(params["index"]) if params else ", ".join(bare[1:])
        return f"{_in(args[0], ATOM)}[{index}]", ATOM
    raise GraphError(f"python: {expr.text(60)} has no form in Python; no primitive computes it")


def _level(name: str, args: list[tuple[str, int]]) -> int:
    return args[0][1] if name == "alias" else ATOM


def _in(operand: tuple[str, int], level: int) -> str:
    text, own = operand
    return text if own >= level else f"({text})"


def _operand(value: Any) -> tuple[str, int]:
    text = written(value)
    return text, SIGN if text.startswith("-") else ATOM


def written(value: Any) -> str:
    """A parameter or number as Python reads it back: a literal, whatever it holds.

    Raises:
        GraphError: a value of a type that has no literal.
    """
    if isinstance(value, np.dtype) or (isinstance(value, type) and issubclass(value, np.generic)):
        return f'"{np.dtype(value)}"'
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{float(value)}")'
    if value is Ellipsis:
        return "..."
    if isinstance(value, tuple):
        return "(" + ", ".join(map(written, value)) + ("," if len(value) == 1 else "") + ")"
    if isinstance(value, list):
        return "[" + ", ".join(map(written, value)) + "]"
    if isinstance(value, str):
        return _quoted(value)
    for kind in (bool, int, float):  # a subclass may have a repr of its own
        if isinstance(value, kind):
            return repr(kind(value))
    if value is None:
        return "None"
    raise GraphError(f"python: {short(value)} is a {type(value).__name__}, which has no literal in Python")


def _quoted(text: str) -> str:
    literal = repr(str(text))
    return f'"{literal[1:-1]}"' if literal[0] == "'" and '"' not in literal else literal


def _index(index: Any) -> str:
    """An index as it stands between the brackets."""
    if isinstance(index, tuple) and len(index) == 4 and index[0] == "slice":  # a slice as a hashable parameter holds it
        index = slice(*index[1:])
    if isinstance(index, slice):
        start, stop, step = ("" if part is None else written(part) for part in (index.start, index.stop, index.step))
        return f"{start}:{stop}" + (f":{step}" if step else "")
    if isinstance(index, tuple):
        return ", ".join(map(_index, index)) if index else "()"
    return written(index)


def identifier(name: str) -> str:
    """`name` as a Python name of one's own."""
    word = re.sub(r"\W", "_", unicodedata.normalize("NFKC", name))  # which is what Python takes two names by
    if not word.isidentifier():
        word = f"v{word}"
    return f"{word}_" if keyword.iskeyword(word) or word in ("mg", "op", "graph", "float", "Path") else word


def array(value: Any) -> str:
    """A host array as a tensor, digit for digit."""
    dtype = written(value.dtype)
    if value.size == 0:
        return f"mg.zeros({value.shape}, dtype={dtype})"
    text = re.sub(r"\b(inf|nan)\b", r'float("\1")', repr(value.tolist()))
    if len(text) > 100 and value.ndim > 1:
        inner = ",\n    ".join(re.sub(r"\b(inf|nan)\b", r'float("\1")', repr(row)) for row in value.tolist())
        text = f"[\n    {inner},\n]"
    return f"mg.tensor({text}, dtype={dtype})"
