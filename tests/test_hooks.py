"""Hooks see the complete gradient of a tensor and may replace it, at every order."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
import pytest

import minigrad as mg


def test_a_hook_sees_the_sum_of_all_contributions_once() -> None:
    seen: list[Any] = []
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    h = x * 2.0
    h.register_hook(lambda g: seen.append(g.tolist()))
    (h * h + 3.0 * h).sum().backward()
    assert seen == [[7.0, 11.0]]
    assert x.grad is not None
    assert x.grad.tolist() == [14.0, 22.0]


def test_what_it_returns_takes_the_gradients_place_for_leaves_too() -> None:
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    h = mg.exp(x)
    h.register_hook(lambda g: mg.clip(g, -0.5, 0.5))
    handle = x.register_hook(lambda g: -g)
    h.sum().backward()
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), -0.5 * np.exp([1.0, 2.0]))
    handle.remove()
    handle.remove()
    x.grad = None
    mg.exp(x).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.exp([1.0, 2.0]))


def test_with_create_graph_a_hook_is_differentiated_through() -> None:
    x = mg.tensor(3.0, requires_grad=True)
    h = x * x
    handle = h.register_hook(lambda g: g * h)
    (dx,) = mg.gradients(h * 1.0, [x], create_graph=True)
    assert dx.item() == 2 * 3.0 * 9.0  # 2x · h = 2x³
    handle.remove()  # or it would act on the second sweep too
    assert mg.gradients(dx, [x])[0].item() == 6 * 9.0


def test_hooks_go_with_the_graph() -> None:
    hook = Hook()
    alive = weakref.ref(hook)
    h = mg.tensor(1.0, requires_grad=True) * 2.0
    h.register_hook(hook)
    del hook
    assert alive() is not None
    del h
    assert alive() is None


class Hook:
    """A hook whose life can be watched."""

    def __call__(self, g: Any) -> None:
        """Look on."""


def test_a_hook_that_returns_something_else_is_refused() -> None:
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    x.register_hook(lambda g: g.sum())
    with pytest.raises(mg.errors.ShapeError, match="hook must return"):
        (x * 2.0).sum().backward()
    with pytest.raises(mg.errors.GraphError, match="not tracked"):
        mg.ones(2).register_hook(print)
