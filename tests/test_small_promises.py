"""Branches that no table comes to: sizes of 0 and 1, big-endian machines, programs, formulas of unknown shape."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import minigrad as mg
import minigrad_layers
from minigrad.backend import get_backend
from minigrad.notation import symbol


def test_statistics_of_nothing_keep_their_shape() -> None:
    x = mg.zeros((3, 0))
    assert mg.sum(x, axis=1).tolist() == [0.0, 0.0, 0.0]
    assert mg.prod(x, axis=1).tolist() == [1.0, 1.0, 1.0]
    for f in (mg.mean, mg.var, mg.std):
        assert f(x, axis=0).shape == (0,)


def test_a_mask_that_is_all_there_is_to_gather_from(backend: str) -> None:
    x, mask = mg.zeros(3), mg.tensor([True, False, True])
    assert mg.scatter_add(x, mask, mg.tensor([1.0, 2.0])).tolist() == [1.0, 0.0, 2.0]
    with pytest.raises(TypeError, match=r"selection depends on the values.*where\(mask, x, 0\)"):
        mg.check.primitives()["gather"].infer(x, mask, spec=("array",))


def test_reductions_of_an_axis_of_one_are_a_copy() -> None:
    for f in (mg.max, mg.min, mg.sum):
        x = mg.tensor([[1.0], [2.0]])
        y = f(x, axis=1)
        assert y.tolist() == [1.0, 2.0]
        assert not np.shares_memory(y.numpy(), x.numpy())


def test_words_are_little_endian_on_every_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that is big-endian turns them around; on this one that changes nothing."""
    numpy = get_backend("numpy")
    here = [numpy.random_bits((1, 2), (0, 0, 0, 0), (5,), bits) for bits in (16, 32, 64)]
    monkeypatch.setattr(sys, "byteorder", "big")
    there = [numpy.random_bits((1, 2), (0, 0, 0, 0), (5,), bits) for bits in (16, 32, 64)]
    assert all(np.array_equal(a, b) for a, b in zip(here, there, strict=True))


@pytest.mark.parametrize("bits", [16, 32, 64])
def test_transfers_are_counted_in_words_for_people(bits: int) -> None:
    stand_in = get_backend("fakecupy")
    assert repr(stand_in.transfers).startswith("Transfers(to_host=")
    assert stand_in.random_bits((1, 2), (0, 0, 0, 0), (3,), bits).dtype == f"u{bits // 8}"


def test_symbols_of_products_comparisons_and_indices() -> None:
    a, b = symbol("a", (2, 3)), symbol("b", (3, 2))
    assert (a @ b).shape == (2, 2)
    assert symbol("c").__rmatmul__(2.0).text() == "2 @ c"
    for index in (True, (..., ...), np.array([0])):
        assert a[index].shape is None
    assert (a * np.array(2.5)).text() == "a·2.5"


def test_remat_in_a_program_without_values() -> None:
    """A recording has no values, so nothing can be compared between the two runs."""
    layer = mg.layer("Linear", 3, 2)
    f = mg.remat(lambda x: mg.tanh(layer(x)).sum())
    program = mg.graph.program(mg.grad(f), mg.ones((4, 3), dtype="float32"))
    assert [step.op.name for step in program.steps].count("tanh") == 2
    with pytest.raises(mg.errors.GraphError, match=r"run: the program has 3 inputs, 2 of them state .*, 0 arrays"):
        program.run()
    assert repr(program.inputs[0]) == "<v0: float32[4, 3], no values>"


@pytest.mark.parametrize(
    ("dtype", "answer"), [("float16", "float32"), ("float32", "float32"), ("float64", "float64"), ("int64", "float64")]
)
def test_a_layer_promotes_its_input_as_numpy_does(dtype: str, answer: str) -> None:
    """docs/decisions/0003-dtypes.md: data of another dtype than the model's."""
    layer = minigrad_layers.Linear(3, 2)
    y = layer(mg.ones((4, 3), dtype=dtype))
    assert y.dtype == answer
    y.sum().backward()
    assert {p.grad.dtype for p in layer.parameters()} == {np.dtype("float32")}
