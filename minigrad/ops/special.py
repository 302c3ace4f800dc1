"""The error function, and the activations that are made of it or of the logistic function."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigrad.backend import backend_of
from minigrad.core import Operand, Tensor, astype, composite, primitive
from minigrad.core.domains import reals
from minigrad.errors import ArgumentError
from minigrad.notation import fn
from minigrad.ops.functions import exp, sigmoid, tanh

__all__ = ["erf", "gelu", "silu", "softplus"]


@primitive(
    lambda g, x: g * (2 / math.sqrt(math.pi) * exp(-(x * x))),
    show=fn("erf", r"\operatorname{erf}"),
    samples=(reals,),
    c="erf({x})",
)
def erf(xp: Any, x: Operand) -> Any:
    """The error function 2/√π ∫₀ˣ exp(-t²) dt, elementwise.

    Within 4e-16 of the true value in float64 and 4e-7 in float32; float16 is computed in float32. Integers give
    float64.

    Example:
        >>> import minigrad as mg
        >>> mg.erf(mg.tensor([0.0, 0.5, 10.0]))
        tensor([0.        , 0.52049988, 1.        ])
    """
    x = xp.asarray(x)
    return backend_of(x).erf(x)


@primitive(
    lambda g, x: g * sigmoid(x),
    show=fn("softplus"),
    samples=(reals,),
    c="fmax({x}, 0) + log1p(exp(-fabs({x})))",
)
def softplus(xp: Any, x: Operand) -> Any:
    """log(1 + e^x), elementwise, without overflow; its derivative is the logistic function.

    As max(x, 0) + log(1 + e), e = exp(-|x|) <= 1, with what 1 + e has lost of e put back: u = 1 + e,
    log(1 + e) = log(u) + (e - (u - 1)) / u. That is half the time of log1p, and a third of logaddexp.

    Example:
        >>> import minigrad as mg
        >>> mg.softplus(mg.tensor([-1e4, 0.0, 1e4]))
        tensor([0.00000000e+00, 6.93147181e-01, 1.00000000e+04])
    """
    if getattr(x, "dtype", np.dtype(float)).kind != "f":
        x = x * 1.0  # some integers have no sign, and the lowest of others no absolute value
    e = xp.exp(-xp.abs(x))
    u = 1 + e
    return xp.maximum(x, 0) + (xp.log(u) + (e - (u - 1)) / u)


@composite
def silu(x: Operand) -> Tensor:
    """x σ(x), elementwise, σ the logistic function. Source: Elfwing, Uchibe, Doya, "Sigmoid-weighted linear units for
    neural network function approximation in reinforcement learning", Neural Networks 107, 2018.

    Example:
        >>> import minigrad as mg
        >>> mg.silu(mg.tensor([0.0, 2.0]))
        tensor([0.        , 1.76159416])
    """
    return x * sigmoid(x)  # type: ignore[no-any-return]


@composite
def gelu(x: Operand, approximate: str = "none") -> Tensor:
    """x Φ(x), elementwise, Φ the distribution function of the normal distribution: x (1 + erf(x / √2)) / 2.

    Source: Hendrycks, Gimpel, "Gaussian error linear units (GELUs)", arXiv 1606.08415, 2016.

    Args:
        x: any shape.
        approximate: "none", or "tanh" for x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2, which older models were
            trained with and which is off by up to 5e-4.

    Raises:
        ArgumentError: `approximate` is neither of these.

    Example:
        >>> import minigrad as mg
        >>> mg.gelu(mg.tensor([0.0, 1.0]))
        tensor([0.        , 0.84134475])
    """
    if getattr(x, "dtype", None) == np.float16:  # 1 + erf loses there what little it is on the left
        return astype(gelu(astype(x, "float32"), approximate), "float16")
    if approximate == "none":
        return 0.5 * x * (1 + erf(x * math.sqrt(0.5)))  # type: ignore[no-any-return]
    if approximate == "tanh":
        inner = math.sqrt(2 / math.pi) * (x + 0.044715 * (x * x * x))
        return 0.5 * x * (1 + tanh(inner))  # type: ignore[no-any-return]
    raise ArgumentError(f'approximate: {approximate!r} must be "none" or "tanh"')
