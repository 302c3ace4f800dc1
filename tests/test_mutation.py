"""Whoever writes into an array that a graph can reach is refused, or does no harm: X1, X2.

Whether these checks see anything is checked too: each way of sharing an array that the engine closes is opened again by
hand, and the same check must then find wrong gradients.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sabotage import (
    SHAPE,
    SURFACES,
    Case,
    raw,
    scribble,
    with_rebinding_in_place,
    with_writable_data,
    without_copies,
)
from tables import examples

import minigrad as mg
from minigrad_layers import BatchNorm1d, Linear, ReLU, Sequential


def gradients_of(name: str, sabotage: bool) -> list[Any]:
    """First and second order of one entry, with or without writing into all arrays whenever it could matter."""
    write = scribble if sabotage else len
    c = Case(zlib.crc32(name.encode()), write)
    y = SURFACES[name](c)
    assert c.arrays or "hook" in name, "an entry that reaches nothing"
    write(c.arrays)
    cotangent = raw(np.linspace(0.5, 1.5, y.size).reshape(y.shape))
    (first,) = mg.gradients(y, [c.x], cotangent=cotangent, create_graph=True)
    write([*c.arrays, cotangent, first.data])
    found = [first.numpy()]
    if first.requires_grad:
        (second,) = mg.gradients(mg.sum(first * first), [c.x], retain_graph=True, allow_unused=True)
        found += [] if second is None else [second.numpy()]
    write([*c.arrays, cotangent, first.data])
    cotangent = raw(np.linspace(0.5, 1.5, y.size).reshape(y.shape))
    y.backward(cotangent)
    write([cotangent, *c.arrays])
    return [*found, c.x.grad.numpy()]


def harmed(name: str) -> bool:
    """Whether writing changes a gradient."""
    right, found = gradients_of(name, sabotage=False), gradients_of(name, sabotage=True)
    return not all(np.array_equal(a, b) for a, b in zip(right, found, strict=True))


@pytest.fixture(autouse=True)
def _frozen_arrays(backend: str) -> None:
    if backend == "cupy":
        pytest.skip("CuPy has no read-only flag; the stand-in, fakecupy, enforces what is documented")


@pytest.mark.parametrize("name", SURFACES)
def test_writing_is_refused_or_harmless(name: str) -> None:
    """X1, as a table."""
    assert not harmed(name)


def test_functions_that_pull_back_keep_their_arguments() -> None:
    """X1: what vjp was given may be written before the pull."""
    a, u = raw([1.0, 2.0]), raw([3.0, 4.0])
    _, pull = mg.vjp(lambda x: x * x * x, a)
    scribble([a])
    (first,) = pull(u)
    scribble([u, first.data])
    np.testing.assert_array_equal(first.numpy(), [9.0, 48.0])


# ---- X1, X2 at random


class Leaf:
    """A leaf and its twin: where the leaf is rebound, the twin is another leaf from then on, so nothing is shared."""

    def __init__(self, values: Any) -> None:
        self.tensor = mg.tensor(values, requires_grad=True)
        self.twins = [mg.tensor(values, requires_grad=True)]

    def moved(self) -> None:
        self.twins.append(mg.tensor(self.tensor.numpy().copy(), requires_grad=True))

    def right(self) -> Any:
        return np.sum([np.zeros(SHAPE), *(t.grad.numpy() for t in self.twins if t.grad is not None)], axis=0)


BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda a, b: a + b,
    "multiply": lambda a, b: mg.tanh(a) * b,
    "divide": lambda a, b: a / (2.0 + mg.square(b)) if isinstance(b, mg.Tensor) else a / b,
    "subtract": lambda a, b: mg.subtract(b, a),
    "matmul": lambda a, b: mg.tanh(a @ mg.permute_dims(a, (1, 0)) @ b) if isinstance(b, mg.Tensor) else mg.tanh(a) * b,
    "maximum": mg.maximum,
    "concat": lambda a, b: mg.concat([a, b])[1:4],
}


class Machine:
    """A random program on leaves, with the user's arrays in it; its twin runs on copies that nobody else has."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.leaves = [Leaf(self.numbers()) for _ in range(3)]
        self.mine: list[Any] = [leaf.tensor for leaf in self.leaves]
        self.twins: list[Any] = [leaf.twins[0] for leaf in self.leaves]
        self.arrays: list[Any] = []
        kind = ("SGD", "Adam")[int(self.rng.integers(2))]
        self.optimizer = getattr(mg.optim, kind)([leaf.tensor for leaf in self.leaves], lr=0.5)
        self.pending: list[tuple[Any, Any]] = []

    def numbers(self) -> Any:
        return self.rng.uniform(0.5, 1.5, SHAPE)

    def user(self, values: Any) -> Any:
        """One more array that will be written into."""
        self.arrays.append(raw(values))
        return self.arrays[-1]

    def pick(self) -> int:
        return int(self.rng.integers(len(self.mine)))

    def keep(self, mine: Any, twin: Any) -> None:
        self.mine.append(mine)
        self.twins.append(twin)
        if self.rng.random() < 0.5:
            self.arrays.append(mine.data)

    def operate(self) -> None:
        i, j, values = self.pick(), self.pick(), self.numbers()
        f = list(BINARY.values())[int(self.rng.integers(len(BINARY)))]
        if self.rng.random() < 0.5:
            a = self.user(values)
            self.keep(f(self.mine[i], a), f(self.twins[i], raw(values)))
        else:
            self.keep(f(self.mine[i], self.mine[j]), f(self.twins[i], self.twins[j]))

    def select(self) -> None:
        i, index, mask = self.pick(), self.rng.integers(0, 3, 3), self.rng.random(SHAPE) < 0.5
        values = self.numbers()
        a, m, v = self.user(index), self.user(mask), self.user(values)
        x, t = self.mine[i], self.twins[i]
        self.keep(mg.where(m, x[a], v), mg.where(raw(mask), t[raw(index)], raw(values)))

    def write(self) -> None:
        scribble(self.arrays)

    def rebind(self) -> None:
        k = int(self.rng.integers(3))
        leaf = self.leaves[k]
        leaf.tensor.data = self.user(self.numbers())
        self._follow(k)

    def step(self) -> None:
        self.optimizer.step()
        for k in range(3):
            self._follow(k)

    def _follow(self, k: int) -> None:
        """From here on the program sees the new values, in the leaf as in its twin."""
        self.leaves[k].moved()
        self.mine.append(self.leaves[k].tensor)
        self.twins[:] = [self.leaves[k].twins[-1] if m is self.leaves[k].tensor else t
                         for m, t in zip(self.mine, [*self.twins, None], strict=True)]  # fmt: skip

    def finish(self) -> None:
        """A result whose backward comes later."""
        i, j = self.pick(), self.pick()
        self.pending.append((self.mine[i] * self.mine[j], self.twins[i] * self.twins[j]))

    def backward(self) -> None:
        for mine, twin in self.pending:
            if mine.requires_grad:
                values = self.numbers()
                mine.backward(self.user(values), retain_graph=True)
                twin.backward(mg.tensor(values), retain_graph=True)
        self.arrays.extend(leaf.tensor.grad.data for leaf in self.leaves if leaf.tensor.grad is not None)

    def run(self) -> bool:
        """Whether all gradients are right in the end."""
        actions = [self.operate] * 5 + [self.select] * 2 + [self.write, self.rebind, self.step, self.finish]
        actions += [self.finish, self.backward]
        for _ in range(20):
            actions[int(self.rng.integers(len(actions)))]()
        for last in (self.finish, self.write, self.backward, self.write, self.step, self.backward, self.write):
            last()
        with np.errstate(all="ignore"):
            return all(
                np.allclose(g.numpy() if (g := leaf.tensor.grad) is not None else 0.0, leaf.right(), 1e-12, 1e-12)
                for leaf in self.leaves
            )


def wrong(seeds: range) -> list[int]:
    return [seed for seed in seeds if not Machine(seed).run()]


def test_random_programs_with_sabotage() -> None:
    """X1, X2: 200 programs in CI."""
    assert wrong(range(examples(200))) == []


# ---- X2: steps and rebinding between forward and backward

OPTIMISERS: dict[str, tuple[str, dict[str, Any]]] = {
    **{name: (name, {}) for name in mg.optim.__all__ if isinstance(getattr(mg.optim, name), type)},
    "momentum": ("SGD", {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    "weight decay": ("Adam", {"weight_decay": 0.1}),
}
del OPTIMISERS["Optimizer"]


class Scaled(mg.Module):
    """Times a buffer, which the graph then holds."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = mg.Buffer(np.linspace(0.5, 1.5, 8))

    def forward(self, x: Any) -> Any:
        return x * self.scale


def networks() -> tuple[Any, Any]:
    mg.random.seed(3)
    judge = Sequential(Linear(4, 8), Scaled(), BatchNorm1d(8), ReLU(), Linear(8, 1))
    return Linear(3, 4, dtype="float64"), judge.astype("float64").eval()  # so that its graph uses the buffers


def stepping(name: str) -> Callable[[Any], None]:
    kind, options = OPTIMISERS[name]

    def change(judge: Any) -> None:
        optimizer = getattr(mg.optim, kind)(judge.parameters(), lr=0.5, **options)
        optimizer.step()
        optimizer.step()

    return change


def new_data(judge: Any) -> None:
    for p in judge.parameters():
        p.data = p.numpy() + 1.0


def assigned(judge: Any) -> None:
    for _, b in judge.named_buffers():
        b.assign(b + 1)


def loaded(judge: Any) -> None:
    judge.load_state_dict({name: a + 1 for name, a in judge.state_dict().items()})


def trained(judge: Any) -> None:
    judge.train()
    judge(mg.tensor(np.linspace(-1, 1, 20).reshape(5, 4)))


CHANGES: dict[str, Callable[[Any], None]] = {
    **{f"step of {name}": stepping(name) for name in OPTIMISERS},
    "x.data =": new_data,
    "Buffer.assign": assigned,
    "load_state_dict": loaded,
    "running statistics": trained,
}


def adversarial(change: Callable[[Any], None]) -> dict[str, Any]:
    """All gradients of the generator's loss, where the judge changed after it was computed: the GAN pattern."""
    maker, judge = networks()
    z = mg.tensor(np.linspace(-1, 1, 15).reshape(5, 3), requires_grad=True)
    made = mg.tanh(maker(z))
    mg.mean(mg.square(judge(made.detach()) - 1.0)).backward()
    loss = mg.mean(mg.square(judge(made)))
    change(judge)
    judge.zero_grad()
    loss.backward()
    tensors = {"z": z} | dict(maker.named_parameters()) | {f"judge.{k}": p for k, p in judge.named_parameters()}
    return {name: t.grad.numpy() for name, t in tensors.items()}


def changed(name: str) -> bool:
    right, found = adversarial(lambda judge: None), adversarial(CHANGES[name])
    return not all(np.array_equal(right[k], found[k]) for k in right)


@pytest.mark.parametrize("name", CHANGES)
def test_what_changes_between_forward_and_backward_does_not_matter(name: str) -> None:
    """X2."""
    assert not changed(name)


# ---- the checks are checked


@pytest.mark.parametrize(
    "name", ["multiply", "where", "keep", "getitem", "source on the device", "remat, the same value"]
)
def test_a_build_that_does_not_copy_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    without_copies(monkeypatch)
    assert harmed(name)


@pytest.mark.parametrize("name", [".data", "gradient", "module"])
def test_a_build_that_hands_out_its_arrays_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with_writable_data(monkeypatch)
    assert harmed(name)


@pytest.mark.parametrize("name", [name for name in CHANGES if name != "running statistics"])  # no graph holds those
def test_a_build_that_rebinds_in_place_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with_rebinding_in_place(monkeypatch)
    assert changed(name)


@pytest.mark.parametrize("fault", [without_copies, with_writable_data, with_rebinding_in_place])
def test_the_random_programs_find_each_of_them(fault: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fault(monkeypatch)
    assert len(wrong(range(20))) >= 3
