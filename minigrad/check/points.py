"""Functions as the checks see them: from a list of float64 tensors to a list of tensors, at a point."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad.check.report import CheckError, Report
from minigrad.core import Tensor, gradients, tensor
from minigrad.errors import ArgumentError

Array = np.ndarray[Any, np.dtype[Any]]
Function = Callable[..., Any]
Level = Callable[..., list[Tensor]]


@dataclass(slots=True)
class Point:
    """Where a function is checked: its floating arguments as flat float64 values, the others as they are."""

    shapes: list[tuple[int, ...]]
    values: Array
    device: str | None

    def tensors(self, values: Array | None = None, track: bool = False) -> list[Tensor]:
        flat, out, at = self.values if values is None else values, [], 0
        for shape in self.shapes:
            n = math.prod(shape)
            out.append(tensor(flat[at : at + n].reshape(shape), device=self.device, requires_grad=track))
            at += n
        return out


def prepare(f: Function, inputs: Sequence[Any]) -> tuple[Level, Point]:
    """`f` as a function from its floating inputs to a list of tensors, and where to look at it."""
    hosts = [a.numpy() if isinstance(a, Tensor) else np.asarray(a) for a in inputs]
    floats = [k for k, a in enumerate(hosts) if a.dtype.kind == "f"]
    if not floats:
        raise ArgumentError(
            f"inputs: none of {len(inputs)} is floating, so there is nothing to differentiate; write 2.0 for 2"
        )

    def level(*xs: Tensor) -> list[Tensor]:
        args = list(inputs)
        for k, x in zip(floats, xs, strict=True):
            args[k] = x
        ys = f(*args)
        out = list(ys) if isinstance(ys, (tuple, list)) else [ys]
        for y in out:
            if not isinstance(y, Tensor) or y.dtype.kind != "f":
                raise ArgumentError(
                    f"f must return floating tensors, it returned {getattr(y, 'dtype', type(y).__name__)}"
                )
        return out

    device = next((a.device for a in inputs if isinstance(a, Tensor)), None)
    return level, Point([hosts[k].shape for k in floats], flat([hosts[k] for k in floats]), device)


def flat(arrays: Sequence[Any]) -> Array:
    return np.concatenate([np.zeros(0), *(np.asarray(a, np.float64).reshape(-1) for a in arrays)])


def like(values: Array, y: Tensor) -> Tensor:
    return tensor(values.reshape(y.shape), device=y.device)


def pulled(level: Level, n: int) -> Level:
    """The gradients of `level` as a function of its n inputs and of a cotangent for each of its results."""

    def pulled(*args: Tensor) -> list[Tensor]:
        xs = [x if x.requires_grad else tensor(x, requires_grad=True) for x in args[:n]]
        return pulled_back(level(*xs), xs, args[n:], graph=True)

    return pulled


def pulled_back(ys: Sequence[Tensor], xs: Sequence[Tensor], cotangents: Sequence[Any], graph: bool) -> list[Tensor]:
    """The gradients of <ys, cotangents>; zeros where nothing depends on an x.

    Raises:
        CheckError: a gradient that has not the shape of its x, or is on another device.
    """
    totals = [(y, u) for y, u in zip(ys, cotangents, strict=True) if y.requires_grad]
    found: list[Tensor | None] = [None] * len(xs)
    for y, u in totals:
        parts = gradients(y, xs, cotangent=u, create_graph=graph, retain_graph=True, allow_unused=True)
        found = [b if a is None else a if b is None else a + b for a, b in zip(found, parts, strict=True)]
    for k, (g, x) in enumerate(zip(found, xs, strict=True)):
        if g is not None and (g.shape, g.device) != (x.shape, x.device):
            raise CheckError(
                f"the gradient of input {k} has shape {g.shape} on {g.device}, the input {x.shape} on {x.device}",
                Report("shapes of gradients", k + 1, math.inf, 0.0),
            )
    return [tensor(np.zeros(x.shape), device=x.device) if g is None else g for g, x in zip(found, xs, strict=True)]


def place(tensors: Sequence[Tensor], k: int, noun: str) -> str:
    """Element k of all of them in a row, as `input 1[2, 0]`."""
    for i, t in enumerate(tensors):
        if k < t.size:
            index = ", ".join(str(int(n)) for n in np.unravel_index(k, t.shape))
            return f"{noun} {i}" + (f"[{index}]" if t.shape else "")
        k -= t.size
    raise AssertionError("k is an element of one of them")
