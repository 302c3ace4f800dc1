"""Checks: whether gradients are right, at a point, to any order; compared in float64.

`gradients` compares rules with central differences, `adjoint` compares the rules with themselves (no differences, so no
noise), `primitive` puts a declaration through both by its own samples, `forms` compares what runs with its textbook
form, `layer` takes any layer through all that it promises, `claim` a backward pass that was derived by hand. A check
returns a `Report` and raises `CheckError` where the two sides differ. Nothing here changes what it checks.
"""

from typing import TYPE_CHECKING

from minigrad.answers import module_getattr
from minigrad.check.claims import claim
from minigrad.check.declared import composites, differentiable, primitive, primitives, sample
from minigrad.check.differences import adjoint, gradients
from minigrad.check.forms import forms
from minigrad.check.layers import layer
from minigrad.check.report import CheckError, Finding, Report

__all__ = [
    "CheckError", "Finding", "Report", "adjoint", "claim", "composites", "differentiable", "forms", "gradients",
    "layer", "primitive", "primitives", "sample",
]  # fmt: skip

if not TYPE_CHECKING:
    __getattr__ = module_getattr(__name__)
