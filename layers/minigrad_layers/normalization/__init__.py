"""Normalization layers, a family a file: by mean and variance, by a length, by responses around, by none of these."""

from minigrad_layers.normalization import closed_forms
from minigrad_layers.normalization.batch import BatchNorm1d, BatchNorm2d
from minigrad_layers.normalization.group import GroupNorm
from minigrad_layers.normalization.layer import LayerNorm
from minigrad_layers.normalization.pointwise import Derf, DynamicTanh, LayerScale
from minigrad_layers.normalization.response import TLU, FilterResponseNorm, GlobalResponseNorm, LocalResponseNorm
from minigrad_layers.normalization.vector import CosineNorm, L2Norm, PixelNorm, RMSNorm, ScaleNorm

__all__ = [
    "TLU", "BatchNorm1d", "BatchNorm2d", "CosineNorm", "Derf", "DynamicTanh", "FilterResponseNorm",
    "GlobalResponseNorm", "GroupNorm", "L2Norm", "LayerNorm", "LayerScale", "LocalResponseNorm", "PixelNorm", "RMSNorm",
    "ScaleNorm",
]  # fmt: skip
