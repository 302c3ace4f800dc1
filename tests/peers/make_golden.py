"""Writes what PyTorch and timm make of the rows of the table: `python tests/peers/make_golden.py`, where they are.

`layers.safetensors` holds outputs, gradients and state after each step in float64; `layers.json` beside it versions,
names and shapes of states, reprs, and how parameters start.
"""

from __future__ import annotations

import json
import platform
import sys
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from peers.rows import ROWS
from peers.table import GOLDEN, Row, arguments, flat, inputs, numbers, parameter, said

NAMES = {"MultiHeadAttention": "MultiheadAttention"}  # where PyTorch writes a name otherwise
DRAWS = 2000  # how many values of a parameter are drawn, at least, to see how it starts


def build(row: Row) -> Any:
    """PyTorch's layer, or that of the library that has it."""
    called = row.peer or "torch.nn." + NAMES.get(row.layer, row.layer) + row.call[len(row.layer) :]
    module, _, name = called.partition("(")[0].rpartition(".")
    args, named = arguments(called)
    return getattr(import_module(module), name)(*args, **named)


def tensors(given: Any) -> Any:
    """Arrays as leaves that require grad, where they can."""
    import torch

    if isinstance(given, (tuple, list)):
        return type(given)(map(tensors, given))
    return None if given is None else torch.tensor(given, requires_grad=given.dtype.kind == "f")


def run(row: Row) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Everything of a row: arrays by name, and what is said of the layer in words."""
    layer = build(row).double()
    for name, p in layer.named_parameters():
        p.data = tensors(parameter(name, tuple(p.shape))).data
    about: dict[str, Any] = {
        "repr": repr(layer),
        "state": {name: [list(t.shape), str(t.dtype).removeprefix("torch.")] for name, t in layer.state_dict().items()},
        "parameters": [name for name, _ in layer.named_parameters()],
    }
    stateful = any(True for _ in layer.buffers())
    modes = (True, True, False) if stateful else (row.training,)
    arrays: dict[str, np.ndarray] = {}
    for step, training in enumerate(modes):
        layer.train(training)
        layer.zero_grad()
        given = tensors(inputs(row, step))
        made = list(flat(layer(*given, **keywords(row, step))))
        for k, y in enumerate(made):
            arrays[f"{step} y{k}"] = y.detach().numpy()
        pull = [tensors(numbers(f"{row.key} step {step} g{k}", tuple(y.shape))).detach() for k, y in enumerate(made)]
        sum((y * g).sum() for y, g in zip(made, pull, strict=True)).backward()
        for k, x in enumerate(x for x in flat(given) if x.requires_grad):
            arrays[f"{step} x{k}"] = x.grad.numpy()
        for name, p in layer.named_parameters():
            arrays[f"{step} {name}"] = p.grad.numpy()
        if stateful:
            for name, b in layer.named_buffers():
                arrays[f"{step} after {name}"] = b.double().numpy().copy()
    return arrays, about


def keywords(row: Row, step: int) -> dict[str, Any]:
    """Of the call, as PyTorch wants them."""
    ours = said(row, step)
    made: dict[str, Any] = {}
    for name, what in row.theirs.items():
        array = what if isinstance(what, bool) else ours[what.removeprefix("~")]
        made[name] = array if isinstance(what, bool) else tensors(~array if what.startswith("~") else array)
    return made


def starts(row: Row) -> dict[str, list[float]]:
    """Of each parameter, drawn anew again and again: mean, standard deviation, least and largest value."""
    import torch

    torch.manual_seed(0)
    size = {name: p.numel() for name, p in build(row).named_parameters()}
    drawn: dict[str, list[Any]] = {name: [] for name in size}
    for _ in range(-(-DRAWS // min(size.values())) if size else 0):
        for name, p in build(row).named_parameters():
            drawn[name].append(p.detach().double().numpy().ravel())
    whole = {name: np.concatenate(parts) for name, parts in drawn.items()}
    return {name: [float(f(v)) for f in (np.mean, np.std, np.min, np.max)] for name, v in whole.items()}


def make() -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """All rows."""
    arrays: dict[str, np.ndarray] = {}
    about: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they tell how PyTorch goes about it
        for row in ROWS:
            assert row.key not in about, f"two rows are {row.key}"
            made, told = run(row)
            arrays |= {f"{row.key} | {name}": np.array(array, order="C") for name, array in made.items()}
            about[row.key] = {**told, "starts": starts(row)}
    return arrays, about


def main() -> None:
    """Write both files."""
    import timm
    import torch
    from safetensors.numpy import save_file

    torch.set_num_threads(1)
    arrays, about = make()
    versions = {library.__name__: library.__version__ for library in (torch, timm, np)}
    versions["python"] = platform.python_version()
    GOLDEN.mkdir(parents=True, exist_ok=True)
    save_file(arrays, str(GOLDEN / "layers.safetensors"))
    text = json.dumps({"versions": versions, "rows": about}, indent=1, ensure_ascii=False)
    (GOLDEN / "layers.json").write_text(text + "\n", encoding="utf-8")
    total = sum(array.nbytes for array in arrays.values())
    print(f"{len(about)} rows, {len(arrays)} arrays, {total / 1e3:.0f} kB, torch {torch.__version__}")


if __name__ == "__main__":
    main()
