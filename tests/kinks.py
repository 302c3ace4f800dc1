"""The table of docs/conventions.md, read: what the derivative is where there is none."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
from house import ROOT

import minigrad as mg

_ROW = re.compile(r"^\| `([\w.]+)\(.*\)` \| `(.*)` \| `(.*)` \|$", re.MULTILINE)
_MORE: dict[str, tuple[Any, ...]] = {"max_pool1d": (2,), "max_pool2d": (2,)}


class Kink(NamedTuple):
    """A function, its arguments, and its gradient there for a cotangent of 1."""

    name: str
    at: list[Any]
    gradient: list[Any]
    finite: bool

    @property
    def function(self) -> Callable[..., Any]:
        function = attrgetter(self.name)(mg)
        return lambda *xs: function(*xs, *_MORE.get(self.name, ()))

    def tensors(self, dtype: str) -> list[mg.Tensor]:
        return [mg.tensor(v, dtype=dtype, requires_grad=True) for v in self.at]

    def __str__(self) -> str:
        return f"{self.name} at {self.at}"


def _numbers(text: str) -> list[Any]:
    return json.loads("[" + text.replace("inf", "Infinity") + "]")  # type: ignore[no-any-return]


TABLE = [
    Kink(name, _numbers(at), _numbers(gradient), "inf" not in gradient)
    for name, at, gradient in _ROW.findall((ROOT / "docs/conventions.md").read_text(encoding="utf-8"))
]


@np.errstate(divide="ignore")  # NumPy's warning at a pole, which some rows visit on purpose
def as_documented(kink: Kink, dtype: str, function: Callable[..., Any] | None = None, numbers: bool = False) -> bool:
    """Whether a function, the documented one unless another is given, has the documented gradient.

    With `numbers`, for each argument in turn while the others are Python numbers.
    """
    f, xs = function or kink.function, kink.tensors(dtype)
    calls = [[x if i == k else float(v) for i, v in enumerate(kink.at)] for k, x in enumerate(xs)] if numbers else [xs]
    for args in calls:
        (3.0 * f(*args).sum()).backward()  # a cotangent of 1 would not show whether it is used
    return all(x.grad is not None and _equal(x.grad, e, dtype) for x, e in zip(xs, kink.gradient, strict=True))


def _equal(found: mg.Tensor, expected: Any, dtype: str) -> bool:
    e = 3 * np.asarray(expected, dtype)
    close = np.array_equal(found.numpy(), e) or np.abs(found.numpy() - e).max() <= 4 * np.finfo(dtype).eps
    return bool(close and found.dtype == e.dtype)
