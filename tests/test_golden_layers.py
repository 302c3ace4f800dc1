"""L4: each norm and each dropout has the drawing of its textbook form on file, from its registration alone.

`python tests/test_golden_layers.py` writes the files anew; look at what changed, for that is what people will see.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad as mg
import minigrad_layers

HERE = Path(__file__).parent / "data/layers"
FAMILIES = ("normalization", "dropout")
NAMES = sorted(n for n, i in mg.layers().items() if i.origin == "minigrad-layers" and i.family in FAMILIES)


def drawing(name: str) -> str:
    """DOT text of a layer's first sample in training, opened, both passes; without digits it is the same anywhere."""
    mg.random.seed(0)
    sample = mg.Sample.of(getattr(minigrad_layers, name))[0]
    layer = sample.build(getattr(minigrad_layers, name))
    args, keywords = sample.values(np.random.default_rng(0))

    def made(value: Any, label: str) -> Any:
        if not isinstance(value, np.ndarray):
            return value
        floating = value.dtype.kind == "f"
        return mg.tensor(value, dtype="float32" if floating else None, requires_grad=floating, name=label)

    inputs = [made(v, f"x{k + 1}" if len(args) > 1 else "x") for k, v in enumerate(args)]
    with mg.trace(layer, form="textbook", values=False, sources=False) as graph:
        y = layer(*inputs, **{k: made(v, k) for k, v in keywords.items()})
        y.named("y").sum().backward()
    return graph.dot(depth=9, passes="both", show=("shape", "formula")).source


@pytest.mark.parametrize("name", NAMES)
def test_l4_the_textbook_drawing_is_the_one_on_file(name: str) -> None:
    path = HERE / f"{name}.dot"
    assert path.is_file(), f"write it: python tests/test_golden_layers.py; then look at {path}"
    with mg.use_device("numpy"):  # the files are the host's: elsewhere a closed update may say its shape too
        assert drawing(name) == path.read_text(encoding="utf-8")


if __name__ == "__main__":
    HERE.mkdir(exist_ok=True)
    for stale in HERE.glob("*.dot"):
        stale.unlink()
    for each in NAMES:
        (HERE / f"{each}.dot").write_text(drawing(each), encoding="utf-8")
