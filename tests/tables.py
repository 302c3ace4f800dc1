"""The registry of primitives as a table: what the tests of the engine run over, and where they run it.

A primitive enters by being declared; nothing is listed here but what has no gradient, each with the reason.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
from house import ROOT, library
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minigrad as mg

Array = np.ndarray[Any, Any]
Shapes = tuple[tuple[int, ...], ...]

for _name, _path in library().items():  # a primitive is registered when its module is imported
    if "@primitive" in (ROOT / _path).read_text(encoding="utf-8"):
        import_module(_name)

OPS: dict[str, Any] = {
    name: op for name, op in mg.check.primitives().items() if op.forward.__module__.startswith("minigrad.")
}
TRACKED = [name for name, op in OPS.items() if op.differentiable]

UNTRACKED = {
    **dict.fromkeys(("equal", "not_equal", "less", "less_equal", "greater", "greater_equal"), "a boolean result"),
    **dict.fromkeys(("logical_not", "logical_and", "logical_or", "logical_xor"), "a boolean result"),
    **dict.fromkeys(("isfinite", "isinf", "isnan", "any", "all"), "a boolean result"),
    **dict.fromkeys(("diagonal_mask", "lower_mask"), "a boolean result"),
    **dict.fromkeys(("argmax", "argmin", "argsort", "searchsorted", "positions"), "positions"),
    "truncated": "integers and booleans",
    "full": "made from a shape alone",
    **dict.fromkeys(("random_bits", "unit_float32", "unit_float64", "bounded"), "random words, or made of them"),
    "sorting_order": "positions",
    "near_mean": "a shift that what is computed from it does not depend on",
    "stop_gradient": "that is what it is for",
}
"""Primitives whose result is never tracked, and why."""

NO_RULE = {
    ("keep", "mask"): "a boolean input",
    ("where", "condition"): "a boolean input",
    ("gather", "indices"): "positions",
    ("scatter_add", "indices"): "positions",
    ("stop_gradient", "x"): "that is what it is for",
}
"""Inputs without a rule in primitives that have one, and why."""

FLAT = ("sign", "floor", "ceil", "trunc", "round", "floor_divide")
"""Primitives whose derivative is 0 wherever they have one."""

REGULAR = ("inv", "solve", "slogdet", "cholesky", "qr", "solve_lyapunov", "sqrtm")
"""Primitives that take no singular matrices, such as those whose rows are all one row of memory."""

FLOATS = ("float16", "float32", "float64")


ROUNDED = frozenset("sqrt fabs floor ceil trunc rint fmod copysign isfinite isinf isnan".split())
"""C's functions that give the nearest number, as arithmetic does: the same in every loop of every library."""


def exact(op: Any) -> bool:
    """Whether a primitive gives the same bits for every memory layout: it moves elements, or its C expression calls no
    function whose last digits are up to the library (NumPy takes another loop for such functions by the strides, where
    the CPU has AVX-512).
    """
    if op.kind == "map":
        said = op.c.values() if isinstance(op.c, dict) else [op.c or "unknown()"]
        return set(re.findall(r"(\w+)\(", " ".join(said))) <= ROUNDED
    return op.kind == "view" or op.forward.__module__.endswith((".shape", ".joining", ".index"))


def examples(of_hundred: int) -> int:
    """How many examples: `of_hundred` in CI, 25 times as many in the long form."""
    return settings.default.max_examples * of_hundred // 100  # type: ignore[union-attr]


def shaped(op: Any) -> bool:
    """Whether the declaration gives a domain for each input, so that shapes are drawn here."""
    return not callable(op.samples)


def broadcastable(n: int) -> st.SearchStrategy[Shapes]:
    """Shapes for n inputs that broadcast: 0 to 4 axes with sides 0 to 4, at most 100 elements together."""
    return (
        hnp.mutually_broadcastable_shapes(num_shapes=n, max_dims=4, min_side=0, max_side=4)
        .filter(lambda s: math.prod(s.result_shape) <= 100)
        .map(lambda s: tuple(s.input_shapes))
    )


@cache
def drawn(n: int, how_many: int) -> tuple[Shapes, ...]:
    """`how_many` such shapes as a list, the same in every run, for tables that are too wide for hypothesis itself."""
    rng, out = np.random.default_rng(n), []
    while len(out) < how_many:
        sides = int(rng.integers(0, 4))
        whole = tuple(int(k) for k in rng.choice(5, sides, p=[0.04, *[0.24] * 4]))
        out.append(
            tuple(
                tuple(1 if rng.random() < 0.2 else k for k in whole[int(rng.integers(0, len(whole) + 1)) :])
                for _ in range(n)
            )
        )
    return tuple(out)


def points(op: Any, how_many: int, seed: int = 0) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Arguments and parameters to run a primitive at, host arrays."""
    rng = np.random.default_rng(seed)
    for k in range(how_many):
        yield mg.check.sample(op, rng, drawn(len(op.samples), how_many)[k] if shaped(op) else None)


def beside_numbers(op: Any, seed: int = 0) -> Iterator[tuple[Callable[[Any], Any], Array]]:
    """An elementwise primitive as a function of each of its inputs, the others Python numbers, and where to look."""
    if op.kind != "map" or op.defaults or len(op.inputs) < 2 or not shaped(op):
        return
    rng = np.random.default_rng(seed)
    for k in (k for k, pull in enumerate(op.pulls) if pull):
        for _ in range(3):
            args = [domain(rng, (2,) if i == k else ()) for i, domain in enumerate(op.samples)]
            numbers = [a if i == k else np.asarray(a).item() for i, a in enumerate(args)]
            yield lambda x, k=k, numbers=numbers: op.call(*numbers[:k], x, *numbers[k + 1 :]), numbers[k]


def run(op: Any, args: Sequence[Any], params: dict[str, Any], cotangent: Callable[[Any], Array] | None = None) -> Any:
    """Outputs and gradients, as host arrays, of a primitive at tensors; those without a rule get None.

    `args` are host arrays or tensors (leaves), the cotangent is random unless given.
    """
    tensors = [a if isinstance(a, mg.Tensor) else mg.tensor(a) for a in args]
    for k, t in enumerate(tensors):
        if op.pull_for(k)[0] is not None and t.dtype.kind == "f":
            t.requires_grad = True
    out = op.call(*tensors, **params)
    ys = out if isinstance(out, tuple) else (out,)
    draw = np.random.default_rng(1)
    for y in ys:
        if y.requires_grad:
            u = draw.uniform(0.5, 1.5, y.shape) if cotangent is None else cotangent(y)
            y.backward(mg.tensor(u, dtype=y.dtype), retain_graph=True)
    return [y.numpy() for y in ys], [None if t.grad is None else t.grad for t in tensors]


def dtype_combinations(op: Any, args: Sequence[Any]) -> Iterator[tuple[str, ...]]:
    """Every combination of float dtypes for the floating inputs of a primitive."""
    kinds = [FLOATS if a.dtype.kind == "f" else (str(a.dtype),) for a in args]
    if op.variadic and len(args) > 2:
        kinds = [k if i < 2 else k[-1:] for i, k in enumerate(kinds)]
    yield from itertools.product(*kinds)


def cast(args: Sequence[Any], dtypes: Sequence[str]) -> list[Array]:
    return [np.asarray(a).astype(d) for a, d in zip(args, dtypes, strict=True)]


@contextmanager
def with_rule(op: Any, k: int, rule: Callable[..., Any]) -> Iterator[None]:
    """Input number k pulled back by another rule, which takes what the declared one takes: a fault put in by hand."""
    pulls, quick = op.pulls, op.quick
    op.pulls = (*pulls[:k], pulls[k]._replace(rule=rule), *pulls[k + 1 :])
    op.quick = None  # the plain engine reads `pulls`
    try:
        yield
    finally:
        op.pulls, op.quick = pulls, quick
