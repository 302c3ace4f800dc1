"""Data sets that need no download, and the split into training and validation that is the same everywhere."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.errors import ArgumentError, BackendUnavailable, ShapeError

__all__ = ["load_digits", "split"]

Pair = tuple["np.ndarray[Any, np.dtype[Any]]", "np.ndarray[Any, np.dtype[Any]]"]


def load_digits() -> Pair:
    """The 1,797 handwritten digits that scikit-learn ships: pictures (1797, 1, 8, 8) float32, labels (1797,) int64.

    Source: E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository (1998),
    its test part. The original has shades 0 … 16, here 0 … 1.

    Raises:
        BackendUnavailable: scikit-learn is not installed.

    Example:
        >>> import minigrad as mg
        >>> pictures, labels = mg.data.load_digits()
        >>> pictures.shape, labels[:5].tolist()
        ((1797, 1, 8, 8), [0, 1, 2, 3, 4])
    """
    try:
        from sklearn.datasets import load_digits as fetch
    except ImportError as problem:
        raise BackendUnavailable(
            "the digits come with scikit-learn, which is not installed; pip install scikit-learn (the extra `train` "
            "brings it: in a checkout, pip install -e '.[draw,train]' -e layers)"
        ) from problem
    found = fetch()
    return (found.images[:, None] / 16).astype(np.float32), found.target.astype(np.int64)


def split(X: Any, y: Any, *, every: int = 5) -> tuple[Pair, Pair]:
    """Training and validation part, the same everywhere: of each class, each `every`-th sample is for validation.

    Args:
        X: samples, the first axis.
        y: one label a sample, shape (n,), of any dtype with an order.
        every: 5 keeps a fifth of each class for validation, from its first sample on.

    Returns:
        `((X_train, y_train), (X_valid, y_valid))`, each in the original order.

    Raises:
        ShapeError: `y` does not have one label a sample.
        ArgumentError: `every` under 2.

    Example:
        >>> import minigrad as mg, numpy as np
        >>> train, valid = mg.data.split(np.arange(6), np.array([0, 0, 0, 1, 1, 1]), every=3)
        >>> valid[0].tolist()
        [0, 3]
    """
    X, y = np.asarray(X), np.asarray(y)
    if y.ndim != 1 or len(X) != len(y):
        raise ShapeError(f"split: X has shape {X.shape} and y {y.shape}; y needs one label for each sample of X")
    if every < 2:
        raise ArgumentError(f"split: every={every} must be at least 2, or nothing is left to train on")
    held = np.zeros(len(y), dtype=bool)
    for label in np.unique(y):
        held[np.flatnonzero(y == label)[::every]] = True
    return (X[~held], y[~held]), (X[held], y[held])
