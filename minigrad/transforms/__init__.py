"""Transforms of functions: derivatives of any order, and what they run a function with."""

from minigrad.transforms.autodiff import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp
from minigrad.transforms.recompute import remat

__all__ = ["grad", "hessian", "hvp", "jacobian", "jvp", "remat", "value_and_grad", "vjp"]
