"""Samples: how a layer says how to try it, in one line each, and what a wrong one is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg

SAYS = {  # what a layer's author writes, and the shapes and dtypes that are drawn from it
    "embedding": (
        mg.Sample((10, 4), inputs=((mg.domains.below(10), (2, 3)),)),
        "10, 4 of below(10) (2, 3)",
        [((2, 3), "int64")],
    ),
    "attention": (
        mg.Sample((8, 2), {"bias": False}, inputs=[(2, 5, 8)] * 2, keywords={"keep": (mg.domains.booleans, (5, 5))}),
        "8, 2, bias=False of (2, 5, 8), (2, 5, 8), keep=booleans (5, 5)",
        [((2, 5, 8), "float64"), ((2, 5, 8), "float64"), ((5, 5), "bool")],
    ),
    "conditional norm": (
        mg.Sample((3, 2), inputs=((4, 3, 2), (mg.domains.reals, (4, 2)))),
        "3, 2 of (4, 3, 2), reals (4, 2)",
        [((4, 3, 2), "float64"), ((4, 2), "float64")],
    ),
    "recurrent cell": (
        mg.Sample((3, 4), inputs=((2, 3), ((2, 4), (2, 4)))),
        "3, 4 of (2, 3), ((2, 4), (2, 4))",
        [((2, 3), "float64"), ((2, 4), "float64"), ((2, 4), "float64")],
    ),
    "nothing and a value": (
        mg.Sample(inputs=(None, np.arange(3), mg.ones(2), {"h": [()]})),
        "of None, int64 (3,), float64 (2,), {h: ((),)}",
        [((3,), "int64"), ((2,), "float64"), ((), "float64")],
    ),
}


def flat(value: Any) -> list[Any]:
    if isinstance(value, (tuple, list, dict)):
        return [a for part in (value.values() if isinstance(value, dict) else value) for a in flat(part)]
    return [] if value is None else [value]


@pytest.mark.parametrize("name", SAYS)
def test_what_a_sample_says_and_draws(name: str, rng: np.random.Generator) -> None:
    sample, text, drawn = SAYS[name]
    assert (str(sample), repr(sample)) == (text, f"Sample({text})")
    arrays = flat(sample.values(rng))
    assert [(a.shape, a.dtype) for a in arrays] == [(shape, np.dtype(kind)) for shape, kind in drawn]
    assert all(np.abs(a).max(initial=0) <= 10 for a in arrays)


def test_drawn_values_keep_to_their_domain(rng: np.random.Generator) -> None:
    for n in (1, 6, 7, 99):
        values = mg.domains.spread(rng, (n,))
        apart = np.diff(np.sort(values))
        assert np.abs(values).min() >= 0.79 / n
        assert np.abs(values).max() <= 2
        assert (apart >= 3.99 / n).all()
    labels = mg.domains.below(3)(rng, (200,))
    assert set(labels) == {0, 1, 2}


def test_older_pairs_are_taken() -> None:
    class Pair(mg.Module):
        samples = (((3,), (2, 3)), mg.Sample((4,), inputs=((2, 4),)))

    class One(mg.Module):
        samples = mg.Sample((4,), inputs=((2, 4),))  # type: ignore[assignment]

    assert [str(s) for s in mg.Sample.of(Pair)] == ["3 of (2, 3)", "4 of (2, 4)"]
    assert [str(s) for s in mg.Sample.of(One)] == ["4 of (2, 4)"]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: mg.Sample(3), r"args=3 must be a tuple; write args=\(3,\)"),
        (lambda: mg.Sample(inputs=(2, 3)), r"write inputs=\(\(2, 3\),\)"),
        (lambda: mg.Sample(inputs=("x",)), r"inputs\[0\]: 'x' is no input; give a shape"),
        (lambda: mg.Sample(inputs=((2, -3),)), r"inputs\[0\]\[0\]: 2 is no input"),
        (lambda: mg.Sample(keywords={"mask": True}), r"keywords\['mask'\]: True is no input"),
        (
            lambda: mg.Sample.of(type("Odd", (mg.Module,), {"samples": ((3,), (2, 3))})),
            r"Odd.samples\[0\]: \(3,\) must",
        ),
    ],
)
def test_a_wrong_sample_is_told_the_right_one(call: Callable[[], Any], says: str) -> None:
    with pytest.raises(mg.errors.DeclarationError, match=says):
        call()
