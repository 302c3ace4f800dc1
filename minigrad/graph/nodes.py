"""What a recorded computation consists of: nodes, scopes, edges and cotangents, as plain data.

Knows nothing of drawing and nothing of the engine's own nodes: everything here can be written to JSON and read back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Kind: TypeAlias = Literal["input", "parameter", "buffer", "constant", "op", "random", "update"]
Shapes: TypeAlias = "tuple[int, ...] | tuple[tuple[int, ...], ...]"  # several of them for an op with several outputs
LEAVES = frozenset({"input", "parameter", "buffer", "constant"})


@dataclass(slots=True, eq=False)
class Cotangent:
    """What a backward pass found at a node; `value` is None when the trace was told to keep no values."""

    sweep: int  # which backward pass of the trace, counted from 1
    shape: Shapes
    dtype: Any
    value: Any = None
    began: bool = False  # whether the pass began here: the cotangent was given, and came from no other node


@dataclass(slots=True)
class Scope:
    """One call of a layer or of a composite, or the recorded part of one backward pass."""

    path: str  # stable: the path of the enclosing scope, a slash, the name, and a number from the second call on
    kind: str  # "layer", "composite" or "backward"
    title: str  # what a drawing calls it: "bn1", "softmax"
    detail: str = ""  # what it is: "BatchNorm1d(64)"
    parent: str = ""  # path of the enclosing scope, "" at the top


@dataclass(slots=True, eq=False)
class Node:
    """One value of a computation and how it came about.

    `cotangents` is empty where no backward pass arrived: not computed, which is not the same as 0.
    """

    name: str  # stable: scope path, op, running number
    kind: Kind
    op: str | None = None
    scope: str = ""
    inputs: tuple[str | None, ...] = ()  # names of nodes; None for an argument that was None
    flows: tuple[bool, ...] = ()  # for each input, whether a gradient can travel back along it
    cut: tuple[bool, ...] = ()  # for each input, whether the program cut it off: detached, a bare array, under no_grad
    params: dict[str, Any] = field(default_factory=dict)
    shape: Shapes = ()
    dtype: Any = None
    value: Any = None  # the backend's array, or a Python number
    kept: int = 0  # bytes that the rules keep alive until the backward pass
    tracked: bool = False
    label: str | None = None  # one that begins with an underscore is for reading and makes no route
    source: str | None = None  # file:line of the user's code
    cotangents: list[Cotangent] = field(default_factory=list)
    names: tuple[str | None, ...] | None = None  # what the formula calls each input; filled in when first asked for
    formula: str | None = None  # filled in when first asked for
    rules: tuple[str | None, ...] | None = None  # for each input, the rule as text; filled in when first asked for
    locals: tuple[str | None, ...] | None = None  # for each input, the derivative itself, of elementwise ops

    @property
    def called(self) -> str | None:
        """The label as it is shown: without the underscore that says that it makes no route."""
        aside = self.label is not None and self.label[:1] == "_" and self.label[1:2].isalpha() and self.kind == "op"
        return self.label[1:] if self.label and aside else self.label

    @property
    def grad(self) -> Any:
        """The cotangent that the latest backward pass found; None means "not computed" (or no values were kept)."""
        return self.cotangents[-1].value if self.cotangents else None

    @property
    def leaf(self) -> bool:
        """Whether it was given and not computed."""
        return self.kind in LEAVES


@dataclass(frozen=True, slots=True)
class Edge:
    """`source` is argument number `index` of `target`; `flows` says whether a gradient can travel back."""

    source: str
    target: str
    index: int
    flows: bool


def ancestors(scope: str, scopes: dict[str, Scope]) -> list[str]:
    """The scopes around and including `scope`, outermost first."""
    out = []
    while scope:
        out.append(scope)
        scope = scopes[scope].parent
    return out[::-1]


def common(a: str, b: str, scopes: dict[str, Scope]) -> str:
    """The innermost scope that encloses both."""
    if a == b:
        return a
    shared = ""
    for left, right in zip(ancestors(a, scopes), ancestors(b, scopes), strict=False):
        if left != right:
            break
        shared = left
    return shared
