"""A computation as a flat list of primitives, recorded without computing anything.

An `Abstract` array has a shape and a dtype and no values. Whatever runs on it, a model, its backward pass, an
optimiser's step, is written down primitive by primitive, by the same rules that run on real arrays; shapes and dtypes
come from each primitive's own declaration. This is what a compiler reads. Nothing here may look at a value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np

from minigrad.backend import BACKENDS
from minigrad.core import MODES, Primitive, Tensor
from minigrad.core.primitive import Aval
from minigrad.core.sources import user_line
from minigrad.core.state import Place
from minigrad.errors import GraphError

FEW = 8
"""Up to so many elements an array may be a constant of a program; what is larger is data or state."""


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

    `inputs` are the arguments and then the state, `outputs` the results and then the state as it is afterwards, both by
    `places`. `constants` are small arrays that entered as they are, such as what names a random stream.
    """

    inputs: tuple[Abstract, ...] = ()
    outputs: tuple[Any, ...] = ()
    steps: list[Step] = field(default_factory=list)
    constants: list[tuple[Abstract, Any]] = field(default_factory=list)
    places: tuple[Place, ...] = ()
    _count: int = 0

    def __str__(self) -> str:
        return "\n".join(map(str, self.steps))

    def run(self, *arrays: Any, xp: Any = np) -> tuple[Any, ...]:
        """Run the steps on real arrays, one for each input; what a compiled form must agree with.

        State goes in behind the arguments and comes out behind the results; nothing is read or written elsewhere but
        the options of an optimiser that may change from step to step, such as its rate.
        """
        if len(arrays) != len(self.inputs):
            state = f", {len(self.places)} of them state (Program.read)" if self.places else ""
            raise GraphError(f"run: the program has {len(self.inputs)} inputs{state}, {len(arrays)} arrays given")
        values: dict[Abstract, Any] = dict(zip(self.inputs, arrays, strict=True)) | dict(self.constants)
        for step in self.steps:
            out = step.op.forward(xp, *(values.get(i, i) for i in step.inputs), **step.params)
            values.update(zip(step.outputs, out if step.op.outputs > 1 else (out,), strict=True))
        return tuple(values.get(o, o) for o in self.outputs)

    def read(self) -> tuple[Any, ...]:
        """The state as it is now, in the order in which `run` takes it."""
        return tuple(place.read() for place in self.places)

    def write(self, state: Sequence[Any]) -> None:
        """Put a state that came out of `run` where it belongs: into parameters, buffers, optimisers and streams."""
        if len(state) != len(self.places):
            raise GraphError(f"write: the program has {len(self.places)} places of state, {len(state)} arrays given")
        for place, array in zip(self.places, state, strict=True):
            place.write(array)

    def _next(self) -> int:
        self._count += 1
        return self._count - 1


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
        inputs = tuple(_constant(program, a, op, k) if type(a) in BACKENDS else a for k, a in enumerate(args))
        inferred = op.infer(*inputs, **params)
        avals: tuple[Aval, ...] = inferred if op.outputs > 1 else (inferred,)
        made = tuple(cls(program, a.shape, a.dtype, program._next()) for a in avals)
        program.steps.append(Step(op, inputs, dict(params), made))
        return made if op.outputs > 1 else made[0]

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


def _constant(program: Program, array: Any, op: Primitive, k: int) -> Abstract:
    if array.size > FEW:
        inputs = (*op.inputs, *(f"{op.variadic}[{i}]" for i in range(k + 1)))
        recording = MODES.get().program
        name = recording.name_of(array) if recording is not None else ""
        raise GraphError(
            f"{op.name}: {inputs[k]!r} is {name or 'an array'} of shape {tuple(array.shape)} and would be frozen as it "
            "is now in what is recorded. Pass it as an argument; give what it belongs to as state=(model, optimizer); "
            f"or make it inside from what goes in: mg.zeros_like(x)\n  at {user_line()}"
        )
    for made, known in program.constants:
        if known is array:
            return made
    made = Abstract(program, array.shape, array.dtype, program._next())
    program.constants.append((made, array))
    return made
