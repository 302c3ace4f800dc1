"""Dropout whose rate is learnt by gradient descent."""

from __future__ import annotations

from typing import Any

import minigrad as mg
from minigrad.errors import ArgumentError, ArgumentTypeError
from minigrad_layers.dropout.masks import probability

__all__ = ["ConcreteDropout"]


@mg.composite
def logistic(x: mg.Tensor, shape: tuple[int, ...], dtype: str, generator: mg.random.Generator) -> mg.Tensor:
    """logit(u), u ~ U(0, 1), where `x` is; 1e-7, the authors', keeps it finite at 0."""
    u = mg.astype(mg.random.uniform(shape, like=x, generator=generator), dtype)
    return mg.log(u + 1e-7) - mg.log(1.0 - u + 1e-7)


@mg.register_layer
class ConcreteDropout(mg.Module):
    """A layer whose input is dropped out at a rate that is learnt, by a smooth mask: layer(x (1 - z) / (1 - p)).

    z = sigmoid((logit(p) + logit(u)) / temperature), u ~ U(0, 1), is near 0 or 1 and differentiable in p =
    sigmoid(p_logit). Nothing is added to a loss silently: add `regularization()`, or p only falls.

    Args:
        layer: what comes behind the dropout, with a `weight` whose axis 1 is its input, such as Linear or Conv2d.
        weight_regularizer: l² / (τ N) for a prior length scale l, a model precision τ and N examples, times 1/2 where
            the loss is a mean of half squares.
        dropout_regularizer: 2 / (τ N), likewise; twice as much for cross-entropy's 1 / N in place of 1 / (τ N).
        init_min, init_max: p starts evenly distributed between the two, both inside (0, 1).
        temperature: above 0; towards 0 the mask becomes Bernoulli's. The authors' 0.1.
        spatial: one z for each channel of (n, c, …).

    Source: Gal, Hron, Kendall, "Concrete dropout", NeurIPS 2017.

    Raises:
        ArgumentError: init_min or init_max outside (0, 1), temperature <= 0, a layer without a weight.

    Example:
        >>> import minigrad as mg
        >>> from minigrad_layers import Linear
        >>> layer = ConcreteDropout(Linear(3, 2))
        >>> round(layer.p.item(), 6), layer(mg.ones((4, 3))).shape, layer.regularization().shape
        (0.1, (4, 2), ())
    """

    samples = (
        mg.Sample((mg.Sample.layer("Linear", 4, 3),), {"temperature": 0.7}, inputs=((2, 4),)),
        mg.Sample((mg.Sample.layer("Conv1d", 2, 3, 2),), {"temperature": 0.7, "spatial": True}, inputs=((2, 2, 4),)),
    )

    def __init__(
        self,
        layer: mg.Module,
        weight_regularizer: float = 1e-6,
        dropout_regularizer: float = 1e-5,
        init_min: float = 0.1,
        init_max: float = 0.1,
        *,
        temperature: float = 0.1,
        spatial: bool = False,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        for name, value in (("init_min", init_min), ("init_max", init_max)):
            if not 0 < probability(value, name, "ConcreteDropout") < 1:
                raise ArgumentError(
                    f"ConcreteDropout: {name}={value!r} must be above 0 and below 1, since p is learnt as its logit"
                )
        if not init_min <= init_max:
            raise ArgumentError(f"ConcreteDropout: init_min={init_min!r} must not be above init_max={init_max!r}")
        if not mg.arguments.number(temperature, "temperature", "ConcreteDropout") > 0:
            raise ArgumentError(f"ConcreteDropout: temperature={temperature!r} must be above 0")
        if not isinstance(layer, mg.Module):
            raise ArgumentTypeError(f"ConcreteDropout: layer is a {type(layer).__name__}; give a module")
        weight = getattr(layer, "weight", None)
        if not isinstance(weight, mg.Parameter) or weight.ndim < 2:
            raise ArgumentError(
                f"ConcreteDropout: layer={type(layer).__name__} has no weight whose axis 1 is its input; give a Linear "
                "or a convolution"
            )
        self.layer, self.temperature = layer, temperature
        self.weight_regularizer = mg.arguments.number(weight_regularizer, "weight_regularizer", "ConcreteDropout")
        self.dropout_regularizer = mg.arguments.number(dropout_regularizer, "dropout_regularizer", "ConcreteDropout")
        self.spatial = mg.arguments.flag(spatial, "spatial", "ConcreteDropout")
        p = mg.random.uniform((1,), init_min, init_max, dtype="float64")
        logit = mg.astype(mg.log(p) - mg.log1p(-p), dtype or weight.dtype)
        self.p_logit = mg.Parameter(logit.to(device or weight.device))
        self.generator = mg.random.new_stream()

    @property
    def p(self) -> mg.Tensor:
        """The rate that has been learnt, of shape (1,)."""
        return mg.sigmoid(self.p_logit)

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """What the layer takes, (n, c, …) where spatial."""
        if not self.training:
            return self.layer(x)  # type: ignore[no-any-return]
        wide = "float64" if x.dtype.itemsize == 8 else "float32"
        shape = x.shape[:2] + (1,) * (x.ndim - 2) if self.spatial else x.shape
        noise = logistic(x, shape, wide, self.generator).named("logit_u")
        logit = mg.astype(self.p_logit, wide)
        z = mg.sigmoid((logit + noise) / self.temperature).named("z")
        y = mg.astype(x, wide) * (1.0 - z) / mg.sigmoid(-logit)
        return self.layer(mg.astype(y, x.dtype))  # type: ignore[no-any-return]

    def regularization(self) -> mg.Tensor:
        """weight_regularizer ‖W‖² / (1 - p) - dropout_regularizer d H(p), to be added to the loss.

        W are all parameters of the layer, d is the size of its input (its channels), H(p) = -p ln p - (1-p) ln(1-p).

        Example:
            >>> import minigrad as mg
            >>> from minigrad_layers import Linear
            >>> layer = ConcreteDropout(Linear(2, 1, bias=False), 0.0, 1.0, 0.5, 0.5)
            >>> round(layer.regularization().item(), 4)  # 2 (-ln 2)
            -1.3863
        """
        logit = self.p_logit
        squares = sum((mg.sum(mg.square(w)) for w in self.layer.parameters()), start=mg.zeros_like(logit))
        p, q = mg.sigmoid(logit), mg.sigmoid(-logit)
        minus_entropy = -(p * mg.softplus(-logit) + q * mg.softplus(logit))  # p ln p + (1 - p) ln(1 - p)
        weight = squares / q * self.weight_regularizer
        d = self._inputs()
        return mg.sum(weight + minus_entropy * (self.dropout_regularizer * d))

    def _inputs(self) -> int:
        """The size of the input that is dropped: a grouped convolution's weight has a part of it."""
        size: int = self.layer.weight.shape[1] * getattr(self.layer, "groups", 1)  # type: ignore[attr-defined]
        return size

    def extra_repr(self) -> str:
        """The constructor's arguments."""
        return (
            f"weight_regularizer={self.weight_regularizer}, dropout_regularizer={self.dropout_regularizer}, "
            f"temperature={self.temperature}, spatial={self.spatial}"
        )
