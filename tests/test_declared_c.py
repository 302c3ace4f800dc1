"""K1: what every primitive declares in C compiles and equals the primitive, on every dtype and edge value."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ckernels import Array, built, compiler, folded, mapped, run
from tables import OPS, exact

import minigrad as mg

MAPS = [name for name, op in OPS.items() if op.c is not None]
FOLDS = [name for name, op in OPS.items() if op.reduce is not None]
DTYPES = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?")
UNITS = 4
"""The last places that a function of C's library and the same of NumPy's may be apart (figure G10)."""

EITHER_ZERO = {"maximum": "NumPy's loops differ", "minimum": "NumPy's loops differ", "clip": "made of these two"}
"""Maps where -0 and 0 are equal choices, and why."""

DOCUMENTED = {("erf", "f"): 4e-7}
"""What a primitive's own docstring promises in place of UNITS, absolute."""

WITHOUT = {"power": "a power of integers is a loop, and raises for a negative exponent"}
"""Maps that have no C for integers, and why."""


@pytest.fixture(autouse=True)
def _a_compiler(backend: str) -> None:
    if backend != "numpy":
        pytest.skip("C is compared with NumPy's forward")
    if compiler() is None:
        pytest.skip("no C compiler on PATH, and MINIGRAD_CC names none")


def edges(dtype: str) -> Array:
    """Every value where an operation could go another way, in one dtype."""
    d = np.dtype(dtype)
    if d.kind == "b":
        return np.array([False, True])
    if d.kind == "f":
        limits = np.finfo(d)
        small = [0.0, 0.1, 0.5, 0.7, 1.0, 1.5, 2.0, 2.5, 3.0, 7.0, 100.0, np.inf, limits.max, limits.tiny]
        return np.array([*small, *(-v for v in small), np.nan], d)
    limits = np.iinfo(d)
    return np.array([v for v in (0, 1, 2, 3, 5, 7, 100, limits.max, limits.min, -1, -2, -7) if v >= limits.min], d)


def cases(name: str) -> Any:
    """(label, arguments, parameters, what the forward gives) in every dtype that the primitive takes."""
    op = OPS[name]
    shapes = None if callable(op.samples) else ((),) * len(op.inputs)
    args, params = mg.check.sample(op, np.random.default_rng(0), shapes)
    params = {k: op.defaults[k] for k in op.defaults if k not in params} | params
    if (isinstance(op.c, dict) and "raw" in op.c) or not any(a.dtype.kind == "f" for a in args):
        own = [np.resize(np.concatenate([np.ravel(a), edges(a.dtype.str[1:])]), 60) for a in args]
        dtypes: tuple[Any, ...] = (None,)
    else:
        own, dtypes = [], DTYPES
    for dtype in dtypes:
        columns = [edges("?") if a.dtype.kind == "b" else edges(dtype) for a in args] if dtype else []
        grid = [np.array(c) for c in zip(*itertools.product(*columns), strict=True)] if columns else own
        grid = [g.astype(c.dtype) for g, c in zip(grid, columns, strict=True)] if columns else grid
        for given in ({"dtype": np.dtype(d)} for d in DTYPES) if "dtype" in params and name != "full" else ({},):
            chosen = params | given
            if name == "full":
                chosen |= {"shape": grid[0].shape, "dtype": np.dtype(dtype), "value": 1}
            if (name == "truncated" and chosen["dtype"].kind == "f") or (
                name == "cast" and chosen["dtype"].kind != "f"
            ):
                continue
            inputs = within_range(grid, chosen["dtype"]) if name == "truncated" else grid
            try:
                with np.errstate(all="ignore"):
                    out = np.asarray(op.forward(np, *inputs, **chosen))
            except (TypeError, ValueError, mg.errors.MinigradError):
                continue  # the operation does not take this dtype
            yield f"{name}_{dtype}_{given.get('dtype', '')}".replace("?", "bool"), inputs, chosen, out


def within_range(grid: list[Array], dtype: Any) -> list[Array]:
    """Without what an integer dtype cannot hold, of which neither C nor NumPy promises anything."""
    (x,) = grid
    if x.dtype.kind != "f" or dtype.kind == "b":
        return grid
    low, high, wide = float(np.iinfo(dtype).min), float(np.iinfo(dtype).max), x.astype(np.float64)
    return [x[np.isfinite(wide) & (wide >= low) & (wide < high)]]


def test_every_map_and_every_fold_is_declared() -> None:
    assert {n for n, op in OPS.items() if op.kind == "map"} == set(MAPS)
    assert {n for n, op in OPS.items() if op.kind == "reduce"} == set(FOLDS)
    assert set(EITHER_ZERO) | set(WITHOUT) <= set(MAPS)
    assert len(MAPS) >= 60
    assert {"sum", "sum_of_squares", "max", "any", "prod"} <= set(FOLDS)


def test_every_map_in_c_is_the_primitive(tmp_path: Path) -> None:
    table, sources, undeclared = [], [], set()
    for name in MAPS:
        for label, args, params, out in cases(name):
            text = mapped(OPS[name], args, params, out, f"f{len(sources)}")
            if text is None:
                undeclared.add((name, out.dtype.kind))
            else:
                sources.append(text)
                table.append((name, label, args, out))
    assert {name for name, _ in undeclared} == set(WITHOUT)
    library, wrong = built(sources, tmp_path), {}
    for k, (name, label, args, out) in enumerate(table):
        found = run(getattr(library, f"f{k}"), args, out)
        off = differing(name, found, out)
        if off.any():
            rows = [(*(a[i].item() for a in args), found[i].item(), out[i].item()) for i in np.flatnonzero(off)[:3]]
            wrong[label] = rows
    assert wrong == {}, f"arguments, C, the primitive: {wrong}"
    assert {name for name, *_ in table} == set(MAPS)
    assert len(table) >= 10 * len(MAPS) // 2


def differing(name: str, found: Array, out: Array) -> Array:
    """Where a result is another number: bit for bit for arithmetic, but for the payload of NaN; else within UNITS."""
    if out.dtype.kind != "f":
        return found != out
    with np.errstate(all="ignore"):
        off = np.abs(found - out)
    same = (found == out) | (np.isnan(found) & np.isnan(out))
    if name not in EITHER_ZERO:
        same &= np.isnan(out) | (np.signbit(found) == np.signbit(out))
    same |= off <= DOCUMENTED.get((name, out.dtype.char), -1)
    if not exact(OPS[name]) or out.dtype.char == "e":  # a forward of several steps rounds float16 at each of them
        with np.errstate(all="ignore"):
            same |= off <= UNITS * np.spacing(np.abs(out))
    return ~same


@pytest.mark.parametrize("name", FOLDS)
def test_every_fold_in_c_is_the_reduction(name: str, tmp_path: Path) -> None:
    op, rng, table, sources = OPS[name], np.random.default_rng(0), [], []
    for dtype in DTYPES:
        every = edges(dtype)
        finite = every[np.isfinite(every)] if every.dtype.kind == "f" else every
        small = rng.integers(0, 2 if dtype == "?" else 5, 40).astype(dtype)
        for x in (every, finite[: len(finite) // 2], small, small[:1], small[:0]):
            try:
                with np.errstate(all="ignore"):
                    out = np.asarray(op.forward(np, x, axes=(0,)))
            except (TypeError, ValueError, mg.errors.MinigradError):
                continue  # no elements, or no such dtype
            sources.append(folded(op, x, out, f"f{len(sources)}"))
            table.append((x, out))
    library = built(sources, tmp_path)
    assert len(table) >= 30
    for k, (x, out) in enumerate(table):
        with np.errstate(all="ignore"):
            found = run(getattr(library, f"f{k}"), [x], out)
            rtol = {"e": 2e-2, "f": 1e-5, "d": 1e-12}.get(out.dtype.char, 0)
            close = (
                found == out or (np.isnan(found) and np.isnan(out))
                if rtol == 0 or not np.isfinite(out)
                else (abs(float(found) - float(out)) <= rtol * max(1.0, abs(float(out))))
            )
        assert close, (x, found, out)


@pytest.mark.parametrize("name", [name for name, op in OPS.items() if op.opens is not None])
def test_what_a_primitive_opens_into_is_the_primitive(name: str) -> None:
    op = OPS[name]
    for seed in range(50):
        args, params = mg.check.sample(op, np.random.default_rng(seed))
        for dtype in ("f4", "f8"):
            tensors = [mg.tensor(a, dtype=dtype) if a.dtype.kind == "f" else mg.tensor(a) for a in args]
            a, b = op.call(*tensors, **params), op.opens(*tensors, **params)
            assert (a.shape, a.dtype) == (b.shape, b.dtype)
            assert np.abs(a.numpy() - b.numpy()).max(initial=0) <= (1e-6 if dtype == "f4" else 1e-14)


def test_a_wrong_expression_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NaN, an infinity, two integers: what was wrong once."""
    for name, fault in (
        ("sign", "({x} > 0) - ({x} < 0)"),
        ("floor_divide", {"f": "floor({a} / {b})"}),
        ("logaddexp", "fmax({a}, {b}) + log1p(exp(-fabs({a} - {b})))"),
        ("abs", "fabs({x})"),
    ):
        monkeypatch.setattr(OPS[name], "c", fault)
        rows = [(args, out, mapped(OPS[name], args, params, out, "f")) for _, args, params, out in cases(name)]
        found = []
        for k, (args, out, text) in enumerate(rows):
            if text is not None and out.size:
                folder = tmp_path / f"{name}{k}"
                folder.mkdir()
                found.append(differing(name, run(built([text], folder).f, args, out), out).any())
        assert any(found), name
