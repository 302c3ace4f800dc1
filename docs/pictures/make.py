"""Draws the pictures of the README beside this file: python docs/pictures/make.py

Each SVG ends in a digest of the DOT text that it was laid out from; tests/test_docs.py compares it with what the code
draws now, so a picture cannot show what is no longer so.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import runpy
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import minigrad as mg
from minigrad_layers import BatchNorm1d, Linear, ReLU, Sequential

TUTORIAL = Path(__file__).parents[2] / "tutorials/01_batch_norm_backward.py"


def network() -> Any:
    """Forward and backward through a small network, a box for each layer."""
    mg.random.seed(3)
    rng = np.random.default_rng(0)
    model = Sequential(
        Linear(3, 2, bias=False, dtype="float64"), BatchNorm1d(2, dtype="float64"), ReLU(),
        Linear(2, 1, dtype="float64"),
    )  # fmt: skip
    x, target = mg.tensor(rng.normal(size=(4, 3)), name="x"), mg.tensor(rng.normal(size=(4, 1)), name="target")
    with mg.trace(model) as graph:
        mg.losses.mse(model(x), target).named("loss").backward()
    return graph.dot(direction="LR", passes="both", show=("shape",))


def batch_norm() -> Any:
    """The picture of the first tutorial: batch norm opened into primitives, with the rules that ran."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()):
        return runpy.run_path(str(TUTORIAL))["graph"].dot(passes="both", depth=2)


PICTURES = {"network.svg": network, "batch_norm.svg": batch_norm}


def digest(source: str) -> str:
    """The line that ties a picture to its DOT text."""
    return f"<!-- DOT {hashlib.sha256(source.encode()).hexdigest()} -->\n"


if __name__ == "__main__":
    for name, draw in PICTURES.items():
        source = draw().source
        picture = mg.graph.render(source, "svg").decode()
        (Path(__file__).parent / name).write_text(picture + digest(source), encoding="utf-8")
