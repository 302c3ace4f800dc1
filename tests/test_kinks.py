"""G8: every kink has the derivative that docs/conventions.md says, finite unless it says inf; the table is read."""

from __future__ import annotations

import numpy as np
import pytest
from kinks import TABLE, Kink, as_documented
from tables import OPS, with_rule

import minigrad as mg


def test_the_table_is_read_and_holds_what_was_promised() -> None:
    promised = "relu abs sign maximum minimum max min clip sqrt linalg.norm std power".split()
    assert len(TABLE) >= 40
    assert set(promised) <= {kink.name for kink in TABLE}


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("kink", TABLE, ids=str)
def test_the_documented_derivative(kink: Kink, dtype: str) -> None:
    assert as_documented(kink, dtype)


@pytest.mark.parametrize("kink", [k for k in TABLE if len(k.at) == 2], ids=str)
def test_the_documented_derivative_beside_a_number(kink: Kink) -> None:
    assert as_documented(kink, "float64", numbers=True)


@pytest.mark.parametrize("kink", [k for k in TABLE if k.finite], ids=str)
def test_higher_derivatives_at_a_kink_are_finite(kink: Kink) -> None:
    xs = kink.tensors("float64")
    total = kink.function(*xs).sum()
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


def test_another_convention_is_found() -> None:
    kink = next(k for k in TABLE if k.name == "maximum")
    with with_rule(OPS["maximum"], 0, lambda g, a, b: mg.keep(g, a >= b)):
        assert not as_documented(kink, "float64")
