"""G9: every fault that can be put into a rule is found, but for those that change nothing, each with the reason.

A fault is found when a check fails on it: first gradients (G1), beside Python numbers too; the table of kinks (G8); the
adjoint identity (G3) and second gradients (G2). A primitive is in this table by being declared.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import pytest
from faults import engine
from kinks import TABLE, as_documented
from mutants import Fault, compiled, declared, faulty, tree_of, variants
from tables import FLAT, OPS, TRACKED, beside_numbers, points, with_rule

import minigrad as mg


class Same(NamedTuple):
    """Primitives, a fault in their rules that changes no gradient, and why."""

    names: str
    text: str
    why: str


ZERO = "zeros remain zeros, and the engine sums them back to the shape of the input"
ENGINE_CASTS = "the engine casts a cotangent to the dtype of its input"
FREE = "any number but 0 does: what is divided by it there is 0, or is replaced"
AGAIN = "a reshape to the shape that it has already changes nothing"
EMPTY = "another slice of an empty axis is empty, too"
DIAGONAL = "only the diagonal of it is used"

EQUIVALENT = [
    Same(" ".join(FLAT), "-zeros(g)", ZERO),
    Same(" ".join(FLAT), "1.0001 * zeros(g)", ZERO),
    Same(" ".join(FLAT), "zeros(y)", ZERO),
    Same(" ".join(FLAT[:-1]), "zeros(x)", ZERO),
    Same("floor_divide", "zeros(a)", ZERO),
    Same("floor_divide", "zeros(b)", ZERO),
    Same(" ".join(FLAT), "zeros: return -full_like(like, value=0, shape=like.shape, dtype=like.dtype)", ZERO),
    Same(" ".join(FLAT), "zeros: return 1.0001 * full_like(like, value=0, shape=like.shape, dtype=like.dtype)", ZERO),
    Same("sum sum_of_squares max min prod", "spread: if len(g.shape) != shape:", AGAIN),
    Same("sum sum_of_squares max min prod", "spread: if g.shape != len(shape):", AGAIN),
    Same("sum_of_squares prod", "spread: return g", "the product that follows repeats it"),
    Same("prod", "_others: back = sorted(range(len(order)), key=order.__getitem__)", "axes in a list"),
    Same(
        "prod", "_before: return -concat([part, one] if reverse else [one, part], axis)", "two of them are multiplied"
    ),
    Same(
        "prod",
        "_before: one = full_like(y, value=1, shape=(*y.shape[:axis], first, *y.shape[axis + 2:]), dtype=y.dtype)",
        "it is the last axis",
    ),
    Same(
        "prod cumprod",
        "_before: part = take_part(y, axis=axis, start=first if reverse else 0, stop=n if reverse else n - 1)",
        EMPTY,
    ),
    Same("cumprod", "_before: first = 1", EMPTY),
    Same("cumprod recurrence", "_shifted: first, last = (min(1, n), n - 1)", EMPTY),
    Same("cumprod recurrence", "_shifted: first, last = (1, max(n - 1, 0))", EMPTY),
    Same("max min", "spread: return g", "the comparison with x and the mask repeat it"),
    Same("max min", "ties = sum_(where_is, axes=axes, keepdims=keepdims)", ENGINE_CASTS),
    Same("max min", "ties = sum_(astype(where_is, x.dtype), axes=axes, keepdims=keepdims)", ENGINE_CASTS),
    Same("max min", "ties = sum_(astype(where_is, y.dtype), axes=axes, keepdims=keepdims)", ENGINE_CASTS),
    Same("cast", "g", ENGINE_CASTS),
    Same("cast", "cast(g, dtype=y.dtype)", ENGINE_CASTS),
    Same("permute_dims", "permute_dims_(g, axes=sorted(range(len(axes)), key=axes.__getitem__))", "axes in a list"),
    Same("hypot", "_length: return y - equal(y, 0)", FREE),
    Same("atan2", "_radius: return r - equal(r, 0)", FREE),
    Same("atan2", "_radius: return -(r + equal(r, 0))", "it is used twice"),
    Same("atan2", "g * (b / _radius(b, a)) / _radius(a, b)", "a distance from the origin"),
    Same("atan2", "g * (b / _radius(a, b)) / _radius(b, a)", "a distance from the origin"),
    Same("atan2", "-(g * (a / _radius(b, a)) / _radius(a, b))", "a distance from the origin"),
    Same("atan2", "-(g * (a / _radius(a, b)) / _radius(b, a))", "a distance from the origin"),
    Same("power", "_lowered: return power(where(logical_and(equal(a, 0), equal(b, 0)), 2.0, a), b - 1.0)", FREE),
    Same("logaddexp", "g * sigmoid(_apart(a, b, a))", "equal to b, a is infinite where y is"),
    Same("logaddexp", "g * sigmoid(_apart(b, a, b))", "equal to a, b is infinite where y is"),
    Same(
        "logaddexp",
        "_apart: same = logical_and(equal(a, b), isinf(a))",
        "equal to b, a is infinite where y is",
    ),
    Same(
        "where",
        "_not: return 1.0001 * "
        "(not condition if isinstance(condition, (bool, int, float)) else logical_not(condition))",
        "a mask is what is not 0",
    ),
    Same("maximum", "keep(g, logical_or(y > b, isnan(a))) + keep(0.5 * g, a == b)", "y > b exactly where a > b"),
    Same("maximum", "keep(g, logical_or(y > a, isnan(b))) + keep(0.5 * g, a == b)", "y > a exactly where b > a"),
    Same("minimum", "keep(g, logical_or(y < b, isnan(a))) + keep(0.5 * g, a == b)", "y < b exactly where a < b"),
    Same("minimum", "keep(g, logical_or(y < a, isnan(b))) + keep(0.5 * g, a == b)", "y < a exactly where b < a"),
    Same("clip", "keep(keep(g, y > low), x < high)", "y > low exactly where x > low, with low < high"),
    Same("clip", "keep(keep(g, x > low), y < high)", "y < high exactly where x < high, with low < high"),
    Same("clip", "keep(keep(g, x < y), low <= high)", "x < y exactly where x < low, with low <= high"),
    Same("clip", "keep(keep(g, x < low), low <= y)", "low <= y exactly where low <= high"),
    Same("clip", "keep(g, logical_or(x > y, low > high))", "x > y exactly where x > high, with low <= high"),
    Same("clip", "keep(g, logical_or(x > high, low > y))", "low > y exactly where low > high"),
    Same("eigh", "inner = where(diagonal, expand_dims(gw, -1), inner / where(diagonal, 2.0, gaps))", FREE),
    Same("eigh", "inner = where(diagonal, expand_dims(gw, -2), inner / where(diagonal, 1.0, gaps))", DIAGONAL),
    Same("eigh", "inner = where(diagonal, expand_dims(gw, 1), inner / where(diagonal, 1.0, gaps))", DIAGONAL),
    Same(
        "pad",
        "sliced(g, spec=tuple((('slice', a, a + n, None) for (a, _), n in zip(widths, like.shape))))",
        "as many widths as axes, which the forward has seen to",
    ),
    Same(
        "pad",
        "sliced(g, spec=tuple((('slice', a, a + n, None) for (a, _), n in zip(widths, like.shape, strict=False))))",
        "as many widths as axes, which the forward has seen to",
    ),
]
POINTS, NIGHTLY, FEW = 60, 500, 5

Check = Callable[..., Any]


def orders(op: Any, how_many: int) -> Iterator[Check]:
    """First gradients at a few points, kinks, first gradients at more points, and then second ones and the adjoint."""
    name = op.name.removesuffix("_mutant")
    if name in MORE:
        yield lambda: MORE[name](op)
    plan = [(FEW, 0, 1, 1e-6), (how_many, FEW, 1, 1e-6), (how_many // 5, 0, 2, 1e-5)]
    for n, skipped, order, rtol in plan:
        for k, (args, params) in enumerate(points(op, n, seed=zlib.crc32(op.name.encode()) + order)):
            if k < skipped:
                continue
            floats = [a for k, a in enumerate(args) if op.pull_for(k)[0] is not None]
            f = mg.check.differentiable(op, args, params)
            yield lambda: mg.check.gradients(f, *floats, order=order, rtol=rtol)
            if order == 2:
                yield lambda: mg.check.adjoint(f, *floats)
        if op.kind == "map" and not skipped:
            for g, x in beside_numbers(op):
                yield lambda: mg.check.gradients(g, x, order=order, rtol=rtol)
        if op.kind == "map" and not skipped and order == 1:
            yield from kinks(name, op.call)


def crossing(op: Any) -> None:
    """A cotangent goes back to where the input is, and its own goes on to where the result is."""
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    away = "fakecupy" if x.device == "numpy" else "numpy"
    u = mg.tensor([3.0, 5.0], device=away, requires_grad=True)
    (gx,) = mg.gradients(op.call(x, device=away, source=x.device), [x], cotangent=u, create_graph=True)
    (gu,) = mg.gradients(gx, [u], cotangent=mg.tensor([7.0, 8.0]))
    assert (gx.device, gx.tolist(), gu.device, gu.tolist()) == (x.device, [3.0, 5.0], away, [7.0, 8.0])


def mixed(at: tuple[float, float], expected: float) -> Check:
    """The mixed second derivative at a point that no sample hits, in both orders."""

    def check(op: Any) -> None:
        for i, k in ((0, 1), (1, 0)):
            found = mg.grad(lambda *xs, i=i: mg.grad(op.call, i)(*xs), k)(*map(mg.tensor, at))
            assert found.item() == expected

    return check


MORE: dict[str, Check] = {  # what samples cannot show: theirs stay on one device, and are apart
    "transfer": crossing,
    "power": mixed((2.0, 0.0), 0.5),
    "logaddexp": mixed((3.0, 3.0), -0.25),
}


def kinks(name: str, function: Callable[..., Any] | None = None) -> Iterator[Check]:
    """The documented derivatives; of `function` in place of the one of that name, if it is given."""

    def check(**how: Any) -> None:
        assert as_documented(kink, "float64", function, **how)

    for kink in TABLE:
        if function is None or kink.name == name:
            yield check
            if len(kink.at) == 2:
                yield lambda: check(numbers=True)


def fails(checks: Iterable[Check]) -> bool:
    """Whether one of the checks fails; a rule that raises has failed, but one that misses a name is our own fault."""
    for check in checks:
        try:
            check()
        except NameError:
            raise
        except Exception:
            return True
    return False


def found(op: Any, fault: Fault, how_many: int) -> bool:
    with declared(op, fault) as mutant:
        if fails(orders(mutant, how_many)):
            return True
    if asks(fault.rule) != asks(op.rules[fault.k]):
        return False
    with with_rule(op, fault.k, fault.rule):  # in its place, where functions that are made of it use it
        return fails(kinks(op.name))


def asks(rule: Any) -> tuple[str, ...]:
    return tuple(rule.__code__.co_varnames[: rule.__code__.co_argcount])


@pytest.mark.parametrize("name", TRACKED)
def test_every_fault_in_a_rule_is_found(name: str, nightly: bool) -> None:
    op, faults = OPS[name], list(faulty(OPS[name]))
    assert {f.k for f in faults} == {k for k, rule in enumerate(op.rules) if rule is not None}, "no source found"
    known = {same.text for same in EQUIVALENT if name in same.names.split()}
    many = NIGHTLY if nightly else POINTS
    survivors = {f.text for f in faults if not found(op, f, FEW if f.text in known and not nightly else many)}
    assert sorted(survivors - known) == [], "mend the samples, the kinks or the rule, or say in EQUIVALENT why not"
    assert sorted(known - survivors) == [], "in EQUIVALENT, but found, or no fault of this rule any more"


def test_every_fault_in_summing_back_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """What all rules share: the sum over the axes along which an input was repeated."""
    right, survivors = engine.unbroadcast, []
    for text, tree in variants(tree_of(right)):
        monkeypatch.setattr(engine, "unbroadcast", compiled(tree, right, vars(engine)))
        if not fails(orders(OPS["add"], POINTS)):
            survivors.append(text)
    assert sorted(survivors) == [  # the reshape that follows takes away what is kept
        "g = sum_(g, axes=axes)",
        "g = sum_(g, axes=axes, keepdims=True)",
    ]
