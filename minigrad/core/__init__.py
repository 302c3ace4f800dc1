"""The engine: tensors, primitives, and the one rule. It knows no layer and no particular operation.

To read in this order: `node` and `tensor` (with `methods`, `protocols`, `construct`) a value and its place on the tape;
`primitive` a declaration; `dispatch` how a call runs; `sweep` the chain rule; `gradients` what users ask of it. Then
`declare` what `@primitive` does; `essential` the primitives that the sweep itself needs; `pick` one of several outputs;
`hooks`; `modes` what is in force and who watches; `state` what stands in; `composite` named scopes; `quick` the same as
`dispatch` and `sweep`, faster, and only that.
"""

from minigrad.core import arguments, domains
from minigrad.core.arguments import dtype_of, flag, integer, integers, number, sequence, shape_of
from minigrad.core.composite import composite, scope
from minigrad.core.construct import tensor
from minigrad.core.declare import primitive
from minigrad.core.essential import (
    astype,
    broadcast_to,
    broadcast_to_,
    cast,
    full_like,
    normalize_axes,
    one_axis,
    reshape,
    reshape_,
    spread,
    stop_gradient,
    sum,
    sum_,
    to,
    with_ones,
)  # fmt: skip
from minigrad.core.gradients import backward, gradients
from minigrad.core.methods import Axis, Operand, ShapeLike
from minigrad.core.modes import MODES, change, no_grad
from minigrad.core.node import Leaf, TapeNode
from minigrad.core.primitive import PRIMITIVES, Aval, Primitive
from minigrad.core.sweep import sweep
from minigrad.core.tensor import BOXES, Tensor, box, method, rebind

__all__ = [
    "BOXES", "MODES", "PRIMITIVES", "Aval", "Axis", "Leaf", "Operand", "Primitive", "ShapeLike", "TapeNode", "Tensor",
    "arguments", "astype", "backward", "box", "broadcast_to", "broadcast_to_", "cast", "change", "composite",
    "domains", "dtype_of", "flag", "full_like", "gradients", "integer", "integers", "method", "no_grad",
    "normalize_axes", "number", "one_axis", "primitive", "rebind", "reshape", "reshape_", "scope", "sequence",
    "shape_of", "spread", "stop_gradient", "sum", "sum_", "sweep", "tensor", "to", "with_ones",
]  # fmt: skip
