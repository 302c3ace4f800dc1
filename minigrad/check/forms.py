"""The check that what runs and what the literature writes are the same function: `forms`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.check.points import Array, Function, flat, prepare, pulled
from minigrad.check.report import CheckError, Report
from minigrad.core import Tensor, change, rebind
from minigrad.core.modes import Form
from minigrad.errors import ArgumentError
from minigrad.module import Module


def forms(
    f: Function,
    *inputs: Any,
    order: int = 3,
    module: Module | None = None,
    rtol: float = 1e-9,
    atol: float = 1e-9,
    seed: int = 0,
) -> Report:
    """Compare `f` as it runs with its textbook form, in float64: values, gradients to `order`, state, random draws.

    Order k differentiates the gradient of order k - 1 with respect to the inputs and to its cotangents, in both forms
    alike; a random combination of the results is compared. Where no textbook is given the two are trivially equal.

    Args:
        f: takes the inputs and returns floating tensors, one or a tuple or list of them; a module, for instance.
        inputs: tensors, arrays and numbers; floating ones are differentiated, in float64, others handed on as they are.
        order: how often to differentiate; 0 compares values and state only.
        module: whose buffers and random streams are to be in one place afterwards; `f` itself if it is a module. Each
            form starts from where they are now, and there they are put back.
        rtol, atol: numbers a and b may differ by atol + rtol * max(|a|, |b|, 1).
        seed: of the random cotangents.

    Raises:
        CheckError: the forms differ; the message says in what, and gives both values.
        ArgumentError: a negative order.

    Example:
        >>> import minigrad as mg
        >>> mg.check.forms(mg.softmax, [0.5, -1.0, 2.0]).compared
        4
    """
    if order < 0:
        raise ArgumentError(f"order: {order} must be at least 0")
    owner = module if module is not None else f if isinstance(f, Module) else None
    run, book = (_orders(f, inputs, order, owner, form, seed) for form in ("run", "textbook"))
    what, worst = f"the two forms to order {order}", 0.0
    for name, a in run.items():
        b = book[name]
        if a.shape != b.shape:
            raise CheckError(
                f"{name} has {a.size} elements as it runs and {b.size} in the textbook form",
                Report(what, len(run), np.inf, rtol),
            )
        size = np.maximum(np.maximum(np.abs(a), np.abs(b)), 1.0)
        errors = np.abs(a - b) / (atol + rtol * size)
        errors = np.where(np.isnan(a) & np.isnan(b), 0.0, errors)
        error = float(np.max(errors, initial=0.0))
        worst = max(worst, error) if error == error else np.inf
        if not error <= 1:
            at = int(np.argmax(np.where(np.isnan(errors), np.inf, errors)))
            raise CheckError(
                f"{name} is {float(a.flat[at])!r} as it runs and {float(b.flat[at])!r} in the textbook form",
                Report(what, len(run), worst, rtol),
            )
    return Report(what, len(run), worst, rtol)


def _orders(
    f: Function, inputs: Sequence[Any], order: int, module: Module | None, form: Form, seed: int
) -> dict[str, Array]:
    """What one form gives, by name: the value, the gradients of each order, and the state that it left behind."""
    rng = np.random.default_rng(seed)
    buffers = {} if module is None else {name: (b, b._data) for name, b in module.named_buffers()}
    streams = {} if module is None else {name: (g, g.state) for name, g in module.named_generators()}

    def again() -> None:
        for buffer, array in buffers.values():
            rebind(buffer, array)
        for generator, state in streams.values():
            generator.state = state

    def started(*args: Tensor) -> Any:
        again()
        return f(*args)

    try:
        with change(form=form):
            level, point = prepare(started, inputs)
            ys = level(*point.tensors())
            found = {"the value": flat([y.numpy() for y in ys])}
            for name, (buffer, _) in buffers.items():
                found[f"the buffer {name}"] = np.asarray(buffer.numpy(), dtype=np.float64)
            for name, (generator, _) in streams.items():
                found[f"the place of the stream {name}"] = np.asarray(generator.state, dtype=np.float64)
            for k in range(1, order + 1):
                cotangents = [rng.uniform(0.5, 1.5, y.shape) * rng.choice([-1.0, 1.0], y.shape) for y in ys]
                level = pulled(level, len(point.shapes))
                point = type(point)(
                    [*point.shapes, *(y.shape for y in ys)], flat([point.values, *cotangents]), point.device
                )
                ys = level(*point.tensors())
                found[f"the gradient of order {k}"] = flat([y.numpy() for y in ys])
    finally:
        again()
    return found
