"""Dropout: noise that makes a network rely on no single unit. A file for what is dropped, or moves the rate."""

from minigrad_layers.dropout.elementwise import AlphaDropout, Dropout, GaussianDropout, GaussianNoise
from minigrad_layers.dropout.learned import ConcreteDropout
from minigrad_layers.dropout.recurrent import VariationalDropout, Zoneout
from minigrad_layers.dropout.schedule import ScheduledDropout
from minigrad_layers.dropout.structured import (
    DropBlock2d,
    Dropout1d,
    Dropout2d,
    Dropout3d,
    DropPath,
    FeatureAlphaDropout,
    PatchDropout,
)
from minigrad_layers.dropout.weights import DropConnect, EmbeddingDropout

__all__ = [
    "AlphaDropout", "ConcreteDropout", "DropBlock2d", "DropConnect", "DropPath", "Dropout", "Dropout1d", "Dropout2d",
    "Dropout3d", "EmbeddingDropout", "FeatureAlphaDropout", "GaussianDropout", "GaussianNoise", "PatchDropout",
    "ScheduledDropout", "VariationalDropout", "Zoneout",
]  # fmt: skip
