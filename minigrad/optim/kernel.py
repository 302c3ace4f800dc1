"""An optimiser's rule as calls of NumPy that write in place, derived from the rule itself.

The rule runs once on registers, arrays without values, and what it calls is written down. Where every call is one
elementwise function of NumPy's, the same calls in the same order, each told where to write, give the same bits without
a temporary; else there is no kernel, and the rule runs as it stands. Nothing here knows any optimiser.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from operator import itemgetter
from typing import Any

import numpy as np

from minigrad.core import Tensor

__all__ = ["Kernel", "Place", "Workplace", "derived"]

BLOCK = 1 << 16
"""Elements that a kernel takes at a time: bounds its scratch memory, which should stay in the cache."""


class Constant:
    """A number that the rule names, apart from the numbers of places."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def of(self, dtype: Any) -> Any:
        """The number as an array, which a call takes in half the time; as NumPy would convert a number of Python's."""
        if type(self.value) is not float:
            return self.value
        with np.errstate(all="ignore"):
            return np.array(self.value, dtype)


Call = tuple[Any, tuple[Any, ...], int]  # function, the numbers of its arguments (or constants), that of its result


class NoKernelError(Exception):
    """The rule calls something that is no elementwise function of NumPy's."""


class Register:
    """An array without values: operators and minigrad's functions on it are written down."""

    __slots__ = ("calls", "number")
    __array_ufunc__ = None
    dtype, shape, ndim, size = np.dtype("f8"), (2,), 1, 2

    def __init__(self, calls: list[Call], number: int) -> None:
        self.calls, self.number = calls, number

    @classmethod
    def __primitive__(cls, op: Any, args: Sequence[Any], params: dict[str, Any]) -> Any:
        function = getattr(np, op.name, None)
        if op.kind != "map" or params or not isinstance(function, np.ufunc) or function.nin != len(args):
            raise NoKernelError(op.name)
        calls = next(a.calls for a in args if isinstance(a, Register))
        made = cls(calls, calls[-1][2] + 1)
        calls.append((function, tuple(args), made.number))
        return made

    def refuse(self, *args: Any) -> Any:
        """Somebody asks for a value, or for something that no register has."""
        raise NoKernelError("a value")

    __array__ = __bool__ = __float__ = __int__ = __len__ = __iter__ = __getitem__ = refuse
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = refuse
    __hash__ = object.__hash__


for _name in "add radd sub rsub mul rmul truediv rtruediv pow rpow neg abs".split():
    setattr(Register, f"__{_name}__", getattr(Tensor, f"__{_name}__"))  # on arrays these give arrays


class Kernel:
    """The calls of a rule on places: 0 p, 1 g, then the slots, the numbers of the step, the new p, `scratch` more."""

    def __init__(self, calls: list[Call], inputs: int, results: Sequence[int]) -> None:
        final, *changed = results
        uses = {number: k for k, (_, args, _) in enumerate(calls) for number in args if isinstance(number, int)}
        uses |= {number: len(calls) for number in results if number < inputs}
        home = {number: number for number in range(inputs)}  # where each value lies
        self.out, self.scratch = inputs, 0
        placed: list[Call] = []
        free: list[int] = []
        for k, (function, args, made) in enumerate(calls):
            places = tuple(home[a] if isinstance(a, int) else a for a in args)
            free += {home[a] for a in args if isinstance(a, int) and uses[a] == k and home[a] > self.out}
            if made == final:
                home[made] = self.out
            elif made in changed and uses.get(2 + changed.index(made), -1) <= k:
                home[made] = 2 + changed.index(made)
            elif free:
                home[made] = free.pop()
            else:
                self.scratch += 1
                home[made] = self.out + self.scratch
            placed.append((function, places, home[made]))
            if made in changed or made == final:
                uses[made] = len(calls)
        meant = [(self.out, final), *((2 + k, made) for k, made in enumerate(changed))]
        placed += [(np.positive, (home[made],), place) for place, made in meant if home[made] != place]
        # Functions and the numbers that the rule names lie behind all places, so that one look-up makes a call.
        behind: list[Any] = []

        def at(value: Any) -> int:
            behind.append(value)
            return self.out + self.scratch + len(behind)

        self.calls = [
            itemgetter(at(function), *(at(a) if isinstance(a, Constant) else a for a in args), into)
            for function, args, into in placed
        ]
        self.behind = behind
        self.by_name = [k for k, (function, _, _) in enumerate(placed) if function in (np.maximum, np.minimum)]

    def place(self, work: Workplace, p: Any, g: Any, slots: dict[str, Any]) -> Place:
        """Where the steps of a parameter run. All arrays take the layout of the gradient, which comes every step."""
        rows = _by_rows(g)
        slots = {name: _laid(value, rows) for name, value in slots.items()}
        made = Place(self, g.dtype, p.shape, rows, slots)
        size, whole = p.size, p.size <= BLOCK
        scratch = work.scratch(p.dtype, min(BLOCK, size), self.scratch)
        behind = [a.of(p.dtype) if isinstance(a, Constant) else a for a in self.behind]
        shape = p.shape if rows else p.shape[::-1]
        flat = made.flat(slots.values())
        for i in range(0, max(size, 1), BLOCK):
            here = flat if whole else [a[i : i + BLOCK] for a in flat]
            free = [s[:size].reshape(shape) if whole else s[: min(BLOCK, size - i)] for s in scratch]
            made.blocks.append((here, [*free, *behind]))
        return made

    def lay(self, calls: list[tuple[Any, ...]], place: Place, p: Any, g: Any, numbers: Iterable[Any]) -> Any:
        """Lay the calls of a step ready, and return the array in which the new p will be."""
        p, g = _laid(p, place.rows), _laid(g, place.rows)
        new = np.empty_like(p)
        if len(place.blocks) == 1 and place.rows:
            slots, rest = place.blocks[0]
            places = (p, g, *slots, *numbers, new[...], *rest)  # a view: who makes the step freezes `new` before
            calls += self._calls(places)
            return new
        flat = place.flat((p, g, new))
        for i, (slots, rest) in zip(range(0, max(p.size, 1), BLOCK), place.blocks, strict=True):
            p_, g_, new_ = flat if len(place.blocks) == 1 else (a[i : i + BLOCK] for a in flat)
            places = (p_, g_, *slots, *numbers, new_, *rest)
            calls += self._calls(places)
        return new

    def _calls(self, places: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        made: list[tuple[Any, ...]] = [pick(places) for pick in self.calls]
        for k in self.by_name:  # NumPy wants where these write by name
            function, *given, into = made[k]
            made[k] = (partial(function, *given, out=into),)
        return made


class Workplace:
    """Scratch memory of an optimiser, that the calls of all its parameters use for themselves, one after the other."""

    def __init__(self) -> None:
        self._held: dict[Any, list[Any]] = {}

    def scratch(self, dtype: Any, size: int, count: int) -> list[Any]:
        """`count` arrays of at least `size` elements."""
        held = self._held.setdefault(dtype, [])
        if held and held[0].size < size:
            held.clear()
        held += [np.empty(size if not held else held[0].size, dtype) for _ in range(count - len(held))]
        return held[:count]


class Place:
    """What stays the same from step to step of one parameter: views of its state and of scratch memory, block by block.

    It holds for as long as `state` is the parameter's state. A copy would hold views of other arrays: it is None.
    """

    __slots__ = ("blocks", "dtype", "kernel", "rows", "shape", "slots", "state")

    def __init__(self, kernel: Kernel, dtype: Any, shape: Any, rows: bool, slots: dict[str, Any]) -> None:
        self.kernel, self.dtype, self.shape, self.rows, self.slots = kernel, dtype, shape, rows, slots
        self.blocks: list[tuple[list[Any], list[Any]]] = []  # the slots, what lies behind the place of the new p
        self.state: Any = None

    def __reduce__(self) -> Any:
        return type(None), ()

    def fits(self, kernel: Kernel | None, p: Any, g: Any) -> bool:
        """Whether a step with these arrays may run here."""
        return (
            self.kernel is kernel
            and type(p) is np.ndarray
            and type(g) is np.ndarray
            and p.dtype == self.dtype
            and g.dtype == self.dtype
            and p.shape == self.shape
            and _by_rows(g) == self.rows
        )

    def flat(self, arrays: Iterable[Any]) -> list[Any]:
        """Views in the order in which the elements lie, of one axis where there are several blocks."""
        views = [a if self.rows else a.T for a in arrays]
        return views if math.prod(self.shape) <= BLOCK else [a.reshape(-1) for a in views]


def derived(
    rule: Callable[..., Any], every: Sequence[str], slots: Sequence[str], numbers: Sequence[str], given: dict[str, Any]
) -> Kernel | None:
    """The kernel of `rule`, None where it has none.

    Of `every` slot, in the order in which the rule returns them, those in `slots` are kept; `numbers` change from step
    to step, and `given` are the keywords that do not.
    """
    inputs = 2 + len(slots) + len(numbers)
    calls: list[Call] = [(None, (), inputs - 1)]  # the first number to be given is that after the inputs
    p, g, *rest = (Register(calls, k) for k in range(inputs))
    named = dict.fromkeys(every) | dict(zip([*slots, *numbers], rest, strict=True))
    try:
        new, *changed = rule(p, g, **named, **given)
    except NoKernelError:
        return None
    results = [new, *(value for name, value in zip(every, changed, strict=True) if name in slots)]
    if not all(isinstance(value, Register) for value in results):
        return None
    if any(2 <= value.number < 2 + len(slots) and value.number != 1 + k for k, value in enumerate(results)):
        return None  # an old state that goes on elsewhere, whose place would be written first
    plain = [
        (function, tuple(a.number if isinstance(a, Register) else Constant(a) for a in args), made)
        for function, args, made in calls[1:]
    ]
    return Kernel(plain, inputs, [value.number for value in results])


def _by_rows(g: Any) -> bool:
    """Whether rows lie one after the other, or else columns."""
    flags = g.flags
    return flags.c_contiguous or not flags.f_contiguous


def _laid(a: Any, rows: bool) -> Any:
    """A NumPy array with its rows, or else its columns, one after the other; itself if it is so already."""
    if a.flags.c_contiguous if rows else a.flags.f_contiguous:
        return a
    return np.ascontiguousarray(a) if rows else np.asfortranarray(a)
