"""minigrad: every gradient, of every order, from one rule, and you can watch it happen.

The names listed in `__all__` are public, and so are those of the submodules among them; everything else may change.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from minigrad import errors, notation
from minigrad.backend import memory
from minigrad.core import (
    Tensor,
    astype,
    broadcast_to,
    composite,
    domains,
    gradients,
    no_grad,
    primitive,
    reshape,
    stop_gradient,
    sum,
    tensor,
    to,
)  # fmt: skip
from minigrad.core.modes import use_device
from minigrad.transforms.autodiff import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp

# isort: off
# fmt: off
from minigrad.ops.arrange import diagonal, flip, repeat, roll, tile, tril, triu
from minigrad.ops.compare import (
    equal, greater, greater_equal, isfinite, isinf, isnan, less, less_equal, logical_and, logical_not, logical_or,
    logical_xor, not_equal,
)
from minigrad.ops.composite import log_softmax, logsumexp, one_hot, relu, softmax
from minigrad.ops.conv import conv1d, conv2d, conv3d, conv_transpose1d, conv_transpose2d, conv_transpose3d
from minigrad.ops.creation import arange, eye, full, full_like, linspace, ones, ones_like, zeros, zeros_like
from minigrad.ops.elementwise import (
    abs, add, cbrt, ceil, clip, divide, divmod, floor, floor_divide, hypot, keep, maximum, minimum, multiply,
    nan_to_num, negative, positive, reciprocal, remainder, round, rsqrt, sign, sqrt, square, subtract, trunc, where,
)
from minigrad.ops.functions import (
    acos, acosh, asin, asinh, atan, atan2, atanh, cos, cosh, exp, exp2, expm1, log, log10, log1p, log2, logaddexp,
    power, sigmoid, sin, sinh, tan, tanh,
)
from minigrad.ops.index import scatter_add, take, take_along_axis
from minigrad.ops.linalg import matmul
from minigrad.ops.padding import pad
from minigrad.ops.pool import avg_pool1d, avg_pool2d, avg_pool3d, max_pool1d, max_pool2d, max_pool3d
from minigrad.ops.products import einsum, outer, tensordot, vecdot
from minigrad.ops.reduce import all, any, argmax, argmin, count_nonzero, deviations, max, mean, min, std, var
from minigrad.ops.scan import cumprod, cumsum, prod
from minigrad.ops.shape import (
    broadcast_arrays, concat, expand_dims, matrix_transpose, moveaxis, permute_dims, split, squeeze, stack, swapaxes,
    unstack,
)
from minigrad.ops.sorting import argsort, searchsorted, sort, topk
from minigrad.ops.special import erf, gelu, silu, softplus
# fmt: on
# isort: on
from minigrad.transforms.recompute import remat

if TYPE_CHECKING:
    from minigrad import backend, check, data, debug, graph, init, linalg, losses, optim, random, safe, training
    from minigrad.graph import Graph, trace
    from minigrad.module import Buffer, Module, Parameter, Sample, layer, layers, register_layer, summary
    from minigrad.saving import load, load_tensors, save
    from minigrad.training import fit

__version__ = "0.1.0"

_LAZY = {  # loaded when first asked for: a program that differentiates one function need not read all of this
    **dict.fromkeys(
        (
            "backend",
            "check",
            "data",
            "debug",
            "graph",
            "init",
            "linalg",
            "linspace",
            "losses",
            "optim",
            "random",
            "safe",
            "training",
        ),
        "",
    ),
    **dict.fromkeys(("Graph", "trace"), "graph"),
    **dict.fromkeys(
        ("Buffer", "Module", "Parameter", "Sample", "layer", "layers", "register_layer", "summary"), "module"
    ),
    **dict.fromkeys(("load", "load_tensors", "save"), "saving"),
    "fit": "training",
}

__all__ = [
    "Buffer",
    "Graph",
    "Module",
    "Parameter",
    "Sample",
    "Tensor",
    "abs",
    "acos",
    "acosh",
    "add",
    "all",
    "any",
    "arange",
    "argmax",
    "argmin",
    "argsort",
    "asin",
    "asinh",
    "astype",
    "atan",
    "atan2",
    "atanh",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "backend",
    "broadcast_arrays",
    "broadcast_to",
    "cbrt",
    "ceil",
    "check",
    "clip",
    "composite",
    "concat",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "cos",
    "cosh",
    "count_nonzero",
    "cumprod",
    "cumsum",
    "data",
    "debug",
    "deviations",
    "diagonal",
    "divide",
    "divmod",
    "domains",
    "einsum",
    "equal",
    "erf",
    "errors",
    "exp",
    "exp2",
    "expand_dims",
    "expm1",
    "eye",
    "fit",
    "flip",
    "floor",
    "floor_divide",
    "full",
    "full_like",
    "gelu",
    "grad",
    "gradients",
    "graph",
    "greater",
    "greater_equal",
    "hessian",
    "hvp",
    "hypot",
    "init",
    "isfinite",
    "isinf",
    "isnan",
    "jacobian",
    "jvp",
    "keep",
    "layer",
    "layers",
    "less",
    "less_equal",
    "linalg",
    "load",
    "load_tensors",
    "log",
    "log1p",
    "log2",
    "log10",
    "log_softmax",
    "logaddexp",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "logsumexp",
    "losses",
    "matmul",
    "matrix_transpose",
    "max",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "maximum",
    "mean",
    "memory",
    "min",
    "minimum",
    "moveaxis",
    "multiply",
    "nan_to_num",
    "negative",
    "no_grad",
    "not_equal",
    "notation",
    "one_hot",
    "ones",
    "ones_like",
    "optim",
    "outer",
    "pad",
    "permute_dims",
    "positive",
    "power",
    "primitive",
    "prod",
    "random",
    "reciprocal",
    "register_layer",
    "relu",
    "remainder",
    "remat",
    "repeat",
    "reshape",
    "roll",
    "round",
    "rsqrt",
    "safe",
    "save",
    "scatter_add",
    "searchsorted",
    "sigmoid",
    "sign",
    "silu",
    "sin",
    "sinh",
    "softmax",
    "softplus",
    "sort",
    "split",
    "sqrt",
    "square",
    "squeeze",
    "stack",
    "std",
    "stop_gradient",
    "subtract",
    "sum",
    "summary",
    "swapaxes",
    "take",
    "take_along_axis",
    "tan",
    "tanh",
    "tensor",
    "tensordot",
    "tile",
    "to",
    "topk",
    "trace",
    "training",
    "tril",
    "triu",
    "trunc",
    "unstack",
    "use_device",
    "value_and_grad",
    "var",
    "vecdot",
    "vjp",
    "where",
    "zeros",
    "zeros_like",
]  # fmt: skip

_CALLED = {  # what other libraries call it, and what it is called here
    "concatenate": "concat", "cat": "concat", "hstack": "concat", "vstack": "concat", "amax": "max", "amin": "min",
    "transpose": "permute_dims", "permute": "permute_dims", "unsqueeze": "expand_dims", "array": "tensor",
    "asarray": "tensor", "as_tensor": "tensor", "from_numpy": "tensor", "absolute": "abs", "mul": "multiply",
    "sub": "subtract", "div": "divide", "true_divide": "divide", "neg": "negative", "pow": "power", "mm": "matmul",
    "bmm": "matmul", "dot": "matmul", "clamp": "clip", "eq": "equal", "ne": "not_equal", "gt": "greater",
    "ge": "greater_equal", "lt": "less", "le": "less_equal", "cast": "astype", "detach": "stop_gradient",
    "grad_and_value": "value_and_grad", "checkpoint": "remat", "norm": "linalg.norm", "eigh": "linalg.eigh",
    "cross_entropy": "losses.cross_entropy", "mse_loss": "losses.mse", "l1_loss": "losses.mae",
    "manual_seed": "random.seed", "seed": "random.seed", "randn": "random.normal", "rand": "random.uniform",
    "normal": "random.normal", "uniform": "random.uniform", "Sequential": "layer('Sequential', …)",
    "Linear": "layer('Linear', …)", "nn": "Module, and the layers are in minigrad_layers", "view": "reshape",
    "no_gradient": "no_grad", "variable": "tensor", "Variable": "tensor", "T": "Tensor.T", "reduce_sum": "sum",
    "reduce_mean": "mean", "arcsin": "asin", "arccos": "acos", "arctan": "atan", "arctan2": "atan2",
    "arcsinh": "asinh", "arccosh": "acosh", "arctanh": "atanh", "mod": "remainder", "floor_div": "floor_divide",
    "rint": "round", "around": "round", "fix": "trunc", "gather": "take_along_axis", "index_select": "take",
    "index_add": "scatter_add", "cumulative_sum": "cumsum", "cumulative_prod": "cumprod", "flipud": "flip",
    "fliplr": "flip", "array_split": "split", "chunk": "split", "unbind": "unstack", "movedim": "moveaxis",
    "swapdims": "swapaxes", "repeat_interleave": "repeat", "partition": "topk", "argpartition": "topk",
    "inner": "vecdot", "vdot": "vecdot", "inv": "linalg.inv", "solve": "linalg.solve", "cholesky": "linalg.cholesky",
    "qr": "linalg.qr", "slogdet": "linalg.slogdet", "det": "linalg.slogdet, which gives sign and logarithm",
    "logdet": "linalg.slogdet, which gives sign and logarithm", "broadcast_tensors": "broadcast_arrays",
    "swish": "silu", "conv": "conv2d", "convolve": "conv1d", "ravel": "reshape",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        home = _LAZY[name]
        value = getattr(import_module(f"minigrad.{home}"), name) if home else import_module(f"minigrad.{name}")
        globals()[name] = value
        return value
    if name.startswith("__"):
        raise AttributeError(f"module 'minigrad' has no attribute {name!r}")
    if name in _CALLED:
        raise errors.UnknownFunctionError(f"mg.{name} is called mg.{_CALLED[name]}")
    import difflib

    near = difflib.get_close_matches(name, __all__, 1)
    raise errors.UnknownFunctionError(
        f"minigrad has no {name!r}" + (f"; did you mean mg.{near[0]}?" if near else "; dir(minigrad) lists what it has")
    )


def __dir__() -> list[str]:
    return sorted(__all__)
