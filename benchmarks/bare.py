"""What each operation is held against: NumPy's own call, or the plain expression that a user of NumPy would write.

Forward and backward, for arrays, with nothing around them. An operation that is not named here, and that is no function
of NumPy either, is held against its own forward on plain arrays, which shows what the engine adds.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

Array = Any
Call = Callable[..., Any]


class Bare(NamedTuple):
    """One operation without an engine."""

    forward: Call | None
    backward: Call | None = None
    """The gradients of all inputs from (g, y, *inputs); None where there is none to compute."""
    note: str = ""
    """Why the forward is this expression, or why it cannot be reached."""


NAMES = {"asin": "arcsin", "acos": "arccos", "atan": "arctan", "atan2": "arctan2", "asinh": "arcsinh"} | {
    "acosh": "arccosh", "atanh": "arctanh"
}  # fmt: skip
"""minigrad's names, which are the Array API's, where NumPy's own call is known by another."""

FREE = ("stop_gradient", "alias")
"""They give their input back: there is nothing to time."""


def numpy_name(name: str) -> str:
    """NumPy's name for one of minigrad's."""
    return NAMES.get(name, name)


def scipy_erf(x: Array) -> Array:
    """What a user of NumPy takes for the error function, which NumPy lacks."""
    return import_module("scipy.special").erf(x)


def from_torch(name: str) -> Call:
    """PyTorch's function on NumPy's arrays."""

    def call(x: Array) -> Array:
        torch: Any = import_module("torch")
        return (getattr(torch.nn.functional, name, None) or getattr(torch, name))(torch.from_numpy(x))

    return call


def sigmoid(x: Array) -> Array:
    """As it is written everywhere; overflows, harmlessly, in float32."""
    return 1 / (1 + np.exp(-x))


def halves(g: Array, a: Array, b: Array) -> Array:
    """Ties share evenly."""
    return g * (a > b) + 0.5 * g * (a == b)


def larger(g: Array, y: Array, a: Array, b: Array) -> Array:
    """Both gradients of a maximum."""
    return halves(g, a, b), halves(g, b, a)


def smaller(g: Array, y: Array, a: Array, b: Array) -> Array:
    """Both gradients of a minimum."""
    return halves(g, b, a), halves(g, a, b)


def flat(g: Array, y: Array, *inputs: Array) -> Array:
    """A step function."""
    return [np.zeros_like(g) for _ in inputs]


def gelu_pull(g: Array, y: Array, x: Array) -> Array:
    """With what the forward of erf cost left out: y / x is the distribution function."""
    return g * (y / x + x * (np.exp(-0.5 * x * x) * (1 / math.sqrt(2 * math.pi))))


def _maps() -> dict[str, Bare]:
    """Elementwise operations; a forward that is left out is NumPy's function of that name."""
    own: Any = None
    return {
        "add": Bare(own),  # backward there is nothing to compute
        "subtract": Bare(own, lambda g, y, a, b: (g, -g)),
        "multiply": Bare(own, lambda g, y, a, b: (g * b, g * a)),
        "divide": Bare(own, lambda g, y, a, b: (g / b, -g * y / b)),
        "negative": Bare(own, lambda g, y, x: -g),
        "square": Bare(own, lambda g, y, x: g * 2 * x),
        "sqrt": Bare(own, lambda g, y, x: g / (2 * y)),
        "rsqrt": Bare(lambda x: 1 / np.sqrt(x), lambda g, y, x: -0.5 * g * (y * y * y)),
        "cbrt": Bare(own, lambda g, y, x: g / (3 * y * y)),
        "hypot": Bare(own, lambda g, y, a, b: (g * a / y, g * b / y)),
        "abs": Bare(own, lambda g, y, x: g * np.sign(x)),
        "sign": Bare(own, flat),
        "floor": Bare(own, flat),
        "ceil": Bare(own, flat),
        "trunc": Bare(own, flat),
        "round": Bare(own, flat),
        "floor_divide": Bare(own, flat),
        "remainder": Bare(own, lambda g, y, a, b: (g, -g * np.floor(a / b))),
        "keep": Bare(lambda x, mask: np.where(mask, x, 0), lambda g, y, x, mask: np.where(mask, g, 0)),
        "where": Bare(own, lambda g, y, c, a, b: (np.where(c, g, 0), np.where(c, 0, g))),
        "maximum": Bare(own, larger),
        "minimum": Bare(own, smaller),
        "clip": Bare(own, lambda g, y, x, low, high: (g * ((x > low) & (x < high)), g * (x < low), g * (x > high))),
        "power": Bare(own, lambda g, y, a, b: (g * b * np.power(a, b - 1), g * y * np.log(a))),
        "exp": Bare(own, lambda g, y, x: g * y),
        "expm1": Bare(own, lambda g, y, x: g * (y + 1)),
        "log": Bare(own, lambda g, y, x: g / x),
        "log1p": Bare(own, lambda g, y, x: g / (1 + x)),
        "exp2": Bare(own, lambda g, y, x: g * y * math.log(2)),
        "log2": Bare(own, lambda g, y, x: g / (x * math.log(2))),
        "log10": Bare(own, lambda g, y, x: g / (x * math.log(10))),
        "logaddexp": Bare(own, lambda g, y, a, b: (g * sigmoid(a - b), g * sigmoid(b - a))),
        "sin": Bare(own, lambda g, y, x: g * np.cos(x)),
        "cos": Bare(own, lambda g, y, x: -g * np.sin(x)),
        "tan": Bare(own, lambda g, y, x: g * (1 + y * y)),
        "asin": Bare(own, lambda g, y, x: g / np.sqrt(1 - x * x)),
        "acos": Bare(own, lambda g, y, x: -g / np.sqrt(1 - x * x)),
        "atan": Bare(own, lambda g, y, x: g / (1 + x * x)),
        "atan2": Bare(own, lambda g, y, a, b: (g * b / (a * a + b * b), -g * a / (a * a + b * b))),
        "sinh": Bare(own, lambda g, y, x: g * np.cosh(x)),
        "cosh": Bare(own, lambda g, y, x: g * np.sinh(x)),
        "tanh": Bare(own, lambda g, y, x: g * (1 - y * y)),
        "asinh": Bare(own, lambda g, y, x: g / np.sqrt(x * x + 1)),
        "acosh": Bare(own, lambda g, y, x: g / np.sqrt(x * x - 1)),
        "atanh": Bare(own, lambda g, y, x: g / (1 - x * x)),
        "sigmoid": Bare(sigmoid, lambda g, y, x: g * (y * (1 - y))),
        "softplus": Bare(lambda x: np.logaddexp(x, 0), lambda g, y, x: g * sigmoid(x)),
        "erf": Bare(scipy_erf, lambda g, y, x: g * (2 / math.sqrt(math.pi) * np.exp(-x * x)), "SciPy's"),
        "relu": Bare(lambda x: np.maximum(x, 0), lambda g, y, x: g * (x > 0)),
        "silu": Bare(lambda x: x * sigmoid(x), lambda g, y, x: (s := sigmoid(x)) * g * (1 + x * (1 - s))),
        "gelu": Bare(lambda x: 0.5 * x * (1 + scipy_erf(x * math.sqrt(0.5))), gelu_pull, "with SciPy's erf"),
        "reciprocal": Bare(own, lambda g, y, x: -g * y * y),
        "nan_to_num": Bare(own, lambda g, y, x, **_: np.where(np.isfinite(x), g, 0)),
        "cast": Bare(lambda x, dtype: x.astype(dtype), lambda g, y, x, dtype: g.astype(x.dtype)),
        "truncated": Bare(lambda x, dtype: x.astype(dtype)),
    }


def logsumexp(a: Array, axis: int | None) -> Array:
    """Shifted, as everybody writes it."""
    top = a.max(axis, keepdims=True)
    return np.log(np.exp(a - top).sum(axis, keepdims=True)) + top


def softmax(a: Array, axis: int | None) -> Array:
    """Shifted, as everybody writes it."""
    e = np.exp(a - a.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def log_softmax(a: Array, axis: int | None) -> Array:
    """Shifted, as everybody writes it."""
    d = a - a.max(axis, keepdims=True)
    return d - np.log(np.exp(d).sum(axis, keepdims=True))


def near_mean(a: Array, axis: int | None) -> Array:
    """What the shift of a variance stands for."""
    return np.mean(a, axis, keepdims=True)


FOLDS = {
    "softmax": Bare(softmax),
    "log_softmax": Bare(log_softmax),
    "logsumexp": Bare(logsumexp),
    "norm": Bare(np.linalg.norm),
    "near_mean": Bare(near_mean),
    "sum_of_squares": Bare(lambda a, axis: np.sum(np.square(a), axis)),
}
"""Reductions and scans, of (array, axis); NumPy's functions of the other names."""


ALSO = {
    "erf": Bare(from_torch("erf"), note="PyTorch's kernel"),
    "gelu": Bare(from_torch("gelu"), note="PyTorch's kernel"),
}
"""More rows, beside compiled kernels: for information."""

_INF = "x - max is held where x is inf, so that no row with inf gives NaN (figure N6): two passes more"
_WIDE = "running products and sums of float32 accumulate in float64"
DEARER: dict[str | tuple[str, str], str] = {
    "softmax": _INF,
    "log_softmax": _INF,
    "logsumexp": _INF,
    "var": (_MORE := "the mean of the deviations is subtracted too (figure N1; NumPy's are off by 2e-3): a pass more"),
    "std": _MORE,
    "norm": "over everything NumPy's is one BLAS call, with a hundred times the error (decision 11)",
    ("cumsum", "float32"): _WIDE,
    ("cumprod", "float32"): _WIDE,
    ("relu", "float64"): "masks go through the integer view (decision 6), and AVX2 cannot multiply 64-bit integers",
}
"""Operations that are not held to the target, some in one dtype only, each with what the time buys."""


def bare_maps() -> dict[str, Bare]:
    """The table of elementwise operations, with NumPy's functions in their places."""
    return {k: b if b.forward else b._replace(forward=getattr(np, numpy_name(k))) for k, b in _maps().items()}
