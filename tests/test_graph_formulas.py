"""D3: the formula on an edge is the rule that ran: evaluated at points, it gives what the engine's backward gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tables import OPS, TRACKED, points

import minigrad as mg
from minigrad.notation import Expr


def recorded(op: Any, args: Any, params: dict[str, Any]) -> tuple[mg.Graph, list[mg.Tensor], list[mg.Tensor]]:
    tensors = [mg.tensor(a) for a in args]
    for k, t in enumerate(tensors):
        t.requires_grad = op.pull_for(k)[0] is not None and t.dtype.kind == "f"
    with mg.trace() as graph:
        out = op.call(*tensors, **params)
    return graph, tensors, list(out) if isinstance(out, tuple) else [out]


@pytest.mark.parametrize("name", TRACKED)
def test_the_label_is_the_rule(name: str):
    op, rng = OPS[name], np.random.default_rng(5)
    if name == "transfer":
        pytest.skip("moves between devices by their names, which a formula evaluated on host arrays does not have")
    for args, params in points(op, 20):
        if name == "scatter_add" and any(np.asarray(a).dtype == bool for a in args):
            continue  # a mask reads back a shape that depends on values: the label says that there is no formula
        graph, tensors, outs = recorded(op, args, params)
        if not any(y.requires_grad for y in outs):
            continue
        gs = [rng.normal(size=y.shape) for y in outs]
        total = sum((mg.sum(y * mg.tensor(g, dtype=y.dtype)) for y, g in zip(outs, gs, strict=True)), mg.tensor(0.0))
        total.backward()
        node = next(n for n in graph.nodes if n.op == name)
        graph.formula(node.name)
        names, single = node.names or (), op.outputs == 1
        env = {
            "g": gs[0] if single else gs,
            "y": outs[0].numpy() if single else [y.numpy() for y in outs],
            **{str(called): t.numpy() for called, t in zip(names, tensors, strict=True)},
        }
        for k, t in enumerate(tensors):
            if not t.requires_grad or t.grad is None:
                continue
            found = graph.expression(node.name, k)
            assert isinstance(found, Expr)
            if found.text() == "0":
                assert not t.grad.numpy().any()
                continue
            value = np.asarray(found.evaluate(env))
            assert value.shape == t.shape
            assert np.max(np.abs(value - t.grad.numpy()), initial=0.0) <= 1e-12


@pytest.mark.parametrize("name", TRACKED)
def test_every_rule_has_a_text(name: str):
    (args, params), *_ = points(OPS[name], 1, seed=3)
    graph, tensors, _ = recorded(OPS[name], args, params)
    node = next(n for n in graph.nodes if n.op == name)
    assert graph.formula(node.name)
    for k, t in enumerate(tensors):
        text = graph.rule(node.name, k)
        assert (text is not None) == t.requires_grad
        assert text is None or ("no formula" not in text and "array(" not in text)


def test_names_are_labels_where_there_are_some():
    x = mg.tensor([[1.0, 2.0]], requires_grad=True, name="x")
    with mg.trace() as graph:
        mean = mg.mean(x, axis=1, keepdims=True).named("mean")
        (x - mean) ** 2
        x * x
        mg.tensor([[1.0, 2.0]], name="<b>") * mean
    assert graph.formula("subtract_1") == "x - mean"
    assert graph.rule("subtract_1", 1) == "sum(-g, axis=1)"
    assert graph.formula("power_1") == "subtract²"
    assert (graph.formula("multiply_1"), graph.rule("multiply_1", 0), graph.rule("multiply_1", 1)) == (
        "x·x",
        "g·x",
        "g·x",
    )
    assert graph.formula("multiply_2") == "a·mean"


FORMULAS: dict[str, tuple[Callable[[mg.Tensor], Any], list[str]]] = {
    "slices": (lambda x: x[0:3], ["x[0:3]"]),
    "an array and slices": (lambda x: x[np.array([0, 2]), 1:], ["x[indices1, 1:]"]),
    "a place": (lambda x: x[1, ..., None], ["x[1, ..., None]"]),
    "a position": (lambda x: mg.argmax(x, axis=1), ["argmax(x, axis=1)"]),
    "any and all": (lambda x: mg.any(mg.all(x > 0, axis=1)), ["x > 0", "all(greater, axis=1)", "any(all, axis=0)"]),
    "outputs": (lambda x: mg.split(x, 2), ["split(x, sizes=(2, 2), axis=0)", "split[0]", "split[1]"]),
    "padding": (lambda x: mg.pad(x, 1), ["pad(x, widths=((1, 1), (1, 1)))"]),
    "scans": (lambda x: mg.cumsum(x, axis=1), ["cumsum(x, axis=1)"]),
    "squares": (lambda x: mg.deviations(x, axis=1), ["near_mean(x, axis=1)", "sum_of_squares(subtract, axis=1)"]),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_a_formula_hides_nothing(name: str):
    """Axes, slices and outputs: x[0:3] does not look like x, nor one output like an element."""
    run, expected = FORMULAS[name]
    x = mg.tensor(np.arange(12.0).reshape(4, 3), requires_grad=True, name="x")
    with mg.trace() as graph:
        run(x)
    assert {*expected} <= {graph.formula(n.name) for n in graph.nodes}


def test_rules_say_where_they_put_what():
    x = mg.tensor(np.arange(12.0).reshape(4, 3), requires_grad=True, name="x")
    with mg.trace() as graph:
        x[1:3], x[np.array([0, 0])], mg.concat([x, x])
    rules = [graph.rule(n.name) for n in graph.nodes if n.kind == "op"]
    assert rules == ["put_at(g, [1:3])", "add_at(g, [indices1])", "g[0:4]"]


def test_each_argument_has_its_own_derivative():
    m = mg.tensor([1.0, 2.0], requires_grad=True, name="m")
    with mg.trace() as graph:
        m * m
    source = graph.dot(show=("formula",)).source
    assert "∂/∂a = m" in source
    assert "∂/∂b = m" in source
    assert "∂/∂m" not in source


def test_names_that_clash_give_way_to_the_operation_s_own():
    a, b = (mg.tensor([1.0], requires_grad=True, name="x") for _ in range(2))
    g = mg.tensor([1.0], name="g")
    with mg.trace() as graph:
        a * b
        a * g
    assert graph.formula("multiply_1") == graph.formula("multiply_2") == "a·b"


def test_local_derivatives_of_elementwise_operations_only():
    x = mg.tensor([[1.0, 2.0]], requires_grad=True, name="x")
    with mg.trace() as graph:
        mg.tanh(x)
        mg.sum(x)
        x * 3.0
    for name, expected in (("tanh_1", ("1 - y²",)), ("sum_1", (None,)), ("multiply_1", ("3", None))):
        graph.formula(name)
        assert graph.node(name).locals == expected


def test_no_factors_of_1():
    x = mg.tensor([1.5, 2.5], requires_grad=True, name="x")
    with mg.trace() as graph:
        x * 0.2
        x**2
        x**2.5
        mg.rsqrt(x)
    expected = {"multiply_1": "0.2", "power_1": "2·x", "power_2": "2.5·x^1.5", "rsqrt_1": "-½·y³"}
    for name, text in expected.items():
        graph.formula(name)
        assert (graph.node(name).locals or ())[0] == text


def test_a_rule_that_symbols_do_not_pass_is_named():
    @mg.primitive(
        lambda g, x: g * float(np.asarray(x).sum()),
        show=None,
        samples=(mg.domains.reals,),
        c="{x}",
        name="unruly_for_a_test",
    )
    def unruly(xp: Any, x: Any) -> Any:
        return x * 1

    x = mg.tensor([1.0], requires_grad=True)
    with mg.trace() as graph:
        unruly(x)
    assert graph.rule("unruly_for_a_test_1") == "unruly_for_a_test: no formula (TypeError)"
    assert "unruly_for_a_test(x)" in graph.dot(depth=9, passes="both", show=("formula",)).source
