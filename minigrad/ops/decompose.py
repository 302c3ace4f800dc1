"""Inverses, linear systems and factorizations, over any leading batch axes, differentiable to any order.

The rules are those of M. Giles, "An extended collection of matrix derivative results for forward and reverse mode
algorithmic differentiation", Oxford, 2008, unless another source is named. Each is written in minigrad's own functions,
so it is differentiated like anything else. float16 is computed in float32.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minigrad import notation
from minigrad.core import Operand, Tensor, broadcast_to, composite, primitive, shape_of, sum_
from minigrad.core.domains import Case, Rng, reals
from minigrad.errors import ShapeError
from minigrad.ops.arrange import diagonal, lower_mask, tril, triu
from minigrad.ops.elementwise import keep, where
from minigrad.ops.joining import concat, take_part
from minigrad.ops.linalg import diagonal_mask, matmul_
from minigrad.ops.shape import expand_dims, matrix_transpose, squeeze

__all__ = ["QR", "Slogdet", "cholesky", "inv", "qr", "slogdet", "solve", "solve_triangular", "trace"]


def _square(x: Any, op: str) -> None:
    shape = shape_of(x, op)
    if len(shape) < 2 or shape[-1] != shape[-2]:
        raise ShapeError(f"{op}: shape {shape} holds no square matrices; the last two sizes must be equal")


def _wide(x: Any) -> Any:
    """What the libraries can factorize: no float16, and integers as float64."""
    return x.astype(np.float32 if x.dtype == np.float16 else np.float64) if x.dtype.char not in "fd" else x


def _back(y: Any, dtype: Any) -> Any:
    return y.astype(dtype, copy=False) if dtype.kind == "f" else y


def _floating(dtype: Any) -> Any:
    return dtype if dtype is None or dtype.kind == "f" else np.dtype(np.float64)


def well_conditioned(rng: Rng, n: int) -> Any:
    """One or two matrices (n, n) with singular values from 1 to 3."""
    lead = [(), (2,)][int(rng.integers(2))]
    u, _ = np.linalg.qr(reals(rng, (*lead, n, n)))
    v, _ = np.linalg.qr(reals(rng, (*lead, n, n)))
    return u * rng.uniform(1, 3, (*lead, 1, n)) @ v


# ---- inverses and systems


@primitive(
    lambda g, y: -matmul_(matmul_(matrix_transpose(y), g), matrix_transpose(y)),
    show=notation.fn("inv"),
    samples=lambda rng: ((well_conditioned(rng, int(rng.integers(1, 4))),), {}),
    kind="opaque",
    infer=lambda x: (x.shape, _floating(x.dtype)),
    name="inv",
)
def inv_(xp: Any, x: Operand) -> Any:
    """The inverses of matrices."""
    return _back(xp.linalg.inv(_wide(x)), x.dtype)


def inv(x: Operand) -> Tensor:
    """The inverses of the matrices (…, n, n).

    To solve a system, `solve` is quicker and more exact.

    Raises:
        ShapeError: the last two sizes differ.
        numpy.linalg.LinAlgError: a singular matrix (on a GPU: inf or NaN in the result).

    Example:
        >>> import minigrad as mg
        >>> mg.linalg.inv(mg.tensor([[2.0, 0.0], [0.0, 4.0]]))
        tensor([[0.5 , 0.  ],
                [0.  , 0.25]])
    """
    _square(x, "inv")
    return inv_(x)


def _case_solve(rng: Rng) -> Case:
    a = well_conditioned(rng, int(rng.integers(1, 4)))
    return (a, reals(rng, (*a.shape[:-1], int(rng.integers(1, 3))))), {}


@primitive(
    lambda g, a, y: -matmul_(solve_(matrix_transpose(a), g), matrix_transpose(y)),
    lambda g, a: solve_(matrix_transpose(a), g),
    show=notation.fn("solve"),
    samples=_case_solve,
    kind="opaque",
    infer=lambda a, b: (
        b.shape,
        None if a.dtype is None or b.dtype is None else np.result_type(_floating(a.dtype), _floating(b.dtype)),
    ),
    name="solve",
)
def solve_(xp: Any, a: Operand, b: Operand) -> Any:
    """The matrices y with a y = b; the batch axes of a and b are equal."""
    dtype = np.result_type(_floating(a.dtype), _floating(b.dtype))
    wide = np.result_type(dtype, np.float32)
    if 0 in b.shape:  # CuPy divides by the number of columns
        return xp.zeros(b.shape, dtype)
    return xp.linalg.solve(a.astype(wide, copy=False), b.astype(wide, copy=False)).astype(dtype, copy=False)


def _system(a: Any, b: Any, op: str) -> tuple[Any, Any, bool]:
    """a and b with the same batch axes, and whether b was one vector, to which an axis was added."""
    _square(a, op)
    vector = len(b.shape) == 1
    b = expand_dims(b, 1) if vector else b
    if not len(b.shape) or b.shape[-2] != a.shape[-1]:
        raise ShapeError(
            f"{op}: a {tuple(a.shape)} and b {tuple(b.shape[:-1] if vector else b.shape)} do not fit: b must have "
            f"{a.shape[-1]} rows; a batch of vectors needs a last axis, b[..., None]"
        )
    try:
        lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise ShapeError(
            f"{op}: the batch axes of a {tuple(a.shape)} and b {tuple(b.shape)} do not broadcast"
        ) from None
    a, b = (v if tuple(v.shape[:-2]) == lead else broadcast_to(v, (*lead, *v.shape[-2:])) for v in (a, b))
    return a, b, vector


@composite
def solve(a: Operand, b: Operand) -> Tensor:
    """The solutions y of a y = b.

    Args:
        a: (…, n, n).
        b: (n,), or (…, n, m); the batch axes broadcast.

    Raises:
        ShapeError: shapes that do not fit.
        numpy.linalg.LinAlgError: a singular matrix (on a GPU: inf or NaN in the result).

    Example:
        >>> import minigrad as mg
        >>> mg.linalg.solve(mg.tensor([[2.0, 0.0], [0.0, 4.0]]), mg.tensor([2.0, 2.0]))
        tensor([1. , 0.5])
    """
    a, b, vector = _system(a, b, "solve")
    y = solve_(a, b)
    return squeeze(y, -1) if vector else y


@composite
def solve_triangular(
    a: Operand, b: Operand, *, lower: bool = False, transposed: bool = False, unit_diagonal: bool = False
) -> Tensor:
    """The solutions y of a y = b for triangular a; the other triangle of `a` is not used and has gradient 0.

    By the library's general solver, which costs more than substitution would: NumPy and CuPy have no triangular one.

    Args:
        a: (…, n, n).
        b: (n,), or (…, n, m); the batch axes broadcast.
        lower: `a` is lower triangular, else upper.
        transposed: solve aᵀ y = b instead.
        unit_diagonal: take the diagonal of `a` to be 1, whatever is there.

    Raises:
        ShapeError: shapes that do not fit.
        numpy.linalg.LinAlgError: a 0 on the diagonal (on a GPU: inf or NaN in the result).

    Example:
        >>> import minigrad as mg
        >>> mg.linalg.solve_triangular(mg.tensor([[2.0, 9.0], [0.0, 4.0]]), mg.tensor([20.0, 8.0]))
        tensor([1., 2.])
    """
    a, b, vector = _system(a, b, "solve_triangular")
    a = tril(a, -1 if unit_diagonal else 0) if lower else triu(a, 1 if unit_diagonal else 0)
    if unit_diagonal:
        a = where(diagonal_mask(a), 1.0, a)
    y = solve_(matrix_transpose(a) if transposed else a, b)
    return squeeze(y, -1) if vector else y


# ---- determinants and traces


class Slogdet(NamedTuple):
    """Signs (…,), 1, -1 or 0, and natural logarithms of the absolute values (…,) of determinants."""

    sign: Tensor
    logabsdet: Tensor


@primitive(
    lambda g, x: expand_dims(g[1], (-2, -1)) * matrix_transpose(inv_(x)),
    show=notation.fn("slogdet"),
    samples=lambda rng: ((well_conditioned(rng, int(rng.integers(1, 4))),), {}),
    kind="opaque",
    outputs=2,
    infer=lambda x: ((x.shape[:-2], _floating(x.dtype)),) * 2,
    name="slogdet",
)
def slogdet_(xp: Any, x: Operand) -> Any:
    """Sign and logarithm of the absolute value of determinants."""
    sign, logabsdet = xp.linalg.slogdet(_wide(x))
    return _back(xp.asarray(sign), x.dtype), _back(xp.asarray(logabsdet), x.dtype)


def slogdet(x: Operand) -> Slogdet:
    """Sign and logarithm of the absolute value of the determinants of the matrices (…, n, n); nothing overflows.

    A singular matrix gives (0, -inf), and its gradient fails as `inv` does. The derivative of the sign is 0.

    Raises:
        ShapeError: the last two sizes differ.

    Example:
        >>> import minigrad as mg
        >>> mg.linalg.slogdet(mg.tensor([[0.0, 1.0], [1.0, 0.0]])).sign
        tensor(-1.)
    """
    _square(x, "slogdet")
    return Slogdet(*slogdet_(x))


@composite
def trace(x: Operand, offset: int = 0) -> Tensor:
    """The sums of diagonal `offset` (0 the main one, 1 above it) of the matrices (…, n, m).

    Raises:
        ShapeError: fewer than two axes.

    Example:
        >>> import minigrad as mg
        >>> mg.linalg.trace(mg.tensor([[1.0, 2.0], [3.0, 4.0]]))
        tensor(5.)
    """
    if len(x.shape) < 2:
        raise ShapeError(f"trace: shape {tuple(x.shape)} has {len(x.shape)} axes; a matrix has at least two")
    d = diagonal(x, offset, -2, -1)
    return sum_(d, axes=(len(d.shape) - 1,))


# ---- factorizations


def _cholesky_rule(g: Any, y: Any) -> Any:
    """sym(y⁻ᵀ P y⁻¹), P the lower triangle of yᵀ g with half of the diagonal (I. Murray, "Differentiation of the
    Cholesky decomposition", arXiv 1602.07527, 2016).
    """
    inner = tril(matmul_(matrix_transpose(y), g))  # of g, only the lower triangle gets there
    inner = where(diagonal_mask(inner), 0.5 * inner, inner)
    upper = matrix_transpose(y)
    left = solve_(upper, inner)  # y⁻ᵀ P
    whole = solve_(upper, matrix_transpose(left))  # and that times y⁻¹, transposed
    return 0.5 * (whole + matrix_transpose(whole))


def _case_cholesky(rng: Rng) -> Case:
    a = well_conditioned(rng, int(rng.integers(1, 4)))
    return (a @ np.swapaxes(a, -1, -2),), {}


@primitive(
    _cholesky_rule,
    show=notation.fn("cholesky"),
    samples=_case_cholesky,
    kind="opaque",
    infer=lambda x: (x.shape, _floating(x.dtype)),
    name="cholesky",
)
def cholesky_(xp: Any, x: Operand) -> Any:
    """The lower triangular factors of the symmetric parts of matrices."""
    wide = _wide(x)
    return _back(xp.linalg.cholesky(0.5 * (wide + xp.swapaxes(wide, -1, -2))), x.dtype)


def cholesky(x: Operand, *, upper: bool = False) -> Tensor:
    """The triangular factors of positive definite matrices (the symmetric part of `x` is used): x = y yᵀ.

    Args:
        x: (…, n, n).
        upper: give yᵀ instead: x = uᵀ u.

    Raises:
        ShapeError: the last two sizes differ.
        numpy.linalg.LinAlgError: a matrix that is not positive definite (on a GPU: NaN in the result).

    Example:
        >>> import minigrad as mg
        >>> mg.linalg.cholesky(mg.tensor([[4.0, 2.0], [2.0, 2.0]]))
        tensor([[2., 0.],
                [1., 1.]])
    """
    _square(x, "cholesky")
    y = cholesky_(x)
    return matrix_transpose(y) if upper else y


def _qr_rule(g: Any, y: Any) -> Any:
    """(gq + q C) r⁻ᵀ, C the lower triangle of r grᵀ - gqᵀ q, mirrored upwards (S. Walter, L. Lehmann, "Algorithmic
    differentiation of linear algebra functions with application in optimum experimental design", 2010).
    """
    (gq, gr), (q, r) = g, y
    m = matmul_(r, matrix_transpose(gr)) - matmul_(matrix_transpose(gq), q)  # above the diagonal it is not used
    below = keep(m, lower_mask(m, k=-1))
    mirrored = where(diagonal_mask(m), m, below + matrix_transpose(below))
    return matrix_transpose(solve_(r, matrix_transpose(gq + matmul_(q, mirrored))))


def _case_qr(rng: Rng) -> Case:
    n, extra = int(rng.integers(1, 4)), int(rng.integers(3))
    a = well_conditioned(rng, n)
    return (np.concatenate([a, reals(rng, (*a.shape[:-2], extra, n))], -2),), {}


@primitive(
    _qr_rule,
    show=notation.fn("qr"),
    samples=_case_qr,
    kind="opaque",
    outputs=2,
    infer=lambda x: ((x.shape, _floating(x.dtype)), ((*x.shape[:-2], x.shape[-1], x.shape[-1]), _floating(x.dtype))),
    name="qr",
)
def qr_(xp: Any, x: Operand) -> Any:
    """Orthonormal columns and upper triangular factors of matrices with at least as many rows as columns."""
    q, r = xp.linalg.qr(_wide(x))
    return _back(q, x.dtype), _back(r, x.dtype)


class QR(NamedTuple):
    """Orthonormal columns Q (…, n, k) and upper triangular R (…, k, m), k = min(n, m)."""

    Q: Tensor
    R: Tensor


@composite
def qr(x: Operand) -> QR:
    """The reduced QR factorization of the matrices (…, n, m): x = Q R.

    The signs are those that LAPACK chooses. The derivative needs the first min(n, m) columns to be independent.

    Raises:
        ShapeError: fewer than two axes.

    Example:
        >>> import minigrad as mg
        >>> q, r = mg.linalg.qr(mg.tensor([[3.0, 1.0], [4.0, 2.0]]))
        >>> mg.round(q @ r, 6)
        tensor([[3., 1.],
                [4., 2.]])
    """
    if len(x.shape) < 2:
        raise ShapeError(f"qr: shape {tuple(x.shape)} has {len(x.shape)} axes; a matrix has at least two")
    n, m = x.shape[-2:]
    if n >= m:
        return QR(*qr_(x))
    last = len(x.shape) - 1  # a wide matrix: its first columns alone determine Q
    q, first = qr_(take_part(x, axis=last, start=0, stop=n))
    rest = matmul_(matrix_transpose(q), take_part(x, axis=last, start=n, stop=m))
    return QR(q, concat([first, rest], last))
