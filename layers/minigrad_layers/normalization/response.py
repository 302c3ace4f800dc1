"""Normalization of responses by those around them: local, global and filter response norm."""

from __future__ import annotations

from typing import Any

import minigrad as mg
from minigrad.errors import ShapeError
from minigrad_layers.normalization.axes import along, widened
from minigrad_layers.normalization.normalize import affine_parameters, positive
from minigrad_layers.normalization.vector import rms_normalize

__all__ = ["TLU", "FilterResponseNorm", "GlobalResponseNorm", "LocalResponseNorm"]


@mg.register_layer
class LocalResponseNorm(mg.Module):
    """Each channel divided by a power of the energy of its neighbours: y = x / (k + alpha mean(x²))^beta.

    The mean is over the `size` channels from c - size // 2 to c + (size - 1) // 2, those that do not exist counting as
    0, as in PyTorch. The paper and TensorFlow take the sum, so their alpha is this one divided by `size`; TensorFlow's
    `depth_radius` is (size - 1) / 2.

    Args:
        size: how many channels; at least 1.
        alpha, beta, k: above; beta = 0 leaves x as it is.

    Source: Krizhevsky, Sutskever, Hinton, "ImageNet classification with deep convolutional neural networks", NeurIPS
    2012, section 3.3.

    Raises:
        ShapeError: x has no channels, or no places.

    Example:
        >>> import minigrad as mg
        >>> LocalResponseNorm(5, alpha=1.0, beta=1.0, k=0.0)(mg.full((1, 5, 1), 2.0))[0, 2]
        tensor([0.5])
    """

    samples = ((3,), (2, 4, 3)), ((2, 0.5, 0.5, 2.0), (2, 3, 2, 2))

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        self.size = mg.arguments.integer(size, "size", "LocalResponseNorm", 1)
        self.alpha, self.beta, self.k = (
            mg.arguments.number(v, n, "LocalResponseNorm") for n, v in (("alpha", alpha), ("beta", beta), ("k", k))
        )

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """x of shape (n, c, …) with at least one axis of places."""
        if x.ndim < 3:
            raise ShapeError(f"LocalResponseNorm: x has shape {x.shape}, it must be (n, c, …) with places behind c")
        wide = widened(x, "LocalResponseNorm")
        before, after = self.size // 2, (self.size - 1) // 2
        padded = mg.pad(mg.square(wide), ((0, 0), (before, after), *((0, 0),) * (x.ndim - 2)))
        c = x.shape[1]
        energy = sum((padded[:, i : i + c] for i in range(1, self.size)), padded[:, :c]) / self.size
        y = wide / mg.power(self.k + self.alpha * energy.named("_energy"), self.beta)
        return y if y.dtype == x.dtype else mg.astype(y, x.dtype)

    def extra_repr(self) -> str:
        """PyTorch's."""
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


@mg.register_layer
class GlobalResponseNorm(mg.Module):
    """Channels compete by their energy over the whole map: y = x + weight (x n) + bias, n = g / (mean_c(g) + eps).

    g = ‖x‖₂ over the places of a channel. The paper's text has a sum over the channels, its code a mean; this is the
    mean. `weight` and `bias` start at 0, so the layer starts as the identity.

    Args:
        dim: number of channels.
        eps: added to the mean; above 0.
        channels_last: (n, h, w, c); otherwise (n, c, h, w).

    Source: Woo, Debnath, Hu, Chen, Liu, Kweon, Xie, "ConvNeXt V2: co-designing and scaling ConvNets with masked
    autoencoders", CVPR 2023.

    Example:
        >>> import minigrad as mg
        >>> GlobalResponseNorm(3)(mg.ones((2, 4, 4, 3))).shape
        (2, 4, 4, 3)
    """

    samples = ((3,), (2, 2, 2, 3)), ((2, 1e-3, False), (2, 2, 3, 2))

    def __init__(
        self, dim: int, eps: float = 1e-6, channels_last: bool = True, device: str | None = None, dtype: Any = None
    ) -> None:
        self.dim, self.eps = mg.arguments.integer(dim, "dim", "GlobalResponseNorm", 1), positive(eps)
        self.channels_last = mg.arguments.flag(channels_last, "channels_last", "GlobalResponseNorm")
        self.weight, self.bias = (mg.Parameter(mg.init.zeros((dim,), dtype=dtype, device=device)) for _ in range(2))

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """x of shape (n, h, w, c) or (n, c, h, w)."""
        if x.ndim != 4:
            raise ShapeError(f"GlobalResponseNorm: x has shape {x.shape}, it must have four axes")
        channel, places = (3, (1, 2)) if self.channels_last else (1, (2, 3))
        shape = along(x, (channel,), (self.dim,), "GlobalResponseNorm", "dim")
        weight, bias = (mg.reshape(p, shape) for p in (self.weight, self.bias))
        wide = widened(x, "GlobalResponseNorm")
        g = mg.safe.norm(wide, places, keepdims=True).named("g")
        n = (g / (mg.mean(g, channel, keepdims=True) + self.eps)).named("n")
        y = wide + (weight * (wide * n) + bias)
        return y if y.dtype == x.dtype else mg.astype(y, x.dtype)

    def extra_repr(self) -> str:
        """The constructor's arguments."""
        return f"{self.dim}, eps={self.eps}, channels_last={self.channels_last}"


@mg.register_layer
class TLU(mg.Module):
    """A ReLU with a learnt threshold for each channel: max(x, tau); at a tie the gradient is shared evenly.

    Args:
        num_features: number of channels, axis 1 of the input; `tau` has as many elements and starts at 0.

    Source: Singh, Krishnan, "Filter response normalization layer: eliminating batch dependence in the training of deep
    neural networks", CVPR 2020.

    Example:
        >>> import minigrad as mg
        >>> TLU(2)(mg.tensor([[-1.0, 2.0]])).tolist()
        [[0.0, 2.0]]
    """

    samples = (((3,), (2, 3, 2)),)

    def __init__(self, num_features: int, device: str | None = None, dtype: Any = None) -> None:
        self.num_features = mg.arguments.integer(num_features, "num_features", "TLU", 1)
        self.tau = mg.Parameter(mg.init.zeros((num_features,), dtype=dtype, device=device))

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """x of shape (n, c, …)."""
        return mg.maximum(x, mg.reshape(self.tau, along(x, (1,), self.tau.shape, "TLU", "num_features")))

    def extra_repr(self) -> str:
        """The constructor's argument."""
        return f"{self.num_features}"


@mg.register_layer
class FilterResponseNorm(mg.Module):
    """Each channel of each example divided by the root of its mean square, then a thresholded unit.

    z = max(weight x / sqrt(ν² + eps) + bias, tau), where ν² = mean(x²) over the places of a channel. There are
    no batch statistics and no mean: a channel of one place is divided by its own size, for which the paper learns eps.

    Args:
        num_features: number of channels c; `weight` (starts at 1), `bias` and `tau` (at 0) have as many elements.
        eps: added to ν²; above 0.
        learnable_eps: eps + |e| in place of eps, with a learnt `e` for each channel: what it starts as, True for the
            paper's 1e-4.
        act: whether the threshold `tau` is there.

    Source: Singh, Krishnan, "Filter response normalization layer: eliminating batch dependence in the training of deep
    neural networks", CVPR 2020.

    Example:
        >>> import minigrad as mg
        >>> mg.round(FilterResponseNorm(1)(mg.tensor([[[-2.0, 2.0]]])), 3).tolist()
        [[[0.0, 1.0]]]
    """

    samples = ((2,), (2, 2, 4)), ((3, 1e-4, 0.5, False), (2, 3, 2, 2))

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-6,
        learnable_eps: bool | float = False,
        act: bool = True,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        self.num_features = mg.arguments.integer(num_features, "num_features", "FilterResponseNorm", 1)
        self.eps, self.act = positive(eps), mg.arguments.flag(act, "act", "FilterResponseNorm")
        self.weight, self.bias = affine_parameters((num_features,), dtype, device)
        self.tau = mg.Parameter(mg.init.zeros((num_features,), dtype=dtype, device=device)) if act else None
        self.e: mg.Parameter | None = None
        if learnable_eps is not False:
            start = 1e-4 if learnable_eps is True else learnable_eps
            self.e = mg.Parameter(mg.init.constant((num_features,), start, dtype=dtype, device=device))

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """x of shape (n, c, …) with at least one axis of places."""
        if x.ndim < 3:
            raise ShapeError(
                f"FilterResponseNorm: x has shape {x.shape}, it must be (n, c, …) with places behind c, over which the "
                "mean square is taken"
            )
        shape = along(x, (1,), (self.num_features,), "FilterResponseNorm", "num_features")
        weight, bias = (mg.reshape(p, shape) for p in (self.weight, self.bias))
        eps: Any = self.eps if self.e is None else self.eps + mg.abs(mg.reshape(self.e, shape))
        y = rms_normalize(x, tuple(range(2, x.ndim)), weight, eps=eps) + bias
        return y if self.tau is None else mg.maximum(y, mg.reshape(self.tau, shape))

    def extra_repr(self) -> str:
        """The constructor's arguments."""
        return f"{self.num_features}, eps={self.eps}, learnable_eps={self.e is not None}, act={self.act}"
