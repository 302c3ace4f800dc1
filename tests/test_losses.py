"""Losses: their values against formulas and PyTorch, their gradients, their edges, and what wrong targets are told."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg

losses = mg.losses
Array = np.ndarray[Any, Any]

Draw = Callable[[np.random.Generator], Array]

# name: (prediction of shape (6, 4), target of that shape, formula elementwise, options), all in float64
REGRESSIONS: dict[str, tuple[Draw, Draw, Callable[[Array, Array], Array], dict[str, Any]]] = {
    "mse": (lambda r: r.normal(size=(6, 4)), lambda r: r.normal(size=(6, 4)), lambda p, t: (p - t) ** 2, {}),
    "mae": (lambda r: r.normal(size=(6, 4)), lambda r: r.normal(size=(6, 4)), lambda p, t: np.abs(p - t), {}),
    "huber": (
        lambda r: r.normal(size=(6, 4)),
        lambda r: r.normal(size=(6, 4)),
        lambda p, t: np.where(np.abs(p - t) <= 0.7, (p - t) ** 2 / 2, 0.7 * (np.abs(p - t) - 0.35)),
        {"delta": 0.7},
    ),
    "binary_cross_entropy": (
        lambda r: r.uniform(0.1, 0.9, (6, 4)),
        lambda r: r.uniform(size=(6, 4)),
        lambda p, t: -(t * np.log(p) + (1 - t) * np.log(1 - p)),
        {},
    ),
    "binary_cross_entropy_with_logits": (
        lambda r: r.normal(size=(6, 4)),
        lambda r: r.integers(0, 2, (6, 4)),
        lambda p, t: np.log(1 + np.exp(-p)) * t + np.log(1 + np.exp(p)) * (1 - t),
        {},
    ),
    "kl_div": (
        lambda r: np.log(r.dirichlet(np.ones(4), 6)),
        lambda r: r.dirichlet(np.ones(4), 6),
        lambda p, t: t * (np.log(t) - p),
        {},
    ),
    "hinge": (
        lambda r: r.normal(size=(6, 4)),
        lambda r: r.choice([-1, 1], (6, 4)),
        lambda p, t: np.maximum(0, 1 - t * p),
        {},
    ),
    "cosine": (
        lambda r: r.normal(size=(6, 4)),
        lambda r: r.normal(size=(6, 4)),
        lambda p, t: 1 - (p * t).sum(1) / np.sqrt((p * p).sum(1) * (t * t).sum(1)),
        {},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REGRESSIONS)
def test_values_reductions_and_gradients(name: str, rng: np.random.Generator) -> None:
    prediction, target, formula, options = REGRESSIONS[name]
    p, t = prediction(rng), target(rng)
    loss = getattr(losses, name)
    each = formula(p, t)
    x = mg.tensor(p)
    np.testing.assert_allclose(loss(x, t, reduction="none", **options).numpy(), each, rtol=1e-12)
    np.testing.assert_allclose(loss(x, mg.tensor(t), reduction="sum", **options).numpy(), each.sum(), rtol=1e-12)
    np.testing.assert_allclose(loss(x, t.tolist(), **options).numpy(), each.mean(), rtol=1e-12)
    mg.check.gradients(lambda v: loss(v, t, **options), x)
    if name not in ("mae", "hinge", "huber"):  # straight pieces have no second derivative worth comparing
        mg.check.gradients(lambda v: loss(v, t, **options), x, order=2, rtol=1e-5)


@pytest.mark.parametrize("name", REGRESSIONS)
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_the_dtype_is_the_predictions(name: str, dtype: str, rng: np.random.Generator) -> None:
    prediction, target, _, options = REGRESSIONS[name]
    x = mg.tensor(prediction(rng), dtype=dtype, requires_grad=True)
    y = getattr(losses, name)(x, target(rng), **options)
    assert y.dtype == dtype
    y.backward()
    assert x.grad.dtype == dtype


SETTINGS: list[dict[str, Any]] = [
    {},
    {"label_smoothing": 0.1},
    {"weight": True},
    {"weight": True, "label_smoothing": 0.2},
]


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("shape", [(6, 4), (3, 4, 5), (2, 4, 3, 2), (4,)])
def test_cross_entropy_is_pytorchs(
    shape: tuple[int, ...], settings: dict[str, Any], reduction: Any, rng: np.random.Generator
) -> None:
    torch: Any = pytest.importorskip("torch", reason="the extra `bench` brings PyTorch")
    x = rng.normal(size=shape)
    labels = rng.integers(0, 4, (shape[0], *shape[2:]) if len(shape) > 1 else ())
    if labels.size > 1:
        labels.flat[1] = -100
    weight = rng.uniform(0.5, 2, 4)
    theirs, ours = dict(settings), dict(settings)
    if "weight" in settings:
        theirs["weight"], ours["weight"] = torch.tensor(weight), weight
    a, b = torch.tensor(x, requires_grad=True), mg.tensor(x, requires_grad=True)
    expected = torch.nn.functional.cross_entropy(a, torch.tensor(labels), reduction=reduction, **theirs)
    found = losses.cross_entropy(b, labels, reduction=reduction, **ours)
    np.testing.assert_allclose(found.numpy(), expected.detach().numpy(), rtol=1e-12)
    expected.sum().backward()
    found.sum().backward()
    np.testing.assert_allclose(b.grad.numpy(), a.grad.numpy(), rtol=1e-10, atol=1e-14)
    if len(shape) == 2:
        probabilities = rng.dirichlet(np.ones(4), 6)
        expected = torch.nn.functional.cross_entropy(a, torch.tensor(probabilities), reduction=reduction, **theirs)
        found = losses.cross_entropy(b, probabilities, reduction=reduction, **ours)
        np.testing.assert_allclose(found.numpy(), expected.detach().numpy(), rtol=1e-12)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("shape", [(6, 4), (3, 4, 5), (0, 4, 2), (4,)])
def test_cross_entropy_is_the_formula(
    shape: tuple[int, ...], smoothing: float, reduction: Any, rng: np.random.Generator
) -> None:
    """Without PyTorch at hand: -∑ t ln softmax(x), for labels and for the same as probabilities."""
    at = min(len(shape) - 1, 1)
    x, labels = rng.normal(size=shape), rng.integers(0, 4, shape[:at] + shape[at + 1 :])
    hot = np.moveaxis(np.eye(4)[labels], -1, at)
    even = hot * (1 - smoothing) + smoothing / 4
    each = -(even * (x - np.log(np.exp(x).sum(at, keepdims=True)))).sum(at)
    expected = {"mean": lambda: each.sum() / max(each.size, 1), "sum": each.sum, "none": lambda: each}[reduction]()
    if reduction == "mean" and not each.size:
        return  # a mean of nothing is refused, or NaN
    for target in (labels, hot):
        found = losses.cross_entropy(mg.tensor(x), target, label_smoothing=smoothing, reduction=reduction).numpy()
        assert found.shape == np.shape(expected)
        assert np.max(np.abs(found - expected), initial=0.0) <= 1e-12 * max(each.size, 1)


def test_nll_is_what_is_left_of_cross_entropy(rng: np.random.Generator) -> None:
    x, labels = mg.tensor(rng.normal(size=(6, 4))), rng.integers(0, 4, 6)
    one, two = losses.cross_entropy(x, labels), losses.nll(mg.log_softmax(x, axis=1), labels)
    assert abs(one.item() - two.item()) <= 1e-15
    mg.check.gradients(lambda v: losses.cross_entropy(v, labels), x, order=2, rtol=1e-5)


def test_extreme_inputs_stay_finite() -> None:
    x = mg.tensor([[1e4, -1e4], [-math.inf, 0.0]], requires_grad=True)
    y = losses.cross_entropy(x, [0, 1])
    y.backward()
    assert y.item() == 0
    assert (x.grad.numpy() == 0).all()
    z = mg.tensor([1e4, -1e4, 0.0], requires_grad=True)
    y = losses.binary_cross_entropy_with_logits(z, [0, 1, 1], reduction="none")
    assert y.tolist() == [1e4, 1e4, math.log(2)]
    y.sum().backward()
    assert z.grad.tolist() == [1, -1, -0.5]
    p = mg.tensor([0.0, 1.0, 0.0, 1.0], requires_grad=True)
    y = losses.binary_cross_entropy(p, [0, 1, 1, 0], reduction="none")
    assert y.tolist() == [0, 0, 100, 100]
    y.sum().backward()
    assert np.isfinite(p.grad.numpy()).all()
    k = mg.tensor([0.0, -1.0], requires_grad=True)
    losses.kl_div(k, [0.0, 1.0]).backward()
    assert np.isfinite(k.grad.numpy()).all()
    c = mg.tensor([[0.0, 0.0]], requires_grad=True)
    losses.cosine(c, [[1.0, 0.0]]).backward()
    assert np.isfinite(c.grad.numpy()).all()


def test_labels_of_every_integer_dtype() -> None:
    x = mg.tensor([[1.0, 2.0, 3.0]])
    found = {losses.cross_entropy(x, np.array([2], kind)).item() for kind in ("uint8", "int32", "int64")}
    assert len(found) == 1


def test_the_target_is_not_changed_and_a_tracked_one_is_differentiated() -> None:
    t = mg.tensor([1.0, 2.0], requires_grad=True)
    losses.mse(mg.tensor([0.0, 0.0]), t).backward()
    assert t.grad.tolist() == [1, 2]


def test_a_device_label_that_is_no_class_is_told_of_at_the_next_copy() -> None:
    x = mg.tensor([[1.0, 2.0]], device="fakecupy")
    for label in (2, -1):
        bad = mg.tensor([label], device="fakecupy")
        with pytest.raises(IndexError):
            losses.cross_entropy(x, bad).item()


X = mg.tensor([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]], device="numpy")


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (
            lambda: losses.mse(mg.ones((4, 1)), mg.ones(4)),
            r"target has shape \(4,\), prediction \(4, 1\).*target.reshape\(4, 1\)",
        ),
        (lambda: losses.mae(mg.ones(4), mg.ones((4, 1))), r"prediction.reshape\(4, 1\)"),
        (lambda: losses.mse(mg.ones((4, 2)), mg.ones((2,))), "must be equal"),
        (lambda: losses.mse(mg.ones(3), mg.ones(3), reduction="avg"), "reduction: 'avg'"),
        (lambda: losses.mse(mg.tensor([1, 2]), [1, 2]), "int64"),
        (lambda: losses.huber(mg.ones(3), mg.ones(3), delta=0), "delta: 0"),
        (lambda: losses.cross_entropy(X, [0, 3]), "label 3.*3 classes"),
        (lambda: losses.cross_entropy(X, [0, -1]), "label -1"),
        (lambda: losses.cross_entropy(X, [0.0, 1.0]), "float64.*integers"),
        (lambda: losses.cross_entropy(X, [0, 1, 2]), r"\(3,\).*must have \(2,\)"),
        (lambda: losses.cross_entropy(X, [[0, 0, 1], [1, 0, 0]]), "one_hot targets.*floats"),
        (lambda: losses.cross_entropy(X, [0, 1], weight=[1.0, 2.0]), r"weight: shape \(2,\)"),
        (lambda: losses.cross_entropy(X, [0, 1], label_smoothing=2), "label_smoothing: 2"),
        (lambda: losses.cross_entropy(mg.tensor(1.0), 0), r"\(n, classes"),
        (lambda: losses.cosine(mg.tensor(1.0), 1.0), "axis"),
    ],
)
def test_errors_teach(call: Callable[[], Any], says: str) -> None:
    with pytest.raises(mg.errors.MinigradError, match=says):
        call()
