"""Normalization of all channels together: their covariance over the batch becomes the identity."""

from __future__ import annotations

from typing import Any, Literal

import minigrad as mg
from minigrad.errors import ArgumentError, ShapeError
from minigrad_layers.normalization.axes import shaped, widened
from minigrad_layers.normalization.normalize import affine_parameters, positive, running_statistics

__all__ = ["DecorrelatedBatchNorm", "IterNorm"]


def _identity(x: mg.Tensor) -> mg.Tensor:
    """The identity matrix as large as those in `x`, where it is and of its dtype."""
    return mg.tril(mg.triu(mg.ones_like(x))).named("_I")


def _covariance(x: mg.Tensor, eps: float) -> tuple[mg.Tensor, mg.Tensor, mg.Tensor]:
    mean = mg.mean(x, 2, keepdims=True).named("mean")
    centred = (x - mean).named("centred")
    sigma = centred @ centred.mT / x.shape[2]
    return centred, mean, (sigma + eps * _identity(sigma)).named("Sigma")


@mg.composite(textbook=_covariance)
def covariance(x: mg.Tensor, eps: float) -> tuple[mg.Tensor, mg.Tensor, mg.Tensor]:
    """Of groups (g, d, m) of d channels with m values: the deviations, their means (g, d, 1), and C = d dᵀ / m + eps I.

    The deviations are taken from a rounded mean first, so that nothing cancels far from 0.
    """
    d, rest, _, shift = mg.deviations(x, (2,))
    centred = (d - rest).named("centred")
    sigma = centred @ centred.mT / x.shape[2]
    return centred, (shift + rest).named("mean"), (sigma + eps * _identity(sigma)).named("Sigma")


class _Whitening(mg.Module):
    """What the whitening layers share: x less its mean, times a symmetric matrix D with D C D = I, for each group."""

    projection: str  # what the running matrix is called

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        num_groups: int = 1,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        name = type(self).__name__
        self.num_features = mg.arguments.integer(num_features, "num_features", name, 1)
        self.num_groups = mg.arguments.integer(num_groups, "num_groups", name, 1)
        if num_features % num_groups:
            raise ArgumentError(f"num_groups: {num_groups} must divide num_features={num_features}")
        if momentum is not None and not 0 <= momentum <= 1:
            raise ArgumentError(
                f"momentum: {momentum!r} is the weight of the new batch, from 0 to 1, or None for the average of all"
            )
        self.eps, self.momentum, self.affine = positive(eps), momentum, affine
        self.weight: mg.Parameter | None = None
        self.bias: mg.Parameter | None = None
        if affine:
            self.weight, self.bias = affine_parameters((num_features,), dtype, device)
        wide = "float64" if dtype is not None and mg.zeros(0, dtype=dtype).dtype.itemsize == 8 else "float32"
        self.running_mean = mg.Buffer(mg.init.zeros((num_features,), dtype=wide, device=device))
        setattr(self, self.projection, mg.Buffer(self._unit(wide, device)))
        self.num_batches_tracked = mg.Buffer(mg.tensor(0, dtype="int64", device=device))

    def whitener(self, sigma: mg.Tensor) -> mg.Tensor:
        """D for the covariances (g, d, d)."""
        raise NotImplementedError

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """x of shape (n, c) or (n, c, …), by the statistics of its batch in training and the running ones otherwise."""
        name, c, g = type(self).__name__, self.num_features, self.num_groups
        if x.ndim < 2 or x.shape[1] != c:
            raise ShapeError(f"{name}: x has shape {x.shape}, it must be (n, c, …) with c = num_features = {c}")
        n = x.size // c
        wide = widened(x, name)
        by_channel = mg.reshape(mg.moveaxis(wide, 1, 0), (g, c // g, n))
        if self.training:
            if n < 2:
                raise ShapeError(
                    f"{name}: an input of shape {x.shape} has {n} value{'s' * (n != 1)} per channel, a covariance "
                    "needs two; train with larger batches, or use the running statistics with eval()"
                )
            centred, mean, sigma = covariance(by_channel, self.eps)
            matrix = self.whitener(sigma).named("D")
            self.update_whitening(mean, matrix)
        else:
            centred, matrix = by_channel - mg.reshape(self.running_mean, (g, -1, 1)), getattr(self, self.projection)
        white = mg.reshape((matrix @ centred).named("x_hat"), (c, x.shape[0], *x.shape[2:]))
        y, column = mg.moveaxis(white, 0, 1), (c,) + (1,) * (x.ndim - 2)
        if self.weight is not None and self.bias is not None:
            y = y * shaped(self.weight, column, "_weight") + shaped(self.bias, column, "_bias")
        return y if y.dtype == x.dtype else mg.astype(y, x.dtype)

    def update_whitening(
        self, mean: mg.Tensor, matrix: mg.Tensor, momentum: float | Literal["own"] | None = "own"
    ) -> None:
        """Move the running mean and the running matrix towards those of a batch."""
        share = self.momentum if momentum == "own" else momentum
        moved = (self.running_mean, mean, 1.0), (getattr(self, self.projection), matrix, 1.0)
        running_statistics(self.num_batches_tracked, share, moved)

    def reset_running_stats(self) -> None:
        """Forget the running statistics: mean 0, the identity, no batch."""
        kept = getattr(self, self.projection)
        self.running_mean.assign(mg.zeros(self.running_mean.shape, dtype=kept.dtype, device=kept.device))
        kept.assign(self._unit(kept.dtype, kept.device))
        self.num_batches_tracked.assign(mg.tensor(0, dtype="int64", device=kept.device))

    def _unit(self, dtype: Any, device: str | None) -> mg.Tensor:
        size = self.num_features // self.num_groups
        return mg.broadcast_to(mg.eye(size, dtype=dtype, device=device), (self.num_groups, size, size))

    def extra_repr(self) -> str:
        """The constructor's arguments."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"num_groups={self.num_groups}"
        )


@mg.register_layer
class DecorrelatedBatchNorm(_Whitening):
    """ZCA whitening over the batch: y = C^(-1/2) (x - mean) weight + bias, C the covariance of the channels plus eps I.

    The root of C is differentiated as the solution of S S = C, so derivatives of every order hold where eigenvalues of
    C are equal, which is where whitened data lead to; those of the eigenvectors are infinite there.

    Args:
        num_features: channels c of (n, c) or (n, c, …).
        eps: added to the diagonal of the covariance, which is divided by n; above 0.
        momentum: weight of the new batch in `running_mean` (c) and `running_projection` (g, c/g, c/g), the average of
            the matrices C^(-1/2), not of C; None for the average of all batches. eval() uses both.
        affine: whether there are `weight` (c) and `bias` (c), which start as 1 and 0.
        num_groups: channels are whitened in that many groups; a group of more channels than a batch has values for
            each has a covariance without full rank.

    Source: Huang, Yang, Lang, Deng, "Decorrelated batch normalization", CVPR 2018, arXiv 1804.08450.

    Raises:
        ArgumentError: eps <= 0, a momentum outside 0 to 1, groups that do not divide the channels.
        ShapeError: another number of channels, or in training one value per channel.

    Example:
        >>> import minigrad as mg
        >>> y = DecorrelatedBatchNorm(2)(mg.tensor([[2.0, 1.0], [-2.0, 1.0], [0.0, 4.0], [0.0, -2.0]]))
        >>> mg.round(y.T @ y / 4, 3).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """

    samples = ((3,), (6, 3)), ((4, 1e-3, None, True, 2), (3, 4, 2)), ((2, 1e-2, 0.1, False), (2, 2, 2, 2))
    projection = "running_projection"

    def whitener(self, sigma: mg.Tensor) -> mg.Tensor:
        """C^(-1/2), the inverse of the root."""
        return mg.linalg.inv(mg.linalg.sqrtm(sigma).named("S"))


@mg.register_layer
class IterNorm(_Whitening):
    """Whitening over the batch as DecorrelatedBatchNorm's, with C^(-1/2) by steps of Newton's iteration.

    With C' = C / trace(C), P starts as I and becomes (3 P - P³ C') / 2 in each step; the matrix is P / sqrt(trace(C)).
    Few steps whiten the large eigenvalues and leave the small ones: that is the method's control, not an error.

    Args:
        num_features, eps, momentum, affine, num_groups: as in DecorrelatedBatchNorm; the running matrix is
            `running_wm`.
        iterations: how many steps.

    Source: Huang, Zhou, Zhu, Liu, Shao, "Iterative normalization: beyond standardization towards efficient whitening",
    CVPR 2019, arXiv 1904.03441.

    Example:
        >>> import minigrad as mg
        >>> y = IterNorm(2, iterations=9)(mg.tensor([[2.0, 1.0], [-2.0, 1.0], [0.0, 4.0], [0.0, -2.0]]))
        >>> mg.round(y.T @ y / 4, 3).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """

    samples = (
        mg.Sample((3,), inputs=((6, 3),)),
        mg.Sample((4, 1e-3, None), {"num_groups": 2, "iterations": 3}, inputs=((3, 4, 2),)),
    )
    projection = "running_wm"

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        num_groups: int = 1,
        device: str | None = None,
        dtype: Any = None,
        *,
        iterations: int = 5,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, num_groups, device, dtype)
        self.iterations = mg.arguments.integer(iterations, "iterations", "IterNorm", 0)

    def whitener(self, sigma: mg.Tensor) -> mg.Tensor:
        """P after the last step, divided by the root of the trace."""
        trace = mg.reshape(mg.linalg.trace(sigma), (-1, 1, 1)).named("trace")
        scaled = (sigma / trace).named("Sigma_N")
        p = _identity(sigma)
        for _ in range(self.iterations):
            p = 1.5 * p - 0.5 * (p @ p @ p @ scaled)
        return p * mg.rsqrt(trace)

    def extra_repr(self) -> str:
        """The constructor's arguments."""
        return f"{super().extra_repr()}, iterations={self.iterations}"
