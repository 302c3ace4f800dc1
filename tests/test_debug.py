"""nan_guard names the first operation that produced a NaN or an infinity, forward or backward, and the user's line."""

from __future__ import annotations

import linecache
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad as mg

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy warns of the very thing that is provoked

FORWARD = {
    "log": (lambda x: mg.log(x - 1.0), "log(x)"),
    "divide": (lambda x: 1.0 / (x - 1.0), "a / b"),
    "sqrt": (lambda x: mg.sqrt(x - 3.0), "sqrt(x)"),
    "exp": (lambda x: mg.exp(x * 1000.0), "exp(x)"),
    "power": (lambda x: (x - 1.0) ** -2.0, "a^b"),
}


@pytest.mark.parametrize("op", FORWARD)
def test_forward(op: str) -> None:
    f, formula = FORWARD[op]
    with pytest.raises(mg.errors.NonFiniteError) as caught, mg.debug.nan_guard():
        f(mg.tensor([1.0, 2.0])) * 2.0
    message = str(caught.value)
    assert f"minigrad.{op} produced" in message
    assert formula in message
    assert f"{Path(__file__).name}:" in message


def test_backward_names_the_rule() -> None:
    x = mg.tensor([0.0, 4.0], requires_grad=True)
    named = r"backward of minigrad.sqrt produced an infinity.*g / \(2·y\)"
    with pytest.raises(mg.errors.NonFiniteError, match=named), mg.debug.nan_guard():
        mg.sqrt(x).sum().backward()


@pytest.mark.parametrize("seed", range(25))
def test_the_culprit_is_found_in_a_long_program(seed: int) -> None:
    rng = np.random.default_rng(seed)
    at = int(rng.integers(5, 30))
    culprit, produce = [
        ("log", lambda v: mg.log(v * 0.0)),
        ("divide", lambda v: v / (v - v)),
        ("sqrt", lambda v: mg.sqrt(-1.0 - v * v)),
    ][seed % 3]

    def run(x: Any) -> Any:
        for k in range(40):
            x = produce(x) if k == at else mg.tanh(x) + 0.1
        return x

    with pytest.raises(mg.errors.NonFiniteError, match=f"minigrad.{culprit} produced") as caught, mg.debug.nan_guard():
        run(mg.tensor([0.3, 0.7]))
    assert {"log": "log(x)", "divide": "a / b", "sqrt": "sqrt(x)"}[culprit] in str(caught.value)
    made = re.search(rf"at .*{Path(__file__).name}:(\d+)", str(caught.value))
    assert made is not None
    assert f'("{culprit}", lambda v:' in linecache.getline(__file__, int(made[1]))


POLES = {  # finite forward, not finite backward: op -> (a step with the pole, part of its rule's formula)
    "sqrt": (lambda v: mg.sqrt(v * 0.0), "g / (2·y)"),
    "power": (lambda v: (v * 0.0) ** 0.5, "a"),
    "cbrt": (lambda v: mg.cbrt(v * 0.0), "cbrt"),
    "asin": (lambda v: mg.asin(v * 0.0 + 1.0), "sqrt"),
}


@pytest.mark.parametrize("seed", range(25))
def test_the_culprit_of_a_backward_is_found_in_a_long_program(seed: int) -> None:
    """Q4, the other half: the pole is met at step `at` only, on the way back; formula and the user's line are told."""
    at = int(np.random.default_rng(seed).integers(5, 30))
    op, (produce, formula) = list(POLES.items())[seed % 4]

    def run(x: Any) -> Any:
        for k in range(40):
            if k == at:
                x = x + produce(x)
            else:
                x = mg.tanh(x) + 0.1
        return x

    x = mg.tensor([0.3, 0.7], requires_grad=True)
    with pytest.raises(mg.errors.NonFiniteError) as caught, mg.debug.nan_guard():
        mg.sum(run(x)).backward()
    message = str(caught.value)
    assert f"backward of minigrad.{op} produced" in message
    assert formula in message
    made = re.search(rf"the operation ran at .*{Path(__file__).name}:(\d+)", message)
    assert made is not None
    assert f'"{op}": (lambda v:' in linecache.getline(__file__, int(made[1]))


def test_infinities_that_were_given_are_nobodys_fault() -> None:
    with mg.debug.nan_guard():
        y = mg.max_pool2d(mg.ones((1, 1, 4, 4)), 3, padding=1) + mg.tensor(np.inf)
    assert np.isinf(y.numpy()).all()


def test_nothing_is_watched_outside() -> None:
    with mg.debug.nan_guard():
        mg.ones(2) * 2.0
    assert np.isinf(mg.log(mg.zeros(2)).numpy()).all()


def test_what_fails_says_where_in_the_users_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """The notes of an exception: operation, inputs, and the line, forward and backward."""
    with pytest.raises(ValueError, match="do not broadcast") as caught:
        mg.ones((2, 3)) + mg.ones(4)
    (note,) = caught.value.__notes__
    assert note.startswith("in minigrad.add with argument 'a': float64 (2, 3), argument 'b': float64 (4,)")
    assert "mg.ones((2, 3)) + mg.ones(4)" in line_of(note)

    op = mg.check.primitives()["tanh"]
    monkeypatch.setattr(op, "pulls", (op.pulls[0]._replace(rule=lambda g, y: 1 // 0 * g),))
    monkeypatch.setattr(op, "quick", None)
    y = mg.sum(mg.tanh(mg.tensor([[0.5]], requires_grad=True)))
    with pytest.raises(ZeroDivisionError) as caught_backward:
        y.backward()
    (note,) = caught_backward.value.__notes__
    assert "in the backward of minigrad.tanh with argument 'x': float64 (1, 1); cotangent float64 (1, 1)" in note
    assert "y.backward()" in line_of(note)


def line_of(note: str) -> str:
    made = re.search(rf"at .*{Path(__file__).name}:(\d+)", note)
    assert made is not None
    return linecache.getline(__file__, int(made[1]))
