"""Optimisers: each is one function from a parameter, its gradient and its state to their successors."""

from minigrad.optim.adam import Adam, AdamW, adam
from minigrad.optim.base import Optimizer
from minigrad.optim.sgd import SGD, sgd

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "adam", "sgd"]
