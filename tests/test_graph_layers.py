"""What a trace and its drawings say of real layers: parameters, state, random draws, optimiser steps, folding."""

from __future__ import annotations

from collections import Counter

import dotparse
import numpy as np
import pytest

import minigrad as mg
from minigrad_layers import BatchNorm1d, Dropout, Linear, ReLU, Sequential


def step(model: mg.Module, steps: int = 1) -> mg.Graph:
    rng = np.random.default_rng(0)
    x = mg.tensor(rng.normal(size=(6, 3)), dtype="float32", name="x")
    labels = mg.tensor([0, 1, 1, 0, 1, 0], name="labels")
    optimizer = mg.optim.SGD(model.parameters(), lr=0.1)
    with mg.trace(model) as graph:
        for _ in range(steps):
            optimizer.zero_grad()
            mg.losses.cross_entropy(model(x), labels).named("loss").backward()
            optimizer.step()
    return graph


def network() -> mg.Module:
    return Sequential(Linear(3, 4), BatchNorm1d(4), ReLU(), Dropout(0.25), Linear(4, 2))


def boxes(graph: mg.Graph, **view: object) -> dict[str, str]:
    dot = dotparse.parse(graph.dot(**view).source)
    return {name: dotparse.plain(attributes["label"]) for name, attributes in dot.nodes.items()}


def test_parameters_and_state_go_by_their_dotted_names():
    graph = step(network())
    kinds = {n.name: n.kind for n in graph.nodes if n.kind in ("parameter", "buffer", "input")}
    assert {k for k, v in kinds.items() if v == "parameter"} == {
        f"{layer}.{part}" for layer in (0, 1, 4) for part in ("weight", "bias")
    }
    assert {k for k, v in kinds.items() if v == "buffer"} == {
        f"1.{name}" for name in ("running_mean", "running_var", "num_batches_tracked")
    }
    assert {graph.node(k).label for k, v in kinds.items() if v == "input"} == {"x", "labels"}


def test_updates_and_random_draws_are_nodes():
    graph = step(network())
    updates = [n.name for n in graph.nodes if n.kind == "update"]
    assert len(updates) == 3 + 6
    assert "1.running_mean.update_1" in updates
    assert graph.node("4.weight.update_1").scope == "Sequential/4"
    (draw,) = (n for n in graph.nodes if n.kind == "random")
    assert (draw.op, draw.scope) == ("random_bits", "Sequential/3/drop/mask")
    assert all(graph.node(name or "").scope == "Sequential/3/drop/mask" for name in draw.inputs)


def test_at_depth_1_layers_are_boxes():
    found = boxes(step(network()))
    assert {*found} == {"input_1", "input_2", *(f"Sequential/{k}" for k in range(5)), "cross_entropy"}
    assert found["Sequential/0"].startswith("0: Linear(3, 4)")
    assert "16 parameters" in found["Sequential/0"]
    assert found["Sequential/1"].startswith("1: BatchNorm1d(4)")
    assert "5 state updates" in found["Sequential/1"]
    assert found["cross_entropy"].startswith("losscross_entropy")


def test_at_depth_0_the_model_is_one_box():
    assert {*boxes(step(network()), depth=0)} == {"input_1", "input_2", "Sequential", "cross_entropy"}


def test_gradients_of_a_folded_layer_are_those_of_its_parameters():
    text = boxes(step(network()), passes="both")["Sequential/4 grad"]
    assert "∂ weight" in text
    assert "∂ bias" in text


def test_a_batch_norm_opens_into_primitives():
    found = boxes(step(network()), depth=9, show=("formula",))
    inside = Counter(name.rpartition("/")[2].rpartition("_")[0] for name in found if name.startswith("Sequential/1/"))
    assert {"rsqrt", "sum", "sum_of_squares", "subtract", "multiply", "add"} <= inside.keys()
    assert "var + 1e-5" in found["Sequential/1/normalize/add_2"]


def test_two_steps_each_have_their_own_gradients():
    graph = step(network(), steps=2)
    first, second = graph.node("4.weight"), graph.node("4.weight.update_1")
    assert [c.sweep for c in first.cotangents] == [1]
    assert [c.sweep for c in second.cotangents] == [2]
    assert "Sequential_2/4" in graph.scopes
    graph.dot(depth=9, passes="both")


@pytest.mark.parametrize("given", [True, False])
def test_a_model_need_not_be_given(given: bool):
    model = network()
    with mg.trace(model if given else None) as graph:
        model(mg.ones((2, 3)))
    names = {n.name for n in graph.nodes if n.kind == "parameter"}
    prefix = "" if given else "Sequential."
    assert f"{prefix}0.weight" in names


def test_tracing_changes_no_bit_of_a_training_run():
    def train(traced: bool) -> list[bytes]:
        mg.random.seed(3)
        model = network()
        if traced:
            step(model, 3)
        else:
            rng = np.random.default_rng(0)
            x = mg.tensor(rng.normal(size=(6, 3)), dtype="float32")
            labels = mg.tensor([0, 1, 1, 0, 1, 0])
            optimizer = mg.optim.SGD(model.parameters(), lr=0.1)
            for _ in range(3):
                optimizer.zero_grad()
                mg.losses.cross_entropy(model(x), labels).backward()
                optimizer.step()
        return [a.tobytes() for a in model.state_dict().values()]

    assert train(True) == train(False)
