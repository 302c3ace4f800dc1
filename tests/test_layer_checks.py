"""Every registered layer passes the checks from its registration alone: nothing here names a layer.

Gradients to the third order against central differences and against themselves, in training and in evaluation, with
respect to the input and every parameter; every dtype; copies, and state that goes round.
"""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
from layer_table import IDS, ROWS, Row, build, with_state

import minigrad as mg
import minigrad_layers

each_row = pytest.mark.parametrize("row", ROWS, ids=IDS)
each_mode = pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])


def test_every_layer_says_how_to_try_it() -> None:
    listed = {name for name, info in mg.layers().items() if info.origin == "minigrad-layers"}
    assert listed == set(minigrad_layers.__all__) == {name for name, _, _ in ROWS}


@each_mode
@each_row
def test_gradients_to_order_3(row: Row, training: bool, rng: np.random.Generator) -> None:
    layer = build(row, rng).train(training)
    x = mg.tensor(rng.permutation(np.linspace(-2, 2, int(np.prod(row[2])))).reshape(row[2]))  # no ties, no kinks
    parameters = [p.detach() for p in layer.parameters()]

    def f(x: mg.Tensor, *parameters: mg.Tensor) -> mg.Tensor:
        return with_state(layer, parameters)(x)

    mg.check.gradients(f, x, *parameters, order=3, rtol=2e-5, atol=1e-7)
    mg.check.adjoint(f, x, *parameters, rtol=1e-11)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@each_mode
@each_row
def test_gradients_have_the_dtype_of_what_they_belong_to(
    row: Row, training: bool, dtype: str, rng: np.random.Generator
) -> None:
    found = []
    values, cotangent = rng.standard_normal(row[2]), None
    state = rng.bit_generator.state
    for kind in (dtype, "float64"):
        rng.bit_generator.state = state
        layer = build(row, rng, kind).train(training)
        if hasattr(layer, "generator"):
            layer.generator.state = (1, 2, 3)
        x = mg.tensor(values, dtype=kind, requires_grad=True)
        y = layer(x)
        cotangent = rng.standard_normal(y.shape) if cotangent is None else cotangent
        assert y.dtype == kind
        y.backward(mg.tensor(cotangent, dtype=kind))
        leaves = [x, *layer.parameters()]
        assert all(t.grad.dtype == kind and t.grad.shape == t.shape for t in leaves)
        found.append([t.grad.numpy().astype("float64") for t in leaves])
    bound = {"float16": 2e-2, "float32": 1e-4, "float64": 0}[dtype]
    for a, b in zip(*found, strict=True):
        assert np.abs(a - b).max() <= bound * max(1.0, np.abs(b).max())


@each_row
def test_no_input_is_changed_and_a_second_call_gives_the_same_in_evaluation(row: Row, rng: np.random.Generator) -> None:
    layer = build(row, rng).eval()
    x = mg.tensor(rng.standard_normal(row[2]))
    before = x.numpy()
    first = layer(x).numpy()
    np.testing.assert_array_equal(layer(x).numpy(), first)
    np.testing.assert_array_equal(x.numpy(), before)


@each_row
def test_copies_and_saved_state_compute_the_same(row: Row, rng: np.random.Generator) -> None:
    layer = build(row, rng)
    x = mg.tensor(rng.standard_normal(row[2]))
    layer(x)
    fresh = mg.layer(row[0], *row[1]).astype("float64")
    fresh.load_state_dict(layer.state_dict())
    for twin in (deepcopy(layer), fresh):
        for training in (True, False):
            for name, generator in twin.named_generators():
                generator.state = dict(layer.named_generators())[name].state
            a, b = deepcopy(layer).train(training)(x), deepcopy(twin).train(training)(x)
            np.testing.assert_array_equal(a.numpy(), b.numpy())


@each_mode
@each_row
def test_every_backend_gives_the_same(row: Row, training: bool, rng: np.random.Generator) -> None:
    layer = build(row, rng).train(training)
    x = rng.standard_normal(row[2])
    one, two = (deepcopy(layer).to(d)(mg.tensor(x, device=d)).numpy() for d in ("numpy", "fakecupy"))
    np.testing.assert_allclose(one, two, rtol=1e-12, atol=1e-12)


@each_row
def test_an_empty_batch_goes_through_in_evaluation(row: Row, rng: np.random.Generator) -> None:
    layer = build(row, rng).eval()
    shape = (0, *row[2][1:])
    if getattr(layer, "running_mean", 1) is None:
        pytest.skip("without running statistics a batch norm needs a batch")
    if row[0] == "Flatten" and row[1]:
        shape = row[2]
    y = layer(mg.zeros(shape))
    assert y.shape[0] == shape[0] or row[1]
