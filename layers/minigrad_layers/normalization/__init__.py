"""Normalization layers, a family a file, all on the composition of `normalize`."""

from minigrad_layers.normalization import closed_forms
from minigrad_layers.normalization.batch import BatchNorm1d, BatchNorm2d
from minigrad_layers.normalization.group import GroupNorm
from minigrad_layers.normalization.layer import LayerNorm

__all__ = ["BatchNorm1d", "BatchNorm2d", "GroupNorm", "LayerNorm"]
