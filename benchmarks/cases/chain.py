"""What one small operation costs: the arrays are so short that all of the time is the engine's own."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.case import Case, Step, Target

OPS = 1000
Program = Callable[[Any, Any], Any]


def chain(x: Any, y: Any) -> Any:
    """Additions and multiplications in turn, every one of them tracked in both operands."""
    z = x
    for _ in range(OPS // 2):
        z = z + y
        z = z * y
    return z.sum()


def short(x: Any, y: Any) -> Any:
    """Three operations: a product, a sum and a reduction."""
    return (x * y + x).sum()


def operands(size: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Values just under 1, so that neither a product nor a sum of a thousand runs away."""
    rng = np.random.default_rng(0)
    return rng.uniform(0.9, 1, size).astype(np.float32), rng.uniform(0.99, 1, size).astype(np.float32)


def torch_step(program: Program, size: int) -> Step:
    """PyTorch eager."""
    torch: Any = import_module("torch")
    x, y = (torch.tensor(a, requires_grad=True) for a in operands(size))

    def step() -> object:
        program(x, y).backward()
        out, x.grad, y.grad = y.grad, None, None
        return out

    return step


def minigrad_step(program: Program, size: int) -> Step:
    """minigrad with every safety on."""
    import minigrad as mg

    x, y = (mg.tensor(a, requires_grad=True) for a in operands(size))

    def step() -> object:
        program(x, y).backward()
        out, x.grad, y.grad = y.grad, None, None
        return out

    return step


def deep_step(chains: int, length: int) -> Step:
    """So many chains of so many operations each, every one swept."""
    import minigrad as mg

    x = mg.tensor(operands(1)[0], requires_grad=True)

    def step() -> object:
        for _ in range(chains):
            y, x.grad = x, None
            for _ in range(length):
                y = y * 1.0
            y.sum().backward()
        return x.grad

    return step


def watched_step(program: Program, size: int, *, on: bool, sources: bool = True, lifted: bool = False) -> Step:
    """minigrad inside a trace, or after one that is over and that must cost nothing any more.

    `sources` notes the line of each operation; `lifted` records the backward pass as well, rule by rule.
    """
    import minigrad as mg

    step = recorded_step(program, size) if lifted else minigrad_step(program, size)

    def traced() -> object:
        with mg.trace(sources=sources):
            return step()

    traced()
    return traced if on else step


def recorded_step(program: Program, size: int) -> Step:
    """minigrad with the backward pass recorded, so that it can be differentiated again."""
    import minigrad as mg

    x, y = (mg.tensor(a, requires_grad=True) for a in operands(size))
    return lambda: mg.gradients(program(x, y), [x, y], create_graph=True)[1]


def autograd_step(program: Program, size: int) -> Step:
    """HIPS autograd, which has functions and no leaves."""
    autograd: Any = import_module("autograd")
    x, y = operands(size)
    gradient = autograd.grad(program, argnum=(0, 1))
    return lambda: gradient(x, y)[1]


def case(name: str, about: str, program: Program, size: int, per: int, targets: tuple[Target, ...]) -> Case:
    """One program over one length, for every peer."""
    return Case(
        name,
        about,
        {
            "torch": lambda: torch_step(program, size),
            "minigrad": lambda: minigrad_step(program, size),
            "autograd": lambda: autograd_step(program, size),
        },
        kept=("minigrad",),
        per=per,
        targets=targets,
    )


CASES = (
    case("chain", "one of 1,000 adds and muls over 16 float32, forward and backward", chain, 16, OPS, (Target(0.65),)),
    case("short", "z = (x*y + x).sum(); z.backward() over 4 float32", short, 4, 1, ()),
    Case(
        "trace",
        "the operations of chain before, after and inside a trace, and with the backward pass recorded",
        {
            "minigrad": lambda: minigrad_step(chain, 16),
            "after a trace": lambda: watched_step(chain, 16, on=False),
            "without lines": lambda: watched_step(chain, 16, on=True, sources=False),
            "traced": lambda: watched_step(chain, 16, on=True),
            "recorded": lambda: recorded_step(chain, 16),
            "recorded, traced": lambda: watched_step(chain, 16, on=True, lifted=True),
        },
        kept=(),
        per=OPS,
        targets=(Target(1.1, against="minigrad", peer="after a trace"),),
    ),
    Case(
        "depth",
        "100,000 operations as chains of 1,000 and as one chain",
        {"minigrad": lambda: deep_step(100, OPS), "one chain": lambda: deep_step(1, 100 * OPS)},
        kept=(),
        per=100 * OPS,
        targets=(Target(1.5, against="minigrad", peer="one chain"),),
    ),
)
