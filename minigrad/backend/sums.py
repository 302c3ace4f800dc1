"""Sums of float32 and float64 on NumPy that are both more exact and faster than `numpy.add.reduce`.

NumPy adds along any axis but the last one after the other: off by 0.6 % for axis 0 of float32 (625000, 16). A full pass
in float64 is exact and costs four times as much. So: runs of at most 1024 neighbours, or 256 rows, are added by BLAS in
the dtype they have (a product with ones, which adds in 8 or more lanes), and what they leave, at most 1/64 of the data,
in float64. The error stays under 4e-7 of the sum of magnitudes in float32, 3e-15 in float64, for any shape, axes and
layout. Squares are summed in the same runs, and not stored. Arrays are only read.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

Array = Any

_RUN_INSIDE, _RUN_ACROSS = 1024, 256
_ONES: dict[str, Any] = {"f": np.ones(_RUN_INSIDE, np.float32), "d": np.ones(_RUN_INSIDE, np.float64)}
_WHOLE = 1 << 14  # NumPy adds a whole contiguous array in pairs: exact, and quicker while it is short
FEW = 16  # up to here, whole-array operations beat a reduction along a short axis
_TINY = 128
"""Products smaller than this, one for each outer index, cost more in calls than in additions."""


def accurate_sum(a: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
    """The sum of a float32 or float64 array over `axes` (not negative, none twice), in its dtype.

    >>> x = np.full((625000, 2), 0.1, np.float32)
    >>> bool(abs(accurate_sum(x, (0,), False) / 62500 - 1).max() < 1e-6), bool(abs(x.sum(0) / 62500 - 1).max() < 1e-3)
    (True, False)
    """
    shape = a.shape
    few = len(axes) > 1 and a.size > _WHOLE and 0 < prod(shape[i] for i in axes) <= FEW
    if few and (a.flags.c_contiguous or 0 not in a.strides):  # windows that overlap are not copied
        y = over_few(np.add, a, axes)
    elif not a.flags.c_contiguous:
        y = _any_layout(a, axes)
    elif len(axes) == len(shape) and a.size <= _WHOLE:
        y = np.asarray(np.add.reduce(a, axes))
    elif len(shape) == 2 and axes == (1,) and shape[1] <= _RUN_INSIDE:  # the two commonest cases, in short
        y = a @ _ONES[a.dtype.char][: shape[1]]
    elif len(shape) == 2 and axes == (0,) and shape[0] <= _RUN_ACROSS:
        y = _ONES[a.dtype.char][: shape[0]] @ a
    else:
        y = _contiguous(a, axes)
    if keepdims:
        return y.reshape([1 if i in axes else n for i, n in enumerate(shape)])
    return y


def _contiguous(a: Array, axes: tuple[int, ...]) -> Array:
    """The sum of a C-contiguous array, its longest group of axes first, which leaves least for the rest."""
    lengths, reduced = _groups(a.shape, axes)
    if not reduced:
        return a.reshape([n for i, n in enumerate(a.shape) if i not in axes]).copy()
    at = max(reduced, key=lengths.__getitem__)
    partial, left = _short_runs(a, prod(lengths[:at]), lengths[at], prod(lengths[at + 1 :]))
    lengths[at] = left
    return _widely(partial, lengths, reduced, a, axes)


def _widely(partial: Array, lengths: list[int], reduced: list[int], a: Array, axes: tuple[int, ...]) -> Array:
    """What is left of `a` after its runs were added, `lengths` long, added in float64 and brought into shape."""
    rest = [i for i in reduced if lengths[i] > 1]
    if rest:
        partial = partial.astype(np.float64, copy=False)
        for i in rest:
            partial = _by_ones(partial, prod(lengths[:i]), lengths[i], prod(lengths[i + 1 :]))
            lengths[i] = 1
        partial = partial.astype(a.dtype, copy=False)
    return partial.reshape([n for i, n in enumerate(a.shape) if i not in axes])


def accurate_squares(a: Array, axes: tuple[int, ...]) -> Array:
    """The sum of the squares of a float32 or float64 array over `axes`, in a third of the time of squares and sum.

    >>> float(accurate_squares(np.full((3, 4096), 2.0, np.float32), (0, 1)))
    49152.0
    """
    lengths, reduced = _groups(a.shape, axes) if a.flags.c_contiguous else ([], [])
    if len(reduced) != 1 or 0 < reduced[0] < len(lengths) - 1:
        return accurate_sum(np.square(a), axes, False)
    at = reduced[0]
    last = at == len(lengths) - 1
    run = _run_length(lengths[at], _RUN_INSIDE if last else _RUN_ACROSS)
    many, over = divmod(lengths[at], run)
    if over:
        return accurate_sum(np.square(a), axes, False)
    if last:
        a_run = a.reshape(-1, run)
        partial = np.vecdot(a_run, a_run)
    else:
        a_run = a.reshape(run, -1)  # rows i, i + many, i + 2 many ... of the whole, as in `_short_runs`
        partial = np.einsum("ij,ij->j", a_run, a_run)
    lengths[at] = many
    return _widely(partial, lengths, reduced, a, axes)


def _groups(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[list[int], list[int]]:
    """Lengths after neighbours of one kind are merged, and which of them are to be summed."""
    lengths: list[int] = []
    reduced: list[int] = []
    before = None
    for i, n in enumerate(shape):
        if n == 1:
            continue
        inside = i in axes
        if inside is before:
            lengths[-1] *= n
        else:
            if inside:
                reduced.append(len(lengths))
            lengths.append(n)
        before = inside
    return lengths, reduced


def _short_runs(a: Array, outer: int, n: int, inner: int) -> tuple[Array, int]:
    """Sums of runs along the middle of (outer, n, inner), and how many of them there are along it."""
    run = _run_length(n, _RUN_INSIDE if inner == 1 else _RUN_ACROSS)
    many, over = divmod(n, run)
    if not over:
        if inner == 1:
            return _by_ones(a, outer * many, run, 1), many
        return _by_ones(a, outer, run, many * inner), many  # rows i, i + many, i + 2 many ...: one wide product
    a, ones = a.reshape(outer, n, inner), _ONES[a.dtype.char][:run]
    if inner == 1:
        sums = a[:, : run * many, 0].reshape(outer, many, run) @ ones
    else:
        sums = ones @ a[:, : run * many].reshape(outer, run, many * inner)
    return np.concatenate([sums.reshape(outer, many, inner), a[:, run * many :]], axis=1), many + over


@lru_cache(maxsize=1024)
def _run_length(n: int, most: int) -> int:
    """The longest divisor of n from most/4 to most, so that nothing is left over, or else `most`."""
    if n <= most:
        return n
    return next((k for k in range(most, most // 4 - 1, -1) if n % k == 0), most)


def _by_ones(a: Array, outer: int, n: int, inner: int) -> Array:
    """The sum over the middle of (outer, n, inner) as a product with ones."""
    ones = _ONES[a.dtype.char]
    ones = ones[:n] if n <= _RUN_INSIDE else np.ones(n, a.dtype)
    if inner == 1:
        return a.reshape(outer, n) @ ones
    if outer == 1:
        return ones @ a.reshape(n, inner)
    a = a.reshape(outer, n, inner)
    if n <= FEW:
        return over_few(np.add, a, (1,))
    if n * inner < _TINY:
        return np.add.reduce(a, 1)
    return ones @ a


def over_few(ufunc: Any, a: Array, axes: tuple[int, ...]) -> Array:
    """`ufunc.reduce` over `axes` that have few places altogether: one call on a large slice for each place.

    NumPy's own loop would make a call's worth of steps for every few elements (4 to 20 times slower for 2x2 windows).
    """
    places: list[tuple[Any, ...]] = [()]
    for i, n in enumerate(a.shape):
        places = [(*p, k) for p in places for k in (range(n) if i in axes else (slice(None),))]
    if len(places) == 1:
        return a[places[0]].copy()
    y = ufunc(a[places[0]], a[places[1]])
    for place in places[2:]:
        ufunc(y, a[place], out=y)
    return y


def _any_layout(a: Array, axes: tuple[int, ...]) -> Array:
    """The sum of a transposed, sliced or broadcast array: broadcast axes are not walked, transposed ones not copied."""
    shape, strides = a.shape, a.strides
    flat = [i for i, (n, s) in enumerate(zip(shape, strides, strict=True)) if s == 0 and n > 1]
    if flat:
        once = a[tuple(slice(0, 1) if i in flat else slice(None) for i in range(len(shape)))]
        times = prod(shape[i] for i in flat if i in axes)
        y = accurate_sum(np.ascontiguousarray(once), axes, True) * a.dtype.type(times)
        full = [1 if i in axes else n for i, n in enumerate(shape)]
        return np.array(np.broadcast_to(y, full)).reshape([n for i, n in enumerate(shape) if i not in axes])
    order = sorted(range(len(shape)), key=lambda i: -abs(strides[i]))
    kept = [i for i in order if i not in axes]
    y = _contiguous(np.ascontiguousarray(a.transpose(order)), tuple(order.index(i) for i in axes))
    return y.transpose([kept.index(i) for i in sorted(kept)])
