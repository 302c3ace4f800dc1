"""Attention: what masks keep, what a query that sees nothing gets, norms of queries and keys, and where norms stand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad_layers import Dropout, MultiHeadAttention, TransformerEncoderLayer


def attention(rng: np.random.Generator, *args: Any, **options: Any) -> MultiHeadAttention:
    layer = MultiHeadAttention(*args, batch_first=True, dtype="float64", **options)
    for p in layer.parameters():
        p.data = rng.standard_normal(p.shape)
    return layer


def softmax(a: np.ndarray) -> np.ndarray:
    e = np.exp(a - a.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def by_hand(layer: MultiHeadAttention, x: np.ndarray, keep: np.ndarray, norm: Callable[..., Any] | None = None) -> Any:
    """Self-attention head by head; `keep` broadcasts to (n, heads, queries, keys)."""
    s, (n, length, size) = layer.state_dict(), x.shape
    heads, d = layer.num_heads, layer.head_dim
    q, k, v = np.split(x @ s["in_proj_weight"].T + s["in_proj_bias"], 3, -1)
    keep = np.broadcast_to(keep, (n, heads, length, length))
    out = np.zeros((n, length, size))
    for b in range(n):
        for h in range(heads):
            part = slice(h * d, (h + 1) * d)
            qh, kh = q[b, :, part], k[b, :, part]
            scale = 1 / np.sqrt(d)
            if norm is not None:
                qh, kh = norm(qh, "q_norm", s), norm(kh, "k_norm", s)
                scale = s["scale"][h] if "scale" in s else scale
            for i in range(length):
                seen = keep[b, h, i]
                if seen.any():
                    out[b, i, part] = softmax(scale * (kh[seen] @ qh[i])) @ v[b, seen, part]
    return out @ s["out_proj.weight"].T + s["out_proj.bias"]


def test_masks_keep_what_they_say(rng: np.random.Generator) -> None:
    layer, x = attention(rng, 6, 2), rng.standard_normal((3, 5, 6))
    keep = rng.uniform(size=(3, 2, 5, 5)) > 0.4
    keys = rng.uniform(size=(3, 5)) > 0.3
    for given, whole in (
        ({}, np.ones((5, 5), bool)),
        ({"keep_mask": keep[0, 0]}, keep[0, 0]),
        ({"keep_mask": keep[:, 0]}, keep[:, :1]),
        ({"keep_mask": keep}, keep),
        ({"keep_keys": keys}, keys[:, None, None]),
        ({"causal": True}, np.tri(5, dtype=bool)),
        ({"causal": True, "keep_mask": keep, "keep_keys": keys}, keep & keys[:, None, None] & np.tri(5, dtype=bool)),
    ):
        said: Any = {name: v if isinstance(v, bool) else mg.tensor(v) for name, v in given.items()}
        y = layer(mg.tensor(x), **said).numpy()
        np.testing.assert_allclose(y, by_hand(layer, x, whole), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_a_query_that_sees_nothing_gets_0_and_finite_gradients(dtype: str, rng: np.random.Generator) -> None:
    layer = MultiHeadAttention(4, 2, batch_first=True, dtype=dtype)
    x = mg.tensor(rng.standard_normal((2, 3, 4)), dtype=dtype, requires_grad=True)
    nothing = mg.tensor([[True, False, False], [False, False, False], [True, True, True]])
    everywhere = mg.tensor(np.where(nothing.numpy(), 0.0, -np.inf), dtype=dtype)
    for said in ({"keep_mask": nothing}, {"score_bias": everywhere}):
        y, weights = layer(x, need_weights=True, average_attn_weights=False, **said)
        assert (weights.numpy()[:, :, 1] == 0).all()
        assert (weights.numpy()[:, :, 0, 1:] == 0).all()
        np.testing.assert_array_equal(y.numpy()[:, 1], np.zeros((2, 4)))  # the projection's bias starts at 0
        grads = mg.gradients(mg.sum(y * y), [x, *layer.parameters()])
        assert all(np.isfinite(g.numpy()).all() for g in grads)


def test_gradients_through_a_fully_masked_row_are_right_to_order_3(rng: np.random.Generator) -> None:
    layer = attention(rng, 2, 1)
    mask = mg.tensor([[False, False], [True, False]])
    x = mg.tensor(rng.standard_normal((1, 2, 2)))
    mg.check.gradients(lambda x: layer(x, keep_mask=mask), x, order=3, rtol=1e-5)


def test_one_input_is_query_key_and_value(rng: np.random.Generator) -> None:
    layer, x, other = attention(rng, 4, 2), *(mg.tensor(a) for a in rng.standard_normal((2, 2, 3, 4)))
    np.testing.assert_allclose(layer(x).numpy(), layer(x, x + 0, x + 0).numpy(), rtol=1e-12)
    np.testing.assert_array_equal(layer(x, other).numpy(), layer(x, other, other).numpy())


def rms(a: np.ndarray, name: str, s: dict[str, Any]) -> np.ndarray:
    return a / np.sqrt((a * a).mean(-1, keepdims=True) + 1e-6) * s[f"{name}.weight"]


def layer_norm(a: np.ndarray, name: str, s: dict[str, Any]) -> np.ndarray:
    centred = a - a.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-6) * s[f"{name}.weight"] + s[f"{name}.bias"]


def l2(a: np.ndarray, name: str, s: dict[str, Any]) -> np.ndarray:
    return a / np.linalg.norm(a, axis=-1, keepdims=True)


@pytest.mark.parametrize(("kind", "norm"), [("rms", rms), ("layer", layer_norm), ("l2", l2)])
def test_norms_of_queries_and_keys(kind: str, norm: Any, rng: np.random.Generator) -> None:
    layer, x = attention(rng, 6, 2, qk_norm=kind), rng.standard_normal((2, 4, 6))
    y = layer(mg.tensor(x)).numpy()
    np.testing.assert_allclose(y, by_hand(layer, x, np.ones((4, 4), bool), norm), rtol=1e-10, atol=1e-12)
    whole = attention(rng, 6, 2, qk_norm=kind, qk_norm_axis="all")
    assert {p.shape for n, p in whole.named_parameters() if "_norm" in n} == ({(6,)} if kind != "l2" else set())
    assert {p.shape for n, p in layer.named_parameters() if "_norm" in n} == ({(3,)} if kind != "l2" else set())
    assert np.abs(whole(mg.tensor(x)).numpy() - y).max() > 1e-3


def test_dropout_of_the_weights_is_a_child_module(rng: np.random.Generator) -> None:
    layer, x = attention(rng, 4, 2, dropout=0.5), mg.tensor(rng.standard_normal((2, 3, 4)))
    assert [name for name, m in layer.named_modules() if isinstance(m, Dropout)] == ["dropout"]
    _, weights = layer(x, need_weights=True, average_attn_weights=False)
    assert (weights.numpy() == 0).any()
    _, weights = layer.eval()(x, need_weights=True)
    np.testing.assert_allclose(weights.numpy().sum(-1), 1.0, rtol=1e-12)


@pytest.mark.parametrize("place", ["pre", "post", "res-post", "peri"])
def test_where_the_norm_stands(place: str, rng: np.random.Generator) -> None:
    layer = TransformerEncoderLayer(4, 2, 3, 0.0, mg.tanh, batch_first=True, norm=place, dtype="float64")
    for p in layer.parameters():
        p.data = rng.standard_normal(p.shape)
    x = mg.tensor(rng.standard_normal((2, 3, 4)))
    f, g = layer.self_attn, lambda x: layer.linear2(mg.tanh(layer.linear1(x)))
    n, m, n_out, m_out = layer.norm1, layer.norm2, layer.norm1_out, layer.norm2_out
    if place == "pre":
        y = x + f(n(x))
        y = y + g(m(y))
    elif place == "post":
        y = n(x + f(x))
        y = m(y + g(y))
    elif place == "res-post":
        y = x + n(f(x))
        y = y + m(g(y))
    else:
        y = x + n_out(f(n(x)))
        y = y + m_out(g(m(y)))
    np.testing.assert_allclose(layer(x).numpy(), y.numpy(), rtol=1e-12)


def test_masks_go_through_the_encoder_layer(rng: np.random.Generator) -> None:
    layer = TransformerEncoderLayer(4, 2, 3, 0.0, batch_first=True, dtype="float64")
    x = rng.standard_normal((1, 4, 4))
    changed = x.copy()
    changed[:, 2:] += 1
    for said in ({"causal": True}, {"keep_mask": mg.tensor(np.tri(4, dtype=bool))}):
        a, b = (layer(mg.tensor(v), **said).numpy() for v in (x, changed))
        np.testing.assert_array_equal(a[:, :2], b[:, :2])
        assert np.abs(a[:, 2:] - b[:, 2:]).min() > 0


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: MultiHeadAttention(5, 2), "num_heads=2 must divide embed_dim=5"),
        (lambda: MultiHeadAttention(4, 2, qk_norm="batch"), "qk_norm='batch'"),
        (lambda: MultiHeadAttention(4, 2, qk_norm="rms", qk_norm_axis="heads"), "qk_norm_axis='heads'"),
        (lambda: MultiHeadAttention(4, 2)(mg.ones((3, 1, 4)), attn_mask=mg.ones((3, 3))), "attn_mask.*keep_mask"),
        (lambda: MultiHeadAttention(4, 2)(mg.ones((3, 1, 4)), key_padding_mask=1), "key_padding_mask.*keep_keys"),
        (lambda: MultiHeadAttention(4, 2)(mg.ones((3, 1, 4)), keep_mask=mg.ones((3, 3))), "float64 must be bool"),
        (lambda: MultiHeadAttention(4, 2)(mg.ones((3, 1, 4)), score_bias=mg.ones((3, 3)) > 0), "called keep_mask"),
        (lambda: MultiHeadAttention(4, 2)(mg.ones((3, 1, 4)), keep_mask=mg.ones((2, 3)) > 0), r"\(2, 3\) must be"),
        (lambda: MultiHeadAttention(4, 2)(mg.ones((3, 1, 4)), keep_keys=mg.ones((1, 2)) > 0), r"must be \(n, 3\)"),
        (lambda: MultiHeadAttention(4, 2)(mg.ones((3, 1, 5))), r"query has shape \(3, 1, 5\).*size 4"),
        (lambda: MultiHeadAttention(4, 2)(mg.ones((3, 2, 4)), mg.ones((3, 1, 4))), "one batch"),
        (lambda: TransformerEncoderLayer(4, 2, activation="elu"), "activation='elu'"),
        (lambda: TransformerEncoderLayer(4, 2, norm="middle"), "norm='middle'"),
        (lambda: TransformerEncoderLayer(4, 2, norm_first=True, norm="post"), "norm_first=True"),
    ],
)
def test_errors_name_the_argument(call: Callable[[], Any], says: str) -> None:
    with pytest.raises(mg.errors.MinigradError, match=says):
        call()
