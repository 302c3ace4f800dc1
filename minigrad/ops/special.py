"""The error function, and the activations that are made of it or of the logistic function."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigrad.backend import backend_of
from minigrad.core import Operand, Tensor, composite, primitive
from minigrad.core.domains import reals
from minigrad.errors import ArgumentError
from minigrad.notation import fn
from minigrad.ops.functions import exp, sigmoid, tanh

# |x| <= 1: erf(x) = x T(x²) / U(x²);  |x| > 1: erf(x) = sign(x) (1 - exp(-x²) P(|x|) / Q(|x|)).
# Source: S. L. Moshier, Cephes Mathematical Library, ndtr.c, after W. J. Cody, "Rational Chebyshev approximations for
# the error function", Mathematics of Computation 23, 1969. Highest power first.
_T = (
    9.60497373987051638749e0, 9.00260197203842689217e1, 2.23200534594684319226e3, 7.00332514112805075473e3,
    5.55923013010394962768e4,
)  # fmt: skip
_U = (
    1.0, 3.35617141647503099647e1, 5.21357949780152679795e2, 4.59432382970980127987e3, 2.26290000613890934246e4,
    4.92673942608635921086e4,
)  # fmt: skip
_P = (
    2.46196981473530512524e-10, 5.64189564831068821977e-1, 7.46321056442269912687e0, 4.86371970985681366614e1,
    1.96520832956077098242e2, 5.26445194995477358631e2, 9.34528527171957607540e2, 1.02755188689515710272e3,
    5.57535335369399327526e2,
)  # fmt: skip
_Q = (
    1.0, 1.32281951154744992508e1, 8.67072140885989742329e1, 3.54937778887819891062e2, 9.75708501743205489753e2,
    1.82390916687909736289e3, 2.24633760818710981792e3, 1.65666309194161350182e3, 5.57535340817727675546e2,
)  # fmt: skip
# float32, |x| <= 4: erf(x) = x A(x²) / B(x²), beyond that 1 to the last digit. Source: Eigen, MathFunctionsImpl.h.
_A = (
    -2.72614225801306e-10, 2.77068142495902e-08, -2.10102402082508e-06, -5.69250639462346e-05,
    -7.34990630326855e-04, -2.95459980854025e-03, -1.60960333262415e-02,
)  # fmt: skip
_B = (
    -1.45660718464996e-05, -2.13374055278905e-04, -1.68282697438203e-03, -7.37332916720468e-03,
    -1.42647390514189e-02,
)  # fmt: skip


def _polynomial(x: Any, coefficients: tuple[float, ...]) -> Any:
    """By Horner's rule, in one array of its own."""
    y = x * coefficients[0]
    y += coefficients[1]
    for c in coefficients[2:]:
        y *= x
        y += c
    return y


def _erf(xp: Any, x: Any) -> Any:
    """The error function of float32 or float64."""
    if x.dtype == np.float32:
        x = xp.clip(x, -4.0, 4.0)
        square = x * x
        return xp.clip(x * _polynomial(square, _A) / _polynomial(square, _B), -1.0, 1.0)
    square = x * x
    size = xp.minimum(xp.abs(x), 6.0)  # from there on erf is 1 to the last digit
    tail = xp.exp(-(size * size)) * _polynomial(size, _P) / _polynomial(size, _Q)
    near = xp.minimum(square, 1.0)
    return xp.where(square <= 1, x * _polynomial(near, _T) / _polynomial(near, _U), xp.copysign(1 - tail, x))


@primitive(
    lambda g, x: g * (2 / math.sqrt(math.pi) * exp(-(x * x))),
    show=fn("erf", r"\operatorname{erf}"),
    samples=(reals,),
    c="erf({x})",
)
def erf(xp: Any, x: Operand) -> Any:
    """The error function 2/√π ∫₀ˣ exp(-t²) dt, elementwise.

    Within 3e-16 of the true value in float64 and 4e-7 in float32; float16 is computed in float32. Integers give
    float64.

    Example:
        >>> import minigrad as mg
        >>> mg.erf(mg.tensor([0.0, 0.5, 10.0]))
        tensor([0.        , 0.52049988, 1.        ])
    """
    dtype = x.dtype if x.dtype.kind == "f" else np.dtype(np.float64)
    wide = x.astype(np.float32 if dtype == np.float16 else dtype, copy=False)
    piece = backend_of(x).cache_bytes // (8 * wide.dtype.itemsize)  # some eight arrays are in use at a time
    if not 0 < piece < wide.size:
        y = _erf(xp, wide)
    else:
        flat, y = xp.reshape(wide, -1), xp.empty(wide.size, wide.dtype)
        for start in range(0, wide.size, piece):
            y[start : start + piece] = _erf(xp, flat[start : start + piece])
        y = xp.reshape(y, wide.shape)
    return y.astype(dtype, copy=False)


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
    if approximate == "none":
        return 0.5 * x * (1 + erf(x * math.sqrt(0.5)))  # type: ignore[no-any-return]
    if approximate == "tanh":
        inner = math.sqrt(2 / math.pi) * (x + 0.044715 * (x * x * x))
        return 0.5 * x * (1 + tanh(inner))  # type: ignore[no-any-return]
    raise ArgumentError(f'approximate: {approximate!r} must be "none" or "tanh"')
