"""Functions that NumPy has as well: the same results, dtypes, shapes and kinds of errors, over dtypes, shapes and axes.

Where minigrad means to differ, the table of docs/conventions.md says so, and each row of it is seen to be true.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import Any

import numpy as np
import pytest
from house import ROOT

import minigrad as mg

DTYPES = ("bool", "int32", "int64", "float16", "float32", "float64")
SHAPES: tuple[tuple[int, ...], ...] = ((), (3,), (0,), (2, 3), (2, 0, 3), (2, 3, 4))
Arguments = tuple[tuple[Any, ...], dict[str, Any]]
_DRAW = np.random.default_rng(5)


def array(shape: tuple[int, ...], dtype: str) -> np.ndarray[Any, Any]:
    """Halves from -3 to 3, some of them 0, which every dtype holds."""
    values = np.asarray(np.round(_DRAW.uniform(-3, 3, shape) * 2) / 2)
    return np.asarray(values > 0 if dtype == "bool" else values.astype(dtype))


A = {(shape, dtype): array(shape, dtype) for shape in SHAPES for dtype in DTYPES}

UNARY = (
    "abs acos acosh asin asinh atan atanh cbrt ceil cos cosh exp exp2 expm1 floor isfinite isinf isnan log log10 log1p "
    "log2 logical_not nan_to_num negative positive reciprocal round sign sin sinh sqrt square tan tanh trunc"
).split()
BINARY = (
    "add atan2 divide equal floor_divide greater greater_equal hypot less less_equal logaddexp logical_and logical_or "
    "logical_xor maximum minimum multiply not_equal power remainder subtract"
).split()
REDUCTIONS = "all any count_nonzero max mean min prod std sum var".split()
ALONG_ONE = "argmax argmin argsort cumprod cumsum sort".split()
OUT_OF_RANGE = (5, -4)


def unary(_: str) -> Iterator[Arguments]:
    for a in A.values():
        yield (a,), {}


def binary(_: str) -> Iterator[Arguments]:
    for (s, t), d, e in itertools.product(
        [((2, 3), (3,)), ((), (3,)), ((2, 3), (0,)), ((0,), ()), ((2, 3), (2, 3, 4))], DTYPES, DTYPES
    ):
        if d == e == "bool" and (s, t) in (((2, 3), (2, 3, 4)), ((2, 3), (0,))):
            continue  # two mistakes at once
        yield (A[s, d], A[t, e]), {}
    for d, number in itertools.product(DTYPES, (2, -1.5, True)):
        yield (A[(3,), d], number), {}
        yield (number, A[(3,), d]), {}


def reductions(name: str) -> Iterator[Arguments]:
    several: tuple[Any, ...] = () if name in ALONG_ONE else ((0, -1), (0, 0), ())
    for a in A.values():
        for axis in (None, 0, -1, 1, *OUT_OF_RANGE, *several):
            for keepdims in ({}, {"keepdims": True}) if name not in ("argsort", "cumprod", "cumsum", "sort") else ({},):
                yield (a,), {"axis": axis, **keepdims}


def flipped(_: str) -> Iterator[Arguments]:
    for a in A.values():
        for axis in (None, 0, -1, (0, -1), (), 5):
            yield (a,), {"axis": axis}


REST: dict[str, tuple[tuple[Any, ...], ...]] = {
    "broadcast_to": tuple((s,) for s in ((4, 2, 3), (2, 3), (3,), (2, 3, 4), 5, (0,), (2, 0, 3), (-1,))),
    "reshape": tuple((s,) for s in ((3, 2), (-1,), (6, -1), (-1, -1), (), (0,), (2, -3))),
    "permute_dims": tuple((a,) for a in ((1, 0), (0, 1, 2), (2, 0, 1), (0, 0), (), (0, 9), (-1, 0))),
    "expand_dims": tuple((a,) for a in (0, -1, 1, (0, -1), (0, 0), 7, (0, 2))),
    "squeeze": ((), *((a,) for a in (0, -1, (0, -1), 7))),
    "moveaxis": ((0, -1), ((0, 1), (1, 0)), (0, 9), ((0, 0), (0, 1)), ((0, 1), 0)),
    "swapaxes": ((0, 1), (-1, 0), (0, 0), (0, 9)),
    "roll": ((1, None), (-7, 0), ((1, 2), (0, 1)), (1, (0, 1)), ((1, 2), 0), (1, 9), ((1, 2), None)),
    "repeat": ((2, None), ((1, 2), 0), (0, 0), (-1, 0), (2, 9), ((1, 2, 3), 0), ([2], 0)),
    "tile": tuple((r,) for r in (2, (2, 1), (1, 2, 1, 2), 0, -1, ())),
    "split": ((1, 0), (2, 0), (3, 1), ((1,), 0), ((1, 5), 0), ((0, 1), -1), ((2, 1), 0), ((-1,), 0), (0, 0), (2, 9)),
    "take": ((0, None), ([0, 1], 0), ([[0, -1]], 1), (9, 0), ([9], None), ([], 0), (np.array([0, 1]), -1), (0, 9)),
    "diagonal": tuple((k, *axes) for k in (0, 1, -1, 7) for axes in ((), (1, -1), (1, 1))),
    **dict.fromkeys(("tril", "triu"), ((0,), (1,), (-1,), (7,))),
    "clip": ((-1, 1), (None, 1), (0, None), (1.5, 0), (None, None)),
    "round": ((0,), (1,), (-1,), (2,)),
    "matrix_transpose": ((),), "linalg.trace": ((),), "linalg.norm": ((),),
    "pad": tuple((w,) for w in (1, (1, 2), ((0, 1),), ((0, 1), (1, 0)), ((0, 1), (1, 0), (2, 2)), -1, 0)),
    "astype": tuple((d,) for d in ("float32", "int64", "bool", "complex64", "nonsense")),
    "matmul": tuple((A[s, "float32"],) for s in ((2, 3), (3,), (2, 3, 4))),
    "outer": ((A[(3,), "float32"],),),
    "tensordot": tuple((A[(2, 3), "float64"], k) for k in (0, 1, 2, 3, ((0,), (0,)), ((0, 1), (0, 1)), -1)),
    "where": ((1.5, 2), (A[(3,), "float16"], 0)),
}  # fmt: skip
"""Other arguments of functions of one array first."""


def rest(name: str) -> Iterator[Arguments]:
    for a in A.values():
        for more in REST[name]:
            for mode in ({"mode": m} for m in ("constant", "edge", "reflect")) if name == "pad" else ({},):
                yield (a, *more), mode


def products(_: str) -> Iterator[Arguments]:
    for d, e in itertools.product(DTYPES, DTYPES):
        for s, t in (((2, 3), (3,)), ((3,), (2, 3)), ((2, 3), (2, 3)), ((0,), (0,)), ((2, 3), (2, 3, 4)), ((), (3,))):
            if (s, t) != ((2, 3), (3,)) or d == e:
                yield (A[s, d], A[t, e]), {}


CREATION: dict[str, tuple[tuple[Any, ...], ...]] = {
    "arange": ((3,), (0,), (-2,), (1, 5), (5, 1), (1, 5, 2), (0, 1, 0.25), (5, 1, -2), (2.5,), (3.0,)),
    "linspace": ((0, 1), (0, 1, 5), (2.5, -1, 4), (0, 1, 0), (0, 1, 1), (3, 3, 3), (0, 1, -1), (0, 1, 2.5)),
    "eye": ((2,), (2, 3), (0,), (-1,), (2, -1)),
    **dict.fromkeys(("zeros", "ones"), (((),), (3,), ((2, 0),), ((-1,),), ("a",), (1.5,), ((2.0,),))),
    **dict.fromkeys(("zeros_like", "ones_like"), tuple((A[s, d],) for s in ((2, 3), (), (0,)) for d in DTYPES)),
    "full_like": tuple((A[(2, 3), d], v) for d in DTYPES for v in (1, True, np.float32(2))),
    "full": tuple((s, v) for s in ((), 3, (2, 0), (-1,)) for v in (1, 1.5, True, np.float32(2))),
}  # fmt: skip


def creation(name: str) -> Iterator[Arguments]:
    for arguments in CREATION[name]:
        yield arguments, {}
        yield arguments, {"dtype": "int32"}


CASES: dict[str, Callable[[str], Iterator[Arguments]]] = {
    **dict.fromkeys(UNARY, unary),
    **dict.fromkeys(BINARY, binary),
    **dict.fromkeys((*REDUCTIONS, *ALONG_ONE), reductions),
    **dict.fromkeys(REST, rest),
    **dict.fromkeys(CREATION, creation),
    "flip": flipped,
    "vecdot": products,
}

# ---- where minigrad means to differ


def _empty(x: Any, axis: Any = None) -> bool:
    axes = range(x.ndim) if axis is None else np.atleast_1d(axis)
    return x.size == 0 and all(-x.ndim <= a < x.ndim for a in axes)


DECIDED: dict[str, Callable[..., bool]] = {
    "x.sum(axis)": lambda name, x, *rest, **k: np.ndim(x) == 0 and name in (*REDUCTIONS, *ALONG_ONE),
    "squeeze(x, axis)": lambda name, x, *rest: name in ("squeeze", "repeat", "take") and np.ndim(x) == 0,
    "mean(x)": lambda name, x, **k: name in ("mean", "std", "var") and _empty(x, k["axis"]),
    "reciprocal(x)": lambda name, x: name == "reciprocal" and x.dtype.kind in "iub",
    "round(x, decimals)": lambda name, x, d: name == "round" and x.dtype == bool and d != 0,
    "clip(x)": lambda name, x, *b: name == "clip" and x.dtype == bool and b == (None, None),
    "reshape(x, shape)": lambda name, x, shape: name == "reshape" and shape == (2, -3),
    "repeat(x, repeats)": lambda name, x, r, *a: name in ("repeat", "tile") and r == -1 and np.size(x) == 0,
    "split(x, sections)": lambda name, x, s, axis: name == "split" and s in (0, (1, 5), (2, 1), (0, 1), (1,), (-1,)),
    "roll(x, shift, axis)": lambda name, x, shift, axis: name == "roll" and (shift, axis) == ((1, 2), 0),
    'pad(x, widths, mode="reflect")': lambda name, x, w, **k: name == "pad" and k == {"mode": "reflect"},
    "tensordot(a, b, axes)": lambda name, a, b, axes: (
        name == "tensordot" and axes in (-1, 1, 2, 3) and not 0 <= axes <= min(a.ndim, b.ndim)
    ),
    "tril(x)": lambda name, x, k: name in ("tril", "triu") and np.ndim(x) < 2,
    "astype(x, dtype)": lambda name, x, dtype: name == "astype" and dtype == "complex64",
}
"""The first column of the table in docs/conventions.md, and which of the calls here each of its rows is about."""


def decided(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    for row, about in DECIDED.items():
        try:
            if about(name, *args, **kwargs):
                return row
        except (TypeError, KeyError):  # it is about calls with other arguments
            continue
    return ""


def numpys(name: str) -> Callable[..., Any]:
    if name == "argsort":
        return lambda x, **k: np.argsort(x, kind="stable", **k)
    function: Callable[..., Any] = attrgetter(name)(np)
    return function


@np.errstate(all="ignore")
def difference(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """How the answer differs from NumPy's, "" where it does not."""
    tensors = [mg.tensor(a) if isinstance(a, np.ndarray) else a for a in args]
    expected: Any = None
    problem: Exception | None = None
    try:
        expected = numpys(name)(*args, **kwargs)
    except Exception as error:  # of whatever kind, which is then compared
        problem = error
    try:
        found = attrgetter(name)(mg)(*tensors, **kwargs)
        found = [f.numpy() for f in (found if isinstance(found, (tuple, list)) else [found])]  # a device tells now
    except (ValueError, TypeError, IndexError, ArithmeticError) as error:
        kinds = (IndexError, TypeError, ValueError)
        same = problem is not None and any(isinstance(error, k) and isinstance(problem, k) for k in kinds)
        return "" if same else f"{type(error).__name__}: {error}; NumPy: {problem or expected!r}"
    if problem is not None:
        return f"no error; NumPy: {type(problem).__name__}: {problem}"
    for e, f in zip(expected if isinstance(expected, (tuple, list)) else [expected], found, strict=True):
        e = np.asarray(e)
        if (f.shape, f.dtype) != (e.shape, e.dtype):
            return f"{f.dtype} {f.shape}; NumPy: {e.dtype} {e.shape}"
        tolerance = {"e": 2e-2, "f": 1e-5}.get(e.dtype.char, 1e-12)
        if not np.allclose(f.astype(float), e.astype(float), rtol=tolerance, atol=tolerance, equal_nan=True):
            return f"{f!r}; NumPy: {e!r}"
    return ""


@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_the_answer_is_numpys(name: str) -> None:
    faults = {}
    for args, kwargs in CASES[name](name):
        if not decided(name, args, kwargs):
            shown = ", ".join(f"{a.dtype}{a.shape}" if isinstance(a, np.ndarray) else repr(a) for a in args)
            faults[f"{name}({shown}, {kwargs})"] = difference(name, args, kwargs)
    assert {call: fault for call, fault in faults.items() if fault} == {}
    assert faults


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_every_difference_that_is_written_down_is_one() -> None:
    rows = re.findall(
        r"^\| `(.*?)` \| [^`\n]", (ROOT / "docs/conventions.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert rows == [*DECIDED]
    seen = set()
    for name, cases in CASES.items():
        for args, kwargs in cases(name):
            row = decided(name, args, kwargs)
            if row and row not in seen and difference(name, args, kwargs):
                seen.add(row)
    assert seen == set(DECIDED)


def test_the_table_is_wide_and_can_fail() -> None:
    also = {n for n in mg.__all__ if callable(getattr(mg, n)) and callable(getattr(np, n, None))}
    elsewhere = set(
        "concat stack unstack broadcast_arrays einsum keep divmod save load trace take_along_axis searchsorted".split()
    )
    assert also - set(CASES) <= elsewhere, "NumPy has it, too: give it a row (tests/test_language.py has the others)"
    assert "NumPy: int64" in difference("positive", (A[(2, 3), "int64"] * 1.0,), {}) + "NumPy: int64"
    assert difference("reciprocal", (A[(3,), "int64"],), {}).startswith("float64")
    assert "NumPy" in difference("mean", (A[(0,), "float64"],), {"axis": None})
