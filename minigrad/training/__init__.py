"""Training: `fit`, what it remembers (`History`), and what can watch or steer it (`Callback` and its kin)."""

from minigrad.training.callbacks import Callback, Checkpoint, EarlyStopping
from minigrad.training.history import History, HistoryFile
from minigrad.training.interrupt import Interrupted
from minigrad.training.loop import fit
from minigrad.training.metrics import accuracy
from minigrad.training.progress import Progress
from minigrad.training.run import Run

__all__ = [
    "Callback", "Checkpoint", "EarlyStopping", "History", "HistoryFile", "Interrupted", "Progress", "Run", "accuracy",
    "fit",
]  # fmt: skip
