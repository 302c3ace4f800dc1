"""G4, X3: gradients of random programs with shared nodes and forced aliasing, against central differences."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from tables import OPS, examples, with_rule

import minigrad as mg

SHAPE = (2, 3)
STEPS = 30

# Each takes and gives arrays of SHAPE and keeps values within reach, so that any of them may follow any other.
UNARY: dict[str, Callable[[Any], Any]] = {
    "tanh": mg.tanh,
    "sin": mg.sin,
    "cos": mg.cos,
    "sigmoid": mg.sigmoid,
    "exp": lambda a: mg.exp(mg.tanh(a)),
    "log": lambda a: mg.log(2.0 + mg.sin(a)),
    "sqrt": lambda a: mg.sqrt(1.5 + mg.cos(a)),
    "rsqrt": lambda a: mg.rsqrt(1.5 + mg.tanh(a)),
    "square": lambda a: mg.square(mg.tanh(a)),
    "power": lambda a: (1.5 + mg.sin(a)) ** 2.5,
    "negative": lambda a: -a,
    "weak": lambda a: 0.5 * a + 1.0,
    "getitem": lambda a: a[[1, 1]],
    "rolled": lambda a: mg.concat([a[:, 1:], a[:, :1]], axis=1),
    "reversed": lambda a: a[::-1, ::-1],
    "reshaped": lambda a: mg.reshape(a.T, SHAPE),
    "mean": lambda a: mg.broadcast_to(mg.mean(a, axis=0), SHAPE),
    "summed": lambda a: mg.broadcast_to(0.2 * mg.sum(a), SHAPE),
    "centred": lambda a: a - mg.mean(a, axis=1, keepdims=True),
    "normalized": lambda a: mg.tanh(a) * mg.rsqrt(mg.var(a, axis=0) + 1.0),
    "softmax": lambda a: mg.softmax(a, axis=0),
    "cast": lambda a: mg.astype(a, "float64"),
    "expanded": lambda a: mg.sum(mg.tanh(mg.expand_dims(a, 0) * mg.expand_dims(a, 1)), axis=0) * 0.5,
    "masked": lambda a: mg.keep(a, mg.tensor([[True, False, True], [False, True, True]])),
    "padded": lambda a: mg.pad(a, ((1, 0), (0, 1)))[:2, 1:],
}
BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda a, b: 0.5 * (a + b),
    "plain": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: mg.tanh(a) * mg.cos(b),
    "product": lambda a, b: mg.tanh(a * b),
    "divide": lambda a, b: mg.sin(a) / (1.5 + mg.tanh(b)),
    "matmul": lambda a, b: mg.tanh((a @ b.T) @ a),
    "where": lambda a, b: mg.where(mg.tensor([True, False, True]), a, b),
    "stack": lambda a, b: mg.sum(mg.stack([a, b]), axis=0) * 0.5,
    "outer": lambda a, b: mg.sin(a * b[0]),
    "both": lambda a, b: mg.concat([a[:1], b[:1]]),
}
Program = list[tuple[Callable[..., Any], tuple[int, ...]]]


def program(rng: np.random.Generator, steps: int, aliased: float) -> Program:
    """Each step applies an operation to earlier values, 0 and 1 are the inputs; old values are used again and again."""
    out: Program = []
    names = [*UNARY, *BINARY, *BINARY]  # twice, so that paths meet
    for k in range(2, steps + 2):
        name = names[int(rng.integers(len(names)))]
        i, j = (int(rng.integers(max(0, k - 4), k)) if rng.random() < 0.7 else int(rng.integers(k)) for _ in "ij")
        if rng.random() < aliased:
            j = i
        out.append((UNARY[name], (i,)) if name in UNARY else (BINARY[name], (i, j)))
    return out


def evaluate(steps: Program, *inputs: Any) -> Any:
    values = list(inputs)
    for f, operands in steps:
        values.append(f(*(values[k] for k in operands)))
    return mg.sum(values[-1] + 0.3 * values[len(values) // 2])


def failing(seeds: range, aliased: float, order: int = 1) -> list[int]:
    """The seeds of the programs whose gradients are wrong."""
    wrong = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        steps = program(rng, STEPS, aliased)
        xs = rng.uniform(-1, 1, (2, *SHAPE))
        if order == 1 and _extrapolated(steps, xs, rng):
            continue
        try:
            mg.check.gradients(lambda a, b, steps=steps: evaluate(steps, a, b), *xs, order=order, rtol=1e-6, atol=1e-7)
        except mg.check.CheckError:
            wrong.append(seed)
    return wrong


def _extrapolated(steps: Program, xs: Any, rng: np.random.Generator) -> bool:
    """Whether the gradient is right in a random direction, by a difference that is exact to order h⁴ (Richardson).

    That takes 4 runs of the program; the look at each element, 24, is left for those where this one disagrees.
    """
    direction = rng.standard_normal(xs.shape)

    def slope(h: float) -> float:
        ahead, behind = (evaluate(steps, *map(mg.tensor, xs + s * h * direction)).item() for s in (1, -1))
        return (ahead - behind) / (2 * h)

    leaves = [mg.tensor(x, requires_grad=True) for x in xs]
    found = mg.gradients(evaluate(steps, *leaves), leaves, allow_unused=True)
    exact = sum(float((g.numpy() * d).sum()) for g, d in zip(found, direction, strict=True) if g is not None)
    difference = (4 * slope(5e-5) - slope(1e-4)) / 3
    return abs(exact - difference) <= 1e-6 * max(1.0, abs(exact))


def test_random_programs() -> None:
    """G4: 500 in CI."""
    assert failing(range(examples(500)), aliased=0.1) == []


def test_random_programs_with_forced_aliasing() -> None:
    """X3: both operands are the same value, so cotangents are shared and broadcast."""
    assert failing(range(examples(100)), aliased=1.0) == []


def test_random_programs_to_second_order() -> None:
    assert failing(range(examples(10)), aliased=0.3, order=2) == []


@pytest.mark.parametrize(
    ("name", "k", "fault"),
    [
        ("multiply", 0, lambda right: lambda g, b: g),
        ("divide", 1, lambda right: lambda g, y, b: g * y / b),
        ("matmul", 1, lambda right: lambda g, a: 1.01 * right(g, a)),
    ],
)
def test_a_fault_is_found(name: str, k: int, fault: Any) -> None:
    op = OPS[name]
    with with_rule(op, k, fault(op.pulls[k].rule)):
        assert failing(range(10), aliased=0.1) != []


def test_a_cotangent_that_is_changed_in_place_is_found() -> None:
    """What X3 is for: a rule that writes into its cotangent, which the rule of the other operand gets too."""

    def greedy(g: Any) -> Any:
        before = g * 1.0
        with suppress(ValueError):  # some cotangents are frozen
            g *= 2.0
        return before

    with with_rule(OPS["add"], 0, greedy):
        assert failing(range(5), aliased=1.0) != []
