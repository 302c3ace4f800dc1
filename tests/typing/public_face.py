"""What a type checker says of the public face. `scripts/check` reads this file; nothing runs it.

Where a line must be reported it says which report to ignore, and an ignored report that does not come is one itself.
"""

from __future__ import annotations

from typing import assert_type

import minigrad as mg
from minigrad import Module, exp, fit, gradients, trace

x = mg.ones((2, 3))
assert_type(mg.exp(x), mg.Tensor)
assert_type(exp(x), mg.Tensor)
assert_type(mg.sum(x, axis=0), mg.Tensor)
assert_type(x.mean(axis=0, keepdims=True), mg.Tensor)
assert_type(mg.softmax(x), mg.Tensor)
assert_type(mg.conv2d(x, x), mg.Tensor)
assert_type(mg.linalg.inv(x), mg.Tensor)
assert_type(mg.losses.mse(x, x), mg.Tensor)
assert_type(mg.random.normal((2, 3)), mg.Tensor)
assert_type(gradients(x, [x]), tuple[mg.Tensor | None, ...])
assert_type(mg.layer("Linear", 3, 2), Module)
assert_type(mg.optim.Adam([x]), mg.optim.Adam)
assert_type(fit(mg.Module(), [], loss=mg.losses.mse, optimizer=None), mg.training.History)
with trace() as graph:
    assert_type(graph, mg.Graph)

mg.expp  # type: ignore[attr-defined]
mg.losses.msee  # type: ignore[attr-defined]
mg.sum(x, dim=0)  # type: ignore[call-arg]
mg.softmax(x, dim=0)  # type: ignore[call-arg]
mg.optim.Adam([x], learning_rate=0.1)  # type: ignore[call-arg]
