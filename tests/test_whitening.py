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
