"""Every public function that computes, with arguments it takes, by parameter; and bad ones for each kind of parameter.

The functions are found by reading the package; what they are called with is found by the parameter's name, but for the
functions of `OWN`. Read by test_arguments.py.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import minigrad as mg

X = np.array([[3.0, 1.0, 2.0], [5.0, 6.0, 4.0]])
IMAGE = np.arange(2 * 3 * 4 * 4 * 4, dtype=float).reshape(2, 3, 4, 4, 4) / 10
SQUARE = np.array([[2.0, 0.5], [0.5, 3.0]])
LABELS = np.array([0, 2])
ELSEWHERE = {
    **dict.fromkeys(
        ("composite", "closed_form", "primitive", "register_layer", "layer", "layers"), "declares, or looks up a name"
    ),
    **dict.fromkeys(("grad", "value_and_grad", "jacobian", "hessian", "hvp", "jvp", "vjp", "remat"), "test_transforms"),
    **dict.fromkeys(
        ("gradients", "fit", "mc_dropout", "stand_in", "save", "load", "load_tensors", "summary"),
        "test_errors, test_saving",
    ),
    **dict.fromkeys(("random.get_state", "random.set_state", "random.new_stream", "random.seed"), "test_random"),
}
"""Functions that are not of this table, and where they are tested."""

FITTING: dict[str, Any] = {
    **dict.fromkeys(("x", "a", "b", "prediction", "data"), X),
    "mask": X > 2, "condition": X > 2, "values": X, "labels": LABELS, "target": X,
    "axis": 1, "axis1": 0, "axis2": 1, "axes": (1, 0), "source": 0, "destination": 1,
    "shape": (3, 2), "shift": 1, "repeats": 2, "sections": 3, "k": 1, "offset": 1, "decimals": 1, "classes": 3,
    "kernel_size": 2, "stride": 1, "padding": 1, "dilation": 1, "groups": 1, "output_padding": 0, "n": 3, "m": 2,
    "indices": LABELS, "index": 1, "widths": 1, "start": 1, "stop": 5, "step": 2, "value": 2.0, "correction": 1,
    "low": 1, "high": 6, "p": 0.5, "arrays": (X, X), "dtype": "float32", "subscripts": "ij,jk", "why": "a test",
    "mode": "constant", "side": "left", "approximate": "tanh", "reduction": "sum", "device": "numpy",
    "ignore_index": 1,
    "weight": None, "bias": None, "gain": 1.0, "delta": 0.5, "label_smoothing": 0.1, "eps": 1e-8, "at_zero": 0.0,
    "nan": 0.0, "posinf": 1.0, "neginf": -1.0, "ord": 2, "mean": 0.0, "std": 1.0, "min": 2.0, "max": 4.0,
    "num": 5, "like": None, "generator": None, "name": None, "requires_grad": False,
    **dict.fromkeys(("keepdims", "descending", "upper", "lower", "transposed", "unit_diagonal"), True),
    **dict.fromkeys(("largest", "count_include_pad", "endpoint"), False),
}  # fmt: skip
"""A value that fits, by the name of the parameter."""


def _image(axes: int) -> Any:
    """(2, 3, …) with that many spatial axes of size 4."""
    index: tuple[Any, ...] = (..., *(0,) * (3 - axes))
    return IMAGE[index]


_PROBABLE = np.array([[0.2, 0.3, 0.5], [0.1, 0.6, 0.3]])
OWN: dict[str, dict[str, Any]] = {
    "matmul": {"b": X.T}, "linalg.matmul": {"b": X.T}, "einsum": {"*": (X, X.T)}, "broadcast_arrays": {"*": (X, X[0])},
    "tensordot": {"axes": 2}, "linalg.tensordot": {"axes": 2}, "searchsorted": {"x": np.sort(X[0])},
    "squeeze": {"x": X[:, None]}, "broadcast_to": {"shape": (4, 2, 3)}, "scatter_add": {"values": X[1]},
    "take_along_axis": {"indices": LABELS[:, None]}, "acosh": {"x": X + 1},
    **{f: {"x": X / 10} for f in ("asin", "acos", "atanh")},
    **{f"linalg.{f}": {"x": SQUARE} for f in ("inv", "cholesky", "eigh", "qr", "slogdet", "sqrtm")},
    **{f"linalg.{f}": {"a": SQUARE} for f in ("solve", "solve_triangular")},
    "linalg.solve_lyapunov": {"a": SQUARE, "b": SQUARE},
    **{f"init.{f}": {"a": 0.0, "mode": "fan_in"} for f in ("he_normal", "he_uniform", "kaiming_normal",
                                                          "kaiming_uniform")},
    **{f"losses.{f}": {"target": LABELS} for f in ("cross_entropy", "nll")},
    **{f"losses.{f}": {"prediction": _PROBABLE, "target": _PROBABLE} for f in ("kl_div", "binary_cross_entropy")},
    "losses.binary_cross_entropy_with_logits": {"target": _PROBABLE}, "losses.hinge": {"target": np.sign(X)},
    **{f"{f}{d}d": {"x": _image(d)} for f in ("max_pool", "avg_pool") for d in (1, 2, 3)},
    **{f"conv{d}d": {"x": _image(d), "weight": _image(d)[(..., *(slice(2),) * d)]} for d in (1, 2, 3)},
    **{f"conv_transpose{d}d": {"x": _image(d)[:, :2], "weight": _image(d)[(..., *(slice(2),) * d)]} for d in (1, 2, 3)},
}  # fmt: skip
"""Values for functions that need others than the rest."""

INTEGERS = frozenset(
    "axis axis1 axis2 axes source destination shape shift repeats sections k offset decimals classes kernel_size "
    "stride padding dilation groups output_padding n m num widths low high ignore_index".split()
)
"""Parameters that take integers, one or several. (`low` and `high` are bounds of any number in what draws reals.)"""
REALS = frozenset(
    {("random.uniform", "low"), ("random.uniform", "high"), ("init.uniform", "low"), ("init.uniform", "high")}
)
MANY = frozenset("axes shape".split())
"""Those that always take several."""
ARRAYS = frozenset("x a b prediction target condition mask values labels".split())


def public_functions() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Every public function of the package and of the modules that compute, with its dotted name."""
    homes = {"": mg, **{f"{m}.": getattr(mg, m) for m in ("linalg", "random", "init", "losses", "safe")}}
    for prefix, home in homes.items():
        for name in sorted(getattr(home, "__all__", dir(home))):
            function = getattr(home, name)
            if inspect.isfunction(function) and not name.startswith("_") and prefix + name not in ELSEWHERE:
                yield prefix + name, function


def parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    return [p for p in inspect.signature(function).parameters.values() if p.kind is not p.VAR_KEYWORD]


class Call:
    """A call of a public function whose arguments can be exchanged one by one."""

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self.name, self.function = name, function
        own = OWN.get(name, {})
        self.given = {
            p.name: own["*"] if p.kind is p.VAR_POSITIONAL else own.get(p.name, FITTING[p.name])
            for p in parameters(function)
        }

    def __call__(self, **changed: Any) -> Any:
        """The result on tensors; parameters by keyword, so far as they can be."""
        positional, named = [], {}
        for p in parameters(self.function):
            value = changed.get(p.name, self.given[p.name])
            if p.name not in changed:
                value = _tensors(value)
            if p.kind is p.VAR_POSITIONAL:
                positional += value
            elif any(q.kind is q.VAR_POSITIONAL for q in parameters(self.function)):
                positional.append(value)
            else:
                named[p.name] = value
        return self.function(*positional, **named)


def _tensors(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return mg.tensor(value)
    return tuple(map(_tensors, value)) if isinstance(value, tuple) and any(map(np.ndim, value)) else value


CALLS = {name: Call(name, function) for name, function in public_functions()}
