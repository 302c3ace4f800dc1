"""One training step of the red-wine network: where large matrix products, memory and the optimiser are the cost."""

from __future__ import annotations

import os
from importlib import import_module
from itertools import cycle, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.case import Case, Step, Target

BATCH, FEATURES, WIDTH, DEPTH, DROP = 256, 11, 1024, 3, 0.3
Array = NDArray[np.float32]


def batches() -> list[tuple[Array, Array]]:
    """Batches of the file that MINIGRAD_BENCH_WINE names (quality last; `;` or `,` between), or such numbers."""
    path = os.environ.get("MINIGRAD_BENCH_WINE")
    if path:
        with Path(path).open(encoding="utf-8") as file:
            separator = ";" if ";" in next(file, "") else ","
            table = np.loadtxt(file, delimiter=separator, dtype=np.float32, ndmin=2)
        if table.shape[1] != FEATURES + 1 or len(table) < BATCH:
            raise ValueError(
                f"{path} holds {table.shape} numbers; the benchmark takes {FEATURES + 1} columns and {BATCH} rows "
                "or more"
            )
        x, y = table[:, :-1], table[:, -1:]
        x = (x - x.mean(0)) / x.std(0)
    else:
        rng = np.random.default_rng(0)
        x = rng.standard_normal((6 * BATCH, FEATURES), dtype=np.float32)
        y = rng.integers(3, 9, (6 * BATCH, 1)).astype(np.float32)
    return [(x[i : i + BATCH], y[i : i + BATCH]) for i in range(0, len(x) - BATCH + 1, BATCH)]


def torch_step() -> Step:
    """PyTorch eager with its own BatchNorm1d, Dropout and Adam as they come."""
    torch: Any = import_module("torch")
    nn = torch.nn
    sizes = [FEATURES] + [WIDTH] * DEPTH
    blocks = [
        layer for i, o in pairwise(sizes) for layer in (nn.Linear(i, o), nn.ReLU(), nn.Dropout(DROP), nn.BatchNorm1d(o))
    ]
    model = nn.Sequential(*blocks, nn.Linear(WIDTH, 1))
    optimizer, loss_of = torch.optim.Adam(model.parameters(), lr=1e-3), nn.L1Loss()
    data = cycle([(torch.as_tensor(x), torch.as_tensor(y)) for x, y in batches()])

    def step() -> object:
        x, y = next(data)
        optimizer.zero_grad()
        loss = loss_of(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def minigrad_step() -> Step:
    """minigrad: the batch norm is the layer, which is composed of primitives."""
    import minigrad as mg
    from minigrad_layers import BatchNorm1d, Dropout, Linear, ReLU, Sequential

    sizes = [FEATURES] + [WIDTH] * DEPTH
    blocks = [layer for i, o in pairwise(sizes) for layer in (Linear(i, o), ReLU(), Dropout(DROP), BatchNorm1d(o))]
    model = Sequential(*blocks, Linear(WIDTH, 1))
    optimizer = mg.optim.Adam(model.parameters(), lr=1e-3)
    data = cycle([(mg.tensor(x), mg.tensor(y)) for x, y in batches()])

    def step() -> object:
        x, y = next(data)
        optimizer.zero_grad()
        loss = mg.losses.mae(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def autograd_step() -> Step:
    """HIPS autograd: layers and Adam (in place) written out, since it has none."""
    autograd: Any = import_module("autograd")
    anp: Any = import_module("autograd.numpy")
    rng = np.random.default_rng(0)
    sizes = [FEATURES] + [WIDTH] * DEPTH + [1]
    weights = [rng.standard_normal((i, o), dtype=np.float32) / np.float32(i**0.5) for i, o in pairwise(sizes)]
    biases = [np.zeros(o, np.float32) for o in sizes[1:]]
    scales = [np.ones(WIDTH, np.float32) for _ in range(DEPTH)]
    shifts = [np.zeros(WIDTH, np.float32) for _ in range(DEPTH)]
    parameters: list[Any] = weights + biases + scales + shifts
    moments = [(np.zeros_like(p), np.zeros_like(p)) for p in parameters]
    data = cycle(batches())

    def loss_of(p: list[Any], x: Any, y: Array) -> Any:
        w, b, scale, shift = p[: DEPTH + 1], p[DEPTH + 1 : 2 * DEPTH + 2], p[-2 * DEPTH : -DEPTH], p[-DEPTH:]
        for i in range(DEPTH):
            x = anp.maximum(x @ w[i] + b[i], np.float32(0))
            keep = rng.random(x.shape, dtype=np.float32) >= DROP
            x = x * (keep * np.float32(1 / (1 - DROP)))
            d = x - anp.mean(x, axis=0)
            x = d / anp.sqrt(anp.mean(d * d, axis=0) + np.float32(1e-5)) * scale[i] + shift[i]
        return anp.mean(anp.abs(x @ w[-1] + b[-1] - y))

    gradient = autograd.value_and_grad(loss_of)
    count = 0

    def step() -> object:
        nonlocal count
        count += 1
        loss, grads = gradient(parameters, *next(data))
        rate = 1e-3 * (1 - 0.999**count) ** 0.5 / (1 - 0.9**count)
        for p, g, (m, v) in zip(parameters, grads, moments, strict=True):
            m *= 0.9
            m += 0.1 * g
            v *= 0.999
            v += 0.001 * g * g
            p -= rate * m / (np.sqrt(v) + 1e-8)
        return loss

    return step


CASES = (
    Case(
        "wine",
        "training step 11-1024-1024-1024-1, batch 256: Linear ReLU Dropout 0.3 BatchNorm1d, MAE, Adam",
        {"torch": torch_step, "minigrad": minigrad_step, "autograd": autograd_step},
        exact=False,
        blas=("Haswell", "own"),
        targets=(Target(0.9, threads=(2,), blas=("Haswell",)), Target(0.65, threads=(2,), blas=("own",), wide=True)),
        peak=130,
    ),
)
