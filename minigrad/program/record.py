"""Recording: a function is run on arrays without values, and what it does is written down as a program.

State goes in and comes out. Parameters and buffers are found by identity in what the function closes over or is given;
random streams and the state of optimisers when they are met. While a step is recorded, arrays without values stand for
all of it in this context alone, so nothing of a recording is left behind, however it ends.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any

import numpy as np

from minigrad.core import Tensor, rebind
from minigrad.core.node import leaf
from minigrad.core.state import Place, Stand, standing
from minigrad.core.tensor import box
from minigrad.errors import ArgumentTypeError
from minigrad.ops.elementwise import add
from minigrad.program.abstract import Abstract, Program


class Recording:
    """The program that is being recorded, as those see it who keep state that is no tensor (in `Modes.program`)."""

    def __init__(self, state: Mapping[str, Any], known: Mapping[str, Any]) -> None:
        self.program = Program()
        self.places: list[Place] = []
        self._owners, self._known = state, known
        self._before: list[Abstract] = []
        self._now: dict[Hashable, Any] = {}
        self._keys: list[Hashable] = []
        self._drawn: dict[int, tuple[Any, int]] = {}  # streams, and how many calls of each
        self.stands: list[Stand] = []

    def enter(self, array: Any) -> Abstract:
        """A new input of the shape and dtype of `array`."""
        return Abstract(self.program, tuple(array.shape), array.dtype, self.program._next())

    def tensors(self) -> None:
        """Let arrays without values stand for every tensor of the state."""
        for owner, held in self._owners.items():
            for name, tensor in held.__state__().items():
                if any(s.target is tensor for s in self.stands):
                    continue
                before = self.enter(tensor._data)
                node = leaf(before) if tensor.requires_grad else None
                self._add(
                    Place(f"{owner}.{name}", _reader(tensor), _writer(tensor)),
                    before,
                    stand := Stand(tensor, box(before, node), whole=True),
                )
                self.stands.append(stand)

    def _add(self, place: Place, before: Abstract, key: Hashable) -> None:
        self.places.append(place)
        self._before.append(before)
        self._keys.append(key)

    def made(self, tensor: Tensor) -> Tensor:
        """`tensor`, made by the code alone, as a constant of the program."""
        constant = self.enter(tensor._data)
        self.program.constants.append((constant, tensor._data))
        return box(constant, leaf(constant) if tensor.requires_grad else None)

    def at(self, key: Hashable, place: Callable[[], Place]) -> Any:
        """The value of the state that `key` names, as of now in the recording; met for the first time, an input."""
        if key not in self._now:
            new = place()
            self._now[key] = self.enter(new.read())
            self._add(new, self._now[key], key)
        return self._now[key]

    def put(self, key: Hashable, value: Any) -> None:
        """From now on the state that `key` names has this value."""
        self._now[key] = value

    def take(self, generator: Any) -> int:
        """How many calls of a stream came before this one in the recording."""
        _, number = self._drawn.get(id(generator), (generator, 0))
        self._drawn[id(generator)] = generator, number + 1
        return number

    def draw(self, generator: Any, number: int) -> tuple[Tensor, Tensor]:
        """Key and counter of a stream's call, `number` calls after its place at the beginning of the step."""
        key = "stream", id(generator)

        def place() -> Place:
            return Place(
                f"stream {generator.seed}:{generator.stream}",
                lambda: np.array([0, generator.call, 0, 0], np.uint64),
                lambda array: setattr(generator, "call", int(array[1])),
            )

        self.at(key, place)
        # what names a stream are two numbers that never change: a constant
        words = np.array([generator.seed, generator.stream], np.uint64)
        return box(words, None), box(self._later(generator, number), None)

    def _later(self, generator: Any, calls: int) -> Any:
        first = self._now["stream", id(generator)]
        return add(first, np.array([0, calls, 0, 0], np.uint64)) if calls else first

    def name_of(self, array: Any) -> str:
        """What a constant is, if it is known by name."""
        for owner, held in self._known.items():
            for name, tensor in held.__state__().items():
                if tensor._data is array or getattr(array, "base", None) is tensor._data:  # or a view of it
                    return f"{owner}.{name}"
        return ""

    def finish(self, results: Iterable[Any], inputs: tuple[Abstract, ...]) -> Program:
        """The program, once the function has run and everything that stood in still stands."""
        for generator, calls in self._drawn.values():
            self.put(("stream", id(generator)), self._later(generator, calls))
        after = [key.tensor._data if isinstance(key, Stand) else self._now[key] for key in self._keys]
        out = self.program
        out.inputs, out.places = (*inputs, *self._before), tuple(self.places)
        out.outputs = (*(r._data if isinstance(r, Tensor) else r for r in results), *after)
        return out


def _reader(tensor: Tensor) -> Callable[[], Any]:
    return lambda: tensor._data


def _writer(tensor: Tensor) -> Callable[[Any], None]:
    return lambda array: rebind(tensor, array)


def program(f: Callable[..., Any], *like: Any, state: Any = None) -> Program:
    """Record what `f` does with tensors of the shapes and dtypes of `like`, without computing it.

    Args:
        f: a function of tensors; it may differentiate, run layers in training and make an optimiser's steps. Its
            tensors come out as outputs. What it does besides in Python happens once, now.
        like: tensors or arrays, of which only shape, dtype and `requires_grad` are taken.
        state: the models and optimisers that `f` uses, one or several; found by default among what `f` closes over.
            Their parameters, buffers and slots, and the places of random streams, are inputs behind the arguments and
            outputs behind the results (`Program.places`): nothing of them is frozen, and nothing is changed now.

    Raises:
        GraphError: `f` needs a value: it branches on one, or leaves minigrad; or an array of more than a few elements
            would be frozen, which is named with its line.
        ShapeError: shapes that do not fit, as in a real run.

    Example:
        >>> import minigrad as mg
        >>> print(mg.graph.program(lambda x: mg.exp(x) * 2, mg.zeros((2, 3))))
        v1: float64[2, 3] = exp(v0)
        v2: float64[2, 3] = multiply(v1, 2)
    """
    found = _found(f)
    recording = Recording(found if state is None else _given(state), found)
    inputs = tuple(recording.enter(x) for x in like)
    boxes = [box(a, leaf(a) if getattr(x, "requires_grad", False) else None) for a, x in zip(inputs, like, strict=True)]
    recording.tensors()
    with standing(recording.stands, program=recording):
        result = f(*boxes)
        several = result if isinstance(result, (tuple, list)) else (result,)
        return recording.finish(several, inputs)


def _given(state: Any) -> dict[str, Any]:
    several = state if isinstance(state, (tuple, list)) else (state,)
    for k, held in enumerate(several):
        if not hasattr(held, "__state__"):
            raise ArgumentTypeError(f"state[{k}] is a {type(held).__name__}; give modules and optimisers")
    return {type(held).__name__ + (f"_{k}" if k else ""): held for k, held in enumerate(several)}


def _found(f: Any) -> dict[str, Any]:
    """What has state among the things that `f` closes over, by its name there."""
    found: dict[str, Any] = {}
    open_, seen = [("", f)], set()
    while open_:
        name, value = open_.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if hasattr(value, "__state__") and not isinstance(value, type):
            found[name or type(value).__name__] = value
        elif inspect.isfunction(value):
            at = inspect.getclosurevars(value)
            open_ += [*at.nonlocals.items(), *at.globals.items()]
            open_ += [(k, v) for k, v in (value.__kwdefaults__ or {}).items()]
            open_ += [(f"{value.__name__}.{k}", v) for k, v in enumerate(value.__defaults__ or ())]
            open_.append((name, getattr(value, "__wrapped__", None)))
        elif inspect.ismethod(value):
            open_ += [(name, value.__self__), (name, value.__func__)]
        elif isinstance(value, (list, tuple)):
            open_ += [(f"{name}.{k}", v) for k, v in enumerate(value)]
        elif isinstance(value, dict):
            open_ += [(f"{name}.{k}", v) for k, v in value.items()]
    return found
