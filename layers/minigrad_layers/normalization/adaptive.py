"""Norms whose gain and shift come from a second input: a style, a class, a condition."""

from __future__ import annotations

from typing import Any, Literal

import minigrad as mg
from minigrad.errors import ArgumentError, ShapeError
from minigrad_layers.activation import ReLU
from minigrad_layers.container import Sequential
from minigrad_layers.dense import Linear
from minigrad_layers.normalization.axes import along, widened
from minigrad_layers.normalization.batch import RunningNorm
from minigrad_layers.normalization.normalize import affine_parameters, normalize, positive

__all__ = ["AdaLayerNorm", "AdaptiveInstanceNorm", "ConditionalBatchNorm"]


def zeroed(linear: Linear) -> Linear:
    """A dense layer that starts as 0, so that what it conditions starts unconditioned."""
    for p in linear.parameters():
        p.data = mg.zeros_like(p).data
    return linear


def single(t: mg.Tensor) -> mg.Tensor:
    """At least float32: 1 + a small number in half precision would be 1."""
    return mg.astype(t, "float32") if t.dtype.itemsize == 2 else t


@mg.register_layer
class AdaptiveInstanceNorm(mg.Module):
    """Each channel of each example normalized over its places, then given the mean and deviation of a style.

    y = std(s) (x - mean(x)) / std(x) + mean(s), where std = sqrt(var + eps) and var is divided by the number of places
    (many copies divide by one less). With `style_dim` the style is a vector instead, and a dense layer `fc` gives
    y = (1 + γ) (x - mean(x)) / std(x) + β, γ being the first half of its output.

    Args:
        num_features: c of (n, c, …), with `style_dim`; None takes what comes.
        style_dim: size of a style vector (n, style_dim); None for a style that is a map (n, c, …) of any size.
        eps: added to the variances; above 0.
        alpha: how much of the style is taken, y alpha + x (1 - alpha).

    Source: Huang, Belongie, "Arbitrary style transfer in real-time with adaptive instance normalization", ICCV 2017,
    arXiv 1703.06868. Vectors: Choi, Uh, Yoo, Ha, "StarGAN v2: diverse image synthesis for multiple domains", CVPR 2020.

    Example:
        >>> import minigrad as mg
        >>> x, style = mg.tensor([[[1.0, 3.0]]]), mg.tensor([[[10.0, 30.0, 20.0, 20.0]]])
        >>> mg.round(AdaptiveInstanceNorm()(x, style), 2).tolist()
        [[[12.93, 27.07]]]
    """

    samples = (
        mg.Sample(inputs=((2, 2, 4), (2, 2, 3))),
        mg.Sample((2, 3, 1e-3, 0.6), inputs=((3, 2, 2, 2), (3, 3))),
    )

    def __init__(
        self,
        num_features: int | None = None,
        style_dim: int | None = None,
        eps: float = 1e-5,
        alpha: float = 1.0,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        name = "AdaptiveInstanceNorm"
        if (num_features is None) != (style_dim is None):
            raise ArgumentError(
                f"{name}: num_features={num_features} and style_dim={style_dim} go together: both for style vectors, "
                "neither for maps"
            )
        self.num_features, self.style_dim, self.eps = num_features, style_dim, positive(eps)
        self.alpha = mg.arguments.number(alpha, "alpha", name)
        self.fc: Linear | None = None
        if num_features is not None and style_dim is not None:
            num_features = mg.arguments.integer(num_features, "num_features", name, 1)
            self.fc = Linear(style_dim, 2 * num_features, device=device, dtype=dtype)

    def forward(self, x: mg.Tensor, style: mg.Tensor) -> mg.Tensor:
        """x of shape (n, c, …); a style of the same n and c, or (n, style_dim)."""
        places = tuple(range(2, x.ndim))
        if x.ndim < 3 or len(style) != len(x) or (self.fc is None and (style.ndim < 3 or style.shape[1] != x.shape[1])):
            raise ShapeError(
                f"AdaptiveInstanceNorm: x has shape {x.shape} and style {style.shape}; they must be (n, c, …) with "
                f"places and {'(n, c, …) with places' if self.fc is None else '(n, style_dim)'}"
            )
        if self.fc is None:
            wide = widened(style, "AdaptiveInstanceNorm")
            over, shape = tuple(range(2, style.ndim)), (*x.shape[:2],) + (1,) * len(places)
            bias = mg.reshape(mg.mean(wide, over), shape).named("style_mean")
            weight = mg.reshape(mg.sqrt(mg.var(wide, over) + self.eps), shape).named("style_std")
        else:
            shape = along(x, (1,), (self.fc.out_features // 2,), "AdaptiveInstanceNorm", "num_features")
            gamma, beta = mg.split(single(self.fc(style)), 2, axis=1)
            weight, bias = (mg.reshape(t, (len(x), *shape[1:])) for t in (1.0 + gamma, beta))
        y = normalize(x, places, weight, bias, eps=self.eps).y
        return y if self.alpha == 1 else y * self.alpha + x * (1 - self.alpha)

    def extra_repr(self) -> str:
        """The constructor's arguments."""
        said = "" if self.num_features is None else f"{self.num_features}, {self.style_dim}, "
        return f"{said}eps={self.eps}" + ("" if self.alpha == 1 else f", alpha={self.alpha}")


@mg.register_layer
class ConditionalBatchNorm(RunningNorm):
    """Batch norm with a gain and a shift for each class, or moved by an embedding of the condition.

    Args:
        num_features: c of (n, c, …).
        num_classes: k; `weight` and `bias` are tables (k, c), of ones and zeros, and the condition is a class (n,).
        embedding_dim: in its place, the size of an embedding (n, embedding_dim): `weight` and `bias` (c) are added to
            what two dense networks with one hidden layer of that size, `weight_mlp` and `bias_mlp`, make of it; their
            last layers start as 0.
        eps, momentum, track_running_stats, decay, correction: as in BatchNorm1d.

    Source: Dumoulin, Shlens, Kudlur, "A learned representation for artistic style", ICLR 2017 (tables); de Vries,
    Strub, Mary, Larochelle, Pietquin, Courville, "Modulating early visual processing by language", NeurIPS 2017
    (embeddings).

    Raises:
        ArgumentError: both or neither of `num_classes` and `embedding_dim`.

    Example:
        >>> import minigrad as mg
        >>> layer = ConditionalBatchNorm(3, 10)
        >>> layer(mg.ones((2, 3, 4, 4)), mg.tensor([7, 0])).shape, layer.weight.shape
        ((2, 3, 4, 4), (10, 3))
    """

    samples = (
        mg.Sample((2, 3), inputs=((4, 2, 2), (mg.domains.below(3), (4,)))),
        mg.Sample((2,), {"embedding_dim": 3}, inputs=((4, 2), (4, 3))),
    )
    dims, axes_named = (2, 3, 4, 5), "(n, c, …), of two to five axes,"

    def __init__(
        self,
        num_features: int,
        num_classes: int | None = None,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        track_running_stats: bool = True,
        device: str | None = None,
        dtype: Any = None,
        *,
        embedding_dim: int | None = None,
        decay: float | None = None,
        correction: int = 1,
    ) -> None:
        if (num_classes is None) == (embedding_dim is None):
            raise ArgumentError(
                f"ConditionalBatchNorm: num_classes={num_classes} and embedding_dim={embedding_dim}; give one of them"
            )
        super().__init__(
            num_features, eps, momentum, False, track_running_stats, device, dtype, decay=decay, correction=correction
        )
        self.num_classes, self.embedding_dim = num_classes, embedding_dim
        self.weight_mlp: Sequential | None = None
        self.bias_mlp: Sequential | None = None
        tables: tuple[int, ...] = (self.num_features,)
        if num_classes is not None:
            tables = mg.arguments.integer(num_classes, "num_classes", "ConditionalBatchNorm", 1), *tables
        self.weight, self.bias = affine_parameters(tables, dtype, device)
        if embedding_dim is not None:
            d, c, where = embedding_dim, self.num_features, {"device": device, "dtype": dtype}
            self.weight_mlp, self.bias_mlp = (
                Sequential(Linear(d, d, **where), ReLU(), zeroed(Linear(d, c, **where))) for _ in range(2)
            )

    def forward(self, x: mg.Tensor, condition: mg.Tensor) -> mg.Tensor:  # type: ignore[override]
        """x of shape (n, c, …) with a condition for each example: a class (n,), or an embedding (n, embedding_dim)."""
        assert self.weight is not None
        assert self.bias is not None
        shape = (len(x), *self.column(x))
        ndim = 1 if self.weight_mlp is None else 2
        if condition.ndim != ndim or len(condition) != len(x):
            raise ShapeError(
                f"ConditionalBatchNorm: condition has shape {condition.shape} and x {x.shape}; a condition must be "
                + ("(n,), the class of each example" if ndim == 1 else "(n, embedding_dim)")
            )
        if self.weight_mlp is None or self.bias_mlp is None:
            weight, bias = self.weight[condition], self.bias[condition]
        else:
            weight, bias = self.weight + self.weight_mlp(condition), self.bias + self.bias_mlp(condition)
        return self.with_gain(x, mg.reshape(weight, shape), mg.reshape(bias, shape))

    def extra_repr(self) -> str:
        """The constructor's arguments."""
        of = f"{self.num_classes}" if self.embedding_dim is None else f"embedding_dim={self.embedding_dim}"
        return (
            f"{self.num_features}, {of}, eps={self.eps}, momentum={self.momentum}, "
            f"track_running_stats={self.track_running_stats}"
        )


@mg.register_layer
class AdaLayerNorm(mg.Module):
    """Layer norm whose gain and shift are made of a condition: y = (x - mean) / sqrt(var + eps) (1 + scale) + shift.

    (shift, scale) = linear(silu(c)) starts as 0, so the layer starts as a layer norm. With `gate` there is a third
    part, which is given too, for the branch behind: x + gate f(y) starts as x ("adaLN-Zero").

    Args:
        num_features: size of the last axis of x.
        cond_dim: size of the condition c; num_features unless given.
        eps: added to the variance; above 0.
        order: which half of the dense layer's output is which, "shift, scale" as in the paper's code, or
            "scale, shift" as in diffusers; a gate is the last part.
        gate: whether the result is (y, gate).

    Source: Peebles, Xie, "Scalable diffusion models with transformers", ICCV 2023, arXiv 2212.09748.

    Example:
        >>> import minigrad as mg
        >>> layer = AdaLayerNorm(4, 6, gate=True)
        >>> y, gate = layer(mg.ones((2, 5, 4)), mg.ones((2, 6)))
        >>> y.shape, gate.shape
        ((2, 5, 4), (2, 1, 4))
    """

    samples = (
        mg.Sample((4,), inputs=((2, 4), (2, 4))),
        mg.Sample((3, 2, 1e-3, "scale, shift", True), inputs=((3, 2, 3), (3, 2))),
    )

    def __init__(
        self,
        num_features: int,
        cond_dim: int | None = None,
        eps: float = 1e-6,
        order: Literal["shift, scale", "scale, shift"] = "shift, scale",
        gate: bool = False,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        self.num_features = mg.arguments.integer(num_features, "num_features", "AdaLayerNorm", 1)
        self.cond_dim = self.num_features if cond_dim is None else cond_dim
        if order not in ("shift, scale", "scale, shift"):
            raise ArgumentError(f"AdaLayerNorm: order={order!r} must be 'shift, scale' or 'scale, shift'")
        self.eps, self.order, self.gate = positive(eps), order, mg.arguments.flag(gate, "gate", "AdaLayerNorm")
        self.linear = zeroed(Linear(self.cond_dim, (2 + gate) * self.num_features, device=device, dtype=dtype))

    def forward(self, x: mg.Tensor, condition: mg.Tensor) -> mg.Tensor | tuple[mg.Tensor, mg.Tensor]:
        """x of shape (n, …, num_features), condition (n, cond_dim); each example's is used at all of its places."""
        along(x, (-1,), (self.num_features,), "AdaLayerNorm", "num_features")
        if condition.ndim != 2 or x.ndim < 2 or len(condition) != len(x):
            raise ShapeError(
                f"AdaLayerNorm: condition has shape {condition.shape} and x {x.shape}; they must be (n, cond_dim) and "
                "(n, …, num_features)"
            )
        parts = mg.split(self.linear(mg.silu(condition)), 2 + self.gate, axis=1)
        shape = (len(x),) + (1,) * (x.ndim - 2) + (self.num_features,)
        first, second, *gates = (mg.reshape(t, shape) for t in parts)
        shift, scale = (first, second) if self.order == "shift, scale" else (second, first)
        y = normalize(x, (-1,), 1.0 + single(scale.named("scale")), shift.named("shift"), eps=self.eps).y
        return (y, gates[0].named("gate")) if self.gate else y

    def extra_repr(self) -> str:
        """The constructor's arguments."""
        return f"{self.num_features}, {self.cond_dim}, eps={self.eps}, order={self.order!r}, gate={self.gate}"
