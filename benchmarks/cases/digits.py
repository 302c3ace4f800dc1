"""A training step of a small convolutional network on 8x8 digits: hard on an engine that has no kernel for it."""

from __future__ import annotations

from importlib import import_module
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.case import Case, Step, Target

BATCH, CLASSES, CHANNELS = 128, 10, (1, 16, 32)


def data() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """A batch of random pictures and labels: the time does not depend on what they show."""
    rng = np.random.default_rng(0)
    return rng.random((BATCH, 1, 8, 8), dtype=np.float32), rng.integers(0, CLASSES, BATCH)


def network(nn: Any) -> Any:
    """Conv 3x3, batch norm, ReLU and pooling, twice; then a linear layer. Both libraries spell it alike."""
    blocks = [
        layer
        for i, o in pairwise(CHANNELS)
        for layer in (nn.Conv2d(i, o, 3, padding=1), nn.BatchNorm2d(o), nn.ReLU(), nn.MaxPool2d(2))
    ]
    return nn.Sequential(*blocks, nn.Flatten(), nn.Linear(CHANNELS[-1] * 4, CLASSES))


def torch_step() -> Step:
    """PyTorch eager."""
    torch: Any = import_module("torch")
    model = network(torch.nn)
    x, y = map(torch.as_tensor, data())
    return training(model, x, y, torch.nn.functional.cross_entropy, torch.optim.Adam(model.parameters(), lr=1e-3))


def minigrad_step() -> Step:
    """minigrad: convolution is windows and a matrix product."""
    import minigrad as mg
    import minigrad_layers

    model = network(minigrad_layers)
    x, y = map(mg.tensor, data())
    return training(model, x, y, mg.losses.cross_entropy, mg.optim.Adam(model.parameters(), lr=1e-3))


def training(model: Any, x: Any, y: Any, loss_of: Any, optimizer: Any) -> Step:
    """A step of the loop that both libraries share."""

    def step() -> object:
        optimizer.zero_grad()
        loss = loss_of(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


CASES = (
    Case(
        "digits",
        "training step of Conv 1-16-32 BatchNorm2d ReLU MaxPool2d Linear on (128, 1, 8, 8), Adam",
        {"torch": torch_step, "minigrad": minigrad_step},
        exact=False,
        targets=(Target(2.0, threads=(2,)),),
    ),
)
