"""Primitive: a forward function, declared once with one rule for each input.

A rule asks for what it needs by argument name: `g` the cotangent (always first), `y` the output, any input or parameter
of the forward, `like` the shape and dtype of the rule's own input, and in a variadic primitive `i`, the position of
that input. What no rule of a tracked input names is not kept alive. `None` in place of a rule means no gradient.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from minigrad.errors import DeclarationError, ShapeError

Kind: TypeAlias = Literal["map", "reduce", "view", "opaque"]
Rule: TypeAlias = "Callable[..., Any] | None"
RESERVED = frozenset({"g", "y", "like", "xp", "i"})

PRIMITIVES: dict[str, Primitive] = {}


class Aval(NamedTuple):
    """Shape and dtype of an array: all that inference needs to know of it."""

    shape: tuple[int, ...]
    dtype: Any

    @property
    def ndim(self) -> int:
        return len(self.shape)


class Pull(NamedTuple):
    """A rule and what it asks for besides `g`, in order."""

    rule: Callable[..., Any]
    asks: tuple[tuple[str, int | str], ...]  # ("saved", slot) | ("param", name) | ("like", "") | ("i", "")


class Fold(NamedTuple):
    """A reduction as a loop: each element is turned into `element` (C over `{x}`), and they are joined by `operator`:
    "+", "*", "&&", "||", or "max" and "min", which are the primitives maximum and minimum, so that NaN wins.

    `identity` is what no elements give; -inf and inf stand for the lowest and highest number of integers. How widely
    the loop accumulates is up to who writes it: at least in float32, and never worse than `Backend.sum`.
    """

    operator: str
    identity: float
    element: str = "{x}"


class Primitive:
    """One operation as the engine knows it. Made by `@primitive` (core/declare.py), which returns the function that
    users call.

    `kind` says how its result relates to its inputs: "map" is elementwise with broadcasting, "reduce" folds the axes in
    its parameter `axes`, "view" rearranges, "opaque" is anything else; `infer` gives the shape and dtype of a view, an
    opaque result, or a map that reads no input, from those of the inputs.

    For a compiler: `c` is a map's expression in C over `{input}` and `{parameter}` names, `{T}`, the type of the
    result, and `{i}`, the place of the element in C order. It is computed in the type that `computes_in` gives, to
    which inputs are converted first; float16 is computed in float and rounded once, when the result is stored.
    Functions have their names in <tgmath.h>, which takes the one for float or for double. Where kinds of numbers
    differ, `c` is a mapping from letters ("f" floats, "i" and "u" integers, "b" booleans, as in "iu") to expressions,
    and what it lacks has none; under "raw", inputs are not converted. No expression traps: an integer divided by 0 is
    0, and signed integers wrap as in NumPy (-fwrapv). `reduce`, a `Fold`, says the same of a reduction. `opens` is a
    composition of other primitives, with the same arguments, by which a compiler may replace the operation.
    """

    __slots__ = (
        "c", "call", "defaults", "differentiable", "doc", "forward", "infer_with", "inputs", "kind", "name",
        "needs", "opens", "outputs", "pulls", "quick", "reduce", "rules", "samples", "show",
        "signature", "variadic", "whole",
    )  # fmt: skip

    def __init__(
        self,
        forward: Callable[..., Any],
        rules: tuple[Rule, ...],
        *,
        name: str,
        show: Any,
        samples: Any,
        kind: Kind,
        c: str | Mapping[str, str] | None,
        reduce: tuple[str, float] | tuple[str, float, str] | None = None,
        opens: Callable[..., Any] | None = None,
        infer: Callable[..., Any] | None,
        outputs: int,
    ) -> None:
        self.name, self.forward, self.rules, self.show, self.samples = name, forward, rules, show, samples
        self.kind, self.c, self.reduce, self.opens = kind, c, None if reduce is None else Fold(*reduce), opens
        self.infer_with, self.outputs, self.doc = infer, outputs, inspect.getdoc(forward) or ""
        self.signature = signature = inspect.signature(forward)
        parameters = list(signature.parameters.values())[1:]
        self.inputs = tuple(p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD)
        star = [p.name for p in parameters if p.kind is p.VAR_POSITIONAL]
        self.variadic = star[0] if star else None
        self.defaults = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
        slots = ("y", *self.inputs, *star)
        self._check(slots)
        pulls = [None if rule is None else self._pull(rule, slots) for rule in rules]
        self.pulls: tuple[Pull | None, ...] = tuple(pulls)
        self.needs = tuple(frozenset(v for kind, v in p.asks if kind == "saved") if p else frozenset() for p in pulls)
        self.differentiable = any(p is not None for p in pulls)
        self.whole: Callable[..., None] | None = None  # pulls to all inputs at once, where rules one by one do not do
        self.quick: Callable[..., None] | None = None  # the same as `sweep.pull`, quicker: see core/quick.py
        self.call: Callable[..., Any] = self  # replaced by the function that users call

    def _check(self, slots: tuple[str, ...]) -> None:
        clash = RESERVED & {*slots[1:], *self.defaults}
        if clash:
            raise DeclarationError(
                f"primitive {self.name!r}: {sorted(clash)} are names of the contract and cannot name an input or "
                "parameter"
            )
        if self.rules and len(self.rules) != len(slots) - 1:
            raise DeclarationError(
                f"primitive {self.name!r} has inputs {slots[1:]} but {len(self.rules)} rules; give one each, None "
                "for no gradient"
            )
        if self.kind == "reduce" and "axes" not in self.defaults:
            raise DeclarationError(f"primitive {self.name!r}: a reduce needs the keyword parameter `axes`")
        if (self.kind == "reduce") != (self.reduce is not None):
            raise DeclarationError(
                f"primitive {self.name!r}: kind='reduce' and reduce=(operator, identity, element) go together"
            )
        if self.kind in ("view", "opaque") and self.infer_with is None:
            raise DeclarationError(
                f"primitive {self.name!r}: kind={self.kind!r} needs infer=, which gives the result's shape and dtype"
            )
        if self.name in PRIMITIVES:
            raise DeclarationError(f"primitive {self.name!r} is declared twice")

    def _pull(self, rule: Any, slots: tuple[str, ...]) -> Pull:
        code = rule.__code__  # inspect.signature takes 40 us, and an import declares some two hundred rules
        asked = code.co_varnames[: code.co_argcount]
        if asked[:1] != ("g",):
            raise DeclarationError(
                f"primitive {self.name!r}: a rule takes the cotangent `g` first, this one takes {list(asked)}"
            )
        asks: list[tuple[str, int | str]] = []
        for name in asked[1:]:
            if name in slots:
                asks.append(("saved", slots.index(name)))
            elif name in self.defaults:
                asks.append(("param", name))
            elif name == "like" or (name == "i" and self.variadic):
                asks.append((name, ""))
            else:
                raise DeclarationError(
                    f"primitive {self.name!r}: a rule asks for {name!r}; it may ask for "
                    f"{[*slots, *self.defaults, 'like']}"
                )
        return Pull(rule, tuple(asks))

    def pull_for(self, k: int) -> tuple[Pull | None, frozenset[Any]]:
        """The rule of input number k and the slots that it reads; all variadic inputs share the last rule."""
        k = min(k, len(self.pulls) - 1)
        return (self.pulls[k], self.needs[k]) if self.pulls else (None, frozenset())

    def __call__(self, *args: Any, **params: Any) -> Any:
        return self.call(*args, **params)

    def __repr__(self) -> str:
        return f"<primitive {self.name!r}>"

    def infer(self, *avals: Any, **params: Any) -> Any:
        """Shape and dtype of the result for inputs of these shapes and dtypes (anything with `.shape` and `.dtype`;
        Python scalars as they are), as an Aval, or a tuple of them. Raises ShapeError where the inputs do not fit.
        """
        params = self.defaults | params
        if self.infer_with is not None:
            out = self.infer_with(*avals, **params)
            return tuple(Aval(tuple(s), d) for s, d in out) if self.outputs > 1 else Aval(tuple(out[0]), out[1])
        shapes = [tuple(a.shape) for a in avals if hasattr(a, "shape")]
        if self.kind == "map":
            return Aval(self._broadcast(shapes), self._dtype(avals, params))
        (shape,), axes, keepdims = shapes, params["axes"], params.get("keepdims", False)
        reduced = tuple(1 if i in axes else n for i, n in enumerate(shape) if keepdims or i not in axes)
        return Aval(reduced, self._dtype(avals, {**params, "axes": ()} if "axes" in params else params))

    def expression(self, kind: str) -> str | None:
        """The expression in C for numbers of one kind ("f", "i", "u" or "b"), or None where there is none."""
        if self.c is None or isinstance(self.c, str):
            return self.c
        return next((c for letters, c in self.c.items() if letters == "raw" or kind in letters), None)

    def computes_in(self, *avals: Any, **params: Any) -> Any:
        """The dtype in which a map is computed: the result's, and for a boolean result what the inputs promote to."""
        dtype = self.infer(*avals, **params).dtype
        given = [a.dtype if hasattr(a, "dtype") else a for a in avals]
        return np.result_type(*given) if np.dtype(dtype).kind == "b" and given else np.dtype(dtype)

    def _broadcast(self, shapes: list[tuple[int, ...]]) -> tuple[int, ...]:
        try:
            return np.broadcast_shapes(*shapes)
        except ValueError:
            named = ", ".join(f"{n} {s}" for n, s in zip((*self.inputs, *"…" * len(shapes)), shapes, strict=False))
            raise ShapeError(
                f"{self.name}: shapes {named} do not broadcast: compared from the last axis on, two sizes must be "
                "equal or one of them 1; "
                "reshape one of them, or add an axis with x[:, None]"
            ) from None

    def _dtype(self, avals: tuple[Any, ...], params: dict[str, Any]) -> Any:
        if any(hasattr(a, "dtype") and a.dtype is None for a in avals):
            return None
        ones = [np.ones((), a.dtype) if hasattr(a, "dtype") else a for a in avals]
        with np.errstate(all="ignore"):
            return np.asarray(self.forward(np, *ones, **params)).dtype
