"""The layers of minigrad, one family a file, each built from primitives.

>>> from minigrad_layers import BatchNorm1d, Dropout, Linear, ReLU, Sequential
>>> Sequential(Linear(11, 64), BatchNorm1d(64), ReLU(), Dropout(0.3), Linear(64, 1))
Sequential(
  (0): Linear(in_features=11, out_features=64, bias=True)
  (1): BatchNorm1d(64, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)
  (2): ReLU()
  (3): Dropout(p=0.3, inplace=False)
  (4): Linear(in_features=64, out_features=1, bias=True)
)
"""

from typing import TYPE_CHECKING

import minigrad as mg
from minigrad_layers.activation import ReLU
from minigrad_layers.container import Flatten, Sequential
from minigrad_layers.convolution import Conv2d
from minigrad_layers.dense import Linear
from minigrad_layers.dropout import Dropout
from minigrad_layers.normalization import BatchNorm1d, BatchNorm2d, GroupNorm, LayerNorm
from minigrad_layers.pooling import MaxPool2d

__all__ = [
    "BatchNorm1d",
    "BatchNorm2d",
    "Conv2d",
    "Dropout",
    "Flatten",
    "GroupNorm",
    "LayerNorm",
    "Linear",
    "MaxPool2d",
    "ReLU",
    "Sequential",
]

if not TYPE_CHECKING:  # names that other libraries use are answered with those that are here
    __getattr__ = mg.answers.module_getattr(__name__)
