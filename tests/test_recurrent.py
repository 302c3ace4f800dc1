"""Recurrent layers: a sequence is its steps, norms inside the step are the paper's, what does not fit is said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad_layers import GRU, LSTM, RNN, Dropout, GRUCell, LSTMCell, RNNCell

PAIRS = [(RNN, RNNCell), (LSTM, LSTMCell), (GRU, GRUCell)]
each_pair = pytest.mark.parametrize(("layer", "cell"), PAIRS, ids=[a.__name__ for a, _ in PAIRS])


def of(layer: mg.Module, suffix: str) -> dict[str, np.ndarray]:
    """The state of one layer and direction, under the names of a cell."""
    state = {}
    for name, value in layer.state_dict().items():
        if suffix in name and suffix + "_" not in name:
            state[name.replace(suffix, "")] = value
    return state


@pytest.mark.parametrize("norm", [None, "layer"])
@each_pair
def test_a_sequence_is_its_steps(layer: Any, cell: Any, norm: str | None, rng: np.random.Generator) -> None:
    whole = layer(3, 4, bidirectional=True, norm=norm).astype("float64")
    for p in whole.parameters():
        p.data = rng.standard_normal(p.shape)
    x = mg.tensor(rng.standard_normal((5, 2, 3)))
    y, last = whole(x)
    for suffix, times, part in (("_l0", range(5), slice(0, 4)), ("_l0_reverse", range(4, -1, -1), slice(4, 8))):
        one = cell(3, 4, norm=norm).astype("float64")
        one.load_state_dict(of(whole, suffix))
        state: Any = None
        for k, t in enumerate(times):
            state = one(x[t], state, t=k)
            h = state[0] if isinstance(state, tuple) else state
            np.testing.assert_allclose(y[t, :, part].numpy(), h.numpy(), rtol=1e-12, atol=1e-14)
        ends = last if isinstance(last, tuple) else (last,)
        for end, s in zip(ends, state if isinstance(state, tuple) else (state,), strict=True):
            np.testing.assert_allclose(end[int(suffix != "_l0")].numpy(), s.numpy(), rtol=1e-12, atol=1e-14)


@each_pair
def test_layers_lie_on_top_of_each_other_and_batches_may_come_first(
    layer: Any, cell: Any, rng: np.random.Generator
) -> None:
    deep = layer(3, 4, num_layers=2).astype("float64")
    first, second = layer(3, 4).astype("float64"), layer(4, 4).astype("float64")
    first.load_state_dict(of_layer(deep, 0))
    second.load_state_dict(of_layer(deep, 1))
    x = mg.tensor(rng.standard_normal((5, 2, 3)))
    y = deep(x)[0].numpy()
    np.testing.assert_allclose(second(first(x)[0])[0].numpy(), y, rtol=1e-12)
    turned = layer(3, 4, num_layers=2, batch_first=True).astype("float64")
    turned.load_state_dict(deep.state_dict())
    np.testing.assert_array_equal(turned(mg.swapaxes(x, 0, 1))[0].numpy(), y.swapaxes(0, 1))


def of_layer(deep: mg.Module, k: int) -> dict[str, np.ndarray]:
    return {name.replace(f"_l{k}", "_l0"): v for name, v in deep.state_dict().items() if name.endswith(f"_l{k}")}


def normalized(a: np.ndarray) -> np.ndarray:
    return (a - a.mean(-1, keepdims=True)) / np.sqrt(a.var(-1, keepdims=True) + 1e-5)


def sigmoid(a: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-a))


def test_layer_norm_inside_is_the_papers(rng: np.random.Generator) -> None:
    x, h, c = rng.standard_normal((3, 2, 4))
    lstm, gru, rnn = (kind(4, 4, norm="layer").astype("float64") for kind in (LSTMCell, GRUCell, RNNCell))
    for cell in (lstm, gru, rnn):
        for p in cell.parameters():
            p.data = rng.standard_normal(p.shape)
    s = {k: v.astype("float64") for k, v in lstm.state_dict().items()}
    a = normalized(x @ s["weight_ih"].T) * s["norm.ih.0.weight"] + s["bias_ih"]
    a = a + normalized(h @ s["weight_hh"].T) * s["norm.hh.0.weight"] + s["bias_hh"]
    i, f, g, o = np.split(a, 4, -1)
    new = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    out = sigmoid(o) * np.tanh(normalized(new) * s["norm.c.weight"] + s["norm.c.bias"])
    found = lstm(mg.tensor(x), (mg.tensor(h), mg.tensor(c)))
    np.testing.assert_allclose(found[0].numpy(), out, rtol=1e-12)
    np.testing.assert_allclose(found[1].numpy(), new, rtol=1e-12)
    s = gru.state_dict()
    p, q = x @ s["weight_ih"].T, h @ s["weight_hh"].T
    p = np.concatenate([normalized(p[:, :8]) * s["norm.ih.0.weight"], normalized(p[:, 8:]) * s["norm.ih.1.weight"]], 1)
    q = np.concatenate([normalized(q[:, :8]) * s["norm.hh.0.weight"], normalized(q[:, 8:]) * s["norm.hh.1.weight"]], 1)
    p, q = p + s["bias_ih"], q + s["bias_hh"]
    r, z = sigmoid(p[:, :4] + q[:, :4]), sigmoid(p[:, 4:8] + q[:, 4:8])
    out = (1 - z) * np.tanh(p[:, 8:] + r * q[:, 8:]) + z * h
    np.testing.assert_allclose(gru(mg.tensor(x), mg.tensor(h)).numpy(), out, rtol=1e-12)
    s = rnn.state_dict()
    a = (
        normalized(x @ s["weight_ih"].T) * s["norm.ih.0.weight"]
        + normalized(h @ s["weight_hh"].T) * (s["norm.hh.0.weight"])
    )
    out = np.tanh(a + s["bias_ih"] + s["bias_hh"])
    np.testing.assert_allclose(rnn(mg.tensor(x), mg.tensor(h)).numpy(), out, rtol=1e-12)


def test_dropout_between_layers_is_a_child_module(rng: np.random.Generator) -> None:
    layer = LSTM(2, 3, num_layers=3, dropout=0.5).astype("float64")
    assert [name for name, m in layer.named_modules() if isinstance(m, Dropout)] == ["dropout"]
    assert not any("dropout" in name for name in layer.state_dict())
    x = mg.tensor(rng.standard_normal((4, 2, 2)))
    first, second = layer(x)[0].numpy(), layer(x)[0].numpy()
    assert np.abs(first - second).max() > 0
    layer.eval()
    np.testing.assert_array_equal(layer(x)[0].numpy(), layer(x)[0].numpy())
    without = LSTM(2, 3, num_layers=3).astype("float64")
    without.load_state_dict(layer.state_dict())
    np.testing.assert_array_equal(layer(x)[0].numpy(), without(x)[0].numpy())


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: RNN(2, 3, nonlinearity="sigmoid"), "nonlinearity='sigmoid'"),
        (lambda: LSTM(2, 3, dropout=0.5), "num_layers=1"),
        (lambda: LSTM(2, 3, proj_size=3), "proj_size=3"),
        (lambda: GRU(2, 3, norm="group"), "norm='group'.*'layer'"),
        (lambda: GRU(0, 3), "input_size=0"),
        (lambda: GRU(2, 3)(mg.ones((4, 1, 3))), r"\(4, 1, 3\).*input_size = 2"),
        (lambda: GRU(2, 3)(mg.ones((0, 1, 2))), "without a time"),
        (lambda: GRU(2, 3)(mg.ones((4, 1, 2)), mg.ones((1, 1, 2))), r"hx has shapes \(1, 1, 2\).*\(1, 1, 3\)"),
        (lambda: LSTM(2, 3)(mg.ones((4, 1, 2)), (mg.ones((1, 1, 3)),)), "hx has shapes"),
        (lambda: LSTMCell(2, 3)(mg.ones((4, 1, 2))), "LSTMCell: x has shape"),
        (lambda: LSTMCell(2, 3)(mg.ones((4, 2)), (mg.ones((4, 2)), mg.ones((4, 3)))), r"must be \(h, c\)"),
        (lambda: RNNCell(2, 3, nonlinearity="elu"), "nonlinearity='elu'"),
    ],
)
def test_errors_name_the_argument(call: Callable[[], Any], says: str) -> None:
    with pytest.raises(mg.errors.MinigradError, match=says):
        call()
