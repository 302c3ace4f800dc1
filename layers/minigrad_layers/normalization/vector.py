"""Normalization by a length, with no mean taken away: RMS norm, scale norm, L2 norm, pixel norm, cosine norm."""

from __future__ import annotations

import math
from typing import Any

import minigrad as mg
from minigrad.errors import ShapeError
from minigrad_layers.normalization.axes import along, gain, more, normalized_axes, widened
from minigrad_layers.normalization.normalize import positive

__all__ = ["CosineNorm", "L2Norm", "PixelNorm", "RMSNorm", "ScaleNorm"]


@mg.composite(fuse=True)
def rms_normalize(x: mg.Tensor, axes: tuple[int, ...], gain: mg.Tensor | None, *, eps: float) -> mg.Tensor:
    """x / sqrt(mean(x²) + eps) gain, the mean over `axes`; float16 is computed in float32 and cast once, at the end."""
    wide = widened(x, "rms_normalize")
    mean_square = mg.mean(mg.square(wide), axes, keepdims=True).named("mean_square")
    y = (wide * mg.rsqrt(mean_square + eps).named("_inv_rms")).named("x_hat")
    y = y if gain is None else y * gain
    return y if y.dtype == x.dtype else mg.astype(y, x.dtype)


@mg.composite
def unit(x: mg.Tensor, axis: int | None, *, eps: float) -> mg.Tensor:
    """x / max(‖x‖, eps), the length taken along `axis`; where x is 0, the result and its derivatives are 0.

    The quotient's own derivative there is 1 / eps, which padding would turn into the largest gradients of a model.
    """
    wide = widened(x, "unit")
    length = mg.safe.norm(wide, axis, keepdims=True).named("norm")
    y = mg.keep(wide / mg.maximum(length, eps), length > 0)
    return y if y.dtype == x.dtype else mg.astype(y, x.dtype)


def centred(x: mg.Tensor) -> mg.Tensor:
    """x minus its mean over the last axis, in x's dtype; far from 0 too, where a rounded mean would be off."""
    d, r, _, _ = mg.deviations(x, -1)
    y = (d - r).named("_centred")
    return y if y.dtype == x.dtype else mg.astype(y, x.dtype)


@mg.register_layer
class RMSNorm(mg.Module):
    """Each example divided by the root of its mean square: y = x / sqrt(mean(x²) + eps) weight.

    Args:
        normalized_shape: sizes of the axes to normalize over.
        eps: above 0, or None for the machine epsilon of the type that computes: 1.2e-7 for float16 and float32, 2.2e-16
            for float64. Trained language models use 1e-6 or 1e-5: give the one that the weights were trained with.
        elementwise_affine: whether there is a `weight`, of that shape.
        axis: the axes that `normalized_shape` names, by default the last ones; 1 for the channels of (n, c, h, w).
        centered: the gain is 1 + weight, and the weight starts at 0, so that weight decay pulls the gain to 1.

    Source: Zhang, Sennrich, "Root mean square layer normalization", NeurIPS 2019.

    Raises:
        ArgumentError: eps <= 0, axes that do not go with `normalized_shape`.
        ShapeError: other sizes.

    Example:
        >>> import minigrad as mg
        >>> mg.round(RMSNorm(2, eps=1e-6)(mg.tensor([[3.0, 3.0], [0.0, 0.0]])), 4).tolist()
        [[1.0, 1.0], [0.0, 0.0]]
    """

    samples = (
        mg.Sample((4,), inputs=((3, 4),)),
        mg.Sample(((2, 3), 1e-6, False), inputs=((2, 2, 3),)),
        mg.Sample((3,), {"axis": 1, "centered": True}, inputs=((2, 3, 2, 2),)),
    )

    def __init__(
        self,
        normalized_shape: int | tuple[int, ...],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: str | None = None,
        dtype: Any = None,
        *,
        axis: int | tuple[int, ...] | None = None,
        centered: bool = False,
    ) -> None:
        self.normalized_shape = mg.arguments.integers(normalized_shape, "normalized_shape", "RMSNorm", 1)
        self.axes = normalized_axes(axis, self.normalized_shape, "RMSNorm")
        self.eps = eps if eps is None else positive(eps)
        self.elementwise_affine, self.centered = elementwise_affine, mg.arguments.flag(centered, "centered", "RMSNorm")
        start = mg.init.zeros if centered else mg.init.ones
        self.weight = (
            mg.Parameter(start(self.normalized_shape, dtype=dtype, device=device)) if elementwise_affine else None
        )

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """x with `normalized_shape` at the axes that are normalized over."""
        shape = along(x, self.axes, self.normalized_shape, "RMSNorm", "normalized_shape")
        weight = gain(self.weight, shape, centered=self.centered)
        eps = self.eps if self.eps is not None else 2.0**-52 if x.dtype.itemsize == 8 else 2.0**-23
        return rms_normalize(x, self.axes, weight, eps=eps)

    def extra_repr(self) -> str:
        """PyTorch's, with what PyTorch has not where it is used."""
        said = f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
        return said + more(self.axes, self.normalized_shape, self.centered)


@mg.register_layer
class ScaleNorm(mg.Module):
    """Each vector along the last axis scaled to one learnt length: y = weight x / max(‖x‖, eps).

    Args:
        num_features: size of the last axis; `weight`, of shape (), starts as its square root.
        eps: the least length that is divided by; above 0. Where x is 0, the result and its derivatives are 0.

    Source: Nguyen, Salazar, "Transformers without tears: improving the normalization of self-attention", IWSLT 2019.

    Example:
        >>> import minigrad as mg
        >>> ScaleNorm(4)(mg.tensor([[3.0, 0.0, 4.0, 0.0]]))
        tensor([[1.2, 0. , 1.6, 0. ]], op='multiply')
    """

    samples = ((4,), (3, 4)), ((3, 1e-3), (2, 2, 3))

    def __init__(self, num_features: int, eps: float = 1e-5, device: str | None = None, dtype: Any = None) -> None:
        self.num_features, self.eps = mg.arguments.integer(num_features, "num_features", "ScaleNorm", 1), positive(eps)
        self.weight = mg.Parameter(mg.init.constant((), math.sqrt(num_features), dtype=dtype, device=device))

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """x of shape (…, num_features)."""
        along(x, (-1,), (self.num_features,), "ScaleNorm", "num_features")
        return unit(x, -1, eps=self.eps) * self.weight

    def extra_repr(self) -> str:
        """The constructor's arguments."""
        return f"{self.num_features}, eps={self.eps}"


@mg.register_layer
class L2Norm(mg.Module):
    """Each vector along one axis scaled to length 1: y = x / max(‖x‖₂, eps), times a learnt weight if asked for.

    Args:
        dim: the axis along which a vector lies.
        eps: the least length that is divided by; above 0. Where x is 0, the result and its derivatives are 0 (that of
            x / eps would be 1e12).
        num_features: size of that axis, for a `weight` of that many elements; None for no weight.
        init: what the weight starts as.

    Source: with a weight, Liu, Rabinovich, Berg, "ParseNet: looking wider to see better", arXiv 1506.04579, 2015, and
    Liu et al., "SSD: single shot multibox detector", ECCV 2016, where it starts as 20.

    Example:
        >>> import minigrad as mg
        >>> L2Norm()(mg.tensor([[3.0, 4.0], [0.0, 0.0]])).tolist()
        [[0.6, 0.8], [0.0, 0.0]]
    """

    samples = ((), (3, 4)), ((1, 1e-6, 3), (2, 3, 2))

    def __init__(
        self,
        dim: int = -1,
        eps: float = 1e-12,
        num_features: int | None = None,
        init: float = 20.0,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        self.dim, self.eps, self.num_features = mg.arguments.integer(dim, "dim", "L2Norm"), positive(eps), num_features
        self.weight: mg.Parameter | None = None
        if num_features is not None:
            size = mg.arguments.integer(num_features, "num_features", "L2Norm", 1)
            self.weight = mg.Parameter(mg.init.constant((size,), init, dtype=dtype, device=device))

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """x of any shape with that axis."""
        y = unit(x, self.dim, eps=self.eps)
        if self.weight is None:
            return y
        return y * mg.reshape(self.weight, along(x, (self.dim,), self.weight.shape, "L2Norm", "num_features"))

    def extra_repr(self) -> str:
        """The constructor's arguments."""
        return f"dim={self.dim}, eps={self.eps}" + (f", num_features={self.num_features}" if self.num_features else "")


@mg.register_layer
class PixelNorm(mg.Module):
    """The features of each place divided by the root of their mean square: y = x / sqrt(mean(x², channels) + eps).

    Args:
        eps: added to the mean square; above 0.
        axis: the channels, 1 in (n, c), (n, c, h, w) and their kin.

    Source: Karras, Aila, Laine, Lehtinen, "Progressive growing of GANs for improved quality, stability, and
    variation", ICLR 2018.

    Example:
        >>> import minigrad as mg
        >>> mg.round(PixelNorm()(mg.tensor([[3.0, 3.0], [0.0, 0.0]])), 4).tolist()
        [[1.0, 1.0], [0.0, 0.0]]
    """

    samples = ((), (2, 3, 2, 2)), ((1e-6, -1), (3, 4))

    def __init__(self, eps: float = 1e-8, axis: int = 1) -> None:
        self.eps, self.axis = positive(eps), mg.arguments.integer(axis, "axis", "PixelNorm")

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """x of any shape with that axis."""
        return rms_normalize(x, (self.axis,), None, eps=self.eps)

    def extra_repr(self) -> str:
        """The constructor's arguments."""
        return f"eps={self.eps}, axis={self.axis}"


@mg.register_layer
class CosineNorm(mg.Module):
    """A dense layer whose product is the cosine of input and weight: y_k = (w_k · x) / (‖w_k‖ ‖x‖), from -1 to 1.

    Args:
        in_features, out_features: as in Linear; `weight` is (out_features, in_features).
        bias: whether a `bias` (out_features) is added; the paper has none.
        scale: what a learnt `scale` of all cosines starts as; None for none, as in the paper.
        pearson: take the mean away from x and from each row of the weight first: their correlation.
        eps: the least length that is divided by; above 0. Where a vector is 0, its cosines and their derivatives are 0.

    Source: Luo, Zhan, Wang, Yang, "Cosine normalization: using cosine similarity instead of dot product in neural
    networks", arXiv 1702.05870, 2017.

    Example:
        >>> import minigrad as mg
        >>> layer = CosineNorm(2, 1)
        >>> with mg.stand_in(layer, {"weight": mg.tensor([[1.0, 0.0]], dtype="float32")}):
        ...     round(layer(mg.tensor([[3.0, 4.0]], dtype="float32")).item(), 6)
        0.6
    """

    samples = (
        mg.Sample((4, 3), inputs=((2, 4),)),
        mg.Sample((3, 2), {"bias": True, "scale": 8.0, "pearson": True}, inputs=((2, 2, 3),)),
    )

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = False,
        *,
        scale: float | None = None,
        pearson: bool = False,
        eps: float = 1e-8,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        self.in_features = mg.arguments.integer(in_features, "in_features", "CosineNorm", 1)
        self.out_features = mg.arguments.integer(out_features, "out_features", "CosineNorm", 1)
        self.pearson, self.eps = mg.arguments.flag(pearson, "pearson", "CosineNorm"), positive(eps)
        bound, shape = 1 / math.sqrt(in_features), (out_features, in_features)
        self.weight = mg.Parameter(mg.init.uniform(shape, -bound, bound, dtype=dtype or "float32", device=device))
        self.bias = mg.Parameter(mg.init.zeros((out_features,), dtype=dtype, device=device)) if bias else None
        self.scale: mg.Parameter | None = None
        if scale is not None:
            self.scale = mg.Parameter(mg.init.constant((), scale, dtype=dtype, device=device))

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """x of shape (…, in_features)."""
        if x.shape[-1:] != (self.in_features,):
            raise ShapeError(f"CosineNorm: x has shape {x.shape}, its last axis must be in_features={self.in_features}")
        w: mg.Tensor = self.weight
        if self.pearson:
            x, w = (centred(v) for v in (x, w))
        y = unit(x, -1, eps=self.eps) @ unit(w, -1, eps=self.eps).mT
        y = y if self.scale is None else y * self.scale
        return y if self.bias is None else y + self.bias

    def extra_repr(self) -> str:
        """The constructor's arguments."""
        more = ("" if self.scale is None else ", scale=True") + (", pearson=True" if self.pearson else "")
        return f"{self.in_features}, {self.out_features}, bias={self.bias is not None}{more}, eps={self.eps}"
