"""Sliding windows and their adjoint, one pair of primitives: convolution and pooling are compositions on them."""

from __future__ import annotations

from typing import Any

from minigrad import notation
from minigrad.backend import backend_of
from minigrad.backend.base import window_counts
from minigrad.core import Operand, integers, primitive
from minigrad.core.domains import Case, Rng, reals
from minigrad.errors import ArgumentError

Ints = tuple[int, ...]


def _window_shape(shape: Ints, axes: Ints, sizes: Ints, strides: Ints, dilations: Ints) -> Ints:
    counts = window_counts(shape, axes, sizes, strides, dilations)
    return (*(counts.get(i, n) for i, n in enumerate(shape)), *sizes)


_GEOMETRIES: tuple[tuple[Ints, dict[str, Ints]], ...] = (
    ((2, 5, 4), {"axes": (1, 2), "sizes": (3, 2), "strides": (1, 1), "dilations": (1, 1)}),
    ((2, 7), {"axes": (1,), "sizes": (3,), "strides": (2,), "dilations": (1,)}),
    ((7, 1), {"axes": (0,), "sizes": (2,), "strides": (1,), "dilations": (3,)}),
    ((1, 6, 6), {"axes": (1, 2), "sizes": (2, 2), "strides": (2, 3), "dilations": (1, 2)}),
)


def _case_windows(rng: Rng) -> Case:
    shape, params = _GEOMETRIES[int(rng.integers(len(_GEOMETRIES)))]
    return (reals(rng, shape),), dict(params)


@primitive(
    lambda g, like, axes, sizes, strides, dilations: fold(
        g, shape=like.shape, axes=axes, sizes=sizes, strides=strides, dilations=dilations
    ),
    show=notation.fn("windows", params=("sizes",)),
    samples=_case_windows,
    kind="view",
    infer=lambda x, *, axes, sizes, strides, dilations: (
        _window_shape(x.shape, axes, sizes, strides, dilations),
        x.dtype,
    ),
)
def windows(xp: Any, x: Operand, *, axes: Ints, sizes: Ints, strides: Ints, dilations: Ints) -> Any:
    """All windows of `sizes` along `axes`: those axes then count windows, new last axes run inside one."""
    return backend_of(x).windows(x, axes, sizes, strides, dilations)


def _case_fold(rng: Rng) -> Case:
    (x,), params = _case_windows(rng)
    return (reals(rng, _window_shape(x.shape, **params)),), {"shape": x.shape, **params}


@primitive(
    lambda g, axes, sizes, strides, dilations: windows(g, axes=axes, sizes=sizes, strides=strides, dilations=dilations),
    show=notation.fn("fold", params=("sizes",)),
    samples=_case_fold,
    kind="opaque",
    infer=lambda x, *, shape, axes, sizes, strides, dilations: (shape, x.dtype),
)
def fold(xp: Any, x: Operand, *, shape: Ints, axes: Ints, sizes: Ints, strides: Ints, dilations: Ints) -> Any:
    """Every window of `x` added where it would have been read from an array of `shape`: the adjoint of `windows`."""
    return backend_of(x).fold(x, shape, axes, sizes, strides, dilations)


def several(value: int | Ints, axes: int, name: str, least: int = 1) -> Ints:
    """`value` for each of `axes` spatial axes; ArgumentError names the argument."""
    each = integers(value, name, "")
    each = each * axes if len(each) == 1 else each
    if len(each) != axes or min(each, default=least) < least:
        many = "an integer" if axes == 1 else f"an integer, or {axes} of them,"
        raise ArgumentError(f"{name}: {value!r} must be {many} of at least {least}")
    return each
