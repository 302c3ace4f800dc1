"""G8: every kink has the derivative that docs/conventions.md says, finite unless it says inf; the table is read."""

from __future__ import annotations

import json
import re
from operator import attrgetter
from typing import Any

import numpy as np
import pytest
from house import ROOT

import minigrad as mg

ROW = re.compile(r"^\| `([\w.]+)\(.*\)` \| `(.*)` \| `(.*)` \|$", re.MULTILINE)
TABLE = ROW.findall((ROOT / "docs/conventions.md").read_text(encoding="utf-8"))
EXTRA: dict[str, tuple[Any, ...]] = {"max_pool1d": (2,), "max_pool2d": (2,)}


def numbers(text: str) -> list[Any]:
    return json.loads("[" + text.replace("inf", "Infinity") + "]")  # type: ignore[no-any-return]


def test_the_table_is_read_and_holds_what_was_promised() -> None:
    promised = "relu abs sign maximum minimum max min clip sqrt linalg.norm std power".split()
    assert len(TABLE) >= 25
    assert set(promised) <= {name for name, _, _ in TABLE}


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize(("name", "at", "gradient"), TABLE)
@np.errstate(divide="ignore")  # NumPy's warning at a pole, which these rows visit on purpose
def test_the_documented_derivative(name: str, at: str, gradient: str, dtype: str) -> None:
    xs = [mg.tensor(v, dtype=dtype, requires_grad=True) for v in numbers(at)]
    attrgetter(name)(mg)(*xs, *EXTRA.get(name, ())).sum().backward()
    expected = [np.asarray(v, dtype) for v in numbers(gradient)]
    for x, e in zip(xs, expected, strict=True):
        assert x.grad is not None
        assert np.array_equal(x.grad.numpy(), e) or np.abs(x.grad.numpy() - e).max() <= np.finfo(dtype).eps
        assert x.grad.dtype == e.dtype


@pytest.mark.parametrize(("name", "at", "gradient"), [row for row in TABLE if "inf" not in row[2]])
def test_higher_derivatives_at_a_kink_are_finite(name: str, at: str, gradient: str) -> None:
    xs = [mg.tensor(float(v) if np.isscalar(v) else v, dtype="float64", requires_grad=True) for v in numbers(at)]
    total = attrgetter(name)(mg)(*xs, *EXTRA.get(name, ())).sum()
    for _ in range(3):
        if not total.requires_grad:  # a constant: all that follows is 0
            break
        parts = mg.gradients(total, xs, create_graph=True, allow_unused=True)
        found = [p for p in parts if p is not None]
        if not found:
            break
        assert all(np.isfinite(p.numpy()).all() for p in found)
        total = found[0].sum()
        for p in found[1:]:
            total = total + p.sum()


def test_four_ways_to_write_relu() -> None:
    """The text below the table."""
    ways = [mg.relu, lambda x: mg.clip(x, 0), lambda x: mg.where(x > 0, x, 0.0), lambda x: mg.maximum(x, 0.0)]
    assert [mg.grad(f)(0.0).item() for f in ways] == [0, 0, 0, 0.5]
