"""Matrix functions, over any leading batch axes: systems, factorizations, determinants, norms and products."""

from typing import TYPE_CHECKING

from minigrad.answers import module_getattr
from minigrad.ops import matmul, matrix_transpose, outer, tensordot, vecdot
from minigrad.ops.composite import norm
from minigrad.ops.decompose import (
    QR,
    Slogdet,
    cholesky,
    inv,
    qr,
    slogdet,
    solve,
    solve_triangular,
    trace,
)
from minigrad.ops.linalg import Eigh, eigh
from minigrad.ops.roots import solve_lyapunov, sqrtm

__all__ = [
    "QR", "Eigh", "Slogdet", "cholesky", "eigh", "inv", "matmul", "matrix_transpose", "norm", "outer", "qr", "slogdet",
    "solve", "solve_lyapunov", "solve_triangular", "sqrtm", "tensordot", "trace", "vecdot",
]  # fmt: skip

if not TYPE_CHECKING:
    __getattr__ = module_getattr(__name__)
