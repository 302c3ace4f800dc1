"""How an optimiser is declared, and that its step is made whole or not at all."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from optimisers import OPTIMISERS, make
from test_interrupts import Raiser

import minigrad as mg
from minigrad_layers import Linear


def moved(p: mg.Parameter, optimizer: mg.optim.Optimizer, *gradients: float) -> list[float]:
    """Where the steps along these gradients lead."""
    found = []
    for g in gradients:
        p.grad = mg.tensor([g])
        optimizer.step()
        found.append(p.item())
    return found


# ---- all or nothing


def everything(params: list[mg.Parameter], optimizer: mg.optim.Optimizer) -> Any:
    state = optimizer.state_dict()["state"]
    moments = {(n, k): np.asarray(v).tobytes() for n, slots in state.items() for k, v in slots.items()}
    return [p.numpy().tobytes() for p in params], moments


@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize("name", ["adam decay", "dampening"])
def test_an_interrupt_leaves_no_half_step(name: str, begun: bool, nightly: bool, rng: np.random.Generator) -> None:
    """113 of 9,516 exceptions at random moments left some parameters moved and others not, or moments without them."""
    arrays = [rng.standard_normal(shape) for shape in ((3, 2), (4,), ())]
    gradients = [rng.standard_normal(a.shape) for a in arrays]

    def start() -> tuple[list[mg.Parameter], mg.optim.Optimizer]:
        params = [mg.Parameter(a) for a in arrays]
        optimizer = make(name, params)
        for p, g in zip(params, gradients, strict=True):
            p.grad = mg.tensor(g)
        if begun:
            optimizer.step()
        return params, optimizer

    within = ("optim/", "core/tensor", "core/state", "core/modes", "core/essential")
    look, (params, optimizer) = Raiser(within), start()
    before = everything(params, optimizer)
    look.run(optimizer.step)
    after, places, raised, early, late = everything(params, optimizer), look.places(), 0, 0, 0
    assert before != after
    for place in places if nightly else places[::3]:
        params, optimizer = start()
        raiser = Raiser(within, place)
        raiser.run(optimizer.step)
        now = everything(params, optimizer)
        assert now in (before, after), place
        raised, early, late = raised + raiser.raised, early + (now == before), late + (now == after)
        if now == before:  # and the step can be made after all
            optimizer.step()
            assert everything(params, optimizer) == after
    assert raised > len(places) / 8
    assert early > 10
    assert late > 0


def test_an_error_leaves_no_half_step(rng: np.random.Generator) -> None:
    class Refusing(mg.optim.SGD):
        """Fails at the second of three parameters."""

        momentum: float = 0.5

        @staticmethod
        def rule(p: Any, g: Any, momentum_buffer: Any, *, lr: Any) -> Any:  # type: ignore[override]
            if p.shape == (4,):
                raise ValueError("no step")
            return p - g * lr, mg.where(g > 0, g, momentum_buffer)

    params = [mg.Parameter(rng.standard_normal(shape)) for shape in ((3,), (4,), (5,))]
    optimizer = Refusing(params)
    for p in params:
        p.grad = mg.ones(p.shape)
    before = everything(params, optimizer)
    with pytest.raises(ValueError, match="no step"):
        optimizer.step()
    assert everything(params, optimizer) == before


@pytest.mark.parametrize("name", OPTIMISERS)
def test_a_warning_that_is_an_error_does_not_come_in_the_midst(name: str) -> None:
    params = [mg.Parameter(mg.ones(3)), mg.Parameter(mg.full((2,), 1e300)), mg.Parameter(mg.ones(4))]
    optimizer = make(name, params)
    for p in params:
        p.grad = mg.full(p.shape, 1e300)
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        if params[0].device == "numpy":  # elsewhere the rule runs as it stands
            optimizer.step()
            assert {slots["step"] for slots in optimizer.state_dict()["state"].values()} == {1}


def test_a_copied_optimiser_steps_on_state_of_its_own(rng: np.random.Generator) -> None:
    """Between steps an optimiser keeps views of its state; in a copy they would be views of something else."""
    arrays = [rng.standard_normal(shape) for shape in ((3, 2), (70_000,))]
    params = [mg.Parameter(a) for a in arrays]
    optimizer = mg.optim.Adam(params)

    def step(params: Any, optimizer: Any, times: int) -> None:
        for _ in range(times):
            for p in params:
                p.grad = mg.square(p.detach())
            optimizer.step()

    step(params, optimizer, 2)
    twins, twin = copy.deepcopy((params, optimizer))
    step(twins, twin, 2)
    step(params, optimizer, 2)
    assert everything(twins, twin) == everything(params, optimizer)


# ---- the declaration


def test_names_are_the_contract(rng: np.random.Generator) -> None:
    """Slots that an option keeps, what they begin with, numbers that go on, and a rule that cannot be made in place."""

    class Odd(mg.optim.Optimizer):
        """Everything that a declaration may say."""

        lr: float = 0.5
        start: float = 2.0
        turns: bool = False
        spread: tuple[float, float] = mg.optim.option((1.0, 2.0), least=-1.0, below=3.0)
        carries = {"product": 1.0}

        @staticmethod
        def begin(p: Any, start: float) -> dict[str, Any]:
            return {"total": start, "count": mg.zeros(()).data}

        @staticmethod
        def scalars(step: int, lr: float, product: float, fresh: bool) -> dict[str, float]:
            seen.append((step, product, fresh))
            return {"lr": lr, "product": product * 0.5}

        @staticmethod
        def check(lr: float, start: float) -> None:
            if lr > start:
                raise mg.errors.ArgumentError(f"lr: {lr} must not be above start, {start}")

        @staticmethod
        def rule(
            p: Any, g: Any, total: Any, count: Any, other: Any = mg.optim.when("turns"), *,
            spread: Any, turns: bool, lr: Any, product: Any,
        ) -> Any:  # fmt: skip
            new = p - mg.where(g > 0, g, 0.0) * lr * product
            return new, total + g, count + 1, (other + g if turns else None)

    seen: list[Any] = []
    p = mg.Parameter(mg.tensor([1.0]))
    optimizer = Odd([p], 0.25, spread=[0, 1])
    assert repr(optimizer) == ("Odd(1 parameters in 1 tensors, lr=0.25, start=2.0, turns=False, spread=(0, 1))")
    seen.clear()
    assert moved(p, optimizer, 1.0, 1.0) == [1 - 0.25 * 0.5, 1 - 0.25 * 0.5 - 0.25 * 0.25]
    assert [row for row in seen if row != (1, 1.0, True)] == [(2, 0.5, False)]
    slots = optimizer.state_dict()["state"]["0"]
    assert {k: np.asarray(v).tolist() for k, v in slots.items()} == {
        "step": 2, "product": 0.25, "total": [4.0], "count": 2.0,
    }  # fmt: skip
    again = Odd([p], 0.25)
    again.load_state_dict(optimizer.state_dict())
    assert repr(again.state_dict()) == repr(optimizer.state_dict())
    optimizer.turns = True
    moved(p, optimizer, 3.0)
    assert optimizer.state_dict()["state"]["0"]["other"].tolist() == [3.0]
    for call, says in (
        (lambda: Odd([p], lr=3.0), "must not be above start"),
        (lambda: setattr(optimizer, "start", 0.1), "must not be above start"),
        (lambda: Odd([p], spread=(1.0, 3.0)), r"spread\[1\]: 3.0 must be a finite number of at least -1 and below 3"),
        (lambda: Odd([p], spread=(1.0,)), "spread: .* must be 2 numbers"),
        (lambda: Odd([p], turns="yes"), "turns='yes' must be True or False"),
    ):
        with pytest.raises(mg.errors.ArgumentError, match=says):
            call()
    state = optimizer.state_dict()
    state["state"]["0"]["count"] = np.zeros(3)
    with pytest.raises(mg.errors.CheckpointError, match=r"saved state \{'count': \(3,\)\}"):
        optimizer.load_state_dict(state)
    assert optimizer.start == 2.0


@pytest.mark.parametrize(
    "steps",
    [
        lambda p, g, a, b, *, lr: (p - lr * g, b + g, a + g),  # a is read after its place is written
        lambda p, g, a, b, *, lr: (p - lr * g, b, a),  # old states go on elsewhere
        lambda p, g, a, b, *, lr: (p - lr * g, g + b, g + b),  # two slots of one value
        lambda p, g, a, b, *, lr: ((p - lr * g) * a, a, b + (p - lr * g)),
        lambda p, g, a, b, *, lr: (p, a + lr, -b + 2.0 * g * g),  # nothing moves
        lambda p, g, a, b, *, lr: (p - g, p - g * lr, mg.abs(a - b) / (1.0 + g * g)),
        lambda p, g, a, b, *, lr: (p - g, mg.where(a > b, a, b), b),  # no kernel
        lambda p, g, a, b, *, lr: (p - g / mg.sum(g * g), a * mg.sum(p), b),
    ],
    ids=range(8),
)
def test_the_calls_in_place_are_any_rule(steps: Callable[..., Any], rng: np.random.Generator) -> None:
    """Derived from rules that read and write in awkward orders; where there are no such calls, the rule runs."""

    class Own(mg.optim.Optimizer):
        """Of two slots."""

        lr: float = 0.25
        rule = staticmethod(steps)

    w, gradients = rng.standard_normal((3, 5)), rng.standard_normal((4, 3, 5))
    host, device = mg.Parameter(mg.tensor(w, device="numpy")), mg.Parameter(mg.tensor(w, device="fakecupy"))
    one, two = Own([host]), Own([device])
    for g in gradients:
        for p, o, name in ((host, one, "numpy"), (device, two, "fakecupy")):
            p.grad = mg.tensor(g, device=name)
            o.step()
        np.testing.assert_array_equal(host.numpy(), device.numpy())
        a, b = (o.state_dict()["state"]["0"] for o in (one, two))
        for slot in ("a", "b"):
            np.testing.assert_array_equal(a[slot], b[slot])


def test_an_optimiser_without_a_rule_is_none() -> None:
    with pytest.raises(TypeError, match=r"abstract.*rule"):
        mg.optim.Optimizer([mg.Parameter(mg.ones(1))])  # type: ignore[abstract]


# ---- options


def test_momentum_that_begins_in_mid_run_takes_all_of_its_first_gradient() -> None:
    """As in PyTorch: the buffer of a parameter begins with a gradient, whenever that is; it was damped."""
    p = mg.Parameter(mg.tensor([0.0]))
    optimizer = mg.optim.SGD([p], lr=1.0, dampening=0.5)
    assert moved(p, optimizer, 1.0) == [-1.0]
    optimizer.momentum = 0.5
    assert moved(p, optimizer, 2.0, 4.0) == [-1.0 - 2.0, -3.0 - (0.5 * 2.0 + 0.5 * 4.0)]
    late = mg.optim.SGD([p], lr=1.0, momentum=0.5, dampening=0.5)
    late.load_state_dict(optimizer.state_dict())  # the buffer has begun: a resumed run damps
    assert moved(p, late, 2.0) == [-6.0 - (0.5 * 3.0 + 0.5 * 2.0)]


def test_numbers_of_numpys_are_numbers() -> None:
    p = mg.Parameter(mg.ones(2))
    for value in (np.float32(0.25), np.float64(0.25), np.float16(0.25)):
        assert type(mg.optim.Adam([p], lr=value).lr) is float  # type: ignore[arg-type]
    assert mg.optim.Adam([p], lr=np.int64(1), betas=np.array([0.5, 0.25])).betas == (0.5, 0.25)  # type: ignore[arg-type]


def test_an_option_is_read_and_set_for_all_groups() -> None:
    a, b = mg.Parameter(mg.ones(2)), mg.Parameter(mg.ones(2))
    optimizer = mg.optim.SGD([{"params": [a], "lr": 0.5}, {"params": [b]}], lr=0.25)
    with pytest.raises(
        mg.errors.ArgumentError, match=r"lr: the groups have \[0.5, 0.25\]; read optimizer.param_groups"
    ):
        optimizer.lr
    optimizer.lr = 0.125
    assert [group["lr"] for group in optimizer.param_groups] == [0.125, 0.125]
    with pytest.raises(mg.errors.ArgumentError, match="momentum must be above 0"):
        optimizer.nesterov = True
    assert not optimizer.nesterov


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda p: mg.optim.Adam([p], lr=math.inf), "lr: inf must be a finite number of at least 0"),
        (lambda p: mg.optim.Adam([p], lr=math.nan), "lr: nan must be"),
        (lambda p: mg.optim.Adam([p], lr="0.1"), "lr: '0.1' must be"),  # type: ignore[arg-type]
        (lambda p: mg.optim.Adam([p], lr=True), "lr: True must be"),
        (lambda p: mg.optim.Adam([p], betas=0.9), r"betas: 0.9 must be 2 numbers, such as \(0.9, 0.999\)"),  # type: ignore[arg-type]
        (lambda p: mg.optim.Adam([p], amsgrad=1), "amsgrad=1 must be True or False"),  # type: ignore[arg-type]
        (lambda p: mg.optim.Adam(Linear(2, 2)), r"params is a Linear; write Adam\(model.parameters\(\)\)"),  # type: ignore[arg-type]
        (lambda p: mg.optim.Adam(0.1), r"params: 0.1 must be tensors: model.parameters\(\)"),  # type: ignore[arg-type]
        (lambda p: mg.optim.Adam([p], learning_rate=0.1), "'learning_rate'; it is called 'lr' here"),  # type: ignore[call-arg]
        (lambda p: mg.optim.Adam(), "'params' is missing; write Adam"),  # type: ignore[call-arg]
        (lambda p: mg.optim.adam(), "has no 'adam': use mg.optim.Adam"),  # type: ignore[attr-defined]
    ],
)  # fmt: skip
def test_options_out_of_range_are_named(call: Callable[[Any], Any], says: str) -> None:
    with pytest.raises(mg.errors.MinigradError, match=says):
        call(mg.Parameter(mg.ones(2)))


def test_a_state_that_is_older_than_an_option_still_loads() -> None:
    p = mg.Parameter(mg.ones(1))
    optimizer = mg.optim.Adam([p], lr=0.5)
    moved(p, optimizer, 1.0, 2.0)
    state = optimizer.state_dict()
    for name in ("amsgrad", "maximize", "decoupled_weight_decay"):
        del state["param_groups"][0][name]
    late = mg.optim.Adam([p], maximize=True)
    late.load_state_dict(state)
    assert repr(late.state_dict()) == repr(optimizer.state_dict())
