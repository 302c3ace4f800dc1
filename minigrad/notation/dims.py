"""Shapes of arrays without arrays: what indexing, broadcasting and matrix products make of the shapes of symbols."""

from __future__ import annotations

import numbers
from typing import Any

Dims = tuple[int, ...]


def shape_of(value: Any) -> Dims | None:
    if isinstance(value, numbers.Number):
        return ()
    shape = getattr(value, "shape", None)
    return shape if isinstance(shape, tuple) else None


def broadcast(a: Dims, b: Dims) -> Dims:
    ndim = max(len(a), len(b))
    wide_a, wide_b = (1,) * (ndim - len(a)) + a, (1,) * (ndim - len(b)) + b
    if any(m != n and m != 1 and n != 1 for m, n in zip(wide_a, wide_b, strict=True)):
        raise ValueError(f"symbols of shapes {a} and {b} do not broadcast: each axis must be equal or 1")
    return tuple(n if m == 1 else m for m, n in zip(wide_a, wide_b, strict=True))


def matmul_shape(a: Dims, b: Dims) -> Dims:
    inner = b[-2] if len(b) > 1 else b[0] if b else -1
    if not a or not b or a[-1] != inner:
        raise ValueError(f"symbols of shapes {a} and {b} do not multiply as matrices: {a[-1:]} meets {b[-2:][:1]}")
    return broadcast(a[:-2], b[:-2]) + a[-2:-1] + (b[-1:] if len(b) > 1 else ())


def indexed_shape(shape: Dims | None, index: Any) -> Dims | None:
    """The shape after basic indexing; None when it is not known or the index is an array."""
    parts = index if isinstance(index, tuple) else (index,)
    if shape is None or not all(p is None or p is Ellipsis or isinstance(p, (int, slice)) for p in parts):
        return None
    if any(isinstance(p, bool) for p in parts) or sum(p is Ellipsis for p in parts) > 1:
        return None
    taken = sum(p is not None and p is not Ellipsis for p in parts)
    if taken > len(shape):
        raise IndexError(f"{taken} indices for a symbol of shape {shape}, which has {len(shape)} axes")
    if Ellipsis not in parts:
        parts = (*parts, Ellipsis)
    out: list[int] = []
    axis = 0
    for part in parts:
        if part is None:
            out.append(1)
        elif part is Ellipsis:
            out += shape[axis : axis + len(shape) - taken]
            axis += len(shape) - taken
        else:
            if isinstance(part, slice):
                out.append(len(range(*part.indices(shape[axis]))))
            elif not -shape[axis] <= part < shape[axis]:
                raise IndexError(f"index {part} is out of bounds for axis {axis} of a symbol of shape {shape}")
            axis += 1
    return tuple(out)
