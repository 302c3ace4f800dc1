"""What a call finds in force around it: recording, tracing, the form of composites, the default device, debugging.

All of it sits in one immutable object in one ContextVar, so an operation pays for one look-up, and threads and
asyncio tasks never see each other's modes. Nothing here may hold a mode across a `yield`.
"""

from __future__ import annotations

import copy
import inspect
import weakref
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ContextDecorator
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self, TypeAlias, TypeVar

from minigrad.backend import get_backend
from minigrad.errors import GraphError

F = TypeVar("F", bound=Callable[..., Any])
Form: TypeAlias = Literal["run", "textbook"]


class Watcher:
    """What a trace or a debugging guard is to the engine, which tells it what happens. Here it is told in vain."""

    opens_steps = False  # whether an optimiser is to show the operations of its steps

    def forward(self, op: Any, args: tuple[Any, ...], params: dict[str, Any], out: Any) -> None:
        """One primitive ran on `args` (as the caller gave them) and made `out` (a Tensor or a tuple of them)."""

    def begin(self, root: Any, lifted: bool, part: bool) -> None:
        """A sweep begins at `root`; `lifted`: its rules are recorded; `part`: it belongs to the sweep around it."""

    def backward(self, node: Any, cotangent: Any, lifted: bool) -> None:
        """The sweep arrived at `node` with its complete cotangent."""

    def end(self) -> None:
        """The innermost sweep ended, or failed."""

    def update(self, target: Any, value: Any) -> None:
        """State (a buffer or a parameter) was rebound."""

    def label(self, tensor: Any, name: str) -> None:
        """A tensor was given a name by `Tensor.named`."""

    def enter(self, kind: str, name: str, subject: Any, given: Any) -> None:
        """A scope (a composite or a layer) was entered; `given` is what it was called with, None where it was not."""

    def leave(self) -> None:
        """The innermost scope was left."""


class Replay:
    """What must not happen twice when a computation runs again: which numbers its random streams gave out.

    The first time, `number` passes on what a stream gives and notes it, and `rebound` notes what state (running
    statistics, parameters) was before; after `again` numbers come from the notes, and whoever runs the computation
    again lets the state stand for what it was then, and for what it is now afterwards.
    """

    __slots__ = ("_around", "_at", "_numbers", "state")

    def __init__(self, around: Replay | None = None) -> None:
        self._around, self._at = around, -1
        self._numbers: list[int] = []
        self.state: dict[int, tuple[Any, Any, Any]] = {}  # by id: what was rebound, and its array and node before that

    def again(self) -> Replay:
        """The same numbers once more."""
        twin = Replay()
        twin._numbers, twin._at = self._numbers, 0
        return twin

    @property
    def repeating(self) -> bool:
        """Whether this is not the first time."""
        return self._at >= 0 or (self._around is not None and self._around.repeating)

    def number(self, take: Callable[[], int]) -> int:
        """The number of a stream's next call; `take` uses one up."""
        if self._at < 0:
            self._numbers.append(self._around.number(take) if self._around is not None else take())
            return self._numbers[-1]
        self._at += 1
        if self._at > len(self._numbers):
            raise GraphError("remat: run again, the function draws more random numbers than the first time")
        return self._numbers[self._at - 1]

    def rebound(self, target: Any) -> None:
        """`target` is about to stand for another array."""
        self.state.setdefault(id(target), (target, target._data, target._node))
        if self._around is not None:
            self._around.rebound(target)


@dataclass(frozen=True, slots=True, eq=False)
class Modes:
    """The modes in force. `watchers` holds the trace and the guards.

    `watched` and `scoped` spare the fast paths a look: whether anybody watches, and whether a composite or a layer has
    anything to see to besides its body.
    """

    recording: bool = True
    device: str | None = None
    watchers: tuple[Watcher, ...] = ()
    nested: int = 0  # how many transforms of functions are being worked out around this call
    variables: frozenset[Any] = frozenset()  # the nodes of their variables
    replay: Replay | None = None
    standing: Mapping[int, Any] = field(default_factory=dict)  # by id of a tensor: the Stand for it (core/state.py)
    form: Form = "run"  # of composites and layers: what runs, or the formula of the literature where one is given
    program: Any = None  # the recording of a computation without values (program/record.py)
    outer: Modes | None = None  # what was in force before, to go back to
    by: weakref.ref[change] | None = None  # who set them
    watched: bool = field(init=False, default=False)
    scoped: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "watched", bool(self.watchers))
        object.__setattr__(self, "scoped", self.watched or self.form != "run")


MODES: ContextVar[Modes] = ContextVar("minigrad_modes", default=Modes())  # noqa: B039  (Modes is immutable)


def _abandoned(by: weakref.ref[change]) -> None:
    """Who set these modes is gone and did not set them back: a signal's handler raised as `__exit__` began."""
    modes = MODES.get()
    if modes.by is by and modes.outer is not None:
        MODES.set(modes.outer)


class change(ContextDecorator):  # noqa: N801  (reads as a verb: `with change(recording=False):`)
    """Set some modes for the length of a `with` block or of a decorated function.

    What to go back to is kept with the modes in force, so threads and tasks may share one of these. An exception may
    arrive anywhere, also inside `__enter__` and `__exit__`: a block that was left takes what is inside of it along, and
    modes outlive by nothing the one who set them.
    """

    def __init__(self, **modes: Any) -> None:
        self._modes = modes

    def _inside(self, around: Modes) -> dict[str, Any]:
        """The modes to set where `around` is in force."""
        return self._modes

    def __enter__(self) -> Any:
        around = MODES.get()
        inner = replace(around, **self._inside(around), outer=around, by=weakref.ref(self, _abandoned))
        try:
            MODES.set(inner)
        except BaseException:  # a signal's handler raised after it
            MODES.set(around)
            raise

    def __exit__(self, *exc: object) -> None:
        mine: Modes | None = MODES.get()
        while mine is not None and (mine.by is None or mine.by() is not self):
            mine = mine.outer  # of a block inside this one that was cut short
        if mine is None or mine.outer is None:
            raise RuntimeError(
                f"{type(self).__name__}: left in another thread or task than it was entered in, where it is not in "
                "force; enter and leave it in one, and not around a `yield`"
            )
        MODES.set(mine.outer)

    def _recreate_cm(self) -> Self:
        return copy.copy(self)  # a decorator lives on, what it enters must not

    def __call__(self, func: F) -> F:
        if inspect.isgeneratorfunction(func) or inspect.iscoroutinefunction(func) or inspect.isasyncgenfunction(func):
            raise TypeError(
                f"{type(self).__name__} cannot decorate {func.__name__!r}: a generator or coroutine would hold the "
                "mode "
                "while other code runs; use it as `with` around the statements instead"
            )
        return super().__call__(func)


class no_grad(change):  # noqa: N801  (the name that PyTorch made standard)
    """Context manager and decorator under which nothing is recorded: results do not require gradients.

    Example:
        >>> import minigrad as mg
        >>> x = mg.tensor([1.0, 2.0], requires_grad=True)
        >>> with mg.no_grad():
        ...     (x * 2).requires_grad
        False
    """

    def __init__(self) -> None:
        super().__init__(recording=False)


class use_device(change):  # noqa: N801
    """Context manager and decorator under which new tensors are made on `name` ("numpy", "cupy", "cupy:1").

    The library's own current device is that one too, so this is how to work on the second device of a machine.

    Raises:
        BackendUnavailable: the backend's library is missing, or it finds no device.
        DeviceError: a device of that backend that is not there.

    Example:
        >>> import minigrad as mg
        >>> with mg.use_device("numpy"):
        ...     mg.tensor([1.0]).device
        'numpy'
    """

    def __init__(self, name: str) -> None:
        self._backend = get_backend(name)
        super().__init__(device=self._backend.parse_device(name))
        self._current: list[AbstractContextManager[Any]] = []

    def _recreate_cm(self) -> use_device:
        return use_device(self._modes["device"])

    def __enter__(self) -> None:
        current = self._backend.current(self._modes["device"])
        current.__enter__()
        self._current.append(current)
        super().__enter__()

    def __exit__(self, *exc: object) -> None:
        super().__exit__(*exc)
        self._current.pop().__exit__(None, None, None)
