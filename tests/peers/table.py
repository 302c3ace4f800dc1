"""The layers that PyTorch has too: how each row is written in both libraries, and the numbers that both are given.

This file is read by the tests and by `make_golden.py`, which runs where PyTorch is and minigrad may not be; so it knows
neither. A row's numbers come from a hash of its text: they are the same on every machine and need not be stored.
"""

from __future__ import annotations

import ast
import zlib
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

GOLDEN = Path(__file__).resolve().parents[1] / "data" / "peers"


class Row(NamedTuple):
    """A call of a layer's constructor, literal arguments only, and what the layer is called on.

    An input is a shape, `below(n, shape)` for integers under n, `kept(shape)` for a mask, GRID, None, or a
    tuple of inputs.
    """

    call: str
    inputs: tuple[Any, ...]
    training: bool = True  # False: only evaluation is compared, for what is random in training
    same_repr: bool = True  # False: ours has children of its own
    tolerance: float = 1e-9
    keywords: dict[str, Any] = {}  # of the call, for ours
    theirs: dict[str, Any] = {}  # and for PyTorch's: booleans, or "name" or "~name" of ours (the second one negated)
    peer: str = ""  # who has it and how it is called there: "timm.layers.LayerScale(3)"; "" for PyTorch, as above

    apart: tuple[str, ...] = ()  # state that goes another way than theirs, and why stands at the row

    @property
    def key(self) -> str:
        """The row's name in the golden files."""
        said = f", {self.keywords}" if self.keywords else ""
        return f"{self.call} of {', '.join(map(str, self.inputs))}{said}"

    @property
    def layer(self) -> str:
        """The name of the class."""
        return self.call.partition("(")[0]

    def arguments(self) -> tuple[list[Any], dict[str, Any]]:
        """Of the constructor; a look-up of literals, nothing is evaluated."""
        return arguments(self.call)


def arguments(call: str) -> tuple[list[Any], dict[str, Any]]:
    """The literal arguments of a call that is written down."""
    node = ast.parse(call, mode="eval").body
    assert isinstance(node, ast.Call)
    named = {k.arg: ast.literal_eval(k.value) for k in node.keywords if k.arg}
    return [ast.literal_eval(a) for a in node.args], named


class below(NamedTuple):
    """Integers from 0 to n - 1."""

    n: int
    shape: tuple[int, ...]


class kept(NamedTuple):
    """Booleans, each row of which has a True."""

    shape: tuple[int, ...]


GRID = "a grid over [-6, 6]"  # every kink of an activation is on it


def numbers(label: str, shape: tuple[int, ...], low: float = -2.0, high: float = 2.0) -> np.ndarray:
    """Numbers spread over [low, high) by a hash of the label (splitmix64): the same on every machine, no two alike."""
    z = np.arange(1, prod(shape) + 1, dtype=np.uint64) + (np.uint64(zlib.crc32(label.encode())) << np.uint64(24))
    z = z * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    unit = ((z ^ (z >> np.uint64(31))) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return (low + (high - low) * unit).reshape(shape)


def value(spec: Any, label: str) -> Any:
    """The host array (or tuple of them, or None) that an input stands for."""
    if spec is None:
        return None
    if spec == GRID:
        return np.linspace(-6.0, 6.0, 49)
    if isinstance(spec, below):
        return np.floor(numbers(label, spec.shape, 0, spec.n)).astype(np.int64)
    if isinstance(spec, kept):
        mask = numbers(label, spec.shape) > 0
        mask[..., 0] = True
        return mask
    if all(isinstance(n, int) for n in spec):
        return numbers(label, spec)
    return tuple(value(part, f"{label}.{k}") for k, part in enumerate(spec))


def inputs(row: Row, step: int) -> list[Any]:
    """The host arrays that a step calls the layer on."""
    return [value(spec, f"{row.key} step {step} input {k}") for k, spec in enumerate(row.inputs)]


def said(row: Row, step: int) -> dict[str, Any]:
    """The keywords of ours: booleans as they are, else host arrays."""
    label = f"{row.key} step {step} keyword"
    return {k: v if isinstance(v, bool) else value(v, f"{label} {k}") for k, v in row.keywords.items()}


def parameter(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The value of a parameter, the first of them 0."""
    made = numbers(name, shape, -0.8, 0.8)
    made.flat[0] = 0.0
    return made


def flat(made: Any) -> Iterator[Any]:
    """The arrays in a nest of tuples, those that are None left out."""
    if isinstance(made, (tuple, list)):
        for part in made:
            yield from flat(part)
    elif made is not None:
        yield made
