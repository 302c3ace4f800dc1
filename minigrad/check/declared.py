"""Checks that need nothing but a declaration: the registry of primitives is the table, its `samples` the points."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from minigrad.check.differences import adjoint, gradients
from minigrad.check.points import Function
from minigrad.check.report import CheckError, Report
from minigrad.core import PRIMITIVES, Primitive, tensor
from minigrad.core.composite import COMPOSITES
from minigrad.errors import ArgumentError


def primitives() -> Mapping[str, Primitive]:
    """Every primitive that is registered, ours and strangers', by name.

    Example:
        >>> import minigrad as mg
        >>> mg.check.primitives()["tanh"].inputs
        ('x',)
    """
    return MappingProxyType(PRIMITIVES)


def composites() -> Mapping[str, Callable[..., Any]]:
    """Every composite that was declared, ours and strangers', by name; `.composition` says how.

    Example:
        >>> import minigrad as mg
        >>> mg.check.composites()["softmax"].composition.textbook is not None
        True
    """
    return MappingProxyType(COMPOSITES)


def sample(op: Any, rng: np.random.Generator, shapes: Sequence[tuple[int, ...]] | None = None) -> Any:
    """Arguments and parameters at which to test a primitive, drawn from the domains in its declaration.

    Args:
        op: the primitive, or the function that `@primitive` returned.
        rng: where to draw from.
        shapes: of the inputs, when the declaration gives a domain for each; they must broadcast. Random unless given.

    Returns:
        `(args, params)`: host arrays in float64 (or bool, or integers) and a dict.

    Example:
        >>> import minigrad as mg, numpy as np
        >>> (x,), params = mg.check.sample(mg.exp, np.random.default_rng(0), [(2, 3)])
        >>> x.shape, params
        ((2, 3), {})
    """
    op = _declared(op)
    if callable(op.samples):
        return op.samples(rng)
    if not op.samples:
        raise ArgumentError(
            f"primitive {op.name!r} has no samples; declare a domain for each input, samples=(domains.reals, …)"
        )
    if shapes is None:
        whole = tuple(int(n) for n in rng.integers(1, 4, rng.integers(0, 4)))
        shapes = [
            tuple(1 if rng.random() < 0.25 else n for n in whole[int(rng.integers(len(whole) + 1)) :])
            for _ in op.samples
        ]
    return tuple(domain(rng, shape) for domain, shape in zip(op.samples, shapes, strict=True)), {}


def primitive(op: Any, *, examples: int = 20, order: int = 2, seed: int = 0) -> Report:
    """Put a primitive through `gradients` and `adjoint` at points drawn from its own `samples`.

    Args:
        op: the function that `@primitive` returned.
        examples: number of points.
        order: how often to differentiate.
        seed: of the points.

    Raises:
        CheckError: a rule is wrong; a note names the primitive and the point.

    Example:
        >>> import minigrad as mg
        >>> mg.check.primitive(mg.tanh, examples=3).what
        'primitive tanh to order 2'
    """
    op = _declared(op)
    rng, compared, worst, rtol = np.random.default_rng(seed), 0, 0.0, 1e-5
    for _ in range(examples):
        args, params = sample(op, rng)
        if not op.differentiable or not any(a.dtype.kind == "f" for a in args):
            continue
        f = differentiable(op, args, params)
        floats = [a for k, a in enumerate(args) if op.pull_for(k)[0] is not None]
        try:
            reports = gradients(f, *floats, order=order, rtol=rtol), adjoint(f, *floats)
        except CheckError as problem:
            shown = ", ".join(f"{a.dtype} {a.shape}" for a in args)
            problem.add_note(f"primitive {op.name!r} on {shown} with {params}")
            raise
        compared, worst = compared + sum(r.compared for r in reports), max(worst, *(r.error for r in reports))
    return Report(f"primitive {op.name} to order {order}", compared, worst, rtol)


def _declared(op: Any) -> Primitive:
    found = getattr(op, "primitive", op)
    if not isinstance(found, Primitive):
        name = getattr(op, "__name__", repr(op))
        raise ArgumentError(f"op: {name} is no primitive; minigrad.check.gradients takes any function")
    return found


def differentiable(op: Primitive, args: Sequence[Any], params: Mapping[str, Any]) -> Function:
    """A call of `op` as a function of the inputs that have a rule; the others are fixed at `args`."""
    fixed = [None if op.pull_for(k)[0] is not None else tensor(a) for k, a in enumerate(args)]

    def f(*floats: Any) -> Any:
        following = iter(floats)
        return op.call(*(next(following) if a is None else a for a in fixed), **params)

    return f
