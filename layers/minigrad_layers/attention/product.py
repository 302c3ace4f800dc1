"""Scaled dot-product attention under masks that say what is kept, and the norms for queries and keys."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import minigrad as mg
from minigrad.errors import ArgumentError, DtypeError
from minigrad_layers.normalization import L2Norm, LayerNorm, RMSNorm


def attend(
    q: mg.Tensor,
    k: mg.Tensor,
    v: mg.Tensor,
    keep: mg.Tensor | None,
    bias: mg.Tensor | None,
    drop: Callable[[mg.Tensor], mg.Tensor] | None,
    scale: mg.Tensor | float,
) -> tuple[mg.Tensor, mg.Tensor]:
    """softmax(scale q kᵀ + bias) v over the last two axes, and the weights.

    Where `keep` is False, or `bias` -inf, a query does not look at a key; a query that looks at none gets 0.

    Source: Vaswani et al., "Attention is all you need", NeurIPS 2017.
    """
    scores = mg.matmul(q * scale, mg.matrix_transpose(k))
    if bias is not None:
        there = mg.greater(bias, -math.inf)
        keep = there if keep is None else mg.logical_and(keep, there)
        scores = scores + bias
    if keep is None:
        weights = mg.softmax(scores, axis=-1)
    else:
        lowest = float(np.finfo(scores.dtype).min)
        keep = mg.broadcast_to(keep, scores.shape)
        weights = mg.keep(mg.softmax(mg.where(keep, scores, lowest), axis=-1), keep)
    weights = weights if drop is None else drop(weights)
    return mg.matmul(weights, v), weights


def kept(
    keep_mask: mg.Tensor | None, keep_keys: mg.Tensor | None, causal: bool, x: mg.Tensor, queries: int, keys: int
) -> mg.Tensor | None:
    """What all masks together keep, to be broadcast to (n, heads, queries, keys); None for everything.

    Raises:
        DtypeError: a mask that is not boolean.
        ShapeError: one that does not fit.
    """
    found = []
    if keep_mask is not None:
        _boolean(keep_mask, "keep_mask", "an additive mask is called score_bias")
        _fits(keep_mask, "keep_mask", queries, keys)
        found.append(keep_mask if keep_mask.ndim != 3 else mg.expand_dims(keep_mask, 1))
    if keep_keys is not None:
        _boolean(keep_keys, "keep_keys", "True is a key that is there")
        if keep_keys.ndim not in (1, 2) or keep_keys.shape[-1] != keys:
            raise mg.errors.ShapeError(f"keep_keys: shape {keep_keys.shape} must be (n, {keys}) or ({keys},)")
        found.append(mg.reshape(keep_keys, (*keep_keys.shape[:-1], 1, 1, keys)))
    if causal:
        found.append(mg.expand_dims(mg.arange(queries, like=x), 1) >= mg.arange(keys, like=x))
    whole = None
    for mask in found:
        whole = mask if whole is None else mg.logical_and(whole, mask)
    return whole


def _fits(mask: mg.Tensor, name: str, queries: int, keys: int) -> None:
    if mask.ndim not in (2, 3, 4) or mask.shape[-2] not in (1, queries) or mask.shape[-1] not in (1, keys):
        raise mg.errors.ShapeError(
            f"{name}: shape {mask.shape} must be ({queries}, {keys}), (n, {queries}, {keys}) or "
            f"(n, heads, {queries}, {keys})"
        )


def _boolean(mask: mg.Tensor, name: str, hint: str) -> None:
    if mask.dtype != np.bool_:
        raise DtypeError(f"{name}: dtype {mask.dtype} must be bool, True where a key is looked at; {hint}")


def biased(score_bias: mg.Tensor | None, queries: int, keys: int) -> mg.Tensor | None:
    """What is added to the scores, to be broadcast to (n, heads, queries, keys)."""
    if score_bias is None:
        return None
    if score_bias.dtype.kind != "f":
        raise DtypeError(f"score_bias: dtype {score_bias.dtype} must be floating; a mask is called keep_mask")
    _fits(score_bias, "score_bias", queries, keys)
    return score_bias if score_bias.ndim != 3 else mg.expand_dims(score_bias, 1)


# ---- norms of queries and keys, along the last axis: of size, dtype and device


QK_NORMS: dict[str, Callable[[int, dict[str, Any]], mg.Module]] = {
    "rms": lambda size, options: RMSNorm(size, eps=1e-6, **options),
    "layer": lambda size, options: LayerNorm(size, eps=1e-6, **options),
    "l2": lambda size, options: L2Norm(),  # the scores' own scale is learnt
}


def qk_norm_of(kind: str, size: int, options: dict[str, Any]) -> mg.Module:
    """The norm called `kind` over `size` features.

    Raises:
        ArgumentError: no norm has this name.
    """
    if kind not in QK_NORMS:
        raise ArgumentError(f"MultiHeadAttention: qk_norm={kind!r} must be None or one of {', '.join(QK_NORMS)}")
    return QK_NORMS[kind](size, options)
