"""Activations made of pieces: linear or constant on one side, with a kink or a bend where the pieces meet."""

from __future__ import annotations

from typing import Any

import minigrad as mg
from minigrad.errors import ArgumentError, ShapeError
from minigrad_layers.options import Options

ANY = (((), (3, 4)),)  # how to try what takes any shape and no argument


def _below(x: mg.Tensor) -> mg.Tensor:
    """min(x, 0), with derivative 1 at 0, where `relu` has 0: together they are x, at 0 too."""
    return mg.keep(x, x <= 0)


@mg.register_layer
class ReLU(Options):
    """max(x, 0), elementwise, with derivative 0 at 0.

    Example:
        >>> import minigrad as mg
        >>> ReLU()(mg.tensor([-1.0, 2.0]))
        tensor([0., 2.])
    """

    samples = ANY
    inplace: bool = False

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """x of any shape."""
        return mg.relu(x)


@mg.register_layer
class Hardtanh(Options):
    """min(max(x, min_val), max_val), elementwise, with derivative 0 on the edges.

    Raises:
        ArgumentError: min_val is not below max_val.

    Example:
        >>> import minigrad as mg
        >>> Hardtanh()(mg.tensor([-3.0, 0.5, 3.0]))
        tensor([-1. ,  0.5,  1. ])
    """

    samples = *ANY, ((-1.5, 0.5), (5,))
    min_val: float = -1.0
    max_val: float = 1.0
    inplace: bool = False

    def prepare(self) -> None:
        """Bounds in order."""
        if not self.min_val < self.max_val:
            raise ArgumentError(f"Hardtanh: min_val={self.min_val} must be below max_val={self.max_val}")

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """x of any shape."""
        return mg.clip(x, self.min_val, self.max_val)


@mg.register_layer
class ReLU6(Options):
    """min(max(x, 0), 6), elementwise, with derivative 0 at 0 and 6.

    Source: Krizhevsky, "Convolutional deep belief networks on CIFAR-10", 2010.

    Example:
        >>> import minigrad as mg
        >>> ReLU6()(mg.tensor([-1.0, 3.0, 8.0]))
        tensor([0., 3., 6.])
    """

    samples = ANY
    inplace: bool = False

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """x of any shape."""
        return mg.clip(x, 0.0, 6.0)


@mg.register_layer
class LeakyReLU(Options):
    """x where x > 0, else negative_slope x; the derivative at 0 is negative_slope.

    Source: Maas, Hannun, Ng, "Rectifier nonlinearities improve neural network acoustic models", 2013.

    Example:
        >>> import minigrad as mg
        >>> LeakyReLU(0.1)(mg.tensor([-1.0, 2.0]))
        tensor([-0.1,  2. ])
    """

    samples = *ANY, ((0.3,), (5,))
    negative_slope: float = 0.01
    inplace: bool = False

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """x of any shape."""
        return mg.where(x > 0, x, self.negative_slope * x)


@mg.register_layer
class PReLU(mg.Module):
    """x where x > 0, else a x with a learnt slope a, `weight`; the derivative at 0 is a.

    Args:
        num_parameters: 1 for one slope, or the size of axis 1 of the input for one a channel.
        init: what `weight` starts from.
        device, dtype: of the parameter; float32 by default.

    Source: He, Zhang, Ren, Sun, "Delving deep into rectifiers", ICCV 2015.

    Raises:
        ShapeError: axis 1 of an input is not `num_parameters`, where that is not 1.

    Example:
        >>> import minigrad as mg
        >>> PReLU()(mg.tensor([-1.0, 2.0]))
        tensor([-0.25,  2.  ], op='where')
    """

    samples = ((), (3, 4)), ((4,), (3, 4)), ((2,), (3, 2, 2))

    def __init__(
        self, num_parameters: int = 1, init: float = 0.25, device: str | None = None, dtype: Any = None
    ) -> None:
        self.num_parameters = mg.arguments.integer(num_parameters, "num_parameters", "PReLU", 1)
        self.init = mg.arguments.number(init, "init", "PReLU")
        self.weight = mg.Parameter(mg.init.constant((num_parameters,), init, dtype=dtype or "float32", device=device))

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """x of any shape; with a slope for each channel, (n, channels, …)."""
        slope: mg.Tensor = self.weight
        if self.num_parameters > 1:
            if x.ndim < 2 or x.shape[1] != self.num_parameters:
                raise ShapeError(
                    f"PReLU: x has shape {x.shape}, it must be (n, channels, …) with channels = num_parameters = "
                    f"{self.num_parameters}"
                )
            slope = slope.reshape((self.num_parameters, *(1,) * (x.ndim - 2)))
        return mg.where(x > 0, x, slope * x)

    def extra_repr(self) -> str:
        """PyTorch's."""
        return f"num_parameters={self.num_parameters}"


@mg.register_layer
class ELU(Options):
    """max(x, 0) + α (e^min(x, 0) - 1), elementwise; the derivative at 0 is α.

    Args:
        alpha: α, minus the limit at -infinity.

    Source: Clevert, Unterthiner, Hochreiter, "Fast and accurate deep network learning by exponential linear units
    (ELUs)", ICLR 2016.

    Example:
        >>> import minigrad as mg
        >>> ELU()(mg.tensor([-1.0, 2.0]))
        tensor([-0.63212056,  2.        ])
    """

    samples = *ANY, ((0.5,), (5,))
    alpha: float = 1.0
    inplace: bool = False

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """x of any shape."""
        return mg.relu(x) + self.alpha * mg.expm1(_below(x))


@mg.register_layer
class CELU(Options):
    """max(x, 0) + α (e^(min(x, 0)/α) - 1), elementwise: an ELU whose derivative is continuous for every α.

    Source: Barron, "Continuously differentiable exponential linear units", arXiv 1704.07483, 2017.

    Raises:
        ArgumentError: alpha is 0.

    Example:
        >>> import minigrad as mg
        >>> CELU(2.0)(mg.tensor([-1.0, 2.0]))
        tensor([-0.78693868,  2.        ])
    """

    samples = *ANY, ((0.5,), (5,))
    alpha: float = 1.0
    inplace: bool = False

    def prepare(self) -> None:
        """Something to divide by."""
        if self.alpha == 0:
            raise ArgumentError("CELU: alpha=0.0 must not be 0, since x is divided by it")

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """x of any shape."""
        return mg.relu(x) + self.alpha * mg.expm1(_below(x) / self.alpha)


@mg.register_layer
class SELU(Options):
    """λ (max(x, 0) + α (e^min(x, 0) - 1)) with the λ and α for which mean 0 and variance 1 are a fixed point.

    λ = 1.0507009873554805, α = 1.6732632423543772; the derivative at 0 is λ α.

    Source: Klambauer, Unterthiner, Mayr, Hochreiter, "Self-normalizing neural networks", NeurIPS 2017.

    Example:
        >>> import minigrad as mg
        >>> SELU()(mg.tensor([-1.0, 2.0]))
        tensor([-1.11133074,  2.10140197])
    """

    samples = ANY
    inplace: bool = False

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """x of any shape."""
        return 1.0507009873554804934193349852946 * (
            mg.relu(x) + 1.6732632423543772848170429916717 * mg.expm1(_below(x))
        )


@mg.register_layer
class Hardsigmoid(Options):
    """min(max(x + 3, 0), 6) / 6, elementwise: a sigmoid of three lines, with derivative 0 at -3 and 3.

    Source: Courbariaux, Bengio, David, "BinaryConnect", NeurIPS 2015; in this form Howard et al., "Searching for
    MobileNetV3", ICCV 2019.

    Example:
        >>> import minigrad as mg
        >>> Hardsigmoid()(mg.tensor([-4.0, 0.0, 1.5]))
        tensor([0.  , 0.5 , 0.75])
    """

    samples = ANY
    inplace: bool = False

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """x of any shape."""
        return mg.clip(x + 3.0, 0.0, 6.0) / 6.0


@mg.register_layer
class Hardswish(Options):
    """x min(max(x + 3, 0), 6) / 6, elementwise; the derivative is 0 at -3 and 1 at 3.

    Source: Howard et al., "Searching for MobileNetV3", ICCV 2019.

    Example:
        >>> import minigrad as mg
        >>> Hardswish()(mg.tensor([-4.0, 1.5, 4.0]))
        tensor([-0.   ,  1.125,  4.   ])
    """

    samples = ANY
    inplace: bool = False

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """x of any shape."""
        return x * mg.clip(x + 3.0, 0.0, 6.0) / 6.0
