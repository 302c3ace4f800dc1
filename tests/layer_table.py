"""The registered layers as a table: each with the arguments and input shapes that its class gives in `samples`."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import numpy as np

import minigrad as mg
import minigrad_layers

Row = tuple[str, tuple[Any, ...], tuple[int, ...]]

ROWS: list[Row] = [
    (name, sample.args, sample.inputs[0])
    for name in minigrad_layers.__all__
    for sample in mg.Sample.of(getattr(minigrad_layers, name))
    if len(sample.inputs) == 1 and all(isinstance(n, int) for n in sample.inputs[0])
]
IDS = [f"{name}{args} of {shape}" for name, args, shape in ROWS]


def build(row: Row, rng: np.random.Generator, dtype: str = "float64") -> mg.Module:
    """A layer with random parameters, the first element of each 0, and running statistics that are not 0 and 1."""
    name, args, _ = row
    layer = mg.layer(name, *args).astype(dtype)
    for p in layer.parameters():
        values = rng.standard_normal(p.shape)
        values.flat[0] = 0.0
        p.data = values.astype(dtype)
    if getattr(layer, "running_mean", None) is not None:
        layer.running_mean.assign(mg.tensor(rng.standard_normal(layer.running_mean.shape)))
        layer.running_var.assign(mg.tensor(rng.uniform(0.5, 2.0, layer.running_var.shape)))
    return layer


def with_state(layer: mg.Module, state: Sequence[mg.Tensor], *, boxed: bool = False) -> mg.Module:
    """A copy of a layer that computes with other tensors for its parameters (and buffers, if more are given).

    `boxed` makes Parameters and Buffers of them, leaves of their own; otherwise gradients flow back to what is given.
    """
    model = deepcopy(layer)
    names = [name for name, _ in (*model.named_parameters(), *model.named_buffers())]
    for name, value in zip(names, state, strict=False):
        kind = type(getattr(model, name))
        delattr(model, name)
        setattr(model, name, kind(value) if boxed else value)
    return model
