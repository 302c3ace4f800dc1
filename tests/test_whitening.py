"""A whitening layer: a primitive with two outputs (eigh) inside a composition, differentiated to order 3."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minigrad as mg


def whiten(x: Any) -> Any:
    """ZCA whitening: centred x times the inverse square root of its covariance."""
    d = x - mg.mean(x, axis=0, keepdims=True)
    covariance = mg.matmul(d.T, d) * (1 / x.shape[0]) + 0.1 * mg.eye(x.shape[1], device=x.device)
    w, v = mg.linalg.eigh(covariance)
    return mg.matmul(d, mg.matmul(v * mg.rsqrt(w), v.T))


@pytest.fixture
def data() -> Any:
    rng = np.random.default_rng(3)
    return rng.standard_normal((6, 3)) * [1.0, 2.0, 0.5]


def test_whitened_data_have_the_identity_as_covariance_but_for_the_ridge(data: Any) -> None:
    y = whiten(mg.tensor(data)).numpy()
    centred = data - data.mean(0)
    values, vectors = np.linalg.eigh(centred.T @ centred / 6)
    expected = vectors @ np.diag(values / (values + 0.1)) @ vectors.T
    np.testing.assert_allclose(y.T @ y / 6, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_gradients_of_whitening(data: Any, order: int) -> None:
    mg.check.gradients(lambda x: whiten(x), mg.tensor(data), order=order, rtol=1e-5, atol=1e-6)


def test_one_output_alone_and_both_give_the_same_gradient(data: Any) -> None:
    """An output that is not used has no cotangent; it counts as zeros."""
    matrix = data.T @ data
    x = mg.tensor(matrix, requires_grad=True)
    w, v = mg.linalg.eigh(x)
    (alone,) = mg.gradients(w.sum(), [x], retain_graph=True)
    (both,) = mg.gradients(w.sum() + 0.0 * v.sum(), [x])
    np.testing.assert_allclose(alone.numpy(), np.eye(3), atol=1e-12)  # the sum of the eigenvalues is the trace
    np.testing.assert_allclose(both.numpy(), np.eye(3), atol=1e-12)


def test_first_order_agrees_with_another_engine(data: Any) -> None:
    anp = pytest.importorskip("autograd.numpy", reason="the second opinion is an optional test dependency")
    import autograd

    weights = np.random.default_rng(0).standard_normal((6, 3))

    def other(x: Any) -> Any:
        d = x - anp.mean(x, axis=0, keepdims=True)
        w, v = anp.linalg.eigh(anp.dot(d.T, d) / 6 + 0.1 * anp.eye(3))
        return anp.sum(weights * anp.dot(d, anp.dot(v / anp.sqrt(w), v.T)))

    ours = mg.grad(lambda x: (mg.tensor(weights) * whiten(x)).sum())(data).numpy()
    np.testing.assert_allclose(ours, autograd.grad(other)(data), rtol=1e-9, atol=1e-9)


# ---- the layers

SHAPES = {"rows": (8, 4), "series": (3, 4, 5), "images": (2, 4, 3, 3)}


def by_hand(x: np.ndarray, groups: int, eps: float, steps: int | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """y, mean and matrices by the papers' formulas, a group after the other; by eigenvectors without steps."""
    rows = np.moveaxis(x, 1, 0).reshape(x.shape[1], -1)
    mean, out, matrices = rows.mean(1), [], []
    for part in np.split(rows - mean[:, None], groups):
        sigma = part @ part.T / part.shape[1] + eps * np.eye(len(part))
        if steps is None:
            values, vectors = np.linalg.eigh(sigma)
            matrix = vectors @ np.diag(values**-0.5) @ vectors.T
        else:
            matrix = np.eye(len(part))
            for _ in range(steps):
                matrix = (3 * matrix - matrix @ matrix @ matrix @ sigma / np.trace(sigma)) / 2
            matrix = matrix / np.sqrt(np.trace(sigma))
        matrices.append(matrix)
        out.append(matrix @ part)
    y = np.concatenate(out).reshape(x.shape[1], x.shape[0], *x.shape[2:])
    return np.moveaxis(y, 0, 1), mean, np.stack(matrices)


WHITENING: dict[str, tuple[dict[str, Any], int | None, str]] = {
    "DecorrelatedBatchNorm": ({}, None, "running_projection"),
    "IterNorm": ({"iterations": 4}, 4, "running_wm"),
}


@pytest.mark.parametrize("momentum", [0.3, None])
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", WHITENING)
def test_whitening_layers_are_the_papers(
    name: str, shape: str, groups: int, momentum: float | None, rng: np.random.Generator
) -> None:
    options, steps, kept = WHITENING[name]
    layer = mg.layer(name, 4, 1e-3, momentum, num_groups=groups, dtype="float64", **options)
    mean, matrix = np.zeros(4), np.stack([np.eye(4 // groups)] * groups)
    for step in range(3):
        x = rng.standard_normal(SHAPES[shape]) * 2 + 5
        y, m, d = by_hand(x, groups, 1e-3, steps)
        np.testing.assert_allclose(layer(mg.tensor(x)).numpy(), y, rtol=0, atol=1e-9)
        share = 1 / (step + 1) if momentum is None else momentum
        mean, matrix = (1 - share) * mean + share * m, (1 - share) * matrix + share * d
        np.testing.assert_allclose(layer.running_mean.numpy(), mean, rtol=0, atol=1e-9)
        np.testing.assert_allclose(getattr(layer, kept).numpy(), matrix, rtol=0, atol=1e-9)
    rows = np.moveaxis(x, 1, 0).reshape(groups, 4 // groups, -1) - mean.reshape(groups, -1, 1)
    expected = np.moveaxis((matrix @ rows).reshape(4, x.shape[0], *x.shape[2:]), 0, 1)
    np.testing.assert_allclose(layer.eval()(mg.tensor(x)).numpy(), expected, rtol=0, atol=1e-9)
    layer.reset_running_stats()
    np.testing.assert_allclose(layer(mg.tensor(x)).numpy(), x, rtol=0, atol=0)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_whitening_white_data_is_differentiated_though_all_eigenvalues_are_equal(order: int) -> None:
    """Eigenvectors have no derivative there: their rule divides by the gap, which is 0, and gives NaN."""
    white = mg.tensor(np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]]))
    layer = mg.layer("DecorrelatedBatchNorm", 2, 1e-2, dtype="float64")
    mg.check.gradients(lambda x: layer(x), white, order=order, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", WHITENING)
def test_whitening_far_from_zero(name: str, rng: np.random.Generator) -> None:
    x = (1e6 + rng.standard_normal((512, 4))).astype("float32")
    y, exact = (mg.layer(name, 4, dtype=dtype)(mg.tensor(x, dtype=dtype)).numpy() for dtype in ("float32", "float64"))
    assert np.abs(y - exact).max() <= 1e-3


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("name", WHITENING)
def test_whitening_a_constant_gives_the_bias(name: str, dtype: str) -> None:
    x = mg.full((6, 4), 3.3, dtype=dtype, requires_grad=True)
    y = mg.layer(name, 4, 1e-3, dtype=dtype)(x)
    assert y.dtype == dtype
    assert (y.numpy() == 0).all()
    y.sum().backward()
    assert np.isfinite(x.grad.numpy()).all()


@pytest.mark.parametrize("name", WHITENING)
def test_whitening_refuses_what_it_cannot_do(name: str) -> None:
    for args in ((4, 0.0), (4, 1e-5, 1.5), (4, 1e-5, 0.1, True, 3)):
        with pytest.raises(mg.errors.ArgumentError):
            mg.layer(name, *args)
    for shape in ((1, 4), (0, 4), (5, 3), (4,)):
        with pytest.raises(mg.errors.ShapeError, match=name):
            mg.layer(name, 4)(mg.ones(shape, dtype="float32"))
    assert mg.layer(name, 4).eval()(mg.ones((0, 4), dtype="float32")).shape == (0, 4)
