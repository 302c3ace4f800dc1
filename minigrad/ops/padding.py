"""Padding: constants, the edge, or a mirror image around an array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minigrad import notation
from minigrad.backend import backend_of
from minigrad.core import Operand, Tensor, broadcast_to_, composite, integers, number, primitive, shape_of
from minigrad.core.domains import Case, Rng, reals
from minigrad.errors import ArgumentError, ShapeError
from minigrad.ops.arrange import flip
from minigrad.ops.index import sliced
from minigrad.ops.joining import concat, take_part

__all__ = ["pad"]


def _case_pad(rng: Rng) -> Case:
    return (reals(rng, (2, 3)),), {
        "widths": ((int(rng.integers(3)), 1), (0, int(rng.integers(3)))),
        "value": float(rng.integers(2)),
    }


@primitive(
    lambda g, like, widths: sliced(
        g, spec=tuple(("slice", a, a + n, None) for (a, _), n in zip(widths, like.shape, strict=True))
    ),
    show=notation.fn("pad", params=("widths",)),
    samples=_case_pad,
    kind="opaque",
    infer=lambda x, *, widths, value: (tuple(a + n + b for (a, b), n in zip(widths, x.shape, strict=True)), x.dtype),
    name="pad",
)
def pad_(xp: Any, x: Operand, *, widths: tuple[tuple[int, int], ...], value: float) -> Any:
    """`x` with `value` before and after each axis."""
    shape = tuple(a + n + b for (a, b), n in zip(widths, x.shape, strict=True))
    out = backend_of(x).full_as(x, shape, value, x.dtype)
    out[tuple(slice(a, a + n) for (a, _), n in zip(widths, x.shape, strict=True))] = x
    return out


def pad(
    x: Operand,
    widths: int | Sequence[int] | Sequence[Sequence[int]],
    value: float = 0.0,
    *,
    mode: str = "constant",
) -> Tensor:
    """`x` with something around it.

    Args:
        x: any shape.
        widths: (before, after) for each axis; one such pair, or one number, for all axes.
        value: what a constant is padded with.
        mode: "constant"; "edge" repeats the outermost element, "reflect" mirrors at it, without repeating it.

    Raises:
        ArgumentError: another mode, or a value with a mode that takes none.
        ShapeError: widths that are negative or do not name every axis; to "reflect", an axis that is not longer than
            its widths; to repeat the "edge", an empty axis.

    Example:
        >>> import minigrad as mg
        >>> mg.pad(mg.tensor([1.0, 2.0]), ((1, 2),))
        tensor([0., 1., 2., 0., 0.])
        >>> mg.pad(mg.tensor([1.0, 2.0, 3.0]), 2, mode="reflect")
        tensor([3., 2., 1., 2., 3., 2., 1.])
    """
    pairs = _pairs(x, widths)
    if mode not in ("constant", "edge", "reflect"):
        raise ArgumentError(f'mode: {mode!r} must be "constant", "edge" or "reflect"')
    if not any(map(any, pairs)):
        return x  # type: ignore[no-any-return]
    number(value, "value", "pad")
    if mode == "constant":
        return pad_(x, widths=pairs, value=float(value))
    if value != 0:
        raise ArgumentError(f"value: {value} is for mode='constant'; mode={mode!r} takes none")
    return _continued(x, pairs, mode)


def _pairs(x: Any, widths: Any) -> tuple[tuple[int, int], ...]:
    ndim = len(shape_of(x, "pad"))
    widths = widths.tolist() if hasattr(widths, "tolist") else widths
    nested = isinstance(widths, Sequence) and any(isinstance(w, Sequence) for w in widths)
    pairs = [integers(w, "widths", "pad") for w in (widths if nested and not isinstance(widths, str) else [widths])]
    pairs = [p * 2 if len(p) == 1 else p for p in pairs]
    if len(pairs) not in (1, ndim) or any(len(p) != 2 or min(p) < 0 for p in pairs):
        raise ShapeError(
            f"pad: widths {widths} must give two numbers, not negative, for each of the {ndim} axes of shape "
            f"{tuple(x.shape)}"
        )
    return tuple((a, b) for a, b in pairs * (ndim if len(pairs) == 1 else 1))


@composite
def _continued(x: Operand, pairs: tuple[tuple[int, int], ...], mode: str) -> Tensor:
    """Axis after axis, so that a corner is continued from what was put beside it, as NumPy does."""
    for axis, (before, after) in enumerate(pairs):
        n = x.shape[axis]
        if not max(before, after):
            continue
        if n == 0 or (mode == "reflect" and max(before, after) >= n):
            raise ShapeError(
                f"pad: mode={mode!r} cannot take {max(before, after)} elements from axis {axis} of shape "
                f"{tuple(x.shape)}; it must have {'more' if mode == 'reflect' else 'at least one'}"
            )
        if mode == "reflect":
            first = flip(take_part(x, axis=axis, start=1, stop=before + 1), axis)
            last = flip(take_part(x, axis=axis, start=n - 1 - after, stop=n - 1), axis)
        else:
            first, last = (take_part(x, axis=axis, start=k, stop=k + 1) for k in (0, n - 1))
            first = broadcast_to_(first, shape=(*x.shape[:axis], before, *x.shape[axis + 1 :]))
            last = broadcast_to_(last, shape=(*x.shape[:axis], after, *x.shape[axis + 1 :]))
        x = concat([first, x, last], axis)
    return x  # type: ignore[no-any-return]
