"""Matrix functions: `minigrad.linalg.eigh`, `norm`, `matmul`."""

from minigrad.ops.composite import norm
from minigrad.ops.linalg import Eigh, eigh, matmul

__all__ = ["Eigh", "eigh", "matmul", "norm"]
