"""Square roots of symmetric matrices, and the linear equation by which they are differentiated.

The root S of x answers S S = x, so a change of x moves it by dS with S dS + dS S = dx: one linear equation, which has a
solution wherever two eigenvalues meet. The rules of eigenvectors have none there (they divide by the gap), so what is
a function of a whole symmetric matrix, such as whitening, stands on these two.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad import notation
from minigrad.core import Operand, Tensor, composite, primitive
from minigrad.core.domains import Case, Rng, reals
from minigrad.ops.decompose import _back, _floating, _square, _system, _wide, well_conditioned
from minigrad.ops.linalg import matmul_
from minigrad.ops.shape import matrix_transpose

__all__ = ["solve_lyapunov", "sqrtm"]


def _positive(rng: Rng, n: int) -> Any:
    a = well_conditioned(rng, n)
    return a @ np.swapaxes(a, -1, -2)


def _lyapunov_rule(g: Any, a: Any, y: Any) -> Any:
    """-(h yᵀ + yᵀ h), its symmetric part, with h = solve_lyapunov(a, g): from a dy + dy a = -(da y + y da)."""
    h, yt = lyapunov_(a, g), matrix_transpose(y)
    whole = matmul_(h, yt) + matmul_(yt, h)
    return -0.5 * (whole + matrix_transpose(whole))


def _case_lyapunov(rng: Rng) -> Case:
    a = _positive(rng, int(rng.integers(1, 4)))
    return (a, reals(rng, a.shape)), {}


@primitive(
    _lyapunov_rule,
    lambda g, a: lyapunov_(a, g),
    show=notation.fn("solve_lyapunov"),
    samples=_case_lyapunov,
    kind="opaque",
    infer=lambda a, b: (
        b.shape,
        None if a.dtype is None or b.dtype is None else np.result_type(_floating(a.dtype), _floating(b.dtype)),
    ),
    name="solve_lyapunov",
)
def lyapunov_(xp: Any, a: Operand, b: Operand) -> Any:
    """The matrices y with a y + y a = b for the symmetric parts of a; the batch axes are equal."""
    dtype = np.result_type(_floating(a.dtype), _floating(b.dtype))
    wide = np.result_type(dtype, np.float32)
    a, b = a.astype(wide, copy=False), b.astype(wide, copy=False)
    if 0 in b.shape:
        return xp.zeros(b.shape, dtype)
    w, v = xp.linalg.eigh(0.5 * (a + xp.swapaxes(a, -1, -2)))
    vt = xp.swapaxes(v, -1, -2)
    inner = xp.matmul(xp.matmul(vt, b), v) / (w[..., :, None] + w[..., None, :])
    return xp.matmul(xp.matmul(v, inner), vt).astype(dtype, copy=False)


@composite
def solve_lyapunov(a: Operand, b: Operand) -> Tensor:
    """The solutions y of the Lyapunov equation a y + y a = b for symmetric a (the symmetric part of `a` is used).

    There is one where no two eigenvalues of a add up to 0; elsewhere the result has inf or NaN. Equal ones are fine.

    Args:
        a: (…, n, n).
        b: (…, n, n), symmetric or not; the batch axes broadcast.

    Raises:
        ShapeError: shapes that do not fit.

    Example:
        >>> import minigrad as mg
        >>> mg.linalg.solve_lyapunov(mg.tensor([[1.0, 0.0], [0.0, 3.0]]), mg.tensor([[2.0, 8.0], [4.0, 6.0]]))
        tensor([[1., 2.],
                [1., 1.]])
    """
    _square(b, "solve_lyapunov")
    a, b, _ = _system(a, b, "solve_lyapunov")
    return lyapunov_(a, b)


@primitive(
    lambda g, y: 0.5 * lyapunov_(y, g + matrix_transpose(g)),
    show=notation.fn("sqrtm"),
    samples=lambda rng: ((_positive(rng, int(rng.integers(1, 4))),), {}),
    kind="opaque",
    infer=lambda x: (x.shape, _floating(x.dtype)),
    name="sqrtm",
)
def sqrtm_(xp: Any, x: Operand) -> Any:
    """The square roots of the symmetric parts of matrices; an eigenvalue that rounding made negative counts as 0."""
    wide = _wide(x)
    if 0 in wide.shape:
        return _back(wide, x.dtype)
    w, v = xp.linalg.eigh(0.5 * (wide + xp.swapaxes(wide, -1, -2)))
    noise = w.shape[-1] * np.finfo(wide.dtype).eps * xp.abs(w).max(axis=-1, keepdims=True)
    root = xp.sqrt(xp.where(xp.abs(w) <= noise, 0, xp.where(w < 0, np.nan, w)).astype(wide.dtype, copy=False))
    return _back(xp.matmul(v * root[..., None, :], xp.swapaxes(v, -1, -2)), x.dtype)


def sqrtm(x: Operand) -> Tensor:
    """The symmetric square roots of positive semidefinite matrices (the symmetric part of `x` is used): y y = x.

    Differentiable to any order where x is positive definite, equal eigenvalues included; where it is singular the
    derivative has inf or NaN, as that of a number's root at 0. A negative eigenvalue gives NaN.

    Args:
        x: (…, n, n).

    Raises:
        ShapeError: the last two sizes differ.

    Example:
        >>> import minigrad as mg
        >>> mg.linalg.sqrtm(mg.tensor([[4.0, 0.0], [0.0, 9.0]]))
        tensor([[2., 0.],
                [0., 3.]])
    """
    _square(x, "sqrtm")
    return sqrtm_(x)
