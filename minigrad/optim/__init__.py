"""Optimisers: each is one function from a parameter, its gradient and its state to their successors."""

from typing import TYPE_CHECKING

from minigrad.answers import module_getattr
from minigrad.optim.adam import Adam, AdamW, adam
from minigrad.optim.base import Optimizer
from minigrad.optim.sgd import SGD, sgd

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "adam", "sgd"]

if not TYPE_CHECKING:
    __getattr__ = module_getattr(__name__)
