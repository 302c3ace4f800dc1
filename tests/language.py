"""What a composition must equal: rows of a call, its arrays, and the same in NumPy. Read by test_language.py.

Primitives are in tables.py by being declared; these are the functions that are composed of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import minigrad as mg

_draw = np.random.default_rng(11)
A = _draw.standard_normal((3, 4, 6))
B = _draw.standard_normal((3, 4))
SQUARE = _draw.standard_normal((2, 3, 3)) + 3 * np.eye(3)
V = np.array([0.5, -1.25, 2.0, 0.75])
APART = _draw.permutation(24).reshape(4, 6) * 0.25 - 2.9
PLACES = np.array([[0, 2], [1, 1], [3, 0]])


class Row(NamedTuple):
    """`call` on tensors is `numpy` on arrays; `smooth` rows are differentiated. `of` gives the same in a library that
    has NumPy's names, where the row is nothing but such a name.
    """

    name: str
    call: Callable[..., Any]
    numpy: Callable[..., Any]
    arrays: tuple[Any, ...]
    smooth: bool = True
    of: Callable[[Any], Callable[..., Any]] | None = None


def same(name: str, *arrays: Any, smooth: bool = True, **kwargs: Any) -> Row:
    """A function of the same name and meaning in NumPy; arguments that are no arrays are handed on as they are."""
    given = [a for a in arrays if isinstance(a, np.ndarray)]

    def of(library: Any, attribute: str) -> Callable[..., Any]:
        def run(*xs: Any) -> Any:
            following = iter(xs)
            values = [next(following) if isinstance(a, np.ndarray) else a for a in arrays]
            function = library
            for part in attribute.split("."):
                function = getattr(function, part)
            return function(*values, **kwargs)

        return run

    rest = [a for a in arrays if not isinstance(a, np.ndarray)]
    label = f"{name}({', '.join(map(str, [*rest, *(f'{k}={v}' for k, v in kwargs.items())]))})"
    return Row(label, of(mg, name), of(np, name), tuple(given), smooth, lambda library: of(library, name))


def _root(x: Any) -> Any:
    values, vectors = np.linalg.eigh(x)
    return vectors * np.sqrt(values)[..., None, :] @ np.swapaxes(vectors, -1, -2)


def _erf(x: Any) -> Any:
    import math

    return np.vectorize(math.erf)(x)


def _softmax(x: Any, axis: int = -1) -> Any:
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


EINSUM = [
    ("ij,jk", (3, 4), (4, 5)), ("ij,jk->ki", (3, 4), (4, 5)), ("ii", (3, 3)), ("ii->i", (3, 3)), ("iij->ji", (3, 3, 2)),
    ("ijk->", (2, 3, 4)), ("ij->ji", (2, 3)), ("i,j", (3,), (4,)), ("i,i", (3,), (3,)), ("i,i->i", (1,), (3,)),
    ("bhqd,bhkd->bhqk", (2, 2, 3, 4), (2, 2, 2, 4)), ("...ij,...jk->...ik", (3, 1, 2, 3), (2, 3, 2)),
    ("ij,jk,kl->il", (3, 4), (4, 2), (2, 3)), ("i...,i...->...", (3, 2, 2), (3, 2, 2)),
    ("a,b,c->abc", (2,), (3,), (2,)),
    ("ij,kl->", (2, 3), (3, 2)), ("ij->i", (3, 1)), ("iji->j", (3, 4, 3)), ("ik,jk,k->ij", (2, 3), (4, 3), (3,)),
    ("i, -> i", (3,), ()), ("...i->...", (2, 3)), ("ij,j->i", (3, 1), (4,)),
]  # fmt: skip

ROWS = [
    # elementwise
    same("reciprocal", B + 3), same("positive", B), same("round", B, 1, smooth=False), same("nan_to_num", B),
    same("divmod", B, V, smooth=False), same("round", B * 100, -1, smooth=False),
    Row("erf", mg.erf, _erf, (B,)), Row("softplus", mg.softplus, lambda x: np.logaddexp(x, 0), (B,)),
    Row("silu", mg.silu, lambda x: x / (1 + np.exp(-x)), (B,)),
    Row("gelu", mg.gelu, lambda x: x * (1 + _erf(x / np.sqrt(2))) / 2, (B,)),
    Row("gelu(tanh)", lambda x: mg.gelu(x, "tanh"),
        lambda x: x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))) / 2, (B,)),
    # reductions
    same("count_nonzero", np.round(B), axis=1, smooth=False), same("argmin", APART, axis=0, smooth=False),
    same("cumsum", A, 1), same("cumsum", A), same("cumprod", B, 0), same("cumprod", B),
    Row("softmax(0)", lambda x: mg.softmax(x, 0), lambda x: _softmax(x, 0), (B,)),
    Row("log_softmax", mg.log_softmax, lambda x: np.log(_softmax(x)), (B,)),
    Row("logsumexp(1)", lambda x: mg.logsumexp(x, 1), lambda x: np.log(np.exp(x).sum(1)), (B,)),
    # shape
    *(same("moveaxis", A, s, d) for s, d in ((0, -1), ((0, 1), (2, 0)), ((2, 0), (-2, -1)))),
    same("swapaxes", A, 0, -1), same("flip", A), same("flip", A, (0, 2)), same("broadcast_arrays", A[:, :1], A[0, 0]),
    *(same("roll", B, s, a) for s, a in ((2, None), (-7, None), ((1, -2), (0, 1)), (0, 1))),
    *(same("tile", B, r) for r in (2, (2, 1, 2), (1,), (0, 1))),
    *(same("repeat", B, r, a) for r, a in ((2, None), ((1, 0, 2), 0), ((2,), 1), (0, 1))),
    same("split", A, 3, 2), same("split", A, (1, 3), 1), same("split", A, (-2,), 2),
    Row("unstack(1)", lambda x: mg.unstack(x, 1), lambda x: tuple(np.moveaxis(x, 1, 0)), (A,)),
    *(same(f, A, k) for f in ("tril", "triu") for k in (-2, 0, 1, 9)),
    *(same("diagonal", A, k, *axes) for k in (-2, 0, 3, 9) for axes in ((), (2, 0))),
    Row("Tensor.trace", lambda x: x.trace(1, 0, 2), lambda x: x.trace(1, 0, 2), (A,)),
    *(same("pad", B, w, mode=m) for m in ("constant", "edge", "reflect") for w in (2, (1, 2), ((0, 1), (3, 0)))),
    # indexing and order
    same("take", A, [[0, -1], [2, 2]], 1), same("take", A, 3), same("take", A, [1, 0], 2),
    Row("take_along_axis", lambda x: mg.take_along_axis(x, PLACES, 1),
        lambda x: np.take_along_axis(x, PLACES, 1), (B,)),
    Row("scatter_add", lambda x, v: mg.scatter_add(x, (np.array([0, 0, 2]),), v),
        lambda x, v: x + np.eye(3)[:, [0, 0, 2]] @ v, (B, B * 2)),
    Row("scatter_add slices", lambda x, v: mg.scatter_add(x, (slice(None), slice(1, 3)), v),
        lambda x, v: x + np.pad(v, ((0, 0), (1, 1))), (B, B[:, :2])),
    same("sort", APART, 0), same("sort", APART, None), same("sort", APART),
    Row("sort(descending)", lambda x: mg.sort(x, 0, descending=True), lambda x: -np.sort(-x, 0), (APART,)),
    Row("topk", lambda x: mg.topk(x, 2, 0).values, lambda x: -np.sort(-x, 0)[:2], (APART,)),
    Row("topk(smallest)", lambda x: mg.topk(x, 3, largest=False).values, lambda x: np.sort(x)[:, :3], (APART,)),
    Row("argsort", lambda x: mg.argsort(x, 1), lambda x: np.argsort(x, 1, "stable"), (np.round(A),), False),
    same("searchsorted", np.sort(V), B, side="right", smooth=False),
    *(same("searchsorted", np.array([1, 2, 3]), v, smooth=False) for v in (2.5, 2, -0.5)),
    # products
    *(same("clip", np.array([3, 100], "i1"), *b, smooth=False) for b in ((200.0, None), (None, -200.5), (4, None))),
    same("clip", np.array([True, False]), np.array([2, 1], "i1"), None, smooth=False),
    *(same("vecdot", np.array([[1, 3]], t), np.array([2, 1], t), smooth=False) for t in ("?", "i1", "u2")),
    *(same("einsum", s, np.array([[1, 3]], "i1"), smooth=False) for s in ("ij->i", "ij->j", "ij->")),
    same("einsum", "ij,j->i", np.array([[1, 3]], "u2"), np.array([2, 1], "i1"), smooth=False),
    same("vecdot", A, A * 2), same("vecdot", A, A * 2, axis=0), same("outer", B, V),
    same("tensordot", A, B, ([0, 1], [0, 1])), same("tensordot", A, B, 0),
    same("tensordot", SQUARE, SQUARE[0], 1), same("tensordot", A, B, ([-2], [1])),
    *(same("einsum", s, *(_draw.standard_normal(n) for n in shapes)) for s, *shapes in EINSUM),
    # matrices
    same("linalg.inv", SQUARE), same("linalg.solve", SQUARE, B[:, :2]), same("linalg.solve", SQUARE[0], B[:, 0]),
    same("linalg.trace", SQUARE, offset=1), same("linalg.qr", SQUARE), same("linalg.qr", B),
    same("linalg.qr", B.T.copy()),
    Row("linalg.slogdet", mg.linalg.slogdet, np.linalg.slogdet, (SQUARE,)),
    Row("linalg.cholesky", lambda x: mg.linalg.cholesky(x @ x.mT), lambda x: np.linalg.cholesky(x @ x.mT), (SQUARE,)),
    Row("linalg.cholesky(upper)", lambda x: mg.linalg.cholesky(x @ x.mT, upper=True),
        lambda x: np.linalg.cholesky(x @ x.mT).mT, (SQUARE,)),
    Row("linalg.sqrtm", lambda x: mg.linalg.sqrtm(x @ x.mT + 1e-3), lambda x: _root(x @ x.mT + 1e-3), (SQUARE,)),
    Row("linalg.solve_lyapunov", lambda x, y: mg.linalg.solve_lyapunov(x @ x.mT, x @ x.mT @ y + y @ x @ x.mT),
        lambda x, y: y, (SQUARE, SQUARE + 1.0)),
    *(Row(f"linalg.solve_triangular{lower, transposed, unit}",
          lambda a, b, k=(lower, transposed, unit): mg.linalg.solve_triangular(
              a, b, lower=k[0], transposed=k[1], unit_diagonal=k[2]),
          lambda a, b, k=(lower, transposed, unit): _triangular(a, b, *k), (SQUARE, B))
      for lower in (False, True) for transposed in (False, True) for unit in (False, True)),
    *(Row(f"linalg.norm(ord={p})", lambda x, p=p: mg.linalg.norm(x, 1, ord=p),
          lambda x, p=p: np.linalg.norm(x, p, 1), (B,), p != 0) for p in (0, 1, 2, 3, 0.5, np.inf, -np.inf)),
]  # fmt: skip


def _triangular(a: Any, b: Any, lower: bool, transposed: bool, unit: bool) -> Any:
    t = np.tril(a) if lower else np.triu(a)
    t = t - t * np.eye(3) + np.eye(3) if unit else t
    return np.linalg.solve(np.swapaxes(t, -1, -2) if transposed else t, np.broadcast_to(b, (2, 3, 4)))
