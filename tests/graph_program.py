"""A program whose drawings are kept as golden files; `python tests/graph_program.py` prints its DOT text."""

from __future__ import annotations

import numpy as np

import minigrad as mg
from minigrad.core import scope

VIEWS = {
    "folded": {},
    "opened": {"depth": 9, "passes": "both", "show": ("shape", "dtype", "value", "formula")},
}


def batch_norm(x: mg.Tensor, gamma: mg.Tensor, beta: mg.Tensor) -> mg.Tensor:
    """Batch norm written out, with its intermediates named."""
    with scope("layer", "norm", None):
        mean = mg.mean(x, axis=0).named("mean")
        var = mg.mean((x - mean) ** 2, axis=0).named("var")
        normalised = ((x - mean) / mg.sqrt(var + 1e-5)).named("normalised")
        return normalised * gamma + beta


def record() -> mg.Graph:
    """The trace of a batch norm, a relu and a loss, with the backward pass; all values are exact in binary."""
    x = mg.tensor(np.array([[1.0, 4.0], [3.0, 4.5], [5.0, 3.5]]), requires_grad=True, name="x")
    gamma = mg.tensor([1.0, 0.5], requires_grad=True, name="gamma")
    beta = mg.tensor([0.25, 0.0], requires_grad=True, name="beta")
    unused = mg.tensor([1.0], requires_grad=True, name="unused")
    with mg.trace(sources=False) as graph:
        with scope("layer", "net", None):
            y = mg.relu(batch_norm(x, gamma, beta))
        loss = mg.sum(y * y).named("loss")
        loss.backward()
        unused * 2.0
    return graph


if __name__ == "__main__":
    for view in VIEWS.values():
        print(record().dot(**view).source)
