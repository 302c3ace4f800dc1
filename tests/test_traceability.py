"""Every primitive runs on arrays without values, and says of its result's shape and dtype what the real run gives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import minigrad as mg


@pytest.fixture(autouse=True)
def _host() -> Iterator[None]:
    """A program is recorded without a device; here it runs on the host."""
    with mg.use_device("numpy"):
        yield


NEEDS_VALUES = {"gather": "the size of a selection by a boolean mask depends on the values"}


@pytest.mark.parametrize("name", sorted(mg.check.primitives()))
def test_declared_shapes_and_dtypes_are_those_of_the_run(name: str) -> None:
    op = mg.check.primitives()[name]
    rng = np.random.default_rng(5)
    seen = 0
    for k in range(40):
        args, params = mg.check.sample(op, rng)
        if name in NEEDS_VALUES and any(a.dtype == bool for a in args[1:]):
            continue
        dtype = "float64" if name == "eigh" else ("float64", "float32", "float16")[k % 3]
        args = tuple(a.astype(dtype) if a.dtype.kind == "f" else a for a in args)
        with np.errstate(all="ignore"):
            real = op.forward(np, *args, **params)
        recorded = mg.graph.program(lambda *xs: op(*xs, **params), *args)
        made = recorded.outputs
        for r, a in zip(real if isinstance(real, tuple) else (real,), made, strict=True):
            assert tuple(np.shape(r)) == a.shape, (name, [x.shape for x in args], params)
            assert np.asarray(r).dtype == a.dtype, (name, [x.dtype for x in args], params)
        seen += 1
    assert seen >= 10


def network(x: Any, w: Any, gamma: Any, beta: Any) -> Any:
    h = x @ w
    d, r, var, _ = mg.deviations(h, 0)
    scale = gamma * mg.rsqrt(var + 1e-5)
    h = mg.relu(d * scale + (beta - r * scale))
    return mg.mean(mg.log_softmax(h) ** 2)


def test_a_recorded_step_with_its_backward_pass_computes_what_the_real_one_does() -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(s).astype("float32") for s in ((8, 5), (5, 4), (4,), (4,))]

    def step(*xs: Any) -> Any:
        loss = network(*xs)
        return (loss, *mg.gradients(loss, xs[1:]))

    xs = [mg.tensor(a, requires_grad=True) for a in arrays]
    real = [t.numpy() for t in step(*xs)]
    recorded = mg.graph.program(step, *xs)
    assert not recorded.constants
    for a, b in zip(recorded.run(*arrays), real, strict=True):
        np.testing.assert_array_equal(a, b)


def test_second_order_is_recorded_too() -> None:
    f = mg.grad(mg.grad(lambda x: (mg.tanh(x) * x).sum()))
    x = np.array(0.3)

    def whole(x: Any) -> Any:
        (g,) = mg.gradients((mg.tanh(x) * x).sum(), [x], create_graph=True)
        (h,) = mg.gradients(g, [x])
        return h

    recorded = mg.graph.program(whole, mg.tensor(0.3, requires_grad=True))
    np.testing.assert_allclose(recorded.run(x)[0], f(0.3).numpy(), rtol=1e-15)


def test_what_needs_a_value_says_so() -> None:
    def branch(x: Any) -> Any:
        return x if (x.sum() > 0) else -x

    with pytest.raises(mg.errors.GraphError, match="without values"):
        mg.graph.program(branch, mg.ones(3))
