"""Formulas: what they look like in three notations, that no parenthesis is missing, and that they evaluate."""

from __future__ import annotations

import operator
import xml.etree.ElementTree as ET
from typing import Any

import numpy as np
import pytest

from minigrad import notation
from minigrad.notation import ONE, ZERO, Expr, cotangent, fn, formula, symbol
from minigrad.notation import shapes as s

a, b, c, g, x, y = (symbol(name) for name in "abcgxy")


neg = operator.neg


def call(show: Any, *args: Any, **params: Any) -> Expr:
    return Expr(show, args, params)


# formula, text, LaTeX
WRITTEN = [
    (a - (b - c), "a - (b - c)", r"a - \left(b - c\right)"),
    (a - b - c, "a - b - c", "a - b - c"),
    (a + (b + c), "a + (b + c)", r"a + \left(b + c\right)"),
    (a - (b + c), "a - (b + c)", r"a - \left(b + c\right)"),
    ((a * b) ** 2, "(a·b)^2", r"\left(a \cdot b\right)^{2}"),
    (a * b**2, "a·b^2", r"a \cdot b^{2}"),
    (a * (b * c), "a·(b·c)", r"a \cdot \left(b \cdot c\right)"),
    (a * (b + c), "a·(b + c)", r"a \cdot \left(b + c\right)"),
    (-(a + b), "-(a + b)", r"-\left(a + b\right)"),
    (-(a * b), "-a·b", r"-a \cdot b"),
    (-a * b, "-a·b", r"-a \cdot b"),
    (a * -b, "a·(-b)", r"a \cdot \left(-b\right)"),
    (a - -b * c, "a - (-b)·c", r"a - \left(-b\right) \cdot c"),
    (a / (b * c), "a / (b·c)", r"\frac{a}{b \cdot c}"),
    (a / b / c, "a / b / c", r"\frac{\frac{a}{b}}{c}"),
    (a / b * c, "(a / b)·c", r"\frac{a}{b} \cdot c"),
    ((a / b) ** 2, "(a / b)^2", r"\left(\frac{a}{b}\right)^{2}"),
    ((-a) ** 2, "(-a)^2", r"\left(-a\right)^{2}"),
    (-(a**2), "-a^2", r"-a^{2}"),
    (2 ** (-x), "2^(-x)", "2^{-x}"),
    ((a**b) ** c, "(a^b)^c", r"\left(a^{b}\right)^{c}"),
    (a ** (b**c), "a^(b^c)", "a^{b^{c}}"),
    (-g * y / b, "-g·y / b", r"\frac{-g \cdot y}{b}"),
    (g * (1 - y * y), "g·(1 - y·y)", r"g \cdot \left(1 - y \cdot y\right)"),
    (a @ (b @ c), "a @ (b @ c)", r"a \mathbin{@} \left(b \mathbin{@} c\right)"),
    (a @ b * c, "(a @ b)·c", r"\left(a \mathbin{@} b\right) \cdot c"),
    (a @ (b * c), "a @ (b·c)", r"a \mathbin{@} \left(b \cdot c\right)"),
    (g @ b.T, "g @ b.T", r"g \mathbin{@} b^{\top}"),
    ((a + b).T, "(a + b).T", r"\left(a + b\right)^{\top}"),
    (a.T**2, "a.T^2", r"\left(a^{\top}\right)^{2}"),
    (abs(a - b), "abs(a - b)", r"\left|a - b\right|"),
    (call(s.SQRT, a + b), "sqrt(a + b)", r"\sqrt{a + b}"),
    (call(s.SQRT, a) ** 2, "sqrt(a)^2", r"\sqrt{a}^{2}"),
    (call(fn("tanh"), -x) ** 2, "tanh(-x)^2", r"\tanh\left(-x\right)^{2}"),
    (call(fn("erf_c"), x), "erf_c(x)", r"\operatorname{erf\_c}\left(x\right)"),
    (call(fn("clip", params=("low", "high")), x, low=0.0, high=None), "clip(x, low=0)",
     r"\operatorname{clip}\left(x, \mathrm{low=0}\right)"),
    (call(s.reduction("∑", r"\sum"), a * b, axis=(0, 2)) / 2, "sum(a·b, axis=(0, 2)) / 2",
     r"\frac{\sum_{0,2} a \cdot b}{2}"),
    (g * call(s.reduction("∑"), a + b, axis=1), "g·sum(a + b, axis=1)",
     r"g \cdot \left(\sum_{1} \left(a + b\right)\right)"),
    (call(s.reduction("∑"), x, axes=(1,), keepdims=True), "sum(x, axis=1)", r"\sum_{1} x"),
    (call(s.reduction("max"), x, axis=None), "max(x)", r"\max x"),
    (x[1:3, ..., None], "x[1:3, ..., None]", r"x\left[1:3, ..., None\right]"),
    (x[y], "x[y]", r"x\left[y\right]"),
    (call(s.Indexed("spec"), x, y, g, spec=(("slice", 0, 3, None), "array", None, "array")), "x[0:3, y, None, g]",
     r"x\left[0:3, y, None, g\right]"),
    (call(s.Indexed(lambda p: (..., slice(0, p["n"]))), x * y, n=2), "(x·y)[..., 0:2]",
     r"\left(x \cdot y\right)\left[..., 0:2\right]"),
    (call(s.Indexed("spec", "put_at"), x, y, spec=("array", 1)), "put_at(x, [y, 1])",
     r"\operatorname{put\_at}\left(x, \left[y, 1\right]\right)"),
    (call(fn("scan", params=("axis", "reverse")), x, axis=0, reverse=False), "scan(x, axis=0)",
     r"\operatorname{scan}\left(x, \mathrm{axis=0}\right)"),
    ((a + b)[0], "(a + b)[0]", r"\left(a + b\right)\left[0\right]"),
    (call(s.as_is, a + b, shape=(3,)) * c, "(a + b)·c", r"\left(a + b\right) \cdot c"),
    ((a < b) == c, "(a < b) == c", r"\left(a < b\right) = c"),
    (a + 1 <= b, "a + 1 <= b", r"a + 1 \le b"),
    (call(s.WHERE, x > 0, g, ZERO), "x > 0 ? g : 0", r"\begin{cases} g & x > 0 \\ 0 & \text{otherwise} \end{cases}"),
    (call(s.WHERE, *[call(s.WHERE, c, n, y) for n in (a, b, x)]), "(c ? a : y) ? (c ? b : y) : (c ? x : y)",
     (r"\begin{cases} \begin{cases} b & c \\ y & \text{otherwise} \end{cases} & \begin{cases} a & c \\ y & "
     r"\text{otherwise} \end{cases} \\ \begin{cases} x & c \\ y & \text{otherwise} \end{cases} & "
     r"\text{otherwise} \end{cases}")),
    (2 * call(s.WHERE, c, a, b), "2·(c ? a : b)",
     r"2 \cdot \left(\begin{cases} a & c \\ b & \text{otherwise} \end{cases}\right)"),
    (call(s.infix("xor", notation.SUM), a, b), "a xor b", "a xor b"),
    (call(s.postfix("!"), a + b), "(a + b)!", r"\left(a + b\right)^{!}"),
    (call(s.prefix("~"), a + b), "~(a + b)", r"\sim \left(a + b\right)"),
    (call(s.Power(2), a + b), "(a + b)^2", r"\left(a + b\right)^{2}"),
    (call(s.Power("n"), -a, n=-0.5), "(-a)^(-0.5)", r"\left(-a\right)^{-0.5}"),
    (2.0 * x, "2·x", r"2 \cdot x"),
    (x * -0.5, "x·(-0.5)", r"x \cdot \left(-0.5\right)"),
    (-0.5 * x, "-0.5·x", r"-0.5 \cdot x"),
    (x + 1e-5, "x + 1e-5", "x + 10^{-5}"),
    (x**2.5e-7, "x^2.5e-7", r"x^{2.5 \cdot 10^{-7}}"),
    (x * np.float32(0.1), "x·0.1", r"x \cdot 0.1"),
    (x * np.inf, "x·inf", r"x \cdot \infty"),
    (x * np.zeros((2, 3)), "x·array(2, 3)", r"x \cdot \mathrm{array(2, 3)}"),
]  # fmt: skip


@pytest.mark.parametrize(("expr", "text", "latex"), WRITTEN, ids=[row[1] for row in WRITTEN])
def test_written(expr: Expr, text: str, latex: str) -> None:
    assert (expr.text(), expr.latex()) == (text, latex)
    shown = "".join(ET.fromstring(expr.mathml()).itertext())
    assert shown.count("(") - shown.count("array(") == latex.count(r"\left(")


NAMES = [
    ("x", "x", "x"),
    ("gamma", r"\gamma", "γ"),
    ("eps", r"\epsilon", "ϵ"),
    ("γ", r"\gamma", "γ"),
    ("Sigma_2", r"\Sigma_{2}", "Σ2"),
    ("weight", r"\mathrm{weight}", "weight"),
    ("running_mean", r"\mathrm{running\_mean}", "running_mean"),
    ("sum_of_squares_1", r"\mathrm{sum\_of\_squares}_{1}", "sum_of_squares1"),
    ("gamma_out_2", r"\gamma_{\mathrm{out},2}", "γout,2"),
    ("x_hat", r"\hat{x}", "x^"),
    ("x_bar_i", r"\bar{x}_{i}", "x¯i"),
    ("W1", "W_{1}", "W1"),
    ("_", r"\_", "_"),
    ("<b>", r"\mathrm{{<}b{>}}", "<b>"),
    ("a&b", r"\mathrm{a\&b}", "a&b"),
    ("100%$", r"\mathrm{100\%\$}", "100%$"),
    ("a\\end{b}", r"\mathrm{a\backslash end\{b\}}", "a\\end{b}"),
    ("a\x00\ud800b", "\\mathrm{a\x00\ud800b}", "a��b"),
    ("'\"", "\\mathrm{'\"}", "'\""),
]


@pytest.mark.parametrize(("name", "latex", "shown"), NAMES, ids=[repr(row[0]) for row in NAMES])
def test_names(name: str, latex: str, shown: str) -> None:
    expr = symbol(name)
    assert str(expr) == name
    assert expr.latex() == latex
    assert "".join(ET.fromstring(expr.mathml()).itertext()) == shown


def test_latex_of_ones_own() -> None:
    assert (symbol("g", latex=r"\bar{y}") * x).latex() == r"\bar{y} \cdot x"
    assert (symbol("q", latex="x^*") ** 2).latex() == "{x^*}^{2}"  # a second superscript is an error in TeX
    g_y = cotangent("y")
    assert (str(g_y), g_y.latex(), "".join(ET.fromstring(g_y.mathml()).itertext())) == ("g", r"\bar{y}", "y¯")
    assert cotangent().latex() == "g"
    assert x._repr_latex_() == r"$\displaystyle x$"


@pytest.mark.parametrize(
    ("short", "expected"),
    [
        (1 * x, x), (x * 1.0, x), (x * ONE, x), (ONE * x, x), (np.float64(1) * x, x), (x / 1, x), (x**1, x),
        (0 + x, x), (x + 0.0, x), (x + ZERO, x), (x - 0, x), (neg(neg(x)), x), (-ZERO, ZERO), (ONE * ONE, ONE),
        (formula(s.PRODUCT, (x, ONE)), x), (formula(s.PRODUCT, (1, x)), x),
    ],
)  # fmt: skip
def test_neutral_elements_are_not_written(short: Expr, expected: Expr) -> None:
    assert short is expected


def test_neutral_elements_are_left_out_of_a_whole() -> None:
    made = call(s.PRODUCT, call(s.PRODUCT, 1, g), call(s.POWER, call(s.QUOTIENT, x, 1), 1))
    assert (str(made), str(made.shortened())) == ("1·g·(x / 1)^1", "g·x")
    kept = x * g
    assert kept.shortened() is kept


def test_what_is_not_neutral_stays() -> None:
    row = symbol("r", shape=(1,))
    assert str(0 - x) == "-x"
    assert str(x + -y) == "x - y"
    assert str(x - -y) == "x + y"
    assert str(1 / x) == "1 / x"
    assert str(True * x) == "True·x"
    wide = row + symbol("z", shape=(3,))
    assert str(wide) == "r + z"
    assert (symbol("z", shape=(3, 1)) * ONE).shape == (3, 1)
    lone = formula(s.PRODUCT, (row, ONE), shape=(3,))  # here the 1 broadcasts: the shape would be lost
    assert str(lone) == "r·1"


# ---- evaluation ----


def test_evaluate_on_arrays() -> None:
    rng = np.random.default_rng(0)
    env = {"a": rng.normal(size=(3, 4)), "b": rng.normal(size=(4, 2)), "c": np.array([1, 0])}
    expr = ((a @ b).T[c] + a.mT[0, 1]) * (a[0, 0] < 100)
    assert np.array_equal(expr.evaluate(env), (env["a"] @ env["b"]).T[env["c"]] + env["a"].T[0, 1])
    passed = Expr(fn("take"), (a,), {"axis": 1}, lambda v, *, axis: v.sum(axis=axis))
    assert np.array_equal(passed.evaluate(env), env["a"].sum(axis=1))
    assert ONE.evaluate({}) == 1
    assert ZERO.evaluate({}) == 0
    assert (np.ones(3) * x).evaluate({"x": 2.0}).tolist() == [2, 2, 2]  # the array steps back, no array of formulas


def test_evaluate_computes_a_shared_part_once() -> None:
    calls = []
    shared = Expr(fn("f"), (x,), None, lambda v: calls.append(v) or v)
    assert (shared * shared + shared).evaluate({"x": 3}) == 12
    assert calls == [3]


def test_evaluate_objects() -> None:
    with pytest.raises(KeyError, match="no value for the symbol 'gamma' in env; did you mean 'gama'"):
        symbol("gamma").evaluate({"gama": 1})
    with pytest.raises(KeyError, match=r"env has \['q'\]"):
        symbol("x").evaluate({"q": 1})
    with pytest.raises(TypeError, match="without apply="):
        Expr(fn("f"), (x,)).evaluate({"x": 1})


# ---- depth and sharing ----


def test_ten_thousand_deep() -> None:
    left = right = x
    for _ in range(10_000):
        left, right = call(fn("f"), left), y - right
    left.apply = None
    assert left.text(None) == "f(" * 10_000 + "x" + ")" * 10_000
    assert right.text(None).count("(") == 9_999
    for form in (left, right):
        assert len(form.text()) <= 200
        assert "..." in form.text()
        assert len(form.latex()) < 20_000
        ET.fromstring(form.mathml())
    assert right.evaluate({"x": 1.0, "y": 1.0}) == 1.0


def test_shared_parts_do_not_blow_up() -> None:
    expr = x
    for _ in range(10_000):
        expr = expr + expr * y
    assert len(expr.text()) <= 200
    assert len(expr.latex()) < 20_000
    assert expr.evaluate({"x": 1.0, "y": 0.0}) == 1.0


def test_folding_keeps_what_is_near_the_root() -> None:
    expr = x
    for n in range(40):
        expr = call(fn("tanh"), symbol(f"w_{n}") * expr + 1)
    assert expr.text(60) == "tanh(w_39·tanh(w_38·tanh(w_37·tanh(... + 1) + 1) + 1) + 1)"
    assert r"\ldots" in expr.latex(60)
    assert symbol("n" * 50).text(20) == "n" * 17 + "..."


# ---- the symbol as an object ----


def test_shapes_are_inferred() -> None:
    m, v = symbol("m", shape=(3, 4), dtype="float32"), symbol("v", shape=(4,), dtype="float32")
    rows = [
        (m * v, (3, 4)), (2 - m, (3, 4)), (-m, (3, 4)), (m.T, (4, 3)), (m @ v, (3,)), (v @ m.T, (3,)),
        (m @ m.mT, (3, 3)),         (m[0], (4,)), (m[:, 1:3], (3, 2)), (m[..., None], (3, 4, 1)),
        (m[None, ..., -1], (1, 3)), (m[::2, 0], (2,)),
        (m < v, (3, 4)), (m + x, None), (m[symbol("i")], None), (m[np.array([0])], None), (m**2, (3, 4)),
    ]  # fmt: skip
    assert [expr.shape for expr, _ in rows] == [shape for _, shape in rows]
    pair = Expr(fn("eigh"), (m,), None, None, ((3,), (3, 3)), ("float32", "float64"))  # several outputs
    assert [(part.shape, part.dtype, str(part)) for part in (pair[0], pair[1])] == [
        ((3,), "float32", "eigh(m)[0]"),
        ((3, 3), "float64", "eigh(m)[1]"),
    ]
    assert (m.ndim, m.size, (m * v).dtype, (2 * m).dtype, (m + x).dtype) == (2, 12, "float32", "float32", None)


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (lambda: bool(x > 0), TypeError, "x > 0 is a formula and has no truth value; write mg.where"),
        (lambda: np.asarray(x), TypeError, "holds no array"),
        (lambda: list(x), TypeError, "not iterable"),
        (lambda: x.ndim, AttributeError, r"the shape of x is not known; .*symbol\(name, shape=...\)"),
        (lambda: symbol("x", (2,)) + symbol("y", (3,)), ValueError, r"shapes \(2,\) and \(3,\) do not broadcast"),
        (lambda: symbol("x", (2, 3)) @ symbol("y", (2, 3)), ValueError, r"\(2, 3\) and \(2, 3\) do not multiply"),
        (lambda: symbol("x", (3,)).mT, ValueError, r"mT swaps the last two axes, and x of shape \(3,\) has 1"),
        (lambda: symbol("x", (3,))[3], IndexError, "index 3 is out of bounds for axis 0"),
        (lambda: symbol("x", (3,))[0, 0], IndexError, "2 indices for a symbol of shape"),
        (lambda: symbol(""), ValueError, "name must have at least one character"),
    ],
)
def test_errors_teach(wrong: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        wrong()


def test_a_symbol_is_compared_by_identity_in_tables() -> None:
    table = {x: 1, y: 2}
    assert (table[x], table[y]) == (1, 2)
    assert isinstance(x == y, Expr)
    assert isinstance(x != y, Expr)
    assert repr(symbol("x", (2,)) + 1) == "Expr('x + 1', shape=(2,))"
    with pytest.raises(AttributeError):
        x.colour = "red"  # type: ignore[attr-defined]
