"""Routes: the gradient split by labelled values; for the norms, the terms of the papers, each by itself."""

from __future__ import annotations

import functools
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest

import minigrad as mg
from minigrad.errors import GraphError, ShapeError, UnknownNameError
from minigrad_layers import BatchNorm1d, BatchNorm2d, GroupNorm, LayerNorm, Linear, ReLU, Sequential

Array = np.ndarray[Any, Any]
DIRECT, MEAN, VAR, BOTH = frozenset[str](), frozenset({"mean"}), frozenset({"var"}), frozenset({"mean", "var"})
ULP = 4


def host(parts: Any) -> dict[frozenset[str], Array]:
    return {labels: part.numpy() for labels, part in parts.items()}


def apart(parts: Any, gradient: Array) -> float:
    """How far the sum of the routes is from the gradient, in units of rounding of the sum of their magnitudes.

    Their `total` must be the gradient itself, to the last bit.
    """
    assert parts.total.numpy().tobytes() == gradient.tobytes()
    found = [part.numpy() for part in parts.values()]
    largest = sum(map(np.abs, found)).max(initial=0.0)
    return float(np.abs(sum(found) - gradient).max(initial=0.0) / (np.finfo(gradient.dtype).eps * largest))


# ---- the textbook


NORMS = {
    "BatchNorm1d": (lambda d: BatchNorm1d(3, dtype=d), (7, 3), (0,), (3,)),
    "BatchNorm1d of sequences": (lambda d: BatchNorm1d(3, dtype=d), (4, 3, 5), (0, 2), (3, 1)),
    "BatchNorm1d without affine": (lambda d: BatchNorm1d(3, affine=False, dtype=d), (7, 3), (0,), ()),
    "BatchNorm2d": (lambda d: BatchNorm2d(2, dtype=d), (3, 2, 4, 4), (0, 2, 3), (2, 1, 1)),
    "LayerNorm": (lambda d: LayerNorm(5, dtype=d), (6, 5), (1,), (5,)),
    "GroupNorm of one group": (lambda d: GroupNorm(1, 4, dtype=d), (3, 4, 5), (1, 2), (4, 1)),
}


def closed_form(x: Array, g: Array, axes: tuple[int, ...]) -> dict[frozenset[str], Array]:
    """Ioffe and Szegedy 2015, section 3, term by term; `g` is the cotangent of the normalised x."""
    n = np.prod([x.shape[i] for i in axes])
    d = x - x.mean(axes, keepdims=True)
    s = 1 / np.sqrt((d * d).mean(axes, keepdims=True) + 1e-5)
    d_var = -0.5 * s**3 * (g * d).sum(axes, keepdims=True)
    d_mean = -s * g.sum(axes, keepdims=True)
    null = d_var * (-2 / n) * d.sum(axes, keepdims=True) / n
    return {DIRECT: g * s, MEAN: d_mean / n + 0 * x, VAR: d_var * 2 * d / n, BOTH: null + 0 * x}


@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize("gamma", ["random", "zero"])
def test_the_routes_of_a_norm_are_the_terms_of_the_paper(name: str, gamma: str, rng: np.random.Generator):
    make, shape, axes, weighted = NORMS[name]
    layer, a, g = make("float64"), rng.normal(3, 2, shape), rng.normal(0.5, 1, shape)  # a cotangent with a mean
    w = np.ones(())
    if getattr(layer, "weight", None) is not None:
        w = rng.normal(1, 1, layer.weight.shape)
        w.flat[0] = 0.0 if gamma == "zero" else w.flat[0]
        layer.weight.data = w
    x = mg.tensor(a, requires_grad=True, name="x")
    with mg.trace(layer) as graph:
        y = layer(x)
        y.backward(g)
    found = graph.routes(y, x, cotangent=g)
    expected = closed_form(a, g * w.reshape(weighted), axes)
    assert list(found) == [DIRECT, MEAN, VAR, BOTH]
    for labels, part in expected.items():
        assert np.abs(found[labels].numpy() - part).max() <= 1e-12, labels
    assert np.abs(found["mean", "var"].numpy()).max() <= 1e-14  # the null route
    largest = max(np.abs(part.numpy()).max() for part in found.values())
    assert np.abs(found.total.numpy() - x.grad.numpy()).max() <= ULP * np.finfo("f8").eps * largest


def test_far_from_zero_the_variance_shares_its_part_with_the_null_route(rng: np.random.Generator):
    a, g = rng.normal(1e6, 1, (256, 2)).astype("f4"), rng.normal(0.5, 1, (256, 2)).astype("f4")
    x = mg.tensor(a, requires_grad=True)
    with mg.trace() as graph:
        y = BatchNorm1d(2)(x)
    found = graph.routes(y, x, cotangent=g)
    expected = closed_form(a.astype("f8"), g.astype("f8"), (0,))
    for ours, theirs in (((DIRECT,), DIRECT), ((MEAN,), MEAN), ((VAR, BOTH), VAR)):
        total = sum(found[labels].numpy() for labels in ours)
        assert np.abs(total - expected[theirs]).max() <= 1e-6 * np.abs(expected[theirs]).max()


def test_the_table_names_the_null_route():
    x = mg.tensor([[1.0, 2.5], [0.3, 4.0], [3.0, -1.0]], requires_grad=True, name="x")
    with mg.trace() as graph:
        y = BatchNorm1d(2, dtype="float64")(x).named("y")
    lines = repr(graph.routes(y, x, cotangent=[[1.0, 0.0], [0.0, 2.0], [0.5, 0.1]])).splitlines()
    assert lines[0].startswith("<Routes from y to x")
    assert [line.split("  ")[2].strip() for line in lines[1:]] == ["{}", "{mean}", "{var}", "{mean, var}", "total"]
    assert lines[1].endswith("direct")
    assert lines[4].endswith(("nothing", "nothing but rounding"))
    assert lines[5].endswith("the gradient>")


def test_a_notebook_shows_a_table_of_values():
    x = mg.tensor([[1.0], [2.0], [6.0]], requires_grad=True, name="<x>")
    with mg.trace() as graph:
        y = BatchNorm1d(1, dtype="float64")(x)
    table = ET.fromstring(graph.routes(y, x, cotangent=[[1.0], [0.0], [0.0]])._repr_html_())
    rows = [["".join(cell.itertext()) for cell in row] for row in table.iter("tr")]
    assert [row[0] for row in rows] == ["route", "{}", "{mean}", "{var}", "{mean, var}", "total"]
    assert [row[3] for row in rows[4:]] in (["nothing but rounding", "the gradient"], ["nothing", "the gradient"])
    assert len(rows[1][1].splitlines()) == 3
    assert "".join(table.find("caption").itertext()) == "Routes from BatchNorm1d/normalize/add_3 to <x>"


def test_routes_are_compared_by_identity():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    with mg.trace() as graph:
        y = (x * x).sum()
    a, b = graph.routes(y, x), graph.routes(y, x)
    assert a == a
    assert a != b
    assert len({a, b}) == 2


# ---- the sum is the gradient


def mlp(dtype: str) -> Any:
    return Sequential(
        Linear(4, 6, dtype=dtype), BatchNorm1d(6, dtype=dtype), ReLU(), Linear(6, 5, dtype=dtype),
        BatchNorm1d(5, dtype=dtype), Linear(5, 1, dtype=dtype),
    )  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("seed", range(5))
def test_the_sum_is_the_gradient(dtype: str, seed: int):
    rng = np.random.default_rng(seed)
    x = mg.tensor(rng.normal(2, 3, (16, 4)), dtype=dtype, requires_grad=True)
    model = mlp(dtype)
    with mg.trace(model) as graph:
        loss = model(x).named("out")
        loss.backward(g := rng.normal(0.3, 1, loss.shape))
    ask = functools.partial(graph.routes, loss, cotangent=g)
    for target in (x, *model.parameters()):  # of biases in front of a norm the gradient is 0, and its routes are not
        found = ask(target)
        assert all(part.dtype == target.dtype and part.shape == target.shape for part in found.values())
        assert apart(found, target.grad.numpy()) <= ULP
    assert {label for labels in ask(x) for label in labels} == {
        f"Sequential/{k}/{s}" for k in (1, 4) for s in ("mean", "var")
    }
    assert set(ask(x, through=["var"])) == {DIRECT, VAR}


def test_labels_for_reading_only_make_no_route_unless_asked(rng: np.random.Generator):
    x = mg.tensor(rng.normal(size=(4, 3)), requires_grad=True)
    with mg.trace() as graph:
        y = LayerNorm(3, dtype="float64")(x).sum()
    assert [set(graph.routes(y, x, through=name)) for name in ("scale", "_scale", "LayerNorm/scale")] == [
        {DIRECT, frozenset({name})} for name in ("scale", "_scale", "LayerNorm/scale")
    ]
    assert set(graph.routes(y, x)) == {DIRECT, MEAN, VAR, BOTH}
    assert graph.node("scale").called == "scale"


@pytest.mark.parametrize("seed", range(30))
def test_the_sum_is_the_gradient_of_random_programs(seed: int):
    rng = np.random.default_rng(seed)
    x = mg.tensor(rng.normal(size=(3, 4)), requires_grad=True)
    with mg.trace() as graph:
        values = [x, mg.tanh(x).named("a")]
        for k in range(8):
            a, b = (values[int(rng.integers(len(values)))] for _ in range(2))
            new = (a * b, a + mg.mean(b, axis=0), mg.sin(a) - b, mg.exp(-a * a))[int(rng.integers(4))]
            values.append(new.named("bcdef"[k // 2]) if k % 2 else new)
        y = sum((mg.sum(v) for v in values), mg.tensor(0.0))
        y.backward()
    found = graph.routes(y, x)
    assert apart(found, x.grad.numpy()) <= ULP
    assert all(labels <= set("abcdef") for labels in found)


# ---- where it can be asked


def small() -> tuple[mg.Tensor, mg.Tensor, mg.Graph]:
    x = mg.tensor([1.0, 2.0, 4.0], requires_grad=True, name="x")
    with mg.trace() as graph:
        m = mg.mean(x).named("m")
        y = (mg.tanh(x - m) * x).sum().named("y")
        y.backward()
        inside = host(graph.routes(y, x))
    assert all(np.array_equal(part, inside[labels]) for labels, part in host(graph.routes(y, x)).items())
    return x, y, graph


def test_after_backward_inside_and_after_the_trace():
    x, y, graph = small()
    nodes, grad = len(graph), x.grad.numpy()
    expected = host(graph.routes(y, x))
    for again in (
        graph.routes("y", "x"),
        graph.routes(y, "x", through=["m"]),
        graph.routes(y, x, cotangent=1.0),
        mg.Graph.from_json(graph.to_json()).routes("y", "x"),
    ):
        assert set(again) == {DIRECT, frozenset({"m"})}
        assert all(np.array_equal(part.numpy(), expected[labels]) for labels, part in again.items())
    assert len(graph) == nodes
    assert np.array_equal(x.grad.numpy(), grad)
    assert len(graph.node("x").cotangents) == 1


def test_an_input_that_requires_no_gradient_has_routes_too():
    w = mg.tensor([[1.0, -2.0], [0.5, 3.0]], requires_grad=True)

    def f(x: mg.Tensor) -> mg.Tensor:
        h = mg.exp(x * 0.5).named("h")
        return (mg.tanh(h @ w) + x).sum()

    results = []
    for tracked in (True, False):
        x = mg.tensor([[0.2, 0.4], [0.1, -0.3]], requires_grad=tracked)
        with mg.trace() as graph:
            y = f(x)
            y.backward()
        results.append(host(graph.routes(y, x)))
    assert list(results[0]) == list(results[1]) == [DIRECT, frozenset({"h"})]
    assert all(np.array_equal(results[0][k], results[1][k]) for k in results[0])


@pytest.mark.parametrize("tracked", [True, False])
def test_what_the_program_cut_off_is_no_route(tracked: bool):
    x = mg.tensor([1.0, 2.0], requires_grad=tracked)
    with mg.trace() as graph:
        kept = (x * 3.0).named("kept")
        stopped = mg.stop_gradient(x * x, why="for the test").named("stopped")
        detached = (x * x).detach() * 1.0
        with mg.no_grad():
            under = mg.exp(x)
        y = (kept + stopped + detached + under).sum()
    found = graph.routes(y, x)
    assert host(found).keys() == {frozenset({"kept"})}
    assert found["kept"].tolist() == [3.0, 3.0]
    with pytest.raises(GraphError, match="does not depend"):
        graph.routes(under.named("under"), x)


def test_intermediates_at_both_ends():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    with mg.trace() as graph:
        a = (x * 2.0).named("a")
        b = (a * a).named("b")
        c = (b + a).named("c")
        (c * 5.0).sum().backward()
    found = graph.routes("c", "a", cotangent=[1.0, 10.0])
    assert {k: v.tolist() for k, v in found.items()} == {DIRECT: [1.0, 10.0], frozenset({"b"}): [4.0, 80.0]}
    assert graph.routes(c, c, cotangent=[1.0, 2.0]).total.tolist() == [1.0, 2.0]
    assert set(graph.routes(c, x, cotangent=[1.0, 1.0])) == {frozenset({"a"}), frozenset({"a", "b"})}


def test_several_outputs_several_inputs_and_rematerialised_values(rng: np.random.Generator):
    a = rng.normal(size=(3, 3))
    x = mg.tensor(a @ a.T + np.diag([1.0, 2.0, 3.0]), requires_grad=True)

    @mg.remat
    def inner(v: mg.Tensor) -> mg.Tensor:
        return mg.tanh(v * 0.1).named("inner")

    with mg.trace() as graph:
        values, vectors = mg.linalg.eigh(x)
        both = mg.concat([values.named("values"), inner(x)[0], (vectors * vectors)[1].named("squares")])
        y = (both * both).sum()
        y.backward()
    found = graph.routes(y, x)
    assert set(found) == {frozenset({s}) for s in ("values", "inner", "squares")}
    assert apart(found, x.grad.numpy()) <= ULP


def test_the_gradient_of_a_gradient():
    x = mg.tensor([0.5, 1.5], requires_grad=True)
    with mg.trace() as graph:
        t = mg.tanh(x).named("t")
        (dx,) = mg.gradients((t * t).sum(), [x], create_graph=True)
        penalty = (dx * dx).sum()
        (ddx,) = mg.gradients(penalty, [x])
    found = graph.routes(penalty, x)
    assert apart(found, ddx.numpy()) <= ULP
    plain = mg.tensor([0.5, 1.5])
    with mg.trace() as graph:
        w = mg.tensor([1.0, 1.0], requires_grad=True)
        (dw,) = mg.gradients((mg.tanh(plain * w) * plain).sum(), [w], create_graph=True)
    with pytest.raises(GraphError, match="requires_grad=True before the trace"):
        graph.routes(dw, plain, cotangent=[1.0, 1.0])


def test_a_parameter_before_and_after_its_update():
    w = mg.Parameter(mg.tensor([1.0, 2.0]))
    optimizer = mg.optim.SGD([w], lr=0.5)
    with mg.trace() as graph:
        first = (w * w).sum()
        first.backward()
        before = w.grad.numpy()
        optimizer.step()
        second = (w * w).sum()
        both = first + second
    assert np.array_equal(graph.routes(first, w).total.numpy(), before)
    now = w.numpy()
    assert np.array_equal(graph.routes(second, w).total.numpy(), 2 * now)
    assert np.array_equal(graph.routes(both, w).total.numpy(), before + 2 * now)


# ---- labels


def test_a_label_that_stands_in_several_scopes_is_told_apart():
    @mg.composite
    def centred(x: mg.Tensor) -> mg.Tensor:
        return x - mg.mean(x).named("mean")

    x = mg.tensor([1.0, 3.0], requires_grad=True)
    with mg.trace() as graph:
        y = (centred(mg.exp(centred(x))) * mg.tensor([1.0, 2.0])).sum()
    first, second = "centred/mean", "centred_2/mean"
    assert {label for labels in graph.routes(y, x) for label in labels} == {first, second}
    assert len(graph.routes(y, x)) == 4
    assert set(graph.routes(y, x, through=["mean"])) == {DIRECT, MEAN}
    assert set(graph.routes(y, x, through=[second])) == {DIRECT, frozenset({second})}
    assert set(graph.routes(y, x, through="exp_1")) == {frozenset({"exp_1"})}
    assert list(graph.routes(y, x, through=())) == [DIRECT]


def test_at_most_six_labels():
    x = mg.tensor([0.1], requires_grad=True)
    with mg.trace() as graph:
        y = x
        for k in range(7):
            y = y + mg.sin(y).named(f"s{k}")
        y = y.sum()
    found = graph.routes(y, x)  # not an error: those nearest to the input are told apart
    assert len(found) == 64
    assert "not told apart, for there are so many: s6; through=[...] chooses" in repr(found)
    with pytest.raises(ValueError, match="choose at most 6"):
        graph.routes(y, x, through=[f"s{k}" for k in range(7)])
    found = graph.routes(y, x, through=[f"s{k}" for k in range(6)])
    assert len(found) == 64
    (gradient,) = mg.gradients(y, [x])
    assert apart(found, gradient.numpy()) <= ULP


def test_wrong_questions_are_answered():
    x, y, graph = small()
    with pytest.raises(UnknownNameError, match="no node is called or labelled 'z'"):
        graph.routes("z", x)
    with pytest.raises(UnknownNameError, match="through: no value is labelled 'n'"):
        graph.routes(y, x, through=["n"])
    with pytest.raises(GraphError, match=r"x: a tensor of shape \(2,\) is no tensor of this recording"):
        graph.routes(y, mg.tensor([1.0, 2.0]))
    with pytest.raises(GraphError, match=r"y: 3 is no tensor"):
        graph.routes(3, x)
    with pytest.raises(GraphError, match="'x' does not depend on 'y'"):
        graph.routes(x, y)
    with pytest.raises(ShapeError, match="without a cotangent"):
        graph.routes("tanh_1", x)
    with pytest.raises(KeyError, match=r"{n}: no path passed exactly these; there are {}, {m}"):
        graph.routes(y, x)["n"]
    with mg.trace(values=False) as empty:
        z = (x * x).sum()
    with pytest.raises(GraphError, match="values=True"):
        empty.routes(z, x)
