"""Everything through which an array of a graph can be reached, as a table, and three builds without the rule.

`SURFACES` is what the tests of X1 run over; the faults open again what the engine closes, so that the tests are tested.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.backend import get_backend
from minigrad.core import MODES
from minigrad_layers import BatchNorm1d, Linear

SHAPE = (3, 4)


def raw(values: Any) -> Any:
    """An array of the user's own, on the device in force."""
    return get_backend(MODES.get().device or "numpy").asarray(values)


def scribble(arrays: Any) -> int:
    """Write into each of the arrays, or be refused; returns how many were written."""
    written = 0
    for a in arrays:
        try:
            a[...] = ~a if a.dtype.kind == "b" else 0 if a.dtype.kind in "iu" else 7.25
        except ValueError:  # NumPy's "read-only", or FrozenError
            continue
        written += 1
    return written


# ---- X1 as a table: everything through which a graph is reached


class Case:
    """What one entry of the table works with: a tracked tensor, numbers to draw, and the arrays to write into."""

    def __init__(self, seed: int, write: Callable[[Any], int]) -> None:
        self.rng, self.write = np.random.default_rng(seed), write
        self.arrays: list[Any] = []
        self.x = mg.tensor(self.rng.uniform(0.5, 1.5, SHAPE), requires_grad=True)

    def own(self, values: Any) -> Any:
        self.arrays.append(raw(values))
        return self.arrays[-1]

    def floats(self, *shape: int) -> Any:
        return self.own(self.rng.uniform(0.5, 1.5, shape or SHAPE))

    def mask(self) -> Any:
        return self.own(self.rng.random(SHAPE) < 0.5)

    def indices(self, *values: int) -> Any:
        return self.own(np.array(values))

    def reach(self, *arrays: Any) -> None:
        self.arrays.extend(arrays)


def of_source(c: Case) -> Any:
    a = np.linspace(0.5, 1.5, 12).reshape(SHAPE)
    c.reach(a, a[1:], a.T)
    c.x = mg.tensor(a, requires_grad=True)
    return c.x * c.x


def of_device_source(c: Case) -> Any:
    c.x = mg.tensor(c.floats(), requires_grad=True)
    return mg.exp(c.x)


def of_parameter_source(c: Case) -> Any:
    c.x = mg.Parameter(c.floats())
    return c.x * c.x


def of_new_data(c: Case) -> Any:
    c.x.data = c.floats()
    return c.x * c.x


def of_views_before(c: Case) -> Any:
    a = c.rng.uniform(0.5, 1.5, (4, *SHAPE))
    c.reach(a, a[1], a[1, ::-1])
    c.x = mg.tensor(a[1], requires_grad=True)
    return c.x * mg.sin(c.x)


def of_data(c: Case) -> Any:
    y = mg.exp(c.x)
    z = mg.reshape(c.x, (4, 3))
    c.reach(c.x.data, y.data, z.data, y.data[1:], z.data.T)
    return y * y * mg.reshape(z * z, SHAPE)


def of_host_copies(c: Case) -> Any:
    y = mg.exp(c.x)
    c.reach(c.x.numpy(), y.numpy())
    if c.x.device == "numpy":
        c.reach(np.asarray(c.x), np.array(y), np.from_dlpack(y))
    return y * y


def of_buffer(c: Case) -> Any:
    buffer = mg.Buffer(c.floats())
    y = c.x * buffer
    buffer.assign(c.floats())
    return y * c.x * buffer


def of_gradient(c: Case) -> Any:
    mg.sum(c.x * c.x).backward()
    c.reach(c.x.grad.data)
    y = c.x * c.x.grad
    c.x.grad = c.floats()
    y = y * c.x.grad
    c.x.grad = None
    return y


def of_hooked_gradient(c: Case) -> Any:
    y = c.x * c.x

    def greedy(g: Any) -> None:
        c.write([g.data])

    y.register_hook(greedy)
    return y + y


def of_module(c: Case) -> Any:
    layer, norm = Linear(4, 3, dtype="float64"), BatchNorm1d(3, dtype="float64")
    state = {"weight": np.linspace(-1, 1, 12).reshape(3, 4), "bias": np.array([0.1, 0.2, 0.3])}
    layer.load_state_dict(state)
    y = norm(layer(c.x)) * raw(np.linspace(0, 1, 9).reshape(3, 3))
    c.reach(*state.values(), *layer.state_dict().values(), *norm.state_dict().values())
    c.reach(*(p.data for p in layer.parameters()), *(b.data for _, b in norm.named_buffers()))
    return y


def of_closure(c: Case) -> Any:
    factor = c.floats()
    return mg.remat(lambda x, k: mg.sin(x) * (k * 1.0) + mg.stop_gradient(x, why="a test") * 0)(c.x, factor)


def of_zero_times(c: Case) -> Any:
    """Where the value does not tell that something was changed."""
    return mg.remat(lambda x, k: (x - mg.stop_gradient(x, why="a zero")) * k)(c.x, c.floats())


SURFACES: dict[str, Callable[[Case], Any]] = {
    "source": of_source,
    "source on the device": of_device_source,
    "source of a parameter": of_parameter_source,
    "new data": of_new_data,
    "views taken before": of_views_before,
    ".data": of_data,
    ".numpy() and others": of_host_copies,
    "buffer": of_buffer,
    "gradient": of_gradient,
    "gradient in a hook": of_hooked_gradient,
    "module": of_module,
    "remat": of_closure,
    "remat, the same value": of_zero_times,
    "add": lambda c: (c.x + c.floats()) * c.floats(4),
    "multiply": lambda c: c.x * c.floats(),
    "reflected multiply": lambda c: (1.0 + c.x) * mg.multiply(c.floats(), c.x),
    "divide by": lambda c: c.x / c.floats(),
    "divide": lambda c: mg.divide(c.floats(), c.x),
    "power of": lambda c: c.x ** c.floats(),
    "power": lambda c: mg.power(c.floats(), c.x),
    "maximum": lambda c: mg.maximum(c.x, c.floats()) * mg.minimum(c.floats(), c.x),
    "clip": lambda c: mg.clip(c.x, c.floats() - 0.3, c.floats()),
    "hypot, atan2": lambda c: mg.hypot(c.x, c.floats()) + mg.atan2(c.floats(), c.x),
    "matmul": lambda c: mg.matmul(c.floats(2, 3), c.x @ c.floats(4, 5)),
    "einsum": lambda c: mg.einsum("ij,kj->ik", c.x, c.floats(2, 4)),
    "where": lambda c: mg.where(c.mask(), c.x * c.x, c.floats()),
    "keep": lambda c: mg.keep(c.x, c.mask()) * c.x,
    "getitem": lambda c: c.x[c.indices(2, 0, 2)] * c.x,
    "getitem, two arrays": lambda c: c.x[c.indices(2, 0, 2), c.indices(1, 1, 3)],
    "getitem, mask": lambda c: c.x[c.mask()],
    "take": lambda c: mg.take(c.x, c.indices(3, 3, 0), axis=1),
    "take_along_axis": lambda c: mg.take_along_axis(c.x, c.own(np.array([[3, 1], [2, 2], [0, 1]])), axis=1),
    "scatter_add": lambda c: mg.scatter_add(c.x, c.indices(2, 2, 1), c.x * c.floats()),
    "concat": lambda c: mg.square(mg.concat([c.x, c.floats()])),
    "convolution": lambda c: mg.conv1d(mg.reshape(c.x, (3, 1, 4)), c.floats(2, 1, 3), padding=1),
    "convolution of": lambda c: mg.conv1d(c.floats(2, 3, 9), mg.reshape(c.x, (4, 3, 1))),
    "cross entropy": lambda c: mg.losses.cross_entropy(c.x, c.indices(1, 3, 0), weight=c.floats(4)),
    "cross entropy, probabilities": lambda c: mg.losses.cross_entropy(c.x, c.floats()),
    "huber": lambda c: mg.losses.huber(c.x, c.floats()),
    "mse": lambda c: mg.losses.mse(c.x, c.floats()),
    "binary cross entropy": lambda c: mg.losses.binary_cross_entropy_with_logits(c.x, c.floats()),
}


# ---- builds without the rule


def bare(a: Any) -> Any:
    return a if isinstance(a, np.ndarray) else a._a


def thawed(a: Any) -> Any:
    """The array, writable again together with what it is a view of."""
    chain = [bare(a)]
    while isinstance(chain[-1].base, np.ndarray):
        chain.append(chain[-1].base)
    for link in reversed(chain):
        link.setflags(write=True)
    return a


def without_copies(patch: pytest.MonkeyPatch) -> None:
    backend = get_backend(MODES.get().device or "numpy")
    right = backend.asarray

    def shared(data: Any, dtype: Any = None, device: Any = None) -> Any:
        return data if isinstance(data, backend.array_type) else right(data, dtype, device)

    patch.setattr(backend, "copy", lambda a: a)
    patch.setattr(backend, "asarray", shared)
    for module in ("core.dispatch", "core.quick", "core.tensor", "transforms.recompute"):
        patch.setattr(
            import_module(f"minigrad.{module}"), "freeze", lambda a: np.asarray(a) if isinstance(a, np.generic) else a
        )


def with_writable_data(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(mg.Tensor, "data", property(lambda t: thawed(t._data), mg.Tensor.data.fset))


def with_rebinding_in_place(patch: pytest.MonkeyPatch) -> None:
    def in_place(target: Any, array: Any) -> None:
        thawed(target._data)[...] = array

    def together(targets: Any, before: Any = ()) -> None:
        for function, *given in before:
            function(*given)
        for target, array in targets:
            in_place(target, array)

    for module in ("core.tensor", "module.base", "module.loading", "module.tensors"):
        patch.setattr(import_module(f"minigrad.{module}"), "rebind", in_place)
    patch.setattr(import_module("minigrad.optim.base"), "rebind_together", together)
