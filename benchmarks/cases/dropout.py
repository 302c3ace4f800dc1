"""Dropout, forward and backward: random words, a mask and two products."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.case import Case, Step, Target

DROP = 0.3
Shape = tuple[int, int]


def data(shape: Shape) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The input and the cotangent."""
    rng = np.random.default_rng(0)
    return rng.standard_normal(shape, dtype=np.float32), rng.random(shape, dtype=np.float32)


def torch_step(shape: Shape) -> Step:
    """PyTorch's F.dropout."""
    torch: Any = import_module("torch")
    x, g = map(torch.from_numpy, data(shape))
    x.requires_grad_()

    def step() -> object:
        torch.nn.functional.dropout(x, DROP).backward(g)
        out, x.grad = x.grad, None
        return out

    return step


def minigrad_step(shape: Shape) -> Step:
    """The layer, in training."""
    import minigrad as mg
    from minigrad_layers import Dropout

    a, g = map(mg.tensor, data(shape))
    x, model = mg.tensor(a, requires_grad=True), Dropout(DROP)

    def step() -> object:
        model(x).backward(g)
        out, x.grad = x.grad, None
        return out

    return step


def autograd_step(shape: Shape) -> Step:
    """HIPS autograd with NumPy's generator."""
    make_vjp: Any = import_module("autograd").make_vjp
    rng = np.random.default_rng(0)
    x, g = data(shape)

    def dropout(x: Any) -> Any:
        return x * ((rng.random(shape, dtype=np.float32) >= DROP) * np.float32(1 / (1 - DROP)))

    return lambda: make_vjp(dropout)(x)[0](g)


CASES = tuple(
    Case(
        f"dropout{shape[0]}",
        f"dropout 0.3 of {shape}, forward and backward",
        {
            "torch": partial(torch_step, shape),
            "minigrad": partial(minigrad_step, shape),
            "autograd": partial(autograd_step, shape),
        },
        exact=False,
        targets=(Target(0.25),),
    )
    for shape in ((256, 1024), (4096, 4096))
)
