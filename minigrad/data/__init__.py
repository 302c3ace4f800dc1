"""Data: batches in an order that a seed decides, splits that no seed decides, and augmentation of pictures."""

from typing import TYPE_CHECKING

from minigrad.answers import module_getattr
from minigrad.data.loader import DataLoader
from minigrad.data.sets import load_digits, split
from minigrad.data.transforms import shift

__all__ = ["DataLoader", "load_digits", "shift", "split"]

if not TYPE_CHECKING:
    __getattr__ = module_getattr(__name__)
