"""Activations without a kink: the logistic function, tanh, and what is made of them."""

from __future__ import annotations

import minigrad as mg
from minigrad.errors import ArgumentError
from minigrad_layers.activation.rectified import ANY
from minigrad_layers.options import Options


@mg.register_layer
class Sigmoid(Options):
    """The logistic function 1 / (1 + e^-x), elementwise.

    Example:
        >>> import minigrad as mg
        >>> Sigmoid()(mg.tensor([0.0, 2.0]))
        tensor([0.5       , 0.88079708])
    """

    samples = ANY

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """x of any shape."""
        return mg.sigmoid(x)


@mg.register_layer
class LogSigmoid(Options):
    """log(1 / (1 + e^-x)) = -softplus(-x), elementwise, without overflow or a logarithm of 0.

    Example:
        >>> import minigrad as mg
        >>> LogSigmoid()(mg.tensor([-1e4, 0.0]))
        tensor([-1.00000000e+04, -6.93147181e-01])
    """

    samples = ANY

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """x of any shape."""
        return -mg.softplus(-x)


@mg.register_layer
class Tanh(Options):
    """The hyperbolic tangent, elementwise.

    Example:
        >>> import minigrad as mg
        >>> Tanh()(mg.tensor([0.0, 1.0]))
        tensor([0.        , 0.76159416])
    """

    samples = ANY

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """x of any shape."""
        return mg.tanh(x)


@mg.register_layer
class SiLU(Options):
    """x σ(x), elementwise, σ the logistic function; also called swish.

    Source: Elfwing, Uchibe, Doya, "Sigmoid-weighted linear units for neural network function approximation in
    reinforcement learning", Neural Networks 107, 2018.

    Example:
        >>> import minigrad as mg
        >>> SiLU()(mg.tensor([0.0, 2.0]))
        tensor([0.        , 1.76159416])
    """

    samples = ANY
    inplace: bool = False

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """x of any shape."""
        return mg.silu(x)


@mg.register_layer
class GELU(Options):
    """x Φ(x), elementwise, Φ the distribution function of the normal distribution.

    Args:
        approximate: "none" for x (1 + erf(x/√2)) / 2, "tanh" for the form of older models, off by up to 5e-4.

    Source: Hendrycks, Gimpel, "Gaussian error linear units (GELUs)", arXiv 1606.08415, 2016.

    Example:
        >>> import minigrad as mg
        >>> GELU()(mg.tensor([0.0, 1.0]))
        tensor([0.        , 0.84134475])
    """

    samples = *ANY, (("tanh",), (5,))
    approximate: str = "none"

    def prepare(self) -> None:
        """One of the two forms."""
        if self.approximate not in ("none", "tanh"):
            raise ArgumentError(f'GELU: approximate={self.approximate!r} must be "none" or "tanh"')

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """x of any shape."""
        return mg.gelu(x, self.approximate)


@mg.register_layer
class Softplus(Options):
    """log(1 + e^(βx)) / β, elementwise, and x itself where βx > threshold.

    The general form needs no threshold here, since it does not overflow; the one of PyTorch is kept, so that values
    agree, and `threshold=float("inf")` does without.

    Raises:
        ArgumentError: beta is not above 0.

    Example:
        >>> import minigrad as mg
        >>> Softplus()(mg.tensor([0.0, 1e4]))
        tensor([6.93147181e-01, 1.00000000e+04])
    """

    samples = *ANY, ((2.0, 1.5), (5,))
    beta: float = 1.0
    threshold: float = 20.0

    def prepare(self) -> None:
        """A slope that rises."""
        if not self.beta > 0:
            raise ArgumentError(f"Softplus: beta={self.beta} must be above 0")

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """x of any shape."""
        scaled = self.beta * x
        return mg.where(scaled > self.threshold, x, mg.softplus(scaled) / self.beta)


@mg.register_layer
class Softsign(Options):
    """x / (1 + |x|), elementwise.

    Source: Turian, Bergstra, Bengio, "Quadratic features and deep architectures for chunking", NAACL 2009.

    Example:
        >>> import minigrad as mg
        >>> Softsign()(mg.tensor([-1.0, 3.0]))
        tensor([-0.5 ,  0.75])
    """

    samples = ANY

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """x of any shape."""
        return x / (1.0 + mg.abs(x))


@mg.register_layer
class Mish(Options):
    """x tanh(log(1 + e^x)), elementwise.

    Source: Misra, "Mish: a self regularized non-monotonic activation function", BMVC 2020.

    Example:
        >>> import minigrad as mg
        >>> Mish()(mg.tensor([0.0, 1.0]))
        tensor([0.        , 0.86509839])
    """

    samples = ANY
    inplace: bool = False

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """x of any shape."""
        return x * mg.tanh(mg.softplus(x))
