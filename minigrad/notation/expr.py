"""Expr: a formula, what a minigrad function answers when it is called with symbols.

The rules that the backward sweep runs are run on symbols to label the edges of a drawing, so a formula cannot drift
from the code. An Expr is never changed after it is made, has no value, and is compared by identity.
"""

from __future__ import annotations

import math
import numbers
import operator
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from minigrad.notation import shapes
from minigrad.notation.dims import Dims, broadcast, indexed_shape, matmul_shape, shape_of
from minigrad.notation.layouts import Atom, Shape
from minigrad.notation.names import spell_name
from minigrad.notation.printers import write_latex, write_mathml, write_text


class Expr:
    """A formula over symbols: a shape that says how it is written, its operands and its parameters.

    `apply(*args, **params)` computes it on arrays; `shape` and `dtype` are None where they are not known.
    Operators give formulas (with 1·x, x + 0 and --x written as x), comparisons too, so `a == b` is a formula.
    Where `exact` is not None, that formula is what is computed, and this one how it is written (`written_as`).

    >>> g, y = symbol("g"), symbol("y")
    >>> str(g * (1 - y * y))
    'g·(1 - y·y)'
    """

    __slots__ = ("apply", "args", "dtype", "exact", "params", "shape", "show")
    __array_ufunc__ = None  # ndarray <op> Expr defers to the reflected operator here
    __iter__ = None
    __contains__ = None

    def __init__(
        self,
        show: Shape,
        args: tuple[Any, ...] = (),
        params: Mapping[str, Any] | None = None,
        apply: Callable[..., Any] | None = None,
        shape: Dims | None = None,
        dtype: Any = None,
    ) -> None:
        self.show = show
        self.args = tuple(args)
        self.params = params
        self.apply = apply
        self.shape = shape
        self.dtype = dtype
        self.exact: Expr | None = None

    # ---- operators: the same shapes as the primitives of the same name ----

    def __add__(self, other: Any) -> Expr:
        return _binary(shapes.SUM_OF, operator.add, self, other)

    def __radd__(self, other: Any) -> Expr:
        return _binary(shapes.SUM_OF, operator.add, other, self)

    def __sub__(self, other: Any) -> Expr:
        return _binary(shapes.DIFFERENCE, operator.sub, self, other)

    def __rsub__(self, other: Any) -> Expr:
        return _binary(shapes.DIFFERENCE, operator.sub, other, self)

    def __mul__(self, other: Any) -> Expr:
        return _binary(shapes.PRODUCT, operator.mul, self, other)

    def __rmul__(self, other: Any) -> Expr:
        return _binary(shapes.PRODUCT, operator.mul, other, self)

    def __truediv__(self, other: Any) -> Expr:
        return _binary(shapes.QUOTIENT, operator.truediv, self, other)

    def __rtruediv__(self, other: Any) -> Expr:
        return _binary(shapes.QUOTIENT, operator.truediv, other, self)

    def __pow__(self, other: Any) -> Expr:
        return _binary(shapes.POWER, operator.pow, self, other)

    def __rpow__(self, other: Any) -> Expr:
        return _binary(shapes.POWER, operator.pow, other, self)

    def __matmul__(self, other: Any) -> Expr:
        return _binary(shapes.MATMUL, operator.matmul, self, other)

    def __rmatmul__(self, other: Any) -> Expr:
        return _binary(shapes.MATMUL, operator.matmul, other, self)

    def __lt__(self, other: Any) -> Expr:
        return _binary(shapes.LESS, operator.lt, self, other)

    def __le__(self, other: Any) -> Expr:
        return _binary(shapes.LESS_EQUAL, operator.le, self, other)

    def __gt__(self, other: Any) -> Expr:
        return _binary(shapes.GREATER, operator.gt, self, other)

    def __ge__(self, other: Any) -> Expr:
        return _binary(shapes.GREATER_EQUAL, operator.ge, self, other)

    def __eq__(self, other: object) -> Expr:  # type: ignore[override]  # a comparison of symbols is a formula
        return _binary(shapes.EQUAL, operator.eq, self, other)

    def __ne__(self, other: object) -> Expr:  # type: ignore[override]  # a comparison of symbols is a formula
        return _binary(shapes.NOT_EQUAL, operator.ne, self, other)

    __hash__ = object.__hash__

    def __neg__(self) -> Expr:
        return formula(shapes.NEGATE, (self,), apply=operator.neg, shape=self.shape, dtype=self.dtype)

    def __abs__(self) -> Expr:
        return formula(shapes.ABS, (self,), apply=operator.abs, shape=self.shape, dtype=self.dtype)

    def __getitem__(self, index: Any) -> Expr:
        outputs: Any = self.shape
        if isinstance(index, int) and outputs and isinstance(outputs[0], tuple):  # one output of several
            dtype = self.dtype[index] if isinstance(self.dtype, tuple) else self.dtype
            return Expr(shapes.indexed, (self,), {"index": index}, _take, outputs[index], dtype)
        if isinstance(index, Expr) or (isinstance(index, tuple) and any(isinstance(i, Expr) for i in index)):
            index = index if isinstance(index, tuple) else (index,)
            return Expr(shapes.indexed, (self, *index), None, _take, None, self.dtype)
        return Expr(shapes.indexed, (self,), {"index": index}, _take, indexed_shape(self.shape, index), self.dtype)

    # ---- shape ----

    @property
    def ndim(self) -> int:
        return len(self._known())

    @property
    def size(self) -> int:
        return math.prod(self._known())

    @property
    def T(self) -> Expr:
        """All axes reversed."""
        shape = None if self.shape is None else self.shape[::-1]
        return formula(shapes.TRANSPOSE, (self,), apply=_reverse, shape=shape, dtype=self.dtype)

    @property
    def mT(self) -> Expr:
        """The last two axes swapped; ValueError for a shape that has fewer."""
        shape = self.shape
        if shape is not None:
            if len(shape) < 2:
                raise ValueError(f"mT swaps the last two axes, and {self.text(40)} of shape {shape} has {len(shape)}")
            shape = (*shape[:-2], shape[-1], shape[-2])
        return formula(shapes.TRANSPOSE, (self,), apply=_swap, shape=shape, dtype=self.dtype)

    def _known(self) -> Dims:
        if self.shape is None:
            raise AttributeError(
                f"the shape of {self.text(40)} is not known; give it where the symbol is made: symbol(name, shape=...)"
            )
        return self.shape

    # ---- what a symbol is not ----

    def __bool__(self) -> NoReturn:
        raise TypeError(
            f"{self.text(60)} is a formula and has no truth value; write mg.where(condition, a, b) in place of `if`, "
            "or evaluate(...) it with values first"
        )

    def __array__(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError(
            f"{self.text(60)} is a formula and holds no array; use minigrad's own functions on it, "
            "or evaluate(...) it with values first"
        )

    # ---- values and notations ----

    def evaluate(self, env: Mapping[str, Any]) -> Any:
        """The value of the formula with the symbols' values from `env`, by name; by a loop, each shared part once.

        KeyError for a symbol that `env` lacks, TypeError for a formula made without `apply`.

        >>> x = symbol("x")
        >>> ((x + 1) ** 2).evaluate({"x": 2.0})
        9.0
        """
        values: dict[Expr, Any] = {}
        for expr in bottom_up(self, exact=True):
            if expr.exact is not None:
                values[expr] = values[expr.exact]
                continue
            if isinstance(expr.show, Atom):
                values[expr] = _leaf_value(expr.show, env)
                continue
            if expr.apply is None:
                raise TypeError(f"{expr.text(60)} was made without apply=, so it can be shown and not evaluated")
            args = [values[a] if isinstance(a, Expr) else a for a in expr.args]
            values[expr] = expr.apply(*args, **(expr.params or {}))
        return values[self]

    def shortened(self) -> Expr:
        """The same without everything that `formula` leaves out, however deep it stands."""
        done: dict[Expr, Expr] = {}
        for e in bottom_up(self):
            args = tuple(done[a] if isinstance(a, Expr) else a for a in e.args)
            short = _shortened(e.show, args, e.shape)
            if short is None and any(a is not b for a, b in zip(args, e.args, strict=True)):
                short = Expr(e.show, args, e.params, e.apply, e.shape, e.dtype)
                short.exact = e.exact
            done[e] = e if short is None else short
        return done[self]

    def text(self, limit: int | None = 200) -> str:
        """One line of plain text; parts that would pass `limit` characters are folded to `...` (None: no limit)."""
        return write_text(self, limit)

    def latex(self, limit: int | None = 1000) -> str:
        """LaTeX, without delimiters; folded where its text would pass `limit` characters (None: no limit)."""
        return write_latex(self, limit)

    def mathml(self, limit: int | None = 1000) -> str:
        """A presentation MathML element; folded where its text would pass `limit` characters (None: no limit)."""
        return write_mathml(self, limit)

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        known = "" if self.shape is None else f", shape={self.shape}"
        return f"Expr({self.text()!r}{known})"

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.latex()}$"


def symbol(name: str, shape: Dims | None = None, dtype: Any = None, latex: str | None = None) -> Expr:
    r"""A symbol: a name that stands for an array, of a shape and dtype if they are known.

    Greek letters are known by name, `_x` at the end is a subscript, `_hat` and `_bar` are accents; `latex` overrides.

    >>> symbol("gamma_1").latex(), symbol("g", latex=r"\bar{y}").latex()
    ('\\gamma_{1}', '\\bar{y}')
    """
    if not name:
        raise ValueError("name must have at least one character, got ''")
    return Expr(shapes.name_shape(name, latex), shape=None if shape is None else tuple(shape), dtype=dtype)


def cotangent(of: str | None = None, shape: Dims | None = None, dtype: Any = None) -> Expr:
    r"""The symbol `g` of a cotangent; with `of` it is written as that name under a bar in LaTeX and MathML.

    >>> g = cotangent("y")
    >>> str(g), g.latex()
    ('g', '\\bar{y}')
    """
    if of is None:
        return symbol("g", shape, dtype)
    inner = spell_name(of)
    ml = f'<mover accent="true">{inner.mathml}<mo>¯</mo></mover>'
    leaf = Atom(inner._replace(text="g", latex=rf"\bar{{{inner.latex}}}", mathml=ml))
    return Expr(leaf, shape=None if shape is None else tuple(shape), dtype=dtype)


ONE = Expr(shapes.number_shape(1), shape=())
ZERO = Expr(shapes.number_shape(0), shape=())


def formula(
    show: Shape,
    args: tuple[Any, ...],
    params: Mapping[str, Any] | None = None,
    apply: Callable[..., Any] | None = None,
    shape: Dims | None = None,
    dtype: Any = None,
) -> Expr:
    """As Expr(...), with what needs no writing left out: 1·x, x·1, x / 1, x^1, x + 0, 0 + x, x - 0 and --x are x;
    a + (-b) is a - b.

    An operand is only returned in place of the formula when no shape is lost by it.

    >>> x = symbol("x")
    >>> formula(shapes.PRODUCT, (ONE, x)) is x
    True
    """
    short = _shortened(show, args, shape)
    return Expr(show, args, params, apply, shape, dtype) if short is None else short


def _shortened(show: Shape, args: tuple[Any, ...], shape: Dims | None) -> Expr | None:
    found: Any = None
    if show is shapes.NEGATE:
        (a,) = args
        if isinstance(a, Expr) and a.show is shapes.NEGATE:
            found = a.args[0]
        elif isinstance(a, Expr) and _constant(a) == 0:
            found = a
    elif len(args) == 2 and show in _NEUTRAL:
        a, b = args
        left, right = _NEUTRAL[show]
        if right is not None and _constant(b) == right:
            found = a
        elif left is not None and _constant(a) == left:
            found = b
        elif show is shapes.DIFFERENCE and _constant(a) == 0 and isinstance(b, Expr):
            found = -b
        elif isinstance(b, Expr) and b.show is shapes.NEGATE and show in (shapes.SUM_OF, shapes.DIFFERENCE):
            found = operator.sub(a, b.args[0]) if show is shapes.SUM_OF else operator.add(a, b.args[0])
    if isinstance(found, numbers.Real):
        found = Expr(shapes.number_shape(float(found)), shape=())
    if isinstance(found, Expr) and (shape is None or found.shape is None or found.shape == shape):
        return found
    return None


# shape -> the neutral element on its left and on its right
_NEUTRAL: dict[Shape, tuple[int | None, int | None]] = {
    shapes.PRODUCT: (1, 1),
    shapes.SUM_OF: (0, 0),
    shapes.DIFFERENCE: (None, 0),
    shapes.QUOTIENT: (None, 1),
    shapes.POWER: (None, 1),
}


def _constant(value: Any) -> Any:
    """The number that `value` is, or None."""
    if isinstance(value, Expr):
        return value.show.value if isinstance(value.show, Atom) else None
    if isinstance(value, bool):
        return None
    return value if isinstance(value, numbers.Real) else None


def _binary(show: Shape, apply: Callable[[Any, Any], Any], a: Any, b: Any) -> Expr:
    a_shape, b_shape = shape_of(a), shape_of(b)
    shape = None
    if a_shape is not None and b_shape is not None:
        shape = (matmul_shape if show is shapes.MATMUL else broadcast)(a_shape, b_shape)
    a_type, b_type = getattr(a, "dtype", None), getattr(b, "dtype", None)
    if isinstance(a, numbers.Number) or a_type == b_type:
        dtype = b_type
    else:
        dtype = a_type if isinstance(b, numbers.Number) else None
    return formula(show, (a, b), None, apply, shape, None if show in _COMPARISONS else dtype)


_COMPARISONS = frozenset(
    (shapes.LESS, shapes.LESS_EQUAL, shapes.GREATER, shapes.GREATER_EQUAL, shapes.EQUAL, shapes.NOT_EQUAL)
)


def _take(a: Any, *index: Any, **params: Any) -> Any:
    return a[params["index"]] if params else a[index if len(index) > 1 else index[0]]


def _reverse(a: Any) -> Any:
    return a.T


def _swap(a: Any) -> Any:
    return a.mT


def _leaf_value(leaf: Atom, env: Mapping[str, Any]) -> Any:
    if leaf.value is not None:
        return leaf.value
    name = leaf.spelling.text
    if name in env:
        return env[name]
    import difflib  # only for the message

    near = difflib.get_close_matches(name, list(env), 1)
    hint = f"; did you mean {near[0]!r}?" if near else f"; env has {sorted(env)}"
    raise KeyError(f"no value for the symbol {name!r} in env{hint}")


def operands(expr: Expr, *, exact: bool) -> tuple[Any, ...]:
    """What a formula is written with, or what it is computed from."""
    return expr.args if expr.exact is None or not exact else (expr.exact,)


def bottom_up(root: Expr, *, exact: bool = False) -> list[Expr]:
    """Every formula under `root`, operands before what uses them, each once; with `exact` those that are computed."""
    order: list[Expr] = []
    seen: set[Expr] = set()
    stack: list[tuple[Expr, bool]] = [(root, False)]
    while stack:
        expr, ready = stack.pop()
        if ready:
            order.append(expr)
        elif expr not in seen:
            seen.add(expr)
            stack.append((expr, True))
            stack += [(a, False) for a in operands(expr, exact=exact) if isinstance(a, Expr) and a not in seen]
    return order
