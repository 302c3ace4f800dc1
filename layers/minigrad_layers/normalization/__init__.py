"""Normalization layers, a family a file: by mean and variance, by a length, by responses around, by none of these."""

from minigrad_layers.normalization import closed_forms
from minigrad_layers.normalization.adaptive import AdaLayerNorm, AdaptiveInstanceNorm, ConditionalBatchNorm
from minigrad_layers.normalization.batch import BatchNorm1d, BatchNorm2d, BatchNorm3d, FrozenBatchNorm2d
from minigrad_layers.normalization.batches import BatchRenorm, GhostBatchNorm
from minigrad_layers.normalization.group import GroupNorm
from minigrad_layers.normalization.instance import InstanceNorm1d, InstanceNorm2d, InstanceNorm3d
from minigrad_layers.normalization.layer import LayerNorm
from minigrad_layers.normalization.mixed import EvoNormB0, EvoNormS0, SwitchableNorm
from minigrad_layers.normalization.pointwise import Derf, DynamicTanh, LayerScale
from minigrad_layers.normalization.response import TLU, FilterResponseNorm, GlobalResponseNorm, LocalResponseNorm
from minigrad_layers.normalization.series import RevIN
from minigrad_layers.normalization.vector import CosineNorm, L2Norm, PixelNorm, RMSNorm, ScaleNorm
from minigrad_layers.normalization.weights import Orthogonal, SpectralNorm, WeightNorm, WeightStandardization
from minigrad_layers.normalization.whitening import DecorrelatedBatchNorm, IterNorm

__all__ = [
    "TLU", "AdaLayerNorm", "AdaptiveInstanceNorm", "BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "BatchRenorm",
    "ConditionalBatchNorm", "CosineNorm", "DecorrelatedBatchNorm", "Derf", "DynamicTanh", "EvoNormB0", "EvoNormS0",
    "FilterResponseNorm", "FrozenBatchNorm2d", "GhostBatchNorm", "GlobalResponseNorm", "GroupNorm",
    "InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d", "IterNorm", "L2Norm", "LayerNorm", "LayerScale",
    "LocalResponseNorm", "Orthogonal", "PixelNorm", "RMSNorm", "RevIN", "ScaleNorm", "SpectralNorm",
    "SwitchableNorm", "WeightNorm", "WeightStandardization",
]  # fmt: skip
