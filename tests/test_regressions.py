"""One test for each fault that was found by reading or by attack, named by what was wrong."""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.core import PRIMITIVES


def leaf(*values: float, **options: Any) -> mg.Tensor:
    return mg.tensor(values, requires_grad=True, **options)


# ---- the sweep


def test_a_path_through_a_freed_graph_was_left_out_of_gradients() -> None:
    x = leaf(1.0, 2.0)
    h = mg.exp(x)
    h.sum().backward()
    y = (h * x).sum()
    with pytest.raises(mg.errors.GraphFreedError, match="'exp'"):
        mg.gradients(y, [x])


def test_gradients_of_a_freed_graph_were_none() -> None:
    x = leaf(1.0, 2.0)
    y = (x * x).sum()
    y.backward()
    for unused in (True, False):
        with pytest.raises(mg.errors.GraphFreedError, match="retain_graph"):
            mg.gradients(y, [x], allow_unused=unused)


def test_gradients_freed_what_lies_behind_their_target() -> None:
    x = leaf(1.0, 2.0)
    h = mg.exp(x)
    (dh,) = mg.gradients((h * h).sum(), [h])
    assert dh is not None
    h.backward(dh)
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), 2 * np.exp([2.0, 4.0]))


def test_gradients_computed_what_nobody_asked_for() -> None:
    def never(g: Any) -> Any:
        raise AssertionError("the rule of an input that leads to no target")

    x, w = leaf(1.0), leaf(2.0)
    product = mg.primitive(lambda g: g, never, name="regression_product")(lambda xp, a, b: a * b)
    del PRIMITIVES["regression_product"]  # tables of all primitives need not see it
    (dx,) = mg.gradients(product(x, w), [x])
    assert dx is not None
    assert dx.tolist() == [1.0]


def test_a_tracked_cotangent_of_another_dtype_lost_its_track() -> None:
    x, c = leaf(1.0, 2.0, dtype="float32"), leaf(1.0, 1.0)
    (dx,) = mg.gradients(x * x, [x], cotangent=c, create_graph=True)
    assert dx is not None
    (dc,) = mg.gradients(dx.sum(), [c])
    assert dc is not None
    assert (dc.tolist(), dc.dtype) == ([2.0, 4.0], np.float64)


def test_a_hook_that_held_its_tensor_kept_it_for_ever() -> None:
    def hooked() -> weakref.ref[mg.Tensor]:
        x = leaf(1.0)
        x.register_hook(lambda g: g * x.detach())
        return weakref.ref(x)

    gone = hooked()
    gc.collect()
    assert gone() is None


def test_remat_called_the_hooks_of_its_inputs_twice() -> None:
    x, w, seen = leaf(1.0, 2.0), leaf(3.0), []
    x.register_hook(lambda g: g * 10.0)
    w.register_hook(lambda g: seen.append(g.item()))
    (mg.remat(lambda x: x * x * w)(x) * w).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [180.0, 360.0]
    assert seen == [30.0]


def test_threads_that_shared_a_graph_lost_gradients() -> None:
    x = leaf(1.0)
    y = (x * x).sum()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [
            threading.Thread(target=lambda: [y.backward(retain_graph=True) for _ in range(300)]) for _ in range(4)
        ]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    finally:
        sys.setswitchinterval(interval)
    assert x.grad is not None
    assert x.grad.item() == 4 * 300 * 2.0
