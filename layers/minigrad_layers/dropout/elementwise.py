"""Noise for each element: dropout, its forms for self-normalizing networks, and Gaussian noise."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY
from typing import Any, ClassVar

import minigrad as mg
from minigrad.errors import ArgumentError
from minigrad_layers.dropout.masks import Noise, bernoulli, drop, shared

__all__ = ["AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise"]

MODES = ("inverted", "vanilla")
SATURATED = -1.7580993408473766  # what SELU tends to far below 0: -scale alpha


@mg.register_layer
class Dropout(Noise):
    """Zero each element with probability `p` and scale the others by 1 / (1 - p), in training; else the identity.

    Each layer has a random stream of its own, `generator`, so its masks depend on the seed, the layer's number and the
    number of the call, on nothing else, and are the same on every backend. `p` is rounded to a multiple of 1/65536
    (2**-32 where p or 1 - p is under 0.01) and the scale is the exact reciprocal: 1.66665 for p = 0.4, which drops
    26214 words of 65536. An inf or NaN that is dropped is 0.

    Args:
        p: from 0 (the identity, bit for bit) to 1 (zeros).
        mode: "inverted", as above, or "vanilla", as in the paper: nothing is scaled in training, and evaluation
            multiplies by 1 - p.
        axes: along which one mask is shared: `axes=0` drops the same units for the whole batch, one thinned network as
            in the paper's figure; `axes=(2, 3)` whole maps.

    Source: Hinton, Srivastava, Krizhevsky, Sutskever, Salakhutdinov, "Improving neural networks by preventing
    co-adaptation of feature detectors", arXiv 1207.0580, 2012; Srivastava et al., "Dropout: a simple way to prevent
    neural networks from overfitting", JMLR 15, 2014.

    Raises:
        ArgumentError: p is no number from 0 to 1, another mode.
        AxisError: x has not the axes.

    Example:
        >>> import minigrad as mg
        >>> y = Dropout(0.5)(mg.ones(1000))
        >>> sorted(set(y.tolist()))
        [0.0, 2.0]
    """

    p: float = 0.5
    inplace: bool = False
    _: KW_ONLY
    mode: str = "inverted"
    axes: int | tuple[int, ...] | None = None

    samples = (
        mg.Sample((0.4,), inputs=((5, 6),)),
        mg.Sample((0.0,), inputs=((3,),)),
        mg.Sample((1.0,), inputs=((3,),)),
        mg.Sample((0.3,), {"mode": "vanilla", "axes": (0,)}, inputs=((2, 3, 4),)),
    )

    def prepare(self) -> None:
        """Check p, mode and axes."""
        super().prepare()
        if self.mode not in MODES:
            raise ArgumentError(f"Dropout: mode={self.mode!r} must be 'inverted' or 'vanilla'")
        self._shared = None if self.axes is None else mg.arguments.integers(self.axes, "axes", "Dropout")

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """x of any shape that has the axes."""
        inverted = self.mode == "inverted"
        if self.p == 0:
            return x
        if not self.training:
            return x if inverted else x * (1 - self.p)
        shape = x.shape if self._shared is None else shared(x.shape, self._shared, "Dropout")
        return drop(x, shape, self.p, self.generator, scaled=inverted)


def _affine(kept: float) -> tuple[float, float]:
    """a and b that give mean 0 and variance 1 back to a unit of which a share is SATURATED."""
    p = 1.0 - kept
    a = (kept * (1.0 + p * SATURATED**2)) ** -0.5
    return a, -a * SATURATED * p


def _alpha_textbook(x: mg.Tensor, shape: tuple[int, ...], p: float, generator: mg.random.Generator) -> mg.Tensor:
    r, kept = bernoulli(x, shape, p, generator)
    r = r.named("r")
    if not kept:
        return r * x
    a, b = _affine(kept)
    return (r * x + (1 - r) * SATURATED).named("_saturated") * a + b


@mg.composite(textbook=_alpha_textbook, fuse=True)
def alpha_drop(x: mg.Tensor, shape: tuple[int, ...], p: float, generator: mg.random.Generator) -> mg.Tensor:
    """a (r x + (1 - r) α') + b with r ~ Bernoulli(1 - p), α' = -1.758…; zeros for p = 1."""
    mask, scale = mg.random.mask(shape, p, like=x, generator=generator)
    kept = mg.keep(x, mask)
    if not scale:
        return kept
    a, b = _affine(1.0 / scale)
    return (kept + mg.astype(mg.logical_not(mask), x.dtype) * SATURATED) * a + b


@mg.register_layer
class AlphaDropout(Noise):
    """Dropout that keeps a self-normalizing network's mean 0 and variance 1: what is dropped saturates.

    y = a (r x + (1 - r) α') + b, r ~ Bernoulli(1 - p), where α' = -1.7581 is what SELU gives far below 0,
    a = ((1 - p)(1 + p α'²))^(-1/2) and b = -a α' p. Mean and variance are kept in expectation, not for each sample.

    Args:
        p: from 0 (the identity) to 1 (zeros, as in PyTorch).

    Source: Klambauer, Unterthiner, Mayr, Hochreiter, "Self-normalizing neural networks", NeurIPS 2017.

    Raises:
        ArgumentError: p is no number from 0 to 1.

    Example:
        >>> import minigrad as mg
        >>> y = AlphaDropout(0.5)(mg.zeros(1000))
        >>> sorted(round(v, 4) for v in set(y.tolist()))
        [-0.7792, 0.7792]
    """

    p: float = 0.5
    inplace: bool = False

    samples = (((0.4,), (5, 6)), ((0.0,), (3,)), ((1.0,), (3,)))

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """x of any shape."""
        return x if not self.training or self.p == 0 else alpha_drop(x, x.shape, self.p, self.generator)


@mg.composite
def noise(x: mg.Tensor, mean: float, std: float, generator: mg.random.Generator) -> mg.Tensor:
    """Normal numbers for each element of `x`, drawn in float32 whatever its dtype is: the same ones for each."""
    return mg.astype(mg.random.normal(x.shape, mean, std, like=x, generator=generator), x.dtype)


@mg.register_layer
class GaussianDropout(Noise):
    """Multiply each element by a number around 1 whose variance is what dropout's is: y = x n, n ~ N(1, p / (1 - p)).

    Args:
        p: from 0 (the identity) up to, not including, 1, where the variance is infinite. The *standard deviation* is
            the root of p / (1 - p).

    Source: Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov, "Dropout: a simple way to prevent neural networks
    from overfitting", JMLR 15, 2014, section 10.

    Raises:
        ArgumentError: p is no number from 0 up to 1.

    Example:
        >>> import minigrad as mg
        >>> y = GaussianDropout(0.2)(mg.ones(100_000))
        >>> round(y.mean().item(), 1), round(y.std().item(), 1)
        (1.0, 0.5)
    """

    p: float = 0.5

    samples = (((0.3,), (5, 6)), ((0.0,), (3,)))

    def checked(self, value: Any) -> float:
        """Below 1 too."""
        if mg.arguments.number(value, self.rate, "GaussianDropout") == 1:
            raise ArgumentError(
                f"GaussianDropout: p={value!r} must be below 1, since the variance p / (1 - p) is infinite there; "
                "Dropout(1) gives zeros"
            )
        return super().checked(value)

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """x of any shape."""
        if not self.training or self.p == 0:
            return x
        return x * noise(x, 1.0, math.sqrt(self.p / (1 - self.p)), self.generator).named("n")


@mg.register_layer
class GaussianNoise(Noise):
    """Add normal noise in training: y = x + z, z ~ N(0, stddev²).

    Args:
        stddev: the standard deviation of the noise, at least 0.
        relative: times the element itself, y = x (1 + z).

    Source: Bishop, "Training with noise is equivalent to Tikhonov regularization", Neural Computation 7(1), 1995.

    Raises:
        ArgumentError: stddev is negative, infinite or NaN.

    Example:
        >>> import minigrad as mg
        >>> y = GaussianNoise(0.5)(mg.zeros(100_000))
        >>> round(y.mean().item(), 1), round(y.std().item(), 1)
        (0.0, 0.5)
    """

    rate: ClassVar[str] = "stddev"

    stddev: float = 0.1
    _: KW_ONLY
    relative: bool = False

    samples = (
        mg.Sample((0.3,), inputs=((5, 6),)),
        mg.Sample((0.0,), inputs=((3,),)),
        mg.Sample((0.2,), {"relative": True}, inputs=((2, 3),)),
    )

    def checked(self, value: Any) -> float:
        """At least 0, and finite."""
        if not 0 <= mg.arguments.number(value, "stddev", "GaussianNoise") < math.inf:
            raise ArgumentError(f"GaussianNoise: stddev={value!r} must be a standard deviation, a number from 0 up")
        return value if isinstance(value, (int, float)) else float(value)

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """x of any shape."""
        if not self.training or self.stddev == 0:
            return x
        z = noise(x, 0.0, self.stddev, self.generator).named("z")
        return x + x * z if self.relative else x + z
