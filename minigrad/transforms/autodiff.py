"""Transforms of functions: grad, value_and_grad, vjp, jvp, jacobian, hessian, hvp.

They compose to any order, because each of them only runs the function and the sweep. The result of a transform is
connected to whatever tracked tensors the function met, its arguments and those it closed over; where there are none (or
under `no_grad`) the sweep runs on bare arrays. There is one set of rules: forward mode is the VJP, which is linear in
its cotangent, differentiated once more with respect to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, SupportsIndex, TypeAlias

from minigrad.core import MODES, Tensor, change, full_like, gradients, integers
from minigrad.core.gradients import zeros_as
from minigrad.errors import ArgumentTypeError
from minigrad.ops.joining import put_part, stack
from minigrad.transforms.evaluation import Evaluation, Function
from minigrad.transforms.structures import beside, mapped

Positions: TypeAlias = "SupportsIndex | Iterable[SupportsIndex]"


def _positions(argnums: Positions, args: Sequence[Any], name: str) -> tuple[int, ...]:
    many = integers(argnums, "argnums", name)
    if any(not -len(args) <= n < len(args) for n in many):
        raise ArgumentTypeError(
            f"{name}: argnums={argnums!r}, but the function was called with {len(args)} positional arguments"
        )
    out = tuple(n % len(args) for n in many)
    if len({*out}) != len(out):
        raise ArgumentTypeError(
            f"{name}: argnums={argnums!r} names an argument twice, and its gradient would be in one only"
        )
    return out


def _function(f: Any, name: str) -> None:
    if not callable(f):
        raise ArgumentTypeError(f"{name}: f is a {type(f).__name__}; give the function itself, mg.{name}(f)(x)")


def _results(parts: list[Any], argnums: Positions) -> Any:
    """One result for one position, a tuple for several."""
    return tuple(parts) if isinstance(argnums, Iterable) else parts[0]


def value_and_grad(f: Function, argnums: Positions = 0, has_aux: bool = False) -> Function:
    """A function that returns `(f(…), gradient)`; see `grad`. With `has_aux`, `((value, aux), gradient)`.

    Example:
        >>> import minigrad as mg
        >>> mg.value_and_grad(lambda x: x * x)(3.0)
        (tensor(9.), tensor(6.))
    """
    _function(f, "value_and_grad")

    def transformed(*args: Any, **kwargs: Any) -> Any:
        run = Evaluation(f, args, kwargs, _positions(argnums, args, "value_and_grad"), has_aux=has_aux)
        result = _results(run.rebuild(run.pull([run.one()])), argnums)
        return ((run.value(), run.aux) if has_aux else run.value()), result

    return transformed


def grad(f: Function, argnums: Positions = 0, has_aux: bool = False) -> Function:
    """The gradient of a function with a single-element result, as a function of the same arguments.

    Where the result does not depend on an argument its gradient is 0. It does not depend on what was cut off on
    purpose (`item`, `numpy`, `detach`, `stop_gradient`, under `no_grad`); what would cut it off unasked is an error.

    Args:
        f: takes tensors, arrays, numbers, modules, or tuples, lists and dicts of them (None stands for nothing), and
            returns a Tensor.
        argnums: the position of the argument to differentiate with respect to, or several: each is a variable of its
            own, also where the same tensor is given for two. The gradient has the structure of that argument; for a
            module it is a dict of dotted parameter names.
        has_aux: `f` returns `(value, aux)`; then `(gradient, aux)` is returned. aux may be anything; tensors in it
            (and in tuples, lists and dicts of it) come back as plain values, not tracked by this transform. What they
            owe to tracked tensors from outside of it stays differentiable: to those that `f` closes over, and inside
            another transform to the variables of that one.

    Raises:
        ShapeError: the result has more than one element.
        DtypeError: an integer argument.
        ArgumentError: a module that is given twice, or shares a parameter with another argument.

    Example:
        >>> import minigrad as mg
        >>> mg.grad(mg.grad(lambda x: x * x * x))(2.0)
        tensor(12.)
        >>> mg.grad(lambda x: (x * x, {"double": 2 * x}), has_aux=True)(3.0)
        (tensor(6.), {'double': tensor(6.)})
    """
    _function(f, "grad")
    with_value = value_and_grad(f, argnums, has_aux)

    def transformed(*args: Any, **kwargs: Any) -> Any:
        value, gradient = with_value(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return transformed


def vjp(f: Function, *primals: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """`f(*primals)` and a function from a cotangent of the result to the cotangents of all primals.

    The result may be a tuple, a list or a dict of tensors; the cotangent then has its structure, with None for zeros.

    Example:
        >>> import minigrad as mg
        >>> y, pull = mg.vjp(lambda x: x * x, mg.tensor([1.0, 2.0]))
        >>> pull(mg.tensor([1.0, 10.0]))
        (tensor([ 2., 40.]),)
    """
    _function(f, "vjp")
    run = Evaluation(f, primals, {}, range(len(primals)))

    def pull(cotangent: Any) -> tuple[Any, ...]:
        given = [c for _, c, _ in beside(run.out, cotangent, "cotangent")]
        tracked = MODES.get().recording and any(isinstance(c, Tensor) and c.requires_grad for c in given)
        return tuple(run.rebuild(run.pull(given, graph=tracked, retain=True)))

    return run.value(), pull


def jvp(f: Function, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """`f(*primals)` and its derivative in the direction of `tangents`, which have the structure of `primals`.

    Where the result is a tuple, a list or a dict of tensors, so is its derivative.

    Example:
        >>> import minigrad as mg
        >>> mg.jvp(lambda x: x * x, [3.0], [1.0])
        (tensor(9.), tensor(6.))
    """
    _function(f, "jvp")
    run = Evaluation(f, primals, {}, range(len(primals)), tangents=tangents)
    connected = run.connected or (MODES.get().recording and any(t.requires_grad for t in run.directions))
    dummies = [zeros_as(y) if y._node is not None else None for y in run.ys]
    wanted = [d for d in dummies if d is not None]
    found: Sequence[Tensor | None] = [None] * len(wanted)
    with change(recording=True):  # what is differentiated once more, whatever is recorded around this call
        for dummy in wanted:
            dummy.requires_grad = True
        total = _inner(run.pull(dummies, graph=True), run.directions)
        if total is not None and total.requires_grad:
            found = gradients(total, wanted, create_graph=connected, allow_unused=True)
    slopes = iter(found)
    dys = [None if d is None else next(slopes) for d in dummies]
    following = iter([zeros_as(y) if dy is None else dy for y, dy in zip(run.ys, dys, strict=True)])
    return run.value(), mapped(run.out, lambda y, _: next(following))


def hvp(f: Function, primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """The Hessian of a single-element function times `tangents`, without the Hessian: the gradient of <grad f,
    tangents>.

    Returns:
        The structure of the primal, a tuple of them when there are several.

    Example:
        >>> import minigrad as mg
        >>> mg.hvp(lambda x: (x * x * x).sum(), [mg.tensor([1.0, 2.0])], [mg.tensor([1.0, 0.0])])
        tensor([6., 0.])
    """
    _function(f, "hvp")
    several = tuple(range(len(primals)))

    def slope(*args: Any) -> Tensor:
        run = Evaluation(f, args, {}, several, tangents=tangents)
        one = run.one()
        total = _inner(run.pull([one], graph=True), run.directions)
        return one * 0 if total is None else total

    out = grad(slope, several)(*primals)
    return out[0] if len(primals) == 1 else out


def _inner(gs: Sequence[Tensor], ts: Sequence[Tensor]) -> Tensor | None:
    """The sum of all products; None of nothing."""
    total: Tensor | None = None
    for g, t in zip(gs, ts, strict=True):
        part = (g * t).sum()
        total = part if total is None else total + part
    return total


def jacobian(f: Function, argnums: Positions = 0) -> Function:
    """The matrix of all partial derivatives: a function that returns shape (*result.shape, *argument.shape), one sweep
    per element of the result.

    Where the result is a tuple, a list or a dict of tensors, so is the jacobian, and each of its parts has the
    structure of the argument.

    Example:
        >>> import minigrad as mg
        >>> mg.jacobian(lambda x: x * x)(mg.tensor([1.0, 2.0]))
        tensor([[2., 0.],
                [0., 4.]])
    """
    _function(f, "jacobian")

    def transformed(*args: Any, **kwargs: Any) -> Any:
        run = Evaluation(f, args, kwargs, _positions(argnums, args, "jacobian"))
        of_each = iter([_results(run.rebuild(_rows(run, k)), argnums) for k in range(len(run.ys))])
        return mapped(run.out, lambda y, _: next(of_each))

    return transformed


def _rows(run: Evaluation, k: int) -> list[Tensor]:
    """The jacobian of result number k with respect to each variable."""
    y = run.ys[k]
    if y.size == 0:
        like = y.detach()
        return [full_like(like, value=0, shape=(*y.shape, *x.shape), dtype=x.dtype) for x in run.xs]
    one = full_like(y.detach(), value=1, shape=(1,), dtype=y.dtype)
    others: list[Any] = [None] * len(run.ys)
    rows = []
    for i in range(y.size):
        others[k] = put_part(one, axis=0, start=i, stop=i + 1, size=y.size).reshape(y.shape)
        rows.append(run.pull(others, retain=True))
    return [stack(column).reshape(*y.shape, *column[0].shape) for column in zip(*rows, strict=True)]


def hessian(f: Function, argnums: SupportsIndex = 0) -> Function:
    """All second derivatives of a single-element function: the jacobian of its gradient.

    Where the argument is a tuple, a list, a dict or a module, so is the result, and again each of its parts: the one at
    [i][j] has shape (*part i's, *part j's).

    Example:
        >>> import minigrad as mg
        >>> mg.hessian(lambda x: (x * x * x).sum())(mg.tensor([1.0, 2.0]))
        tensor([[ 6.,  0.],
                [ 0., 12.]])
    """
    _function(f, "hessian")
    if isinstance(argnums, Iterable):
        raise ArgumentTypeError("hessian: argnums must be one position; pass the arguments as one tuple to mix them")
    return jacobian(grad(f, argnums), argnums)
