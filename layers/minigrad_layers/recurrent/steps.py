"""One step in time of each recurrent layer: what the cells and the layers over sequences have in common.

A step is given `x`, the input's product with `weight_ih` and whatever biases can be added to it beforehand, for all
times in one matrix product; then the product of h with `weight_hh`, one for all gates; and the state, h or (h, c).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import minigrad as mg
from minigrad_layers.recurrent.norms import Norms

States: TypeAlias = "tuple[mg.Tensor, ...]"


class Kind(NamedTuple):
    """What tells an RNN, an LSTM and a GRU apart."""

    parts: tuple[int, ...]  # how many gates there are; those in one part are normalized together
    states: int  # h, or h and c
    apart: bool  # whether the bias of h's product stays with it, since a gate multiplies that product
    step: Callable[[mg.Tensor, mg.Tensor, States, Norms | None, int], States]

    @property
    def gates(self) -> int:
        """How many there are."""
        return sum(self.parts)


class Weights(NamedTuple):
    """The parameters of one step; biases and `hr`, the projection of h, may be missing."""

    ih: mg.Tensor
    hh: mg.Tensor
    bias_ih: mg.Tensor | None
    bias_hh: mg.Tensor | None
    hr: mg.Tensor | None


def _tanh(x: mg.Tensor, product: mg.Tensor, state: States, norms: Norms | None, t: int) -> States:
    """h' = tanh(W x + b + U h + c)."""
    return (mg.tanh(x + product),)


def _relu(x: mg.Tensor, product: mg.Tensor, state: States, norms: Norms | None, t: int) -> States:
    """h' = max(W x + b + U h + c, 0)."""
    return (mg.relu(x + product),)


def _lstm(x: mg.Tensor, product: mg.Tensor, state: States, norms: Norms | None, t: int) -> States:
    """c' = σ(f) c + σ(i) tanh(g), h' = σ(o) tanh(c'), where (i, f, g, o) = W x + b + U h + c."""
    i, f, g, o = mg.split(x + product, 4, axis=-1)
    c = mg.sigmoid(f) * state[1] + mg.sigmoid(i) * mg.tanh(g)
    return mg.sigmoid(o) * mg.tanh(c if norms is None else norms.cell(c, t)), c


def _gru(x: mg.Tensor, product: mg.Tensor, state: States, norms: Norms | None, t: int) -> States:
    """h' = (1 - z) n + z h, n = tanh(xₙ + r pₙ), r = σ(xᵣ + pᵣ), z = σ(x_z + p_z): the reset gate after the product."""
    xr, xz, xn = mg.split(x, 3, axis=-1)
    pr, pz, pn = mg.split(product, 3, axis=-1)
    r, z = mg.sigmoid(xr + pr), mg.sigmoid(xz + pz)
    n = mg.tanh(xn + r * pn)
    return ((1.0 - z) * n + z * state[0],)


RNNS = {"tanh": Kind((1,), 1, False, _tanh), "relu": Kind((1,), 1, False, _relu)}
LSTM = Kind((4,), 2, False, _lstm)
GRU = Kind((2, 1), 1, True, _gru)


def weights(
    module: mg.Module, kind: Kind, sizes: tuple[int, int, int], bias: bool, options: dict[str, Any], suffix: str = ""
) -> None:
    """Give a module the parameters of a step: evenly on ±1 / sqrt(hidden size), as in PyTorch.

    `sizes` are those of the input, of the hidden state and of what h is projected to, 0 for no projection.
    """
    inputs, hidden, projected = sizes
    bound, rows = 1 / math.sqrt(hidden), kind.gates * hidden

    def learnt(name: str, *shape: int) -> None:
        setattr(module, name + suffix, mg.Parameter(mg.init.uniform(shape, -bound, bound, **options)))

    learnt("weight_ih", rows, inputs)
    learnt("weight_hh", rows, projected or hidden)
    if bias:
        learnt("bias_ih", rows)
        learnt("bias_hh", rows)
    if projected:
        learnt("weight_hr", projected, hidden)


def of(module: mg.Module, suffix: str = "") -> Weights:
    """The parameters that `weights` gave it."""
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
    return Weights(*(getattr(module, name + suffix, None) for name in names))  # type: ignore[arg-type]


def inputs(kind: Kind, x: mg.Tensor, w: Weights, norms: Norms | None) -> mg.Tensor:
    """The input's part of all gates, for one time or for all of them at once."""
    a = mg.matmul(x, w.ih.T)
    a = a if norms is None else norms.inputs(a)
    if w.bias_ih is None or w.bias_hh is None:
        return a
    return a + (w.bias_ih if kind.apart else w.bias_ih + w.bias_hh)


def start(x: mg.Tensor, kind: Kind, sizes: tuple[int, int, int]) -> States:
    """Zeros, for a sequence that has no past; `x` is a time of what `inputs` gives."""
    zero = mg.zeros_like(x[..., : sizes[1]])
    return (zero[..., : sizes[2]] if sizes[2] else zero, zero)[: kind.states]


def advance(kind: Kind, x: mg.Tensor, state: States, w: Weights, norms: Norms | None, t: int) -> States:
    """From one time to the next; `t` counts the times."""
    product = mg.matmul(state[0], w.hh.T)
    product = product if norms is None else norms.hidden(product, t)
    if kind.apart and w.bias_hh is not None:
        product = product + w.bias_hh
    h, *rest = kind.step(x, product, state, norms, t)
    return (h if w.hr is None else mg.matmul(h, w.hr.T), *rest)
