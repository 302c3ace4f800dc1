"""Matrix products and decompositions, over any leading batch axes."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minigrad import notation
from minigrad.core import Operand, Tensor, method, primitive, reshape_, shape_of
from minigrad.core.domains import Case, Rng, nonzero, reals
from minigrad.errors import ShapeError
from minigrad.ops.elementwise import reflected, where
from minigrad.ops.shape import expand_dims, matrix_transpose

__all__ = ["matmul"]


def _infer_matmul(a: Any, b: Any) -> Any:
    if len(a.shape) < 2 or len(b.shape) < 2 or a.shape[-1] != b.shape[-2]:
        raise ShapeError(
            f"matmul: shapes a {tuple(a.shape)} and b {tuple(b.shape)} do not fit: the last axis of a ({a.shape[-1]}) "
            f"and the second last of b ({b.shape[-2] if len(b.shape) > 1 else b.shape[0]}) must be equal; transpose "
            "one of them?"
        )
    try:
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise ShapeError(
            f"matmul: the batch axes of a {tuple(a.shape)} and b {tuple(b.shape)} do not broadcast: compared from "
            "the right, those before the last two must be equal or 1"
        ) from None
    return (*batch, a.shape[-2], b.shape[-1]), None if a.dtype is None or b.dtype is None else np.result_type(
        a.dtype, b.dtype
    )


def _case_matmul(rng: Rng) -> Case:
    n, k, m = (int(i) for i in rng.integers(1, 4, 3))
    lead_a, lead_b = [((), ()), ((2,), (2,)), ((2, 1), (3,)), ((), (2,))][int(rng.integers(4))]
    return (reals(rng, (*lead_a, n, k)), reals(rng, (*lead_b, k, m))), {}


@primitive(
    lambda g, b: matmul_(g, matrix_transpose(b)),
    lambda g, a: matmul_(matrix_transpose(a), g),
    show=notation.MATMUL,
    samples=_case_matmul,
    kind="opaque",
    infer=_infer_matmul,
    name="matmul",
)
def matmul_(xp: Any, a: Operand, b: Operand) -> Any:
    """The matrix product of the last two axes, the leading ones broadcast."""
    if a.dtype == np.float16 and b.dtype == np.float16:  # products of float16 accumulate in float32
        return xp.matmul(a.astype(np.float32), b.astype(np.float32)).astype(np.float16)
    return xp.matmul(a, b)


@method("__matmul__")
def matmul(a: Operand, b: Operand) -> Tensor:
    """The matrix product, with NumPy's rules for one-dimensional operands and batches.

    Raises:
        ShapeError: sizes that do not fit, or a scalar operand.

    Example:
        >>> import minigrad as mg
        >>> mg.matmul(mg.tensor([[1.0, 2.0]]), mg.tensor([3.0, 4.0]))
        tensor([11.])
    """
    ndim_a, ndim_b = len(getattr(a, "shape", ())), len(getattr(b, "shape", ()))
    if ndim_a == 2 and ndim_b == 2:
        return matmul_(a, b)
    if not ndim_a or not ndim_b:
        raise ShapeError(
            f"matmul: operands of shape {getattr(a, 'shape', ())} and {getattr(b, 'shape', ())}; it takes no "
            "scalars, use * for those"
        )
    row, column = ndim_a == 1, ndim_b == 1
    a = expand_dims(a, 0) if row else a
    b = expand_dims(b, 1) if column else b
    if ndim_a > 2 and len(b.shape) == 2:  # one matrix for all of a batch: one large product instead of many small ones
        _infer_matmul(a, b)
        lead = a.shape[:-1]
        y = reshape_(matmul_(reshape_(a, shape=(int(np.prod(lead)), a.shape[-1])), b), shape=(*lead, b.shape[-1]))
    else:
        y = matmul_(a, b)
    last = len(y.shape) - 1
    drop = (*[last - 1] * row, *[last] * column)
    return reshape_(y, shape=tuple(n for i, n in enumerate(y.shape) if i not in drop)) if drop else y


reflected(matmul, "__rmatmul__")


@primitive(samples=lambda rng: ((reals(rng, (2, 3, 3)),), {}), kind="opaque", infer=lambda x: (x.shape, np.dtype(bool)))
def diagonal_mask(xp: Any, x: Operand) -> Any:
    """True on the diagonal of each matrix of x, False elsewhere."""
    return xp.broadcast_to(xp.eye(x.shape[-2], x.shape[-1], dtype=bool), x.shape)


def _eigh_rule(g: Any, y: Any) -> Any:
    """v (diag(gw) + F ∘ (vᵀ gv)) vᵀ with F_ij = 1 / (w_j - w_i) off the diagonal (Giles, "An extended collection of
    matrix derivative results for forward and reverse mode algorithmic differentiation", 2008, section 3.1).
    """
    (gw, gv), (w, v) = g, y
    vt = matrix_transpose(v)
    inner = matmul_(vt, gv)
    diagonal = diagonal_mask(inner)
    gaps = expand_dims(w, -2) - expand_dims(w, -1)
    inner = where(diagonal, expand_dims(gw, -1), inner / where(diagonal, 1.0, gaps))
    gx = matmul_(matmul_(v, inner), vt)
    return 0.5 * (gx + matrix_transpose(gx))


def _case_eigh(rng: Rng) -> Case:
    n, lead = int(rng.integers(1, 4)), [(), (2,)][int(rng.integers(2))]
    x = np.tril(nonzero(rng, (*lead, n, n)) * 0.25, -1)  # away from 0, where an eigenvector changes its sign
    diagonal = np.eye(n) * (3 * np.arange(n) + rng.uniform(0, 1, (*lead, 1, n)))  # eigenvalues well apart
    return (x + np.swapaxes(x, -1, -2) + diagonal,), {}


@primitive(
    _eigh_rule,
    show=notation.fn("eigh"),
    samples=_case_eigh,
    kind="opaque",
    outputs=2,
    infer=lambda x: ((x.shape[:-1], x.dtype), (x.shape, x.dtype)),
    name="eigh",
)
def eigh_(xp: Any, x: Operand) -> Any:
    """Eigenvalues and eigenvectors of the symmetric parts of matrices; those of float16 are computed in float32."""
    wide = x.astype(np.float32) if x.dtype == np.float16 else x
    w, v = xp.linalg.eigh(0.5 * (wide + xp.swapaxes(wide, -1, -2)))
    return w.astype(x.dtype, copy=False), v.astype(x.dtype, copy=False)


class Eigh(NamedTuple):
    """Eigenvalues in ascending order (…, n) and eigenvectors as columns (…, n, n)."""

    eigenvalues: Tensor
    eigenvectors: Tensor


def eigh(x: Operand) -> Eigh:
    """Eigenvalues and eigenvectors of symmetric matrices (the symmetric part of `x` is used): x = v diag(w) vᵀ.

    The derivative of the eigenvectors is infinite where two eigenvalues are equal; functions that do not depend on the
    choice of eigenvectors can still be differentiated where all are different.

    Args:
        x: (…, n, n), floating.

    Raises:
        ShapeError: the last two sizes differ.

    Example:
        >>> import minigrad as mg
        >>> mg.linalg.eigh(mg.tensor([[2.0, 0.0], [0.0, 1.0]])).eigenvalues
        tensor([1., 2.])
    """
    shape = shape_of(x, "eigh")
    if len(shape) < 2 or shape[-1] != shape[-2]:
        raise ShapeError(f"eigh: shape {shape} holds no square matrices; the last two sizes must be equal")
    return Eigh(*eigh_(x))
