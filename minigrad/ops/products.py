"""Products of arrays along named axes: inner, outer, tensordot, einsum, each composed of matmul, sums and shapes."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from minigrad.core import (
    Operand,
    Tensor,
    astype,
    broadcast_to,
    composite,
    integer,
    integers,
    normalize_axes,
    one_axis,
    reshape_,
    shape_of,
    sum_,
)
from minigrad.errors import ArgumentError, ArgumentTypeError, ShapeError
from minigrad.ops.arrange import diagonal
from minigrad.ops.linalg import matmul_
from minigrad.ops.shape import expand_dims, moveaxis, permute_dims_

__all__ = ["einsum", "outer", "tensordot", "vecdot"]

# ---- two operands


@composite
def vecdot(a: Operand, b: Operand, axis: int = -1) -> Tensor:
    """The inner products of vectors along `axis`, the other axes broadcast: the sum of a b.

    Args:
        a, b: arrays whose sizes along `axis` are equal, and whose other axes broadcast against each other.
        axis: counted from the end, from -1 on, where the numbers of axes differ.

    Raises:
        ShapeError: sizes along `axis` that differ.

    Example:
        >>> import minigrad as mg
        >>> mg.vecdot(mg.tensor([1.0, 2.0]), mg.tensor([3.0, 4.0]))
        tensor(11.)
    """
    i, j = one_axis(a, axis, "vecdot"), one_axis(b, axis, "vecdot")
    if a.shape[i] != b.shape[j]:
        raise ShapeError(
            f"vecdot: a {tuple(a.shape)} and b {tuple(b.shape)} have {a.shape[i]} and {b.shape[j]} elements along axis "
            f"{axis}; these must be equal"
        )
    return _inner(moveaxis(a, i, -1), moveaxis(b, j, -1))


def _inner(a: Any, b: Any) -> Tensor:
    """The sum of a b over the last axis, in the dtype of a b, as in `matmul`; float16 by way of float32."""
    half = a.dtype == np.float16 and b.dtype == np.float16
    product = astype(a, "float32") * astype(b, "float32") if half else a * b
    y = sum_(product, axes=(len(product.shape) - 1,))
    return y if product.dtype is None else astype(y, "float16" if half else product.dtype)


@composite
def outer(a: Operand, b: Operand) -> Tensor:
    """All products of an element of a and one of b: y[i, j] = a[i] b[j]; both are flattened.

    Example:
        >>> import minigrad as mg
        >>> mg.outer(mg.tensor([1.0, 2.0]), mg.tensor([3.0, 4.0]))
        tensor([[3., 4.],
                [6., 8.]])
    """
    rows, columns = math.prod(shape_of(a, "outer", "a")), math.prod(shape_of(b, "outer", "b"))
    return reshape_(a, shape=(rows, 1)) * reshape_(b, shape=(columns,))


@composite
def tensordot(a: Operand, b: Operand, axes: int | tuple[Sequence[int], Sequence[int]] = 2) -> Tensor:
    """The sum of products over pairs of axes, one of a and one of b; the axes of a that are left come first.

    Args:
        a, b: any shapes.
        axes: how many: the last axes of a with the first of b, in order; or two sequences, the axes of a and those of
            b that go with them.

    Raises:
        ShapeError: sizes that differ, or more axes than there are.

    Example:
        >>> import minigrad as mg
        >>> mg.tensordot(mg.ones((2, 3, 4)), mg.ones((4, 3, 5)), ([2, 1], [0, 1])).shape
        (2, 5)
    """
    shape_a, shape_b = shape_of(a, "tensordot", "a"), shape_of(b, "tensordot", "b")
    pair = tuple(axes) if isinstance(axes, Sequence) and not isinstance(axes, str) else None
    if pair is None:
        axes = integer(axes, "axes", "tensordot")
        if not 0 <= axes <= min(len(shape_a), len(shape_b)):
            raise ShapeError(f"tensordot: axes={axes}, but a has shape {shape_a} and b {shape_b}")
        of_a, of_b = list(range(len(shape_a) - axes, len(shape_a))), list(range(axes))
    else:
        if len(pair) != 2:
            raise ArgumentTypeError(f"tensordot: axes={axes!r} must be a number, or two sequences, of a and of b")
        first, second = (integers(k, "axes", "tensordot") for k in pair)
        of_a = [normalize_axes(a, k, "tensordot", "axes")[0] for k in first]
        of_b = [normalize_axes(b, k, "tensordot", "axes")[0] for k in second]
    twice = len({*of_a}) != len(of_a) or len({*of_b}) != len(of_b)
    if twice or [shape_a[i] for i in of_a] != [shape_b[i] for i in of_b]:
        raise ShapeError(
            f"tensordot: axes {of_a} of a {shape_a} and {of_b} of b {shape_b} must be different ones of equal sizes"
        )
    free_a = [i for i in range(len(shape_a)) if i not in of_a]
    free_b = [i for i in range(len(shape_b)) if i not in of_b]
    k = math.prod(shape_a[i] for i in of_a)
    rows, columns = tuple(shape_a[i] for i in free_a), tuple(shape_b[i] for i in free_b)
    left = reshape_(permute_dims_(a, axes=(*free_a, *of_a)), shape=(math.prod(rows), k))
    right = reshape_(permute_dims_(b, axes=(*of_b, *free_b)), shape=(k, math.prod(columns)))
    return reshape_(matmul_(left, right), shape=(*rows, *columns))


# ---- einsum: pairs of operands, each pair one product of matrices


class _Term(NamedTuple):
    """An operand with a label for each of its axes, all different."""

    array: Any
    labels: str


@composite
def einsum(subscripts: str, *operands: Operand) -> Tensor:
    """Sums of products over labelled axes, as numpy.einsum writes them: "ij,jk->ik" is a product of matrices.

    A label that stands twice in one operand takes its diagonal; one that is missing from the result is summed over. An
    ellipsis stands for the axes that have no label, which broadcast. Without "->", the result has the ellipsis and the
    labels that stand once, in alphabetical order. Operands are multiplied in pairs, as matrices, in the order that
    keeps what lies between smallest.

    Args:
        subscripts: letters for the axes of each operand, separated by commas; then "->" and those of the result.
        operands: as many arrays.

    Raises:
        ArgumentError: subscripts that cannot be read: unknown characters, a label twice in the result or not among the
            operands, another number of operands.
        ShapeError: another number of labels than axes, or one label for two sizes (1 broadcasts).

    Example:
        >>> import minigrad as mg
        >>> mg.einsum("...ij,...j->...i", mg.ones((5, 2, 3)), mg.ones(3)).shape
        (5, 2)
    """
    terms, result = _read(subscripts, operands)
    sizes = _sizes(subscripts, terms)
    terms = [_squeezed(_distinct(t), sizes) for t in terms]
    while len(terms) > 1:
        i, j = min(itertools.combinations(range(len(terms)), 2), key=lambda pair: _cost(terms, pair, result, sizes))
        first, second = terms[i], terms[j]
        terms = [t for k, t in enumerate(terms) if k not in (i, j)]
        kept = {*result}.union(*(t.labels for t in terms))
        terms.append(_product(_summed(first, kept, second.labels), _summed(second, kept, first.labels), kept, sizes))
    term = _summed(terms[0], {*result})
    if (dtype := term.array.dtype) is not None and dtype.kind in "biu":  # sums of small integers are wider
        term = term._replace(array=astype(term.array, np.result_type(*(a.dtype for a in operands))))
    y = permute_dims_(term.array, axes=tuple(term.labels.index(c) for c in result if c in term.labels))
    missing = [i for i, c in enumerate(result) if c not in term.labels]  # every operand had size 1 there
    return expand_dims(y, missing) if missing else y


_SPARE = "".join(chr(k) for k in range(0x391, 0x3B1))  # labels for the axes under an ellipsis, which nobody can type


def _read(subscripts: str, operands: Sequence[Any]) -> tuple[list[_Term], str]:
    """The operands with their labels, which may repeat, and the labels of the result; ellipses are spelt out."""

    def refuse(why: str) -> ArgumentError:
        return ArgumentError(f"einsum: subscripts {subscripts!r}: {why}")

    if not isinstance(subscripts, str):
        raise ArgumentTypeError(f'einsum: subscripts={subscripts!r} must be a string such as "ij,jk->ik"')
    text = subscripts.replace(" ", "")
    left, arrow, right = text.partition("->")
    parts = left.split(",")
    if len(parts) != len(operands):
        raise refuse(f"{len(parts)} operands are named, {len(operands)} given")
    for part in (*parts, right):
        bare = part.replace("...", "", 1)
        if not all(c.isascii() and c.isalpha() for c in bare):
            raise refuse(f"{part!r} must be letters, with at most one ellipsis '...'")
    unnamed = [len(a.shape) - len(p.replace("...", "")) for a, p in zip(operands, parts, strict=True)]
    for k, (a, part) in enumerate(zip(operands, parts, strict=True)):
        if unnamed[k] < 0 or (unnamed[k] and "..." not in part):
            raise ShapeError(
                f"einsum: subscripts {subscripts!r}: {part!r} does not name the {len(a.shape)} axes of operand {k}, "
                f"shape {tuple(a.shape)}"
            )
    under = _SPARE[: max((n for n, p in zip(unnamed, parts, strict=True) if "..." in p), default=0)]
    spelt = [p.replace("...", under[len(under) - n :] if n else "") for n, p in zip(unnamed, parts, strict=True)]
    counts = Counter("".join(parts).replace(".", ""))
    if not arrow:
        right = "..." + "".join(sorted(c for c, n in counts.items() if n == 1))
    if under and "..." not in right:
        raise refuse("an operand has axes under its ellipsis and the result has no '...'; name them to sum over them")
    for c, n in Counter(right.replace(".", "")).items():
        if n > 1:
            raise refuse(f"{c!r} stands twice in the result; take the product of the result with an identity instead")
        if c not in counts:
            raise refuse(f"{c!r} stands in the result and in no operand")
    return [_Term(a, s) for a, s in zip(operands, spelt, strict=True)], right.replace("...", under)


def _sizes(subscripts: str, terms: Sequence[_Term]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for term in terms:
        for c, n in zip(term.labels, term.array.shape, strict=True):
            if sizes.setdefault(c, n) != n:
                if 1 not in (n, sizes[c]):
                    raise ShapeError(
                        f"einsum: subscripts {subscripts!r}: label {c if c.isascii() else '...'!r} stands for sizes "
                        f"{sizes[c]} and {n}, in operands of shapes {[tuple(t.array.shape) for t in terms]}"
                    )
                sizes[c] = max(n, sizes[c]) if 0 not in (n, sizes[c]) else 0
    return sizes


def _distinct(term: _Term) -> _Term:
    """A label that stands twice: the diagonal."""
    array, labels = term
    while len({*labels}) < len(labels):
        c = next(c for c in labels if labels.count(c) > 1)
        i = labels.index(c)
        j = labels.index(c, i + 1)
        n = max(array.shape[i], array.shape[j])
        shape = tuple(n if k in (i, j) else m for k, m in enumerate(array.shape))
        array = diagonal(array if tuple(array.shape) == shape else broadcast_to(array, shape), 0, i, j)
        labels = "".join(d for k, d in enumerate(labels) if k not in (i, j)) + c
    return _Term(array, labels)


def _squeezed(term: _Term, sizes: dict[str, int]) -> _Term:
    """Without the axes of size 1, which only repeat what is there."""
    array, labels = term
    kept = [i for i, n in enumerate(array.shape) if n != 1]
    if len(kept) == len(labels):
        return term
    return _Term(reshape_(array, shape=tuple(array.shape[i] for i in kept)), "".join(labels[i] for i in kept))


def _summed(term: _Term, *wanted: Any) -> _Term:
    """Without the labels that nobody asks for any more."""
    array, labels = term
    gone = tuple(i for i, c in enumerate(labels) if not any(c in w for w in wanted))
    if not gone:
        return term
    return _Term(sum_(array, axes=gone), "".join(c for i, c in enumerate(labels) if i not in gone))


def _cost(terms: Sequence[_Term], pair: tuple[int, int], result: str, sizes: dict[str, int]) -> int:
    """By how much the product of two terms is larger than the two."""
    i, j = pair
    kept = {*result}.union(*(t.labels for k, t in enumerate(terms) if k not in pair))
    both = {*terms[i].labels, *terms[j].labels} & kept
    size = math.prod(sizes[c] for c in both)
    return size - sum(math.prod(sizes[c] for c in terms[k].labels) for k in pair)


def _product(a: _Term, b: _Term, kept: set[str], sizes: dict[str, int]) -> _Term:
    """Two terms multiplied, and summed over the labels that both have and nobody else wants."""
    shared = [c for c in a.labels if c in b.labels]
    batch, over = [c for c in shared if c in kept], [c for c in shared if c not in kept]
    rows, columns = [c for c in a.labels if c not in shared], [c for c in b.labels if c not in shared]

    def arranged(term: _Term, *groups: list[str]) -> Any:
        labels = [c for group in groups for c in group]
        return permute_dims_(term.array, axes=tuple(term.labels.index(c) for c in labels))

    def count(labels: list[str]) -> int:
        return math.prod(sizes[c] for c in labels)

    lead, whole = tuple(sizes[c] for c in batch), "".join((*batch, *rows, *columns))
    if not over or not (rows or columns):  # nothing to gain from a product of matrices
        left = reshape_(arranged(a, batch, rows, over), shape=(*lead, count(rows), 1, count(over)))
        right = reshape_(arranged(b, batch, columns, over), shape=(*lead, 1, count(columns), count(over)))
        y = _inner(left, right) if over else left * right
    else:
        left = reshape_(arranged(a, batch, rows, over), shape=(*lead, count(rows), count(over)))
        right = reshape_(arranged(b, batch, over, columns), shape=(*lead, count(over), count(columns)))
        y = matmul_(left, right)
    return _Term(reshape_(y, shape=tuple(sizes[c] for c in whole)), whole)
