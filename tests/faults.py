"""Putting faults in: what the tests of known faults share."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from minigrad.core.dispatch import arguments

engine = import_module("minigrad.core.sweep")  # as an attribute, `minigrad.core.sweep` is the function
results = import_module("minigrad.core.gradients")  # as above


def found_by(check: Callable[[], Any], *beside: type[BaseException]) -> None:
    """`check` fails, as it must on a build with the fault: by an assertion, or with one of the errors `beside`."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        with pytest.raises((AssertionError, pytest.fail.Exception, *beside)):
            check()


def plain_sweep(add: Callable[[Any, Any], Any] = operator.add, cast: bool = True) -> Callable[..., Any]:
    """The sweep as short as it can be written, right for programs of one-output operations; faults are put into it."""

    def sweep(root: Any, g: Any, **ignored: Any) -> dict[Any, Any]:
        found, grads = {}, {root: g}
        for node in engine.order_from(root):
            g = grads.pop(node)
            if node.op is None:
                found[node] = g
                continue
            for k, parent in enumerate(node.parents):
                if parent is None:
                    continue
                pull, _ = node.op.pull_for(k)
                gx = pull.rule(g, *arguments(node, pull, parent, False, k))
                gx = engine.unbroadcast(gx, parent.shape) if gx.shape != parent.shape else gx
                gx = engine.astype(gx, parent.dtype) if cast else gx
                grads[parent] = add(grads[parent], gx) if parent in grads else gx
        return found

    return sweep
