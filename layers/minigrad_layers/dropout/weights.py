"""Dropout of weights: single ones of any layer, or whole rows of a table."""

from __future__ import annotations

from typing import Any

import minigrad as mg
from minigrad.errors import ArgumentError, ArgumentTypeError
from minigrad_layers.dropout.masks import drop, probability

__all__ = ["DropConnect", "EmbeddingDropout"]


class _Around(mg.Module):
    """A layer and the rate at which something of it is dropped, in training."""

    rate = "p"

    def __init__(self, layer: mg.Module, p: float = 0.5) -> None:
        name = type(self).__name__
        if not isinstance(layer, mg.Module):
            raise ArgumentTypeError(f"{name}: layer is a {type(layer).__name__}; give the module itself, {name}(layer)")
        self.layer, self.p = layer, probability(p, "p", name)
        self.generator = mg.random.new_stream()

    def extra_repr(self) -> str:
        """The rate."""
        return f"p={self.p}"


@mg.register_layer
class DropConnect(_Around):
    """Any layer, in training with weights zeroed with probability `p` and the others scaled by 1 / (1 - p).

    y = layer(x; r W / (1 - p)), r ~ Bernoulli(1 - p) for each weight; evaluation uses W. On `weight_hh_l0` of an LSTM
    this is the weight drop of AWD-LSTM: one mask for all steps of a sequence. (What EfficientNet's code calls "drop
    connect" is `DropPath`.)

    Args:
        layer: any module; its parameters keep their names below `layer.`.
        p: from 0 (the layer itself) to 1 (weights of 0).
        names: of the parameters that are dropped, dotted; ("weight", "bias") drops the biases too, as in the paper.
        per_example: a mask for each example along axis 0 of the inputs, as in the paper; the layer is then called for
            each, so with statistics of batches it is of no use.

    Source: Wan, Zeiler, Zhang, LeCun, Fergus, "Regularization of neural networks using DropConnect", ICML 2013; Merity,
    Keskar, Socher, "Regularizing and optimizing LSTM language models", ICLR 2018.

    Raises:
        ArgumentError: p is no number from 0 to 1, or a name that the layer has not.

    Example:
        >>> import minigrad as mg
        >>> from minigrad_layers import Linear
        >>> layer = DropConnect(Linear(3, 2, bias=False), 1.0)
        >>> layer(mg.ones((1, 3))).tolist(), bool((layer.eval()(mg.ones((1, 3))) == 0).any())
        ([[0.0, 0.0]], False)
    """

    samples = (
        mg.Sample((mg.Sample.layer("Linear", 4, 3), 0.4), inputs=((2, 4),)),
        mg.Sample((mg.Sample.layer("Linear", 3, 2), 0.4, ("weight", "bias"), True), inputs=((2, 3),)),
        mg.Sample((mg.Sample.layer("RNN", 2, 3), 0.3, ("weight_hh_l0",)), inputs=((3, 2, 2),), batch=1),
    )

    def __init__(
        self,
        layer: mg.Module,
        p: float = 0.5,
        names: str | tuple[str, ...] = ("weight",),
        per_example: bool = False,
    ) -> None:
        super().__init__(layer, p)
        self.names = (names,) if isinstance(names, str) else tuple(names)
        self.per_example = mg.arguments.flag(per_example, "per_example", "DropConnect")
        have = dict(layer.named_parameters())
        for name in self.names:
            if name not in have:
                raise ArgumentError(
                    f"DropConnect: names={self.names!r}: this {type(layer).__name__} has no parameter {name!r}; it has "
                    f"{', '.join(have) or 'none'}"
                )

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the layer takes and gives."""
        if not self.training or self.p == 0:
            return self.layer(*args, **kwargs)
        weights = {n: p for n, p in self.layer.named_parameters() if n in self.names}
        if not self.per_example:
            return self._with({n: drop(w, w.shape, self.p, self.generator) for n, w in weights.items()}, args, kwargs)
        n = args[0].shape[0] if args and args[0].ndim else 0
        drawn = {
            k: drop(mg.broadcast_to(w, (max(n, 1), *w.shape)), (max(n, 1), *w.shape), self.p, self.generator)
            for k, w in weights.items()
        }
        if not n:
            return self._with({k: w[0] for k, w in drawn.items()}, args, kwargs)
        made = []
        for i in range(n):
            one = [a[i : i + 1] if isinstance(a, mg.Tensor) else a for a in args]
            made.append(self._with({k: w[i] for k, w in drawn.items()}, one, kwargs))
            if not isinstance(made[-1], mg.Tensor):
                raise ArgumentTypeError(
                    f"DropConnect: per_example=True needs a layer that gives one tensor, no {type(made[-1]).__name__}"
                )
        return mg.concat(made, axis=0)

    def _with(self, weights: dict[str, mg.Tensor], args: Any, kwargs: Any) -> Any:
        with mg.stand_in(self.layer, weights):
            return self.layer(*args, **kwargs)

    def extra_repr(self) -> str:
        """The constructor's arguments."""
        return f"p={self.p}, names={self.names}" + (", per_example=True" if self.per_example else "")


@mg.register_layer
class EmbeddingDropout(_Around):
    """An embedding that zeroes whole words, all their occurrences in a batch, and scales the others by 1 / (1 - p).

    r ~ Bernoulli(1 - p) for each row of the table, y = r[i] table[i] / (1 - p), in training. A padding row stays 0.

    Args:
        layer: an `Embedding`, or another layer that has `num_embeddings` and takes integers.
        p: from 0 (the layer itself) to 1 (zeros).

    Source: Gal, Ghahramani, "A theoretically grounded application of dropout in recurrent neural networks", NeurIPS
    2016, section 4.2; scaled as in Merity, Keskar, Socher, "Regularizing and optimizing LSTM language models", ICLR
    2018.

    Raises:
        ArgumentError: p is no number from 0 to 1, a layer without `num_embeddings`.

    Example:
        >>> import minigrad as mg
        >>> from minigrad_layers import Embedding
        >>> table = Embedding.from_pretrained(mg.ones((50, 2)))
        >>> y = EmbeddingDropout(table, 0.5)(mg.arange(50))
        >>> {tuple(row) for row in y.tolist()} == {(0.0, 0.0), (2.0, 2.0)}
        True
    """

    samples = (
        mg.Sample((mg.Sample.layer("Embedding", 5, 3), 0.4), inputs=((mg.domains.below(5), (2, 4)),)),
        mg.Sample((mg.Sample.layer("Embedding", 4, 2), 1.0), inputs=((mg.domains.below(4), (3,)),)),
    )

    def __init__(self, layer: mg.Module, p: float = 0.1) -> None:
        super().__init__(layer, p)
        if not isinstance(getattr(layer, "num_embeddings", None), int):
            raise ArgumentError(
                f"EmbeddingDropout: layer={type(layer).__name__} has no num_embeddings; give an Embedding, or use "
                "Dropout behind the layer"
            )

    def forward(self, indices: mg.Tensor) -> mg.Tensor:
        """Integers of any shape (…) to (…, embedding_dim)."""
        y: mg.Tensor = self.layer(indices)
        if not self.training or self.p == 0:
            return y
        mask, scale = self._rows(y)
        return mg.keep(y, mg.expand_dims(mg.take(mask, indices, axis=0), -1)) * scale

    def textbook(self, indices: mg.Tensor) -> mg.Tensor:
        """r ~ Bernoulli(1 - p) for each word, y = r[i] table[i] / (1 - p)."""
        y: mg.Tensor = self.layer(indices)
        if not self.training or self.p == 0:
            return y
        mask, scale = self._rows(y)
        r = mg.take(mg.astype(mask, y.dtype).named("r"), indices, axis=0)
        y = mg.expand_dims(r, -1) * y
        return y / (1.0 / scale) if scale else y

    def _rows(self, y: mg.Tensor) -> tuple[mg.Tensor, float]:
        rows: int = self.layer.num_embeddings  # type: ignore[attr-defined]
        return mg.random.mask((rows,), self.p, like=y, generator=self.generator)
