"""Whole steps of training, recorded once and run as programs with their state fed back, against the same steps run."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from optimisers import OPTIMISERS, make

import minigrad as mg
from minigrad_layers import BatchNorm1d, BatchNorm2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Sequential

Step = Callable[[Any, Any], Any]


@pytest.fixture(autouse=True)
def _host(backend: str) -> None:
    if backend != "numpy":
        pytest.skip("a program is recorded without a device; what runs it decides")


def wine(width: int) -> mg.Module:
    layers: list[mg.Module] = []
    for n in (11, width, width):
        layers += [Linear(n, width), ReLU(), Dropout(0.3), BatchNorm1d(width)]
    return Sequential(*layers, Linear(width, 1))


def digits(width: int) -> mg.Module:
    return Sequential(
        Conv2d(1, width, 3, padding=1), BatchNorm2d(width), ReLU(), MaxPool2d(2),
        Conv2d(width, 2 * width, 3, padding=1), BatchNorm2d(2 * width), ReLU(), MaxPool2d(2),
        Flatten(), Dropout(0.25), Linear(8 * width, 10),
    )  # fmt: skip


def training(build: Callable[[], mg.Module], loss: Any, optimizer: Any) -> tuple[mg.Module, Any, Step]:
    mg.random.seed(7)
    model = build()
    made = optimizer(model.parameters())

    def step(x: Any, y: Any) -> Any:
        made.zero_grad()
        value = loss(model(x), y)
        value.backward()
        made.step()
        return value

    return model, made, step


def batches(name: str, n: int, steps: int) -> list[tuple[Any, Any]]:
    rng = np.random.default_rng(3)
    if name == "wine":
        return [(rng.standard_normal((n, 11)).astype("f4"), rng.standard_normal((n, 1)).astype("f4"))] * steps
    return [(rng.standard_normal((n, 1, 8, 8)).astype("f4"), rng.integers(0, 10, n)) for _ in range(steps)]


NETWORKS: dict[str, tuple[Callable[[int], mg.Module], Any, int, int]] = {
    "wine": (wine, mg.losses.mae, 32, 1024),
    "digits": (digits, mg.losses.cross_entropy, 4, 32),
}


def everything(model: mg.Module, optimizer: Any) -> dict[str, Any]:
    slots = {f"{n}.{k}": v for n, s in optimizer.state_dict()["state"].items() for k, v in s.items()}
    streams = {n: g.state for n, g in model.named_generators()}
    return {**model.state_dict(), **slots, **streams}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("optimizer", OPTIMISERS)
def test_recorded_steps_are_the_steps_to_the_last_bit(name: str, optimizer: str, nightly: bool) -> None:
    """Losses, parameters, statistics, moments and the places of streams, after 50 steps."""
    build, loss, small, full = NETWORKS[name]
    width = full if nightly and optimizer == "adam" else small
    model, held, step = training(lambda: build(width), loss, partial(make, optimizer))
    other, other_held, eager = training(lambda: build(width), loss, partial(make, optimizer))
    data = batches(name, 16, 50)
    before = everything(model, held)
    recorded = mg.graph.program(step, *map(mg.tensor, data[0]))
    after = everything(model, held)
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[k], after[k]) for k in before)
    assert all(p.grad is None and type(p) is mg.Parameter for p in model.parameters())
    state: Any = recorded.read()
    for x, y in data:
        value, *state = recorded.run(x, y, *state)
        np.testing.assert_array_equal(value, eager(mg.tensor(x), mg.tensor(y)).numpy())
    recorded.write(state)
    mine, theirs = everything(model, held), everything(other, other_held)
    assert mine.keys() == theirs.keys()
    for key, value in theirs.items():
        np.testing.assert_array_equal(mine[key], value, err_msg=key)
    for x, y in data[:2]:  # and on without the program
        assert step(mg.tensor(x), mg.tensor(y)).item() == eager(mg.tensor(x), mg.tensor(y)).item()


def test_a_rate_that_is_changed_between_steps_is_read() -> None:
    model, held, step = training(lambda: Linear(2, 1), mg.losses.mse, partial(make, "adam"))
    other, other_held, eager = training(lambda: Linear(2, 1), mg.losses.mse, partial(make, "adam"))
    x, y = np.ones((3, 2), "f4"), np.zeros((3, 1), "f4")
    recorded = mg.graph.program(step, mg.tensor(x), mg.tensor(y))
    state: Any = recorded.read()
    for k in range(4):
        held.param_groups[0]["lr"] = other_held.param_groups[0]["lr"] = 0.1 / (k + 1)
        value, *state = recorded.run(x, y, *state)
        assert value == eager(mg.tensor(x), mg.tensor(y)).numpy()
    recorded.write(state)
    np.testing.assert_array_equal(model.weight.numpy(), other.weight.numpy())


def test_a_program_is_recorded_in_the_middle_of_training() -> None:
    model, held, step = training(lambda: wine(8), mg.losses.mae, partial(make, "adam"))
    _, _, eager = training(lambda: wine(8), mg.losses.mae, partial(make, "adam"))
    data = batches("wine", 8, 6)
    for x, y in data[:3]:
        step(mg.tensor(x), mg.tensor(y))
        eager(mg.tensor(x), mg.tensor(y))
    recorded = mg.graph.program(step, *map(mg.tensor, data[0]), state=(model, held))
    state: Any = recorded.read()
    for x, y in data[3:]:
        value, *state = recorded.run(x, y, *state)
        assert value == eager(mg.tensor(x), mg.tensor(y)).numpy()


def test_what_remat_runs_again_draws_the_recorded_numbers() -> None:
    mg.random.seed(3)
    model = Sequential(Linear(3, 4), Dropout(0.5), BatchNorm1d(4), Linear(4, 1))
    x = np.random.default_rng(0).standard_normal((6, 3)).astype("f4")

    def step(x: Any) -> Any:
        model.zero_grad()
        y = mg.remat(model)(x).sum()
        y.backward()
        return [y, *(p.grad for p in model.parameters())]

    recorded = mg.graph.program(step, mg.tensor(x))
    made = recorded.run(x, *recorded.read())
    for a, b in zip(made, step(mg.tensor(x)), strict=False):
        np.testing.assert_array_equal(a, b.numpy())


BIG = mg.tensor(np.arange(12.0).reshape(3, 4))
HIDDEN = {"model": Linear(4, 3)}


def test_what_would_be_frozen_is_refused_by_name_and_line() -> None:
    with pytest.raises(mg.errors.GraphError, match=r"(?s)'b' is .* shape \(3, 4\).*frozen.*test_recorded_steps.py:\d+"):
        mg.graph.program(lambda x: x + BIG, mg.ones((3, 4)))
    model = Linear(4, 3)
    with pytest.raises(mg.errors.GraphError, match=r"'b' is Linear.weight of shape \(4, 3\)"):
        mg.graph.program(model, mg.ones((2, 4), dtype="float32"), state=())
    optimizer = mg.optim.SGD(model.parameters(), lr=0.1)
    model(mg.ones((2, 4), dtype="float32")).sum().backward()

    def step(x: Any) -> Any:
        optimizer.step()
        return x

    with pytest.raises(mg.errors.GraphError, match="state=\\(model, optimizer\\)"):
        mg.graph.program(step, mg.ones((2, 4)), state=())
    assert mg.graph.program(lambda x: HIDDEN["model"](x), mg.ones((2, 4), dtype="float32")).places
    with pytest.raises(TypeError, match=r"state\[0\]"):
        mg.graph.program(model, mg.ones((2, 4)), state=(3,))


@pytest.mark.parametrize("fails", ["value", "python", "interrupt"])
def test_a_recording_that_fails_leaves_nothing_behind(fails: str) -> None:
    model, held, step = training(lambda: wine(8), mg.losses.mae, partial(make, "adam"))
    x, y = map(mg.tensor, batches("wine", 8, 1)[0])
    step(x, y)
    before, grads = everything(model, held), [p.grad for p in model.parameters()]

    def bad(x: Any, y: Any) -> Any:
        value = step(x, y)
        if fails == "value":
            return value.item()
        raise KeyboardInterrupt if fails == "interrupt" else KeyError

    with pytest.raises((mg.errors.GraphError, KeyError, KeyboardInterrupt)):
        mg.graph.program(bad, x, y)
    after = everything(model, held)
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[k], after[k]) for k in before)
    assert all(p.grad is g for p, g in zip(model.parameters(), grads, strict=True))
    assert all(type(t) in (mg.Parameter, mg.Buffer) for t in (*model.parameters(), *model.buffers()))
    step(x, y)


def test_wrong_numbers_of_arrays_are_said() -> None:
    model = Linear(2, 1)
    recorded = mg.graph.program(model, mg.ones((3, 2), dtype="float32"))
    with pytest.raises(mg.errors.GraphError, match="3 inputs, 2 of them state"):
        recorded.run(np.ones((3, 2), "f4"))
    with pytest.raises(mg.errors.GraphError, match="2 places of state, 0 arrays"):
        recorded.write([])
    assert [place.name for place in recorded.places] == ["Linear.weight", "Linear.bias"]
