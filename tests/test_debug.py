"""nan_guard names the first operation that produced a NaN or an infinity, forward or backward, and the user's line."""

from __future__ import annotations

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

    with pytest.raises(mg.errors.NonFiniteError, match=f"minigrad.{culprit} produced"), mg.debug.nan_guard():
        run(mg.tensor([0.3, 0.7]))


def test_infinities_that_were_given_are_nobodys_fault() -> None:
    with mg.debug.nan_guard():
        y = mg.max_pool2d(mg.ones((1, 1, 4, 4)), 3, padding=1) + mg.tensor(np.inf)
    assert np.isinf(y.numpy()).all()


def test_nothing_is_watched_outside() -> None:
    with mg.debug.nan_guard():
        mg.ones(2) * 2.0
    assert np.isinf(mg.log(mg.zeros(2)).numpy()).all()
