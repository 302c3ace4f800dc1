"""State that stands in: who sees it, for how long, and what flows to it."""

from __future__ import annotations

import asyncio
import copy
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad_layers import BatchNorm1d, Dropout, Linear, ReLU, Sequential

X: mg.Tensor


@pytest.fixture(autouse=True)
def _where_tensors_live(_house: None) -> None:
    global X
    X = mg.tensor([[1.0, -2.0, 0.5], [0.3, 1.5, -1.0], [2.0, 0.1, 0.7], [-0.4, 0.9, 1.1]])


def _linear(dtype: str = "float64") -> mg.Module:
    return Linear(3, 2).astype(dtype)


def _other(module: mg.Module, seed: int = 1) -> dict[str, mg.Tensor]:
    rng = np.random.default_rng(seed)
    return {
        name: mg.tensor(rng.standard_normal(p.shape).astype(p.dtype), requires_grad=True)
        for name, p in module.named_parameters()
    }


def test_what_stands_in_is_computed_with_and_differentiated() -> None:
    layer = _linear()
    w = _other(layer)
    with mg.stand_in(layer, w):
        y = (layer(X) ** 3).sum()
    expected = ((X @ w["weight"].T + w["bias"]) ** 3).sum()
    assert y.item() == expected.item()
    got = mg.gradients(y, [*w.values()], create_graph=True)
    want = mg.gradients(expected, [*w.values()], create_graph=True)
    for a, b, v in zip(got, want, w.values(), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
        (aa,) = mg.gradients((a * a).sum(), [v], retain_graph=True)
        (bb,) = mg.gradients((b * b).sum(), [v], retain_graph=True)
        np.testing.assert_array_equal(aa.numpy(), bb.numpy())
    assert all(p.grad is None for p in layer.parameters())


def test_every_path_that_shares_a_parameter_sees_it() -> None:
    layer = _linear()
    model = Sequential(layer, ReLU(), Linear(2, 3).astype("float64"), layer)
    model.extra = {"same": layer.weight}  # type: ignore[attr-defined]
    w = _other(layer)["weight"]
    for name in ("0.weight", "3.weight", "extra.same"):
        with mg.stand_in(model, {name: w}):
            assert layer.weight.numpy().tolist() == w.numpy().tolist()
            assert model.extra["same"].requires_grad  # type: ignore[attr-defined]
            (g,) = mg.gradients(model(X).sum(), [w])
        assert g.shape == w.shape


def test_those_that_keep_state_see_the_real_ones() -> None:
    layer = _linear()
    before = layer.state_dict()
    optimizer = mg.optim.SGD(layer.parameters(), lr=0.5)
    layer(X).sum().backward()
    grads = {n: p.grad.numpy() for n, p in layer.named_parameters()}  # type: ignore[union-attr]
    with mg.stand_in(layer, _other(layer)):
        assert [n for n, _ in layer.named_parameters()] == ["weight", "bias"]
        for name, array in layer.state_dict().items():
            np.testing.assert_array_equal(array, before[name])
        twin = copy.deepcopy(layer)
        optimizer.step()
        optimizer.zero_grad()
    for name, p in layer.named_parameters():
        np.testing.assert_array_equal(p.numpy(), before[name] - 0.5 * grads[name])
        assert p.grad is None
        assert type(p) is mg.Parameter
    for name, p in twin.named_parameters():
        np.testing.assert_array_equal(p.numpy(), before[name])
        assert type(p) is mg.Parameter


def test_a_state_that_is_loaded_or_converted_meanwhile_is_the_real_one() -> None:
    layer, other = _linear(), _linear()
    w = _other(layer)
    with mg.stand_in(layer, w):
        layer.load_state_dict(other.state_dict())
        np.testing.assert_array_equal(layer.weight.numpy(), w["weight"].numpy())
        layer.astype("float32").requires_grad_(False)
        assert layer.weight.dtype == "float64"
        assert layer.weight.requires_grad
    assert layer.weight.dtype == "float32"
    assert not layer.weight.requires_grad
    np.testing.assert_allclose(layer.weight.numpy(), other.weight.numpy(), rtol=1e-6)


def test_blocks_nest_and_end_whatever_happens() -> None:
    layer = _linear()
    real, a, b = layer.weight.numpy(), _other(layer, 1), _other(layer, 2)

    def now() -> Any:
        return layer.weight.numpy().tolist()

    with pytest.raises(ZeroDivisionError), mg.stand_in(layer, a):
        with pytest.raises(KeyError), mg.stand_in(layer, {"weight": b["weight"]}):
            assert now() == b["weight"].tolist()
            assert layer.bias.tolist() == a["bias"].tolist()
            raise KeyError
        assert now() == a["weight"].tolist()
        raise ZeroDivisionError
    assert now() == real.tolist()
    assert type(layer.weight) is mg.Parameter


def test_parameters_may_change_places() -> None:
    one, two = _linear(), _linear()
    model = Sequential(one, ReLU(), two)
    first, second = one.weight.tolist(), two.weight.tolist()
    with mg.stand_in(model, {"0.weight": two.weight, "2.weight": one.weight}):
        assert one.weight.tolist() == second
        assert two.weight.tolist() == first


def test_a_manager_can_be_entered_again() -> None:
    layer = _linear()
    w = _other(layer)
    manager = mg.stand_in(layer, w)
    for _ in range(2):
        with manager, manager:
            assert layer.weight.tolist() == w["weight"].tolist()
        assert type(layer.weight) is mg.Parameter


def test_other_threads_see_the_real_ones() -> None:
    layer = _linear()
    real, seen = layer.weight.tolist(), []
    values = [_other(layer, k) for k in range(8)]
    start = threading.Barrier(len(values) + 1)
    wrong: list[int] = []

    def work(k: int) -> None:
        start.wait()
        for _ in range(100):
            if layer.weight.tolist() != real:
                wrong.append(k)
            with mg.stand_in(layer, values[k]):
                if layer.weight.tolist() != values[k]["weight"].tolist():
                    wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(len(values))]
    for t in threads:
        t.start()
    start.wait()
    with mg.stand_in(layer, values[0]):
        watch = threading.Thread(target=lambda: seen.append(layer.weight.tolist()))
        watch.start()
        watch.join()
    for t in threads:
        t.join()
    assert seen == [real]
    assert not wrong
    assert type(layer.weight) is mg.Parameter


def test_tasks_beside_the_block_see_the_real_ones() -> None:
    layer = _linear()
    real, w = layer.weight.tolist(), _other(layer)

    async def look(entered: asyncio.Event, looked: asyncio.Event) -> Any:
        await entered.wait()
        looked.set()
        return layer.weight.tolist()

    async def main() -> tuple[Any, Any, Any]:
        entered, looked = asyncio.Event(), asyncio.Event()
        beside = asyncio.create_task(look(entered, looked))
        late = asyncio.Event()
        with mg.stand_in(layer, w):
            inside = asyncio.create_task(look(late, asyncio.Event()))  # begun in the block, looks after its end
            entered.set()
            await looked.wait()
            mine = layer.weight.tolist()
        with mg.stand_in(layer, _other(layer, 7)):
            late.set()
            after = await inside
        return await beside, mine, after

    assert asyncio.run(main()) == (real, w["weight"].tolist(), real)


def test_statistics_go_to_what_stands_in_and_come_out() -> None:
    norm = BatchNorm1d(3).astype("float64")
    twin = copy.deepcopy(norm)
    twin(X)
    given = mg.tensor(np.zeros(3))
    before = norm.state_dict()
    with mg.stand_in(norm, {"running_mean": given}) as now:
        norm(X)
        inside = norm.running_mean.tolist()
    assert inside == now["running_mean"].tolist() == twin.running_mean.tolist()
    assert given.tolist() == [0.0, 0.0, 0.0]
    after = norm.state_dict()
    np.testing.assert_array_equal(after["running_mean"], before["running_mean"])
    np.testing.assert_array_equal(after["running_var"], twin.running_var.numpy())  # nothing stood in for it


def test_remat_runs_again_with_what_stood_in() -> None:
    model = Sequential(Linear(3, 4), BatchNorm1d(4), Dropout(0.5), Linear(4, 1)).astype("float64")
    plain = copy.deepcopy(model)
    w = _other(model)
    with mg.stand_in(model, w):
        y = mg.remat(model)(X).sum()
    with mg.stand_in(plain, w):
        z = plain(X).sum()
    for a, b in zip(mg.gradients(y, [*w.values()]), mg.gradients(z, [*w.values()]), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, plain.state_dict()[name])


def test_a_reparametrised_layer_under_remat_and_higher_orders() -> None:
    layer = Linear(3, 1, bias=False).astype("float64")

    def f(v: mg.Tensor) -> mg.Tensor:
        with mg.stand_in(layer, {"weight": v / mg.linalg.norm(v)}):
            return (mg.tanh(layer(X)) ** 2).sum()

    def plain(v: mg.Tensor) -> mg.Tensor:
        return (mg.tanh(X @ (v / mg.linalg.norm(v)).T) ** 2).sum()

    v = mg.tensor([[0.3, -1.0, 2.0]])
    for g in (mg.grad, mg.hessian):
        want = g(plain)(v).numpy()
        np.testing.assert_allclose(g(f)(v).numpy(), want, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(g(mg.remat(f))(v).numpy(), want, rtol=1e-12, atol=1e-12)


def test_functions_of_a_model_s_state() -> None:
    model = Sequential(Linear(3, 4), BatchNorm1d(4), Linear(4, 1)).astype("float64")

    def loss(state: dict[str, mg.Tensor], x: mg.Tensor) -> tuple[mg.Tensor, Any]:
        with mg.stand_in(model, state) as now:
            return (model(x) ** 2).sum(), dict(now)

    state = {**dict(model.named_parameters()), "1.running_mean": model[1].running_mean}
    grads, after = mg.grad(loss, has_aux=True)(state, X)
    (model(X) ** 2).sum().backward()
    for name, p in model.named_parameters():
        np.testing.assert_array_equal(grads[name].numpy(), p.grad.numpy())  # type: ignore[union-attr]
    np.testing.assert_array_equal(after["1.running_mean"].numpy(), model[1].running_mean.numpy())


def test_a_trace_shows_where_the_weight_came_from() -> None:
    layer = Linear(3, 1, bias=False).astype("float64")
    g = mg.tensor([[2.0]], requires_grad=True)
    with mg.trace(layer) as graph:
        with mg.stand_in(layer, {"weight": layer.weight * g}):
            y = layer(X)
        y.sum().backward()
    made = next(n for n in graph.nodes if n.op == "multiply")
    used = [n for n in graph.nodes if made.name in n.inputs]
    assert [n.scope for n in used] == ["Linear"]
    assert made.cotangents
    assert any(n.kind == "parameter" and n.name in made.inputs for n in graph.nodes)


MISTAKES: dict[str, tuple[Callable[[mg.Module], Any], type[Exception], str]] = {
    "a name": (lambda m: {"wieght": X}, mg.errors.ArgumentError, "wieght"),
    "no name": (lambda m: {3: X}, mg.errors.ArgumentError, "3"),
    "a module's name": (lambda m: {"": X}, mg.errors.ArgumentError, "''"),
    "shape": (lambda m: {"weight": X}, mg.errors.ShapeError, r"\(2, 3\).*\(4, 3\)"),
    "dtype": (lambda m: {"weight": m.weight.astype("float32")}, mg.errors.DtypeError, "astype"),
    "integers": (lambda m: {"weight": np.zeros((2, 3), int)}, mg.errors.DtypeError, "astype"),
    "no mapping": (lambda m: [m.weight], TypeError, "dict"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_answered_and_nothing_is_entered(mistake: str) -> None:
    layer = _linear()
    state, error, text = MISTAKES[mistake]
    with pytest.raises(error, match=text):
        mg.stand_in(layer, state(layer))
    with pytest.raises(TypeError, match="module"):
        mg.stand_in(layer.weight, {})  # type: ignore[arg-type]
    assert type(layer.weight) is mg.Parameter


def test_one_parameter_under_two_names_takes_one_value() -> None:
    layer = _linear()
    model = Sequential(layer, layer)
    a, b = _other(layer, 1)["weight"], _other(layer, 2)["weight"]
    with mg.stand_in(model, {"0.weight": a, "1.weight": a}):
        assert layer.weight.tolist() == a.tolist()
    with pytest.raises(mg.errors.ArgumentError, match="shared"):
        mg.stand_in(model, {"0.weight": a, "1.weight": b})
