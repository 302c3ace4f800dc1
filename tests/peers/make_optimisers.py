"""Writes where PyTorch's optimisers go: `python tests/peers/make_optimisers.py`, where PyTorch is installed.

`optimisers.json` holds, for each row of the table, the parameter after each of ten steps in float64, and versions.
"""

from __future__ import annotations

import json
import platform
import sys
from pathlib import Path
from typing import Any

import numpy as np

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS.parent), str(TESTS.parent / "layers")]

from optimisers import OPTIMISERS, gradients, start  # noqa: E402

GOLDEN = TESTS / "data/peers/optimisers.json"


def path(kind: str, options: dict[str, Any]) -> list[Any]:
    """The parameter after each step."""
    import torch

    p = torch.tensor(start(), requires_grad=True)
    optimizer = getattr(torch.optim, kind)([p], **options)
    found = []
    for step, g in enumerate(gradients()):
        if step == 5:  # as a schedule does
            optimizer.param_groups[0]["lr"] = 0.03
        p.grad = torch.tensor(g)
        optimizer.step()
        found.append(p.detach().numpy().tolist())
    return found


def main() -> None:
    """Write the file."""
    import torch

    torch.set_default_dtype(torch.float64)
    versions = {"torch": torch.__version__, "numpy": np.__version__, "python": platform.python_version()}
    rows = {name: path(*row) for name, row in OPTIMISERS.items() if hasattr(torch.optim, row[0])}
    GOLDEN.write_text(json.dumps({"versions": versions, "rows": rows}) + "\n", encoding="utf-8")
    print(f"{len(rows)} rows, torch {torch.__version__}")


if __name__ == "__main__":
    main()
