"""remat: the same values, gradients of every order, masks and statistics; less memory; an error when state changed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from memory import traced

import minigrad as mg
from minigrad_layers import BatchNorm1d, Dropout, LayerNorm, Linear, ReLU, Sequential


def block(x: Any) -> Any:
    return mg.tanh(mg.sin(x) * x) + mg.exp(-x * x)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_gradients_of_every_order_are_those_of_the_function(order: int) -> None:
    def derivative(f: Any) -> Any:
        def total(x: Any) -> Any:
            return (f(f(x)) * x).sum()

        for _ in range(order - 1):
            total = (lambda inner: lambda x: (mg.grad(inner)(x) ** 2).sum())(total)
        return mg.grad(total)

    x = np.linspace(-1, 1, 5)
    np.testing.assert_allclose(derivative(mg.remat(block))(x).numpy(), derivative(block)(x).numpy(), rtol=1e-13)


def test_what_it_closes_over_gets_its_gradient() -> None:
    w, x = (mg.tensor(v, requires_grad=True) for v in ([2.0, 3.0], [0.5, 0.7]))
    h = w * w  # an intermediate value from outside
    mg.remat(lambda x: mg.sin(x * h) * w)(x).sum().backward()
    again = [mg.tensor(v, requires_grad=True) for v in ([2.0, 3.0], [0.5, 0.7])]
    (mg.sin(again[1] * (again[0] * again[0])) * again[0]).sum().backward()
    np.testing.assert_allclose(w.grad.numpy(), again[0].grad.numpy(), rtol=1e-15)
    np.testing.assert_allclose(x.grad.numpy(), again[1].grad.numpy(), rtol=1e-15)


class Scaled(mg.Module):
    """Parameters, a running statistic that its result depends on, and dropout, in float64."""

    def __init__(self) -> None:
        self.inner = Sequential(Linear(3, 4).astype("float64"), Dropout(0.4))
        self.scale = mg.Parameter(mg.tensor([0.5, -1.0, 2.0, 1.5]))
        self.size = mg.Buffer(mg.tensor(1.0))

    def forward(self, x: Any) -> Any:
        y = mg.tanh(self.inner(x) * self.scale)
        with mg.no_grad():
            self.size.assign(0.5 * self.size + mg.abs(y).mean())
        return y * y * self.size  # read after it was updated, as spectral normalization does


def closed_over(remat: bool, order: int) -> list[Any]:
    """Gradients with respect to an argument, tensors and a module closed over, and the state that is left."""
    mg.random.seed(1)
    m = Scaled().to(mg.tensor(0.0).device)
    w, x = (mg.tensor(v, requires_grad=True) for v in ([[1.0, -0.5, 0.3], [0.2, 0.7, -1.1]], [[0.5], [0.7]]))
    h, c = mg.sin(w) * w, mg.tensor([0.3, 0.1, -0.2])  # an intermediate value, and what nobody tracks

    def f(d: Any) -> Any:
        return m(d["x"] * h + c).sum() * w.sum() + m(h).sum()

    block = mg.remat(f) if remat else f
    y = block({"x": x, "n": None})  # type: ignore[no-untyped-call]
    xs = [x, w, *m.parameters()]
    for k in range(order):
        found = mg.gradients(y, xs, create_graph=k < order - 1)
        y = sum(((g * g).sum() for g in found if g is not None), mg.tensor(0.0))
    return [g.numpy() for g in found if g is not None] + [m.size.numpy(), np.array(m.inner[1].generator.state)]


@pytest.mark.parametrize("order", [1, 2, 3])
def test_gradients_of_what_it_closes_over_are_those_of_the_function_to_every_order(order: int) -> None:
    plain, again = closed_over(False, order), closed_over(True, order)
    assert len(plain) == len(again) == 7
    for a, b in zip(plain, again, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-12, atol=1e-12)


class Box:
    """Things that a function can close over, and how each may change in between."""

    def __init__(self) -> None:
        self.tensor = mg.tensor([2.0, 3.0])
        self.buffer = mg.Buffer(mg.tensor([2.0, 3.0]))
        self.leaf = mg.tensor([2.0, 3.0], requires_grad=True)
        self.array = np.array([2.0, 3.0])
        self.number, self.flag, self.inside = 2.0, True, {"t": mg.tensor([2.0, 3.0])}

    def changed(self, name: str) -> None:
        if name == "array":
            self.array[0] = 7.0
        elif name in ("buffer", "leaf"):
            getattr(self, name).data = np.array([7.0, 3.0])
        elif name == "inside":
            self.inside["t"] = mg.tensor([7.0, 3.0])
        else:
            setattr(self, name, {"tensor": mg.tensor([7.0, 3.0]), "number": 7.0, "flag": False}[name])


READS: dict[str, Any] = {
    "tensor": lambda b, x: x + b.tensor, "buffer": lambda b, x: x + b.buffer * 1.0, "leaf": lambda b, x: x + b.leaf,
    "array": lambda b, x: x * b.array, "number": lambda b, x: x * b.number, "inside": lambda b, x: x - b.inside["t"],
    "flag": lambda b, x: mg.sin(x) if b.flag else mg.cos(x),
}  # fmt: skip


@pytest.mark.parametrize("name", READS)
def test_a_change_of_what_it_reads_is_an_error_where_the_result_does_not_show_it(name: str) -> None:
    """Times a zero that has a gradient: the result is 0 before and after, its gradient is not."""
    if name == "array" and mg.tensor(0.0).device != "numpy":
        pytest.skip("an array of the host beside tensors of a device")
    b, zero, x = Box(), mg.tensor([0.0, 0.0], requires_grad=True), mg.tensor([1.0, 2.0], requires_grad=True)
    f = mg.remat(lambda x: zero * READS[name](b, x))
    f(x).sum().backward()  # unchanged: fine
    y = f(x).sum()
    b.changed(name)
    with pytest.raises(
        mg.errors.GraphError, match=r"remat: run again, the function gave another result.*call backward"
    ):
        y.backward()


W: Any = None
EQUAL: Any = None  # tensors of the same values, made by the test on its device
DEPARTURES: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any], str]] = {
    "another operation": (mg.sin, mg.cos, "'cos' ran in the place of 'sin'"),
    "other parameters": (
        lambda x: mg.cumsum(x, axis=0),
        lambda x: mg.cumsum(x, axis=1),
        r"'cumsum' had the parameters \{'axis': 1.* in the place of \{'axis': 0",
    ),
    "one more": (mg.sin, lambda x: mg.sin(mg.sin(x)), "there is one more 'sin'"),
    "one less": (lambda x: mg.exp(mg.sin(x)), mg.sin, "there is no 'exp' any more"),
    "another number": (lambda x: x * 2.0, lambda x: x * 3.0, "'multiply' worked on something else"),
    "another kind of number": (lambda x: x * 2.0, lambda x: x * 2, "'multiply' worked on something else"),
    "another shape": (
        lambda x: x + mg.ones((2, 1)).to(x.device),
        lambda x: x + mg.ones((1, 2)).to(x.device),
        "worked on something else",
    ),
    "no_grad": (mg.sin, mg.no_grad()(lambda x: mg.sin(x)), "'sin' was recorded and is not recorded now"),
    "recording": (
        lambda x: mg.no_grad()(mg.sin)(x) + x,
        lambda x: mg.sin(x) + x,
        "'sin' was not recorded and is recorded now",
    ),
    "detached": (lambda x: mg.sin(W) * x, lambda x: mg.sin(W.detach()) * x, "'sin' worked on something else"),
    "tracked": (lambda x: mg.sin(W.detach()) * x, lambda x: mg.sin(W) * x, "'sin' worked on something else"),
    "an equal parameter": (lambda x: W * x, lambda x: EQUAL * x, "'multiply' worked on something else"),
    "another place": (lambda x: x * mg.sin(x), lambda x: mg.sin(x) * x, "worked on something else|in the place of"),
}


@pytest.mark.parametrize("name", DEPARTURES)
def test_how_the_second_run_departs_is_said(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for weight in ("W", "EQUAL"):
        made = mg.tensor([[0.5, 1.5], [2.5, 3.5]], requires_grad=True)
        monkeypatch.setitem(globals(), weight, made)
    first, second, words = DEPARTURES[name]
    turn = [first, second]
    y = mg.remat(lambda x: turn.pop(0)(x))(mg.tensor([[0.3, 0.4], [0.5, 0.6]], requires_grad=True))
    with pytest.raises(mg.errors.GraphError, match=f"(?s){words}"):
        y.sum().backward()


def test_numbers_that_are_no_numbers_are_the_same_again() -> None:
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    mg.remat(lambda x: mg.where(mg.isnan(x * math.nan), x, math.nan))(x).sum().backward()
    assert x.grad.tolist() == [1.0, 1.0]


def test_it_takes_functions_and_records_only_where_something_is_recorded() -> None:
    with pytest.raises(mg.errors.ArgumentTypeError, match=r"remat: f is a Tensor; give the function itself"):
        mg.remat(mg.tensor(1.0))  # type: ignore[arg-type]
    x = mg.tensor(1.0, requires_grad=True)
    with mg.no_grad():
        assert not mg.remat(mg.sin)(x).requires_grad
    assert not mg.remat(mg.sin)(x.detach()).requires_grad


def test_state_is_met_as_it_was_and_left_as_it_is() -> None:
    m = Scaled().to(mg.tensor(0.0).device)
    x = mg.tensor([[1.0, 2.0, 3.0]])
    y = mg.remat(m)(x)
    first = m.size.item()
    m(x)  # another forward pass before the backward one
    second = m.size.item()
    y.sum().backward()
    assert first != second == m.size.item()
    failing = Scaled().to(mg.tensor(0.0).device)
    y = mg.remat(failing)(x)
    size, failing.inner = failing.size.item(), None  # type: ignore[assignment]  # the second run fails
    with pytest.raises(TypeError) as caught:
        y.sum().backward()
    assert "in remat, which ran the function again" in "".join(caught.value.__notes__)
    assert failing.size.item() == size


def test_one_in_another_and_results_in_a_dict() -> None:
    w = mg.tensor([0.5, 2.0], requires_grad=True)

    def inner(x: Any) -> Any:
        return mg.sin(x * w) * mg.random.uniform(2, dtype="float64")

    def outer(x: Any, nested: bool) -> Any:
        h = (mg.remat(inner) if nested else inner)(x)
        return {"a": mg.exp(h), "n": None, "b": (h * x, [h])}

    found = []
    for block, nested in ((outer, False), (mg.remat(outer), True)):
        mg.random.seed(4)
        x = mg.tensor([0.3, 0.4], requires_grad=True)
        out = block(x, nested)
        assert (out["n"], type(out["b"])) == (None, tuple)
        total = (out["a"] * out["b"][0] + out["b"][1][0]).sum()
        found.append([g.numpy() for g in mg.gradients(total, [x, w]) if g is not None])
    np.testing.assert_allclose(found[1], found[0], rtol=1e-13)


def test_a_gradient_inside_of_it_is_the_same_in_the_second_run() -> None:
    m = Linear(2, 1).astype("float64").to(mg.tensor(0.0).device)

    def penalty(x: Any) -> Any:
        g = mg.grad(lambda m: (m(x) ** 2).sum())(m)
        return (g["weight"] ** 2).sum()

    x, results = mg.tensor([[1.0, 2.0]], requires_grad=True), []
    for f in (penalty, mg.remat(penalty)):
        results.append(mg.grad(lambda m, f=f: f(x) * x.sum())(m)["weight"].numpy())
    np.testing.assert_allclose(results[1], results[0], rtol=1e-13)


def test_several_results_of_which_some_are_used() -> None:
    def two(x: Any) -> Any:
        return mg.sin(x), mg.cos(x)

    x = mg.tensor([0.3, 0.4], requires_grad=True)
    s, _ = mg.remat(two)(x)
    s.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.cos([0.3, 0.4]), rtol=1e-15)


def network() -> Any:
    mg.random.seed(0)
    return Sequential(Linear(4, 8), BatchNorm1d(8), ReLU(), Dropout(0.5), Linear(8, 2))


def test_dropout_and_running_statistics_behave_as_if_computed_once() -> None:
    x = mg.tensor(np.random.default_rng(0).standard_normal((16, 4)).astype("float32"))
    plain, again = network(), network()
    for _ in range(3):
        plain.zero_grad()
        again.zero_grad()
        a, b = (plain(x) ** 2).sum(), (mg.remat(again)(x) ** 2).sum()
        assert a.item() == b.item()
        a.backward()
        b.backward()
        for (name, p), q in zip(plain.named_parameters(), again.parameters(), strict=True):
            np.testing.assert_array_equal(p.grad.numpy(), q.grad.numpy(), err_msg=name)
    for name, value in plain.state_dict().items():
        np.testing.assert_array_equal(value, again.state_dict()[name], err_msg=name)
    assert plain[3].generator.state == again[3].generator.state


def test_a_parameter_that_changed_in_between_is_an_error_and_not_a_wrong_gradient() -> None:
    layer = Linear(3, 2)
    y = mg.remat(layer)(mg.ones((4, 3), dtype="float32")).sum()
    layer.weight.data = layer.weight.numpy() + 1
    with pytest.raises(mg.errors.GraphError, match="gave another result"):
        y.backward()


def test_it_keeps_inputs_only() -> None:
    x = mg.tensor(np.ones(100_000), requires_grad=True)

    def held(f: Any) -> int:
        y = x
        with traced() as size:
            for _ in range(5):
                y = f(y)
            return size()

    def deep(x: Any) -> Any:
        for _ in range(10):
            x = mg.sin(x) * x
        return x

    assert held(mg.remat(deep)) <= held(deep) / 8


def test_it_must_return_tensors() -> None:
    with pytest.raises(TypeError, match="must return a Tensor"):
        mg.remat(lambda x: 3.0)(mg.ones(2))


@pytest.mark.parametrize("late", [False, True])
def test_norms_in_a_loop_are_not_taken_for_each_other(late: bool) -> None:
    """A closure over the loop's variable finds the last norm in every second run; fresh norms have equal parameters."""
    norms = [LayerNorm(3).astype("float64") for _ in range(3)]
    h = mg.tensor(np.random.default_rng(0).standard_normal((4, 3)))
    for n in norms:
        h = mg.remat((lambda h: mg.tanh(n(h))) if late else (lambda h, n=n: mg.tanh(n(h))))(h)
    if late:
        with pytest.raises(mg.errors.GraphError, match="worked on something else"):
            h.sum().backward()
    else:
        h.sum().backward()
        assert all(n.weight.grad is not None for n in norms)


def test_what_is_made_inside_is_tracked_in_its_own_run() -> None:
    """Leaves, transforms and rematerialised parts of a run have other nodes in each."""

    def f(x: Any) -> Any:
        own = mg.tensor([1.0, 2.0], requires_grad=True)
        slope = mg.grad(lambda t: (t**3 * own).sum())(x)
        return mg.remat(mg.exp)(x) * own + slope + mg.jvp(mg.sin, [x], [x])[1]

    x = mg.tensor([0.3, 0.4], requires_grad=True)
    (want,), (got,) = mg.gradients(f(x).sum(), [x]), mg.gradients(mg.remat(f)(x).sum(), [x])
    np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=1e-14)
