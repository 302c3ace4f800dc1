"""Every layer that PyTorch has too does what PyTorch's does: values, gradients, state, names, repr, how it starts.

What PyTorch does stands in tests/data/peers (`tests/peers/make_golden.py` writes it), so no PyTorch is needed here.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import numpy as np
import pytest
from peers.rows import ROWS
from peers.table import GOLDEN, Row, flat, inputs, numbers, parameter, said

import minigrad as mg

each_row = pytest.mark.parametrize("row", ROWS, ids=[row.key for row in ROWS])


@cache
def golden() -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays, and what is said of each row."""
    said = json.loads((GOLDEN / "layers.json").read_text("utf-8"))
    return mg.load_tensors(GOLDEN / "layers.safetensors"), said["rows"]


def build(row: Row) -> mg.Module:
    args, named = row.arguments()
    return mg.layer(row.layer, *args, **named)


def tensors(given: Any) -> Any:
    if isinstance(given, (tuple, list)):
        return type(given)(map(tensors, given))
    return None if given is None else mg.tensor(given, requires_grad=given.dtype.kind == "f")


def close(ours: mg.Tensor, theirs: np.ndarray, tolerance: float, what: str) -> None:
    assert ours.shape == theirs.shape, what
    error = np.abs(ours.numpy() - theirs)
    assert (error <= tolerance * np.maximum(1.0, np.abs(theirs))).all(), f"{what}: off by {error.max()}"


@each_row
def test_values_gradients_and_state_are_pytorchs(row: Row) -> None:
    arrays, about = golden()
    told = about[row.key]
    layer = build(row).astype("float64")
    assert [name for name, _ in layer.named_parameters()] == told["parameters"]
    given = {name: parameter(name, tuple(told["state"][name][0])) for name in told["parameters"]}
    buffers = {name: array for name, array in layer.state_dict().items() if name not in given}
    layer.load_state_dict({**given, **buffers}, strict=True)
    for step, training in enumerate((True, True, False) if buffers else (row.training,)):
        layer.train(training).zero_grad()
        x = tensors(inputs(row, step))
        keywords = {k: v if isinstance(v, bool) else tensors(v) for k, v in said(row, step).items()}
        made = list(flat(layer(*x, **keywords)))
        pull = [mg.tensor(numbers(f"{row.key} step {step} g{k}", y.shape)) for k, y in enumerate(made)]
        sum((mg.sum(y * g) for y, g in zip(made, pull, strict=True)), start=mg.tensor(0.0)).backward()
        found = {f"y{k}": y for k, y in enumerate(made)}
        found |= {f"x{k}": t.grad for k, t in enumerate(t for t in flat(x) if t.requires_grad)}
        found |= {name: p.grad for name, p in layer.named_parameters()}
        found |= {f"after {name}": b for name, b in layer.named_buffers()}
        assert sorted(found) == sorted(
            name.partition(" | ")[2].partition(" ")[2] for name in arrays if name.startswith(f"{row.key} | {step} ")
        )
        for name, ours in found.items():
            if name.removeprefix("after ") in row.apart:
                continue
            close(ours, arrays[f"{row.key} | {step} {name}"], row.tolerance, f"step {step}, {name}")


@each_row
def test_a_state_dict_goes_to_and_comes_from_pytorch(row: Row) -> None:
    theirs = {name: np.zeros(shape, dtype) for name, (shape, dtype) in golden()[1][row.key]["state"].items()}
    layer = build(row)
    assert {name: array.shape for name, array in layer.state_dict().items()} == {k: v.shape for k, v in theirs.items()}
    assert list(layer.state_dict()) == list(theirs)
    layer.load_state_dict(theirs, strict=True)


@each_row
def test_the_repr_is_pytorchs(row: Row) -> None:
    if not row.same_repr:
        pytest.skip("has modules of its own")
    assert repr(build(row)) == golden()[1][row.key]["repr"]


@each_row
def test_parameters_start_as_pytorchs_do(row: Row) -> None:
    mg.random.seed(1)
    theirs = golden()[1][row.key]["starts"]
    fewest = min((p.size for p in build(row).parameters()), default=1)
    drawn: dict[str, list[np.ndarray]] = {name: [] for name in theirs}
    for _ in range(-(-1500 // fewest) if theirs else 0):
        for name, p in build(row).named_parameters():
            drawn[name].append(p.numpy().astype("float64").ravel())
    for name, (mean, std, least, most) in theirs.items():
        ours = np.concatenate(drawn[name])
        if std == 0:  # the same constant
            assert (ours == np.float32(mean)).all(), name
            continue
        assert abs(ours.mean() - mean) <= 0.15 * std, name
        assert abs(ours.std() / std - 1) <= 0.1, name
        tail = most > 2.5 * std  # normal; else even, with edges
        assert tail or ours.min() >= least - 0.02 * std, name
        assert tail or ours.max() <= most + 0.02 * std, name


@pytest.mark.nightly
def test_the_golden_files_are_what_pytorch_makes_now() -> None:
    pytest.importorskip("torch", reason="the extra `bench` brings PyTorch")
    from peers.make_golden import make

    arrays, about = golden()
    made, said = make()
    assert said.keys() == about.keys()
    assert made.keys() == arrays.keys()
    for key, row in said.items():
        assert {k: v for k, v in row.items() if k != "starts"} == {k: v for k, v in about[key].items() if k != "starts"}
    for name, array in made.items():
        np.testing.assert_allclose(array, arrays[name], rtol=1e-10, atol=1e-10, err_msg=name)
