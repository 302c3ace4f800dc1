"""Transforms of functions: grad, value_and_grad, vjp, jvp, jacobian, hessian, hvp.

They compose to any order, because each of them only runs the function and the sweep. The result of a transform is
connected to whatever tracked tensors the function met, its arguments and those it closed over; where there are none (or
under `no_grad`) the sweep runs on bare arrays. There is one set of rules: forward mode is the VJP, which is linear in
its cotangent, differentiated once more with respect to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from minigrad.core import MODES, Leaf, Node, Tensor, change, full_like, gradients, primitive, tensor
from minigrad.core.domains import reals
from minigrad.errors import DtypeError, GraphError, ShapeError
from minigrad.notation import as_is
from minigrad.ops.shape import put_part, stack

Function = Callable[..., Any]


@primitive(lambda g: g, show=as_is, samples=(reals,), c="{x}")
def alias(xp: Any, x: Any) -> Any:
    """x itself, as a place of its own in the graph: what a transform differentiates with respect to."""
    return x


class _Variables:
    """One argument as the tensors to differentiate with respect to, and how to put results in their places.

    A module stands for its parameters, by dotted name; tuples, lists and dicts keep their structure.
    """

    def __init__(self, value: Any, where: str) -> None:
        self.tensors: list[Tensor] = []
        self.own = True  # made here, so nothing outside can depend on them
        self.value = self._take(value, where)
        self._template = value

    def _take(self, value: Any, where: str) -> Any:
        if hasattr(value, "__differentiable__"):
            self.own = False
            self.tensors.extend(value.__differentiable__().values())
            return value
        if isinstance(value, (tuple, list)):
            taken = [self._take(v, f"{where}[{k}]") for k, v in enumerate(value)]
            return type(value)(*taken) if hasattr(value, "_fields") else type(value)(taken)
        if isinstance(value, dict):
            return {k: self._take(v, f"{where}[{k!r}]") for k, v in value.items()}
        if isinstance(value, Tensor) and value.requires_grad:
            variable = alias(value)
        else:
            variable = tensor(value)
            if variable.dtype.kind != "f":
                raise DtypeError(
                    f"{where}: only floats can be differentiated, this one is {variable.dtype}; write 2.0 for 2, or "
                    "use astype"
                )
            variable.requires_grad = True
        self.tensors.append(variable)
        return variable

    @staticmethod
    def parts(value: Any) -> list[Tensor]:
        """The tensors in a structure, in order."""
        if isinstance(value, Tensor):
            return [value]
        inside = value.values() if isinstance(value, dict) else value
        return [t for v in inside for t in _Variables.parts(v)]

    def rebuild(self, results: Iterator[Any]) -> Any:
        """The structure of the argument, with the next of `results` in each tensor's place."""
        return self._put(self._template, results)

    def _put(self, value: Any, results: Iterator[Any]) -> Any:
        if hasattr(value, "__differentiable__"):
            return {name: next(results) for name in value.__differentiable__()}
        if isinstance(value, (tuple, list)):
            put = [self._put(v, results) for v in value]
            return type(value)(*put) if hasattr(value, "_fields") else type(value)(put)
        if isinstance(value, dict):
            return {k: self._put(v, results) for k, v in value.items()}
        return next(results)


class _Run:
    """One evaluation of a function, ready to be differentiated with respect to some of its arguments."""

    def __init__(
        self, f: Function, args: Sequence[Any], kwargs: dict[str, Any], argnums: Sequence[int], has_aux: bool = False
    ) -> None:
        around = MODES.get()
        with change(recording=True, nested=around.nested + 1):
            self.variables = [_Variables(args[n], f"argument {n}") for n in argnums]
            called = list(args)
            for n, v in zip(argnums, self.variables, strict=True):
                called[n] = v.value
            out = f(*called, **kwargs)
        self.aux = None
        if has_aux:
            if not (isinstance(out, tuple) and len(out) == 2):
                raise TypeError("has_aux=True: the function must return a pair (value, aux)")
            out, self.aux = out
        if not isinstance(out, Tensor):
            raise TypeError(f"the function must return a Tensor to be differentiated, it returned {type(out).__name__}")
        self.y = out
        self.xs = [x for v in self.variables for x in v.tensors]
        self.connected = around.recording and self._meets_others(around.nested > 0)

    def _meets_others(self, nested: bool) -> bool:
        """Whether the result depends on tracked tensors besides the variables made here."""
        mine = {x._node for v in self.variables if v.own or not nested for x in v.tensors}
        seen: set[Node] = set()
        stack = [n for n in (self.y._node, *(x._node for x in self.xs)) if n is not None]
        while stack:
            node = stack.pop()
            if node in seen:
                continue
            seen.add(node)
            if isinstance(node, Leaf) and node not in mine:
                return True
            stack.extend(p for p in node.parents if p is not None)
        return False

    def value(self) -> Tensor:
        return self.y if self.connected else self.y.detach()

    def pull(self, cotangent: Any = None, *, graph: bool = False, retain: bool = False) -> list[Tensor]:
        """The gradients of the result with respect to each variable; zeros where it does not depend on one."""
        graph = graph or self.connected
        if self.y._node is None:
            found: tuple[Tensor | None, ...] = (None,) * len(self.xs)
        else:
            found = gradients(
                self.y,
                self.xs,
                cotangent=cotangent,
                create_graph=graph,
                retain_graph=graph or retain,
                allow_unused=True,
            )
        return [
            full_like(x.detach(), value=0, shape=x.shape, dtype=x.dtype) if g is None else g
            for g, x in zip(found, self.xs, strict=True)
        ]

    def rebuild(self, results: Sequence[Any]) -> list[Any]:
        following = iter(results)
        return [v.rebuild(following) for v in self.variables]


def _positions(argnums: int | Sequence[int], args: Sequence[Any], name: str) -> tuple[int, ...]:
    many = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    for n in many:
        if not isinstance(n, int) or not -len(args) <= n < len(args):
            raise TypeError(
                f"{name}: argnums={argnums!r}, but the function was called with {len(args)} positional arguments"
            )
    out = tuple(n % len(args) for n in many)
    if len({*out}) != len(out):
        raise TypeError(f"{name}: argnums={argnums!r} names an argument twice, and its gradient would be in one only")
    return out


def value_and_grad(f: Function, argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Function:
    """A function that returns `(f(…), gradient)`; see `grad`. With `has_aux`, `((value, aux), gradient)`.

    Example:
        >>> import minigrad as mg
        >>> mg.value_and_grad(lambda x: x * x)(3.0)
        (tensor(9.), tensor(6.))
    """

    def transformed(*args: Any, **kwargs: Any) -> Any:
        run = _Run(f, args, kwargs, _positions(argnums, args, "value_and_grad"), has_aux)
        if run.y.size != 1:
            raise ShapeError(
                f"grad: the function returned shape {run.y.shape}, not a single element; use jacobian or vjp, or "
                "reduce with .sum()"
            )
        parts = run.rebuild(run.pull())
        result = parts[0] if isinstance(argnums, int) else tuple(parts)
        return ((run.value(), run.aux) if has_aux else run.value()), result

    return transformed


def grad(f: Function, argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Function:
    """The gradient of a function with a single-element result, as a function of the same arguments.

    Args:
        f: takes tensors, arrays, numbers, modules, or tuples, lists and dicts of them, and returns a Tensor.
        argnums: the position of the argument to differentiate with respect to, or several. The gradient has the
        structure
            of that argument; for a module it is a dict of dotted parameter names.
        has_aux: `f` returns `(value, aux)`; then `(gradient, aux)` is returned.

    Raises:
        ShapeError: the result has more than one element.
        DtypeError: an integer argument.

    Example:
        >>> import minigrad as mg
        >>> mg.grad(mg.grad(lambda x: x * x * x))(2.0)
        tensor(12.)
    """
    with_value = value_and_grad(f, argnums, has_aux)

    def transformed(*args: Any, **kwargs: Any) -> Any:
        value, gradient = with_value(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return transformed


def vjp(f: Function, *primals: Any) -> tuple[Tensor, Callable[[Any], tuple[Any, ...]]]:
    """`f(*primals)` and a function from a cotangent of the result to the cotangents of all primals.

    Example:
        >>> import minigrad as mg
        >>> y, pull = mg.vjp(lambda x: x * x, mg.tensor([1.0, 2.0]))
        >>> pull(mg.tensor([1.0, 10.0]))
        (tensor([ 2., 40.]),)
    """
    run = _Run(f, primals, {}, range(len(primals)))

    def pull(cotangent: Any) -> tuple[Any, ...]:
        tracked = isinstance(cotangent, Tensor) and cotangent.requires_grad and MODES.get().recording
        return tuple(run.rebuild(run.pull(cotangent, graph=tracked, retain=True)))

    return run.value(), pull


def jvp(f: Function, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Tensor, Tensor]:
    """`f(*primals)` and its derivative in the direction of `tangents`, which have the structure of `primals`.

    Example:
        >>> import minigrad as mg
        >>> mg.jvp(lambda x: x * x, [3.0], [1.0])
        (tensor(9.), tensor(6.))
    """
    run = _Run(f, primals, {}, range(len(primals)))
    directions = _directions(run, tangents)
    dummy = full_like(run.y.detach(), value=0, shape=run.y.shape, dtype=run.y.dtype)
    dummy.requires_grad = True
    total = _inner(run.pull(dummy, graph=True), directions)
    connected = run.connected or (MODES.get().recording and any(t.requires_grad for t in directions))
    (dy,) = gradients(total, [dummy], create_graph=connected, allow_unused=True) if total.requires_grad else (None,)
    return run.value(), full_like(run.y.detach(), value=0, shape=run.y.shape, dtype=run.y.dtype) if dy is None else dy


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
    several = tuple(range(len(primals)))

    def slope(*args: Any) -> Tensor:
        run = _Run(f, args, {}, several)
        return _inner(run.pull(graph=True), _directions(run, tangents))

    out = grad(slope, several)(*primals)
    return out[0] if len(primals) == 1 else out


def _directions(run: _Run, tangents: Sequence[Any]) -> list[Tensor]:
    """The tangents as a flat list of tensors that match the variables."""
    if len(tangents) != len(run.variables):
        raise TypeError(f"tangents: {len(tangents)} given for {len(run.variables)} primals")
    primals = [v.value for v in run.variables]
    flat = [t for k, (p, t) in enumerate(zip(primals, tangents, strict=True)) for t in _beside(p, t, f"tangents[{k}]")]
    if [t.shape for t in flat] != [x.shape for x in run.xs]:
        raise ShapeError(
            f"tangents: shapes {[t.shape for t in flat]} must be those of the primals, {[x.shape for x in run.xs]}"
        )
    return flat


def _beside(primal: Any, tangent: Any, where: str) -> list[Tensor]:
    """The tensors of a tangent in the order of those of its primal: by name where the primal has names."""
    if hasattr(primal, "__differentiable__"):
        primal = primal.__differentiable__()
    if isinstance(primal, dict):
        if not isinstance(tangent, dict) or set(tangent) != set(primal):
            given = [*tangent] if isinstance(tangent, dict) else type(tangent).__name__
            raise TypeError(f"{where}: the primal has the names {[*primal]}, this has {given}")
        return [t for k, p in primal.items() for t in _beside(p, tangent[k], f"{where}[{k!r}]")]
    if isinstance(primal, (tuple, list)):
        if not isinstance(tangent, (tuple, list)) or len(tangent) != len(primal):
            raise TypeError(f"{where}: the primal is a {type(primal).__name__} of {len(primal)}, this is {tangent!r}")
        return [t for k, p in enumerate(primal) for t in _beside(p, tangent[k], f"{where}[{k}]")]
    return [tangent if isinstance(tangent, Tensor) else tensor(tangent)]


def _inner(gs: Sequence[Tensor], ts: Sequence[Tensor]) -> Tensor:
    total = (gs[0] * ts[0]).sum()
    for g, t in zip(gs[1:], ts[1:], strict=True):
        total = total + (g * t).sum()
    return total


def jacobian(f: Function, argnums: int | Sequence[int] = 0) -> Function:
    """The matrix of all partial derivatives: a function that returns shape (*result.shape, *argument.shape), one sweep
    per element of the result.

    Example:
        >>> import minigrad as mg
        >>> mg.jacobian(lambda x: x * x)(mg.tensor([1.0, 2.0]))
        tensor([[2., 0.],
                [0., 4.]])
    """

    def transformed(*args: Any, **kwargs: Any) -> Any:
        run = _Run(f, args, kwargs, _positions(argnums, args, "jacobian"))
        shape, size = run.y.shape, run.y.size
        if size == 0:
            raise GraphError(f"jacobian: the function returned shape {shape}, which has no elements")
        ones = full_like(run.y.detach(), value=1, shape=(1,), dtype=run.y.dtype)
        rows = [run.pull(_unit(ones, k, size, shape), retain=True) for k in range(size)]
        columns = [stack(column).reshape(*shape, *column[0].shape) for column in zip(*rows, strict=True)]
        parts = run.rebuild(columns)
        return parts[0] if isinstance(argnums, int) else tuple(parts)

    return transformed


def _unit(one: Tensor, k: int, size: int, shape: tuple[int, ...]) -> Tensor:
    return put_part(one, axis=0, start=k, stop=k + 1, size=size).reshape(shape)


def hessian(f: Function, argnums: int = 0) -> Function:
    """All second derivatives of a single-element function: the jacobian of its gradient.

    Where the argument is a tuple, a list, a dict or a module, so is the result, and again each of its parts: the one at
    [i][j] has shape (*part i's, *part j's).

    Example:
        >>> import minigrad as mg
        >>> mg.hessian(lambda x: (x * x * x).sum())(mg.tensor([1.0, 2.0]))
        tensor([[ 6.,  0.],
                [ 0., 12.]])
    """
    if not isinstance(argnums, int):
        raise TypeError("hessian: argnums must be one position; pass the arguments as one tuple to mix them")
    slope = grad(f, argnums)

    def transformed(*args: Any, **kwargs: Any) -> Any:
        (at,) = _positions(argnums, args, "hessian")
        whole = _Variables(args[at], f"argument {at}")
        if isinstance(whole.value, Tensor):
            return jacobian(slope, at)(*args, **kwargs)

        def part(k: int) -> Function:
            return lambda *args, **kwargs: _Variables.parts(slope(*args, **kwargs))[k]

        return whole.rebuild(iter([jacobian(part(k), at)(*args, **kwargs) for k in range(len(whole.tensors))]))

    return transformed
