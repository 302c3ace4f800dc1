"""The transformer's encoder layer: attention and a small network at each position, with norms in one of four places."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import minigrad as mg
from minigrad.errors import ArgumentError
from minigrad_layers.attention.multihead import MultiHeadAttention
from minigrad_layers.dense import Linear
from minigrad_layers.dropout import Dropout
from minigrad_layers.normalization import LayerNorm

ACTIVATIONS: dict[str, Callable[[mg.Tensor], mg.Tensor]] = {"relu": mg.relu, "gelu": mg.gelu, "silu": mg.silu}
PLACES = ("pre", "post", "res-post", "peri")


@mg.register_layer
class TransformerEncoderLayer(mg.Module):
    """Self-attention, then linear2(f(linear1(x))) at each position, each with a residual connection and a layer norm.

    Args:
        d_model: size of a position.
        nhead: heads of the attention.
        dim_feedforward: size of the hidden layer.
        dropout: of the attention's weights, the hidden layer and both results, each a child module.
        activation: "relu", "gelu", "silu", or a function.
        layer_norm_eps: of the norms.
        batch_first: whether inputs are (n, positions, d_model), else (positions, n, d_model).
        norm_first: PyTorch's word for norm="pre".
        bias: whether the linear maps and norms have one.
        device, dtype: of the parameters; float32 by default.
        norm: where the norm n stands beside a part f: "pre" x + f(n(x)), "post" n(x + f(x)), "res-post" x + n(f(x)),
            "peri" x + n'(f(n(x))), whose outer norms are `norm1_out` and `norm2_out`; "post" unless given.
        qk_norm: of queries and keys, see `MultiHeadAttention`.

    Source: Vaswani et al., "Attention is all you need", NeurIPS 2017 (post); Xiong et al., "On layer normalization in
    the transformer architecture", ICML 2020 (pre); Liu et al., "Swin transformer V2", CVPR 2022 (res-post); Kim et al.,
    "Peri-LN", arXiv 2502.02732, 2025 (peri).

    Raises:
        ArgumentError: an unknown activation or norm, or norm_first with another norm than "pre".

    Example:
        >>> import minigrad as mg
        >>> layer = TransformerEncoderLayer(8, 2, 16, batch_first=True, norm="pre")
        >>> layer(mg.ones((3, 5, 8), dtype="float32"), causal=True).shape
        (3, 5, 8)
    """

    samples = (
        mg.Sample((3, 1, 1, 0.0, "gelu"), {"norm": "peri", "bias": False}, inputs=((2, 1, 3),), batch=None),
        mg.Sample((3, 1, 1, 0.5, mg.tanh), {"norm": "res-post", "bias": False}, inputs=((2, 3),), batch=None),
    )

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Callable[[mg.Tensor], mg.Tensor] = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: str | None = None,
        dtype: Any = None,
        *,
        norm: str | None = None,
        qk_norm: str | None = None,
    ) -> None:
        kind = "TransformerEncoderLayer"
        if not (callable(activation) or (isinstance(activation, str) and activation in ACTIVATIONS)):
            raise ArgumentError(f"{kind}: activation={activation!r} must be {', '.join(ACTIVATIONS)}, or a function")
        if norm is not None and norm not in PLACES:
            raise ArgumentError(f"{kind}: norm={norm!r} must be one of {', '.join(PLACES)}")
        if mg.arguments.flag(norm_first, "norm_first", kind) and norm not in (None, "pre"):
            raise ArgumentError(f"{kind}: norm_first=True is norm='pre', and norm={norm!r} is given; leave one out")
        self.norm = norm or ("pre" if norm_first else "post")
        self.activation = ACTIVATIONS[activation] if isinstance(activation, str) else activation
        options = {"device": device, "dtype": dtype}
        self.self_attn = MultiHeadAttention(
            d_model, nhead, dropout, bias=bias, batch_first=batch_first, qk_norm=qk_norm, **options
        )
        self.linear1 = Linear(d_model, dim_feedforward, bias=bias, **options)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias=bias, **options)
        many = 4 if self.norm == "peri" else 2
        norms = [LayerNorm(d_model, layer_norm_eps, bias=bias, **options) for _ in range(many)]
        self.norm1, self.norm2 = norms[:2]
        self.dropout1, self.dropout2 = Dropout(dropout), Dropout(dropout)
        self.norm1_out: LayerNorm | None = None
        self.norm2_out: LayerNorm | None = None
        if self.norm == "peri":
            self.norm1_out, self.norm2_out = norms[2:]

    def forward(
        self,
        src: mg.Tensor,
        *,
        keep_mask: mg.Tensor | None = None,
        keep_keys: mg.Tensor | None = None,
        score_bias: mg.Tensor | None = None,
        causal: bool = False,
    ) -> mg.Tensor:
        """Positions to positions of the same shape; the masks are those of `MultiHeadAttention`."""

        def attention(x: mg.Tensor) -> mg.Tensor:
            masks = {"keep_mask": keep_mask, "keep_keys": keep_keys, "score_bias": score_bias, "causal": causal}
            return self.dropout1(self.self_attn(x, **masks))  # type: ignore[no-any-return]

        def network(x: mg.Tensor) -> mg.Tensor:
            return self.dropout2(self.linear2(self.dropout(self.activation(self.linear1(x)))))  # type: ignore[no-any-return]

        x = self._part(src, attention, self.norm1, self.norm1_out)
        return self._part(x, network, self.norm2, self.norm2_out)

    def _part(
        self, x: mg.Tensor, f: Callable[[mg.Tensor], mg.Tensor], n: LayerNorm, outer: LayerNorm | None
    ) -> mg.Tensor:
        if self.norm == "post":
            return n(x + f(x))  # type: ignore[no-any-return]
        if self.norm == "res-post":
            return x + n(f(x))  # type: ignore[no-any-return]
        y = f(n(x))
        return x + (y if outer is None else outer(y))
