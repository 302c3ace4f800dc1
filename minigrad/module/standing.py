"""State that stands in: tensors that are a module's parameters and buffers for the length of a block.

Reparametrisations, functions of a model's state and whatever else computes with other parameters than a module owns
stand on this. The objects stay: what shares a parameter sees the same as its first owner.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any

from minigrad.backend import BACKENDS, backend_of
from minigrad.core import Tensor, box
from minigrad.core.arguments import short
from minigrad.core.state import Stand, standing
from minigrad.errors import ArgumentError, ArgumentTypeError, DeviceError, DtypeError, ShapeError
from minigrad.module.base import Module, items
from minigrad.module.tensors import Buffer, Parameter


class StandIn(Mapping[str, Tensor]):
    """What stands in, by the names that were given: at present, and at the end of the block once that is over."""

    def __init__(self, stands: Mapping[str, Stand]) -> None:
        self._stands = stands

    def __getitem__(self, name: str) -> Tensor:
        return self._stands[name].tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self._stands)

    def __len__(self) -> int:
        return len(self._stands)

    def __repr__(self) -> str:
        return f"StandIn({', '.join(self)})"


class stand_in:  # noqa: N801  (reads as a verb: `with mg.stand_in(model, {…}):`)
    """Context manager within which these tensors are a module's parameters and buffers.

    The Parameter and Buffer objects themselves stand for the given values and their place in the graph, wherever they
    are shared, so gradients (of every order) flow to what was given. That holds in the calling context only: other
    threads, and tasks that run beside the block, compute with the real ones. Names, `state_dict`, `load_state_dict`,
    conversions, `copy.deepcopy` and optimisers see the real ones throughout. An update of a buffer that is stood in for
    (running statistics) replaces what stands in, not the buffer. Blocks nest, the inner one first; all is as it was
    when a block is left, however it is left.

    Args:
        module: whose state it is.
        state: tensors (or arrays, which are copied) by dotted name, as in `named_parameters` and `named_buffers`; any
            name by which a shared one can be reached will do. Each has the shape, dtype and device of what it stands
            for.

    Returns:
        With `as`: a mapping from the given names to what stands in at present, which keeps its last state after the
        block: running statistics go in as a value and come out as one.

    Raises:
        ArgumentError: a name that the module has not, or two for one parameter.
        ShapeError, DtypeError, DeviceError: a value that does not fit.

    Example:
        >>> import minigrad as mg
        >>> from minigrad_layers import Linear
        >>> layer, v = Linear(2, 1, bias=False), mg.tensor([[3.0, 4.0]], dtype="float32", requires_grad=True)
        >>> with mg.stand_in(layer, {"weight": v / mg.linalg.norm(v)}):
        ...     y = layer(mg.tensor([[1.0, 0.0]], dtype="float32"))
        >>> round(y.item(), 6), [round(g, 6) for g in mg.gradients(y.sum(), [v])[0].tolist()[0]]
        (0.6, [0.128, -0.096])
    """

    def __init__(self, module: Module, state: Mapping[str, Any]) -> None:
        if not isinstance(module, Module):
            raise ArgumentTypeError(f"stand_in: module is a {type(module).__name__}; give a Module")
        if not isinstance(state, Mapping):
            raise ArgumentTypeError(
                f"stand_in: state is a {type(state).__name__}; give a dict from names to tensors, {{'weight': w}}"
            )
        self._targets: dict[str, tuple[Tensor, Any]] = {}
        first: dict[int, str] = {}
        for name, value in state.items():
            target = _target(module, name)
            other = first.setdefault(id(target), name)
            if other != name and state[other] is not value:
                raise ArgumentError(
                    f"stand_in: {other!r} and {name!r} are one shared {type(target).__name__}, and two values are "
                    "given for it; give one"
                )
            self._targets[name] = (target, value)
        for name, (target, value) in self._targets.items():
            _fitting(name, value, target)
        self._entered: list[standing] = []

    def __enter__(self) -> StandIn:
        of: dict[int, Stand] = {}
        named = {}
        for name, (target, value) in self._targets.items():
            if id(target) not in of:
                of[id(target)] = Stand(target, _fitting(name, value, target))
            named[name] = of[id(target)]
        block = standing(of.values())
        self._entered.append(block)
        block.__enter__()
        return StandIn(named)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._entered.pop().__exit__(kind, error, where)


def _target(module: Module, name: Any) -> Tensor:
    found = _found_at(module, name) if isinstance(name, str) else None
    if not isinstance(found, (Parameter, Buffer)):
        have = [n for n, _ in (*module.named_parameters(), *module.named_buffers())]
        raise ArgumentError(
            f"stand_in: {type(module).__name__} has no parameter or buffer {name!r}; it has {short(have)}"
        )
    return found


def _fitting(name: str, value: Any, target: Tensor) -> Tensor:
    """`value` as a tensor that can stand for `target`."""
    array = target._data
    fitting: Tensor
    if isinstance(value, Tensor):
        fitting = value
    else:
        if type(array) not in BACKENDS:
            raise ArgumentTypeError(f"stand_in: {name!r} is a {type(value).__name__}; give a tensor")
        made = backend_of(array).asarray(value, None, target.device)
        fitting = box(made.astype(array.dtype) if made.dtype.kind == array.dtype.kind else made, None)
    if fitting.shape != array.shape:
        raise ShapeError(f"stand_in: {name!r} has shape {array.shape}, what is to stand for it {fitting.shape}")
    if fitting.dtype != array.dtype:
        raise DtypeError(
            f"stand_in: {name!r} has dtype {array.dtype}, what is to stand for it {fitting.dtype}; convert it with "
            "astype"
        )
    if type(fitting._data) in BACKENDS and type(array) in BACKENDS and fitting.device != target.device:
        raise DeviceError(f"stand_in: {name!r} is on {target.device!r}, what is to stand for it on {fitting.device!r}")
    return fitting


def _found_at(module: Module, path: str) -> Any:
    """What stands in `module` at a dotted path, by whichever name it is reached; None where there is nothing."""
    open_: list[tuple[Any, str]] = [(module, path)]
    while open_:
        value, rest = open_.pop()
        if not rest:
            return value
        for key, inner in items(value) if isinstance(value, (Module, list, tuple, dict)) else ():
            name = str(key)
            if rest == name or rest.startswith(f"{name}."):  # a key may have dots of its own: several can fit
                open_.append((inner, rest[len(name) + 1 :]))
    return None
