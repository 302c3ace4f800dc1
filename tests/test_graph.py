"""The trace as data: what is recorded, that it changes nothing, and that it can be written down and read back."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.errors import ArgumentError, UnknownNameError


class Linear(mg.Module):
    """A product with a weight that the caller gives."""

    def forward(self, x: mg.Tensor, w: mg.Tensor) -> mg.Tensor:
        return (x @ w).named("hidden")


def program(x: mg.Tensor, w: mg.Tensor) -> mg.Tensor:
    return mg.mean(mg.relu(Linear()(x, w))).named("loss")


def leaves() -> tuple[mg.Tensor, mg.Tensor]:
    x = mg.tensor([[1.0, -2.0], [3.0, 4.0], [0.5, 0.0]], name="x")
    return x, mg.tensor([[1.0, -1.0], [2.0, 0.5]], requires_grad=True, name="w")


def test_nodes_hold_what_ran():
    x, w = leaves()
    with mg.trace() as graph:
        loss = program(x, w)
        loss.backward()
    node = graph.node("hidden")
    assert (node.name, node.op, node.scope, node.shape, str(node.dtype)) == (
        "Linear/matmul_1",
        "matmul",
        "Linear",
        (3, 2),
        "float64",
    )
    assert node.inputs == ("input_1", "input_2")
    assert node.flows == (False, True)
    assert node.kept == x.data.nbytes
    assert node.source is not None
    assert node.source.rpartition(":")[0] == __file__
    np.testing.assert_array_equal(mg.tensor(node.value).numpy(), (x @ w).numpy())
    np.testing.assert_array_equal(mg.tensor(graph.node("w").grad).numpy(), w.grad.numpy())
    assert graph.node("loss").grad == 1
    assert [s.kind for s in graph.scopes.values()] == ["layer", "composite", "composite"]
    assert ("Linear/matmul_1", "relu/keep_1", 0, True) in [(e.source, e.target, e.index, e.flows) for e in graph.edges]


def test_not_computed_is_no_zero():
    x, w = leaves()
    with mg.trace() as graph:
        program(x, w)
    assert graph.node("w").cotangents == []
    assert graph.node("w").grad is None
    w.grad = None
    with mg.trace() as graph:
        (program(x, w) * 0.0).backward()
    assert not mg.tensor(graph.node("w").grad).numpy().any()  # a computed zero


@pytest.mark.parametrize("values", [True, False])
def test_results_are_bit_identical(values: bool, rng: np.random.Generator):
    data, weight = rng.normal(size=(7, 5)), rng.normal(size=(5, 3))

    def run() -> list[Any]:
        x, w = mg.tensor(data), mg.tensor(weight, requires_grad=True)
        y = mg.softmax(mg.tanh(x @ w) / mg.std(x, axis=1, keepdims=True))
        loss = (y * y).sum() + mg.var(w)
        (gw,) = mg.gradients(loss, [w], create_graph=True)
        (gw * gw).sum().backward()
        return [loss.numpy().tobytes(), gw.numpy().tobytes(), w.grad.numpy().tobytes()]

    expected = run()
    with mg.trace(values=values) as graph:
        assert run() == expected
    assert run() == expected
    assert all((n.value is None) != values for n in graph.nodes if n.kind == "op")


def test_a_trace_leaves_nothing_behind():
    with pytest.raises(mg.errors.ShapeError), mg.trace() as graph:
        x, w = leaves()
        program(w, x)
    nodes = len(graph)
    program(x, w)
    assert len(graph) == nodes


def test_traces_nest():
    x = mg.tensor(2.0, name="x")
    with mg.trace() as outer:
        x * x
        with mg.trace() as inner:
            x + x
    assert [n.op for n in outer.nodes] == [None, "multiply", "add"]
    assert [n.op for n in inner.nodes] == [None, "add"]


def test_constants_and_detached_values():
    array = np.array([1.0, 2.0])
    x = mg.tensor([3.0, 4.0], requires_grad=True)
    with mg.trace() as graph:
        y = mg.exp(x)
        z = y.detach() * array if x.device == "numpy" else y.detach() * mg.tensor(array)
        z * 2.5
    assert graph.node("multiply_1").inputs[0] == "exp_1"  # the edge is there, and no gradient flows along it
    assert graph.node("multiply_1").flows == (False, False)
    assert graph.node(graph.node("multiply_2").inputs[1] or "").value == 2.5
    array[:] = 9
    constant = graph.node(graph.node("multiply_1").inputs[1] or "")
    assert mg.tensor(constant.value).tolist() == [1.0, 2.0]


def test_higher_orders_record_the_backward_pass():
    x = mg.tensor(3.0, requires_grad=True, name="x")
    with mg.trace() as graph:
        y = (x * x * x).named("y")
        (dx,) = mg.gradients(y, [x], create_graph=True)
        (ddx,) = mg.gradients(dx.named("dx"), [x])
    assert (dx.item(), ddx.item()) == (27.0, 18.0)
    assert [s.kind for s in graph.scopes.values()] == ["backward"]
    assert graph.node("dx").scope == "backward_1"
    assert [c.sweep for c in graph.node("x").cotangents] == [1, 2]
    assert [mg.tensor(c.value).item() for c in graph.node("x").cotangents] == [27.0, 18.0]


def test_several_outputs():
    a = mg.tensor([[2.0, 1.0], [1.0, 3.0]], requires_grad=True)
    with mg.trace() as graph:
        values, vectors = mg.linalg.eigh(a)
        (values.sum() + (vectors * vectors).sum()).backward()
    node = next(n for n in graph.nodes if n.op == "eigh")
    assert node.shape == ((2,), (2, 2))
    assert [n.params["index"] for n in graph.nodes if n.op == "pick"] == [0, 1]
    assert len(node.cotangents) == 1
    graph.dot(depth=9, passes="both", show=("value", "grad", "formula"))


def test_json_is_plain_data_and_comes_back():
    x, w = leaves()
    with mg.trace() as graph:
        loss = program(x, w) + mg.tensor(float("nan")) + mg.sum(x[1:, None], axis=0).sum()
        loss.backward()
    text = graph.to_json()
    again = mg.Graph.from_json(text)
    assert again.to_json() == text
    assert json.loads(text)["format"] == "minigrad.graph"
    for view in ({}, {"depth": 9, "passes": "both", "show": ("value", "grad", "formula", "bytes", "source")}):
        assert again.dot(**view).source == graph.dot(**view).source
    a, b = graph.node("hidden"), again.node("hidden")
    assert (a.params, a.shape, a.dtype, a.inputs) == (b.params, b.shape, b.dtype, b.inputs)
    np.testing.assert_array_equal(mg.tensor(a.value).numpy(), b.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "not JSON"),
        ("[]", "another document"),
        ('{"format":"minigrad.graph","version":99}', "version 1"),
        ('{"format":"minigrad.graph","version":1}', "missing or malformed"),
        ('{"format":"minigrad.graph","version":1,"scopes":[],"nodes":[{"name":"a"}]}', "missing or malformed"),
    ],
)
def test_from_json_refuses_other_text(text: str, says: str):
    with pytest.raises(ArgumentError, match=says):
        mg.Graph.from_json(text)


def test_a_reference_to_nothing_is_refused():
    with mg.trace() as graph:
        mg.tensor(1.0) + 1
    with pytest.raises(ArgumentError, match="refers to one that is not in the document"):
        mg.Graph.from_json(graph.to_json().replace('"inputs":["input_1"', '"inputs":["input_7"'))


def test_unknown_node_names_its_neighbours():
    x, w = leaves()
    with mg.trace() as graph:
        program(x, w)
    with pytest.raises(UnknownNameError, match=r"'Linear/matmul_2'.*'Linear/matmul_1'"):
        graph.node("Linear/matmul_2")
