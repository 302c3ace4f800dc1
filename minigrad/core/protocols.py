"""What a tensor is to NumPy, DLPack and Python: how it becomes an array or a number, what it refuses, how it prints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad.answers import remedy
from minigrad.core.modes import MODES
from minigrad.errors import DtypeError, ShapeError

if TYPE_CHECKING:
    from minigrad.core.tensor import Tensor


class Protocols:
    """Python's special methods that are no operations; Tensor is the one subclass."""

    __slots__ = ()

    if TYPE_CHECKING:  # what they stand on, which Tensor has
        _data: Any
        _node: Any

        @property
        def shape(self) -> tuple[int, ...]: ...
        @property
        def ndim(self) -> int: ...
        @property
        def size(self) -> int: ...
        @property
        def dtype(self) -> np.dtype[Any]: ...
        @property
        def device(self) -> str: ...
        @property
        def is_leaf(self) -> bool: ...
        def numpy(self) -> np.ndarray[Any, np.dtype[Any]]: ...
        def item(self) -> Any: ...
        def __getitem__(self, index: Any) -> Tensor: ...

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, np.dtype[Any]]:
        if type(self._data) is not np.ndarray:
            raise TypeError(
                f"a tensor on {self.device!r} does not become a NumPy array by itself; use .numpy(), which copies"
            )
        self._in_sight("numpy.asarray", ".numpy() gives the array")
        if copy is False:
            raise ValueError("copy=False: minigrad hands out copies only; use .data for a read-only view")
        out = self.numpy()
        return out if dtype is None else out.astype(dtype)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        name = getattr(func, "__name__", str(func))
        raise TypeError(
            f"numpy.{name} does not take tensors, since its result could not be differentiated; "
            f"use {remedy(name) or 'functions of minigrad'}, or .numpy() for the bare values"
        )

    def __dlpack__(self, **kwargs: Any) -> Any:
        return self._data.copy().__dlpack__(**kwargs)  # a copy: the taker may write

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._data.__dlpack_device__()  # type: ignore[no-any-return]

    def __setitem__(self, index: Any, value: Any) -> None:
        raise TypeError(
            "tensors are never written in place, since a recorded gradient could silently become wrong; "
            "build the new value with minigrad.where(mask, new, x), or rebind a leaf with x.data = array"
        )

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("len() of a 0-d tensor, which has no axis; .item() gives its number")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if not self.ndim:
            raise TypeError("iteration over a 0-d tensor, which has no axis; .item() gives its number")
        return (self[i] for i in range(self.shape[0]))

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ShapeError(f"the truth of a tensor of shape {self.shape} is ambiguous; use .any() or .all()")
        return bool(self.item())

    def __float__(self) -> float:
        self._in_sight("float()", ".item() gives the number")
        return float(self.item())

    def __int__(self) -> int:
        self._in_sight("int()", ".item() gives the number")
        return int(self.item())

    def _in_sight(self, what: str, remedy: str) -> None:
        """Refuse to become a bare value unasked while a transform of functions differentiates what depends on it."""
        variables = MODES.get().variables
        if not variables or self._node is None:
            return
        oldest = min(v.id for v in variables)
        seen, stack = {self._node}, [self._node]
        while stack:
            node = stack.pop()
            if node in variables:
                raise TypeError(
                    f"{what}: this tensor depends on what is being differentiated, and nothing would flow back through "
                    f"a bare value; compute with minigrad's functions, mg.sin(x) for math.sin(x). {remedy}, as a "
                    "constant of the derivative"
                )
            for parent in node.parents:
                if parent is not None and parent.id >= oldest and parent not in seen:
                    seen.add(parent)
                    stack.append(parent)

    def __index__(self) -> int:
        if self.dtype.kind not in "iu":
            raise DtypeError(f"only an integer tensor of one element can be used as an index, this one is {self.dtype}")
        return int(self.item())

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        host = self.numpy()
        body = np.array2string(host, separator=", ", prefix="tensor(")
        implied = host.dtype in (np.float64, np.int64, np.bool_)
        extra = "" if implied else f", dtype={host.dtype}"
        extra += "" if self.device == "numpy" else f", device={self.device!r}"
        extra += ", requires_grad=True" if self._node is not None and self.is_leaf else ""
        extra += f", op={self._node.op.name!r}" if self._node is not None and not self.is_leaf else ""
        return f"tensor({body}{extra})"

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else str(self)  # f"{loss:.3f}" of a single element
