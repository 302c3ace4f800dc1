"""Tensor: a value that remembers, by its node, how it was computed.

A node saves arrays and not Tensors. Arrays are frozen when
they are stored and never written afterwards; "changing" a tensor rebinds it to a new array. Tensor's methods
that are operations are bound by the ops that implement them (`method`), and declared in `core/methods.py`.
"""

from __future__ import annotations

import operator
from collections import deque
from collections.abc import Callable, Sequence
from itertools import chain, starmap
from typing import Any, TypeVar

import numpy as np

from minigrad.backend import BACKENDS, backend_of, get_backend
from minigrad.core.arguments import dtype_of
from minigrad.core.methods import TensorMethods
from minigrad.core.modes import MODES
from minigrad.core.node import Leaf, TapeNode, leaf
from minigrad.core.protocols import Protocols
from minigrad.errors import DeviceError, DtypeError, GraphError, ShapeError

F = TypeVar("F", bound=Callable[..., Any])
_CALL: Any = operator.call  # a function of C


class Tensor(Protocols, TensorMethods):
    """An n-dimensional array that remembers how it was computed. Made by `minigrad.tensor`, never written in place.

    Every operator and method has NumPy's name and meaning. Python and NumPy scalars are weak (they do not change a
    tensor's dtype), arrays are strong.

    Example:
        >>> import minigrad as mg
        >>> x = mg.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
        >>> (x * x).sum().backward()
        >>> x.grad
        tensor([[2., 4.],
                [6., 8.]])
    """

    __slots__ = ("__weakref__", "_data", "_name", "_node")
    __array_ufunc__ = None  # ndarray <op> Tensor defers to Tensor's reflected operator

    _data: Any
    _node: TapeNode | None
    _name: str | None

    def __init__(self, data: Any, *, requires_grad: bool = False, name: str | None = None) -> None:
        fill(self, data, None, None, requires_grad, name)

    # ---- what it is
    @property
    def data(self) -> Any:
        """The backend's array, as a read-only view. Setting it (leaves only) copies; shape, dtype and device must
        agree.
        """
        return self._data[...] if self._data.ndim else self._data.view()

    @data.setter
    def data(self, value: Any) -> None:
        if not self.is_leaf:
            raise GraphError("data: computed by an operation; only leaves take new data: call .detach() first")
        raw = value._data if isinstance(value, Tensor) else value
        without_values = hasattr(type(self._data), "__primitive__") and type(raw) is type(self._data)
        backend = None if without_values else backend_of(self._data)
        if backend is not None and not isinstance(raw, backend.array_type):
            if not isinstance(value, Tensor) and isinstance(
                raw, (np.ndarray, np.generic, list, tuple, bool, int, float)
            ):
                raw = backend.asarray(raw, None, self.device)
            else:
                raise DeviceError(
                    f"data: the new value lives on {backend_of(raw).device_of(raw)!r}, this tensor on "
                    f"{self.device!r}; use .to()"
                )
        if raw.shape != self.shape:
            raise ShapeError(f"data: the new value has shape {raw.shape}, this tensor {self.shape}; they must be equal")
        if raw.dtype != self.dtype:
            if isinstance(value, Tensor) or hasattr(value, "dtype"):
                raise DtypeError(
                    f"data: the new value has dtype {raw.dtype}, this tensor {self.dtype}; convert it with astype first"
                )
            raw = raw.astype(self.dtype)
        rebind(self, raw if backend is None else backend.copy(raw))

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the axes."""
        return self._data.shape  # type: ignore[no-any-return]

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self._data.ndim  # type: ignore[no-any-return]

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(self._data.size)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The element type, a numpy.dtype."""
        return self._data.dtype  # type: ignore[no-any-return]

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self.size * self.itemsize

    @property
    def device(self) -> str:
        """Where the array lives: "numpy", "cupy:0", …"""
        return backend_of(self._data).device_of(self._data)

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow to or through this tensor. Settable on leaves of a floating dtype."""
        return self._node is not None

    @requires_grad.setter
    def requires_grad(self, flag: bool) -> None:
        if not self.is_leaf:
            raise GraphError("requires_grad: only a leaf can change it; use .detach() for a value that is not tracked")
        if bool(flag) != self.requires_grad:
            self._node = leaf(self._data) if flag else None

    @property
    def is_leaf(self) -> bool:
        """True unless a recorded operation computed this tensor."""
        return self._node is None or self._node.op is None

    @property
    def name(self) -> str | None:
        """The label given at creation or by `named`, shown in drawings."""
        return getattr(self, "_name", None)

    @property
    def grad(self) -> Tensor | None:
        """The gradient that `backward` accumulated into this leaf; None means "not computed". Never tracked."""
        return self._node.grad if isinstance(self._node, Leaf) else None

    @grad.setter
    def grad(self, value: Any) -> None:
        if not isinstance(self._node, Leaf):
            raise GraphError("grad: only a leaf that requires grad holds a gradient; set requires_grad = True first")
        if value is not None:
            raw = (
                value._data
                if isinstance(value, Tensor)
                else backend_of(self._data).asarray(value, self.dtype, self.device)
            )
            if raw.shape != self.shape or raw.dtype != self.dtype or type(raw) is not type(self._data):
                raise ShapeError(
                    f"grad: a gradient of shape {self.shape}, dtype {self.dtype} on {self.device!r} is needed, "
                    f"this one is {raw.shape}, {raw.dtype} on {backend_of(raw).device_of(raw)!r}"
                )
            value = box(raw, None)
        self._node.grad = value

    # ---- taking it out
    def numpy(self) -> np.ndarray[Any, np.dtype[Any]]:
        """A writable copy on the host."""
        host: np.ndarray[Any, np.dtype[Any]] = backend_of(self._data).to_host(self._data)
        return host

    def item(self) -> Any:
        """The one element, as a Python number."""
        if self.size != 1:
            raise ShapeError(
                f"item: this tensor has shape {self.shape}, {self.size} elements; item() takes exactly one: "
                "index or reduce first, or use .tolist()"
            )
        return self.numpy().item()

    def tolist(self) -> Any:
        """The values as nested lists of Python numbers."""
        return self.numpy().tolist()

    def detach(self) -> Tensor:
        """The same values, not tracked."""
        return box(self._data, None)

    def named(self, label: str) -> Tensor:
        """Give this value a label, for drawings and `Graph.routes` (not with a leading underscore); returns itself."""
        self._name = label
        for watcher in MODES.get().watchers:
            watcher.label(self, label)
        return self

    def backward(self, gradient: Any = None, *, retain_graph: bool = False) -> None:
        """Accumulate d(self)/d(leaf) into the `.grad` of every leaf that this tensor depends on.

        Args:
            gradient: the cotangent to start from, of this tensor's shape; may be left out for one element (then 1).
            retain_graph: keep what the rules need, for another backward through the same graph.

        Raises:
            RuntimeError: nothing here is tracked, or the graph was freed by an earlier backward.
            ShapeError: a cotangent is needed, or has another shape.
        """
        raise AssertionError("bound by minigrad.core.gradients")

    def register_hook(self, hook: Callable[[Tensor], Any]) -> Any:
        """Call `hook(gradient)` in every backward pass, once the gradient at this tensor is complete.

        What the hook returns takes the gradient's place from there on, None leaves it; with `create_graph` the gradient
        is a tracked tensor. Returns a handle whose `remove()` takes the hook off. Hooks go with the graph.

        Example:
            >>> import minigrad as mg
            >>> x = mg.tensor([1.0, 2.0], requires_grad=True)
            >>> handle = x.register_hook(lambda g: g * 10)
            >>> (x * x).sum().backward()
            >>> x.grad
            tensor([20., 40.])
        """
        raise AssertionError("bound by minigrad.core.hooks")

    # ---- copies
    def __copy__(self) -> Tensor:
        raise TypeError("copying a tensor is ambiguous about its gradient; use .detach() or minigrad.tensor(x)")

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if not self.is_leaf:
            raise GraphError("deepcopy: only leaves can be copied; call .detach() first")
        twin: Tensor = object.__new__(type(self))
        twin._data, twin._node, twin._name = self._data, leaf(self._data) if self.requires_grad else None, self.name
        return twin

    def __reduce__(self) -> Any:
        raise TypeError("tensors are not pickled; save them with minigrad.save, which writes safetensors")


BOXES: set[type] = {Tensor}  # the box types; Parameter and Buffer add themselves


def method(*names: str) -> Callable[[F], F]:
    """Bind the decorated function as the methods `names` of Tensor."""

    def bind(func: F) -> F:
        for name in names:
            setattr(Tensor, name, func)
        return func

    return bind


def box(array: Any, node: TapeNode | None) -> Tensor:
    """A Tensor around an array that nobody else may write; the array is frozen."""
    t = object.__new__(Tensor)
    t._data = freeze(array)
    t._node = node
    return t


def freeze(array: Any) -> Any:
    """Freeze an array of any backend in place and return it; NumPy scalars become 0-d arrays first."""
    if type(array) is np.ndarray:
        array.setflags(False)  # type: ignore[call-arg]  # by position, which takes half the time
        return array
    if isinstance(array, np.generic):
        return freeze(np.asarray(array))
    return array if hasattr(type(array), "__primitive__") else backend_of(array).freeze(array)


def rebind(target: Tensor, array: Any) -> None:
    """Let a leaf stand for a new array, which from now on belongs to it; nodes that saved the old one keep it."""
    mode = MODES.get()
    if mode.replay is not None:
        if mode.replay.repeating and id(target) not in mode.standing:
            raise GraphError("remat: run again, the function changes state that it did not change the first time")
        mode.replay.rebound(target)
    target._data = freeze(array)
    if mode.replay is not None and mode.replay.repeating:
        return  # for the length of the second run; it was done for good in the first
    if isinstance(target._node, Leaf):
        target._node.version += 1
    for watcher in mode.watchers:
        watcher.update(target, array)


def rebind_together(targets: Sequence[tuple[Tensor, Any]], before: Sequence[tuple[Any, ...]] = ()) -> None:
    """`rebind` for several leaves, after the calls `before`, each a function with its arguments, all or nothing: where
    these are calls of C, one call of C makes them all, and neither a signal's handler nor an exception from outside can
    come into the midst of it.
    """
    mode = MODES.get()
    if mode.replay is not None:  # inside remat, which puts back what it finds
        for function, *given in before:
            function(*given)
        for target, array in targets:
            rebind(target, array)
        return
    calls: list[tuple[Any, ...]] = [(setattr, target, "_data", freeze(array)) for target, array in targets]
    leaves = (target._node for target, _ in targets)
    calls += [(setattr, node, "version", node.version + 1) for node in leaves if isinstance(node, Leaf)]
    deque(starmap(_CALL, chain(before, calls)), maxlen=0)
    for watcher in mode.watchers:
        for target, array in targets:
            watcher.update(target, array)


def fill(target: Tensor, data: Any, dtype: Any, device: str | None, requires_grad: bool, name: str | None) -> None:
    """Set up a box from user data, which is copied."""
    boxed = isinstance(data, Tensor)
    if boxed:
        data = data._data
    if hasattr(type(data), "__primitive__"):  # an array without values, while a computation is traced
        array = data
    else:
        source = BACKENDS.get(type(data)) if boxed or type(data) is not np.ndarray else None
        if source is not None and (boxed or source.name != "numpy"):  # it stays where it is unless told otherwise
            device = device or source.device_of(data)
            data = data if get_backend(device) is source else source.to_host(data)
        device = device or MODES.get().device
        kind = None if dtype is None else dtype_of(dtype, "tensor")
        array = get_backend(device or "numpy").asarray(data, kind, device)
    if array.dtype.kind not in "fiub":
        raise DtypeError(f"data: dtype {array.dtype} is not supported; tensors hold floats, integers and booleans")
    target._data = freeze(array)
    target._node = leaf(array) if requires_grad else None
    target._name = name
