"""The quick paths of the engine give the bits of the plain engine, which is their definition.

`scripts/test --quick=off` runs all tests on the plain engine; here both run side by side.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from faults import found_by
from tables import OPS, cast, points, run
from test_programs import STEPS, evaluate, program

import minigrad as mg
import minigrad_layers
from minigrad.core import quick

LAYERS = [(name, sample) for name in minigrad_layers.__all__ for sample in mg.Sample.of(getattr(minigrad_layers, name))]
Results = list[np.ndarray[Any, Any] | None]


@contextmanager
def quickly() -> Iterator[None]:
    """The quick paths, whatever --quick says."""
    before = quick.on()
    quick.switch(True)
    try:
        yield
    finally:
        quick.switch(before)


def hosted(values: Any) -> Results:
    return [None if v is None else v.numpy() if isinstance(v, mg.Tensor) else np.asarray(v) for v in values]


def flat(value: Any) -> list[mg.Tensor]:
    """The tensors of a result, whatever holds them."""
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else None
    return [value] if parts is None else [t for part in parts for t in flat(part)]


def both(work: Callable[[], Any]) -> None:
    """`work` gives the same bits, dtypes and shapes, and None at the same places, on both engines."""
    with quickly():
        ours = hosted(work())
    with quick.off():
        plain = hosted(work())
    assert len(ours) == len(plain)
    for a, b in zip(ours, plain, strict=True):
        assert (a is None) == (b is None)
        if a is not None and b is not None:
            assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", sorted(OPS))
def test_a_primitive_gives_the_same_bits(name: str, dtype: str) -> None:
    """Forward and backward, with every input tracked."""
    op = OPS[name]
    for args, params in points(op, 6, seed=3):
        given = cast(args, [dtype if a.dtype.kind == "f" else str(a.dtype) for a in args])

        def work(given: Any = given, params: Any = params) -> Any:
            ys, gs = run(op, given, params)
            return [*ys, *gs]

        both(work)


@pytest.mark.parametrize("name", sorted(n for n, op in OPS.items() if op.differentiable))
def test_a_primitive_with_some_inputs_tracked_or_wanted_gives_the_same_bits(name: str) -> None:
    """What is kept and pulled depends on which inputs are tracked and which of them are asked for."""
    op = OPS[name]
    for args, params in points(op, 3, seed=4):
        floats = [k for k, a in enumerate(args) if a.dtype.kind == "f" and op.pull_for(k)[0] is not None]
        for tracked in [floats[:1], floats[-1:], floats]:
            for wanted in tracked:

                def work(args: Any = args, params: Any = params, tracked: Any = tracked, wanted: int = wanted) -> Any:
                    xs = [mg.tensor(a, requires_grad=k in tracked) for k, a in enumerate(args)]
                    out = op.call(*xs, **params)
                    ys = out if isinstance(out, tuple) else (out,)
                    y = sum((mg.sum(y * y) for y in ys if y.requires_grad), mg.tensor(0.0))
                    if not y.requires_grad:
                        return ys
                    once = mg.gradients(y, [xs[wanted]], create_graph=True, allow_unused=True)[0]
                    if once is None or not once.requires_grad:
                        return [once]
                    return [once, *mg.gradients(mg.sum(once * once), [xs[k] for k in tracked], allow_unused=True)]

                both(work)


@pytest.mark.parametrize("seed", range(40))
def test_a_random_program_gives_the_same_bits(seed: int) -> None:
    rng = np.random.default_rng(seed)
    steps = program(rng, STEPS, aliased=0.2)
    xs = rng.uniform(-1, 1, (2, 2, 3))

    def work() -> Any:
        leaves = [mg.tensor(x, requires_grad=True) for x in xs]
        y = evaluate(steps, *leaves)
        return [y.detach(), *mg.gradients(y, leaves, allow_unused=True)]

    both(work)


@pytest.mark.parametrize(("name", "sample"), LAYERS, ids=[f"{name}({sample})" for name, sample in LAYERS])
def test_a_layer_gives_the_same_bits(name: str, sample: mg.Sample) -> None:
    """A training step, in float32: results, gradients of inputs and parameters, running statistics."""

    def work() -> Any:
        mg.random.seed(7)
        rng = np.random.default_rng(5)
        layer = sample.build(getattr(minigrad_layers, name)).astype("float32")
        args, kwargs = sample.values(rng)
        for p in layer.parameters():
            p.data = rng.standard_normal(p.shape).astype("float32")
        inputs: list[mg.Tensor] = []

        def given(value: Any) -> Any:
            if isinstance(value, (list, tuple)):
                return type(value)(map(given, value))
            if not isinstance(value, np.ndarray):
                return value
            if value.dtype.kind != "f":
                return mg.tensor(value)
            inputs.append(mg.tensor(value, dtype="float32", requires_grad=True))
            return inputs[-1]

        ys = flat(layer(*given(args), **{k: given(v) for k, v in kwargs.items()}))
        total = sum((mg.sum(y * y) for y in ys if y.requires_grad), mg.tensor(0.0))
        if total.requires_grad:
            total.backward()
        made = [*(y.detach() for y in ys), *(x.grad for x in inputs)]
        return [*made, *(p.grad for p in layer.parameters()), *layer.state_dict().values()]

    both(work)


def test_a_quick_path_that_departs_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    op = OPS["tanh"]
    right = op.quick

    def wrong(node: Any, g: Any, *rest: Any) -> None:
        right(node, g * np.float32(1 + 2**-20), *rest)

    monkeypatch.setattr(op, "quick", wrong)
    found_by(lambda: test_a_primitive_gives_the_same_bits("tanh", "float32"))


def test_off_is_off() -> None:
    """No kernel is taken, and no quick pull runs."""
    x = mg.tensor([0.5, 1.0], requires_grad=True)
    with quick.off():
        assert not quick.on()
        mg.tanh(x * x).sum().backward()
        assert all(not table for table in quick.KERNELS.values())


@pytest.mark.parametrize(("said", "ends"), [("off", "False"), ("on", "True"), ("of", "neither 'on' nor 'off'")])
def test_the_environment_decides_at_import(said: str, ends: str) -> None:
    code = "from minigrad.core import quick; print(quick.on())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"MINIGRAD_QUICK": said},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout.strip() or done.stderr.strip()).endswith(ends)
