"""Training: `fit`, what it remembers (`History`), and what can watch or steer it (`Callback` and its kin)."""

from typing import TYPE_CHECKING

from minigrad.answers import module_getattr
from minigrad.training.callbacks import Callback, Checkpoint, EarlyStopping, HistoryFile
from minigrad.training.estimates import mc_dropout, update_bn
from minigrad.training.history import History
from minigrad.training.interrupt import Interrupted
from minigrad.training.loop import fit
from minigrad.training.metrics import accuracy, binary_accuracy
from minigrad.training.progress import Progress
from minigrad.training.run import Run

__all__ = [
    "Callback", "Checkpoint", "EarlyStopping", "History", "HistoryFile", "Interrupted", "Progress", "Run", "accuracy",
    "binary_accuracy", "fit", "mc_dropout", "update_bn",
]  # fmt: skip

if not TYPE_CHECKING:
    __getattr__ = module_getattr(__name__)
