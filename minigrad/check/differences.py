"""The two checks of a function at a point: rules against central differences, and rules against themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.check.points import Array, Function, Level, Point, flat, like, place, prepare, pulled, pulled_back
from minigrad.check.report import CheckError, Report
from minigrad.core import Tensor
from minigrad.errors import ArgumentError
from minigrad.transforms.autodiff import jvp, vjp

_FEW = 16  # up to this many elements every partial derivative is looked at, beyond it one random combination
_STEP = float(np.finfo(np.float64).eps) ** (1 / 3)  # truncation of a central difference against its rounding


def gradients(
    f: Function, *inputs: Any, order: int = 1, rtol: float = 1e-6, atol: float = 1e-8, seed: int = 0
) -> Report:
    """Compare the gradients of `f` at `inputs` with central differences, at orders 1 to `order`.

    Order k differentiates the gradient of order k-1 with respect to the inputs and to its cotangents. With up to 16
    elements every partial derivative is compared, with more a random combination of them.

    Args:
        f: takes the inputs and returns floating tensors, one or a tuple or list of them; the same for the same inputs.
        inputs: tensors, arrays and numbers; floating ones are differentiated, in float64, others handed on as they are.
        order: how often to differentiate.
        rtol, atol: two numbers a and b may differ by atol + rtol * max(|a|, |b|).
        seed: of the random cotangents and directions.

    Raises:
        CheckError: a gradient is wrong; the message says of which input and element, and gives both values.
        ArgumentError: nothing to differentiate, or `f` gives different results for the same inputs.

    Example:
        >>> import minigrad as mg
        >>> str(mg.check.gradients(lambda x: mg.tanh(x) * x, [0.5, -1.0], order=2))[:37]
        'gradients to order 2: 12 comparisons,'
    """
    if order < 1:
        raise ArgumentError(f"order: {order} must be at least 1")
    rng = np.random.default_rng(seed)
    level, point = prepare(f, inputs)
    what, compared, worst = f"gradients to order {order}", 0, 0.0
    for k in range(1, order + 1):
        ys = level(*point.tensors())
        again = level(*point.tensors())
        if any(not np.array_equal(a.numpy(), b.numpy(), equal_nan=True) for a, b in zip(ys, again, strict=True)):
            raise ArgumentError(
                "f: it gives another result for the same inputs, so differences mean nothing; fix its randomness, for "
                "example with a minigrad.random.Generator made inside it"
            )
        n, error, complaint = _against_differences(level, point, ys, rng, rtol, atol)
        compared, worst = compared + n, max(worst, error)
        if complaint:
            raise CheckError(f"order {k}: {complaint}", Report(what, compared, error, rtol))
        if k < order:
            cotangents = [rng.uniform(0.5, 1.5, y.shape) * rng.choice([-1.0, 1.0], y.shape) for y in ys]
            level = pulled(level, len(point.shapes))
            point = Point([*point.shapes, *(y.shape for y in ys)], flat([point.values, *cotangents]), point.device)
    return Report(what, compared, worst, rtol)


def adjoint(f: Function, *inputs: Any, rtol: float = 1e-12, seed: int = 0) -> Report:
    """Check <u, J t> = <Jᵀ u, t> for random u and t, J the derivative of `f` at `inputs`: forward mode against reverse.

    Both sides come from the rules, so it holds to rounding: a rule that is not linear in its cotangent, or whose own
    derivative is wrong, fails. It cannot see a rule that is linear and wrong; `gradients` does.

    Raises:
        CheckError: the two differ by more than rtol * sum |u| |J t|.

    Example:
        >>> import minigrad as mg
        >>> mg.check.adjoint(mg.exp, [1.0, 2.0]).compared
        1
    """
    rng = np.random.default_rng(seed)
    level, point = prepare(f, inputs)
    xs = point.tensors()
    sizes = [y.size for y in level(*xs)]
    direction, u = rng.standard_normal(point.values.size), rng.standard_normal(sum(sizes))

    def joined(*args: Tensor) -> Tensor:
        ys = level(*args)
        parts = np.split(u, np.cumsum(sizes)[:-1])
        total = (ys[0] * like(parts[0], ys[0])).sum()
        for part, y in zip(parts[1:], ys[1:], strict=True):
            total = total + (y * like(part, y)).sum()
        return total

    ts = point.tensors(direction)
    value, forward = jvp(joined, xs, ts)
    _, pull = vjp(joined, *xs)
    back = flat([g.numpy() for g in pull(1.0)])
    left, right = float(forward.item()), float(back @ direction)
    size = float(np.abs(back) @ np.abs(direction))
    error = abs(left - right) / (rtol * max(size, abs(left)) + 1e-300)
    report = Report("adjoint identity", 1, error, rtol)
    if not error <= 1:
        raise CheckError(
            f"<u, J t> = {left!r} by forward mode and <Jᵀ u, t> = {right!r} by reverse mode (value {value.item()!r}): "
            "a rule is not linear in g, or its own derivative is wrong",
            report,
        )
    return report


def _against_differences(
    level: Level, point: Point, ys: Sequence[Tensor], rng: np.random.Generator, rtol: float, atol: float
) -> tuple[int, float, str]:
    """Number of comparisons, the worst error, and what is wrong ("" for nothing)."""
    n, m, x = point.values.size, sum(y.size for y in ys), point.values
    if not n or not m:  # nothing to compare, but the rules must run, and give zeros
        xs = point.tensors(track=True)
        idle = not _row(level(*xs), xs, np.zeros(m)).any()
        return 0, 0.0, "" if idle else "the result is empty, but the gradient is not 0"
    directions = np.eye(n) if n <= _FEW else rng.standard_normal((1, n))
    # Not of ones: on cotangents that are 0 or 1, a rule with g * g or g != 0 in place of g looks right.
    scales = rng.uniform(0.5, 1.5, m) * rng.choice([-1.0, 1.0], m)
    rows = np.diag(scales) if m <= _FEW else rng.standard_normal((1, m))
    steps = _STEP * np.array([max(1.0, float(np.abs(x[t != 0]).max())) for t in directions])

    def at(values: Array) -> Array:
        return flat([y.numpy() for y in level(*point.tensors(values))])

    def slopes(shrink: float) -> tuple[Array, Array, Array]:
        h = shrink * steps
        high, low = (np.stack([at(x + s * k * t) for k, t in zip(h, directions, strict=True)]) for s in (1.0, -1.0))
        return (high - low) / (2 * h[:, None]), high, low

    plain, high, low = slopes(1.0)  # (directions, m)
    xs = point.tensors(track=True)
    tracked = level(*xs)
    found = np.stack([_row(tracked, xs, row) for row in rows]) @ directions.T

    def judged(slope: Array) -> tuple[Array, Array]:
        expected = rows @ slope.T
        size = np.maximum(np.abs(rows) @ np.abs(slope).T, np.abs(found))
        ratios = np.abs(found - expected) / (atol + rtol * size)
        return expected, np.where(np.isnan(ratios), np.inf, ratios)

    expected, ratios = judged(plain)
    if ratios.max() > 1:  # perhaps the function bends so much that the difference is off: extrapolate to a step of 0
        expected, ratios = judged((4 * slopes(0.5)[0] - plain) / 3)
    worst = float(ratios.max())
    if worst <= 1:
        return ratios.size, worst, ""
    i, j = (int(k) for k in np.unravel_index(np.argmax(ratios), ratios.shape))
    result = place(ys, i, "result") if len(rows) == m else "a random combination of results"
    where = f"{result} by {place(xs, j, 'input')}" if len(directions) == n else f"{result} in a random direction"
    scale = scales[i] if len(rows) == m else 1.0
    middle = at(x)
    left, right = (rows[i] @ (b - a) / steps[j] / scale for a, b in ((low[j], middle), (middle, high[j])))
    by_rules, by_differences = found[i, j] / scale, expected[i, j] / scale
    complaint = (
        f"the derivative of {where} is {by_rules:.9g} by the rules and {by_differences:.9g} by central differences"
    )
    if abs(left - right) > 1e-3 * (abs(left) + abs(right)):
        complaint += f"; the slope is {left:.4g} on the left and {right:.4g} on the right, a kink: choose another point"
    return ratios.size, worst, complaint


def _row(ys: Sequence[Tensor], xs: Sequence[Tensor], row: Array) -> Array:
    """The gradients of <row, ys> with respect to all of xs, flat."""
    parts = np.split(row, np.cumsum([y.size for y in ys])[:-1])
    return flat([g.numpy() for g in pulled_back(ys, xs, [like(p, y) for p, y in zip(parts, ys, strict=True)], False)])
