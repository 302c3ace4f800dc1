"""D3: the formula on an edge is the rule that ran: evaluated at points, it gives what the engine's backward gives."""

from __future__ import annotations

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
    assert graph.formula("power_1") == "a^2"
    assert (graph.formula("multiply_1"), graph.rule("multiply_1", 0), graph.rule("multiply_1", 1)) == (
        "x·x",
        "g·x",
        "g·x",
    )
    assert graph.formula("multiply_2") == "a·mean"


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
    for name, expected in (("tanh_1", ("1 - y·y",)), ("sum_1", (None,)), ("multiply_1", ("3", None))):
        graph.formula(name)
        assert graph.node(name).locals == expected


def test_no_factors_of_1():
    x = mg.tensor([1.5, 2.5], requires_grad=True, name="x")
    with mg.trace() as graph:
        x * 0.2
        x**2
        x**2.5
        mg.rsqrt(x)
    expected = {"multiply_1": "0.2", "power_1": "2·x", "power_2": "2.5·x^1.5", "rsqrt_1": "-0.5·(y·y·y)"}
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
