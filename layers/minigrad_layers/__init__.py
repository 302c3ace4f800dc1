"""The layers of minigrad, a family a file or folder, each built from primitives.

>>> from minigrad_layers import BatchNorm1d, Dropout, Linear, ReLU, Sequential
>>> Sequential(Linear(11, 64), BatchNorm1d(64), ReLU(), Dropout(0.3), Linear(64, 1))
Sequential(
  (0): Linear(in_features=11, out_features=64, bias=True)
  (1): BatchNorm1d(64, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)
  (2): ReLU()
  (3): Dropout(p=0.3, inplace=False)
  (4): Linear(in_features=64, out_features=1, bias=True)
)

Every family lists its layers in its own `__all__`, and nothing else in it; here the families are put together.
"""

from typing import TYPE_CHECKING

import minigrad as mg
from minigrad_layers import (
    activation,
    attention,
    container,
    convolution,
    dense,
    dropout,
    embedding,
    normalization,
    pooling,
    recurrent,
    reshaping,
    upsampling,
)
from minigrad_layers.activation import *
from minigrad_layers.attention import *
from minigrad_layers.container import *
from minigrad_layers.convolution import *
from minigrad_layers.dense import *
from minigrad_layers.dropout import *
from minigrad_layers.embedding import *
from minigrad_layers.folding import fold_batch_norm as fold_batch_norm
from minigrad_layers.normalization import *
from minigrad_layers.pooling import *
from minigrad_layers.recurrent import *
from minigrad_layers.reshaping import *
from minigrad_layers.upsampling import *

__all__: list[str] = []
__all__ += activation.__all__
__all__ += attention.__all__
__all__ += container.__all__
__all__ += convolution.__all__
__all__ += dense.__all__
__all__ += dropout.__all__
__all__ += embedding.__all__
__all__ += normalization.__all__
__all__ += pooling.__all__
__all__ += recurrent.__all__
__all__ += reshaping.__all__
__all__ += upsampling.__all__

if not TYPE_CHECKING:  # names that other libraries use are answered with those that are here
    __getattr__ = mg.answers.module_getattr(__name__)
