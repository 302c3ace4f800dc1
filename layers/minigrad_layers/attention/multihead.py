"""Multi-head attention."""

from __future__ import annotations

import math
from typing import Any

import minigrad as mg
from minigrad.errors import ArgumentError, ShapeError
from minigrad_layers.attention.product import attend, biased, kept, qk_norm_of
from minigrad_layers.dense import Linear
from minigrad_layers.dropout import Dropout
from minigrad_layers.options import refuse


@mg.register_layer
class MultiHeadAttention(mg.Module):
    """Each head compares projected queries with keys and takes the values' mean, weighted by softmax(q kᵀ / √d).

    Args:
        embed_dim: size of queries and results; divisible by `num_heads`, d = embed_dim / num_heads.
        num_heads: how many heads.
        dropout: of the weights, as a child module; the rows that it thins out do not sum to 1.
        bias: whether the projections have one.
        add_bias_kv: whether there is a learnt further key and value.
        add_zero_attn: whether there is a further key and value of zeros.
        kdim, vdim: sizes of keys and values; `embed_dim` unless given.
        batch_first: whether inputs are (n, positions, size), else (positions, n, size).
        device, dtype: of the parameters; float32 by default.
        qk_norm: what queries and keys go through before they are compared: None, "rms", "layer" (both learn a gain), or
            "l2", which makes the scores cosines, times a number a head that is learnt and starts at 10, in place of
            1 / √d.
        qk_norm_axis: "head" normalizes each head by itself, with one gain for all heads; "all" the whole embedding.

    Parameters have PyTorch's names: `in_proj_weight` (3 embed_dim, embed_dim; or `q_proj_weight`, `k_proj_weight`,
    `v_proj_weight` where sizes differ) starts evenly on ±sqrt(6 / (fan_in + fan_out)), `out_proj.weight` on
    ±1 / sqrt(embed_dim), biases at 0, and `bias_k`, `bias_v` normal.

    Source: Vaswani et al., "Attention is all you need", NeurIPS 2017. Norms of queries and keys: Henry, Dachapally,
    Pawar, Chen, "Query-key normalization for transformers", arXiv 2010.04245, 2020; Dehghani et al., "Scaling vision
    transformers to 22 billion parameters", arXiv 2302.05442, 2023.

    Raises:
        ArgumentError: heads that do not divide the embedding, an unknown qk_norm.
        ShapeError: inputs or masks that do not fit.
        DtypeError: a mask that is not boolean.

    Example:
        >>> import minigrad as mg
        >>> attention = MultiHeadAttention(8, 2, batch_first=True)
        >>> x = mg.ones((3, 5, 8), dtype="float32")
        >>> attention(x, causal=True).shape
        (3, 5, 8)
        >>> y, weights = attention(x, need_weights=True)
        >>> weights.shape
        (3, 5, 5)
    """

    samples = (
        mg.Sample((4, 2), inputs=((3, 2, 4),), keywords={"keep_mask": (mg.domains.booleans, (3, 3))}, batch=None),
        mg.Sample(
            (2, 2, 0.5),
            {"batch_first": True, "kdim": 3, "vdim": 1},
            inputs=((2, 2, 2), (2, 3, 3), (2, 3, 1)),
            keywords={"keep_keys": (mg.domains.booleans, (2, 3))},
            batch=None,
        ),
        mg.Sample((2, 1), {"qk_norm": "l2", "add_bias_kv": True}, inputs=((2, 2),), keywords={"score_bias": (2, 2)}),
    )

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: str | None = None,
        dtype: Any = None,
        *,
        qk_norm: str | None = None,
        qk_norm_axis: str = "head",
    ) -> None:
        kind, options = "MultiHeadAttention", {"device": device, "dtype": dtype or "float32"}
        self.embed_dim = mg.arguments.integer(embed_dim, "embed_dim", kind, 1)
        self.num_heads = mg.arguments.integer(num_heads, "num_heads", kind, 1)
        self.kdim = embed_dim if kdim is None else mg.arguments.integer(kdim, "kdim", kind, 1)
        self.vdim = embed_dim if vdim is None else mg.arguments.integer(vdim, "vdim", kind, 1)
        self.batch_first = mg.arguments.flag(batch_first, "batch_first", kind)
        self.add_zero_attn = mg.arguments.flag(add_zero_attn, "add_zero_attn", kind)
        if embed_dim % num_heads:
            raise ArgumentError(f"{kind}: num_heads={num_heads} must divide embed_dim={embed_dim}")
        if qk_norm_axis not in ("head", "all"):
            raise ArgumentError(f'{kind}: qk_norm_axis={qk_norm_axis!r} must be "head" or "all"')
        self.head_dim, self.qk_norm, self.qk_norm_axis = embed_dim // num_heads, qk_norm, qk_norm_axis
        self._learnt(bias, add_bias_kv, options)
        self.dropout = Dropout(dropout) if dropout else None
        self.q_norm = self.k_norm = self.scale = None
        if qk_norm is not None:
            size = embed_dim if qk_norm_axis == "all" else self.head_dim
            self.q_norm, self.k_norm = (qk_norm_of(qk_norm, size, options) for _ in range(2))
        if qk_norm == "l2":
            self.scale = mg.Parameter(mg.init.constant((num_heads,), 10.0, **options))

    def _learnt(self, bias: bool, add_bias_kv: bool, options: dict[str, Any]) -> None:
        size = self.embed_dim
        self.in_proj_weight = self.q_proj_weight = self.k_proj_weight = self.v_proj_weight = None
        if self.kdim == self.vdim == size:
            self.in_proj_weight = mg.Parameter(mg.init.xavier_uniform((3 * size, size), **options))
        else:
            self.q_proj_weight, self.k_proj_weight, self.v_proj_weight = (
                mg.Parameter(mg.init.xavier_uniform((size, n), **options)) for n in (size, self.kdim, self.vdim)
            )
        self.in_proj_bias = mg.Parameter(mg.init.zeros((3 * size,), **options)) if bias else None
        self.bias_k = self.bias_v = None
        if add_bias_kv:
            drawn = (mg.init.normal((1, 1, size), 0.0, 1 / math.sqrt(size), **options) for _ in range(2))
            self.bias_k, self.bias_v = map(mg.Parameter, drawn)
        self.out_proj = Linear(size, size, bias=bias, **options)
        if self.out_proj.bias is not None:
            self.out_proj.bias.data = mg.init.zeros((size,), **options)

    def forward(
        self,
        query: mg.Tensor,
        key: mg.Tensor | None = None,
        value: mg.Tensor | None = None,
        *,
        keep_mask: mg.Tensor | None = None,
        keep_keys: mg.Tensor | None = None,
        score_bias: mg.Tensor | None = None,
        causal: bool = False,
        need_weights: bool = False,
        average_attn_weights: bool = True,
        attn_mask: Any = None,
        key_padding_mask: Any = None,
    ) -> Any:
        """The result in the shape of `query`; with `need_weights` a pair of it and the weights.

        Args:
            query: (positions, n, embed_dim), with `batch_first` (n, positions, embed_dim); or (positions, embed_dim).
            key, value: as `query`, in other sizes if so constructed; the query where they are left out, and the key for
                a missing value.
            keep_mask: booleans, True where a query looks at a key: (queries, keys), (n, queries, keys) or
                (n, heads, queries, keys). A query that looks at no key gets 0.
            keep_keys: booleans (n, keys), True for keys that are there, False for padding.
            score_bias: added to the scores before softmax, of the shapes of `keep_mask`; -inf where nothing is kept.
            causal: whether a query looks only at keys up to its own position.
            need_weights: whether the weights are wanted: their mean over the heads, (n, queries, keys), or with
                `average_attn_weights=False` those of each head, (n, heads, queries, keys).
            attn_mask, key_padding_mask: not taken, for what True means in them differs from place to place.
        """
        if attn_mask is not None:
            refuse(self, "attn_mask", "…", "give keep_mask, True where a query looks (~attn_mask), or score_bias")
        if key_padding_mask is not None:
            refuse(self, "key_padding_mask", "…", "give keep_keys, True for keys that are there (~key_padding_mask)")
        key = query if key is None else key
        value = key if value is None else value
        single = query.ndim == 2
        q, k, v = self._projected(query, key, value)
        n, queries, keys = q.shape[0], q.shape[2], k.shape[2]
        if n != k.shape[0] or k.shape[:3:2] != v.shape[:3:2]:
            raise ShapeError(
                f"MultiHeadAttention: query {query.shape}, key {key.shape} and value {value.shape} must be one "
                "batch, with as many values as keys"
            )
        keep = kept(keep_mask, keep_keys, bool(causal), q, queries, keys)
        bias = biased(score_bias, queries, keys)
        k, v, more = self._further(k, v)
        if more:
            keep = None if keep is None else _widened(keep, keys, more, True)
            bias = None if bias is None else _widened(bias, keys, more, 0.0)
        scale = 1 / math.sqrt(self.head_dim) if self.scale is None else mg.reshape(self.scale, (self.num_heads, 1, 1))
        y, weights = attend(q, k, v, keep, bias, self.dropout, scale)
        y = mg.reshape(mg.swapaxes(y, 1, 2), (n, queries, self.embed_dim))
        y = self.out_proj(y)
        y = mg.squeeze(y, 0) if single else y if self.batch_first else mg.swapaxes(y, 0, 1)
        if not need_weights:
            return y
        weights = mg.mean(weights, axis=1) if average_attn_weights else weights
        return y, mg.squeeze(weights, 0) if single else weights

    def _first(self, x: mg.Tensor, name: str) -> mg.Tensor:
        """(n, positions, size)."""
        size = {"query": self.embed_dim, "key": self.kdim, "value": self.vdim}[name]
        if x.ndim not in (2, 3) or x.shape[-1] != size:
            axes = "(n, positions, size)" if self.batch_first else "(positions, n, size)"
            raise ShapeError(
                f"MultiHeadAttention: {name} has shape {x.shape}, it must be {axes} or (positions, size) of size {size}"
            )
        return mg.expand_dims(x, 0) if x.ndim == 2 else x if self.batch_first else mg.swapaxes(x, 0, 1)

    def _projected(self, query: mg.Tensor, key: mg.Tensor, value: mg.Tensor) -> tuple[mg.Tensor, mg.Tensor, mg.Tensor]:
        """Queries, keys and values of all heads, (n, heads, positions, head_dim)."""
        whole, bias = self.in_proj_weight, self.in_proj_bias
        parts: Any
        if whole is not None and query is key is value:
            y = mg.matmul(self._first(query, "query"), whole.T)
            parts = mg.split(y if bias is None else y + bias, 3, axis=-1)
        else:
            apart = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
            matrices: Any = apart if whole is None else mg.split(whole, 3, axis=0)
            given = self._first(query, "query"), self._first(key, "key"), self._first(value, "value")
            parts = [mg.matmul(x, matrix.T) for x, matrix in zip(given, matrices, strict=True)]
            if bias is not None:
                parts = [y + b for y, b in zip(parts, mg.split(bias, 3, axis=0), strict=True)]
        q, k, v = parts
        return self._heads(q, self.q_norm), self._heads(k, self.k_norm), self._heads(v, None)

    def _heads(self, y: mg.Tensor, norm: mg.Module | None) -> mg.Tensor:
        """(n, positions, embed_dim) to (n, heads, positions, head_dim), and through its norm on the way."""
        y = y if norm is None or self.qk_norm_axis == "head" else norm(y)
        y = mg.swapaxes(mg.reshape(y, (*y.shape[:2], self.num_heads, self.head_dim)), 1, 2)
        return y if norm is None or self.qk_norm_axis == "all" else norm(y)

    def _further(self, k: mg.Tensor, v: mg.Tensor) -> tuple[mg.Tensor, mg.Tensor, int]:
        """Keys and values with those that are added to them, and how many these are."""
        more = 0
        if self.bias_k is not None and self.bias_v is not None:
            heads = (1, self.num_heads, 1, self.head_dim)
            one = (*k.shape[:2], 1, self.head_dim)
            k, v = (
                mg.concat([x, mg.broadcast_to(mg.reshape(b, heads), one)], axis=2)
                for x, b in ((k, self.bias_k), (v, self.bias_v))
            )
            more += 1
        if self.add_zero_attn:
            k, v = (mg.concat([x, mg.zeros_like(x[:, :, :1])], axis=2) for x in (k, v))
            more += 1
        return k, v, more

    def extra_repr(self) -> str:
        """What does not show in the children; PyTorch shows nothing here."""
        text = f"{self.embed_dim}, {self.num_heads}"
        return text if self.qk_norm is None else f"{text}, qk_norm={self.qk_norm!r}"


def _widened(mask: mg.Tensor, keys: int, more: int, value: bool | float) -> mg.Tensor:
    """A mask or bias for further keys, which every query looks at."""
    whole = mg.broadcast_to(mask, (*mask.shape[:-1], keys))
    return mg.concat([whole, mg.full_like(whole[..., :more], value)], axis=-1)
