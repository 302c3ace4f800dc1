"""An optimiser's rule as calls of NumPy that write in place, derived from the rule itself.

The rule runs once on registers, arrays without values, and what it calls is written down. Where every call is one
elementwise function of NumPy's, the same calls in the same order, each told where to write, give the same bits without
a temporary; else there is no kernel, and the rule runs as it stands. Nothing here knows any optimiser.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from operator import itemgetter
from typing import Any

import numpy as np

from minigrad.core import Tensor

__all__ = ["Kernel", "Ready", "derived"]

BLOCK = 1 << 17
"""Elements that a kernel takes at a time: bounds its scratch memory, which should stay in the cache."""


class Constant:
    """A number that the rule names, apart from the numbers of places."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


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
        # The numbers that the rule names lie behind all places, so that one look-up finds the arguments of a call.
        self.constants = [a.value for _, args, _ in placed for a in args if isinstance(a, Constant)]
        behind = iter(range(self.out + 1 + self.scratch, self.out + 1 + self.scratch + len(self.constants)))
        self.calls = [
            (function, itemgetter(*(next(behind) if isinstance(a, Constant) else a for a in args), into))
            for function, args, into in placed
        ]

    def lay(self, ready: Ready, p: Any, g: Any, slots: dict[str, Any], numbers: Iterable[Any]) -> Any:
        """Lay the calls of a step ready, and return the array in which the new p will be. `slots` are written in place.

        All arrays take the layout of the gradient, which comes every step.
        """
        rows = g.flags.c_contiguous or not g.flags.f_contiguous
        if not (rows and p.flags.c_contiguous and all(a.flags.c_contiguous for a in slots.values())):
            for name, value in slots.items():
                slots[name] = _laid(value, rows)
            p, g = _laid(p, rows), _laid(g, rows)
        new = np.empty_like(p)
        flat = [a.reshape(-1) if rows else a.T.reshape(-1) for a in (p, g, *slots.values(), new)]  # views
        size = p.size
        scratch = ready.scratch(p.dtype, min(BLOCK, size), self.scratch)
        for i in range(0, size, BLOCK):
            if size <= BLOCK:
                *arrays, into = flat
            else:
                *arrays, into = (a[i : i + BLOCK] for a in flat)
            places = [*arrays, *numbers, into, *(s[: into.size] for s in scratch), *self.constants]
            for function, pick in self.calls:
                *given, at = pick(places)
                ready.calls.append(partial(function, *given, out=at))
        return new


class Ready:
    """A step that is laid ready: calls that are made one after the other."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], Any]] = []
        self._scratch: dict[Any, list[Any]] = {}

    def scratch(self, dtype: Any, size: int, count: int) -> list[Any]:
        """`count` arrays of at least `size` elements, that every parameter's calls may use for themselves."""
        held = self._scratch.setdefault(dtype, [])
        if held and held[0].size < size:
            held.clear()
        held += [np.empty(size, dtype) for _ in range(count - len(held))]
        return held[:count]


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


def _laid(a: Any, rows: bool) -> Any:
    """A NumPy array with its rows, or else its columns, one after the other; itself if it is so already."""
    if a.flags.c_contiguous if rows else a.flags.f_contiguous:
        return a
    return np.ascontiguousarray(a) if rows else np.asfortranarray(a)
