"""nan_guard names the first operation that produced a NaN or an infinity, forward or backward, and the user's line."""

from __future__ import annotations

import linecache
import re
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.backend import get_backend
from minigrad.core import MODES
from minigrad_layers import LayerNorm, Linear, Sequential

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


# ---- where it may hide


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)], ids=str)
def test_of_several_uses_the_one_at_fault_is_named(order: tuple[int, ...]) -> None:
    """Whichever came first: the cotangents of three uses add up, and one of them is infinite."""
    x = mg.tensor([1.0, 0.0], requires_grad=True)
    uses = [lambda: mg.sin(x), lambda: mg.sqrt(x), lambda: x * 3.0]
    y = sum((uses[k]() for k in order), mg.tensor(0.0))
    with pytest.raises(mg.errors.NonFiniteError, match=r"backward of minigrad.sqrt produced an infinity"):
        mg.debug.nan_guard()(lambda: mg.sum(y).backward())()


def test_a_sum_of_finite_cotangents_that_overflows_says_so() -> None:
    x = mg.tensor([1e-10], requires_grad=True)
    told = r"the 2 contributions to one cotangent are finite, and their sum is an infinity: to the gradient of a leaf"
    with pytest.raises(mg.errors.NonFiniteError, match=told) as caught, mg.debug.nan_guard():
        mg.sum(x * 1e308 + x * 1.5e308).backward()
    assert str(caught.value).count(f"minigrad.multiply at {__file__}:") == 2


def test_several_outputs_of_which_some_lead_nowhere() -> None:
    x = mg.tensor([0.0, 1.0, 4.0], requires_grad=True)
    told = r"backward of minigrad.sqrt produced an infinity"
    with pytest.raises(mg.errors.NonFiniteError, match=told), mg.debug.nan_guard():
        mg.sum(mg.split(mg.sqrt(x) * 2.0, 3)[0]).backward()
    a = mg.tensor(np.eye(2), requires_grad=True)
    told = r"backward of minigrad.eigh produced NaN"  # two equal eigenvalues: 1 / (λ - λ)
    with pytest.raises(mg.errors.NonFiniteError, match=told), mg.debug.nan_guard():
        mg.sum(mg.linalg.eigh(a)[1] * mg.tensor([[1.0, 2.0], [3.0, 5.0]])).backward()


HIGHER = {
    "grad of grad": (lambda x: mg.grad(mg.grad(lambda t: mg.sqrt(t) * t))(x), "divide"),
    "hessian": (lambda x: mg.hessian(lambda t: mg.sum(t**1.5))(mg.reshape(x, (1,))), "power"),
    "jvp": (lambda x: mg.jvp(mg.cbrt, (x,), (mg.tensor(1.0),)), "divide"),
    "remat": (lambda x: mg.grad(mg.remat(lambda t: mg.sqrt(t) * 1.0))(x), "sqrt"),
    "jacobian": (lambda x: mg.jacobian(lambda t: mg.stack([mg.sqrt(t), t]))(x), "sqrt"),
}


@pytest.mark.parametrize("what", HIGHER)
def test_higher_orders_and_transforms_are_watched(what: str) -> None:
    call, op = HIGHER[what]
    with pytest.raises(mg.errors.NonFiniteError) as caught, mg.debug.nan_guard():
        call(mg.tensor(0.0))
    message = str(caught.value)
    assert re.match(rf"(the backward of )?minigrad\.{op} produced", message), message
    made = re.search(rf"at .*{Path(__file__).name}:(\d+)", message)
    assert made is not None
    assert f'"{what}": (lambda x:' in linecache.getline(__file__, int(made[1]))


def test_inside_a_layer_the_line_is_the_users() -> None:
    model = Sequential(Linear(2, 2), LayerNorm(2))
    with pytest.raises(mg.errors.NonFiniteError) as caught, mg.debug.nan_guard():
        model(mg.ones((3, 2)) * 1e300)  # its square overflows
    message = str(caught.value)
    made = re.search(rf"at .*{Path(__file__).name}:(\d+)", message)
    assert made is not None
    assert "its square overflows" in linecache.getline(__file__, int(made[1]))


STEPS = {
    "SGD": (mg.optim.SGD, {"lr": 1e10}, 1e300, "a·b"),
    "SGD with momentum": (mg.optim.SGD, {"lr": 1e10, "momentum": 0.9}, 1e300, "a·b"),
    "Adam": (mg.optim.Adam, {}, 1e200, "a·b"),  # g² overflows: without a guard, this parameter stands still for ever
    "AdamW": (mg.optim.AdamW, {}, 1e200, "a·b"),
}


@pytest.mark.parametrize("what", STEPS)
def test_the_step_of_an_optimiser_is_watched(what: str) -> None:
    """Operation by operation, also where it runs in one piece otherwise; afterwards, it does so again."""
    kind, options, big, formula = STEPS[what]

    def run(guarded: bool) -> Any:
        p = mg.Parameter(mg.tensor([1.0, 2.0], dtype="float64"))
        optimizer = kind([p], **{**options, "lr": 1e-3})
        for k in range(4):
            p.grad = mg.tensor([0.5, -0.25 * k])
            with mg.debug.nan_guard() if guarded and k % 2 else nullcontext():
                optimizer.step()
        return p, optimizer

    p, optimizer = run(guarded=True)
    assert p.tolist() == run(guarded=False)[0].tolist()  # to the last bit
    optimizer.param_groups[0].update(options)
    before = p.tolist()
    p.grad = mg.tensor([big, 1.0])
    with pytest.raises(mg.errors.NonFiniteError, match=r"minigrad.multiply produced an infinity") as caught:
        mg.debug.nan_guard()(optimizer.step)()
    assert formula in str(caught.value)
    assert f"{Path(__file__).name}:" in str(caught.value)
    assert p.tolist() == before


# ---- what is nobody's fault


def test_infinities_that_were_given_are_nobodys_fault() -> None:
    with mg.debug.nan_guard():
        y = mg.max_pool2d(mg.ones((1, 1, 4, 4)), 3, padding=1) + mg.tensor(np.inf)
    assert np.isinf(y.numpy()).all()


@pytest.mark.parametrize("f", [mg.softmax, mg.log_softmax, mg.logsumexp, mg.sigmoid, mg.softplus, mg.relu])
def test_a_mask_of_infinities_passes(f: Any) -> None:
    """No NaN is made on the way either, forward or backward."""
    x = mg.tensor([[1.0, -np.inf, 3.0], [0.0, 2.0, -1e4]], requires_grad=True)
    with mg.debug.nan_guard():
        y = f(x, axis=-1) if "softmax" in f.__name__ or f is mg.logsumexp else f(x)
        mg.sum(mg.where(mg.isfinite(y), y, 0.0)).backward()
    assert np.isfinite(x.grad.numpy()).all()


def test_a_nan_that_infinities_make_is_told() -> None:
    """The row of which everything is masked."""
    with pytest.raises(mg.errors.NonFiniteError, match="produced NaN from inputs without NaN"), mg.debug.nan_guard():
        x = mg.tensor([np.inf, 1.0])
        x - x


def test_infinities_on_purpose_can_be_allowed() -> None:
    guard = mg.debug.nan_guard(allow_inf=True)
    x = mg.tensor([0.0, 1.0], requires_grad=True)
    with guard:
        mask = mg.log(mg.tensor([0.0, 1.0]))
        mg.sum(mg.sqrt(x)).backward()
    assert mask.tolist() == [-np.inf, 0.0]
    assert x.grad.tolist() == [np.inf, 0.5]
    with (
        pytest.raises(mg.errors.NonFiniteError, match=r"minigrad.subtract produced NaN from inputs without NaN"),
        guard,
    ):
        mg.log(mg.zeros(1)) - mg.log(mg.zeros(1))


# ---- what it costs


def test_a_guard_keeps_no_graph_alive() -> None:
    with mg.debug.nan_guard():
        guard = MODES.get().watchers[-1]
        for _ in range(3):
            x, other = (mg.tensor([0.5], requires_grad=True) for _ in range(2))
            y = mg.sum(mg.sin(x * other) + mg.exp(other))
            mg.gradients(y, [x])
            (dy,) = mg.gradients(mg.sum(mg.sin(x) * other), [x], create_graph=True)
            del x, other, y, dy
        assert (len(guard._lines), len(guard._uses)) == (0, 0)


def test_a_device_is_waited_for_once_for_each_operation() -> None:
    """Only so can the error come where the fault is; values are copied for the message alone."""
    counts = get_backend("fakecupy").transfers
    x = mg.tensor([0.5, 1.0], device="fakecupy", requires_grad=True)
    before = counts.to_host, counts.waits
    with mg.debug.nan_guard():
        mg.sum(mg.sin(x) * x).backward()
    seen = counts.to_host - before[0], counts.waits - before[1]
    assert max(seen) <= 3 + 4, "three operations, and the cotangents of their results and of the leaf"
    with pytest.raises(mg.errors.NonFiniteError, match="from -1 to 1"), mg.debug.nan_guard():
        mg.log(mg.tensor([-1.0, 1.0], device="fakecupy"))


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
