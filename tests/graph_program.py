"""A program whose drawings are kept as golden files; `python tests/graph_program.py` prints its DOT text."""

from __future__ import annotations

import numpy as np

import minigrad as mg

VIEWS = {
    "folded": {},
    "opened": {"depth": 9, "passes": "both", "show": ("shape", "dtype", "value", "formula")},
}


class Norm(mg.Module):
    """Batch norm written out, with its intermediates named."""

    def forward(self, x: mg.Tensor, gamma: mg.Tensor, beta: mg.Tensor) -> mg.Tensor:
        mean = mg.mean(x, axis=0).named("mean")
        var = mg.mean((x - mean) ** 2, axis=0).named("var")
        normalised = ((x - mean) / mg.sqrt(var + 1e-5)).named("normalised")
        return normalised * gamma + beta


class Net(mg.Module):
    """A layer in a layer, and a composite."""

    def __init__(self) -> None:
        self.norm = Norm()

    def forward(self, x: mg.Tensor, gamma: mg.Tensor, beta: mg.Tensor) -> mg.Tensor:
        return mg.relu(self.norm(x, gamma, beta))


def record() -> mg.Graph:
    """The trace of a batch norm, a relu and a loss, with the backward pass; all values are exact in binary."""
    x = mg.tensor(np.array([[1.0, 4.0], [3.0, 4.5], [5.0, 3.5]]), requires_grad=True, name="x")
    gamma = mg.tensor([1.0, 0.5], requires_grad=True, name="gamma")
    beta = mg.tensor([0.25, 0.0], requires_grad=True, name="beta")
    unused = mg.tensor([1.0], requires_grad=True, name="unused")
    net = Net()
    with mg.trace(net, sources=False) as graph:
        y = net(x, gamma, beta)
        loss = mg.sum(y * y).named("loss")
        loss.backward()
        unused * 2.0
    return graph


if __name__ == "__main__":
    for view in VIEWS.values():
        print(record().dot(**view).source)
