"""G12: HIPS autograd agrees on every primitive, and on what is composed of them, to second order within 1e-10.

Batch norm to the third order is in test_norm_orders.py. A primitive that autograd does not have is written in those
that it has; where even that is not possible, as a matrix of zeros and ones.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from language import ROWS, A, B
from opinions import anp, farthest, opinions
from tables import FLAT, OPS, TRACKED, points, with_rule

import minigrad as mg

special = pytest.importorskip("autograd.scipy.special", reason="SciPy comes with the extra `train`")

pytestmark = pytest.mark.filterwarnings("ignore:Output seems independent of input")  # linear ones, at second order


def placed(positions: Any, size: int) -> Any:
    """A matrix of zeros and ones that adds element k of a flat array at positions[k]."""
    return np.eye(size)[np.asarray(positions).reshape(-1)].T


def numbered(shape: tuple[int, ...]) -> Any:
    return np.arange(int(np.prod(shape))).reshape(shape)


def index(spec: Any, arrays: tuple[Any, ...] = ()) -> Any:
    following = iter(arrays)
    return tuple(next(following) if s == "array" else slice(*s[1:]) if isinstance(s, tuple) else s for s in spec)


def back(axis: int, reverse: bool) -> Any:
    return (*(slice(None),) * axis, slice(None, None, -1 if reverse else 1))


def part(axis: int, start: int, stop: int) -> Any:
    return (slice(None),) * axis + (slice(start, stop),)


def window_numbers(shape: Any, axes: Any, sizes: Any, strides: Any, dilations: Any) -> Any:
    """Which element of an array of `shape` stands at each place in each window."""
    numbers = numbered(shape)
    for axis, size, stride, dilation in zip(axes, sizes, strides, dilations, strict=True):
        starts = range(0, shape[axis] - dilation * (size - 1), stride)
        numbers = np.stack([np.take(numbers, [s + dilation * k for s in starts], axis) for k in range(size)], -1)
    return numbers


def put(x: Any, positions: Any, shape: tuple[int, ...]) -> Any:
    return anp.reshape(placed(positions, int(np.prod(shape))) @ anp.reshape(x, (-1,)), shape)


def symmetric(x: Any) -> Any:
    return 0.5 * (x + anp.swapaxes(x, -1, -2))


def qr(x: Any) -> Any:
    """By the Cholesky factor of xᵀ x, with the signs that LAPACK chose."""
    values = x
    while hasattr(values, "_value"):  # a box of autograd's for each order
        values = values._value
    signs = np.sign(np.diagonal(np.linalg.qr(values)[1], 0, -2, -1))[..., None]
    r = signs * anp.swapaxes(anp.linalg.cholesky(anp.matmul(anp.swapaxes(x, -1, -2), x)), -1, -2)
    return anp.matmul(x, anp.linalg.inv(r)), r


def sqrtm(x: Any) -> Any:
    """By the coupled Newton iteration of Denman and Beavers: no eigenvalues."""
    y, z = symmetric(x), np.eye(x.shape[-1])
    for _ in range(12):
        y, z = (y + anp.linalg.inv(z)) / 2, (z + anp.linalg.inv(y)) / 2
    return y


def solve_lyapunov(a: Any, b: Any) -> Any:
    """As one system of n² equations: (a ⊗ I + I ⊗ a) vec(y) = vec(b)."""
    n, a = a.shape[-1], symmetric(a)
    unit = np.eye(n)
    whole = a[..., :, None, :, None] * unit[:, None, :] + unit[:, None, :, None] * a[..., None, :, None, :]
    lead = a.shape[:-2]
    y = anp.linalg.solve(anp.reshape(whole, (*lead, n * n, n * n)), anp.reshape(b, (*lead, n * n, 1)))
    return anp.reshape(y, b.shape)


def running(a: Any, b: Any, axis: int, reverse: bool, start: float) -> Any:
    """y[k] = b[k] + a[k] y[k-1] along `axis`, or from the other end, place by place."""
    y, found = start, []
    for k in range(a.shape[axis])[:: -1 if reverse else 1]:
        y = b[part(axis, k, k + 1)] + a[part(axis, k, k + 1)] * y
        found.append(y)
    return anp.concatenate(found[:: -1 if reverse else 1], axis) if found else a * b


SAME_NAME = {
    **{name: name for name in (
        "add subtract multiply divide negative square sqrt hypot abs maximum minimum power exp expm1 log log1p exp2 "
        "log2 log10 logaddexp sin cos tan sinh cosh tanh matmul reshape remainder").split()},
    "asin": "arcsin", "acos": "arccos", "atan": "arctan", "atan2": "arctan2", "asinh": "arcsinh", "acosh": "arccosh",
    "atanh": "arctanh", "permute_dims": "transpose", "inv": "linalg.inv", "solve": "linalg.solve",
    "slogdet": "linalg.slogdet",
}  # fmt: skip
OTHERWISE: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(FLAT, lambda *xs: 0.0 * sum(xs)),
    **dict.fromkeys(("alias", "cast", "transfer"), lambda x, **_: 1.0 * x),
    "sum": lambda x, axes, keepdims: anp.sum(x, axis=axes, keepdims=keepdims),
    "sum_of_squares": lambda x, axes: anp.sum(x * x, axis=axes),
    "max": lambda x, axes, keepdims: anp.max(x, axis=axes, keepdims=keepdims),
    "min": lambda x, axes, keepdims: anp.min(x, axis=axes, keepdims=keepdims),
    "cumsum": lambda x, axis, reverse: anp.cumsum(x[back(axis, reverse)], axis)[back(axis, reverse)],
    "nan_to_num": lambda x, **_: anp.nan_to_num(x),
    "prod": lambda x, axes, keepdims: anp.prod(x, axis=axes, keepdims=keepdims) if x.size and axes else anp.sum(
        x, axis=axes, keepdims=keepdims),
    "cumprod": lambda x, axis, reverse: running(x, 0 * x, axis, reverse, 1.0),
    "recurrence": lambda a, b, axis, reverse: running(a, b, axis, reverse, 0.0),
    "rsqrt": lambda x: 1 / anp.sqrt(x),
    "cbrt": lambda x: anp.sign(x) * anp.abs(x) ** (1 / 3),
    "keep": lambda x, mask: x * mask,
    "where": lambda c, a, b: a * c + b * ~c,  # autograd's own does not sum back over repeated axes
    "broadcast_to": lambda x, shape: x + np.zeros(shape),  # nor does this to a size of 0
    "clip": lambda x, low, high: anp.minimum(anp.maximum(x, low), high),
    "sigmoid": special.expit,
    "softplus": lambda x: anp.logaddexp(x, 0.0),
    "erf": special.erf,
    "concat": lambda *xs, axis, sizes: anp.concatenate(xs, axis),
    "split": lambda x, axis, sizes: tuple(
        x[part(axis, b - n, b)] for n, b in zip(sizes, np.cumsum(sizes), strict=True)),
    "take_part": lambda x, axis, start, stop: x[part(axis, start, stop)],
    "put_part": lambda x, axis, start, stop, size: anp.pad(
        x, [(start, size - stop) if k == axis else (0, 0) for k in range(x.ndim)], "constant"),
    "pad": lambda x, widths, value: anp.pad(x, widths, "constant", constant_values=value),
    "sliced": lambda x, spec: x[index(spec)],
    "unslice": lambda x, spec, shape: put(x, numbered(shape)[index(spec)], shape),
    "gather": lambda x, *indices, spec: x[index(spec, indices)],
    "scatter_add": lambda x, *indices, spec, shape: put(x, numbered(shape)[index(spec, indices)], shape),
    "windows": lambda x, **how: anp.reshape(x, (-1,))[window_numbers(x.shape, **how)],
    "fold": lambda x, shape, **how: put(x, window_numbers(shape, **how), shape),
    "eigh": lambda x: anp.linalg.eigh(symmetric(x)),
    "cholesky": lambda x: anp.linalg.cholesky(symmetric(x)),
    "qr": qr,
    "sqrtm": sqrtm,
    "solve_lyapunov": solve_lyapunov,
}  # fmt: skip


def found_in(library: Any, name: str) -> Any:
    for attribute in name.split("."):
        library = getattr(library, attribute)
    return library


def called(name: str, params: dict[str, Any]) -> Callable[..., Any]:
    """What autograd has for a primitive, with these parameters."""
    if name in OTHERWISE:
        return lambda *xs: OTHERWISE[name](*xs, **params)
    return lambda *xs: found_in(anp, SAME_NAME[name])(*xs, *params.values())


@pytest.mark.parametrize("name", TRACKED)
def test_autograd_agrees_on_a_primitive(name: str, nightly: bool) -> None:
    op, seed = OPS[name], zlib.crc32(name.encode())
    for k, (args, params) in enumerate(points(op, 200 if nightly else 4, seed=seed)):
        theirs = called(name, params)
        moving = [i for i, a in enumerate(args) if op.pull_for(i)[0] is not None]

        def fixed(f: Any, args: Any = args, moving: Any = moving) -> Any:
            return lambda *xs: f(*(xs[moving.index(i)] if i in moving else a for i, a in enumerate(args)))

        ours = mg.check.differentiable(op, args, params)
        pairs = opinions(ours, fixed(theirs), [args[i] for i in moving], np.random.default_rng(k), order=2)
        assert farthest(pairs) <= 1e-10, (k, params)


# What autograd has under NumPy's name, for these arguments: it takes no index twice in an operand of einsum and no
# tuple of shifts; for other functions it has no rule, or one that fails on these rows.
HAS = set("reciprocal nan_to_num cumsum moveaxis swapaxes split tril triu roll tensordot einsum linalg.inv".split())
UNLESS = {"roll((1, -2), (0, 1))", "einsum(ii)", "einsum(ii->i)", "einsum(iij->ji)", "einsum(iji->j)"}
NAMED = {r.name: (r.call, r.of(anp), r.arrays) for r in ROWS
         if r.smooth and r.of and r.name.partition("(")[0] in HAS and r.name not in UNLESS}  # fmt: skip
WRITTEN = {
    "mean": (lambda x: mg.mean(x, 0), lambda x: anp.mean(x, 0), (B,)),
    "var": (lambda x: mg.var(x, 1, correction=1), lambda x: anp.var(x, 1, ddof=1), (B,)),
    "std": (lambda x: mg.std(x, 0, keepdims=True), lambda x: anp.std(x, 0, keepdims=True), (B,)),
    "prod": (lambda x: mg.prod(x, 1), lambda x: anp.prod(x, 1), (B,)),
    "norm": (lambda x: mg.linalg.norm(x, 1), lambda x: anp.linalg.norm(x, None, 1), (B,)),
    "norm(3)": (lambda x: mg.linalg.norm(x, 1, ord=3), lambda x: anp.sum(anp.abs(x) ** 3, 1) ** (1 / 3), (B,)),
    "logsumexp": (lambda x: mg.logsumexp(x, 1), lambda x: special.logsumexp(x, 1), (B,)),
    "softmax": (mg.softmax, lambda x: anp.exp(x) / anp.sum(anp.exp(x), -1, keepdims=True), (B,)),
    "log_softmax": (mg.log_softmax, lambda x: x - special.logsumexp(x, -1, keepdims=True), (B,)),
    "silu": (mg.silu, lambda x: x * special.expit(x), (B,)),
    "gelu": (mg.gelu, lambda x: x * (1 + special.erf(x / np.sqrt(2))) / 2, (B,)),
    "conv1d": (mg.conv1d, lambda x, w: anp.einsum(
        "nclk,ock->nol", anp.stack([x[:, :, i : i + 2] for i in range(5)], 2), w), (A[:2], A[:, :, :2])),
    "huber": (lambda x, t: mg.losses.huber(x, t), lambda x, t: anp.mean(
        anp.where(anp.abs(x - t) < 1, 0.5 * (x - t) ** 2, anp.abs(x - t) - 0.5)), (B, 2 * B[::-1])),
    "cross_entropy": (lambda x: mg.losses.cross_entropy(x, np.array([0, 3, 1])), lambda x: anp.mean(
        special.logsumexp(x, 1) - x[np.arange(3), np.array([0, 3, 1])]), (B,)),
}  # fmt: skip


@pytest.mark.parametrize("name", [*NAMED, *WRITTEN])
def test_autograd_agrees_on_a_composition(name: str) -> None:
    ours, theirs, arrays = (NAMED | WRITTEN)[name]
    assert farthest(opinions(ours, theirs, arrays, np.random.default_rng(0), order=2)) <= 1e-10


def test_every_primitive_has_an_opinion() -> None:
    assert set(SAME_NAME) | set(OTHERWISE) == set(TRACKED)


def test_a_rule_that_is_a_little_wrong_is_found() -> None:
    with with_rule(OPS["tanh"], 0, lambda g, y: g * (1 - y * y * 1.000000001)):
        assert farthest(opinions(mg.tanh, anp.tanh, (B,), np.random.default_rng(0), order=1)) > 1e-10
