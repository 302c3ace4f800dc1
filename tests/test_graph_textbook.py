"""Pictures of the textbook form: what is folded, what edges and legend say, formulas that can be evaluated."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad_layers import BatchNorm1d, Dropout, Linear, Sequential


def host(value: Any) -> np.ndarray:
    return mg.tensor(value).numpy()


def norm() -> tuple[mg.Graph, mg.Tensor, mg.Tensor]:
    layer = BatchNorm1d(2, dtype="float64")
    x = mg.tensor([[1.0, 2.0], [4.0, 3.0], [0.5, -1.0]], requires_grad=True, name="x")
    with mg.trace(layer, form="textbook") as graph:
        y = layer(x).named("y")
        y.backward(np.array([[1.0, 0.0], [0.0, 2.0], [0.5, 0.1]]))
    return graph, x, y


def test_updates_and_draws_are_one_box_until_they_are_asked_for() -> None:
    graph, _, _ = norm()
    assert "running_mean" not in graph.dot(depth=9).source
    assert "running_mean" in graph.dot(depth=9, show=("state",)).source
    with mg.trace(form="textbook") as drawn:
        Dropout(0.4)(mg.ones((2, 3)))
    assert "random_bits" not in drawn.dot(depth=9).source
    assert "random_bits" in drawn.dot(depth=9, show=("random",)).source


def test_rules_speak_in_the_names_of_the_boxes_and_write_both_halves_of_broadcasting() -> None:
    graph, _, _ = norm()
    source = graph.dot(depth=9, passes="both").source
    for rule in ("g / (2·std)", "broadcast(g)", "sum(-g, axis=0)", "g·2·centred"):
        assert f'" {rule} "' in source
    assert "broadcast(g / 3)" in graph.dot(depth=2, passes="both").source  # of the closed mean
    for sign in ("solid: a value", "g: the ∂", "dashed: what a rule", "grey: no gradient"):
        assert sign in source


def test_a_formula_is_evaluated_on_the_values_that_were_recorded() -> None:
    graph, _, _ = norm()
    for name in ("mean", "centred", "var", "std", "inv_std", "x_hat", "scaled", "y"):
        formula = graph.definition(name)
        assert formula is not None
        np.testing.assert_array_equal(host(formula.evaluate(graph.operands(name))), host(graph.node(name).value))
    rule = graph.expression("std")
    assert rule is not None
    env: Any = graph.operands("std")
    np.testing.assert_allclose(host(rule.evaluate(env)), host(graph.node("var_eps").grad), rtol=1e-12)


def test_tensors_stand_for_nodes_and_a_layer_s_bottleneck_is_no_route() -> None:
    graph, x, y = norm()
    cotangent = np.ones((3, 2))
    assert set(graph.routes(y, x, cotangent=cotangent)) >= {frozenset(), frozenset({"mean"}), frozenset({"var"})}
    through = graph.routes(y, x, cotangent=cotangent, through=["x_hat"])
    assert set(through) == {frozenset({"x_hat"})}
    assert graph.derivation(x).text == graph.derivation("x").text


def test_many_labels_default_to_the_layer_next_to_the_input() -> None:
    model = Sequential(*(BatchNorm1d(2, dtype="float64") for _ in range(4)))
    x = mg.tensor([[1.0, 2.0], [4.0, 3.0], [0.5, -1.0]], requires_grad=True)
    with mg.trace(model, form="textbook") as graph:
        y = (model(x) ** 3).sum()
    found = graph.routes(y, x)
    assert {label.rpartition("/")[2] for labels in found for label in labels} == {"mean", "var"}
    assert len({label for labels in found for label in labels}) == 2
    assert "not told apart" in repr(found)


def test_a_notebook_gets_a_picture_for_light_and_dark_pages() -> None:
    graph, _, _ = norm()
    shown = graph.view(depth=2, passes="both", form="textbook")._repr_mimebundle_()
    assert "prefers-color-scheme: dark" in shown["text/html"]
    assert shown["image/svg+xml"].startswith("<?xml")
    assert "image/svg+xml" in graph.dot()._repr_mimebundle_()
    with pytest.raises(mg.errors.ArgumentError, match="form: 'run', but this graph recorded"):
        graph.view(form="run")


def test_a_summary_is_a_table_in_a_notebook() -> None:
    found = mg.summary(Sequential(Linear(3, 4)), (1, 3))
    assert repr(found) == str(found)
    assert '<td style="text-align:left">0 Linear</td>' in found._repr_html_()
