"""Optimisers: PyTorch's numbers, the fused kernel equal to the function, state that goes by names, no graph harmed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from optimisers import OPTIMISERS, gradients, kinds, make, start

import minigrad as mg
from minigrad_layers import BatchNorm1d, Linear, ReLU, Sequential

GOLDEN = json.loads((Path(__file__).parent / "data/peers/optimisers.json").read_text(encoding="utf-8"))


def test_every_optimiser_is_in_the_table() -> None:
    assert {kind for kind, _ in OPTIMISERS.values()} == kinds().keys() - {"Optimizer"}


@pytest.mark.parametrize("name", GOLDEN["rows"])
def test_ten_steps_are_pytorchs(name: str) -> None:
    """To 1e-10, from the golden file that tests/peers/make_optimisers.py wrote; the rate changes at the sixth."""
    p = mg.Parameter(start())
    optimizer = make(name, [p])
    for step, (g, expected) in enumerate(zip(gradients(), GOLDEN["rows"][name], strict=True)):
        if step == 5:
            optimizer.param_groups[0]["lr"] = 0.03
        p.grad = mg.tensor(g)
        optimizer.step()
        assert np.abs(p.numpy() - expected).max() <= 1e-10


def test_the_golden_file_has_every_optimiser_of_pytorchs() -> None:
    of_others = {"lion"}  # PyTorch does not have it
    assert GOLDEN["rows"].keys() == OPTIMISERS.keys() - of_others


def test_lion_is_the_papers() -> None:
    p, m, w = mg.Parameter(start()), 0.0, start()
    optimizer = make("lion", [p])
    for g in gradients():
        w = w * (1 - 0.1 * 0.1) - 0.1 * np.sign(0.8 * m + 0.2 * g)
        m = 0.95 * m + 0.05 * g
        p.grad = mg.tensor(g)
        optimizer.step()
        assert np.abs(p.numpy() - w).max() <= 1e-14


def layouts(a: np.ndarray[Any, Any]) -> list[np.ndarray[Any, Any]]:
    wide = np.zeros((a.shape[0], 2 * a.shape[1]), a.dtype)
    wide[:, ::2] = a
    return [a, np.asfortranarray(a), wide[:, ::2]]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", OPTIMISERS)
def test_the_calls_in_place_are_the_rule_to_the_last_bit(name: str, dtype: str, rng: np.random.Generator) -> None:
    """The rule of primitives runs on every other backend: there the same steps must give the same bits."""
    w = rng.normal(size=(600, 500)).astype(dtype)  # more than one piece of the kernel
    for initial in layouts(w):
        host, device = (mg.Parameter(mg.tensor(initial, device=d)) for d in ("numpy", "fakecupy"))
        one, two = make(name, [host]), make(name, [device])
        for k in range(3):
            g = layouts(rng.normal(size=w.shape).astype(dtype))[k]
            host.grad, device.grad = mg.tensor(g, device="numpy"), mg.tensor(g, device="fakecupy")
            one.step()
            two.step()
            np.testing.assert_array_equal(host.numpy(), device.numpy())
        a, b = one.state_dict(), two.state_dict()
        for slot, value in a["state"]["0"].items():
            np.testing.assert_array_equal(value, b["state"]["0"][slot])


def network() -> mg.Module:
    return Sequential(Linear(3, 8), BatchNorm1d(8), ReLU(), Linear(8, 2))


@pytest.mark.parametrize("name", OPTIMISERS)
def test_a_step_between_forward_and_backward_harms_no_gradient(name: str, rng: np.random.Generator) -> None:
    """X2, the pattern of adversarial training: another loss moves the parameters before this one's backward."""
    x = mg.tensor(rng.normal(size=(6, 3)), dtype="float32")
    found = []
    for disturbed in (False, True):
        mg.random.seed(1)
        model = network()
        optimizer = make(name, model.parameters())
        loss = (model(x) ** 2).sum()
        if disturbed:
            for p in model.parameters():
                p.grad = mg.ones(p.shape, dtype="float32")
            optimizer.step()
            optimizer.step()
            optimizer.zero_grad()
        loss.backward()
        found.append([p.grad.numpy() for p in model.parameters()])
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", OPTIMISERS)
@pytest.mark.parametrize("named", [False, True])
def test_resuming_is_not_stopping(name: str, named: bool, rng: np.random.Generator) -> None:
    """R2 for the optimiser: five steps, saved through JSON's types, and five more, against ten, bit for bit."""
    data = [mg.tensor(rng.normal(size=(6, 3)), dtype="float32") for _ in range(10)]

    def train(model: mg.Module, optimizer: mg.optim.Optimizer, batches: list[mg.Tensor]) -> None:
        for x in batches:
            optimizer.zero_grad()
            (model(x) ** 2).mean().backward()
            optimizer.step()

    def start() -> tuple[mg.Module, mg.optim.Optimizer]:
        mg.random.seed(2)
        model = network()
        return model, make(name, model.named_parameters() if named else model.parameters())

    model, optimizer = start()
    train(model, optimizer, data)
    first, early = start()
    train(first, early, data[:5])
    state = early.state_dict()
    options = json.loads(json.dumps(state["param_groups"]))  # no tuple survives a file
    second, late = start()
    second.load_state_dict(first.state_dict())
    late.load_state_dict({"state": state["state"], "param_groups": options})
    train(first, early, data[5:])  # the state is a copy: this does not reach it
    train(second, late, data[5:])
    for key, value in model.state_dict().items():
        np.testing.assert_array_equal(second.state_dict()[key], value)
    assert next(iter(state["state"])) == ("0.weight" if named else "0")


def test_groups_have_options_of_their_own() -> None:
    a, b = mg.Parameter(mg.tensor([1.0])), mg.Parameter(mg.tensor([1.0]))
    optimizer = mg.optim.SGD([{"params": [a]}, {"params": b, "lr": 0.5}], lr=0.25)
    (a + b).sum().backward()
    optimizer.step()
    assert (a.item(), b.item()) == (0.75, 0.5)
    assert [g["lr"] for g in optimizer.param_groups] == [0.25, 0.5]
    assert "2 tensors" not in repr(optimizer)
    assert repr(optimizer).startswith("SGD(1 parameters in 1 tensors, lr=0.25")


def test_a_parameter_without_gradient_is_left_alone() -> None:
    a, b = mg.Parameter(mg.tensor([1.0])), mg.Parameter(mg.tensor([1.0]))
    optimizer = mg.optim.Adam([a, b], lr=0.5)
    for _ in range(2):
        optimizer.zero_grad()
        a.sum().backward()
        optimizer.step()
    b.requires_grad = False
    optimizer.step()
    assert b.item() == 1
    state = optimizer.state_dict()["state"]
    assert list(state) == ["0"]
    assert state["0"]["step"] == 3
    optimizer.zero_grad()
    assert a.grad is None


@pytest.mark.parametrize("name", OPTIMISERS)
def test_half_precision_keeps_its_moments_in_single(name: str) -> None:
    p = mg.Parameter(mg.ones(3, dtype="float16"))
    optimizer = make(name, [p])
    p.grad = mg.full((3,), 0.1, dtype="float16")
    optimizer.step()
    assert p.dtype == np.float16
    assert np.isfinite(p.numpy()).all()
    assert (p.numpy() != 1).all()
    slots = optimizer.state_dict()["state"]["0"]
    assert {v.dtype for v in slots.values() if hasattr(v, "dtype")} <= {np.dtype("float32")}


def test_without_momentum_nothing_is_kept() -> None:
    p = mg.Parameter(mg.ones(3))
    optimizer = mg.optim.SGD([p], lr=0.5)
    p.grad = mg.ones(3)
    for momentum, kept in ((0.0, {"step"}), (0.9, {"step", "momentum_buffer"}), (0.0, {"step"})):
        optimizer.param_groups[0]["momentum"] = momentum
        optimizer.step()
        assert set(optimizer.state_dict()["state"]["0"]) == kept
        optimizer.load_state_dict(optimizer.state_dict())
    assert optimizer.state_dict()["state"]["0"]["step"] == 3
    np.testing.assert_array_equal(p.numpy(), np.full(3, -0.5))


@pytest.mark.parametrize("shape", [(), (0, 3), (1, 1), (5, 1)])
def test_any_shape(shape: tuple[int, ...]) -> None:
    p = mg.Parameter(mg.ones(shape))
    optimizer = mg.optim.Adam([p], lr=0.5)
    (p * 2).sum().backward()
    optimizer.step()
    assert p.shape == shape
    np.testing.assert_allclose(p.numpy(), np.full(shape, 0.5), atol=1e-7)


def test_the_old_parameter_is_not_written() -> None:
    p = mg.Parameter(mg.ones(3))
    kept = p.data
    p.grad = mg.ones(3)
    mg.optim.Adam([p]).step()
    assert kept.tolist() == [1, 1, 1] if isinstance(kept, np.ndarray) else True


P = mg.Parameter(mg.ones(3, device="numpy"))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: mg.optim.Adam([]), "no parameters"),
        (lambda: mg.optim.Adam([P, P]), "twice"),
        (lambda: mg.optim.Adam([("a", P), ("a", mg.Parameter(mg.ones(2)))]), "parameter a .*twice"),
        (lambda: mg.optim.Adam([P], lr=-1), "lr: -1"),
        (lambda: mg.optim.Adam([P], betas=(0.9, 1.0)), r"betas\[1\]: 1.0"),
        (lambda: mg.optim.Adam([P], eps=-1e-8), "eps"),
        (lambda: mg.optim.AdamW([P], weight_decay=float("nan")), "weight_decay: nan"),
        (lambda: mg.optim.SGD([P], nesterov=True), "momentum must be above 0"),
        (lambda: mg.optim.SGD([P], momentum=0.9, dampening=0.1, nesterov=True), "dampening: 0.1 .*nesterov"),
        (lambda: mg.optim.SGD([{"params": [P], "mu": 1}]), "'mu'"),
        (lambda: mg.optim.SGD([3]), "int"),
        (lambda: mg.optim.SGD([mg.tensor([1])]), "int64"),
        (lambda: mg.optim.SGD([P * 2]), "computed by an operation"),
    ],
)
def test_errors_name_the_argument(call: Callable[[], Any], says: str) -> None:
    with pytest.raises(mg.errors.MinigradError, match=says):
        call()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda s: s.pop("state"), "no optimiser's state"),
        (lambda s: s["param_groups"][0]["params"].append("9"), "saved parameters"),
        (lambda s: s["param_groups"][0].pop("lr"), "options"),
        (lambda s: s["state"]["0"].pop("exp_avg"), "exp_avg"),
        (lambda s: s["state"]["0"].update(exp_avg=np.ones(4)), r"\(3,\).*\(4,\)"),
        (lambda s: s["state"].update({"7": {}}), "'7'"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(change: Callable[[Any], Any], says: str) -> None:
    p = mg.Parameter(mg.ones(3))
    optimizer = mg.optim.Adam([p])
    p.grad = mg.ones(3)
    optimizer.step()
    state, before = optimizer.state_dict(), optimizer.state_dict()
    change(state)
    with pytest.raises(mg.errors.CheckpointError, match=says):
        optimizer.load_state_dict(state)
    after = optimizer.state_dict()
    assert after["param_groups"] == before["param_groups"]
    np.testing.assert_array_equal(after["state"]["0"]["exp_avg"], before["state"]["0"]["exp_avg"])


@pytest.mark.parametrize("name", OPTIMISERS)
def test_b2_a_training_step_copies_nothing_to_the_host(name: str, rng: np.random.Generator) -> None:
    transfers = mg.backend.get_backend("fakecupy").transfers
    with mg.use_device("fakecupy"):
        layers = ("Linear", 3, 8), ("BatchNorm1d", 8, 1e-5, None), ("ReLU",), ("Dropout", 0.5), ("Linear", 8, 4)
        model = Sequential(*(mg.layer(*row) for row in layers))
        optimizer = make(name, model.parameters())
        x, labels = mg.tensor(rng.normal(size=(6, 3)), dtype="float32"), mg.tensor([0, 1, 2, 3, 0, -100])
        before = transfers.to_host, transfers.waits
        for _ in range(2):
            optimizer.zero_grad()
            loss = mg.losses.cross_entropy(model(x), labels) + mg.losses.mse(model.eval()(x), mg.ones((6, 4)))
            loss.backward()
            optimizer.step()
            model.train()
        assert (transfers.to_host, transfers.waits) == before
        assert np.isfinite(loss.item())
