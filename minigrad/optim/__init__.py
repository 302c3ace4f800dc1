"""Optimisers: each is one function from a parameter, its gradient and its state to their successors."""

from typing import TYPE_CHECKING

from minigrad.answers import module_getattr
from minigrad.optim.adaptive import Adadelta, Adagrad, RMSprop
from minigrad.optim.base import Optimizer
from minigrad.optim.declared import when
from minigrad.optim.descent import SGD
from minigrad.optim.moments import Adam, AdamW
from minigrad.optim.options import option
from minigrad.optim.variants import Adamax, Lion, NAdam, RAdam

__all__ = [
    "SGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "Lion", "NAdam", "Optimizer", "RAdam", "RMSprop", "option",
    "when",
]  # fmt: skip

if not TYPE_CHECKING:
    __getattr__ = module_getattr(__name__)
