"""What arrays of NumPy and tensors of PyTorch have and a Tensor has not, and what to use instead.

Each name is answered where it is looked up. A `__getattr__` would do it for all names at once, and would make every
other attribute of every tensor slower to read, which operations do all the time.
"""

from __future__ import annotations

from typing import Any, NoReturn

from minigrad.core.tensor import Tensor
from minigrad.errors import UnknownFunctionError

_HOST = "x.numpy() gives a writable NumPy array that has it"
_WRITES = "tensors are never written in place; "
_REAL = "tensors are real, so it would be x itself"

ELSEWHERE: dict[str, str] = {
    # NumPy
    **dict.fromkeys(("base", "byteswap", "ctypes", "dump", "dumps", "flags", "getfield", "strides", "tobytes"), _HOST),
    **dict.fromkeys(("tofile", "choose"), _HOST),
    **dict.fromkeys(("conj", "conjugate", "real"), _REAL),
    "imag": "tensors are real, so it would be 0",
    **dict.fromkeys(("argpartition", "partition"), "use minigrad.topk(x, k), or minigrad.argsort(x)"),
    "compress": "use a mask, x[mask], or minigrad.take(x, indices, axis)",
    "copy": "nobody writes into a tensor, so it needs no copy; x.detach() is not tracked, minigrad.tensor(x) is a leaf",
    "dot": "use x @ y, or minigrad.tensordot(x, y, 1) for NumPy's dot of many axes",
    "fill": _WRITES + "use minigrad.full(shape, value)",
    "flat": "use x.ravel()",
    "nonzero": "how many there are depends on the values; use minigrad.where, or x.numpy().nonzero()",
    "put": _WRITES + "use minigrad.where(mask, new, x) or minigrad.scatter_add(x, index, values)",
    "resize": _WRITES + "use x.reshape(shape), or minigrad.pad(x, widths)",
    **dict.fromkeys(("setfield", "setflags", "itemset"), _WRITES + "a leaf takes new data: x.data = array"),
    "sort": _WRITES + "minigrad.sort(x) gives the sorted tensor",
    "to_device": "use x.to(device)",
    "view": "use x.reshape(shape), or x.astype(dtype)",
    # PyTorch
    "clone": "nobody writes into a tensor, so it needs no copy; use it as it is",
    "cpu": 'use x.to("numpy")',
    "cuda": 'use x.to("cupy")',
    **{k: f'use x.astype("{v}")' for k, v in (("half", "float16"), ("float", "float32"), ("double", "float64"),
                                             ("int", "int32"), ("long", "int64"), ("bool", "bool"))},
    "detach_": "use x.detach()",
    "requires_grad_": "use x.requires_grad = True",
    "retain_grad": "use minigrad.gradients(y, [x]), or x.register_hook(print)",
    "permute": "use x.transpose(axes), or minigrad.permute_dims(x, axes)",
    "unsqueeze": "use minigrad.expand_dims(x, axis), or x[:, None]",
    "expand": "use minigrad.broadcast_to(x, shape)",
    "t": "use x.T",
    "mm": "use x @ y",
    "bmm": "use x @ y",
    "numel": "use x.size",
    "dim": "use x.ndim",
    **{f"{k}_": _WRITES + "compute the new value and rebind the name" for k in
       ("add", "sub", "mul", "div", "zero", "fill", "copy", "clamp", "normal", "uniform")},
    # functions here, methods nowhere in NumPy
    **{k: f"it is a function, minigrad.{k}(x)" for k in (
        "abs add cbrt ceil concat cos cosh count_nonzero divide erf exp expm1 flip floor gelu isfinite isinf isnan log "
        "log10 log1p log2 log_softmax logsumexp matmul maximum minimum moveaxis multiply nan_to_num negative outer pad "
        "permute_dims power reciprocal relu roll rsqrt sigmoid sign silu sin sinh softmax softplus split sqrt square "
        "stack subtract tan tanh tile topk tril triu trunc unstack where"
    ).split()},
}  # fmt: skip


class _Elsewhere:
    """An attribute that says where to look. It counts as missing: `hasattr` is False."""

    def __init__(self, name: str, instead: str) -> None:
        self.name, self.instead = name, instead

    def __get__(self, instance: Any, owner: Any) -> NoReturn:
        raise UnknownFunctionError(f"a Tensor has no {self.name!r}: {self.instead}")


def _dir(self: Tensor) -> list[str]:
    return sorted(set(object.__dir__(self)) - set(ELSEWHERE))


for _name, _instead in ELSEWHERE.items():
    setattr(Tensor, _name, _Elsewhere(_name, _instead))
Tensor.__dir__ = _dir  # type: ignore[method-assign, assignment]
