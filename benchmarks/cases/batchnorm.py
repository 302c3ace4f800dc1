"""Batch norm, forward and backward: minigrad's is composed of primitives, PyTorch's both composed and native."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.case import Case, Step, Target

SHAPE = (64, 64, 32, 32)
AXES = (0, 2, 3)
Array = NDArray[np.float32]


def data() -> tuple[Array, Array]:
    """The input and a cotangent that is not mean-free."""
    rng = np.random.default_rng(0)
    return rng.standard_normal(SHAPE, dtype=np.float32), rng.random(SHAPE, dtype=np.float32)


def torch_step(*, composed: bool) -> Step:
    """PyTorch: its BatchNorm2d, or the same out of means, products and rsqrt under its own autograd."""
    torch: Any = import_module("torch")
    x, g = map(torch.from_numpy, data())
    x.requires_grad_()
    model = torch.nn.BatchNorm2d(SHAPE[1])

    def composition(x: Any) -> Any:
        d = x - x.mean(AXES, keepdim=True)
        y = d * ((d * d).mean(AXES, keepdim=True) + model.eps).rsqrt()
        return y * model.weight.view(-1, 1, 1) + model.bias.view(-1, 1, 1)

    forward = composition if composed else model

    def step() -> object:
        forward(x).backward(g)
        out, x.grad, model.weight.grad, model.bias.grad = x.grad, None, None, None
        return out

    return step


def minigrad_step() -> Step:
    """minigrad's BatchNorm2d, running statistics and all."""
    import minigrad as mg
    from minigrad_layers import BatchNorm2d

    a, g = map(mg.tensor, data())
    x, model = mg.tensor(a, requires_grad=True), BatchNorm2d(SHAPE[1])

    def step() -> object:
        model(x).backward(g)
        out, x.grad = x.grad, None
        model.zero_grad()
        return out

    return step


def autograd_step() -> Step:
    """HIPS autograd: the composition in its own functions."""
    make_vjp: Any = import_module("autograd").make_vjp
    anp: Any = import_module("autograd.numpy")
    x, g = data()
    weight, bias = np.ones((SHAPE[1], 1, 1), np.float32), np.zeros((SHAPE[1], 1, 1), np.float32)

    def composition(x: Any, weight: Any, bias: Any) -> Any:
        d = x - anp.mean(x, axis=AXES, keepdims=True)
        return d / anp.sqrt(anp.mean(d * d, axis=AXES, keepdims=True) + np.float32(1e-5)) * weight + bias

    forward = make_vjp(composition, (0, 1, 2))
    return lambda: forward(x, weight, bias)[0](g)[0]


CASES = (
    Case(
        "batchnorm",
        "batch norm of (64, 64, 32, 32), forward and backward",
        {
            "torch": partial(torch_step, composed=False),
            "torch composed": partial(torch_step, composed=True),
            "minigrad": minigrad_step,
            "autograd": autograd_step,
        },
        kept=("torch", "torch composed", "minigrad"),
        targets=(Target(1.0, against="torch composed", threads=(1,)), Target(4.0, threads=(2,))),
    ),
)
