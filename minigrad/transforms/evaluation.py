"""One evaluation of a function, ready to be differentiated: its variables, its results, and what it met besides.

Each argument position is variables of its own, also where one tensor is given twice. A module cannot be two: its
parameters are used as they are, so it may be given once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from minigrad.core import (
    MODES,
    Leaf,
    Tensor,
    change,
    full_like,
    primitive,
    tensor,
)
from minigrad.core.domains import reals
from minigrad.core.gradients import gradients_of_several, zeros_as
from minigrad.core.node import TapeNode
from minigrad.errors import ArgumentError, ArgumentTypeError, DtypeError, ShapeError
from minigrad.notation import as_is
from minigrad.transforms.structures import beside, leaves, mapped

Function = Callable[..., Any]


@primitive(lambda g: g, show=as_is, samples=(reals,), c="{x}")
def alias(xp: Any, x: Any) -> Any:
    """x itself, as a place of its own in the graph: what a transform differentiates with respect to."""
    return x


class Variables:
    """One argument as the tensors to differentiate with respect to, and how to put results in their places.

    A module stands for its parameters, by dotted name; tuples, lists and dicts keep their structure.
    """

    def __init__(self, value: Any, where: str) -> None:
        self.tensors: list[Tensor] = []
        self.own: list[Tensor] = []  # those of them that were made here, so that nothing outside can depend on them
        self.modules: list[tuple[str, Any]] = []  # whose parameters are leaves that others can reach, too
        self.template = value
        self.value = mapped(value, self._take, where)

    def _take(self, value: Any, where: str) -> Any:
        if hasattr(value, "__differentiable__"):
            self.modules.append((where, value))
            self.tensors.extend(value.__differentiable__().values())
            return value
        if isinstance(value, Tensor) and value.requires_grad:
            variable = alias(value)
        else:
            variable = tensor(value)
            if variable.dtype.kind != "f":
                raise DtypeError(
                    f"{where}: only floats can be differentiated, this one is {variable.dtype}; write 2.0 for 2, use "
                    "astype, or let the function close over what is no variable: lambda x: f(x, labels)"
                )
            variable.requires_grad = True
        self.tensors.append(variable)
        self.own.append(variable)
        return variable

    def rebuild(self, results: Iterator[Any]) -> Any:
        """The structure of the argument, with the next of `results` in each tensor's place."""

        def put(value: Any, where: str) -> Any:
            if hasattr(value, "__differentiable__"):
                return {name: next(results) for name in value.__differentiable__()}
            return next(results)

        return mapped(self.template, put)


def _apart(variables: Sequence[Variables], args: Sequence[Any], kwargs: dict[str, Any], own: Iterable[int]) -> None:
    """Refuse a parameter of a module that the function is given by another way as well: its gradient would count both.

    Raises:
        ArgumentError: the same module, or a module that shares a parameter, or the parameter itself, twice.
    """
    seen: dict[int, str] = {}
    for v in variables:
        for where, module in v.modules:
            for name, p in module.__differentiable__().items():
                here = f"{where}, {name!r}"
                if seen.setdefault(id(p), here) != here:
                    raise _twice(seen[id(p)], here)
    if not seen:
        return
    others: list[tuple[str, Any]] = [(f"argument {n}", a) for n, a in enumerate(args) if n not in {*own}]
    others += [(f"argument {k!r}", a) for k, a in kwargs.items()]
    others += [(f"argument {n}", v.template) for n, v in zip(own, variables, strict=True)]
    for k, (where, value) in enumerate(others):
        for leaf in leaves(value):
            module = hasattr(leaf, "__differentiable__")
            if module and k >= len(others) - len(variables):
                continue  # the modules of the variables themselves
            for t in leaf.__differentiable__().values() if module else (leaf,):
                if id(t) in seen:
                    raise _twice(seen[id(t)], where)


def _twice(first: str, second: str) -> ArgumentError:
    return ArgumentError(
        f"{first} of a module is in {second} as well, and its gradient would count the uses of both; give it once, or "
        "copy.deepcopy one of the two"
    )


class Evaluation:
    """One evaluation of a function, ready to be differentiated with respect to some of its arguments."""

    def __init__(
        self,
        f: Function,
        args: Sequence[Any],
        kwargs: dict[str, Any],
        argnums: Sequence[int],
        *,
        has_aux: bool = False,
        tangents: Sequence[Any] | None = None,
    ) -> None:
        around = MODES.get()
        with change(recording=True, nested=around.nested + 1):
            self.variables = [Variables(args[n], f"argument {n}") for n in argnums]
            self.xs = [x for v in self.variables for x in v.tensors]
            _apart(self.variables, args, kwargs, argnums)
            self.directions = [] if tangents is None else self._directions(tangents)  # all is said before f runs
            called = list(args)
            for n, v in zip(argnums, self.variables, strict=True):
                called[n] = v.value
            with change(variables=around.variables | {x._node for x in self.xs}):
                out = f(*called, **kwargs)
        self.aux = None
        if has_aux:
            if not (isinstance(out, tuple) and len(out) == 2):
                raise ArgumentTypeError("has_aux=True: the function must return a pair (value, aux)")
            out, self.aux = out
        self.out, self.ys = out, list(leaves(out))
        for y in self.ys:
            if not isinstance(y, Tensor):
                raise ArgumentTypeError(
                    f"the function must return a Tensor to be differentiated, it returned {type(y).__name__}"
                )
        self._mine = {x._node for v in self.variables for x in (v.own if around.nested else v.tensors)}
        self._recording = around.recording
        self.connected = self._recording and self._meets_others([*self.ys, *self.xs])
        self._aux_connected = False
        self.aux = mapped(self.aux, self._aux)

    def _meets_others(self, tensors: Iterable[Tensor]) -> bool:
        """Whether these depend on tracked tensors besides the variables made here."""
        seen: set[TapeNode] = set()
        stack = [t._node for t in tensors if t._node is not None]
        while stack:
            node = stack.pop()
            if node in seen:
                continue
            seen.add(node)
            if isinstance(node, Leaf) and node not in self._mine:
                return True
            stack.extend(p for p in node.parents if p is not None)
        return False

    def _aux(self, value: Any, where: str) -> Any:
        """What comes beside the result: a plain value, tracked only by what lies outside of this run."""
        if not isinstance(value, Tensor) or value._node is None:
            return value
        if not (self._recording and self._meets_others([value])):
            return value.detach()
        self._aux_connected = True
        return value

    def value(self) -> Any:
        return self.out if self.connected else mapped(self.out, lambda y, _: y.detach())

    def one(self) -> Tensor:
        """The cotangent of a result that must be one tensor of one element."""
        y = self.out
        if not isinstance(y, Tensor):
            raise ArgumentTypeError(
                f"the function must return a Tensor to be differentiated, it returned {type(y).__name__}; use jacobian "
                "or vjp, or has_aux=True for what comes beside the value"
            )
        if y.size != 1:
            raise ShapeError(
                f"grad: the function returned shape {y.shape}, not a single element; use jacobian or vjp, or reduce "
                "with .sum()"
            )
        return full_like(y.detach(), value=1, shape=y.shape, dtype=y.dtype)

    def pull(self, cotangents: Sequence[Any], *, graph: bool = False, retain: bool = False) -> list[Tensor]:
        """The gradients of the results with respect to each variable; zeros where they do not depend on one."""
        graph = graph or self.connected
        given = [(y, c) for y, c in zip(self.ys, cotangents, strict=True) if y._node is not None and c is not None]
        found: Any = [None] * len(self.xs)
        if given and self.xs:
            ys, cs = zip(*given, strict=True)
            found = gradients_of_several(ys, self.xs, cs, graph, graph or retain or self._aux_connected)
        return [zeros_as(x) if g is None else g for g, x in zip(found, self.xs, strict=True)]

    def rebuild(self, results: Iterable[Any]) -> list[Any]:
        following = iter(results)
        return [v.rebuild(following) for v in self.variables]

    def _directions(self, tangents: Sequence[Any]) -> list[Tensor]:
        """The tangents as a flat list of tensors that match the variables."""
        if isinstance(tangents, (Tensor, dict)) or len(tangents) != len(self.variables):
            many = type(tangents).__name__ if isinstance(tangents, (Tensor, dict)) else len(tangents)
            raise ArgumentTypeError(
                f"tangents: {many} given for {len(self.variables)} primals; give a sequence of them"
            )
        flat: list[Tensor] = []
        for k, v in enumerate(self.variables):
            primal = mapped(v.value, lambda t, _: t.__differentiable__() if hasattr(t, "__differentiable__") else t)
            for _, t, where in beside(primal, tangents[k], f"tangents[{k}]"):
                flat.append(t if isinstance(t, Tensor) else tensor(t))
                if flat[-1].shape != self.xs[len(flat) - 1].shape:
                    raise ShapeError(
                        f"{where}: its shape {flat[-1].shape} must be that of the primals, "
                        f"{self.xs[len(flat) - 1].shape}"
                    )
        return flat
