"""The form of a layer that has no parameters: what its constructor takes is written down once, as typed fields."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, dataclass_transform

import minigrad as mg
from minigrad.errors import ArgumentError

# What an option of a type must be; those of other types are checked where they are used, or in `prepare`.
CHECKS = {"float": mg.arguments.number, "bool": mg.arguments.flag, "int": mg.arguments.integer}


@dataclass_transform()
class Options(mg.Module):
    """A layer whose constructor keeps its arguments under their own names and does nothing else.

    A subclass lists them as the fields of a dataclass, `alpha: float = 1.0`; the constructor, the checks that a float
    is a number and a bool a bool, and PyTorch's usual repr follow. `prepare` may check or change more.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        dataclass(eq=False, repr=False)(cls)

    def __post_init__(self) -> None:
        for name, kind, value in self._fields():
            if kind in CHECKS:
                CHECKS[kind](value, name, type(self).__name__)
            if name == "inplace" and value:
                refuse(self, "inplace", value, "nothing is written into an array that others may see; leave it out")
        self.prepare()

    def prepare(self) -> None:
        """What a layer has to check of its options, after they were stored; nothing, unless it says so."""

    def _fields(self) -> list[tuple[str, Any, Any]]:
        return [(f.name, f.type, getattr(self, f.name)) for f in fields(self)]  # type: ignore[arg-type]

    def extra_repr(self) -> str:
        """PyTorch's: every option with its value."""
        return ", ".join(f"{name}={value!r}" for name, _, value in self._fields() if name != "inplace")


def refuse(layer: mg.Module | str, name: str, value: Any, why: str) -> None:
    """Answer an argument that PyTorch's layer takes and this one does not, with what to do in its place.

    Raises:
        ArgumentError: always.
    """
    called = layer if isinstance(layer, str) else type(layer).__name__
    raise ArgumentError(f"{called}: {name}={value!r} is not taken: {why}")
