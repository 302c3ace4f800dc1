"""A step of an optimiser alone: over eight small tensors it costs calls, over two large ones memory."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.case import Case, Step

Shapes = tuple[tuple[int, ...], ...]
SMALL: Shapes = ((16, 16), (16,)) * 4
LARGE: Shapes = ((1024, 1024), (1024,)) * 2


def data(shapes: Shapes) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Each parameter with its gradient, which stays the same."""
    rng = np.random.default_rng(0)
    return [(rng.standard_normal(s, dtype=np.float32), rng.standard_normal(s, dtype=np.float32)) for s in shapes]


def torch_step(shapes: Shapes, name: str, options: dict[str, Any]) -> Step:
    """PyTorch's, as it comes."""
    torch: Any = import_module("torch")
    params = []
    for p, g in data(shapes):
        params.append(torch.nn.Parameter(torch.from_numpy(p)))
        params[-1].grad = torch.from_numpy(g)
    optimizer = getattr(torch.optim, name)(params, lr=1e-3, **options)

    def step() -> object:
        optimizer.step()
        return params[0].detach()

    return step


def minigrad_step(shapes: Shapes, name: str, options: dict[str, Any]) -> Step:
    """The same options."""
    import minigrad as mg

    params = []
    for p, g in data(shapes):
        params.append(mg.Parameter(mg.tensor(p)))
        params[-1].grad = mg.tensor(g)
    optimizer = getattr(mg.optim, name)(params, lr=1e-3, **options)

    def step() -> object:
        optimizer.step()
        return params[0].detach()

    return step


CASES = tuple(
    Case(
        f"{name.lower()}{size}",
        f"a step of {name} over {about}",
        {
            "torch": partial(torch_step, shapes, name, options),
            "minigrad": partial(minigrad_step, shapes, name, options),
        },
        exact=False,  # peers make different numbers of steps
    )
    for name, options in (("Adam", {}), ("AdamW", {}), ("SGD", {"momentum": 0.9}))
    for size, shapes, about in (("8", SMALL, "eight small tensors"), ("2m", LARGE, "2.1 million elements"))
)
