"""A computation as a flat list of primitives, recorded without computing anything.

An `Abstract` array has a shape and a dtype and no values. Whatever runs on it, a model, its backward pass, an
optimiser's step, is written down primitive by primitive, by the same rules that run on real arrays; shapes and dtypes
come from each primitive's own declaration. This is what a compiler reads. Nothing here may look at a value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np

from minigrad.backend import BACKENDS
from minigrad.core import Primitive, Tensor
from minigrad.core.node import leaf
from minigrad.core.primitive import Aval
from minigrad.core.tensor import box
from minigrad.errors import GraphError


@dataclass(frozen=True)
class Step:
    """One primitive: `outputs = op(*inputs, **params)`. Inputs are Abstract arrays or Python numbers."""

    op: Primitive
    inputs: tuple[Any, ...]
    params: dict[str, Any]
    outputs: tuple[Abstract, ...]

    def __str__(self) -> str:
        given = [*(str(i) for i in self.inputs), *(f"{k}={v}" for k, v in self.params.items())]
        made = ", ".join(f"{o}: {o.dtype}{list(o.shape)}" for o in self.outputs)
        return f"{made} = {self.op.name}({', '.join(given)})"


@dataclass
class Program:
    """Steps in the order in which they ran, with what went in and what came out.

    `constants` are arrays that entered as they are; a step that is to run on new data each time must not have any of
    size.
    """

    inputs: tuple[Abstract, ...] = ()
    outputs: tuple[Any, ...] = ()
    steps: list[Step] = field(default_factory=list)
    constants: list[tuple[Abstract, Any]] = field(default_factory=list)

    def __str__(self) -> str:
        return "\n".join(map(str, self.steps))

    def run(self, *arrays: Any, xp: Any = np) -> tuple[Any, ...]:
        """Run the steps on real arrays, one for each input; what a compiled form must agree with."""
        if len(arrays) != len(self.inputs):
            raise GraphError(f"run: the program has {len(self.inputs)} inputs, {len(arrays)} arrays given")
        values: dict[Abstract, Any] = dict(zip(self.inputs, arrays, strict=True)) | dict(self.constants)
        for step in self.steps:
            out = step.op.forward(xp, *(values.get(i, i) for i in step.inputs), **step.params)
            values.update(zip(step.outputs, out if step.op.outputs > 1 else (out,), strict=True))
        return tuple(values.get(o, o) for o in self.outputs)


class Abstract:
    """An array without values. Operators and minigrad's functions record a step; anything that needs a value raises."""

    __slots__ = ("dtype", "program", "serial", "shape")
    __array_ufunc__ = None

    def __init__(self, program: Program, shape: tuple[int, ...], dtype: Any, serial: int) -> None:
        self.program, self.shape, self.dtype, self.serial = program, tuple(shape), np.dtype(dtype), serial

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape))

    @classmethod
    def __primitive__(cls, op: Primitive, args: Sequence[Any], params: dict[str, Any]) -> Any:
        program = next(a.program for a in args if isinstance(a, Abstract))
        inputs = tuple(_constant(program, a) if type(a) in BACKENDS else a for a in args)
        inferred = op.infer(*inputs, **params)
        avals: tuple[Aval, ...] = inferred if op.outputs > 1 else (inferred,)
        made = tuple(cls(program, a.shape, a.dtype, _serial(program) + k) for k, a in enumerate(avals))
        program.steps.append(Step(op, inputs, dict(params), made))
        return made if op.outputs > 1 else made[0]

    def constant(self, array: Any) -> Abstract:
        """`array` as a constant of the same program: for what must be recorded though none of its inputs was yet."""
        return _constant(self.program, array)

    def refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise GraphError: somebody asked for a value."""
        raise GraphError(
            f"{self} is an array without values, recorded by minigrad.graph.program: a branch on a value, .numpy(), "
            ".item() or a NumPy function cannot be recorded; use minigrad's functions (where, keep, …)"
        )

    __array__ = __bool__ = __float__ = __int__ = __len__ = __iter__ = refuse

    def __str__(self) -> str:
        return f"v{self.serial}"

    def __repr__(self) -> str:
        return f"<{self}: {self.dtype}{list(self.shape)}, no values>"


for _name in (
    "add", "radd", "sub", "rsub", "mul", "rmul", "truediv", "rtruediv", "pow", "rpow", "matmul", "neg", "abs",
    "eq", "ne", "lt", "le", "gt", "ge",
):  # fmt: skip
    setattr(Abstract, f"__{_name}__", getattr(Tensor, f"__{_name}__"))  # on arrays these give arrays
Abstract.__hash__ = object.__hash__  # type: ignore[method-assign]  # == is elementwise


def _serial(program: Program) -> int:
    return len(program.inputs) + len(program.constants) + sum(len(s.outputs) for s in program.steps)


def _constant(program: Program, array: Any) -> Abstract:
    made = Abstract(program, array.shape, array.dtype, _serial(program))
    program.constants.append((made, array))
    return made


def program(f: Callable[..., Any], *like: Any) -> Program:
    """Record what `f` does with tensors of the shapes and dtypes of `like`, without computing it.

    Args:
        f: a function of tensors; it may differentiate, run layers and optimiser updates. Its tensors come out as
            outputs.
        like: tensors or arrays, of which only shape, dtype and `requires_grad` are taken.

    Raises:
        GraphError: `f` needs a value: it branches on one, or leaves minigrad.
        ShapeError: shapes that do not fit, as in a real run.

    Example:
        >>> import minigrad as mg
        >>> print(mg.graph.program(lambda x: mg.exp(x) * 2, mg.zeros((2, 3))))
        v1: float64[2, 3] = exp(v0)
        v2: float64[2, 3] = multiply(v1, 2)
    """
    out = Program()
    out.inputs = tuple(Abstract(out, x.shape, x.dtype, k) for k, x in enumerate(like))
    boxes = [
        box(a, leaf(a) if getattr(x, "requires_grad", False) else None) for a, x in zip(out.inputs, like, strict=True)
    ]
    result = f(*boxes)
    several = result if isinstance(result, (tuple, list)) else (result,)
    out.outputs = tuple(r._data if isinstance(r, Tensor) else r for r in several)
    return out
