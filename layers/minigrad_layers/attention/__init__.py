"""Attention: every position looks at all others, and the transformer's layer that is made of it."""

from minigrad_layers.attention.multihead import MultiHeadAttention
from minigrad_layers.attention.transformer import TransformerEncoderLayer

__all__ = ["MultiHeadAttention", "TransformerEncoderLayer"]
