"""Batch norms for batches too large or too small: by parts of the batch, and corrected by running statistics."""

from __future__ import annotations

from typing import Any, Literal

import minigrad as mg
from minigrad.errors import ArgumentError
from minigrad_layers.normalization.axes import widened
from minigrad_layers.normalization.batch import RunningNorm
from minigrad_layers.normalization.normalize import normalize, running_statistics


@mg.register_layer
class GhostBatchNorm(RunningNorm):
    """Batch norm over parts of a large batch, each by its own statistics; evaluation knows no parts.

    The parts are of `virtual_batch_size` examples; a last part of one example, which has no variance, joins the one
    before. The running statistics move part after part, so that of k parts the old value keeps (1 - momentum)^k.

    Args:
        num_features: c of (n, c, …).
        virtual_batch_size: examples of one part; at least 2.
        eps, momentum, affine, track_running_stats, bias, decay, correction: as in BatchNorm1d.
        statistics: "separate", or "mean" for one move a batch, towards the mean of the parts' statistics.

    Source: Hoffer, Hubara, Soudry, "Train longer, generalize better: closing the generalization gap in large batch
    training of neural networks", NeurIPS 2017.

    Example:
        >>> import minigrad as mg
        >>> mg.round(GhostBatchNorm(1, 2)(mg.tensor([[1.0], [3.0], [10.0], [50.0]])), 3).tolist()
        [[-1.0], [1.0], [-1.0], [1.0]]
    """

    samples = (
        mg.Sample((3, 2), inputs=((5, 3),)),
        mg.Sample((2, 2, 1e-3, None), {"statistics": "mean"}, inputs=((4, 2, 2),)),
    )
    dims, axes_named = (2, 3, 4, 5), "(n, c, …), of two to five axes,"

    def __init__(
        self,
        num_features: int,
        virtual_batch_size: int = 128,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: str | None = None,
        dtype: Any = None,
        *,
        bias: bool = True,
        decay: float | None = None,
        correction: int = 1,
        statistics: Literal["separate", "mean"] = "separate",
    ) -> None:
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias, decay=decay,
            correction=correction,
        )  # fmt: skip
        self.virtual_batch_size = mg.arguments.integer(virtual_batch_size, "virtual_batch_size", "GhostBatchNorm", 2)
        if statistics not in ("separate", "mean"):
            raise ArgumentError(f"GhostBatchNorm: statistics={statistics!r} must be 'separate' or 'mean'")
        self.statistics = statistics

    def normalized(
        self, x: mg.Tensor, axes: tuple[int, ...], weight: mg.Tensor | None, bias: mg.Tensor | None
    ) -> mg.Tensor:
        """Part by part."""
        self.count(x)
        n, size = len(x), self.virtual_batch_size
        starts = [*range(0, n, size)]
        if n % size == 1 and n > 1:
            starts.pop()
        parts = [x[i:j] for i, j in zip(starts, [*starts[1:], n], strict=True)]
        made = [normalize(part, axes, weight, bias, eps=self.eps) for part in parts]
        if self.training and self.statistics == "separate":
            for part, (_, mean, var) in zip(parts, made, strict=True):
                self.update_statistics(mean, var, self.count(part))
        elif self.training:
            # the correction of each part stands in its mean: parts may differ in size
            counts = [self.count(part) for part in parts]
            unbiased = [m.var * (c / (c - self.correction)) for m, c in zip(made, counts, strict=True)]
            n = self.count(x)
            mean, var = (mg.mean(mg.stack(v), 0) for v in ([m.mean for m in made], unbiased))
            self.update_statistics(mean, var * ((n - self.correction) / n), n)
        return mg.concat([m.y for m in made], axis=0)

    def extra_repr(self) -> str:
        """Batch norm's, with the size of a part and what is not usual."""
        first, _, rest = super().extra_repr().partition(", ")
        other = "" if self.statistics == "separate" else f", statistics={self.statistics!r}"
        return f"{first}, virtual_batch_size={self.virtual_batch_size}, {rest}{other}"


@mg.register_layer
class BatchRenorm(RunningNorm):
    """Batch norm corrected towards the running statistics, so that training sees what evaluation will see.

    In training x_hat = (x - mean) / σ · r + d, where σ = sqrt(var + eps) and, both held constant by the gradient,
    r = σ / running_std within 1 / r_max to r_max and d = (mean - running_mean) / running_std within ±d_max; then
    y = weight x_hat + bias. The running σ itself is averaged (`running_std`, which starts at 1): it is not the root of
    an averaged variance. With r_max = 1 and d_max = 0 this is batch norm, from which the paper starts.

    Args:
        num_features: c of (n, c, …).
        eps, momentum, affine, bias, decay: as in BatchNorm1d.
        r_max, d_max: the limits; `set_limits` sets others, and `schedule(step)` has the paper's.

    Source: Ioffe, "Batch renormalization: towards reducing minibatch dependence in batch-normalized models", NeurIPS
    2017.

    Example:
        >>> import minigrad as mg
        >>> layer = BatchRenorm(2)
        >>> layer.set_limits(*BatchRenorm.schedule(15_000))
        >>> round(layer.r_max, 3), layer.d_max
        (1.571, 2.5)
        >>> layer(mg.ones((4, 2), dtype="float32")).shape
        (4, 2)
    """

    samples = (
        mg.Sample((3,), {"r_max": 1.05, "d_max": 0.1}, inputs=((5, 3),)),
        mg.Sample((2, 1e-3, None, False), inputs=((3, 2, 2),)),
    )
    dims, axes_named = (2, 3, 4, 5), "(n, c, …), of two to five axes,"

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        device: str | None = None,
        dtype: Any = None,
        *,
        bias: bool = True,
        decay: float | None = None,
        r_max: float = 3.0,
        d_max: float = 5.0,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, True, device, dtype, bias=bias, decay=decay)
        assert self.running_var is not None
        self.running_std, self.running_var = self.running_var, None
        self.set_limits(r_max, d_max)

    running_std: mg.Buffer

    def set_limits(self, r_max: float, d_max: float) -> None:
        """Use other limits from now on: r_max at least 1, d_max at least 0."""
        if not (mg.arguments.number(r_max, "r_max", "BatchRenorm") >= 1 and d_max >= 0):
            raise ArgumentError(f"BatchRenorm: r_max={r_max!r} must be at least 1 and d_max={d_max!r} at least 0")
        self.r_max, self.d_max = float(r_max), float(d_max)

    @staticmethod
    def schedule(step: int) -> tuple[float, float]:
        """The paper's limits at a step: r_max goes 1 to 3 from 5,000 to 40,000, d_max 0 to 5 from 5,000 to 25,000."""

        def ramp(end: int) -> float:
            return min(max((step - 5_000) / (end - 5_000), 0.0), 1.0)

        return 1 + 2 * ramp(40_000), 5 * ramp(25_000)

    def with_gain(self, x: mg.Tensor, weight: mg.Tensor | None, bias: mg.Tensor | None) -> mg.Tensor:
        """In evaluation by the running mean and σ."""
        if self.training:
            return self.normalized(x, self.axes(x), weight, bias)
        assert self.running_mean is not None
        mean, std = (mg.reshape(b, self.column(x)) for b in (self.running_mean, self.running_std))
        return normalize(x, self.axes(x), weight, bias, eps=0.0, statistics=(mean, mg.square(std))).y

    def normalized(
        self, x: mg.Tensor, axes: tuple[int, ...], weight: mg.Tensor | None, bias: mg.Tensor | None
    ) -> mg.Tensor:
        """By the batch, with r and d."""
        assert self.running_mean is not None
        n, shape = self.count(x), self.column(x)
        running_mean, running_std = (mg.reshape(b, shape) for b in (self.running_mean, self.running_std))
        y, mean, var = normalize(widened(x, "BatchRenorm"), axes, None, None, eps=self.eps)
        sigma = mg.sqrt(var + self.eps).named("sigma")
        held = mg.clip(sigma / running_std, 1 / self.r_max, self.r_max)
        shift = mg.clip((mean - running_mean) / running_std, -self.d_max, self.d_max)
        r, d = (mg.stop_gradient(t, why="renorm correction") for t in (held, shift))
        y = y * r.named("r") + d.named("d")
        y = y if weight is None else y * weight
        y = y if bias is None else y + bias
        self.update_statistics(mean, var, n)
        return y if y.dtype == x.dtype else mg.astype(y, x.dtype)

    def update_statistics(
        self, mean: mg.Tensor, var: mg.Tensor, count: int, momentum: float | Literal["own"] | None = "own"
    ) -> None:
        """Move the running mean and σ towards those of a batch; `var` is divided by `count` and so is σ's."""
        assert self.running_mean is not None
        assert self.num_batches_tracked is not None
        share = self.momentum if momentum == "own" else momentum
        moved = (self.running_mean, mean, 1.0), (self.running_std, mg.sqrt(var + self.eps), 1.0)
        running_statistics(self.num_batches_tracked, share, moved)

    def reset_running_stats(self) -> None:
        """Forget the running statistics: mean 0, σ 1, no batch."""
        super().reset_running_stats()
        self.running_std.assign(mg.ones_like(self.running_std))

    def extra_repr(self) -> str:
        """The constructor's arguments."""
        said = super().extra_repr().rpartition(", ")[0]
        return f"{said}, r_max={self.r_max}, d_max={self.d_max}"
