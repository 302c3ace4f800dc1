"""The trace as data, over whole programs: what every node says, that it changes nothing, that it survives JSON."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dotparse
import numpy as np
import pytest

import minigrad as mg
from minigrad_layers import BatchNorm1d, BatchNorm2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Sequential

Made = tuple[mg.Module, list[mg.Tensor]]  # what a program ran, and what it left behind


def train(model: mg.Module, data: Any, labels: Any, steps: int) -> Made:
    """Training: random draws, running statistics, an optimiser with state of its own."""
    optimizer = mg.optim.Adam(model.parameters(), lr=1e-2)
    x, left = mg.tensor(data, dtype="float32", name="x"), []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = mg.losses.cross_entropy(model(x), mg.tensor(labels)).named("loss")  # the line of the model
        loss.backward()
        optimizer.step()
        left.append(loss)
    return model, [*left, *(mg.tensor(a) for a in model.state_dict().values())]


def mlp() -> Made:
    model = Sequential(Linear(4, 8), BatchNorm1d(8), ReLU(), Dropout(0.3), Linear(8, 2))
    return train(model, np.random.default_rng(0).normal(size=(6, 4)), [0, 1, 0, 1, 1, 0], 2)


def cnn() -> Made:
    model = Sequential(
        Conv2d(1, 3, 3, padding=1), BatchNorm2d(3), ReLU(), MaxPool2d(2), Flatten(), Linear(3 * 3 * 3, 4)
    )
    return train(model, np.random.default_rng(1).normal(size=(3, 1, 6, 6)), [0, 3, 1], 1)


@mg.composite
def swish_norm(x: mg.Tensor, w: mg.Tensor) -> mg.Tensor:
    s = (x * mg.sigmoid(x)).named("swish")
    return s / mg.linalg.norm(s, axis=-1, keepdims=True) * w


def ours() -> Made:
    """A composite of one's own, several outputs, an index, a program that runs again, a recorded backward pass."""
    rng = np.random.default_rng(2)
    x, w = (mg.tensor(rng.normal(size=s), requires_grad=True, name=n) for s, n in (((3, 4), "x"), ((4,), "w")))
    a, b = mg.split(swish_norm(x, w), 2, axis=1)
    y = (mg.remat(mg.tanh)(a) * b)[1:, 0].sum() + mg.where(x > 0, x, 0.1).max().named("largest")
    (dx,) = mg.gradients(y, [x], create_graph=True)
    (dx * dx).sum().backward()
    return mg.Module(), [y, dx, *(t.grad for t in (x, w) if t.grad is not None)]


def odd() -> Made:
    """Numbers and names that JSON has no word for."""
    edge = [np.nan, np.inf, -np.inf, -0.0, 5e-324, 1.7976931348623157e308, 0.1]
    x = mg.tensor(edge, requires_grad=True, name='\ud800 "\\\x00\n\u2028<b>💥')
    n = mg.tensor(np.array([2**63 - 1, -(2**63)]), name="")
    y = (x * 1.0).named("\x7f\x85")
    y.sum().backward()
    return mg.Module(), [y, n * 1, mg.tensor(np.float16([6e4, 6e-8])) * 1.0]


PROGRAMS: dict[str, Callable[[], Made]] = {f.__name__: f for f in (mlp, cnn, ours, odd)}
every = pytest.mark.parametrize("name", PROGRAMS)


def traced(name: str, **options: Any) -> tuple[mg.Graph, list[mg.Tensor]]:
    mg.random.seed(5)
    with mg.trace(**options) as graph:
        _, left = PROGRAMS[name]()
    return graph, left


def host(value: Any) -> Any:
    return mg.tensor(value).numpy()


@every
def test_every_node_says_what_it_is(name: str):
    graph, _ = traced(name)
    known = {n.name for n in graph.nodes}
    assert len(known) == len(graph.nodes)
    for n in graph.nodes:
        assert {*n.inputs} - {None} <= known
        assert n.scope == "" or n.scope in graph.scopes
        if n.kind in ("op", "random", "update"):
            assert (n.op is None) == (n.kind == "update")
            assert n.source is not None
            file, _, line = n.source.rpartition(":")
            assert file == __file__
            assert Path(file).read_text(encoding="utf-8").splitlines()[int(line) - 1].strip()
        if not isinstance(n.dtype, tuple) and n.dtype is not None:
            assert (host(n.value).shape, host(n.value).dtype) == (n.shape, n.dtype)
        assert n.kept == 0 or n.tracked
        for c in n.cotangents:  # the backward pass, paired with what ran forward
            assert (c.shape, c.dtype) == (n.shape, n.dtype)
            values = c.value if isinstance(c.value, tuple) else (c.value,)
            shapes = n.shape if isinstance(n.dtype, tuple) else (n.shape,)
            assert all(v is None or host(v).shape == s for v, s in zip(values, shapes, strict=True))


@every
@pytest.mark.parametrize("options", [{}, {"values": False}, {"sources": False}], ids=str)
def test_nothing_changes_by_a_bit(name: str, options: dict[str, bool]):
    mg.random.seed(5)
    _, expected = PROGRAMS[name]()
    _, found = traced(name, **options)
    assert [a.numpy().tobytes() for a in found] == [a.numpy().tobytes() for a in expected]


def same(a: Any, b: Any) -> bool:
    if isinstance(a, np.dtype) or not hasattr(a, "shape"):
        if isinstance(a, tuple) and isinstance(b, tuple):
            return len(a) == len(b) and all(map(same, a, b))
        return type(a) is type(b) and bool(a == b)
    a, b = host(a), host(b)
    return bool(a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f"))


FIELDS = ("name", "kind", "op", "scope", "inputs", "flows", "cut", "shape", "dtype", "value", "kept", "tracked",
          "label", "source", "names", "formula", "rules", "locals")  # fmt: skip


@every
def test_json_keeps_everything(name: str, tmp_path: Path):
    graph, _ = traced(name)
    graph.save(tmp_path / "graph.json")
    text = (tmp_path / "graph.json").read_bytes().decode()
    again = mg.Graph.from_json(text)
    assert again.to_json() == text == graph.to_json()
    assert dict(again.scopes) == dict(graph.scopes)
    assert again.edges == graph.edges
    for a, b in zip(graph.nodes, again.nodes, strict=True):
        assert all(same(getattr(a, f), getattr(b, f)) for f in FIELDS), a.name
        assert a.params.keys() == b.params.keys()
        assert all(same(a.params[k], b.params[k]) for k in a.params), a.name
        for c, d in zip(a.cotangents, b.cotangents, strict=True):
            assert all(same(getattr(c, f), getattr(d, f)) for f in ("sweep", "shape", "dtype", "value", "began"))
    for depth in (0, 1, 9):
        view = {"depth": depth, "passes": "both", "show": ("shape", "dtype", "value", "formula", "source", "bytes")}
        assert again.dot(**view).source == graph.dot(**view).source
    if name in ("mlp", "cnn"):
        one, two = (g.routes("loss", "x", through=["mean", "var"]) for g in (graph, again))
        assert list(one) == list(two)
        for k in one:  # what was read back lies on the host, which rounds in its own way
            np.testing.assert_allclose(two[k].numpy(), one[k].numpy(), rtol=1e-5, atol=1e-7)
    seen = [n.name for n in graph.nodes if n.cotangents]
    assert [again.derivation(n).text for n in seen[:40]] == [graph.derivation(n).text for n in seen[:40]]


def boxes(graph: mg.Graph, **view: Any) -> dict[str, str]:
    dot = dotparse.parse(graph.dot(**view).source)
    assert {end for a, b, _ in dot.edges for end in (a, b)} <= dot.nodes.keys()
    return {name: dotparse.plain(attributes["label"]) for name, attributes in dot.nodes.items()}


def test_state_and_draws_stand_where_they_happened():
    graph, left = traced("mlp")
    updates = [n for n in graph.nodes if n.kind == "update"]
    within = [n.scope for n in updates if "running" in n.name]
    calls = ["Sequential/1", "Sequential/1", "Sequential_2/1", "Sequential_2/1"]
    assert within == [f"{call}/running_statistics" for call in calls]  # each in its own call
    assert all(same(u.value, host(n)) for u, n in zip(updates[-6:], left[2:], strict=False) if u.shape == n.shape)
    draws = [n for n in graph.nodes if n.kind == "random" and "/mask" in n.scope]  # not of the initialisation
    assert ["/".join(n.scope.split("/")[:2]) for n in draws] == ["Sequential/3", "Sequential_2/3"]
    for draw in draws:  # the generator's key is the same for both calls, and each has one of its own in the drawing
        assert [(graph.node(i or "").label, graph.node(i or "").scope) for i in draw.inputs] == [
            ("key", draw.scope), ("counter", draw.scope),
        ]  # fmt: skip
    both = boxes(graph, passes="both", show=("bytes",))
    assert "∂ weight (2)" in both["Sequential/0 grad"]  # of the weight after the first step
    assert "3 state updates" in both["Sequential_2/1"]


def test_what_a_layer_keeps_is_counted_once():
    graph, _ = traced("mlp")
    found = boxes(graph, show=("bytes",))
    # deviations (6×8), which two operations keep, their mean, scale, gain and weight (8 each), of float32
    assert "keeps 320 bytes" in found["Sequential/1"]
    assert "keeps 96 bytes" in found["Sequential/0"]  # the input
    assert "keeps 48 bytes" in found["Sequential/2"]  # the mask


def test_lines_across_a_large_drawing_are_cut():
    w, b = mg.tensor(np.eye(2) / 2, requires_grad=True, name="w"), mg.tensor([0.1, 0.2], requires_grad=True, name="b")
    with mg.trace() as graph:
        h = mg.ones((1, 2))
        for _ in range(20):
            h = mg.tanh(h @ w + b)
        h.sum().backward()
    first = graph.node("w").name
    for passes, ends in (("forward", ("",)), ("backward", (" grad",)), ("both", ("", " grad"))):
        dot = dotparse.parse(graph.dot(passes=passes).source)
        assert {end for a, b, _ in dot.edges for end in (a, b)} <= dot.nodes.keys()
        for end in ends:
            again = [name for name in dot.nodes if " at " in name and name.endswith(" grad") == bool(end)]
            labels = {dotparse.plain(dot.nodes[name]["label"]) for name in again}
            assert labels == {"∂ w", "∂ b"} if end else {"w", "b"}
            starts = [a for a, b, _ in dot.edges if b.endswith(" grad") == bool(end)]
            assert len(again) == len({*again}) > 20
            assert {*again} <= {*starts}
            assert 1 <= starts.count(f"{first}{end}") <= 9
    assert not any(" at " in name for name in boxes(traced("cnn")[0], depth=9, passes="both"))
